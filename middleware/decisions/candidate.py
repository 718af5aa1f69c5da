"""The candidate: one step of a plan with its verdict, its words and its sentences."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from mappings.asking import NEEDS_PERSON
from mappings.codes import disposition_codings
from mappings.nudge import Fact, Nudge, Outcome, Verdict
from mappings.plan import Plan, PlanAction, Timing
from middleware.decisions.circumstance import Step
from middleware.decisions.focus import died_of_appointment
from middleware.decisions.routing import Route
from middleware.decisions.sentences import (
    ENGLISH,
    Places,
    places_of,
    sentence,
    spell_places,
)
from middleware.decisions.timing import next_close
from middleware.decisions.wording import Words

PER_PATIENT = frozenset(
    {
        "minor",
        "confidential",
        "language-missing",
        "wording-missing",
        "wording-not-reviewed",
        "record-inactive",
        "long-silent",
        "pregnancy-loss",
        "hours-never-meet",
    }
)
URGENT = frozenset(
    {
        "disposition-unknown",
        "disposition-other",
        "disposition-died",
        "deceased",
        "sensitive",
    }
)


@dataclass(frozen=True)
class StaffTask:
    """What a person is asked to do. ``key`` makes it once per cause.

    ``priority`` is a FHIR request priority; ``due_at`` None means no deadline; ``owner``
    is the role that is asked, "" for whoever looks first.
    """

    key: str
    reason: str
    text: str
    priority: str
    due_at: datetime | None = None
    owner: str = ""


@dataclass(frozen=True)
class Candidate:
    """One intended message (or staff task) and what was decided about it.

    ``due_at`` already lies in permitted hours; for a task it is the deadline. ``task``
    is set when a person is to be asked now. ``text`` is finished words, or empty.
    ``places`` are what the variables of its sentences stand for.
    """

    key: str
    plan: Plan
    action: PlanAction
    focus: str
    occasion: str
    recipient: str
    verdict: Verdict
    due_at: datetime
    expires_at: datetime
    channel: str | None = None
    address: str | None = None
    language: str | None = None
    text: str = ""
    subject: str = ""
    title: str = ""
    why: str = ""
    stops: str = ""
    kind: str = "message"
    task: StaffTask | None = None
    reviewer: str = ""
    reviewed: str = ""
    places: Places | None = None

    @property
    def is_planned(self) -> bool:
        """Tell whether it waits for its time: a message, or a task that is not yet due."""
        lasting = self.verdict.outcome in (Outcome.SEND, Outcome.HOLD)
        waits = self.action.waits and self.task is None
        return lasting and (self.kind == "message" or waits)

    def with_verdict(self, verdict: Verdict) -> Candidate:
        """Return the same candidate with another verdict."""
        return replace(self, verdict=verdict)


def describe(
    step: Step,
    verdict: Verdict,
    due: datetime,
    expires: datetime,
    *,
    route: Route | None = None,
    words: Words | None = None,
) -> Candidate:
    """Put a candidate together, with the sentences that people read while it waits."""
    lasting = verdict.outcome in (Outcome.SEND, Outcome.HOLD)
    places = places_of(step)
    why, stops = _sentences(step.action, places) if lasting else ("", "")
    language = route.language if route else step.case.profile.language
    return Candidate(
        key=step.key,
        plan=step.plan,
        action=step.action,
        focus=step.reference,
        occasion=step.occasion,
        recipient=(route.recipient if route else "") or step.recipient,
        verdict=verdict,
        due_at=due,
        expires_at=expires,
        channel=route.channel if route else None,
        address=route.address if route else None,
        language=(words.language if words else "")
        or (language.value if language else None),
        text=words.text if words else "",
        subject=words.subject if words else "",
        title=step.action.title,
        why=why,
        stops=stops,
        kind=step.action.kind,
        task=_task(step, verdict, due),
        reviewer=words.reviewer if words else "",
        reviewed=words.reviewed if words else "",
        places=places,
    )


def _sentences(action: PlanAction, places: Places) -> tuple[str, str]:
    values = spell_places(places, ENGLISH)
    return sentence(action.why, values), sentence(action.stops_if, values)


def _task(step: Step, verdict: Verdict, due: datetime) -> StaffTask | None:
    """Return the task for a task step that is due, or for a hold only people can end."""
    if step.action.kind == "task" and verdict.outcome is Outcome.SEND:
        return _step_task(step, due)
    text = NEEDS_PERSON.get(verdict.reason)
    focus = step.focus or {}
    if verdict.reason == "deceased" and died_of_appointment(focus):
        text = NEEDS_PERSON["disposition-died"]
    if verdict.reason == "disposition-unknown" and not disposition_codings(focus):
        # What is merely late is waited for: a step of the plan asks, hours later.
        return None
    if text is None:
        return None
    patient = step.case.profile.patient
    about = patient if verdict.reason in PER_PATIENT else step.reference
    return StaffTask(
        key=f"{verdict.reason}|{about}",
        reason=verdict.reason,
        text=text,
        priority="urgent" if verdict.reason in URGENT else "routine",
    )


def _step_task(step: Step, due: datetime) -> StaffTask | None:
    """Return the task of a step, or None where its time to be asked has not come."""
    case = step.case
    if step.action.waits:
        if due > case.now:
            return None
        due = next_close(case.now, case.zone, case.endpoint.site.holidays)
    return StaffTask(
        key=step.key,
        reason=f"{step.plan.id}-{step.action.id}",
        text=step.action.text,
        priority=step.action.priority,
        due_at=due,
        owner=step.action.owner,
    )


def stand_in(nudge: Nudge) -> tuple[Plan, PlanAction]:
    """Return a plan and step for a nudge whose own are no longer in the library."""
    action = PlanAction(
        id=nudge.action,
        title=nudge.title,
        kind="message",
        timing=Timing("event", 0, 0),
        conditions=(),
        stops=(),
        definition="",
        why=nudge.why,
        stops_if=nudge.stops,
    )
    plan = Plan(
        url=nudge.plan,
        version=nudge.plan_version,
        id=nudge.plan.rsplit("/", 1)[-1],
        title=nudge.title,
        topic=nudge.topic,
        triggers=(),
        actions=(action,),
        data=(),
        priority=nudge.priority,
    )
    return plan, action


def merge_facts(*groups: tuple[Fact, ...]) -> tuple[Fact, ...]:
    """Return facts in order, each once."""
    return tuple(dict.fromkeys(item for group in groups for item in group))
