"""The store: versions, order, atomicity, callbacks, restart."""

import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from middleware.sandbox.clock import SandboxClock
from middleware.sandbox.journal import Journal
from middleware.sandbox.store import Change, Store


def open_store(data_dir: Path | None = None) -> tuple[Store, Journal]:
    journal = Journal(data_dir)
    return Store(SandboxClock(journal), journal), journal


def test_versions_count_up_from_one_and_survive_a_deletion():
    store, _ = open_store()
    created = store.create("Patient", {"active": True})
    store.update("Patient", created.id, {"active": False})
    store.delete("Patient", created.id)
    store.update("Patient", created.id, {"active": True})
    kinds = [(c.interaction, c.version) for c in store.versions("Patient", created.id)]
    assert kinds == [("create", 1), ("update", 2), ("delete", 3), ("create", 4)]
    assert store.get("Patient", created.id)["meta"]["versionId"] == "4"


def test_last_updated_rises_strictly_when_the_clock_goes_back():
    journal = Journal(None)
    clock = SandboxClock(journal)
    store = Store(clock, journal)
    first = store.create("Patient", {})
    clock.set(first.instant - timedelta(days=3))
    second = store.create("Patient", {})
    third = store.create("Patient", {})
    step = timedelta(milliseconds=1)
    assert second.instant == first.instant + step
    assert third.instant == second.instant + step
    written = third.resource["meta"]["lastUpdated"]
    assert datetime.fromisoformat(written) == third.instant


def test_transaction_that_raises_commits_nothing():
    store, _ = open_store()

    def fail() -> None:
        with store.transaction() as transaction:
            transaction.create("Patient", {}, "rosa")
            assert transaction.get("Patient", "rosa") is not None
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert store.get("Patient", "rosa") is None
    assert store.log() == []


def test_readers_see_a_transaction_only_as_a_whole():
    store, _ = open_store()
    with store.transaction() as transaction:
        transaction.create("Patient", {}, "rosa")
        transaction.create("Patient", {}, "tom")
        assert store.candidates("Patient") == []
        assert len(transaction.candidates("Patient")) == 2
    assert len(store.candidates("Patient")) == 2


def test_callbacks_come_after_the_commit_in_order_also_for_nested_writes():
    store, _ = open_store()
    seen: list[tuple[str, str, int]] = []

    def activate(change: Change) -> None:
        if change.type == "Subscription" and change.version == 1:
            store.update("Subscription", change.id, {"status": "active"})

    def note(change: Change) -> None:
        assert store.latest(change.type, change.id).version >= change.version
        seen.append((change.type, change.id, change.version))

    store.on_change(activate)
    store.on_change(note)
    with store.transaction() as transaction:
        transaction.create("Subscription", {"status": "requested"}, "s")
        transaction.create("Patient", {}, "rosa")
    assert seen == [
        ("Subscription", "s", 1),
        ("Patient", "rosa", 1),
        ("Subscription", "s", 2),
    ]


def test_listener_that_fails_stops_neither_the_writer_nor_the_others(caplog):
    store, _ = open_store()
    seen: list[str] = []

    def fail(_: Change) -> None:
        raise ZeroDivisionError

    store.on_change(fail)
    store.on_change(lambda change: seen.append(change.id))
    store.create("Patient", {}, "rosa")
    assert seen == ["rosa"]
    assert [record.getMessage() for record in caplog.records] == [
        "a listener failed on Patient/rosa"
    ]


def test_changes_of_many_threads_are_reported_in_the_order_of_the_log():
    store, _ = open_store()
    seen: list[Change] = []
    store.on_change(seen.append)

    def write() -> None:
        for _ in range(50):
            store.create("Patient", {})

    threads = [threading.Thread(target=write) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    log = store.log()
    assert seen == log
    assert len({change.id for change in log}) == 200
    assert [c.instant for c in log] == sorted({c.instant for c in log})


def test_nested_transaction_in_one_thread_is_refused():
    store, _ = open_store()
    with store.transaction(), pytest.raises(RuntimeError, match="end it first"):
        store.create("Patient", {})


def test_restart_finds_the_same_state_and_never_reuses_an_id(tmp_path):
    store, journal = open_store(tmp_path)
    kept = store.create("Patient", {"active": True})
    gone = store.create("Patient", {})
    store.delete("Patient", gone.id)
    store.update("Patient", kept.id, {"active": False})
    journal.close()
    again, journal = open_store(tmp_path)
    assert again.log() == store.log()
    assert again.get("Patient", kept.id) == store.get("Patient", kept.id)
    assert again.get("Patient", gone.id) is None
    assert again.create("Patient", {}).id not in {kept.id, gone.id}
    journal.close()


def test_journal_drops_a_line_that_a_kill_cut_short(tmp_path):
    store, journal = open_store(tmp_path)
    store.create("Patient", {}, "rosa")
    journal.close()
    file = tmp_path / "journal.jsonl"
    whole = file.read_bytes()
    file.write_bytes(whole + b'["resource",{"interac')
    again, journal = open_store(tmp_path)
    assert [change.id for change in again.log()] == ["rosa"]
    journal.close()
    assert file.read_bytes() == whole


def test_transaction_cut_short_in_the_journal_is_gone_as_a_whole(tmp_path):
    store, journal = open_store(tmp_path)
    store.create("Patient", {}, "rosa")
    with store.transaction() as transaction:
        transaction.create("Patient", {}, "tom")
        transaction.create("Encounter", {}, "e1")
    journal.close()
    file = tmp_path / "journal.jsonl"
    file.write_bytes(file.read_bytes()[:-20])
    again, journal = open_store(tmp_path)
    assert [change.id for change in again.log()] == ["rosa"]
    journal.close()


def test_index_by_target_follows_updates():
    store, _ = open_store()
    store.create("Encounter", {"subject": {"reference": "Patient/a"}}, "e")
    store.update("Encounter", "e", {"subject": {"reference": "Patient/b"}})
    assert store.candidates("Encounter", "Patient/a") == []
    assert [r["id"] for r in store.candidates("Encounter", "Patient/b")] == ["e"]


def test_clock_keeps_its_offset_over_a_restart(tmp_path):
    journal = Journal(tmp_path)
    clock = SandboxClock(journal)
    clock.set(datetime(2031, 5, 1, 12, tzinfo=UTC))
    clock.advance(timedelta(days=2))
    journal.close()
    journal = Journal(tmp_path)
    assert SandboxClock(journal).now().date().isoformat() == "2031-05-03"
    journal.close()


def test_clock_refuses_an_instant_without_an_offset():
    with pytest.raises(ValueError, match="no UTC offset"):
        SandboxClock(Journal(None)).set(datetime(2031, 5, 1))
