"""What replies mean, in English and Spanish."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from middleware.decisions.linting import count_segments, is_gsm
from middleware.decisions.replies import Intent, Reply, classify_reply, reply_text
from middleware.decisions.retries import next_attempt
from tests.unit.decisions.story import SITE


@pytest.mark.parametrize(
    "text",
    [
        "STOP", "stop", " Stop. ", "STOP!", "quit", "END", "revoke", "opt out", "OPTOUT",
        "opt-out", "cancel", "unsubscribe", "Please stop", "stop texting me",
        "Stop sending me these messages", "please stop all", "STOP please", "StopAll",
        "don't text me", "Do not contact me again", "no more texts", "take me off your list",
        "alto", "ALTO", "parar", "no más", "No mas mensajes", "no me envíen más mensajes",
        "cancelar", "baja", "darme de baja", "dejen de escribirme", "I said STOP",
    ],
)  # fmt: skip
def test_stop_in_many_words(text: str) -> None:
    assert Intent.STOP in classify_reply(text).intents


@pytest.mark.parametrize(
    "text",
    [
        "When does the bus stop there?", "I want to end the visit early next time",
        "Can I stop my pills?", "ok thanks", "I had to cancel my trip", "no",
    ],
)  # fmt: skip
def test_ordinary_words_are_no_stop(text: str) -> None:
    assert Intent.STOP not in classify_reply(text).intents


@pytest.mark.parametrize(
    ("text", "intents", "urgency", "person"),
    [
        ("STOP", {"stop"}, "routine", False),
        ("start", {"start"}, "routine", False),
        ("UNSTOP", {"start"}, "routine", False),
        ("HELP", {"help"}, "routine", False),
        ("ayuda", {"help"}, "routine", False),
        ("1", {"confirm"}, "routine", True),
        ("sí", {"confirm"}, "routine", True),
        ("2", {"change"}, "routine", True),
        ("I need to reschedule", {"change"}, "routine", True),
        ("I have chest pain", {"symptom"}, "stat", True),
        ("no puedo respirar", {"symptom"}, "stat", True),
        ("I can't breathe STOP", {"symptom", "stop"}, "stat", True),
        ("quiero morir", {"symptom"}, "stat", True),
        ("My mother passed away last week", {"death"}, "urgent", True),
        ("Rosa falleció", {"death"}, "urgent", True),
        ("wrong number", {"wrong-number"}, "urgent", True),
        ("Número equivocado", {"wrong-number"}, "urgent", True),
        ("is the parking free?", {"other"}, "urgent", True),
        ("", {"other"}, "urgent", True),
        ("👍", {"other"}, "urgent", True),
    ],
)
def test_reply_is_understood(
    text: str, intents: set[str], urgency: str, person: bool
) -> None:
    reply = classify_reply(text)
    assert (set(reply.intents), reply.urgency, reply.needs_person) == (
        intents,
        urgency,
        person,
    )


def answer(text: str, language: str = "en") -> str:
    found = reply_text(classify_reply(text), SITE, language)
    assert found is not None
    return found


def test_stop_gets_one_confirmation_without_a_question() -> None:
    assert answer("STOP") == (
        "Northside Clinic: you will get no more of these messages. Reply START to "
        "resume, or call (312) 555-0100 to choose only some."
    )


@pytest.mark.parametrize(
    "text", ["1", "what?", "chest pain", "he died", "chest pain STOP"]
)
@pytest.mark.parametrize("language", ["en", "es", "es-MX", "vi"])
def test_every_answer_to_a_person_names_the_emergency_numbers(
    text: str, language: str
) -> None:
    found = answer(text, language)
    assert ("911" in found, "988" in found, "24/7" in found) == (True, True, True)
    assert (is_gsm(found), count_segments(found) <= 2) == (True, True)


def test_wrong_number_is_told_nothing_about_anyone() -> None:
    assert "Northside" not in answer("wrong number")


def test_every_intent_has_an_answer_that_fits() -> None:
    for intent in Intent:
        for language in ("en", "es"):
            text = reply_text(Reply(frozenset({intent}), "routine"), SITE, language)
            assert text is not None
            assert count_segments(text) <= 2


def test_retries_back_off_and_end() -> None:
    now = datetime(2026, 11, 20, tzinfo=UTC)
    waits = []
    moment, attempts = now, 0
    while (following := next_attempt(attempts, moment)) is not None:
        waits.append(following - moment)
        moment, attempts = following, attempts + 1
    assert len(waits) == 9
    assert waits == sorted(waits)
    assert (waits[0], waits[-1]) == (timedelta(seconds=30), timedelta(hours=6))
    assert timedelta(hours=20) < moment - now < timedelta(hours=24)
