"""The world that every test of the stages plays in."""

from __future__ import annotations

import pytest

from tests.stages.world import World


@pytest.fixture
def world(database, clock, ids):
    """Rosa may be texted; nothing has happened yet."""
    return World(database, clock, ids)
