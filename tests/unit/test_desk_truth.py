"""What the verdict must not say: false to whom it goes, too wide, or held somewhere."""

from dataclasses import replace

import pytest

from mappings.preference import Switch, Who
from middleware.decisions.preference import compile_profile
from middleware.decisions.routing import Wanted, choose_route
from middleware.desk.page import write_page
from middleware.desk.sentences import choose_answer
from middleware.desk.weeks import write_week
from tests.unit.desk_parts import CARE, HOSPICE, PARTS, beside, coded, part
from tests.unit.desk_views import (
    ENDPOINT,
    LIBRARY,
    NOW,
    PHONE,
    consent,
    preference,
    view,
)

MOTHERS = "+14155550155"
MOTHER = beside("ana", "MTH", MOTHERS)
CHILD = {"birthDate": "2014-01-01"}


def at(place, **changes):
    return replace(consent(**changes), value=place, id=f"at-{place}-{changes}")


def said(one):
    answer = choose_answer(one, "")
    return answer.tag.text, f"{answer.sentence} {answer.hours}".strip()


def test_who_is_written_to_about_a_child_is_named():
    one = view(patient=CHILD, resources=[MOTHER], consents=(at(MOTHERS),))
    assert said(one) == (
        "Messages on",
        "Text Ana Delgado (parent) about Rosa in Spanish, 9 AM to 8 PM.",
    )


def test_language_is_that_of_whoever_is_written_to():
    mother = {**MOTHER, "communication": [{"language": {"coding": [{"code": "vi"}]}}]}
    one = view(patient=CHILD, resources=[mother], consents=(at(MOTHERS),))
    assert said(one)[1].startswith("Text Ana Delgado (parent) about Rosa in Vietnamese")


def test_no_from_a_childs_own_number_does_not_hide_that_the_mother_is_written_to():
    answers = (consent(False), at(MOTHERS))
    one = view(patient=CHILD, resources=[MOTHER], consents=answers)
    assert said(one)[1].startswith("Text Ana Delgado (parent) about Rosa")


def test_no_at_a_number_does_not_hide_the_one_place_that_was_asked_for():
    place = {"system": "sms", "value": MOTHERS, "note": ""}
    asked = preference("confidential", place, who=Who.PATIENT)
    one = view(consents=(consent(False),), preferences=(asked,))
    assert said(one) == (
        "Confidential contact",
        "Text Rosa in Spanish at (415) 555-0155 only.",
    )


@pytest.mark.parametrize(
    ("changes", "chip"),
    [
        ({"incomplete": ("Consent",)}, "Chart incomplete"),
        ({"incomplete": ("Encounter",)}, "Chart incomplete"),
        ({"incomplete": ("Flag",)}, "Chart incomplete"),
        ({"patient": {"communication": []}}, "Language not recorded"),
    ],
)
def test_one_place_is_no_yes_where_something_else_is_missing(changes, chip):
    place = {"system": "sms", "value": PHONE, "note": ""}
    asked = preference("confidential", place, who=Who.PATIENT)
    answer = choose_answer(view(preferences=(asked,), **changes), "")
    assert answer.tag.text == chip
    assert [flag.text for flag in answer.flags] == ["Confidential contact"]


@pytest.mark.parametrize(
    "switches",
    [
        (Switch("endpoint", "northside", "Storm"),),
        (Switch("endpoint", "Northside", "Storm"),),
        (Switch("endpoint", "*", "Storm"),),
        (Switch("topic", "appointment", "Storm"), Switch("plan", "preventive", "Late")),
    ],
)
def test_what_holds_every_plan_holds_all(switches):
    answer = choose_answer(view(switches=switches), "")
    assert answer.tag.text == "Messages on hold"
    assert answer.lede == "CareCue’s administrators hold all messages: Storm."


@pytest.mark.parametrize(
    "switch",
    [Switch("endpoint", "southside", "Storm"), Switch("topic", "preventive", "Late")],
)
def test_what_holds_one_plan_or_another_ehr_holds_not_all(switch):
    assert said(view(switches=(switch,)))[0] == "Messages on"


def test_hours_that_leave_none_are_no_yes():
    voices = (
        preference("window", [9, 12], who=Who.PATIENT),
        preference("window", [14, 18]),
    )
    assert said(view(preferences=voices)) == (
        "No hour left",
        "Ask Rosa at what hours to write.",
    )


def test_hours_are_those_that_the_law_allows():
    late = preference("window", [6, 23], who=Who.PATIENT)
    assert said(view(preferences=(late,)))[1].endswith("8 AM to 9 PM.")


