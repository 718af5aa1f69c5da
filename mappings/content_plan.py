"""One PlanDefinition (type eca-rule) into one :class:`Plan`.

An action that holds actions is a group: its triggers, conditions, inputs and extensions
are those of each step in it. A step with ``relatedAction`` is due that long after (or
before) the step that it names. The conventions beside R4 itself are a handful of
extensions under our namespace: anchor, window, other-channel, asked, why and stops-if
on an action; occasion, interval, priority, counts, bundle, default-on and sensitive on
the plan; and the condition kind ``stop``. Titles and sentences may be translated.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from mappings.codes import context_codes
from mappings.errors import ContentError
from mappings.event import EventKind
from mappings.instants import find_instant
from mappings.nudge import REASONS
from mappings.plan import NS, Condition, Plan, PlanAction, Timing
from mappings.resource import Resource, codings_of, dict_of, extension_value, list_of
from mappings.translated import read_step_words, read_text, read_translations

SD = f"{NS}/StructureDefinition/"
ANCHORS = ("event", "change", "focus-start", "activity-due", "business-day")
OCCASIONS = (
    "focus",
    "start",
    "activity",
    "month",
    "year",
    "interval",
    "goal",
    "supply",
    "birthday",
    "patient",
)
ASKED = ("at-once", "when-due")
SENSITIVE = ("staff", "generic")
INHERITED = ("trigger", "condition", "input", "extension")
# What a search by code is called where it is not ``code`` (R4).
CODE_PARAMETER = {"Immunization": "vaccine-code"}
HOURS = {"min": 1 / 60, "h": 1.0, "d": 24.0, "wk": 168.0}

ValueSets = Mapping[str, frozenset[tuple[str, str]]]


def read_plan(
    resource: Resource, definitions: Mapping[str, Resource], value_sets: ValueSets
) -> Plan:
    """Read a PlanDefinition; raise ContentError where it is not usable."""
    name = f"PlanDefinition {resource.get('id')}"
    if ("eca-rule") not in {code for _, code in codings_of(resource.get("type"))}:
        raise ContentError(f"{name} is not of type eca-rule")
    actions = list(_steps(list_of(resource.get("action"))))
    triggers = [item for action in actions for item in list_of(action.get("trigger"))]
    topics = codings_of(resource.get("topic"))
    if not actions or not triggers or not topics or not resource.get("version"):
        raise ContentError(f"{name} lacks a version, topic, action or trigger")
    priority = extension_value(resource, f"{SD}priority")
    return Plan(
        url=str(resource.get("url")),
        version=str(resource.get("version")),
        id=str(resource.get("id")),
        title=str(resource.get("title") or resource.get("id")),
        topic=topics[0][1],
        triggers=tuple(dict.fromkeys(_trigger(name, item) for item in triggers)),
        actions=_actions(name, actions, definitions),
        data=tuple(dict.fromkeys(_data(name, actions, value_sets))),
        priority=int(priority) if priority is not None else 50,
        counts=extension_value(resource, f"{SD}counts") is not False,
        effective_start=_bound(name, resource, "start"),
        effective_end=_bound(name, resource, "end"),
        occasion=_word(name, resource, "occasion", OCCASIONS),
        interval_days=_interval(name, resource),
        trigger_conditions=_trigger_conditions(name, triggers),
        bundle=str(extension_value(resource, f"{SD}bundle") or ""),
        default_on=extension_value(resource, f"{SD}default-on") is not False,
        sensitive=_word(name, resource, "sensitive", SENSITIVE),
        about=context_codes(resource),
        language=str(resource.get("language") or "en"),
        titles=read_translations(resource, "title"),
        resource=resource,
    )


def _bound(name: str, resource: Resource, side: str) -> str | None:
    """Return one end of the period in which a plan is in force."""
    text = dict_of(resource.get("effectivePeriod")).get(side)
    if text is not None and find_instant(text) is None:
        raise ContentError(f"{name}: effectivePeriod.{side} {text!r} is no date")
    return None if text is None else str(text)


def _word(name: str, element: Resource, extension: str, known: Sequence[str]) -> str:
    """Return an extension's code, its first known word where there is none."""
    word = str(extension_value(element, f"{SD}{extension}") or known[0])
    if word not in known:
        raise ContentError(f"{name} has an unknown {extension} {word!r}")
    return word


