"""What patients answer: STOP at once, and no reply without a person."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from mappings.errors import ChannelError
from middleware.stages.orphans import wake_orphans
from tests.stages.world import CHECK_IN, MAIL, NUMBER, ROSA, World, patient


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


def crash_while_answering(told: World, *, stored_there: bool) -> None:
    class Killed(BaseException):
        """As a kill."""

    def die(message: Any) -> None:
        if stored_there:
            told.sms.sent.append(message)
        raise Killed

    told.reply("what now")
    told.sms.on_send = die
    with pytest.raises(Killed):
        told.run("listen")
    told.sms.on_send = lambda message: None


@pytest.mark.parametrize("stored_there", [True, False])
def test_a_worker_that_died_while_answering(told: World, stored_there: bool) -> None:
    crash_while_answering(told, stored_there=stored_there)
    told.sms.finds = ["look"]
    told.clock.instant += timedelta(minutes=1)
    told.wakes.clear()
    wake_orphans(told.context)
    ((stage, shard),) = told.wakes
    assert stage == "listen"
    told.step(stage, shard)
    told.run()
    state = told.one("SELECT state FROM delivery WHERE topic = 'reply'")
    assert state == ("sent" if stored_there else "unknown")
    assert len(told.sms.sent) == int(stored_there)
    expected = [("reply", "stat")]
    if not stored_there:
        expected.append(("delivery-unknown", "urgent"))
    assert sorted(told.tasks()) == sorted(expected)


def test_a_provider_that_is_away_leaves_the_answer_failed_and_the_person_told(
    told: World,
) -> None:
    told.sms.answers = [ChannelError("503", reason="channel-down")]
    told.reply("what now")
    told.run()
    assert told.one("SELECT state FROM delivery WHERE topic = 'reply'") == "failed"
    assert told.tasks() == [("reply", "stat")]


def test_a_paused_patient_still_gets_the_emergency_text(told: World) -> None:
    told.permit(system="email", value=MAIL)
    told.reply("STOP")
    told.run()
    told.sms.sent.clear()
    told.reply("I am bleeding")
    told.run()
    assert [item.address for item in told.sms.sent] == [NUMBER]
