"""Checking content before it is used: structure, FHIRPath, codes, wordings.

Each fault is one sentence that names the plan or message; none means usable.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime

from mappings.endpoint import Site
from mappings.nudge import REASONS
from mappings.plan import Condition, Library, Plan, PlanAction, Wording
from middleware.decisions.conditions import compile_condition, mentioned
from middleware.decisions.environment import VARIABLES
from middleware.decisions.examples import list_unclear
from middleware.decisions.fatigue import is_discretionary
from middleware.decisions.reading import reading_fault
from middleware.decisions.translating import (
    SENTENCE_VALUES,
    title_faults,
    translation_faults,
)
from middleware.decisions.wording import check_wording, fill, variables

BUILT_IN = frozenset({"context", "ucum", "sct", "loinc"})
MOST_WORDS = 30
# People answer these with what ails them, and nobody watches day and night: always, and
# about a long illness where a question is asked or a number is to be answered.
THREADS = frozenset({"post-discharge", "ed-followup"})
ASKING = frozenset({"chronic-care"})
_ASKS = re.compile(r"[?？؟]|(?<![\d/])[12](?![\d/])")
ANSWERED = frozenset({"sms", "email"})
EMERGENCY = "911"
SAMPLE_GOAL = "walk to the lake with my grandchildren again"
_SET = re.compile(r"\.(?:coded|memberOf)\('([^'|]*)(?:\|[^']*)?'\)")
_SAMPLE_SITE = Site(
    name="Northside Family Clinic",
    phone="(415) 555-0100",
    booking_url="https://northside.example.org/book",
    zone="America/Los_Angeles",
)
_SAMPLE_JOIN = "https://video.example.org/r/4f2a9c"
# A Wednesday in September: among the longest days to write in either language.
_SAMPLE_MOMENT = datetime(2026, 9, 30, 17, 30, tzinfo=UTC)

# One gap, few (some languages have a form for them) and many.
_SAMPLE_COUNTS = (1, 2, 3, 12)


def check_library(library: Library) -> tuple[str, ...]:
    """Return every fault of the content, in a stable order."""
    return (
        *(fault for plan in library.plans for fault in _plan_faults(plan, library)),
        *(fault for item in library.wordings for fault in _wording_faults(item)),
    )


def _plan_faults(plan: Plan, library: Library) -> Iterator[str]:
    yield from _budget_faults(plan)
    yield from _thread_faults(plan, library)
    mixed = {item.topic for item in library.bundles.get(plan.bundle, (plan,))}
    if len(mixed) > 1:
        yield f"{plan.id}: its bundle {plan.bundle!r} mixes topics"
    for condition in plan.trigger_conditions.values():
        yield from _condition_faults(f"{plan.id}, trigger", condition, library)
    yield from list_unclear(plan, library)
    yield from title_faults(plan)
    for action in plan.actions:
        where = f"{plan.id}, {action.id}"
        for condition in (*action.conditions, *action.stops):
            yield from _condition_faults(where, condition, library)
        yield from _sentence_faults(where, action)
        yield from translation_faults(where, action)
        if action.kind == "message" and not any(
            item.definition == action.definition and item.language == "en"
            for item in library.wordings
        ):
            yield f"{where}: there is no English wording"
        if action.timing.window_hours <= 0:
            yield f"{where}: its window is empty"


def _budget_faults(plan: Plan) -> Iterator[str]:
    if not plan.counts and is_discretionary(plan.topic):
        yield f"{plan.id}: only visit and safety messages are never held by the limits"


def _thread_faults(plan: Plan, library: Library) -> Iterator[str]:
    """Find first messages of a thread that do not say what to do in an emergency."""
    messages = [item for item in plan.actions if item.kind == "message"]
    if plan.topic not in THREADS | ASKING or not messages:
        return
    first = min(messages, key=lambda item: item.timing.offset_hours)
    for wording in library.wordings:
        mine = wording.definition == first.definition and wording.channel in ANSWERED
        thread = plan.topic in THREADS or _ASKS.search(wording.text)
        if mine and thread and EMERGENCY not in wording.text:
            where = f"{plan.id}, {first.id}, {wording.channel}, {wording.language}"
            yield f"{where}: it does not say to call {EMERGENCY} in an emergency"


def _condition_faults(
    where: str, condition: Condition, library: Library
) -> Iterator[str]:
    if condition.reason not in REASONS:
        yield f"{where}: {condition.reason!r} is no known reason"
    if not condition.sentence:
        yield f"{where}: condition {condition.reason!r} has no sentence"
    try:
        compile_condition(condition)
    except Exception as error:  # noqa: BLE001 - the parser raises bare Exception
        name = type(error).__name__
        yield f"{where}: condition {condition.reason!r} does not compile ({name})"
    for name in sorted(mentioned(condition.expression) - VARIABLES - BUILT_IN):
        yield f"{where}: condition {condition.reason!r} asks for unknown %{name}"
    for name in _SET.findall(condition.expression):
        if name not in library.value_sets:
            yield f"{where}: there is no value set {name!r}"


def _sentence_faults(where: str, action: PlanAction) -> Iterator[str]:
    try:
        why = fill(action.why, SENTENCE_VALUES)
        stops = fill(action.stops_if, SENTENCE_VALUES)
    except Exception as error:  # noqa: BLE001 - Jinja2 raises several kinds
        yield f"{where}: its sentences cannot be filled in ({type(error).__name__})"
        return
    if not why or not stops:
        yield f"{where}: it does not say why, or what stops it"
    if len(f"{why} {stops}".split()) >= MOST_WORDS:
        yield f"{where}: its sentences have {MOST_WORDS} words or more"


def _wording_faults(wording: Wording) -> Iterator[str]:
    name = wording.definition.rsplit("/", 1)[-1]
    where = f"{name}, {wording.channel}, {wording.language}"
    faults: dict[str, None] = {}
    for count in _SAMPLE_COUNTS:
        values = variables(
            _SAMPLE_SITE,
            "Maximiliana",
            wording.language,
            _SAMPLE_MOMENT,
            _SAMPLE_SITE.zone,
            count=count,
        )
        values["goal"] = SAMPLE_GOAL
        values["join"] = _SAMPLE_JOIN
        faults |= dict.fromkeys(check_wording(wording, values))
    yield from (f"{where}: {fault}" for fault in faults)
    hard = reading_fault(wording.text, wording.language)
    if hard:
        yield f"{where}: {hard}"
