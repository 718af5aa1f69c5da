"""Several gaps in one message: the most urgent leads, the others go along."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from mappings.nudge import REVIVABLE, Fact
from mappings.plan import Condition, Library, Plan
from mappings.preference import OwnRecord, PreferenceRecord, Switch, Who
from middleware.decisions.checking import check_library
from middleware.decisions.joining import join_candidates
from tests.unit.decisions.story import (
    DISCHARGED,
    LIBRARY,
    NOW,
    SITE,
    chart,
    consent,
    decide,
    encounter,
    endpoint,
    look_again,
    nudge_of,
    own,
    reason_of,
)

_WHOLE = next(item for item in LIBRARY.plans if item.id == "colorectal")
COLORECTAL = replace(_WHOLE, actions=_WHOLE.actions[:1])


def gap(name: str, priority: int = 61, **changes: Any) -> Plan:
    """A plan of the same bundle: closed by a procedure of its own name."""
    offer = COLORECTAL.actions[0]
    done = Condition(
        f"%procedures.where(code.text = '{name}').exists()", "already-done", "Done."
    )
    step = replace(offer, conditions=offer.conditions[-1:], stops=(done,))
    values = {"actions": (step,), "priority": priority, "id": name, "title": name}
    return replace(COLORECTAL, url=f"urn:plan:{name}", **(values | changes))


def shelf(*plans: Plan) -> Library:
    return replace(LIBRARY, plans=(COLORECTAL, *plans))


def office() -> dict[str, Any]:
    return encounter(**{"class": {"code": "AMB"}}, disposition=None)


def done(name: str) -> dict[str, Any]:
    return {
        "resourceType": "Procedure",
        "id": name,
        "status": "completed",
        "code": {"text": name},
        "subject": {"reference": "Patient/rosa"},
    }


def offered(library: Library, *more: dict[str, Any], **changes: Any) -> dict[str, str]:
    found = decide(
        DISCHARGED, chart(office(), *more), library=library, **changes
    ).values()
    return {item.plan.id: reason_of(item) for item in found}


THREE = shelf(gap("eye"), gap("bone"))


def test_three_gaps_are_one_message_led_by_the_most_urgent() -> None:
    found = decide(DISCHARGED, chart(office()), library=THREE)
    assert {name: reason_of(item) for name, item in found.items()} == {
        "colorectal/offer": "send: due",
        "eye/offer": "cancel: joined",
        "bone/offer": "cancel: joined",
    }
    assert "you have 3 preventive checks due. Book:" in found["colorectal/offer"].text
    joined = found["eye/offer"]
    assert Fact("PlanDefinition/colorectal", "1.0.0", "action", "offer") in (
        joined.verdict.facts
    )
    assert joined.verdict.detail == "it goes out with Colorectal screening due"
    assert joined.task is None


def test_lead_keeps_the_facts_of_the_gaps_that_go_along() -> None:
    lead = decide(DISCHARGED, chart(office()), library=THREE)["colorectal/offer"]
    named = {item.reference for item in lead.verdict.facts}
    assert {"PlanDefinition/eye", "PlanDefinition/bone"} <= named


def test_one_gap_is_written_in_the_singular() -> None:
    read = chart(office(), done("eye"), done("bone"))
    lead = decide(DISCHARGED, read, library=THREE)["colorectal/offer"]
    assert "you have a preventive visit due" in lead.text


def test_gap_that_closed_meanwhile_is_not_counted_and_its_own_ends_the_lead() -> None:
    planned = decide(DISCHARGED, chart(office()), library=THREE)["colorectal/offer"]
    nudge = nudge_of(planned)
    fewer = look_again(nudge, chart(office(), done("bone")), library=THREE)
    assert reason_of(fewer) == "send: due"
    assert "you have 2 preventive checks due" in fewer.text
    assert "PlanDefinition/bone" not in {item.reference for item in fewer.verdict.facts}
    scan = {"coding": [{"system": "http://snomed.info/sct", "code": "73761001"}]}
    own_gap = {**done("x"), "code": scan, "performedDateTime": "2026-11-21"}
    ended = look_again(nudge, chart(office(), own_gap), library=THREE)
    assert reason_of(ended) == "cancel: already-done"


def test_joined_message_may_be_planned_again() -> None:
    assert "joined" in REVIVABLE


@pytest.mark.parametrize(
    "other",
    [
        gap("eye", bundle=""),
        gap("eye", bundle="chronic"),
        gap("eye", topic="immunization"),
        gap("eye", actions=()),
    ],
    ids=["no bundle", "another bundle", "another topic", "no step"],
)
def test_what_is_not_of_the_bundle_goes_by_itself(other: Plan) -> None:
    found = decide(DISCHARGED, chart(office()), library=shelf(other))
    assert "you have a preventive visit due" in found["colorectal/offer"].text
    if other.actions:
        assert reason_of(found["eye/offer"]) == "send: due"


def test_staff_are_asked_once_where_they_would_be_asked_the_same() -> None:
    def call(plan: Plan, definition: str = "urn:call") -> Plan:
        step = replace(plan.actions[0], kind="task", definition=definition, text="Call")
        return replace(plan, actions=(step,))

    library = replace(
        LIBRARY,
        plans=(call(COLORECTAL), call(gap("eye")), call(gap("bone"), "urn:other")),
    )
    found = decide(DISCHARGED, chart(office()), library=library)
    assert {name: reason_of(item) for name, item in found.items()} == {
        "colorectal/offer": "send: due",
        "eye/offer": "cancel: joined",
        "bone/offer": "send: due",
    }
    asked = [name for name, item in found.items() if item.task is not None]
    assert asked == ["colorectal/offer", "bone/offer"]


def test_check_finds_a_bundle_of_several_topics() -> None:
    library = shelf(gap("eye", topic="immunization"))
    assert "eye: its bundle 'preventive' mixes topics" in check_library(library)


def test_steps_of_another_place_go_by_themselves() -> None:
    first = gap("eye").actions[0]
    never = Condition("%age > 200", "not-applicable", "Never.")
    before = replace(first, id="before", conditions=(never,))
    found = offered(shelf(gap("eye", actions=(before, first))))
    assert found == {"colorectal": "send: due", "eye": "send: due"}


def test_steps_whose_windows_lie_apart_go_by_themselves() -> None:
    step = gap("eye").actions[0]
    late = replace(step, timing=replace(step.timing, offset_hours=168 + 400))
    assert offered(shelf(gap("eye", actions=(late,)))) == {
        "colorectal": "send: due",
        "eye": "send: due",
    }


def test_what_waits_for_the_same_thing_waits_together() -> None:
    found = offered(THREE, mine=OwnRecord())
    assert found == {
        "colorectal": "hold: no-consent",
        "eye": "cancel: joined",
        "bone": "cancel: joined",
    }


def test_what_is_held_or_switched_off_by_itself_is_neither_joined_nor_counted() -> None:
    held = own(switches=(Switch("plan", "eye", "under review"),))
    off = replace(SITE, plans_off=("bone",))
    found = decide(
        DISCHARGED, chart(office()), held, library=THREE, where=endpoint(site=off)
    )
    assert reason_of(found["eye/offer"]) == "hold: switched-off"
    assert reason_of(found["bone/offer"]) == "cancel: plan-off"
    assert "you have a preventive visit due" in found["colorectal/offer"].text


def test_unknown_gap_is_not_counted() -> None:
    broken = Condition("%focus.noSuchFunction()", "not-applicable", "It breaks.")
    step = replace(gap("eye").actions[0], conditions=(broken,))
    found = decide(
        DISCHARGED, chart(office()), library=shelf(gap("eye", actions=(step,)))
    )
    assert "you have a preventive visit due" in found["colorectal/offer"].text
    assert reason_of(found["eye/offer"]) == "hold: plan-unknown"


def test_more_urgent_plan_takes_over_what_was_planned_before() -> None:
    before = decide(DISCHARGED, chart(office()))["colorectal/offer"]
    urgent = decide(DISCHARGED, chart(office()), library=shelf(gap("eye", 10)))
    lead, joined = join_candidates([urgent["eye/offer"], before])
    assert reason_of(lead) == "send: due"
    assert reason_of(joined) == "cancel: joined"


def test_count_is_written_in_spanish_too() -> None:
    spanish = PreferenceRecord("language", "es", Who.PATIENT, "said so", NOW)
    mine = own(consents=(consent(),), preferences=(spanish,))
    found = decide(DISCHARGED, chart(office()), mine, library=THREE)
    assert "le tocan 3 revisiones preventivas" in found["colorectal/offer"].text


def test_check_reads_a_wording_for_every_number() -> None:
    wording = next(
        item
        for item in LIBRARY.wordings
        if item.definition.endswith("/preventive-visit-offer")
    )
    text = wording.text.replace("{{ count }}", "{{ counted }}")
    bad = replace(LIBRARY, wordings=(replace(wording, text=text),), plans=())
    assert "preventive-visit-offer, sms, en: it could not be filled in" in " ".join(
        check_library(bad)
    )


def test_check_finds_a_variable_that_no_sample_reaches() -> None:
    wording = next(
        item
        for item in LIBRARY.wordings
        if item.definition.endswith("/preventive-visit-offer")
    )
    text = wording.text + '{% if count == "99" %}{{ secret }}{% endif %}'
    bad = replace(LIBRARY, wordings=(replace(wording, text=text),), plans=())
    assert check_library(bad) == (
        "preventive-visit-offer, sms, en: there is no variable 'secret'",
    )


def test_nothing_is_joined_without_a_bundle() -> None:
    found = decide(DISCHARGED, chart(encounter())).values()
    assert "joined" not in {item.verdict.reason for item in found}
