"""What the console's first page says: the worst thing first, with its proof."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from mappings.endpoint import Endpoint
from middleware.storage import endpoints, inbox, overview, schedule, subscriptions
from middleware.storage.connecting import Tx
from middleware.storage.events import count_events
from middleware.storage.subscriptions import SubscriptionRow
from middleware.storage.switches import SwitchRow, list_switches

TYPES = ("Encounter", "Appointment", "CarePlan")
POLL_LATE = timedelta(minutes=15)


@dataclass(frozen=True)
class Act:
    """A link that mends something."""

    label: str
    href: str


@dataclass(frozen=True)
class Answer:
    """One sentence, its chip and what to do."""

    kind: str
    chip: str
    sentence: str
    lede: str
    acts: tuple[Act, ...] = ()


@dataclass(frozen=True)
class Proof:
    """One check with what it saw."""

    kind: str
    name: str
    said: str


@dataclass(frozen=True)
class EndpointRow:
    """One endpoint as the table shows it."""

    id: str
    name: str
    kind: str
    base: str
    tone: str
    word: str
    subscriptions: tuple[SubscriptionRow, ...]
    last_notification: str | None
    last_poll: str | None
    poll_error: str | None
    events: int


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
    """Everything on the first page."""

    answer: Answer
    proof: tuple[Proof, ...]
    endpoints: tuple[EndpointRow, ...]
    counts: Counts
    switches: tuple[SwitchRow, ...]
    zone: str


def read_overview(tx: Tx, now: datetime) -> Page:
    """Read and judge everything that the first page shows."""
    known = endpoints.list_endpoints(tx)
    rows = tuple(_row(tx, item, now) for item in known)
    found = overview.count_all(tx)
    errors = schedule.list_errors(tx)
    switches = tuple(list_switches(tx))
    delivered = found.deliveries.get("delivered", 0)
    counts = Counts(
        events=found.events,
        sent=delivered + found.deliveries.get("sent", 0),
        delivered=delivered,
        planned=found.nudges_in("planned"),
        held=found.nudges_in("held"),
        cancelled=found.nudges_in("cancelled"),
        failed=found.nudges_in("failed"),
        tasks=found.tasks_open,
    )
    dead = sum(found.dead.values())
    return Page(
        answer=_answer(rows, counts, dead, switches),
        proof=_proof(rows, found, errors),
        endpoints=rows,
        counts=counts,
        switches=switches,
        zone=known[0].site.zone if known else "UTC",
    )


def _row(tx: Tx, endpoint: Endpoint, now: datetime) -> EndpointRow:
    mine = tuple(subscriptions.list_subscriptions(tx, endpoint.id))
    cursors = [inbox.read_cursor(tx, endpoint.id, name) for name in TYPES]
    polls = [item.polled_at for item in cursors if item and item.polled_at]
    errors = [item.error for item in cursors if item and item.error]
    seen = [row.last_seen_at for row in mine if row.last_seen_at]
    late = not polls or now - min(polls) > POLL_LATE
    if errors:
        tone, word = "stop", "Cannot read"
    elif late:
        tone, word = "warn", "Not polled lately"
    elif any(row.status in ("error", "off") for row in mine):
        tone, word = "warn", "Healthy, polling"
    else:
        tone, word = "ok", "Healthy"
    return EndpointRow(
        id=endpoint.id,
        name=endpoint.name,
        kind=endpoint.kind.value,
        base=endpoint.fhir_base,
        tone=tone,
        word=word,
        subscriptions=mine,
        last_notification=_when(max(seen, default=None)),
        last_poll=_when(max(polls, default=None)),
        poll_error=errors[0] if errors else None,
        events=count_events(tx, endpoint.id),
    )


def _when(moment: datetime | None) -> str | None:
    return f"{moment:%b} {moment.day}, {moment:%H:%M:%S} UTC" if moment else None


def _answer(
    rows: tuple[EndpointRow, ...],
    counts: Counts,
    dead: int,
    switches: tuple[SwitchRow, ...],
) -> Answer:
    broken = [row for row in rows if row.tone == "stop"]
    if broken:
        return Answer(
            "stop",
            f"{len(broken)} of {len(rows)} endpoints need you",
            f"{broken[0].name} cannot be read.",
            "Nothing is sent on old facts: messages wait until the chart can be read "
            f"again. {broken[0].poll_error}",
        )
    if dead:
        return Answer(
            "warn",
            f"{dead} given up",
            f"{dead} pieces of work failed several times and wait for a person.",
            "Nothing was sent for them.",
            (Act("Look at them", "/console/attention"),),
        )
    if any(switch.scope == "all" for switch in switches):
        return Answer(
            "warn",
            "Everything is held",
            "No message goes out: a person holds everything.",
            "Events are still received and decided on. Release the hold below.",
        )
    if not rows:
        return Answer(
            "info",
            "Not connected",
            "No EHR is connected yet.",
            "Describe it in a file, then run carecue endpoint add FILE.",
        )
    tasks = (Act(f"See {counts.tasks} open tasks", "/console/attention"),)
    return Answer(
        "ok",
        "All healthy",
        "The endpoint is healthy."
        if len(rows) == 1
        else f"All {len(rows)} endpoints are healthy.",
        f"Last poll {rows[0].last_poll}. {counts.sent} messages sent, "
        f"{counts.planned} planned, {counts.held} held.",
        tasks if counts.tasks else (),
    )


def _proof(
    rows: tuple[EndpointRow, ...], found: overview.Overview, errors: dict[str, str]
) -> tuple[Proof, ...]:
    waiting = {
        name: total for name, total in found.waiting.items() if name != "deliver"
    }
    backlog = sum(waiting.values())
    dead = sum(found.dead.values())
    first = next(iter(errors.items()), None)
    return (
        Proof(
            "ok" if all(row.tone == "ok" for row in rows) else "warn",
            "Endpoints healthy",
            f"{sum(row.tone == 'ok' for row in rows)} of {len(rows)}",
        ),
        Proof("ok" if backlog < 1000 else "warn", "Work waiting", str(backlog)),
        Proof("stop" if dead else "ok", "Given up", str(dead)),
        Proof("info" if found.kept else "ok", "Kept, EHR refused", str(found.kept)),
        Proof(
            "stop" if first else "ok",
            "Periodic work",
            f"{first[0]}: {first[1]}" if first else "on time",
        ),
    )
