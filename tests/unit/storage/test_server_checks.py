"""Servers that are refused: too old, or behind a transaction pool."""

from __future__ import annotations

import pytest

from mappings.errors import StorageError
from middleware.storage import server_checks
from middleware.storage.server_checks import check_server
from tests.unit.storage.pooler import Pooler


def test_a_direct_connection_is_taken(database_url):
    check_server(database_url)


@pytest.mark.parametrize("round_robin", [False, True])
def test_a_transaction_pool_is_refused_by_name(database_url, round_robin):
    with (
        Pooler(database_url, round_robin=round_robin) as pooler,
        pytest.raises(StorageError, match="pgbouncer with pool_mode = trans") as caught,
    ):
        check_server(pooler.url)
    assert caught.value.permanent


def test_a_session_pool_is_taken(database_url):
    with Pooler(database_url, session=True) as pooler:
        check_server(pooler.url)
    assert pooler.clients == 2


def test_a_server_older_than_15_is_refused(database_url, monkeypatch):
    monkeypatch.setattr(server_checks, "MIN_VERSION", 990_000)
    with pytest.raises(StorageError, match="is too old: CareCue needs 15 or newer"):
        check_server(database_url)
