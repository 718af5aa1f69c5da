"""Several gaps in one message: the steps of a bundle's plans that fall together.

The most urgent leads and its wording says how many there are; the others end as
``joined`` and may be planned again by a later look at the chart. How many there are is
counted in the chart each time that the words are written: a gap that closed meanwhile
is not counted, and the lead itself ends with its own. Staff who would be asked the same
for several gaps are asked once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace

from mappings.nudge import Fact, Outcome, Verdict
from mappings.plan import Plan, PlanAction
from middleware.decisions.candidate import Candidate, merge_facts
from middleware.decisions.circumstance import Step
from middleware.decisions.dated import OF_THE_PATIENT

# Holds that are about one plan alone: what waits for them waits by itself.
OWN_HOLDS = frozenset(
    {"data-missing", "plan-unknown", "ehr-unreachable", "switched-off"}
)
_Group = tuple[str | int, ...]
Gap = tuple[Plan, PlanAction]


def join_candidates(found: Sequence[Candidate]) -> tuple[Candidate, ...]:
    """Return the candidates in their order, those that go with another one joined."""
    groups: dict[_Group, list[Candidate]] = {}
    for item in found:
        group = _group_of(item)
        if group is not None:
            groups.setdefault(group, []).append(item)
    leads = {
        id(item): lead
        for members in groups.values()
        for item, lead in _led(members)
        if lead.plan.id != item.plan.id
    }
    return tuple(
        _joined(item, leads[id(item)]) if id(item) in leads else item for item in found
    )


def _group_of(item: Candidate) -> _Group | None:
    """Return what must be the same for two candidates to be one message."""
    verdict = item.verdict
    waits = verdict.reason if verdict.outcome is Outcome.HOLD else ""
    lasting = verdict.outcome in (Outcome.SEND, Outcome.HOLD)
    if not item.plan.bundle or not lasting or waits in OWN_HOLDS:
        return None
    place = _place(item.plan, item.action)
    if place is None:
        return None
    # Staff are asked once where they would be asked the same.
    task = item.action.definition if item.kind == "task" else ""
    plan = item.plan
    return plan.bundle, plan.topic, place, item.recipient, waits, task


def _place(plan: Plan, action: PlanAction) -> int | None:
    """Return which step of its plan an action is; None when it is none any more."""
    ids = [step.id for step in plan.actions]
    return ids.index(action.id) if action.id in ids else None


def _led(members: Iterable[Candidate]) -> Iterator[tuple[Candidate, Candidate]]:
    """Yield each with the most urgent one that it can go out with, itself perhaps."""
    leads: list[Candidate] = []
    for item in sorted(members, key=lambda one: (one.plan.priority, one.plan.id)):
        lead = next((one for one in leads if _together(one, item)), item)
        if lead is item:
            leads.append(item)
        yield item, lead


def _together(one: Candidate, other: Candidate) -> bool:
    """Tell whether there is a time at which both may be sent."""
    return one.due_at < other.expires_at and other.due_at < one.expires_at


def _joined(item: Candidate, lead: Candidate) -> Candidate:
    known = Fact(
        f"PlanDefinition/{lead.plan.id}", lead.plan.version, "action", lead.action.id
    )
    facts = merge_facts(item.verdict.facts, (known,))
    detail = f"it goes out with {lead.plan.title}"
    verdict = Verdict(Outcome.CANCEL, "joined", facts, detail=detail)
    return replace(item, verdict=verdict, task=None)


def open_gaps(step: Step, closed: Callable[[Step], bool]) -> tuple[Gap, ...]:
    """Return the steps of other plans whose gap a message about this one tells of too.

    ``closed`` tells whether a step's plan does not apply, or is not known to; it is
    asked once for a case. Plans that nothing in common starts have nothing to say to
    each other.
    """
    mine = step.plan
    place = _place(mine, step.action) if mine.bundle else None
    if place is None:
        return ()
    started = frozenset(mine.triggers)
    found = (
        (plan, plan.actions[place])
        for plan in step.case.library.bundles.get(mine.bundle, ())
        if plan.id != mine.id
        and plan.topic == mine.topic
        and not started.isdisjoint(plan.triggers)
        and place < len(plan.actions)
    )
    return tuple(
        gap for gap in found if gap[1].kind == "message" and _is_open(step, gap, closed)
    )


def _is_open(step: Step, gap: Gap, closed: Callable[[Step], bool]) -> bool:
    """Tell whether the same step of another plan applies to the same patient."""
    plan, action = gap
    whole = plan.occasion in OF_THE_PATIENT
    reference = step.recipient if whole else step.reference
    about = (plan.id, action.id, reference, step.trigger is None)

    def look() -> bool:
        focus = step.case.chart.find(reference)
        beside = replace(
            step, plan=plan, action=action, reference=reference, focus=focus
        )
        return not closed(beside)

    return step.case.once(("open", *about), look)


def gap_facts(gaps: Iterable[Gap]) -> tuple[Fact, ...]:
    """Name the plans whose gaps are told of with another's."""
    return tuple(
        Fact(f"PlanDefinition/{plan.id}", plan.version, "action", action.id)
        for plan, action in gaps
    )
