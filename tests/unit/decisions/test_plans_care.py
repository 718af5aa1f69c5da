"""Care plans, goals and medicine: each thing with a day of its own, read anew."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from mappings.event import EventKind
from mappings.preference import PreferenceRecord, SentMessage, Who
from middleware.decisions.candidate import Candidate
from middleware.decisions.deciding import decide_event
from middleware.decisions.wording import plain_words
from tests.unit.decisions.story import (
    NOW,
    care_plan,
    chart,
    condition,
    endpoint,
    event,
    look_again,
    nudge_of,
    only,
    own,
    reason_of,
    review,
    weigh,
)

NO, DONE, DUE = "not-due: not-applicable", "cancel: already-done", "send: due"
ENDED, PASSED = "cancel: care-plan-ended", "cancel: window-passed"
ACTIVATED = event(EventKind.CAREPLAN_ACTIVATED, "CarePlan/plan")


def local(text: str) -> datetime:
    return datetime.fromisoformat(f"{text}-06:00").astimezone(UTC)


def decided(
    plan: str, *resources: Any, what: Any = None, mine: Any = None, at: datetime = NOW
) -> list[Candidate]:
    read = chart(*resources)
    return list(
        decide_event(
            what or review(at), read, mine or own(), only(plan), endpoint(), at
        )
    )


def by_step(found: list[Candidate]) -> dict[str, tuple[str, datetime]]:
    return {item.action.id: (reason_of(item), item.due_at) for item in found}


# --- steps of a care plan -----------------------------------------------------------


@pytest.mark.parametrize("what", [ACTIVATED, review()])
def test_a_step_is_told_of_on_its_day_and_three_days_later(what: Any) -> None:
    found = decided("care-plan-reminder", care_plan(), what=what)
    assert by_step(found) == {
        "today": (DUE, local("2026-12-01T10:00")),
        "after": (DUE, local("2026-12-04T10:00")),
        "call": (NO, local("2026-12-18T10:00")),
    }
    assert {item.focus for item in found} == {"CarePlan/plan"}


def with_status(status: str) -> dict[str, Any]:
    detail = care_plan()["activity"][0]["detail"] | {"status": status}
    return care_plan(activity=[{"detail": detail}])


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ("scheduled", DUE),
        ("in-progress", DUE),
        ("completed", DONE),
        ("cancelled", ENDED),
        ("on-hold", ENDED),
    ],
)
def test_the_status_of_a_step_decides(status: str, expected: str) -> None:
    found = by_step(decided("care-plan-reminder", with_status(status)))
    assert found["after"][0] == expected


def test_a_step_done_after_its_day_is_not_spoken_of_again() -> None:
    found = decided("care-plan-reminder", care_plan())
    after = next(item for item in found if item.action.id == "after")
    again = look_again(
        nudge_of(after),
        chart(with_status("completed")),
        library=only("care-plan-reminder"),
    )
    assert reason_of(again) == DONE
    ended = chart(care_plan(status="revoked"))
    again = look_again(nudge_of(after), ended, library=only("care-plan-reminder"))
    assert reason_of(again) == ENDED


@pytest.mark.parametrize(
    ("day", "asked"),
    [("2026-12-14", False), ("2026-12-15", True), ("2026-12-16", True)],
)
def test_two_weeks_after_its_day_a_person_is_asked(day: str, asked: bool) -> None:
    at = local(f"{day}T12:00")
    found = decided("care-plan-reminder", care_plan(), at=at)
    call = next(item for item in found if item.action.id == "call")
    assert (call.task is not None) is asked
    assert [reason_of(item) for item in found][:2] == [PASSED, PASSED]


def test_without_a_care_plan_a_review_plans_nothing() -> None:
    assert decided("care-plan-reminder") == []


# --- a goal ---------------------------------------------------------------------------


def goal(**changes: Any) -> dict[str, Any]:
    values: dict[str, Any] = {
        "resourceType": "Goal",
        "id": "lake",
        "lifecycleStatus": "active",
        "subject": {"reference": "Patient/rosa"},
        "expressedBy": {"reference": "Patient/rosa"},
        "description": {"text": "walk to the lake with my grandchildren"},
        "target": [{"dueDate": "2026-12-20"}],
    }
    return {name: value for name, value in (values | changes).items() if value != ...}


def test_two_weeks_before_its_day_a_goal_is_asked_about() -> None:
    found = decided("goal", goal())[0]
    assert reason_of(found) == DUE
    # A Sunday: from noon on.
    assert found.due_at == local("2026-12-06T12:00")
    assert (found.focus, found.occasion) == ("Goal/lake", "2026-12-20")


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"lifecycleStatus": "accepted"}, DUE),
        ({"lifecycleStatus": "rejected"}, ENDED),
        ({"lifecycleStatus": "cancelled"}, ENDED),
        ({"lifecycleStatus": "on-hold"}, ENDED),
        ({"achievementStatus": {"coding": [{"code": "achieved"}]}}, DONE),
        ({"achievementStatus": {"coding": [{"code": "improving"}]}}, DUE),
        ({"expressedBy": {"reference": "Practitioner/osei"}}, NO),
        ({"expressedBy": ...}, NO),
        ({"description": {"coding": [{"code": "x"}]}}, NO),
    ],
)
def test_which_goals_are_asked_about(changes: dict[str, Any], expected: str) -> None:
    assert weigh("goal", chart(goal(**changes))) == {"check-in": expected}


@pytest.mark.parametrize(
    "target", [..., [], [{"dueDuration": {"value": 3}}], [{"dueDate": "2026-11-01"}]]
)
def test_a_goal_without_a_day_to_come_is_left_alone(target: Any) -> None:
    assert decided("goal", goal(target=target)) == []


def test_a_goal_whose_day_was_moved_is_planned_anew() -> None:
    found = decided("goal", goal())[0]
    moved = chart(goal(target=[{"dueDate": "2027-02-20"}]))
    again = look_again(nudge_of(found), moved, library=only("goal"))
    assert reason_of(again) == ENDED
    gone = look_again(nudge_of(found), chart(), library=only("goal"))
    assert reason_of(gone) == "cancel: event-undone"


def test_nobody_in_palliative_care_is_asked_about_a_goal() -> None:
    found = weigh("goal", chart(goal(), condition("Z51.5")))
    assert found == {"check-in": "cancel: serious-illness"}


def channels(*names: str) -> PreferenceRecord:
    return PreferenceRecord("channels", list(names), Who.PATIENT, "asked", NOW)


def test_the_patients_own_words_stand_on_the_own_page_alone() -> None:
    found = decided("goal", goal(), mine=own(preferences=(channels("screen"),)))[0]
    assert found.channel == "screen"
    assert "“walk to the lake with my grandchildren”" in found.text
    texted = decided("goal", goal())[0]
    assert texted.channel == "sms"
    assert "lake" not in texted.text


def test_own_words_become_one_short_line_that_fills_nothing_in() -> None:
    assert (
        plain_words("  see {{ clinic }}\n<b>again</b>\u202e ")
        == "see clinic b again /b"
    )
    assert len(plain_words("a" * 500)) == 120
    assert plain_words(None) == ""


# --- news of a care plan ------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "status", "expected"),
    [
        (EventKind.CAREPLAN_CHANGED, "active", {"changed": DUE, "ended": NO}),
        (EventKind.CAREPLAN_ENDED, "completed", {"changed": ENDED, "ended": DUE}),
        (EventKind.CAREPLAN_ENDED, "revoked", {"changed": ENDED, "ended": DUE}),
        (EventKind.CAREPLAN_ENDED, "on-hold", {"changed": ENDED, "ended": NO}),
        (EventKind.CAREPLAN_ACTIVITY_DUE, "active", {"changed": NO, "ended": NO}),
    ],
)
def test_one_plain_notice_tells_that_a_care_plan_changed_or_ended(
    kind: EventKind, status: str, expected: dict[str, str]
) -> None:
    what = event(kind, "CarePlan/plan")
    assert (
        weigh("care-plan-news", chart(care_plan(status=status)), what=what) == expected
    )


def test_several_changes_in_a_week_are_told_once() -> None:
    what = event(EventKind.CAREPLAN_CHANGED, "CarePlan/plan")
    sent = SentMessage(
        NOW - timedelta(days=6), "care-plan", "sms", about=("care-plan-news", "", "")
    )
    found = weigh("care-plan-news", chart(care_plan()), own(sent=(sent,)), what=what)
    assert found["changed"] == NO
    name = decided("care-plan-news", care_plan(), what=what)[0].occasion
    assert name == "2026-11"


# --- medicine -------------------------------------------------------------------------


def prescription(name: str = "Lisinopril 10 MG Oral Tablet", **changes: Any) -> Any:
    values: dict[str, Any] = {
        "resourceType": "MedicationRequest",
        "id": "rx",
        "status": "active",
        "intent": "order",
        "subject": {"reference": "Patient/rosa"},
        "medicationCodeableConcept": {"text": name},
    }
    return {key: value for key, value in (values | changes).items() if value != ...}


def dispense(day: str, days: int = 30, of: str = "rx", **changes: Any) -> Any:
    values: dict[str, Any] = {
        "resourceType": "MedicationDispense",
        "id": f"dispense-{day}",
        "status": "completed",
        "subject": {"reference": "Patient/rosa"},
        "authorizingPrescription": [{"reference": f"MedicationRequest/{of}"}],
        "whenHandedOver": day,
        "daysSupply": {"value": days, "code": "d"},
    }
    return values | changes


LAST = dispense("2026-11-10")


def test_a_refill_is_spoken_of_a_week_before_on_the_day_and_after_it() -> None:
    found = decided("refill", prescription(), dispense("2026-10-11"), LAST)
    assert by_step(found) == {
        "before": (DUE, local("2026-12-03T10:00")),
        "today": (DUE, local("2026-12-10T10:00")),
        "after": (DUE, local("2026-12-15T10:00")),
    }
    assert {(item.focus, item.occasion) for item in found} == {
        ("MedicationRequest/rx", "2026-12-10")
    }


def test_the_text_names_no_medicine() -> None:
    found = decided("refill", prescription(), LAST)
    assert "a refill may be due" in found[0].text
    assert not [item for item in found if "isinopril" in item.text]


def test_dispensed_again_there_is_nothing_to_say() -> None:
    found = decided("refill", prescription(), LAST)[1]
    more = chart(prescription(), LAST, dispense("2026-12-08"))
    again = look_again(nudge_of(found), more, library=only("refill"))
    assert reason_of(again) == DONE


@pytest.mark.parametrize(
    ("status", "expected"),
    [("active", DUE), ("on-hold", DONE), ("stopped", DONE), ("completed", DONE)],
)
def test_a_prescription_that_is_not_active_is_not_spoken_of(
    status: str, expected: str
) -> None:
    found = weigh("refill", chart(prescription(status=status), LAST))
    assert set(found.values()) == {expected}


@pytest.mark.parametrize(
    "name",
    [
        "Oxycodone 5 MG",
        "Alprazolam 0.5 MG",
        "Adderall XR",
        "Gabapentin 300 MG",
        "Zolpidem 10 MG",
        "Sertraline 50 MG",
        "Quetiapine 100 MG",
        "Lithium carbonate",
        "Bupropion 150 MG",
        "Buprenorphine / naloxone",
        "Naltrexone 50 MG",
        "Dolutegravir 50 MG",
        "Emtricitabine / Tenofovir",
        "Efavirenz, lamivudine",
        "Ethinyl estradiol / Norethindrone",
        "Levonorgestrel",
        "Depo-Provera",
        "",
    ],
)
def test_controlled_and_sensitive_medicine_is_left_out(name: str) -> None:
    found = weigh("refill", chart(prescription(name), LAST))
    assert set(found.values()) == {NO}


@pytest.mark.parametrize(
    "name",
    [
        "Metformin 500 MG",
        "Atorvastatin 20 MG",
        "Amlodipine 5 MG",
        "Levothyroxine 75 MCG",
        "Hydrochlorothiazide 25 MG",
        "Omeprazole 20 MG",
        "Warfarin 5 MG",
    ],
)
def test_ordinary_medicine_is_not(name: str) -> None:
    assert weigh("refill", chart(prescription(name), LAST))["today"] == DUE


@pytest.mark.parametrize(
    ("request_", "dispensed"),
    [
        (prescription(medicationCodeableConcept=...), LAST),
        (prescription(category=[{"coding": [{"code": "inpatient"}]}]), LAST),
    ],
)
def test_what_is_not_known_to_be_ordinary_and_taken_at_home_is_left_out(
    request_: Any, dispensed: Any
) -> None:
    found = weigh("refill", chart(request_, dispensed))
    assert set(found.values()) == {NO}


@pytest.mark.parametrize(
    "dispensed",
    [
        dispense("2026-11-10", of="other"),
        dispense("2026-11-10", daysSupply=None),
        dispense("2026-11-10", status="cancelled"),
        dispense("2026-06-10"),
    ],
)
def test_a_supply_that_nobody_knows_or_that_ended_long_ago_is_no_news(
    dispensed: Any,
) -> None:
    assert decided("refill", prescription(), dispensed) == []


GAPS = (dispense("2026-06-10"), dispense("2026-08-20"), dispense("2026-11-02"))
NONE = tuple(
    dispense(day)
    for day in ("2026-06-10", "2026-07-10", "2026-08-09", "2026-09-08", "2026-10-08")
)


@pytest.mark.parametrize(
    ("fills", "expected"),
    [
        (GAPS, DUE),
        ((*NONE, dispense("2026-11-07")), NO),
        ((LAST,), NO),
    ],
)
def test_few_covered_days_ask_what_gets_in_the_way(
    fills: tuple[Any, ...], expected: str
) -> None:
    found = weigh("adherence", chart(prescription(), *fills))
    assert found == {"check-in": expected}


def test_covered_days_are_asked_about_once_in_ninety() -> None:
    sent = SentMessage(
        NOW - timedelta(days=80), "medication", "sms", about=("adherence", "", "")
    )
    read = chart(prescription(), *GAPS)
    assert weigh("adherence", read, own(sent=(sent,))) == {"check-in": NO}


@pytest.mark.parametrize("plan", ["refill", "adherence"])
def test_nobody_in_palliative_care_is_asked_about_medicine(plan: str) -> None:
    read = chart(prescription(), *GAPS, condition("Z51.5"))
    assert set(weigh(plan, read).values()) == {"cancel: serious-illness"}
