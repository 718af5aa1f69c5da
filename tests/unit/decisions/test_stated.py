"""What the chart says beside the rules: languages, wishes, needs, messages of others."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from mappings.communication import IDENTIFIERS
from mappings.instants import adult_from
from mappings.preference import PreferenceRecord, Who
from middleware.decisions.environment import Circumstances, make_environment
from middleware.decisions.preference import compile_profile
from tests.unit.decisions.story import LIBRARY, NOW, chart, endpoint, own, patient

PROFICIENCY = "http://hl7.org/fhir/StructureDefinition/patient-proficiency"
TYPE = "http://hl7.org/fhir/StructureDefinition/patient-preferenceType"
MODE = "http://terminology.hl7.org/CodeSystem/v3-ParticipationMode"


def profile(*resources: dict[str, Any], person: Any = None, **mine: Any) -> Any:
    read = chart(*resources, person=person)
    return compile_profile(read, own(**mine), endpoint(), NOW)


def said(name: str, value: Any, who: Who, days: int = 0) -> PreferenceRecord:
    return PreferenceRecord(name, value, who, "asked", NOW - timedelta(days=days))


def speaks(code: str, *extensions: dict[str, Any], **more: Any) -> dict[str, Any]:
    coding = {"system": "urn:ietf:bcp:47", "code": code}
    return {"language": {"coding": [coding]}, "extension": list(extensions), **more}


def ability(kind: str, level: str) -> dict[str, Any]:
    return {
        "url": PROFICIENCY,
        "extension": [
            {"url": "type", "valueCoding": {"code": kind}},
            {"url": "level", "valueCoding": {"code": level}},
        ],
    }


def test_written_and_spoken_language_are_told_apart() -> None:
    verbal = {"url": TYPE, "valueCoding": {"code": "verbal"}}
    person = patient(communication=[speaks("vi", verbal, preferred=True), speaks("en")])
    found = profile(person=person)
    assert (found.language.value, found.spoken.value) == ("en", "vi")


def test_a_language_that_is_only_spoken_is_not_written_in() -> None:
    person = patient(communication=[speaks("es", ability("RSP", "E"), preferred=True)])
    found = profile(person=person)
    assert (found.language, found.spoken.value) == (None, "es")


def test_who_reads_with_difficulty_needs_easy_words() -> None:
    person = patient(communication=[speaks("es", ability("RWR", "P"))])
    wish = said("accessibility", ["large-print"], Who.STAFF)
    found = profile(person=person, preferences=(wish,))
    assert [(item.value, item.who) for item in found.accessibility] == [
        ("easy-words", Who.CHART),
        ("large-print", Who.STAFF),
    ]


@pytest.mark.parametrize(
    ("value", "expected"),
    [({"code": "373067005"}, (False, False)), ({"code": "373066001"}, (True, True))],
)
def test_interpreter_is_told_with_its_source(
    value: dict[str, str], expected: tuple[bool, bool]
) -> None:
    url = "http://hl7.org/fhir/us/core/StructureDefinition/us-core-interpreter-needed"
    person = patient(extension=[{"url": url, "valueCoding": value}])
    found = profile(person=person)
    assert (found.interpreter.value, found.interpreter_needed) == expected
    assert profile().interpreter is None


def observation(**changes: Any) -> dict[str, Any]:
    values: dict[str, Any] = {
        "resourceType": "Observation",
        "id": "o1",
        "status": "final",
        "subject": {"reference": "Patient/rosa"},
        "code": {"coding": [{"system": "http://loinc.org", "code": "95541-9"}]},
        "effectiveDateTime": "2026-11-02",
        "performer": [{"reference": "Patient/rosa"}],
        "valueCodeableConcept": {
            "coding": [{"code": "telehealth"}],
            "text": "Prefers video visits",
        },
    }
    return values | changes


def test_wishes_and_goals_carry_who_said_them() -> None:
    goal = {
        "resourceType": "Goal",
        "id": "g",
        "lifecycleStatus": "active",
        "subject": {"reference": "Patient/rosa"},
        "description": {"text": "Dance again"},
        "expressedBy": {"reference": "Patient/rosa"},
        "startDate": "2026-10-01",
    }
    staffs = {**goal, "id": "h", "expressedBy": {"reference": "Practitioner/x"}}
    found = profile(observation(), goal, staffs)
    assert (found.stated[0].value, found.stated[0].who) == (
        "Prefers video visits",
        Who.PATIENT,
    )
    assert (found.modality.value, found.modality.reference) == (
        "telehealth",
        "Observation/o1#Observation.value",
    )
    assert [item.value for item in found.goals] == ["Dance again"]
    treatment = {"coding": [{"code": "75773-2"}]}
    other = observation(id="o2", code=treatment, valueString="No tube feeding")
    assert profile(other).stated[0].value == "No tube feeding"
    assert profile(other).modality is None


def test_a_modality_of_ones_own_holds_and_the_difference_is_shown() -> None:
    wish = said("modality", "in-person", Who.PATIENT)
    found = profile(observation(performer=[]), preferences=(wish,))
    assert found.modality.value == "in-person"
    (conflict,) = found.conflicts
    assert (conflict.name, conflict.second.value, conflict.holds) == (
        "modality",
        "telehealth",
        "in-person",
    )


def test_of_hours_days_and_limits_the_narrower_holds_and_both_are_shown() -> None:
    found = profile(
        preferences=(
            said("window", [9, 18], Who.PATIENT),
            said("window", [12, 20], Who.STAFF),
            said("days", [0, 1, 2], Who.PATIENT),
            said("days", [2, 3], Who.STAFF),
            said("max_per_week", 2, Who.PATIENT),
            said("max_per_week", 1, Who.STAFF),
        )
    )
    assert (found.window.value, found.days.value) == ((12, 18), (2,))
    assert (found.max_per_week.value, found.max_per_week.who) == (1, Who.STAFF)
    shown = {
        item.name: (item.first.value, item.second.value, item.holds)
        for item in found.conflicts
    }
    assert shown == {
        "window": ((9, 18), (12, 20), (12, 18)),
        "days": ((0, 1, 2), (2, 3), (2,)),
        "max_per_week": (2, 1, 1),
    }


def test_what_was_learned_never_outweighs_what_was_said() -> None:
    learned = said("window", [17, 18], Who.LEARNED)
    assert profile(preferences=(learned,)).window.value == (17, 18)
    both = (learned, said("window", [9, 20], Who.STAFF))
    assert profile(preferences=both).window.value == (9, 20)


def communication(**changes: Any) -> dict[str, Any]:
    values: dict[str, Any] = {
        "resourceType": "Communication",
        "id": "c",
        "status": "completed",
        "subject": {"reference": "Patient/rosa"},
        "recipient": [{"reference": "Patient/rosa"}],
        "sender": {"reference": "Organization/lab"},
        "medium": [{"coding": [{"system": MODE, "code": "SMSWRIT"}]}],
        "sent": "2026-11-19T10:00:00Z",
    }
    return values | changes


@pytest.mark.parametrize(
    ("changes", "count"),
    [
        ({}, 1),
        ({"recipient": []}, 1),
        ({"recipient": [{"reference": "RelatedPerson/ana"}]}, 1),
        ({"status": "not-done"}, 0),
        ({"sent": None}, 0),
        ({"sent": "2026-11-29T10:00:00Z"}, 0),
        ({"sender": {"reference": "Patient/rosa"}}, 0),
        ({"recipient": [{"reference": "Practitioner/osei"}]}, 0),
        ({"identifier": [{"system": f"{IDENTIFIERS}/delivery", "value": "d1"}]}, 0),
    ],
)
def test_messages_that_others_sent_are_counted(
    changes: dict[str, Any], count: int
) -> None:
    found = profile(communication(**changes)).others
    assert len(found) == count
    assert all((item.channel, item.topic) == ("sms", "other") for item in found)


def test_a_preference_is_as_old_as_the_patients_last_word_on_it() -> None:
    records = (
        said("language", "es", Who.PATIENT, days=400),
        said("window", [9, 12], Who.PATIENT, days=500),
        said("max_per_week", 1, Who.STAFF, days=1),
    )
    found = profile(consents=(), preferences=records)
    assert found.confirmed_at == NOW - timedelta(days=400)
    stood_by = said("confirmed", ["window"], Who.PATIENT, days=10)
    found = profile(consents=(), preferences=(*records, stood_by))
    assert found.confirmed == {
        "language": NOW - timedelta(days=400),
        "window": NOW - timedelta(days=10),
    }


def test_conditions_see_how_long_ago_that_was() -> None:
    about = Circumstances({}, NOW, NOW, "America/Chicago")

    def days(*records: PreferenceRecord) -> Any:
        mine = own(consents=(), preferences=records)
        made = make_environment(chart(), mine, LIBRARY, endpoint(), about)
        return made.variables["confirmedDays"]

    assert days() == []
    assert days(said("language", "es", Who.STAFF, days=5)) == []
    assert days(said("language", "es", Who.PATIENT, days=5)) == 5


@pytest.mark.parametrize(
    ("born", "expected"),
    [
        ("2008-11-20", "2026-11-20"),
        ("2008-02-29", "2026-03-01"),
        ("2008", "2026-12-31"),
        ("soon", None),
        (None, None),
    ],
)
def test_the_eighteenth_birthday(born: str | None, expected: str | None) -> None:
    found = adult_from(born)
    assert (found.isoformat() if found else None) == expected
