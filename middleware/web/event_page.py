"""One event as a story: received, read, decided, due, sent, answered.

Values of the chart are left out unless they are asked for; what is shown by default
names a patient by id only.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import NamedTuple

from mappings.nudge import WORDS, Fact, Nudge, NudgeState, Outcome, say_detail
from middleware.storage import console_reading as reading
from middleware.storage import decision_log, nudges, timeline
from middleware.storage.connecting import Tx
from middleware.storage.console_reading import DeliveryStep, EventHead
from middleware.storage.decision_log import DecisionRow
from middleware.web.words import ARRIVALS, CHANNELS, EVENTS, PlanWords

TONES = {
    Outcome.SEND: "ok",
    Outcome.HOLD: "info",
    Outcome.CANCEL: "off",
    Outcome.FAIL: "stop",
    Outcome.SKIP: "off",
    Outcome.NOT_DUE: "off",
}
STATE_TONES = {
    NudgeState.PLANNED: "info",
    NudgeState.HELD: "info",
    NudgeState.SENDING: "info",
    NudgeState.SENT: "ok",
    NudgeState.FAILED: "stop",
    NudgeState.SKIPPED: "off",
    NudgeState.CANCELLED: "off",
}


@dataclass(frozen=True)
class Basis:
    """What of one resource a verdict rests on; facts are (path, value)."""

    source: str
    facts: tuple[Fact, ...]

    @property
    def paths(self) -> str:
        """Return the elements by name, without what they say."""
        return ", ".join(fact.path for fact in self.facts)


@dataclass(frozen=True)
class Verdict:
    """One plan's yes or no with its why and what it rests on."""

    tone: str
    answer: str
    word: str
    plan: str
    action: str
    why: str
    detail: str
    basis: tuple[Basis, ...]


class Row(NamedTuple):
    """One line of the story; ``tone`` colours its word."""

    at: datetime
    place: int
    tone: str
    word: str
    text: str
    verdicts: tuple[Verdict, ...] = ()


@dataclass(frozen=True)
class EventPage:
    """An event with its story."""

    head: EventHead
    title: str
    rows: tuple[Row, ...]
    messages: tuple[Nudge, ...]


def read_event(tx: Tx, event_id: str, plans: PlanWords) -> EventPage | None:
    """Read one event's whole story; None when there is no such event."""
    head = reading.get_event_head(tx, event_id)
    if head is None:
        return None
    planned = nudges.list_event_nudges(tx, event_id)
    titles = {item.id: plans.action(item.plan, item.action) for item in planned}
    decided = decision_log.list_decisions(tx, event_id=event_id)
    arrival = tuple(_arrival(timeline.timeline(tx, event_id), head))
    rows = [
        *arrival,
        *_decided(decided, plans, head, max(row.at for row in arrival)),
        *_gates(decided, titles, plans),
        *(_due(item, titles, plans) for item in planned),
    ]
    for step in reading.list_event_deliveries(tx, event_id):
        rows.extend(_handed_over(step, titles, plans))
    if head.error:
        rows.append(_fault(head, max(row.at for row in arrival)))
    return EventPage(
        head=head,
        title=EVENTS[head.kind],
        rows=tuple(sorted(rows, key=lambda row: (row.at, row.place))),
        messages=tuple(planned),
    )


def _arrival(steps: list[timeline.Step], head: EventHead) -> Iterable[Row]:
    for step in steps:
        if step.step == "received":
            text = f"{ARRIVALS.get(step.text, step.text)}."
            yield Row(step.at, 0, "ok", "Received", text)
        elif step.step == "read chart":
            text = f"{head.focus}, version {head.focus_version}: {EVENTS[head.kind]}."
            yield Row(step.at, 1, "ok", "Read chart", text)


