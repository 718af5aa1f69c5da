"""Transactions: what they keep, what they refuse and what their faults say."""

from __future__ import annotations

import psycopg
import pytest

from mappings.errors import StorageError
from middleware.ports import require_no_transaction
from middleware.storage.connecting import open_connection
from middleware.storage.database import Database
from tests.databases import with_name


def test_tx_keeps_what_was_done_at_its_end(database):
    with database.tx() as tx:
        tx.execute("INSERT INTO mark VALUES ('a', '1')")
    with database.tx() as tx:
        assert tx.execute("SELECT name, value FROM mark").fetchall() == [
            {"name": "a", "value": 1}
        ]


def test_tx_rolls_back_when_anything_raises(database):
    def fail() -> None:
        with database.tx() as tx:
            tx.execute("INSERT INTO mark VALUES ('a', '1')")
            raise KeyError("stop")

    with pytest.raises(KeyError):
        fail()
    with database.tx() as tx:
        assert tx.execute("SELECT count(*) AS n FROM mark").fetchone() == {"n": 0}


def test_a_read_beside_needs_no_place_in_a_pool_that_is_full(database_url):
    opened = Database(database_url, pool_size=1)
    with opened.tx(), opened.beside() as beside:
        assert beside.execute("SELECT 1 AS one").fetchone() == {"one": 1}
    with pytest.raises(StorageError), opened.beside() as beside:
        beside.execute("SELECT nothing")
    opened.close()


def test_network_inside_a_transaction_is_refused(database):
    with database.tx(), pytest.raises(RuntimeError, match="a read inside a database"):
        require_no_transaction("a read")
    require_no_transaction("a read")


def test_error_names_the_constraint_and_no_value(database):
    with database.tx() as tx:
        tx.execute("INSERT INTO mark VALUES ('+15550199', '1')")
    with pytest.raises(StorageError) as caught, database.tx() as tx:
        tx.execute("INSERT INTO mark VALUES ('+15550199', '2')")
    assert caught.value.permanent
    assert caught.value.message == (
        "the database refused a statement (UniqueViolation, 23505) at mark mark_pkey; "
        "nothing of this transaction was kept"
    )


def test_error_of_an_unparsable_value_does_not_quote_it(database):
    with pytest.raises(StorageError) as caught, database.tx() as tx:
        tx.execute("SELECT %s::text::int", ("Rosa Alvarez",))
    assert "Rosa" not in caught.value.message
    assert "Rosa" not in str(caught.value.__cause__)


def test_a_server_that_is_not_there_is_a_storage_error_that_may_be_retried():
    with pytest.raises(StorageError, match="cannot be reached") as caught:
        Database("postgresql://nobody@127.0.0.1:1/none")
    assert not caught.value.permanent


def test_lost_connections_are_replaced(database, database_url):
    database.ping()
    with psycopg.connect(database_url, autocommit=True) as other:
        other.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
            "WHERE application_name = 'carecue' AND datname = current_database()"
        )
    with database.tx() as tx:
        assert tx.execute("SELECT 1 AS one").fetchone() == {"one": 1}


def test_sessions_are_in_utc_and_do_not_idle_in_transactions(database):
    with database.tx() as tx:
        row = tx.execute(
            "SELECT current_setting('TimeZone') AS zone, "
            "current_setting('idle_in_transaction_session_timeout') AS idle"
        ).fetchone()
    assert row == {"zone": "UTC", "idle": "30s"}


def test_lock_connection_is_kept_and_dropped_after_an_exception(database):
    with database.lock_connection() as first:
        pid = first.info.backend_pid
    with database.lock_connection() as again:
        assert again.info.backend_pid == pid
    with pytest.raises(KeyError), database.lock_connection() as broken:
        raise KeyError("stop")
    assert broken.closed
    with database.lock_connection() as fresh:
        assert fresh.info.backend_pid != pid


def test_listen_connection_hears_notifications(database):
    with database.listen_connection() as listener:
        listener.execute("LISTEN wakes")
        with database.tx() as tx:
            tx.execute("NOTIFY wakes, 'x'")
        heard = [note.payload for note in listener.notifies(timeout=30, stop_after=1)]
    assert heard == ["x"]


def test_open_connection_to_a_missing_database_is_a_storage_error(postgres_url):
    with pytest.raises(StorageError):
        open_connection(with_name(postgres_url, "no_such_database"))
