"""Hard stops, holds and dispositions: all fail closed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from mappings.codes import ACT_REASON
from mappings.content import shipped_resources
from mappings.endpoint import EndpointKind
from mappings.preference import PreferenceRecord, Switch, Who
from tests.unit.decisions.story import (
    BOOKED,
    DISCHARGED,
    NOW,
    SITE,
    appointment,
    chart,
    decide,
    encounter,
    endpoint,
    look_again,
    nudge_of,
    own,
    patient,
    reason_of,
)

ICD = "http://hl7.org/fhir/sid/icd-10-cm"
OUTCOMES = {
    "home": "send: due",
    "died": "cancel: disposition-died",
    "hospice": "cancel: disposition-hospice",
    "transfer": "cancel: disposition-facility",
    "facility": "cancel: disposition-facility",
    "home-planned": "send: due",
    "ama": "cancel: disposition-against-advice",
    "law": "cancel: disposition-law",
    "no-discharge": "not-due: not-applicable",
    "other": "cancel: disposition-other",
}


def check_in(*resources: dict[str, Any], **more: Any) -> Any:
    mine = more.pop("mine", None)
    where = more.pop("where", None)
    found = decide(DISCHARGED, chart(*resources, **more), mine, where=where)
    return found["post-discharge/check-in"]


def _shipped_dispositions() -> list[tuple[str, str, str]]:
    (concepts,) = (
        item for item in shipped_resources() if item["resourceType"] == "ConceptMap"
    )
    return [
        (group["source"], element["code"], element["target"][0]["code"])
        for group in concepts["group"]
        for element in group["element"]
    ]


@pytest.mark.parametrize(("system", "code", "word"), _shipped_dispositions())
def test_disposition_every_code_has_its_outcome(
    system: str, code: str, word: str
) -> None:
    stay = encounter()
    coding = {"system": system, "code": code}
    stay["hospitalization"]["dischargeDisposition"]["coding"] = [coding]
    assert reason_of(check_in(stay)) == OUTCOMES[word]


@pytest.mark.parametrize(
    "codings",
    [
        [{"system": "urn:local", "code": "zz"}],
        [{"code": "home"}],
        [
            {
                "system": "http://terminology.hl7.org/CodeSystem/discharge-disposition",
                "code": "home",
            },
            {
                "system": "https://www.nubc.org/CodeSystem/PatDischargeStatus",
                "code": "20",
            },
        ],
    ],
)
def test_disposition_unknown_or_contradicting_is_held_with_a_task(
    codings: list[dict[str, str]],
) -> None:
    stay = encounter()
    stay["hospitalization"]["dischargeDisposition"] = {"coding": codings}
    found = check_in(stay)
    assert reason_of(found) == "hold: disposition-unknown"
    assert (found.task.reason, found.task.key) == (
        "disposition-unknown",
        "disposition-unknown|Encounter/stay",
    )


def test_disposition_missing_is_held_and_staff_are_asked_hours_later() -> None:
    found = check_in(encounter(disposition=None))
    assert (reason_of(found), found.task) == ("hold: disposition-unknown", None)


def test_disposition_home_with_a_planned_stay_beside_home_is_no_contradiction() -> None:
    stay = encounter()
    coding = {"system": "https://www.nubc.org/CodeSystem/PatDischargeStatus"}
    codings = stay["hospitalization"]["dischargeDisposition"]["coding"]
    codings.append({**coding, "code": "81"})
    assert reason_of(check_in(stay)) == "send: due"


@pytest.mark.parametrize("key", ["urn:local|zz", "zz"])
def test_disposition_local_code_is_read_through_the_site_map(key: str) -> None:
    stay = encounter()
    coding = {"system": "urn:local", "code": "zz"}
    stay["hospitalization"]["dischargeDisposition"]["coding"] = [coding]
    where = endpoint(site=replace(SITE, disposition_map={key: "home"}))
    assert reason_of(check_in(stay, where=where)) == "send: due"
    nonsense = endpoint(site=replace(SITE, disposition_map={key: "Home!"}))
    assert reason_of(check_in(stay, where=nonsense)) == "hold: disposition-unknown"


def test_disposition_that_arrives_late_releases_the_held_nudge() -> None:
    held = nudge_of(check_in(encounter(disposition=None)))
    again = look_again(held, chart(encounter()))
    assert reason_of(again) == "send: due"


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"deceasedBoolean": True}, "cancel: deceased"),
        ({"deceasedBoolean": False}, "send: due"),
        ({"deceasedDateTime": "2026-11-19"}, "cancel: deceased"),
        ({"deceasedDateTime": "not a date"}, "cancel: deceased"),
        ({"active": False}, "cancel: record-inactive"),
        (
            {"link": [{"type": "replaced-by", "other": {"reference": "Patient/r2"}}]},
            "cancel: record-inactive",
        ),
        (
            {"link": [{"type": "seealso", "other": {"reference": "Patient/r2"}}]},
            "send: due",
        ),
        (
            {"meta": {"security": [{"system": ACT_REASON, "code": "HTEST"}]}},
            "cancel: test-patient",
        ),
        ({"birthDate": "2008-11-20"}, "send: due"),
        ({"birthDate": "2008-11-21"}, "hold: minor"),
        ({"birthDate": ...}, "hold: data-missing"),
        (
            {
                "meta": {
                    "security": [
                        {
                            "system": "http://terminology.hl7.org/CodeSystem/v3-ActCode",
                            "code": "SDV",
                        }
                    ]
                }
            },
            "hold: sensitive",
        ),
    ],
)
def test_patient_state_decides(changes: dict[str, Any], expected: str) -> None:
    assert reason_of(check_in(encounter(), person=patient(**changes))) == expected


def test_death_in_another_stay_cancels_everything() -> None:
    died = encounter(id="last", disposition="exp")
    found = decide(BOOKED, chart(appointment(), died))
    assert {reason_of(item) for item in found.values()} == {"cancel: deceased"}


def test_death_as_cancellation_reason_cancels() -> None:
    visit = appointment(
        status="cancelled",
        cancelationReason={"coding": [{"code": "pat-dec"}]},
    )
    found = decide(BOOKED, chart(visit))
    assert {reason_of(item) for item in found.values()} == {"cancel: deceased"}


@pytest.mark.parametrize(
    "resource",
    [
        {
            "resourceType": "Encounter",
            "id": "h",
            "status": "in-progress",
            "type": [
                {"coding": [{"system": "http://snomed.info/sct", "code": "385763009"}]}
            ],
        },
        {
            "resourceType": "ServiceRequest",
            "id": "h",
            "status": "active",
            "code": {
                "coding": [{"system": "http://snomed.info/sct", "code": "170935008"}]
            },
        },
    ],
)
def test_hospice_cancels(resource: dict[str, Any]) -> None:
    assert reason_of(check_in(encounter(), resource)) == "cancel: hospice"


def test_inpatient_now_holds_but_not_visit_reminders() -> None:
    other = encounter(id="now", status="in-progress", disposition=None)
    other["class"] = {"code": "EMER"}
    assert reason_of(check_in(encounter(), other)) == "hold: in-hospital"
    found = decide(BOOKED, chart(appointment(), other))
    assert reason_of(found["appointment-reminder/one-day"]) == "send: due"


def _condition(system: str, code: str, **more: Any) -> dict[str, Any]:
    return {
        "resourceType": "Condition",
        "id": "c",
        "code": {"coding": [{"system": system, "code": code}]},
        **more,
    }


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("F11.20", "hold: sensitive"),
        ("F33.1", "hold: sensitive"),
        ("B20", "hold: sensitive"),
        ("O03.9", "hold: sensitive"),
        ("Z21", "hold: sensitive"),
        ("F17.210", "send: due"),
        ("I50.9", "send: due"),
    ],
)
def test_sensitive_reason_is_held_with_a_task(code: str, expected: str) -> None:
    stay = encounter(reasonCode=[{"coding": [{"system": ICD, "code": code}]}])
    found = check_in(stay)
    assert reason_of(found) == expected
    assert (found.task is not None) == (expected == "hold: sensitive")


def test_sensitive_condition_behind_a_reference_is_held() -> None:
    linked = encounter(diagnosis=[{"condition": {"reference": "Condition/c"}}])
    condition = _condition(ICD, "F20.0")
    assert reason_of(check_in(linked, condition)) == "hold: sensitive"
    of_stay = _condition(ICD, "F20.0", encounter={"reference": "Encounter/stay"})
    assert reason_of(check_in(encounter(), of_stay)) == "hold: sensitive"
    elsewhere = _condition(ICD, "F20.0")
    assert reason_of(check_in(encounter(), elsewhere)) == "send: due"


def test_sensitive_facts_do_not_name_the_diagnosis() -> None:
    stay = encounter(reasonCode=[{"coding": [{"system": ICD, "code": "F11.20"}]}])
    assert check_in(stay).verdict.facts[0].value == "sensitive"


@pytest.mark.parametrize(
    ("scope", "target", "expected"),
    [
        ("all", "*", "hold: switched-off"),
        ("endpoint", "north", "hold: switched-off"),
        ("endpoint", "South", "send: due"),
        ("plan", "post-discharge", "hold: switched-off"),
        ("plan", "colorectal", "send: due"),
        ("topic", "post-discharge", "hold: switched-off"),
        ("topic", "appointment", "send: due"),
        ("channel", "email", "send: due"),
    ],
)
def test_switches_hold(scope: str, target: str, expected: str) -> None:
    mine = own(switches=(Switch(scope, target, "a test"),))
    assert reason_of(check_in(encounter(), mine=mine)) == expected


def test_switched_channel_is_passed_over() -> None:
    off = Switch("channel", "sms", "provider trouble")
    found = check_in(encounter(), mine=own(switches=(off,)))
    assert reason_of(found) == "hold: no-consent"
    only = own(
        switches=(off,),
        preferences=(PreferenceRecord("channels", ["sms"], Who.PATIENT, "said", NOW),),
    )
    assert reason_of(check_in(encounter(), mine=only)) == "hold: switched-off"


def test_restored_database_and_waiting_reply_hold() -> None:
    restored = check_in(encounter(), mine=own(restore_unchecked=True))
    assert reason_of(restored) == "hold: restore-unchecked"
    waiting = check_in(encounter(), mine=own(replies_waiting=1))
    assert reason_of(waiting) == "hold: reply-needs-person"


@pytest.mark.parametrize(
    ("name", "without"),
    [
        ("Consent", "send: due"),
        ("Encounter", "hold: data-missing"),
        ("Condition", "hold: data-missing"),
    ],
)
def test_unread_safety_data_holds(name: str, without: str) -> None:
    found = check_in(encounter(), incomplete=(name,))
    assert reason_of(found).startswith("hold: ")
    nudge = nudge_of(check_in(encounter()))
    unread = chart(encounter(), incomplete=(name,))
    assert reason_of(look_again(nudge, unread)) == "hold: ehr-unreachable"
    has_none = endpoint(profile={"unsupported": [name]})
    again = look_again(nudge, unread, where=has_none)
    assert reason_of(again) == without


@pytest.mark.parametrize(
    ("kind", "read", "expected"),
    [
        ("Appointment", (), "hold: data-missing"),
        ("Appointment", ("Appointment",), "hold: data-missing"),
        ("RiskAssessment", (), "send: due"),
    ],
)
def test_what_rests_on_a_type_that_the_ehr_lacks_is_unknown(
    kind: str, read: tuple[str, ...], expected: str
) -> None:
    """Whether a visit is booked cannot be known where there are no Appointments."""
    lacking = endpoint(profile={"unsupported": [kind]})
    found = decide(
        DISCHARGED,
        chart(encounter(), incomplete=read),
        where=lacking,
    )
    assert reason_of(found["post-discharge/book-visit"]) == expected
    call = reason_of(found["post-discharge/book-call-high-risk"])
    unknown = kind == "RiskAssessment"
    assert call == ("hold: data-missing" if unknown else "not-due: not-applicable")


def test_focus_gone_is_undone_and_unread_is_held() -> None:
    nudge = nudge_of(check_in(encounter()))
    assert reason_of(look_again(nudge, chart())) == "cancel: event-undone"
    wrong = chart(encounter(status="entered-in-error"))
    assert reason_of(look_again(nudge, wrong)) == "cancel: event-undone"
    deleted = chart({"resourceType": "Encounter", "id": "stay", "_deleted": True})
    assert reason_of(look_again(nudge, deleted)) == "cancel: event-undone"
    unread = chart(incomplete=("Encounter",))
    assert reason_of(look_again(nudge, unread)) == "hold: ehr-unreachable"


def test_outside_production_only_listed_numbers_are_reached() -> None:
    for kind, listed, expected in (
        (EndpointKind.TEST, (), "hold: not-allow-listed"),
        (EndpointKind.TEST, ("+13125550142",), "send: due"),
        (EndpointKind.SANDBOX, ("*",), "send: due"),
        (EndpointKind.PRODUCTION, (), "send: due"),
    ):
        where = endpoint(kind=kind, allow_list=listed)
        assert reason_of(check_in(encounter(), where=where)) == expected


def test_plan_switched_off_or_lapsed_is_cancelled() -> None:
    off = endpoint(site=replace(SITE, plans_off=("post-discharge",)))
    assert reason_of(check_in(encounter(), where=off)) == "cancel: plan-off"
    nudge = nudge_of(check_in(encounter()), plan="https://gone.example.org/p")
    assert reason_of(look_again(nudge, chart(encounter()))) == "cancel: plan-off"