def _fault(head: EventHead, read_at: datetime) -> Row:
    """Return why nothing was decided on an event: for now, or for good."""
    if head.state == "dead":
        text = f"Deciding was given up after several tries: {head.error}"
        return Row(read_at, 2, "stop", "Given up", text)
    return Row(read_at, 2, "warn", "Failed", f"It is tried again. {head.error}")


def _decided(
    rows: list[DecisionRow], plans: PlanWords, head: EventHead, read_at: datetime
) -> Iterable[Row]:
    first = [row for row in rows if row.stage == "decide"]
    for at, group in groupby(first, key=lambda row: row.decided_at):
        verdicts = tuple(_verdict(row, plans) for row in group)
        yes = sum(item.answer == "Yes" for item in verdicts)
        text = f"{yes} of {len(verdicts)} possible steps apply."
        yield Row(at, 3, "ok" if yes else "off", "Decided", text, verdicts)
    if not first and head.state == "done":
        text = "No plan that is on is about this kind of event."
        yield Row(read_at, 3, "off", "Decided", text)


def _gates(
    rows: list[DecisionRow], titles: dict[str, str], plans: PlanWords
) -> Iterable[Row]:
    """Each look just before sending, on a chart that is read again, and after a save."""
    for row in rows:
        if row.stage == "decide":
            continue
        verdict = _verdict(row, plans)
        title = titles.get(row.nudge_id or "", row.action)
        sends = row.verdict.outcome is Outcome.SEND
        saved = row.stage == decision_log.DESK
        how = "somebody saved a change" if saved else "the chart was read again"
        text = f"{title}: {how}."
        word = "Checked" if sends else verdict.word
        yield Row(row.decided_at, 5, verdict.tone, word, text, (verdict,))


def _verdict(row: DecisionRow, plans: PlanWords) -> Verdict:
    outcome = row.verdict.outcome
    grouped = groupby(
        row.verdict.facts, key=lambda fact: (fact.reference, fact.version)
    )
    basis = tuple(
        Basis(f"{name}, version {version}" if version else name, tuple(facts))
        for (name, version), facts in grouped
    )
    answers = {Outcome.SEND: "Yes", Outcome.NOT_DUE: "No", Outcome.CANCEL: "No"}
    return Verdict(
        tone=TONES[outcome],
        answer=answers.get(outcome, WORDS[outcome]),
        word=WORDS[outcome],
        plan=plans.title(row.plan),
        action=plans.action(row.plan, row.action),
        why=plans.reason(row.verdict.reason),
        detail=say_detail(row.verdict.detail),
        basis=basis,
    )


def _due(nudge: Nudge, titles: dict[str, str], plans: PlanWords) -> Row:
    words = {
        NudgeState.PLANNED: "Planned for this time.",
        NudgeState.SENDING: "On its way.",
        NudgeState.SENT: "It was due.",
    }
    told = words.get(nudge.state) or (
        f"{nudge.state.value.capitalize()}: {plans.reason(nudge.reason)}"
    )
    return Row(
        nudge.due_at, 4, STATE_TONES[nudge.state], "Due", f"{titles[nudge.id]}. {told}"
    )


def _handed_over(
    step: DeliveryStep, titles: dict[str, str], plans: PlanWords
) -> Iterable[Row]:
    title, how = titles[step.nudge_id], CHANNELS.get(step.channel, step.channel)
    why = f" {plans.reason(step.reason)}" if step.reason else ""
    tone, word = {
        "failed": ("stop", "Failed"),
        "unknown": ("warn", "Not known"),
        "sending": ("info", "Sending"),
    }.get(step.state, ("ok", "Sent"))
    at = step.sent_at or step.sending_at
    yield Row(at, 6, tone, word, f"{title}, by {how}.{why}")
    if step.delivered_at:
        yield Row(step.delivered_at, 7, "ok", "Delivered", f"{title}, by {how}.")
    if step.answered_at:
        text = f"{title}: the patient answered by {how}."
        yield Row(step.answered_at, 8, "ok", "Answered", text)
