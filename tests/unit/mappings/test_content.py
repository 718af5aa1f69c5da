"""The shipped content: valid FHIR, known reasons, nothing half-read."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from fhir.resources.R4B import get_fhir_model_class
from fhirclient.models import fhirelementfactory

from mappings.asking import NEEDS_PERSON
from mappings.content import load_shipped, read_library, shipped_resources
from mappings.errors import ContentError
from mappings.event import EventKind
from mappings.nudge import REASONS
from mappings.plan import NS


def _name(resource: dict[str, Any]) -> str:
    return f"{resource['resourceType']}/{resource['id']}"


@pytest.mark.parametrize("resource", shipped_resources(), ids=_name)
def test_every_file_is_valid_r4(resource: dict[str, Any]) -> None:
    as_r4 = copy.deepcopy(resource)
    for action in as_r4.get("action", ()):
        for step in (action, *action.get("action", ())):
            # The condition kind `stop` belongs to R4's action-condition-kind.
            kinds = {item["kind"] for item in step.get("condition", ())}
            assert kinds <= {"applicability", "start", "stop"}
    model = get_fhir_model_class(resource["resourceType"])
    assert model.model_validate(as_r4).get_resource_type() == resource["resourceType"]
    element = fhirelementfactory.FHIRElementFactory.instantiate(
        resource["resourceType"], as_r4
    )
    assert element.as_json()["id"] == resource["id"]


def test_every_file_has_its_own_url_and_version() -> None:
    urls = [item["url"] for item in shipped_resources()]
    assert len(urls) == len(set(urls))
    assert {item["version"] for item in shipped_resources()} == {"1.0.0"}
    assert all(item.startswith(f"{NS}/") for item in urls)


def test_library_holds_the_plans() -> None:
    plans = load_shipped().plans
    held = {(item.id, item.topic, item.counts) for item in plans}
    assert held >= {
        ("video-visit", "appointment", False),
        ("visit-called-off", "appointment", False),
        ("visit-moved", "appointment", False),
        ("appointment-reminder", "appointment", False),
        ("against-advice", "post-discharge", True),
        ("mental-health-discharge", "post-discharge", True),
        ("post-discharge", "post-discharge", True),
        ("post-discharge-medicines", "medication", True),
        ("ed-followup", "ed-followup", True),
        ("no-show", "appointment", False),
        ("visit-recall", "appointment", True),
        ("waitlist", "appointment", False),
        ("care-plan-activity", "care-plan", True),
        ("colorectal", "preventive", True),
    }
    assert [item.priority for item in plans] == sorted(item.priority for item in plans)


def test_every_plan_cites_its_source_and_ends() -> None:
    for plan in load_shipped().plans:
        assert plan.effective_end == "2027-12-31"
        assert plan.resource["relatedArtifact"][0]["type"] == "citation"
        assert plan.resource["approvalDate"] == "2026-11-01"


def test_every_trigger_and_reason_is_known() -> None:
    for plan in load_shipped().plans:
        assert set(plan.triggers) <= set(EventKind)
        for action in plan.actions:
            used = {item.reason for item in (*action.conditions, *action.stops)}
            assert used <= set(REASONS)


def test_reasons_that_need_a_person_exist() -> None:
    assert set(NEEDS_PERSON) <= set(REASONS)


def test_english_is_reviewed_and_the_rest_waits_for_a_reviewer() -> None:
    reviewed = {
        (item.language, bool(item.reviewer)) for item in load_shipped().wordings
    }
    assert ("en", True) in reviewed
    assert all(language == "en" or not known for language, known in reviewed)
    adopted = load_shipped({"es": "L. Ortiz"}).wordings
    assert {item.reviewer for item in adopted if item.language == "es"} == {"L. Ortiz"}


def test_every_message_has_every_channel_in_each_of_its_languages() -> None:
    library = load_shipped()
    wanted = {
        action.definition
        for plan in library.plans
        for action in plan.actions
        if action.kind == "message"
    }
    found = {
        (item.definition, item.channel, item.language) for item in library.wordings
    }
    languages = {(definition, language) for definition, _, language in found} | {
        (definition, language) for definition in wanted for language in ("en", "es")
    }
    assert found == {
        (definition, channel, language)
        for definition, language in languages
        for channel in ("sms", "email", "screen")
    }
    assert {definition for definition, _, _ in found} == wanted | {
        f"{NS}/ActivityDefinition/generic-message"
    }


def test_value_sets_have_no_cpt_and_are_found_by_id_and_url() -> None:
    sets = load_shipped().value_sets
    systems = {system for members in sets.values() for system, _ in members}
    assert "http://www.ama-assn.org/go/cpt" not in systems
    assert sets["colonoscopy"] == sets[f"{NS}/ValueSet/colonoscopy"]
    assert ("http://snomed.info/sct", "73761001") in sets["colonoscopy"]


def _shipped(resource_type: str, identifier: str) -> list[dict[str, Any]]:
    found = copy.deepcopy(list(shipped_resources()))
    wanted = f"{resource_type}/{identifier}"
    return sorted(found, key=lambda item: _name(item) != wanted)


def _broken(path: str, value: object) -> list[dict[str, Any]]:
    content = _shipped("PlanDefinition", "waitlist-offer")
    target: Any = content[0]
    *names, last = path.split(".")
    for name in names:
        target = target[int(name)] if name.isdigit() else target[name]
    target[last] = value
    return content


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("type", {"coding": [{"code": "order-set"}]}),
        ("action", []),
        ("topic", []),
        ("version", ""),
        ("extension.0.valueCode", "sometimes"),
        ("action.0.trigger.0.name", "full-moon"),
        ("action.0.definitionCanonical", f"{NS}/ActivityDefinition/none"),
        ("action.0.condition.0.expression.name", "because"),
        ("action.0.condition.0.expression.language", "text/cql"),
        ("action.0.extension.0.valueCode", "sunrise"),
        ("action.0.extension.1.valueDuration", None),
        ("action.0.timingDuration", {"value": 2, "code": "fortnight"}),
        (
            "action.0.input.0.codeFilter",
            [{"path": "code", "valueSet": f"{NS}/ValueSet/none"}],
        ),
    ],
)
def test_unusable_plan_is_refused_by_name(path: str, value: object) -> None:
    with pytest.raises(ContentError, match="waitlist-offer"):
        read_library(_broken(path, value))


def test_retired_plan_is_left_out() -> None:
    library = read_library(_broken("status", "retired"))
    assert "waitlist-offer" not in {item.id for item in library.plans}


def test_value_set_that_needs_a_terminology_server_is_refused() -> None:
    content = _shipped("ValueSet", "hospice")
    content[0]["compose"]["include"] = [
        {
            "system": "http://snomed.info/sct",
            "filter": [{"property": "concept", "op": "is-a", "value": "385763009"}],
        }
    ]
    with pytest.raises(ContentError, match="hospice"):
        read_library(content)
    content[0]["compose"]["include"] = []
    with pytest.raises(ContentError, match="hospice"):
        read_library(content)


def test_searches_are_narrowed_to_codes() -> None:
    plans = load_shipped().plans
    colorectal = next(item for item in plans if item.id == "colorectal")
    kinds = [query.partition("?")[0] for query in colorectal.data]
    assert kinds == [
        "Procedure",
        "DiagnosticReport",
        "Observation",
        "ServiceRequest",
        "Condition",
        "Appointment",
    ]
    assert "&code=" in colorectal.data[0]
    assert colorectal.data[-2] == "Condition?patient={patient}"


def journey() -> list[dict[str, Any]]:
    """Return the shipped content; the second no-show step comes after the first."""
    content = copy.deepcopy(list(shipped_resources()))
    plan = next(item for item in content if item["id"] == "no-show")
    first, second = plan["action"][0]["action"]
    second["relatedAction"] = [
        {
            "actionId": first["id"],
            "relationship": "after-end",
            "offsetDuration": {"value": 2, "code": "d"},
        }
    ]
    del second["timingDuration"]
    return content


def test_a_group_shares_its_trigger_and_conditions_with_its_steps() -> None:
    plan = next(item for item in load_shipped().plans if item.id == "no-show")
    assert plan.triggers == ("appointment-noshow",)
    first, second = plan.actions
    assert second.conditions[0] == first.conditions[0]
    assert (first.stops, first.timing.anchor) == (second.stops, "event")
    assert first.conditions[1] != second.conditions[1]
    assert second.why != first.why, "a step's own words come first"


def test_staff_are_asked_at_once_or_when_it_is_due() -> None:
    plan = next(item for item in load_shipped().plans if item.id == "post-discharge")
    asked = {item.id: item.asked for item in plan.actions if item.kind == "task"}
    assert (asked["contact-task"], asked["contact-lead"]) == ("at-once", "when-due")
    content = _shipped("PlanDefinition", "waitlist-offer")
    names = content[0]["action"][0]["extension"]
    names[2] = {"url": f"{NS}/StructureDefinition/asked", "valueCode": "some-day"}
    with pytest.raises(ContentError, match="unknown asked"):
        read_library(content)


def test_a_related_step_is_due_after_the_one_it_names() -> None:
    plan = next(item for item in read_library(journey()).plans if item.id == "no-show")
    first, second = (item.timing for item in plan.actions)
    assert second.anchor == first.anchor == "event"
    assert second.offset_hours == first.offset_hours + 48
    assert second.window_hours == 72


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"actionId": "nowhere"}, "no step before it"),
        ({"relationship": "concurrent"}, "before or after"),
    ],
)
def test_a_related_step_must_be_placed(change: dict[str, str], fault: str) -> None:
    content = journey()
    plan = next(item for item in content if item["id"] == "no-show")
    plan["action"][0]["action"][1]["relatedAction"][0].update(change)
    with pytest.raises(ContentError, match=fault):
        read_library(content)
