"""What people said: read in one go, newest answers last, and whose address is whose."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from mappings.preference import (
    ComingMessage,
    ConsentRecord,
    OwnRecord,
    PreferenceRecord,
    SentMessage,
    Switch,
    Who,
)
from middleware.storage.inbound import insert_inbound
from middleware.storage.marks import (
    RESTORE_UNCHECKED,
    add_mark,
    delete_mark,
    put_mark,
    read_mark,
)
from middleware.storage.preferences import (
    insert_consent,
    insert_preference,
    list_patients_at,
    mark_bad_address,
)
from middleware.storage.records import read_own
from middleware.storage.switches import list_switches, release_switch, set_switch
from middleware.storage.tasks import finish_task, insert_task, list_open_tasks
from tests.conftest import NOW
from tests.unit.storage.seeds import ABOUT, NUDGE, PATIENT, seed

SINCE = NOW - timedelta(days=7)
PHONE = ("sms", "+15550101")
YES = ConsentRecord(
    id="c1",
    endpoint_id="e1",
    patient=PATIENT,
    system="sms",
    value="+15550101",
    topic="*",
    permit=True,
    who=Who.STAFF,
    how="asked at the desk",
    recorded_at=NOW,
    recorded_by="Practitioner/1",
)


def prefer(tx, number, name, value, who=Who.PATIENT):
    insert_preference(
        tx,
        id=f"p{number}",
        endpoint_id="e1",
        patient=PATIENT,
        name=name,
        value=value,
        who=who,
        how="page",
        recorded_by=None,
        recorded_at=NOW + timedelta(seconds=number),
    )


def add_task(tx, number, reason="reply-needs-person", priority="stat"):
    return insert_task(
        tx,
        id=f"t{number}",
        endpoint_id="e1",
        patient=PATIENT,
        nudge_id=None,
        priority=priority,
        reason=reason,
        text="Call back",
        now=NOW,
    )


def test_of_an_unknown_patient_nothing_is_known(database):
    with database.tx() as tx:
        assert read_own(tx, "e1", PATIENT, [], SINCE) == OwnRecord()
        assert read_own(tx, "e1", PATIENT, [PHONE], SINCE) == OwnRecord()


def test_everything_of_ours_is_read_at_once(database):
    with database.tx() as tx:
        seed(tx, delivery=True)
        prefer(tx, 1, "language", "en", Who.STAFF)
        prefer(tx, 2, "language", "es")
        insert_consent(tx, YES)
        set_switch(
            tx,
            id="w1",
            scope="topic",
            target="post-discharge",
            reason="check",
            set_by="ops",
            now=NOW,
        )
        add_task(tx, 1)
        add_task(tx, 2, reason="delivery-unknown")
        mark_bad_address(tx, "sms", "+15550101", "address-invalid", NOW)
        put_mark(tx, RESTORE_UNCHECKED, True)
        own = read_own(tx, "e1", PATIENT, [PHONE, ("email", "a@example.org")], SINCE)
    assert own == OwnRecord(
        preferences=(
            PreferenceRecord(
                "language", "en", Who.STAFF, "page", NOW + timedelta(seconds=1)
            ),
            PreferenceRecord(
                "language", "es", Who.PATIENT, "page", NOW + timedelta(seconds=2)
            ),
        ),
        consents=(YES,),
        sent=(SentMessage(NOW, "post-discharge", "sms", about=ABOUT),),
        coming=(ComingMessage(NUDGE.key, NUDGE.due_at, NUDGE.topic, NUDGE.priority),),
        switches=(Switch("topic", "post-discharge", "check"),),
        replies_waiting=1,
        bad_addresses=frozenset({PHONE}),
        restore_unchecked=True,
    )


def test_the_newest_preference_of_each_speaker_is_read(database):
    with database.tx() as tx:
        prefer(tx, 1, "pause", {"until": None, "why": "away"})
        prefer(tx, 2, "pause", None)
        prefer(tx, 3, "window", [10, 18])
        own = read_own(tx, "e1", PATIENT, [], SINCE)
    assert [(p.name, p.value) for p in own.preferences] == [
        ("pause", None),
        ("window", [10, 18]),
    ]


def test_a_stop_of_somebody_else_at_the_same_number_counts(database):
    stop = replace(
        YES, id="c2", endpoint_id="e2", patient=None, permit=False, who=Who.PATIENT
    )
    with database.tx() as tx:
        insert_consent(tx, YES)
        insert_consent(tx, stop)
        insert_consent(tx, replace(stop, id="c3", value="+15550102"))
        own = read_own(tx, "e1", PATIENT, [PHONE], SINCE)
    assert own.consents == (YES, stop)


def test_patients_at_a_number_are_those_we_asked_or_wrote_to(database):
    with database.tx() as tx:
        seed(tx, delivery=True)
        insert_consent(tx, replace(YES, patient="Patient/child"))
        insert_consent(tx, replace(YES, id="c2", patient=None))
        assert list_patients_at(tx, "sms", "+15550101") == [
            ("e1", "Patient/child"),
            ("e1", PATIENT),
        ]
        assert list_patients_at(tx, "email", "+15550101") == []


def test_a_bad_address_can_be_forgotten(database):
    with database.tx() as tx:
        mark_bad_address(tx, *PHONE, "address-invalid", NOW)
        mark_bad_address(tx, *PHONE, None, NOW)
        assert read_own(tx, "e1", PATIENT, [PHONE], SINCE) == OwnRecord()


def test_a_switch_holds_once_until_it_is_released(database):
    values = {"scope": "all", "target": "*", "reason": "drill", "set_by": "ops"}
    with database.tx() as tx:
        assert set_switch(tx, id="w1", now=NOW, **values)
        assert not set_switch(tx, id="w2", now=NOW, **values)
        assert [row.id for row in list_switches(tx)] == ["w1"]
        assert release_switch(tx, scope="all", target="*", released_by="ops", now=NOW)
        assert not release_switch(
            tx, scope="all", target="*", released_by="ops", now=NOW
        )
        assert list_switches(tx) == []
        assert set_switch(tx, id="w3", now=NOW + timedelta(seconds=1), **values)
        assert [row.id for row in list_switches(tx, released=True)] == ["w1", "w3"]


def test_tasks_are_listed_by_urgency_until_done(database):
    with database.tx() as tx:
        assert add_task(tx, 1, priority="routine")
        assert add_task(tx, 2)
        assert not add_task(tx, 2)
        found = list_open_tasks(tx, endpoint_id="e1", patient=PATIENT)
        assert [task.id for task in found] == ["t2", "t1"]
        assert finish_task(tx, "t2", "Practitioner/1", NOW)
        assert not finish_task(tx, "t2", "Practitioner/1", NOW)
        assert [task.id for task in list_open_tasks(tx)] == ["t1"]
        assert list_open_tasks(tx, endpoint_id="e2") == []
        assert read_own(tx, "e1", PATIENT, [], SINCE).replies_waiting == 1


def test_marks_are_set_and_removed(database):
    with database.tx() as tx:
        put_mark(tx, "a", {"n": 1})
        put_mark(tx, "a", {"n": 2})
        assert read_mark(tx, "a") == {"n": 2}
        assert add_mark(tx, "a", {"n": 3}) == {"n": 2}
        delete_mark(tx, "a")
        assert read_mark(tx, "a") is None
        assert add_mark(tx, "a", {"n": 3}) == {"n": 3}


def test_a_reply_from_a_shared_number_holds_everybody_who_bears_it(database):
    with database.tx() as tx:
        seed(tx)
        insert_inbound(
            tx,
            key="sms:S1:reply",
            channel="sms",
            source="reply",
            address="+15550100",
            body="I have chest pain",
            detail={},
            received_at=NOW,
            shard=1,
        )
        row = tx.execute("SELECT id FROM inbound").fetchone()
        insert_task(
            tx,
            id=f"task-reply|{row['id']}|e1|Patient/other",
            endpoint_id="e1",
            patient="Patient/other",
            nudge_id=None,
            priority="stat",
            reason="reply-needs-person",
            text="Call back",
            now=NOW,
        )
        mine = [("sms", "+15550100")]
        other = [("sms", "+15550199"), ("email", "+15550100")]

        assert read_own(tx, "e1", PATIENT, mine, SINCE).replies_waiting == 1
        assert read_own(tx, "e1", PATIENT, other, SINCE).replies_waiting == 0
