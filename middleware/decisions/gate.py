"""The gate: every check in its fixed order; the first that fails is the reason.

Hard stops, the focus's truth, the plan's own conditions, holds set by people,
confidentiality, consent, language, wording, hours, limits.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from mappings.instants import find_instant
from mappings.nudge import NOT_KNOWN, NOT_SO, REASONS, Fact, Outcome, Verdict
from mappings.plan import Condition
from mappings.resource import first_at, values_at
from middleware.decisions.addressing import addressed, wanted_way
from middleware.decisions.candidate import Candidate, describe, merge_facts
from middleware.decisions.circumstance import Step
from middleware.decisions.conditions import Answer, Environment, answer, evidence
from middleware.decisions.dated import GONE
from middleware.decisions.environment import Circumstances, make_environment
from middleware.decisions.evidence import fact, key_facts, sourced_fact
from middleware.decisions.focus import check_focus, same_day_visits
from middleware.decisions.generic import choose_definition
from middleware.decisions.joining import Gap, gap_facts, open_gaps
from middleware.decisions.rollout import why_not
from middleware.decisions.routing import Route, choose_route
from middleware.decisions.safety import (
    check_pause,
    check_reading,
    check_replies,
    check_switches,
)
from middleware.decisions.scheduling import READY, choose_time, planned_time
from middleware.decisions.stopping import (
    in_hospice,
    is_after_loss,
    is_minor,
    is_sensitive,
    is_silent,
    stopped_for_good,
)
from middleware.decisions.visits import is_elsewhere, names_others
from middleware.decisions.wording import (
    Words,
    plain_words,
    variables,
    visit_words,
    write_words,
)

FRESH = timedelta(seconds=60)
STAYS = ("hospitalization", "admission")  # R4 and R5


def judge(
    step: Step,
    due: datetime,
    expires: datetime,
    *,
    early: Condition | None,
    at_send: bool,
) -> Candidate:
    """Pass a step through every check; ``early`` is the trigger's own condition.

    ``due`` is before permitted hours; the candidate's lies in them. At send time the
    hours and limits are those of the present instant.
    """
    verdict = _stopped(step, early) or _held(step, due, at_send=at_send)
    if step.action.kind == "task":
        return finish(step, verdict or READY, due, expires)
    if verdict is not None:
        return finish(step, verdict, planned_time(step, due), expires)
    route, words, verdict = prepare(step)
    step = addressed(step, route)
    if verdict is None:
        due, verdict = choose_time(
            step, due, expires, at_send=at_send, channel=route.channel or ""
        )
    else:
        due = planned_time(step, due)
    return finish(step, verdict, due, expires, route=route, words=words)


def finish(
    step: Step,
    verdict: Verdict,
    due: datetime,
    expires: datetime,
    *,
    route: Route | None = None,
    words: Words | None = None,
) -> Candidate:
    """Put together what was found of a step."""
    facts = merge_facts(verdict.facts, _base_facts(step), route.facts if route else ())
    if verdict.outcome is Outcome.SEND:
        if step.action.kind == "message":
            known = (_personal_facts(step, route), gap_facts(_gaps(step)))
            facts = merge_facts(facts, *known)
        if step.case.now >= expires:
            verdict = Verdict(Outcome.CANCEL, "window-passed")
    complete = replace(verdict, facts=facts)
    return describe(step, complete, due, expires, route=route, words=words)


def _base_facts(step: Step) -> tuple[Fact, ...]:
    if step.focus is None:
        return ()
    focus = step.focus
    found = list(step.case.once(("key", step.reference), lambda: key_facts(focus)))
    ends = (f"{name}.dischargeDisposition.coding" for name in STAYS)
    found.extend(fact(step.focus, path) for path in ends if values_at(step.focus, path))
    if step.activity is not None:
        day = f"{step.activity.status}, {step.activity.day.isoformat()}"
        found.append(fact(step.activity.source, step.activity.path, day))
    return tuple(found)


def _personal_facts(step: Step, route: Route | None) -> tuple[Fact, ...]:
    """Name language, zone and life: what every message that goes rests on."""
    profile, patient = step.case.profile, step.case.chart.patient
    versions = profile.detail.get("versions", {})
    found = [fact(patient, "deceased", "not recorded")]
    if "deceasedBoolean" in patient:
        found = [fact(patient, "deceasedBoolean")]
    for name, sourced in (
        ("language", route.language if route else profile.language),
        ("zone", profile.zones),
        ("window", profile.window),
    ):
        if sourced is not None:
            found.append(sourced_fact(name, sourced, versions.get(profile.patient)))
    return tuple(found)


# --- what ends it ---------------------------------------------------------------


def _stopped(step: Step, early: Condition | None) -> Verdict | None:
    """Return the verdict of the hard stops, the focus and the plan's conditions."""
    case = step.case
    kind = step.reference.partition("/")[0]
    verdict = stopped_for_good(step) or check_focus(
        step.reference,
        step.focus,
        step.occasion,
        step.plan,
        patients=(case.profile.patient, *case.own.replaced),
        missing=kind in case.chart.incomplete,
    )
    if verdict is not None:
        return verdict
    if off := _why_not(step):
        return Verdict(Outcome.CANCEL, off)
    if step.plan.occasion in GONE and step.activity is None:
        return Verdict(Outcome.CANCEL, GONE[step.plan.occasion])
    return _conditions(step, early) or in_hospice(case) or is_after_loss(step)


