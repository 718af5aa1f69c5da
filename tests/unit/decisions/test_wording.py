"""Words: approved, in the patient's language, short, revealing nothing."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mappings.plan import NS, Library, Wording
from middleware.decisions.checking import check_library
from middleware.decisions.linting import (
    count_segments,
    find_faults,
    fold_to_gsm,
    is_gsm,
)
from middleware.decisions.wording import (
    day_words,
    plain_name,
    variables,
    write_words,
)
from tests.unit.decisions.story import LIBRARY, SITE

REMINDER = f"{NS}/ActivityDefinition/appointment-reminder-one-day"
MOMENT = datetime(2026, 11, 24, 15, 30, tzinfo=UTC)
CLINIC = "Northside Clinic"


def values(given_name: str = "Rosa", language: str = "en") -> dict[str, str]:
    return variables(SITE, given_name, language, MOMENT, "America/Chicago")


def library(text: str, **changes: str | None) -> Library:
    fields = {
        "definition": REMINDER,
        "channel": "sms",
        "language": "en",
        "subject": "",
        "text": text,
        "reviewer": "somebody",
    }
    wording = Wording(**(fields | changes))  # type: ignore[arg-type]
    return replace(LIBRARY, wordings=(wording,))


def test_shipped_content_has_no_fault() -> None:
    assert check_library(LIBRARY) == ()


def test_checking_finds_what_is_wrong() -> None:
    bad = library("Cancer clinic says {{ secret }}")
    assert "appointment-reminder-one-day, sms, en: it could not be filled in " in (
        " ".join(check_library(bad))
    )


def test_day_and_time_are_in_the_patients_zone_and_language() -> None:
    english = write_words(LIBRARY, REMINDER, "sms", "en", values())
    assert english.text == (
        "Northside Clinic: Rosa, your visit is Tue, Nov 24 at 9:30 AM. Reply 1 to "
        "confirm, 2 to change. Questions (312) 555-0100. STOP to end"
    )
    spanish = write_words(LIBRARY, REMINDER, "sms", "es", values(language="es"))
    assert spanish.text == (
        "Northside Clinic: Rosa, su cita es el mar, 24 de nov (9:30 a.m.). Responda 1 "
        "para confirmar, 2 para cambiar. Dudas: (312) 555-0100. STOP para terminar"
    )


@pytest.mark.parametrize(
    ("text", "changes", "reason"),
    [
        ("Northside Clinic: hi. STOP", {}, ""),
        ("Northside Clinic: hi. STOP", {"reviewer": None}, "wording-not-reviewed"),
        ("Northside Clinic: hi. STOP", {"language": "fr"}, "wording-missing"),
        ("Northside Clinic: hi. STOP", {"channel": "email"}, "wording-missing"),
        ("Northside Clinic: {{ other }}. STOP", {}, "wording-refused"),
        ("Northside Clinic: {{ clinic.__class__ }}. STOP", {}, "wording-refused"),
        ("Northside Clinic: {{ cycler }}. STOP", {}, "wording-refused"),
        ("Northside Clinic: {% for x in y %}", {}, "wording-refused"),
        ("Northside Clinic: hi.", {}, "wording-refused"),
        ("Hi from Northside Clinic. STOP", {}, "wording-refused"),
        ("Northside Clinic: " + "x" * 320 + " STOP", {}, "wording-refused"),
    ],
)
def test_wording_is_used_only_when_it_is_right(
    text: str, changes: dict[str, str | None], reason: str
) -> None:
    found = write_words(library(text, **changes), REMINDER, "sms", "en", values())
    assert (found.reason, bool(found.text)) == (
        reason,
        reason == "" or bool(found.faults and found.text),
    )


def test_empty_variable_is_refused() -> None:
    without = variables(replace(SITE, booking_url=""), "Rosa", "en", None, "UTC")
    found = write_words(
        library("Northside Clinic: {{ link }} STOP"), REMINDER, "sms", "en", without
    )
    assert found.reason == "wording-refused"


def test_name_with_letters_outside_gsm_is_kept_or_folded_when_too_long() -> None:
    short = library("Northside Clinic: {{ given }}, STOP")
    assert "Zoë" in write_words(short, REMINDER, "sms", "en", values("Zoë")).text
    found = write_words(LIBRARY, REMINDER, "sms", "en", values("Maríanela"))
    assert (found.reason, count_segments(found.text)) == ("", 1)
    assert "Marianela" in found.text


@pytest.mark.parametrize(
    ("given_name", "expected"),
    [
        ("Rosa", "Rosa"),
        ("Anne-Marie O’Neil", "Anne-Marie O’Neil"),
        ("<b>Eve</b>", "bEveb"),
        ("{{ phone }}", "phone"),
        ("x" * 60, "x" * 40),
    ],
)
def test_name_can_carry_nothing_but_a_name(given_name: str, expected: str) -> None:
    assert plain_name(given_name) == expected


@pytest.mark.parametrize(
    "word",
    [
        "cardiology",
        "Oncology",
        "your diabetes",
        "colonoscopy",
        "HIV",
        "metformin",
        "depresión",
        "psiquiatra",
        "embarazo",
        "mamografía",
        "vaccine",
    ],
)
def test_revealing_words_are_faults(word: str) -> None:
    found = find_faults(f"{CLINIC}: {word}. STOP", channel="sms", clinic=CLINIC)
    assert found == ("a word may reveal a diagnosis, medicine, test or specialty",)


@pytest.mark.parametrize(
    ("text", "segments"),
    [
        ("a" * 160, 1),
        ("a" * 161, 2),
        ("a" * 306, 2),
        ("a" * 307, 3),
        ("€" * 80, 1),
        ("€" * 81, 2),
        ("á" * 70, 1),
        ("á" * 71, 2),
        ("á" * 135, 3),
    ],
)
def test_segments_are_counted_as_carriers_do(text: str, segments: int) -> None:
    assert count_segments(text) == segments


def test_spanish_texts_fit_the_basic_alphabet() -> None:
    texts = [
        item.text
        for item in LIBRARY.wordings
        if (item.channel, item.language) == ("sms", "es")
    ]
    assert (len(texts), all(is_gsm(item) for item in texts)) == (19, True)


@settings(max_examples=60, deadline=None)
@given(day=st.dates(date(2026, 1, 1), date(2028, 12, 31)))
def test_any_day_makes_a_sendable_reminder(day: date) -> None:
    for language in ("en", "es"):
        known = values(language=language) | {"day": day_words(day, language)}
        found = write_words(LIBRARY, REMINDER, "sms", language, known)
        assert (found.reason, count_segments(found.text) <= 2) == ("", True)


def test_fold_keeps_what_it_cannot_fold() -> None:
    assert fold_to_gsm("María 中 ñ") == "Maria 中 ñ"
