"""Preventive plans: each applies, does not, stops, is unknown, and is due when."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from mappings.clinical_sex import RECORDED, SPCU, clinical_sex
from mappings.event import EventKind
from mappings.preference import SentMessage
from middleware.decisions.deciding import decide_event
from tests.unit.decisions.story import (
    ICD,
    LOINC,
    MAIL,
    NOW,
    SNOMED,
    appointment,
    chart,
    coding,
    condition,
    consent,
    decide,
    encounter,
    endpoint,
    event,
    look_again,
    nudge_of,
    observation,
    only,
    order,
    own,
    patient,
    procedure,
    reason_of,
    review,
    weigh,
)

NO, DONE = "not-due: not-applicable", "cancel: already-done"
ILL, BOOKED = "cancel: serious-illness", "cancel: already-booked"
UNKNOWN = "hold: data-missing"
FULFILLED = event(EventKind.APPOINTMENT_FULFILLED, "Appointment/visit")


def woman(born: str = "1968-02-03", **changes: Any) -> dict[str, Any]:
    return patient(birthDate=born, gender="female", **changes)


def told(days: float, plan: str = "breast", channel: str = "sms") -> SentMessage:
    moment = NOW - timedelta(days=days)
    return SentMessage(moment, "preventive", channel, about=(plan, "", "2026-03-11"))


def first(plan: str, *resources: Any, person: Any = None, **more: Any) -> str:
    found = weigh(plan, chart(*resources, person=person or woman(), **more))
    return next(iter(found.values()))


AFTER = {
    "breast": ("24606-6", "2024-11-10"),
    "cervical": ("10524-7", "2023-11-10"),
    "osteoporosis": ("38263-0", "2001-01-01"),
    "hypertension-screening": ("85354-9", "2025-11-10"),
}


@pytest.mark.parametrize(
    ("plan", "born", "expected"),
    [
        ("breast", "1986-11-21", NO),
        ("breast", "1986-11-20", "send: due"),
        ("breast", "1951-11-21", "send: due"),
        ("breast", "1951-11-20", NO),
        ("cervical", "2005-11-21", NO),
        ("cervical", "2005-11-20", "send: due"),
        ("cervical", "1960-11-21", "send: due"),
        ("cervical", "1960-11-20", NO),
        ("osteoporosis", "1961-11-21", NO),
        ("osteoporosis", "1961-11-20", "send: due"),
        ("hypertension-screening", "1986-11-21", NO),
        ("hypertension-screening", "1986-11-20", "send: due"),
    ],
)
def test_age_decides_to_the_day(plan: str, born: str, expected: str) -> None:
    assert first(plan, person=woman(born)) == expected


@pytest.mark.parametrize("plan", ["breast", "cervical", "osteoporosis"])
@pytest.mark.parametrize(
    ("gender", "expected"),
    [("male", NO), ("other", UNKNOWN), ("unknown", UNKNOWN), (..., UNKNOWN)],
)
def test_sex_that_is_not_clear_is_unknown_and_sends_nothing(
    plan: str, gender: object, expected: str
) -> None:
    born = "1961-02-03" if plan != "osteoporosis" else "1958-02-03"
    assert first(plan, person=patient(birthDate=born, gender=gender)) == expected


def parameter(code: str) -> dict[str, Any]:
    concept = {"coding": [{"code": code}]}
    value = {"url": "value", "valueCodeableConcept": concept}
    return {"url": SPCU, "extension": [value]}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"gender": "female"}, "female"),
        ({"gender": "male"}, "male"),
        ({"gender": "other"}, None),
        ({}, None),
        ({"extension": [{"url": RECORDED[1], "valueCode": "F"}]}, "female"),
        (
            {
                "gender": "male",
                "extension": [{"url": RECORDED[1], "valueCode": "F"}],
            },
            None,
        ),
        (
            {
                "gender": "unknown",
                "extension": [
                    {"url": RECORDED[0], "valueCoding": {"code": "248153007"}}
                ],
            },
            "male",
        ),
        ({"gender": "male", "extension": [parameter("female-typical")]}, "female"),
        ({"gender": "female", "extension": [parameter("unknown")]}, None),
        ({"gender": "female", "extension": [parameter("specified")]}, None),
        (
            {"extension": [parameter("female-typical"), parameter("male-typical")]},
            None,
        ),
    ],
)
def test_sex_for_clinical_use(changes: dict[str, Any], expected: str | None) -> None:
    assert clinical_sex({"resourceType": "Patient", **changes}) == expected


@pytest.mark.parametrize(
    ("plan", "resource", "expected"),
    [
        ("breast", observation("24606-6", "2024-11-22"), DONE),
        ("breast", observation("24606-6", "2024-11-10"), "send: due"),
        (
            "breast",
            observation("24606-6", "2026-01-02", status="cancelled"),
            "send: due",
        ),
        ("breast", procedure("71651007", "2026-05-02"), DONE),
        ("breast", order("24606-6"), DONE),
        ("breast", order("24606-6", status="revoked"), "send: due"),
        ("breast", procedure("27865001", "2011-05-02"), NO),
        ("breast", condition("Z90.13"), NO),
        ("breast", condition("C50.911"), NO),
        ("breast", condition("Z15.01"), NO),
        ("breast", appointment(), BOOKED),
        ("breast", appointment(status="cancelled"), "send: due"),
        ("breast", appointment(start="2026-11-01T09:00:00Z"), "send: due"),
        ("cervical", observation("10524-7", "2023-11-22"), DONE),
        ("cervical", observation("10524-7", "2023-11-10"), "send: due"),
        ("cervical", observation("21440-3", "2021-11-22"), DONE),
        ("cervical", observation("21440-3", "2021-11-10"), "send: due"),
        ("cervical", procedure("116140006", "2009-03-02"), NO),
        ("cervical", condition("Z90.710"), NO),
        ("cervical", condition("B20"), NO),
        ("cervical", condition("N87.1"), NO),
        ("cervical", condition("Z33.1"), NO),
        ("hypertension-screening", observation("85354-9", "2025-11-22"), DONE),
        ("hypertension-screening", observation("85354-9", "2025-11-10"), "send: due"),
        ("hypertension-screening", condition("I10"), NO),
    ],
)
def test_what_is_done_ordered_or_excluded(
    plan: str, resource: dict[str, Any], expected: str
) -> None:
    assert first(plan, resource) == expected


def test_under_30_an_hpv_test_is_not_enough() -> None:
    young = woman("2000-01-01")
    test = observation("21440-3", "2025-01-10")
    assert first("cervical", test, person=young) == "send: due"
    smear = observation("10524-7", "2025-01-10")
    assert first("cervical", smear, person=young) == DONE


@pytest.mark.parametrize(
    ("resource", "expected"),
    [
        (observation("38263-0", "2001-01-01"), DONE),
        (condition("M81.0"), NO),
        (order("38263-0"), DONE),
    ],
)
def test_bone_density_is_measured_once(resource: Any, expected: str) -> None:
    assert first("osteoporosis", resource, person=woman("1958-02-03")) == expected


@pytest.mark.parametrize(
    ("resources", "expected"),
    [
        ([], UNKNOWN),
        ([condition("E11.9")], NO),
        ([observation("39156-5", "2026-01-10", 24.9)], NO),
        ([observation("39156-5", "2026-01-10", 25)], "send: due"),
        (
            [
                observation("39156-5", "2026-01-10", 24),
                observation("39156-5", "2025-01-10", 31),
            ],
            NO,
        ),
        (
            [
                observation("39156-5", "2026-01-10", 31),
                observation("4548-4", "2023-11-25", 5.4),
            ],
            DONE,
        ),
        (
            [
                observation("39156-5", "2026-01-10", 31),
                observation("4548-4", "2023-11-10", 5.4),
            ],
            "send: due",
        ),
        ([observation("39156-5", "2026-01-10", 31), condition("E11.9")], NO),
    ],
)
def test_diabetes_screening_needs_a_body_mass_index(
    resources: list[Any], expected: str
) -> None:
    assert first("diabetes-screening", *resources) == expected


SMOKES = observation("72166-2", "2026-02-01", coding(SNOMED, "449868002"))
SMOKED = observation("72166-2", "2026-02-01", coding(SNOMED, "8517006"))
NEVER = observation("72166-2", "2026-02-01", coding(SNOMED, "266919005"))
PACKS = observation("8664-5", "2026-02-01", 25)


@pytest.mark.parametrize(
    ("resources", "expected"),
    [
        ([], UNKNOWN),
        ([PACKS], UNKNOWN),
        ([SMOKES], UNKNOWN),
        ([NEVER], NO),
        ([NEVER, PACKS], NO),
        ([SMOKES, PACKS], "send: due"),
        ([SMOKES, observation("8664-5", "2026-02-01", 12)], NO),
        ([SMOKED, PACKS], UNKNOWN),
        (
            [
                SMOKED,
                PACKS,
                observation("74010-0", "2026-02-01", valueDateTime="2015-01-01"),
            ],
            "send: due",
        ),
        (
            [
                SMOKED,
                PACKS,
                observation("74010-0", "2026-02-01", valueDateTime="2009-01-01"),
            ],
            NO,
        ),
        ([SMOKES, PACKS, condition("C34.90")], NO),
        ([SMOKES, PACKS, observation("79086-5", "2026-02-01")], DONE),
    ],
)
def test_lung_screening_is_talked_over_where_pack_years_are_known(
    resources: list[Any], expected: str
) -> None:
    assert first("lung", *resources) == expected


def test_lung_text_asks_to_talk_and_names_nothing() -> None:
    found = decide_event(
        review(),
        chart(SMOKES, PACKS, person=woman()),
        own(),
        only("lung"),
        endpoint(),
        NOW,
    )[0]
    assert "talk over" in found.text
    assert "lung" not in found.text.lower()


FRAIL, ADVANCED = condition("R54"), condition("G30.9")
NURSING = observation("71802-3", "2026-02-01", coding(SNOMED, "160734000"))
SCREENS = ["breast", "cervical", "osteoporosis", "hypertension-screening"]


@pytest.mark.parametrize("plan", SCREENS)
def test_nobody_in_palliative_care_is_screened(plan: str) -> None:
    person = woman("1961-11-20")
    assert first(plan, condition("Z51.5"), person=person) == ILL
    care = procedure("103735009", "2026-10-01")
    assert first(plan, care, person=person) == ILL


@pytest.mark.parametrize(
    ("resources", "born", "expected"),
    [
        ([FRAIL, ADVANCED], "1960-11-20", ILL),
        ([FRAIL, ADVANCED], "1960-11-21", "send: due"),
        ([FRAIL], "1955-01-01", "send: due"),
        ([ADVANCED], "1955-01-01", "send: due"),
        ([NURSING], "1955-01-01", ILL),
        ([NURSING], "1965-01-01", "send: due"),
    ],
)
def test_from_66_on_the_frail_and_those_in_nursing_homes_are_not_screened(
    resources: list[Any], born: str, expected: str
) -> None:
    assert first("breast", *resources, person=woman(born)) == expected


@pytest.mark.parametrize("plan", [*SCREENS, "lung", "diabetes-screening"])
def test_what_could_not_be_read_is_unknown(plan: str) -> None:
    unread = ("Observation", "Procedure", "DiagnosticReport", "Appointment")
    found = first(plan, incomplete=unread, person=woman("1961-11-20"))
    assert found.startswith("hold:")


def moments(**more: Any) -> dict[str, tuple[str, datetime]]:
    found = decide_event(
        more.pop("what", review()),
        chart(*more.pop("resources", ()), person=woman()),
        more.pop("mine", own()),
        only(more.pop("plan", "breast")),
        endpoint(),
        more.pop("at", NOW),
    )
    return {item.action.id: (reason_of(item), item.due_at) for item in found}


def test_on_a_review_the_first_message_is_due_at_once_and_two_follow() -> None:
    found = moments()
    assert found == {
        "offer": ("send: due", NOW),
        "second": ("send: due", NOW + timedelta(days=3)),
        # Thirty days later it is a Sunday: from noon on.
        "other": ("send: due", datetime.fromisoformat("2026-12-20T23:00:00+00:00")),
        "call": (NO, NOW + timedelta(days=67)),
    }


@pytest.mark.parametrize(
    ("what", "resources"),
    [
        (FULFILLED, (appointment(status="fulfilled", start="2026-11-20T17:00:00Z"),)),
        (
            event(EventKind.ENCOUNTER_DISCHARGED, "Encounter/stay"),
            (
                encounter(
                    **{"class": {"code": "AMB"}},
                    period={"end": "2026-11-20T17:00:00Z"},
                    disposition=None,
                ),
            ),
        ),
    ],
)
def test_after_a_visit_the_first_message_waits_a_week(
    what: Any, resources: tuple[Any, ...]
) -> None:
    verdict, due = moments(what=what, resources=resources)["offer"]
    assert verdict == "send: due"
    assert due == datetime.fromisoformat("2026-11-27T17:00:00+00:00")


def test_a_hospital_stay_offers_nothing() -> None:
    what = event(EventKind.ENCOUNTER_DISCHARGED, "Encounter/stay")
    assert moments(what=what, resources=(encounter(),))["offer"][0] == NO


def test_a_review_within_a_week_after_a_visit_leaves_it_to_the_visit() -> None:
    visit = encounter(
        **{"class": {"code": "AMB"}},
        period={"end": "2026-11-16T17:00:00Z"},
        disposition=None,
    )
    assert moments(resources=(visit,))["offer"][0] == NO


def test_steps_of_a_running_series_stay_where_they_are_whatever_happens() -> None:
    sent = own(sent=(told(2),))
    found = moments(mine=sent)
    assert found["offer"][0] == NO
    assert found["second"] == ("send: due", NOW + timedelta(days=1))


def test_a_series_keeps_its_name_over_the_turn_of_its_interval() -> None:
    sent = own(sent=(told(2),))
    found = decide_event(
        review(), chart(person=woman()), sent, only("breast"), endpoint(), NOW
    )
    assert {item.occasion for item in found} == {"2026-03-11"}
    later = decide_event(
        review(), chart(person=woman()), own(), only("breast"), endpoint(), NOW
    )
    assert {item.occasion for item in later} != {"2026-03-11"}


@pytest.mark.parametrize(("days", "expected"), [(364, NO), (366, "send: due")])
def test_after_three_messages_there_is_silence_for_a_year(
    days: int, expected: str
) -> None:
    sent = own(sent=tuple(told(days + more) for more in (0, 27, 30)))
    assert moments(mine=sent)["offer"][0] == expected


def test_never_more_than_three_messages_in_twelve_months() -> None:
    sent = own(sent=(told(40), told(37), told(10)))
    found = moments(mine=sent)
    assert {found[name][0] for name in ("offer", "second", "other")} == {NO}


def test_another_plan_of_the_bundle_counts_and_another_topic_does_not() -> None:
    other = own(sent=(told(20, "osteoporosis"),))
    read = chart(person=woman())
    assert weigh("breast", read, other, beside=("osteoporosis",))["offer"] == NO
    visit = SentMessage(
        NOW - timedelta(days=20), "appointment", "sms", about=("no-show", "", "")
    )
    assert moments(mine=own(sent=(visit,)))["offer"][0] == "send: due"


@pytest.mark.parametrize(("days", "expected"), [(59, NO), (61, "send: due")])
def test_sixty_days_after_the_first_message_a_person_is_asked(
    days: int, expected: str
) -> None:
    found = decide_event(
        review(),
        chart(person=woman()),
        own(sent=(told(days),)),
        only("breast"),
        endpoint(),
        NOW,
    )
    call = next(item for item in found if item.action.id == "call")
    assert reason_of(call) == expected
    assert (call.task is not None) is (expected == "send: due")
    assert call.action.owner == "Care manager"


def test_the_third_message_takes_a_channel_not_used_yet() -> None:
    both = (
        consent(),
        consent(id="c2", system="email", value=MAIL),
    )
    found = decide_event(
        review(),
        chart(person=woman()),
        own(consents=both, sent=(told(3), told(0.5))),
        only("breast"),
        endpoint(),
        NOW,
    )
    by_id = {item.action.id: item for item in found}
    assert by_id["second"].channel == "sms"
    assert by_id["other"].channel == "email"
    alone = moments(mine=own(sent=(told(3), told(0.5))))
    assert alone["other"][0] == "hold: no-consent", "there is no other way"


def test_done_the_day_before_it_is_not_sent() -> None:
    person = woman()
    found = decide_event(
        review(), chart(person=person), own(), only("breast"), endpoint(), NOW
    )
    second = next(item for item in found if item.action.id == "second")
    done = observation("24606-6", "2026-11-22")
    again = look_again(
        nudge_of(second), chart(done, person=person), library=only("breast")
    )
    assert reason_of(again) == DONE
    sent = own(sent=(told(-0.1),))
    open_still = look_again(
        nudge_of(second), chart(person=person), sent, library=only("breast")
    )
    assert reason_of(open_still) == "send: due"


POSITIVE = observation("29771-3", "2026-11-01", coding(LOINC, "LA6576-8"))


@pytest.mark.parametrize(
    ("resources", "expected"),
    [
        ([POSITIVE], "send: due"),
        (
            [observation("77354-9", "2026-11-01", coding(SNOMED, "10828004"))],
            "send: due",
        ),
        (
            [
                observation(
                    "29771-3",
                    "2026-11-01",
                    interpretation=[
                        coding(
                            "http://terminology.hl7.org/CodeSystem/v3-ObservationInterpretation",
                            "POS",
                        )
                    ],
                )
            ],
            "send: due",
        ),
        ([observation("29771-3", "2026-11-01", coding(SNOMED, "260385009"))], NO),
        ([], NO),
        ([POSITIVE, procedure("73761001", "2026-11-15")], DONE),
        ([POSITIVE, order("73761001", SNOMED)], DONE),
        ([POSITIVE, condition("C18.9")], NO),
    ],
)
def test_a_positive_stool_test_asks_a_person(
    resources: list[Any], expected: str
) -> None:
    assert weigh("positive-stool-test", chart(*resources)) == {
        "colonoscopy-task": expected
    }


def test_a_positive_stool_test_is_never_told_to_the_patient() -> None:
    plan = only("positive-stool-test").plans[0]
    assert {item.kind for item in plan.actions} == {"task"}
    assert {item.priority for item in plan.actions} == {"urgent"}


VISIT = event(EventKind.APPOINTMENT_BOOKED, "Appointment/visit")


@pytest.mark.parametrize(
    ("plan", "test", "known"),
    [
        ("hepatitis-c-screening", "16128-1", "B18.2"),
        ("hiv-screening", "75622-1", "B20"),
    ],
)
def test_sensitive_tests_go_on_the_list_of_the_visit_and_nowhere_else(
    plan: str, test: str, known: str
) -> None:
    assert {item.kind for item in only(plan).plans[0].actions} == {"task"}

    def found(*resources: Any, person: Any = None) -> str:
        read = chart(appointment(), *resources, person=person)
        return weigh(plan, read, what=VISIT)["visit-task"]

    assert found() == "send: due"
    assert found(observation(test, "1999-01-01")) == DONE
    assert found(condition(known)) == NO
    assert found(person=patient(birthDate="2009-01-01")) == NO
    assert found(person=patient(birthDate="1940-01-01")) == NO


def test_only_what_is_on_by_itself_is_weighed_where_a_site_said_nothing() -> None:
    found = decide(FULFILLED, chart(appointment(status="fulfilled"), person=woman()))
    assert {item.plan.id for item in found.values()} == {"colorectal"}


def test_a_message_whose_plan_is_not_known_counts_by_its_topic() -> None:
    other = SentMessage(NOW - timedelta(days=20), "preventive", "sms")
    assert moments(mine=own(sent=(other,)))["offer"][0] == NO


def test_codes_of_another_system_are_no_evidence() -> None:
    odd = observation("24606-6", "2026-01-02")
    odd["code"] = coding(ICD, "24606-6")
    assert first("breast", odd) == "send: due"