@pytest.mark.parametrize("kind", ["entered-in-error", "refuted", "confirmed"])
def test_problem_that_was_entered_in_error_or_refuted_never_was(kind):
    status = {"coding": [{"code": kind}]}
    problem = part("Condition", "c1", code=coded(HOSPICE), verificationStatus=status)
    one = replace(view(resources=[problem]), library=CARE)
    expected = "Hospice care" if kind == "confirmed" else "Messages on"
    assert said(one)[0] == expected


def test_yes_from_before_the_birthday_does_not_count_while_no_parent_is_known():
    grown = {"birthDate": "2008-10-01"}
    old = {"patient": grown, "consents": (consent(days=90),)}
    assert said(view(**old))[0] == "Messages on"
    beside_her = view(**old, resources=[PARTS["mother at this number"]])
    assert said(beside_her)[0] == "No permission recorded"
    assert said(view(**old, incomplete=("RelatedPerson",)))[0] == "Chart incomplete"
    new = {"patient": grown, "consents": (consent(days=10),)}
    assert said(view(**new, incomplete=("RelatedPerson",)))[0] == "Messages on"


def test_gate_does_not_use_a_number_that_may_be_a_parents():
    one = view(
        patient={"birthDate": "2008-10-01"},
        consents=(consent(days=90),),
        incomplete=("RelatedPerson",),
    )
    profile = compile_profile(one.chart, one.own, ENDPOINT, NOW)
    route = choose_route(profile, one.own, ENDPOINT, Wanted(LIBRARY.plans[0].topic))
    assert route.verdict is not None
    assert route.verdict.reason == "no-consent"


@pytest.mark.parametrize(
    ("changes", "chip"),
    [
        # A death that is told in two ways, one of them no: the date counts.
        (
            {"deceasedBoolean": False, "deceasedDateTime": "2026-11-01"},
            "Deceased",
        ),
        ({"deceasedDateTime": "soon"}, "Deceased"),
        # Of age from the day on, in the patient's own zone: there it is Nov 18.
        ({"birthDate": "2008-11-18"}, "Messages on"),
        ({"birthDate": "2008-11-19"}, "Under 18"),
        # A number from California, an address in New Zealand: not yet everywhere.
        (
            {"birthDate": "2008-11-19", "address": [{"country": "NZ"}]},
            "Under 18",
        ),
    ],
)
def test_deaths_and_birthdays(changes, chip):
    assert said(view(patient=changes, consents=(consent(days=0),)))[0] == chip


def test_of_age_where_the_patient_says_to_be():
    zone = preference("zone", "Pacific/Auckland", who=Who.PATIENT)
    one = view(patient={"birthDate": "2008-11-19"}, preferences=(zone,))
    assert one.profile.age == 18


def test_contradicting_consents_are_a_no():
    parts = [PARTS["yes in the chart"], PARTS["no in the chart"]]
    assert said(view(resources=parts))[0] == "Stopped by patient"


def test_former_partner_without_an_own_yes_is_never_written_to():
    partner = beside("ex", "SPS", PHONE)
    gone = {**partner, "period": {"end": "2025-01-01"}}
    for person in (partner, gone):
        one = view(patient={"telecom": []}, resources=[person])
        assert said(one)[0] == "No number or address"


def test_what_is_another_patients_or_in_error_says_nothing():
    of_karl = {**PARTS["hospice problem"], "subject": {"reference": "Patient/karl"}}
    in_error = {**PARTS["no in the chart"], "status": "entered-in-error"}
    died = {**PARTS["visit cancelled by death"], "status": "entered-in-error"}
    one = replace(view(resources=[of_karl, in_error, died]), library=CARE)
    assert said(one)[0] == "Messages on"


def test_names_that_turn_or_act_stay_what_they_are():
    name = [{"given": ["رُوزا <b hx-get=/x>"], "family": "د"}]
    sentence = said(view(patient={"name": name}))[1]
    assert "\u2068" in sentence
    assert sentence.index("\u2068") < sentence.index("<b") < sentence.index("\u2069")


def test_record_that_took_the_place_of_another_says_what_it_does_not_show():
    link = [{"type": "replaces", "other": {"reference": "Patient/old"}}]
    told = "This record took the place of another one."
    assert any(gap.startswith(told) for gap in write_page(view({"link": link})).gaps)
    assert not any(gap.startswith(told) for gap in write_page(view()).gaps)


def test_no_more_messages_are_allowed_to_somebody_who_died():
    one = view(patient={"deceasedBoolean": True}, consents=(consent(days=0),))
    assert write_week(one).note == ""
    assert "more allowed" in write_week(view(consents=(consent(days=0),))).note
