"""The world that every test of the stages plays in."""

from __future__ import annotations

import pytest
from structlog.testing import capture_logs

from middleware.storage.intake import IntakeDatabase
from tests.stages.twins import add_twin
from tests.stages.world import World


@pytest.fixture
def world(database, clock, ids):
    """Rosa may be texted; nothing has happened yet."""
    with capture_logs():
        yield World(database, clock, ids)


@pytest.fixture
def twin(world):
    """Rosa has a second record, ``ro``, which is the one in use."""
    return add_twin(world)


@pytest.fixture
def intake(database_url):
    """The same database as intake uses it."""
    opened = IntakeDatabase(database_url)
    yield opened
    opened.close()