def _why_not(step: Step) -> str:
    """Return why the plan of a step says nothing to this patient, or empty."""
    case, plan = step.case, step.plan
    parts = (plan, case.endpoint, case.profile.patient, case.now)
    return case.once(("why not", plan.url), lambda: why_not(*parts))


def _conditions(step: Step, early: Condition | None) -> Verdict | None:
    """Return the first definite refusal; where there is none, what is unknown."""
    environment = _environment(step)
    unknown: Answer | None = None
    before = (early,) if early is not None else ()
    for condition, stops in (
        *((item, False) for item in (*before, *step.action.conditions)),
        *((item, True) for item in step.action.stops),
    ):
        found = answer(condition, environment)
        if found.value is None:
            unknown = unknown or replace(found, detail=condition.sentence)
        elif found.value is stops:
            return _refusal(condition, environment, stops=stops)
    if unknown is None:
        return None
    return Verdict(Outcome.HOLD, unknown.reason, detail=f"{NOT_KNOWN}{unknown.detail}")


def _refusal(condition: Condition, environment: Environment, *, stops: bool) -> Verdict:
    found = evidence(condition, environment)
    facts = (item for resource in found for item in key_facts(resource))
    prefix = "" if stops else NOT_SO
    return Verdict(
        REASONS[condition.reason].outcome,
        condition.reason,
        tuple(facts),
        detail=f"{prefix}{condition.sentence}",
    )


def _gaps(step: Step) -> tuple[Gap, ...]:
    """Return the other gaps of its bundle that a message about this one tells of."""
    return open_gaps(step, _is_closed)


def _is_closed(step: Step) -> bool:
    case = step.case
    if step.focus is None or _why_not(step):
        return True
    held = check_switches(step.plan, case.own, case.endpoint)
    return (held or _conditions(step, None)) is not None


def _environment(step: Step) -> Environment:
    """Return the environment of a step; steps about the same thing share one."""
    day = step.occasion if step.activity else ""
    key = ("environment", step.reference, step.event, day, step.trigger is None)
    return step.case.once(key, lambda: _make_environment(step))


def _make_environment(step: Step) -> Environment:
    case = step.case
    about = Circumstances(
        focus=step.focus or {},
        event=step.event,
        now=case.now,
        zone=case.zone,
        activity=step.activity,
        trigger=step.trigger,
        kind=step.kind,
    )
    return make_environment(case.chart, case.own, case.library, case.endpoint, about)


# --- what holds it --------------------------------------------------------------


def _held(step: Step, due: datetime, *, at_send: bool) -> Verdict | None:
    """Return the first hold that no wording, route or hour can lift."""
    case = step.case
    if at_send and case.now - case.chart.read_at > FRESH:
        return Verdict(Outcome.HOLD, "facts-stale", until=case.now)
    switched = check_switches(step.plan, case.own, case.endpoint)
    if step.action.kind == "task" or switched is not None:
        return switched
    return _first(
        check_reading(case.chart, case.endpoint, at_send=at_send),
        check_pause(case.profile, case.now if at_send else max(due, case.now)),
        check_replies(case.own),
        is_minor(step),
        is_silent(step),
        is_sensitive(step, generic=step.plan.sensitive == "generic"),
        names_others(step),
        is_elsewhere(step),
    )


def _first(*verdicts: Verdict | None) -> Verdict | None:
    return next((item for item in verdicts if item is not None), None)


# --- whom, how, in which words --------------------------------------------------


def prepare(step: Step) -> tuple[Route, Words | None, Verdict | None]:
    """Return whom it reaches and how, in which words, and what that lacks."""
    case = step.case
    parts = (case.profile, case.own, case.endpoint, wanted_way(step))
    route = case.once(("route", parts[-1]), lambda: choose_route(*parts))
    if route.verdict is not None or route.channel is None:
        return route, None, route.verdict
    if route.language is None:
        known = fact(case.chart.patient, "communication.language")
        return route, None, Verdict(Outcome.HOLD, "language-missing", (known,))
    words = _words(step, route, route.language.value)
    if not words.reason:
        return route, words, None
    versions = case.profile.detail.get("versions", {})
    known = sourced_fact("language", route.language, versions.get(route.recipient))
    detail = "; ".join(words.faults)
    return route, words, Verdict(Outcome.HOLD, words.reason, (known,), detail=detail)


def _words(step: Step, route: Route, language: str) -> Words:
    case = step.case
    visit = step.focus or {}
    moment = find_instant(visit.get("start"))
    values = variables(
        case.endpoint.site,
        "" if route.shared or route.confidential else case.profile.given,
        language,
        step.activity.day if step.activity else moment,
        case.zone,
        count=1 + len(_gaps(step)),
    )
    if route.channel == "screen":
        values["goal"] = plain_words(first_at(step.focus, "description.text"))
    if visit.get("resourceType") == "Appointment":
        others = same_day_visits(case.chart, visit, case.zone)
        values |= visit_words(visit, others, language, case.zone)
    definition = choose_definition(step, route, language)
    return write_words(case.library, definition, str(route.channel), language, values)
