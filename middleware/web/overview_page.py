"""What the console's first page says: the worst thing first, with its proof."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from mappings.event import NOTES
from middleware.storage import (
    circuits,
    controls,
    endpoints,
    marks,
    overview,
    schedule,
    story,
    subscriptions,
    switches,
    tasks,
)
from middleware.storage import conditions as standing
from middleware.storage import console_reading as reading
from middleware.storage.connecting import Tx
from middleware.storage.subscriptions import SubscriptionRow
from middleware.storage.switches import SwitchRow
from middleware.web.endpoint_row import APP_ALONE, EndpointRow, controlled, read_row
from middleware.web.problems import INCOMPLETE, find_problems
from middleware.web.sight import Problem, Sight
from middleware.web.words import PlanWords, ago, count
from subscriptions.recovery import Condition

BACKLOG = 1000
TICK = "janitor"
WEEK = timedelta(days=7)
REPLIES = ("reply", "reply-needs-person")


@dataclass(frozen=True)
class Proof:
    """One check with what it saw."""

    kind: str
    name: str
    said: str


@dataclass(frozen=True)
class Counts:
    """The numbers of the page."""

    events: int
    sent: int
    delivered: int
    planned: int
    held: int
    cancelled: int
    failed: int
    tasks: int


@dataclass(frozen=True)
class Page:
    """Everything on the first page; ``problems`` has the worst first.

    ``sentences`` say by subscription what its controller does; ``conditions`` are the
    subscriptions' by id.
    """

    problems: tuple[Problem, ...]
    healthy: tuple[str, ...]
    proof: tuple[Proof, ...]
    endpoints: tuple[EndpointRow, ...]
    subscriptions: tuple[SubscriptionRow, ...]
    sentences: Mapping[str, str]
    conditions: Mapping[str, Condition]
    counts: Counts
    switches: tuple[SwitchRow, ...]


def read_overview(
    tx: Tx, now: datetime, plans: PlanWords, content_fault: str = ""
) -> Page:
    """Read and judge everything that the first page shows.

    ``content_fault`` says why this process cannot use the content.
    """
    known = endpoints.list_endpoints(tx)
    work = reading.count_endpoint_work(tx)
    rows = tuple(
        read_row(tx, item, work.get(item.id, reading.EndpointWork(item.id)), now)
        for item in known
    )
    found = overview.count_all(tx)
    holds = tuple(switches.list_switches(tx))
    counts = _counts(found)
    seen = (rows, holds, counts, found)
    sight = _see(tx, now, plans, seen, content_fault)
    mine = [row for item in known for row in _subscribed(tx, item.id)]
    return Page(
        problems=find_problems(sight),
        healthy=_healthy(rows, now),
        proof=_proof(sight, found),
        endpoints=rows,
        subscriptions=tuple(mine),
        sentences={row.id: controlled(row) for row in controls.list_controls(tx)},
        conditions={row.id: row.condition for row in standing.list_watched(tx)},
        counts=counts,
        switches=holds,
    )


def _see(
    tx: Tx,
    now: datetime,
    plans: PlanWords,
    seen: tuple[
        tuple[EndpointRow, ...], tuple[SwitchRow, ...], Counts, overview.Overview
    ],
    content_fault: str,
) -> Sight:
    """Read what is judged beside what the page shows anyway."""
    rows, holds, counts, found = seen
    periodic = schedule.list_errors(tx)
    content = periodic.pop(schedule.CONTENT, "")
    return Sight(
        now=now,
        endpoints=rows,
        last_tick=story.last_finished(tx, TICK),
        restore_unchecked=marks.read_mark(tx, marks.RESTORE_UNCHECKED) is not None,
        holds=tuple(plans.target(item.scope, item.target) for item in holds),
        all_held=any(item.scope == "all" for item in holds),
        replies=_replies(tx),
        tasks=counts.tasks,
        dead=sum(found.dead.values()),
        failed=counts.failed,
        waiting=_backlog(found),
        periodic=periodic,
        content=content_fault or content,
        passed_over=reading.count_notes(tx, now - WEEK),
        left_alone=tuple(circuits.list_shut(tx, now)),
        ending=plans.ending(now),
    )


def _subscribed(tx: Tx, endpoint_id: str) -> list[SubscriptionRow]:
    rows = subscriptions.list_subscriptions(tx, endpoint_id)
    return sorted(rows, key=lambda row: row.resource_type)


def _counts(found: overview.Overview) -> Counts:
    delivered = found.deliveries.get("delivered", 0)
    return Counts(
        events=found.events,
        sent=delivered + found.deliveries.get("sent", 0),
        delivered=delivered,
        planned=found.nudges_in("planned"),
        held=found.nudges_in("held"),
        cancelled=found.nudges_in("cancelled"),
        failed=found.nudges_in("failed"),
        tasks=found.tasks_open,
    )


def _replies(tx: Tx) -> int:
    rows = tasks.list_open_tasks(tx)
    return sum(row.reason in REPLIES for row in rows)


def _backlog(found: overview.Overview) -> int:
    return sum(n for stage, n in found.waiting.items() if stage != "deliver")


def _healthy(rows: tuple[EndpointRow, ...], now: datetime) -> tuple[str, ...]:
    seen = [row.last_notification for row in rows if row.last_notification]
    who = (
        "The endpoint is healthy."
        if len(rows) == 1
        else f"All {len(rows)} endpoints are healthy."
    )
    if not seen:
        return who, "No notification has come yet."
    return who, f"Last notification {ago(max(seen), now)}."


def _passed_over(sight: Sight) -> tuple[str, str, str]:
    """Return the check of what was read and led to no event, each note with its count."""
    totals = {
        note: sum(n for (_, name), n in sight.passed_over.items() if name == note)
        for note in NOTES
    }
    said = ", ".join(
        f"{total:,} {note.replace('-', ' ')}" for note, total in totals.items() if total
    )
    faulty = any(totals[note] for note in INCOMPLETE)
    return "warn" if faulty else "ok", "Passed over in a week", said or "nothing"


def _left_alone(sight: Sight) -> tuple[str, str, str]:
    alone = ", ".join(f"{row.name} left alone" for row in sight.left_alone)
    return "warn" if alone else "ok", "Channels and EHRs answer", alone or "all"


def _proof(sight: Sight, found: overview.Overview) -> tuple[Proof, ...]:
    rows = sight.endpoints
    fine = sum(row.read.tone == "ok" for row in rows)
    meant = sum(row.read != APP_ALONE for row in rows)
    polls = [row.last_poll for row in rows if row.last_poll]
    seen = [row.last_notification for row in rows if row.last_notification]
    fault = next((f"{name}: {why}" for name, why in sight.periodic.items()), None)
    return (
        Proof(
            "stop" if sight.worker_silent else "ok",
            "Worker ticks",
            ago(sight.last_tick, sight.now),
        ),
        Proof(
            "off" if not meant else "ok" if fine == meant else "stop",
            "Charts can be read",
            f"{fine} of {meant}, {ago(min(polls, default=None), sight.now)}",
        ),
        Proof(
            "ok" if seen else "off",
            "Notifications arrive",
            f"{count(found.notifications, 'notification')}, "
            f"{ago(max(seen, default=None), sight.now)}",
        ),
        Proof(
            "warn" if sight.waiting > BACKLOG else "ok",
            "Work waiting now",
            f"{sight.waiting:,}",
        ),
        Proof("stop" if sight.dead else "ok", "Work given up", f"{sight.dead:,}"),
        Proof(*_passed_over(sight)),
        Proof(
            "warn" if found.kept else "ok",
            "Written to the EHR",
            f"{found.recorded:,}, {found.kept:,} refused",
        ),
        Proof("stop" if fault else "ok", "Periodic work", fault or "no fault"),
        Proof(*_left_alone(sight)),
    )
