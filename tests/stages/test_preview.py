"""The preview at the desk is, byte for byte, what the delivering stage sends."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
import requests

from middleware.channels.sms import SmsChannel
from middleware.desk.desk import Desk
from middleware.desk.values import Preview
from middleware.desk.viewer import viewer_of
from middleware.sandbox.server import Running
from tests.stages.world import ENDPOINT, LIBRARY, NUMBER, ROSA, World, patient

TOKEN = "sandbox-token"


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Running]:
    with Running() as running:
        account = {
            "account_sid": "AC1",
            "auth_token": TOKEN,
            "from_number": "+15005550006",
        }
        url = f"{running.base_url}/sandbox/sms"
        requests.put(url, json=account, timeout=30).raise_for_status()
        yield running


def speak(world: World, language: str) -> None:
    """Let Rosa read a language for which every wording has a reviewer."""
    said: dict[str, Any] = {
        "language": {"coding": [{"system": "urn:ietf:bcp:47", "code": language}]},
        "preferred": True,
    }
    world.fhir.put(patient(communication=[said]))
    wordings = tuple(
        replace(item, reviewer=item.reviewer or "Language Services")
        for item in LIBRARY.wordings
    )
    library = replace(LIBRARY, wordings=wordings)
    world.context = replace(world.context, library=lambda endpoint: library)


def preview(world: World, viewer: str) -> Preview:
    desk = Desk(world.context)
    *_, view = desk.read_views(ENDPOINT, world.fhir, ROSA, viewer_of(viewer), None)
    found = desk.write_preview(view, world.nudge()["id"])
    assert found is not None
    return found


@pytest.mark.parametrize("language", ["en", "es", "ar", "vi", "zh"])
def test_preview_is_what_the_phone_gets(
    world: World, sandbox: Running, language: str
) -> None:
    speak(world, language)
    sms = SmsChannel(
        sandbox.base_url, "AC1", TOKEN, "+15005550006", allowed=lambda _: True
    )
    world.context = replace(world.context, channels={"sms": sms, "email": world.email})
    world.discharge()
    world.run()
    shown = preview(world, "en-US")
    assert shown.language.partition("-")[0] == language
    assert shown.text
    before = texts(sandbox)
    world.go(world.nudge()["due_at"])
    (sent,) = texts(sandbox)[len(before) :]
    assert sent["body"].encode() == shown.text.encode()
    assert sent["to"] == NUMBER
    read = shown.reading.text if shown.reading else ""
    assert bool(read) is (language != "en")
    assert read != sent["body"]


def texts(sandbox: Running) -> list[dict[str, Any]]:
    """Return what came to Rosa's phone, the oldest first."""
    url = f"{sandbox.base_url}/2010-04-01/Accounts/AC1/Messages.json"
    answer = requests.get(url, params={"To": NUMBER}, auth=("AC1", TOKEN), timeout=30)
    answer.raise_for_status()
    return list(reversed(answer.json()["messages"]))


def test_reading_is_in_the_viewers_language_and_never_sent(world: World) -> None:
    speak(world, "es")
    world.discharge()
    world.run()
    shown = preview(world, "en-US")
    assert shown.reading is not None
    assert (shown.reading.language, shown.language) == ("en", "es")
    assert shown.reading.text != shown.text
    assert preview(world, "es").reading is None
    world.go(world.nudge()["due_at"])
    (message,) = world.sms.sent
    assert message.text == shown.text


def test_six_checks_pass_for_what_is_planned(world: World) -> None:
    world.discharge()
    world.run()
    shown = preview(world, "en-US")
    assert [check.name for check in shown.checks] == [
        "Permission",
        "Hours",
        "Weekly limit",
        "Still due",
        "Nothing sensitive",
        "Somebody answers",
    ]
    assert all(check.passed for check in shown.checks), shown.checks
    assert shown.level.startswith("Grade ")


def test_check_that_fails_says_why(world: World) -> None:
    world.discharge()
    world.run()
    world.permit(permit=False, recorded_at=world.clock.now() - timedelta(minutes=1))
    failed = [check for check in preview(world, "en-US").checks if not check.passed]
    assert failed[0].name == "Permission"
    assert failed[0].note == "The patient said no to this way of contact or topic."


def test_held_message_shows_what_would_go_and_why_it_does_not(world: World) -> None:
    world.discharge()
    world.run()
    planned = preview(world, "es")
    assert (planned.held, planned.text != "") == (False, True)
    world.permit(permit=False, recorded_at=world.clock.now() - timedelta(minutes=1))
    held = preview(world, "es")
    assert held.held
    assert (held.text, held.address) == (planned.text, planned.address)
    assert (
        held.sentence == "El paciente dijo que no a esta vía de contacto o a este tema."
    )
    assert held.verdict.text == "Retenido: la respuesta fue no"
    assert [check.passed for check in held.checks].count(False) == 1
    world.run()
    assert world.sms.sent == []


def test_wording_is_shown_with_who_reviewed_it_and_when(world: World) -> None:
    wordings = tuple(
        replace(item, reviewer="L. Ferrer", reviewed="2026-08-20")
        for item in LIBRARY.wordings
    )
    library = replace(LIBRARY, wordings=wordings)
    world.context = replace(world.context, library=lambda endpoint: library)
    world.discharge()
    world.run()
    shown = preview(world, "en-US").reviewer
    assert shown.endswith(" reviewed by L. Ferrer, Aug 20, 2026.")


def test_waiting_reply_is_the_check_that_fails(world: World) -> None:
    world.discharge()
    world.run()
    world.go(world.nudge()["due_at"])
    world.reply("my chest hurts")
    world.run()
    desk = Desk(world.context)
    *_, view = desk.read_views(ENDPOINT, world.fhir, ROSA, viewer_of("en-US"), None)
    later = desk.write_preview(view, view.planned[0][0].id)
    assert later is not None
    assert [one.note for one in later.checks if one.name == "Somebody answers"] == [
        "A reply from the patient waits for a person."
    ]