def _interval(name: str, resource: Resource) -> float:
    """Return the days between two series of messages; a year where nothing is said."""
    stated = extension_value(resource, f"{SD}interval")
    return _hours(name, stated) / 24 if isinstance(stated, dict) else 365.0


def _trigger_conditions(
    name: str, triggers: Iterable[Resource]
) -> dict[str, Condition]:
    return {
        str(item.get("name")): _condition(name, item["condition"])
        for item in triggers
        if item.get("condition")
    }


def _steps(actions: Iterable[Resource]) -> Iterator[Resource]:
    """Yield the steps; each carries what the groups around it say, theirs first.

    A step's own extension replaces its group's of the same name.
    """
    for action in actions:
        inner = list_of(action.get("action"))
        if not inner:
            yield action
            continue
        shared = {name: list_of(action.get(name)) for name in INHERITED}
        for step in _steps(inner):
            both = {n: [*shared[n], *list_of(step.get(n))] for n in INHERITED}
            both["extension"] = [*list_of(step.get("extension")), *shared["extension"]]
            yield {**step, **both}


def _trigger(name: str, trigger: Resource) -> str:
    kind = str(trigger.get("name"))
    if kind not in set(EventKind):
        raise ContentError(f"{name} has an unknown trigger {kind!r}")
    return kind


def _actions(
    name: str, actions: Iterable[Resource], definitions: Mapping[str, Resource]
) -> tuple[PlanAction, ...]:
    """Read the steps in their order; a step may relate to one that comes before it."""
    known: dict[str, PlanAction] = {}
    for item in actions:
        step = _action(name, item, definitions, known)
        if step.id in known:
            raise ContentError(f"{name} has two actions {step.id!r}")
        known[step.id] = step
    return tuple(known.values())


def _action(
    name: str,
    action: Resource,
    definitions: Mapping[str, Resource],
    known: Mapping[str, PlanAction],
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
        timing=_timing(where, action, known),
        conditions=_conditions(where, conditions, "applicability"),
        stops=_conditions(where, conditions, "stop"),
        definition=url,
        why=read_text(action, f"{SD}why"),
        stops_if=read_text(action, f"{SD}stops-if"),
        priority=str(definition.get("priority") or "routine"),
        text=str(definition.get("description") or ""),
        owner=_owner(definition),
        other_channel=extension_value(action, f"{SD}other-channel") is True,
        asked=_word(where, action, "asked", ASKED),
        translated=read_step_words(action, f"{SD}why", f"{SD}stops-if"),
    )


def _owner(definition: Resource) -> str:
    roles = (item.get("role") for item in list_of(definition.get("participant")))
    found = (dict_of(role) for role in roles)
    return next((str(role["text"]) for role in found if role.get("text")), "")


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


def _timing(where: str, action: Resource, known: Mapping[str, PlanAction]) -> Timing:
    related = list_of(action.get("relatedAction"))
    if related:
        return _related_timing(where, action, related[0], known)
    anchor = _word(where, action, "anchor", ANCHORS)
    offset = _hours(where, action.get("timingDuration") or {})
    return Timing(anchor, offset, _window(where, action))


def _related_timing(
    where: str, action: Resource, related: Resource, known: Mapping[str, PlanAction]
) -> Timing:
    """Read ``relatedAction``: after-* or before-* a step that stands before it."""
    before = known.get(str(related.get("actionId")))
    if before is None:
        raise ContentError(
            f"{where}: it relates to {related.get('actionId')!r}, which is no step "
            "before it"
        )
    side = str(related.get("relationship")).partition("-")[0]
    if side not in ("after", "before"):
        raise ContentError(f"{where}: a relatedAction must lie before or after")
    offset = _hours(where, related.get("offsetDuration") or {})
    timing = before.timing
    hours = timing.offset_hours + (offset if side == "after" else -offset)
    return Timing(timing.anchor, hours, _window(where, action))


def _window(where: str, action: Resource) -> float:
    window = extension_value(action, f"{SD}window")
    if not isinstance(window, dict):
        raise ContentError(f"{where}: no window says until when it may be sent")
    return _hours(where, window)


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
    return f"{query}&{CODE_PARAMETER.get(resource_type, 'code')}={listed}"
