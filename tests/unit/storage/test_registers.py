"""Endpoints, subscriptions, launches, logins, the audit trail and the schedule."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from mappings.errors import StorageError
from middleware.storage.audit import insert_audit, list_audit
from middleware.storage.drafts import DraftRow, insert_draft
from middleware.storage.endpoints import (
    delete_endpoint,
    get_endpoint,
    insert_endpoint,
    list_endpoints,
    update_endpoint,
)
from middleware.storage.entering import Entry, find_begun
from middleware.storage.last_answers import About, Standing, put_last_answer
from middleware.storage.launches import (
    LaunchRow,
    delete_expired_launches,
    get_launch,
    insert_launch,
    take_launch_state,
    update_launch,
)
from middleware.storage.login_links import (
    delete_console_session,
    delete_expired_logins,
    find_console_session,
    insert_console_session,
    insert_login_link,
    use_login_link,
)
from middleware.storage.schedule import claim, list_errors, note_result
from middleware.storage.subscriptions import (
    find_subscription,
    get_subscription,
    insert_subscription,
    list_subscriptions,
    update_subscription,
)
from tests.conftest import NOW
from tests.unit.storage.seeds import ENDPOINT, PATIENT, SUBSCRIPTION

LATER = NOW + timedelta(minutes=10)
LAUNCH = LaunchRow(
    id="l1",
    endpoint_id="e1",
    state_hash="s",
    cookie_hash="c",
    sealed=b"\x01secret",
    patient=None,
    encounter=None,
    user_reference=None,
    user_name=None,
    scope=None,
    need_patient_banner=None,
    stage="started",
    created_at=NOW,
    expires_at=LATER,
)


def test_an_endpoint_comes_back_as_it_was(database):
    other = replace(ENDPOINT, id="e0", fhir_base="http://127.0.0.1:9001/fhir")
    with database.tx() as tx:
        insert_endpoint(tx, ENDPOINT, NOW)
        insert_endpoint(tx, other, LATER)
        assert get_endpoint(tx, "e1") == ENDPOINT
        assert get_endpoint(tx, "e9") is None
        assert list_endpoints(tx) == [ENDPOINT, other]


def test_an_endpoint_is_changed_and_removed(database):
    changed = replace(ENDPOINT, name="Other", allow_list=())
    with database.tx() as tx:
        assert not update_endpoint(tx, ENDPOINT)
        insert_endpoint(tx, ENDPOINT, NOW)
        assert update_endpoint(tx, changed)
        assert list_endpoints(tx) == [changed]
        assert delete_endpoint(tx, "e1")
        assert not delete_endpoint(tx, "e1")


def test_drafts_and_launches_go_with_their_endpoint(database):
    draft = DraftRow("d1", "e1", "u", "Patient/p1", b"x", NOW, NOW)
    with database.tx() as tx:
        insert_endpoint(tx, ENDPOINT, NOW)
        insert_draft(tx, draft)
        insert_launch(tx, LAUNCH)
        about = About("e1", "Patient/p1", "Practitioner/u", "en")
        put_last_answer(tx, about, {}, standing=Standing(), at=NOW)
        assert delete_endpoint(tx, "e1")
        for table in ("draft", "launch", "last_answer"):
            assert tx.execute(f"SELECT FROM {table}").fetchone() is None


def test_two_endpoints_cannot_share_a_base(database):
    with database.tx() as tx:
        insert_endpoint(tx, ENDPOINT, NOW)
    with (
        pytest.raises(StorageError, match="endpoint_fhir_base_key"),
        database.tx() as tx,
    ):
        insert_endpoint(tx, replace(ENDPOINT, id="e2"), NOW)


def test_a_subscription_is_found_by_its_hook_and_changed(database):
    with database.tx() as tx:
        insert_endpoint(tx, ENDPOINT, NOW)
        insert_subscription(tx, SUBSCRIPTION)
        assert find_subscription(tx, "hook-1") == SUBSCRIPTION
        assert find_subscription(tx, "hook-2") is None
        update_subscription(
            tx, "s1", status="active", server_id="9", last_number=4, last_seen_at=LATER
        )
        update_subscription(tx, "s1", last_number=3, last_seen_at=NOW, secrets=b"new")
        changed = replace(
            SUBSCRIPTION,
            status="active",
            server_id="9",
            last_number=4,
            last_seen_at=LATER,
            secrets=b"new",
        )
        assert get_subscription(tx, "s1") == changed
        assert list_subscriptions(tx) == [changed]
        assert list_subscriptions(tx, "e2") == []


def test_a_launch_state_is_used_up_by_the_first_response(database):
    with database.tx() as tx:
        insert_launch(tx, LAUNCH)
        assert find_begun(tx, "s") == Entry(LAUNCH, None)
        assert take_launch_state(tx, "s")
        assert not take_launch_state(tx, "s")
        assert find_begun(tx, "s") is None
        assert get_launch(tx, "l1") == replace(LAUNCH, state_hash=None)


def test_a_launch_is_changed_listed_and_expires(database):
    with database.tx() as tx:
        insert_launch(tx, LAUNCH)
        assert update_launch(tx, "l1", stage="ready", patient=PATIENT, sealed=b"x")
        assert not update_launch(tx, "l2", stage="ready")
        changed = replace(LAUNCH, stage="ready", patient=PATIENT, sealed=b"x")
        assert get_launch(tx, "l1") == changed
        with pytest.raises(ValueError, match="colour"):
            update_launch(tx, "l1", colour="red")
        assert delete_expired_launches(tx, LATER) == 0
        assert delete_expired_launches(tx, LATER + timedelta(seconds=1)) == 1
        assert get_launch(tx, "l1") is None


def test_a_login_link_works_once_and_in_time(database):
    with database.tx() as tx:
        for name in ("a", "b"):
            insert_login_link(tx, token_hash=name, person="ops", expires_at=LATER)
        assert use_login_link(tx, "a", NOW) == "ops"
        assert use_login_link(tx, "a", NOW) is None
        assert use_login_link(tx, "b", LATER) is None
        assert use_login_link(tx, "c", NOW) is None


def test_a_console_session_ends_in_time_or_by_hand(database):
    with database.tx() as tx:
        insert_console_session(tx, cookie_hash="a", person="ops", expires_at=LATER)
        assert find_console_session(tx, "a", NOW) == "ops"
        assert find_console_session(tx, "a", LATER) is None
        assert delete_expired_logins(tx, NOW) == 0
        delete_console_session(tx, "a")
        assert find_console_session(tx, "a", NOW) is None


def test_the_audit_trail_lists_the_newest_first(database):
    with database.tx() as tx:
        insert_audit(tx, "ops", "hold", NOW, subject="all", detail={"why": "drill"})
        insert_audit(
            tx, "Practitioner/1", "pause", LATER, endpoint_id="e1", patient=PATIENT
        )
        everything = list_audit(tx)
        assert [(row.who, row.action, row.detail) for row in everything] == [
            ("Practitioner/1", "pause", {}),
            ("ops", "hold", {"why": "drill"}),
        ]
        assert list_audit(tx, endpoint_id="e1", patient=PATIENT) == everything[:1]
        assert list_audit(tx, limit=1) == everything[:1]


def test_a_turn_is_claimed_once_however_many_ask(database):
    minute = timedelta(minutes=1)
    with database.tx() as tx:
        assert claim(tx, "poll", minute, NOW)
        assert [claim(tx, "poll", minute, NOW) for _ in range(10)] == [False] * 10
        assert not claim(tx, "poll", minute, NOW + timedelta(seconds=59))
        assert claim(tx, "poll", minute, NOW + minute)
        assert claim(tx, "other", minute, NOW)
        assert claim(tx, "poll", minute, NOW + timedelta(days=30))
        assert not claim(tx, "poll", minute, NOW + timedelta(days=30, seconds=59))


def test_the_last_fault_of_periodic_work_is_kept(database):
    with database.tx() as tx:
        claim(tx, "poll", timedelta(minutes=1), NOW)
        note_result(tx, "poll", "FhirError")
        assert list_errors(tx) == {"poll": "FhirError"}
        note_result(tx, "poll", None)
        assert list_errors(tx) == {}
