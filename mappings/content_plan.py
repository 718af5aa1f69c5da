"""One PlanDefinition (type eca-rule) into one :class:`Plan`.

The conventions beside R4 itself are a handful of extensions under our namespace:
anchor, window, why and stops-if on an action; occasion, priority and counts on the
plan; and the condition kind ``stop``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from mappings.errors import ContentError
from mappings.event import EventKind
from mappings.nudge import REASONS
from mappings.plan import NS, Condition, Plan, PlanAction, Timing
from mappings.resource import Resource, codings_of, extension_value, list_of

SD = f"{NS}/StructureDefinition/"
ANCHORS = ("event", "focus-start", "activity-due", "business-day")
OCCASIONS = ("focus", "start", "activity", "year")
HOURS = {"min": 1 / 60, "h": 1.0, "d": 24.0, "wk": 168.0}

ValueSets = Mapping[str, frozenset[tuple[str, str]]]


def read_plan(
    resource: Resource, definitions: Mapping[str, Resource], value_sets: ValueSets
) -> Plan:
    """Read a PlanDefinition; raise ContentError where it is not usable."""
    name = f"PlanDefinition {resource.get('id')}"
    if ("eca-rule") not in {code for _, code in codings_of(resource.get("type"))}:
        raise ContentError(f"{name} is not of type eca-rule")
    actions = list_of(resource.get("action"))
    triggers = [item for action in actions for item in list_of(action.get("trigger"))]
    topics = codings_of(resource.get("topic"))
    if not actions or not triggers or not topics or not resource.get("version"):
        raise ContentError(f"{name} lacks a version, topic, action or trigger")
    occasion = str(extension_value(resource, f"{SD}occasion") or "focus")
    if occasion not in OCCASIONS:
        raise ContentError(f"{name} has an unknown occasion {occasion!r}")
    counts = extension_value(resource, f"{SD}counts")
    priority = extension_value(resource, f"{SD}priority")
    return Plan(
        url=str(resource.get("url")),
        version=str(resource.get("version")),
        id=str(resource.get("id")),
        title=str(resource.get("title") or resource.get("id")),
        topic=topics[0][1],
        triggers=tuple(dict.fromkeys(_trigger(name, item) for item in triggers)),
        actions=tuple(_action(name, item, definitions) for item in actions),
        data=tuple(dict.fromkeys(_data(name, actions, value_sets))),
        priority=int(priority) if priority is not None else 50,
        counts=counts is not False,
        effective_end=(resource.get("effectivePeriod") or {}).get("end"),
        occasion=occasion,
        trigger_conditions={
            str(item.get("name")): _condition(name, item["condition"])
            for item in triggers
            if item.get("condition")
        },
        resource=resource,
    )


def _trigger(name: str, trigger: Resource) -> str:
    kind = str(trigger.get("name"))
    if kind not in set(EventKind):
        raise ContentError(f"{name} has an unknown trigger {kind!r}")
    return kind


def _action(
    name: str, action: Resource, definitions: Mapping[str, Resource]
) -> PlanAction:
    where = f"{name}, action {action.get('id')}"
    url = str(action.get("definitionCanonical") or "").split("|")[0]
    definition = definitions.get(url)
    if definition is None:
        raise ContentError(f"{where}: there is no ActivityDefinition {url!r}")
    conditions = list_of(action.get("condition"))
    return PlanAction(
        id=str(action.get("id")),
        title=str(action.get("title") or action.get("id")),
        kind="task" if definition.get("kind") == "Task" else "message",
        timing=_timing(where, action),
        conditions=_conditions(where, conditions, "applicability"),
        stops=_conditions(where, conditions, "stop"),
        definition=url,
        why=str(extension_value(action, f"{SD}why") or ""),
        stops_if=str(extension_value(action, f"{SD}stops-if") or ""),
        priority=str(definition.get("priority") or "routine"),
        text=str(definition.get("description") or ""),
    )


def _conditions(
    where: str, conditions: Iterable[Resource], kind: str
) -> tuple[Condition, ...]:
    return tuple(
        _condition(where, item.get("expression") or {})
        for item in conditions
        if item.get("kind") == kind
    )


def _condition(where: str, expression: Resource) -> Condition:
    reason = str(expression.get("name"))
    text = expression.get("expression")
    if reason not in REASONS:
        raise ContentError(f"{where}: {reason!r} is no known reason")
    if expression.get("language") != "text/fhirpath" or not text:
        raise ContentError(f"{where}: condition {reason!r} is not FHIRPath")
    return Condition(str(text), reason, str(expression.get("description") or ""))


def _timing(where: str, action: Resource) -> Timing:
    anchor = str(extension_value(action, f"{SD}anchor") or "event")
    if anchor not in ANCHORS:
        raise ContentError(f"{where}: unknown anchor {anchor!r}")
    window = extension_value(action, f"{SD}window")
    if not isinstance(window, dict):
        raise ContentError(f"{where}: no window says until when it may be sent")
    return Timing(
        anchor, _hours(where, action.get("timingDuration") or {}), _hours(where, window)
    )


def _hours(where: str, duration: Mapping[str, Any]) -> float:
    unit = str(duration.get("code") or duration.get("unit"))
    value = duration.get("value")
    if unit not in HOURS or not isinstance(value, int | float):
        raise ContentError(f"{where}: {value!r} {unit!r} is no duration")
    return float(value) * HOURS[unit]


def _data(
    name: str, actions: Iterable[Resource], value_sets: ValueSets
) -> Iterable[str]:
    """Yield one search per DataRequirement type, narrowed to codes where all are."""
    needed: dict[str, list[frozenset[tuple[str, str]] | None]] = {}
    for action in actions:
        for item in list_of(action.get("input")):
            needed.setdefault(str(item.get("type")), []).extend(
                _filters(name, item, value_sets)
            )
    for resource_type, filters in needed.items():
        yield data_query(resource_type, filters)


def _filters(
    name: str, requirement: Resource, value_sets: ValueSets
) -> list[frozenset[tuple[str, str]] | None]:
    filters = list_of(requirement.get("codeFilter"))
    if not filters:
        return [None]
    found: list[frozenset[tuple[str, str]] | None] = []
    for item in filters:
        members = value_sets.get(str(item.get("valueSet")))
        if members is None:
            raise ContentError(f"{name}: there is no {item.get('valueSet')!r}")
        found.append(members)
    return found


def data_query(
    resource_type: str, filters: Iterable[frozenset[tuple[str, str]] | None]
) -> str:
    """Return the search for one type; ``{patient}`` stands for the patient."""
    sets = list(filters)
    query = f"{resource_type}?patient={{patient}}"
    codes = {pair for members in sets if members is not None for pair in members}
    branches = any(code.endswith("*") for _, code in codes)
    if None in sets or branches or not codes:
        return query
    listed = ",".join(f"{system}|{code}" for system, code in sorted(codes))
    return f"{query}&code={listed}"
