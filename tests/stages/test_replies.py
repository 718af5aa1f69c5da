"""What patients answer: STOP at once, and no reply without a person."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from mappings.endpoint import Endpoint, EndpointKind
from mappings.errors import ChannelError
from middleware.storage import endpoints
from middleware.storage.bearers import note_bearers
from middleware.storage.merging import merge_patients
from middleware.storage.restoring import RestoreMark, put_restore_mark
from tests.stages.world import (
    CHECK_IN,
    ENDPOINT,
    MAIL,
    NUMBER,
    ROSA,
    World,
    patient,
)

TWIN = "Patient/twin"
AWAY = ChannelError("503", reason="channel-down")
UNSURE = ChannelError("no answer", reason="delivery-unknown", maybe_sent=True)


@pytest.fixture
def told(world: World) -> World:
    """Rosa got her check-in; another message is planned."""
    world.discharge()
    world.go(CHECK_IN)
    assert len(world.sms.sent) == 1
    world.sms.sent.clear()
    world.clock.instant += timedelta(minutes=5)
    return world


def spanish(world: World) -> None:
    coding = {"system": "urn:ietf:bcp:47", "code": "es"}
    world.fhir.put(patient(communication=[{"language": {"coding": [coding]}}]))


@pytest.mark.parametrize("word", ["STOP", "stop.", "Please stop", "ALTO", "basta"])
def test_a_stop_counts_before_anything_is_worked_off(told: World, word: str) -> None:
    told.reply(word)
    denied = told.rows("SELECT permit, who FROM consent WHERE how = 'reply STOP'")
    assert denied == [{"permit": False, "who": "patient"}]
    told.run()
    (answer,) = told.sms.sent
    assert "no more" in answer.text
    assert told.tasks() == []
    for _ in range(12):
        told.wait(hours=12)
    assert len(told.sms.sent) == 1


def test_a_stop_silences_everybody_at_that_number(told: World) -> None:
    told.fhir.put(patient(id="twin"))
    told.permit(patient="Patient/twin")
    told.reply("STOP")
    told.fhir.put(
        {
            **told.fhir.versions["Encounter/stay"][-1],
            "id": "stay2",
            "subject": {"reference": "Patient/twin"},
        }
    )
    told.notify("Encounter/stay2")
    told.run()
    states = told.rows(
        "SELECT state, reason FROM nudge WHERE patient = 'Patient/twin' "
        "AND action = 'check-in'"
    )
    assert states == [{"state": "held", "reason": "opted-out"}]


def test_a_stop_is_told_to_every_chart_that_bears_the_number(told: World) -> None:
    """Nothing was ever planned for the twin, and the old record lives on in another."""
    with told.database.tx() as tx:
        charts = {name: ([("sms", NUMBER)], None) for name in (TWIN, "Patient/old")}
        note_bearers(tx, ENDPOINT.id, charts)
        merge_patients(tx, ENDPOINT.id, "Patient/old", ROSA, told.clock.now())
    told.reply("STOP")
    told.run()
    consents = told.fhir.list_created("Consent")
    assert [item["patient"]["reference"] for item in consents] == [ROSA, TWIN]
    assert {item["provision"]["type"] for item in consents} == {"deny"}
    # Whom it silences is nobody's business at the number: staff are asked of none.
    assert told.tasks() == []


def test_start_after_stop_permits_again(told: World) -> None:
    told.reply("STOP")
    told.run()
    told.wait(minutes=1)
    told.reply("START")
    told.run()
    assert len(told.sms.sent) == 2
    for _ in range(12):
        told.wait(hours=12)
    assert told.state("book-visit") == "sent: due"


def test_a_stop_that_came_after_a_start_wins_whatever_is_worked_off_first(
    told: World,
) -> None:
    told.reply("START")
    told.clock.instant += timedelta(seconds=5)
    told.reply("STOP")
    told.run()
    for _ in range(12):
        told.wait(hours=12)
    assert told.nudge("book-visit")["state"] in ("held", "cancelled")


@pytest.mark.parametrize("word", ["HELP", "info", "Ayuda"])
def test_help_is_answered_and_needs_nobody(told: World, word: str) -> None:
    told.reply(word)
    told.run()
    (answer,) = told.sms.sent
    assert "(312) 555-0100" in answer.text
    assert told.tasks() == []


@pytest.mark.parametrize(
    ("text", "part", "reason"),
    [
        ("my chest hurts", "911", "reply-needs-person"),
        ("no puedo respirar", "911", "reply-needs-person"),
        ("he died on monday", "911", "reply-needs-person"),
        ("murio ayer", "911", "reply-needs-person"),
        ("wrong number", "Sorry", "reply-needs-person"),
        ("numero equivocado", "Sorry", "reply-needs-person"),
        ("what time is it", "911", "reply"),
        ("gracias por todo", "911", "reply"),
    ],
)
def test_any_other_reply_gets_the_fixed_text_and_a_person(
    told: World, text: str, part: str, reason: str
) -> None:
    told.reply(text)
    told.run()
    (answer,) = told.sms.sent
    assert part in answer.text
    assert told.tasks() == [(reason, "stat")]
    made = told.fhir.list_created("Task")
    assert [item["priority"] for item in made].count("stat") == 1


@pytest.mark.parametrize("text", ["bleeding a lot", "sangre", "she passed away"])
def test_words_of_harm_hold_what_is_planned(told: World, text: str) -> None:
    told.reply(text)
    told.run()
    told.go(told.nudge("book-visit")["due_at"])
    assert told.state("book-visit") == "held: reply-needs-person"


def test_a_told_loss_is_kept_for_everybody_at_the_number(told: World) -> None:
    told.reply("we lost the baby")
    told.run()
    rows = told.rows("SELECT patient, name, who FROM preference")
    assert rows == [{"patient": ROSA, "name": "pregnancy-loss", "who": "learned"}]
    assert told.tasks() == [("reply-needs-person", "stat")]
    told.go(told.nudge("book-visit")["due_at"])
    assert told.state("book-visit") == "held: reply-needs-person"


def test_a_wrong_number_is_never_written_to_again(told: World) -> None:
    told.reply("wrong number")
    told.run()
    with told.database.tx() as tx:
        tx.execute("UPDATE staff_task SET state = 'completed'")
    for _ in range(12):
        told.wait(hours=12)
    assert len(told.sms.sent) == 1


def test_the_same_reply_twice_is_one_reply(told: World) -> None:
    assert told.reply("it hurts", "IN-1")
    assert not told.reply("it hurts", "IN-1")
    told.run()
    assert not told.reply("it hurts", "IN-1")
    told.run()
    assert len(told.sms.sent) == 1
    assert told.tasks() == [("reply-needs-person", "stat")]


def test_stop_with_symptoms_is_both(told: World) -> None:
    told.reply("STOP texting me, I have chest pain")
    told.run()
    (answer,) = told.sms.sent
    assert "911" in answer.text
    assert told.tasks() == [("reply-needs-person", "stat")]
    assert told.one("SELECT count(*) FROM consent WHERE NOT permit") == 1


def test_the_answer_is_in_the_language_of_the_message(world: World) -> None:
    spanish(world)
    world.discharge()
    world.go(CHECK_IN)
    world.reply("me duele el pecho")
    world.run()
    assert [item.language for item in world.sms.sent] == ["es", "es"]
    assert "llame ya al 911" in world.sms.sent[-1].text


def test_a_reply_from_a_stranger_is_answered_and_seen_by_a_person(
    world: World,
) -> None:
    with world.database.tx() as tx:
        tx.execute("DELETE FROM consent")
    world.reply("I cannot breathe")
    world.run()
    (answer,) = world.sms.sent
    assert "911" in answer.text
    world.reply("help me it hurts")
    world.run()
    rows = world.rows("SELECT patient, priority FROM staff_task ORDER BY id")
    assert [row["priority"] for row in rows] == ["stat", "stat"]
    assert [row["patient"] for row in rows] == [None, None]
    asked = world.fhir.list_created("Task")
    assert [(item["priority"], "for" in item) for item in asked] == [
        ("stat", False),
        ("stat", False),
    ]
    assert asked[0]["description"] == (
        f"From {NUMBER} (sms), to which no message went: I cannot breathe"
    )


def test_two_people_at_one_number_are_both_looked_at(told: World) -> None:
    told.permit(patient="Patient/twin")
    told.reply("it hurts")
    told.run()
    rows = told.rows("SELECT patient FROM staff_task WHERE priority = 'stat'")
    assert {row["patient"] for row in rows} == {ROSA, "Patient/twin"}


def crash_while_answering(
    told: World, *, stored_there: bool, text: str = "what now"
) -> None:
    class Killed(BaseException):
        """As a kill."""

    def die(message: Any) -> None:
        if stored_there:
            told.sms.sent.append(message)
        raise Killed

    told.reply(text)
    told.sms.on_send = die
    with pytest.raises(Killed):
        told.run("listen")
    told.sms.on_send = lambda message: None


def answers(told: World) -> list[str]:
    """The states of the hand-overs of an answer, in their order."""
    rows = told.rows(
        "SELECT state FROM delivery WHERE topic = 'reply' ORDER BY sending_at, id"
    )
    return [row["state"] for row in rows]


@pytest.mark.parametrize("text", ["my chest hurts", "STOP", "HELP"])
@pytest.mark.parametrize("stored_there", [True, False])
def test_after_a_kill_the_answer_has_arrived_once(
    told: World, stored_there: bool, text: str
) -> None:
    crash_while_answering(told, stored_there=stored_there, text=text)
    tasks = told.tasks()
    told.sms.finds = ["look"]
    told.clock.instant += timedelta(minutes=1)
    told.run()
    assert answers(told) == (["sent"] if stored_there else ["unknown", "sent"])
    assert len(told.sms.sent) == 1
    assert told.tasks() == tasks
    told.wait(hours=5)
    assert len(told.sms.sent) == 1


@pytest.mark.parametrize("cannot_say", [None, UNSURE, ValueError("nonsense")])
def test_a_provider_that_cannot_say_is_given_the_answer_once_more(
    told: World, cannot_say: Any
) -> None:
    crash_while_answering(told, stored_there=True)
    told.sms.finds = [cannot_say]
    told.run()
    assert answers(told) == ["unknown", "sent"]
    assert len({message.text for message in told.sms.sent}) == 1
    assert len(told.sms.sent) == 2


def test_an_answer_is_not_given_a_third_time_and_a_person_is_asked(
    told: World,
) -> None:
    crash_while_answering(told, stored_there=True)
    told.sms.answers = [UNSURE]
    told.run()
    for _ in range(8):
        told.wait(minutes=20)
    assert answers(told) == ["unknown", "unknown"]
    assert len(told.sms.sent) == 2
    assert sorted(told.tasks()) == [("delivery-unknown", "urgent"), ("reply", "stat")]
    assert told.one("SELECT count(*) FROM inbound WHERE state = 'waiting'") == 0


def test_what_a_reply_changes_is_changed_once_however_often_it_is_answered(
    told: World,
) -> None:
    crash_while_answering(told, stored_there=False, text="START, my chest hurts")
    crashed = told.rows("SELECT id FROM consent ORDER BY id")
    told.sms.answers = [AWAY, AWAY]
    told.run()
    told.wait(minutes=1)
    told.wait(minutes=10)
    assert answers(told)[-1] == "sent"
    assert told.rows("SELECT id FROM consent ORDER BY id") == crashed
    assert told.tasks() == [("reply-needs-person", "stat")]


def test_a_provider_that_is_away_gets_the_answer_when_it_is_back(told: World) -> None:
    told.sms.answers = [AWAY, AWAY]
    told.reply("what now")
    told.run()
    assert answers(told) == ["failed"]
    assert told.tasks() == [("reply", "stat")]
    told.wait(minutes=1)
    told.wait(minutes=5)
    assert answers(told) == ["failed", "failed", "sent"]
    assert len(told.sms.sent) == 1


def test_an_answer_that_comes_hours_late_is_left_to_a_person(told: World) -> None:
    told.sms.answers = [AWAY] * 20
    told.reply("what now")
    for _ in range(12):
        told.wait(hours=1)
    assert told.sms.sent == []
    assert set(answers(told)) == {"failed"}
    assert sorted(told.tasks()) == [("delivery-unknown", "urgent"), ("reply", "stat")]


def test_a_refusal_for_good_is_not_tried_again(told: World) -> None:
    told.sms.answers = [
        ChannelError("21610", reason="opted-out", permanent=True),
    ]
    told.reply("STOP")
    told.run()
    told.wait(hours=1)
    assert answers(told) == ["failed"]
    assert told.sms.sent == []


def test_a_restored_database_does_not_answer_a_second_time(told: World) -> None:
    """The reply stood unanswered in the backup; the provider has the answer."""
    told.reply("what now")
    told.run()
    with told.database.tx() as tx:
        tx.execute("DELETE FROM delivery WHERE topic = 'reply'")
        tx.execute("UPDATE inbound SET state = 'waiting', intent = NULL")
        told.clock.instant += timedelta(minutes=30)
        now = told.clock.now()
        put_restore_mark(tx, RestoreMark(now, now - timedelta(hours=2), "test"))
    told.sms.finds = ["look"]
    told.run("listen")
    assert answers(told) == ["sent"]
    assert len(told.sms.sent) == 1
    told.clock.instant += timedelta(minutes=1)
    told.reply("are you there")
    told.run("listen")
    assert len(told.sms.sent) == 2


SOUTH = replace(
    ENDPOINT, id="south", name="South", site=replace(ENDPOINT.site, name="Southside")
)


def connect(world: World, *more: Endpoint) -> None:
    with world.database.tx() as tx:
        for endpoint in more:
            base = f"http://127.0.0.1:9/{endpoint.id}"
            stored = replace(endpoint, fhir_base=base)
            endpoints.insert_endpoint(tx, stored, world.clock.now())


def asked(world: World) -> list[tuple[str, str | None]]:
    rows = world.rows(
        "SELECT endpoint_id, patient FROM staff_task WHERE id LIKE 'task-reply|%%' "
        "ORDER BY 1, 2"
    )
    return [(row["endpoint_id"], row["patient"]) for row in rows]


def test_a_reply_goes_to_the_ehr_whose_patient_has_the_number(world: World) -> None:
    """Nothing went there yet: only the planned message names the number."""
    connect(world, replace(ENDPOINT, id="earlier"), SOUTH)
    world.discharge()
    world.run()
    assert world.state() == "planned: due"
    with world.database.tx() as tx:
        tx.execute("DELETE FROM consent")
    world.reply("I cannot breathe")
    world.run()
    assert asked(world) == [("north", ROSA)]
    assert "Northside" in world.sms.sent[-1].text


def test_a_stranger_is_told_to_every_ehr(world: World) -> None:
    connect(world, SOUTH)
    with world.database.tx() as tx:
        tx.execute("DELETE FROM consent")
    world.reply("I cannot breathe")
    world.run()
    assert asked(world) == [("north", None), ("south", None)]
    assert len(world.sms.sent) == 1


def test_a_stranger_is_nobody_in_a_sandbox_beside_production(world: World) -> None:
    connect(world, replace(SOUTH, kind=EndpointKind.PRODUCTION))
    with world.database.tx() as tx:
        tx.execute("DELETE FROM consent")
    world.reply("I cannot breathe")
    world.run()
    assert asked(world) == [("south", None)]
    (answer,) = world.sms.sent
    assert "Southside" in answer.text


def test_a_reply_without_any_ehr_stays_for_a_person(world: World) -> None:
    with world.database.tx() as tx:
        assert endpoints.delete_endpoint(tx, ENDPOINT.id)
    world.reply("it hurts")
    world.run("listen")
    assert world.one("SELECT state FROM inbound") == "dead"


def test_a_paused_patient_still_gets_the_emergency_text(told: World) -> None:
    told.permit(system="email", value=MAIL)
    told.reply("STOP")
    told.run()
    told.sms.sent.clear()
    told.reply("I am bleeding")
    told.run()
    assert [item.address for item in told.sms.sent] == [NUMBER]
