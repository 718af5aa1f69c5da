"""One line per Subscription: what is asked, where it stands, what waits to be sent.

It may not send or write resources; the notifier holds its lock around every call.
"""

import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal

from middleware.sandbox.definition import Definition
from middleware.sandbox.store import Change
from middleware.sandbox.wire import Event, Standing

KIND = "notified"
KEPT_EVENTS = 20_000
Status = Literal["requested", "active", "error", "off"]


@dataclass
class Waiting:
    """An event in the queue; `ready_at` is on the monotonic clock, in seconds.

    `late`: it lets the next one pass. `twice`: it is sent two times.
    """

    event: Event
    ready_at: float = 0.0
    late: bool = False
    twice: bool = False

    def is_plain(self) -> bool:
        """Tell whether it can share a Bundle with the one before it, now."""
        spoilt = self.late or self.twice
        return not spoilt and self.ready_at <= time.monotonic()


@dataclass
class Line:
    """The state of one Subscription.

    `version` is the newest version of the resource that is known here. `epoch`
    changes whenever what is in flight has lost its meaning. Events are counted
    once the subscription has been active (`counting`).
    """

    id: str
    version: int = 0
    epoch: int = 0
    definition: Definition | None = None
    matches: Callable[[dict[str, Any]], bool] = lambda _: False
    status: Status = "off"
    error: str | None = None
    counting: bool = False
    count: int = 0
    events: deque[Event] = field(default_factory=lambda: deque(maxlen=KEPT_EVENTS))
    queue: deque[Waiting] = field(default_factory=deque)
    beat_at: datetime | None = None

    def is_criteria(self) -> bool:
        """Tell whether it has the plain R4 form."""
        return self.definition is not None and self.definition.form == "criteria"

    def halt(self, status: Status, error: str | None) -> list[Waiting]:
        """Stop sending, under a new epoch; answer what was waiting."""
        lost = list(self.queue)
        self.queue.clear()
        self.epoch += 1
        self.status = status
        self.error = error
        self.beat_at = None
        if status == "off":
            self.counting = False
        return lost

    def go(self, now: datetime) -> None:
        """Count and send from now on."""
        self.counting = True
        self.status = "active"
        self.error = None
        self.rest(now)

    def reset(self) -> None:
        """Forget queue, events and numbers, as a server without memory does."""
        self.queue.clear()
        self.events.clear()
        self.count = 0
        self.epoch += 1

    def take_back(self, batch: list[Waiting]) -> None:
        """Put unsent events back at the head, unless they mean nothing any more."""
        if self.status in {"requested", "active"}:
            kept = [item for item in batch if item.event.number <= self.count]
            self.queue.extendleft(reversed(kept))

    def rest(self, now: datetime) -> None:
        """Something was sent: the next heartbeat is a whole period away."""
        period = self.definition.heartbeat if self.definition else None
        self.beat_at = now + timedelta(seconds=period) if period else None

    def is_over(self, now: datetime) -> bool:
        """Tell whether `Subscription.end` has passed while it is not off."""
        if self.definition is None or self.status == "off":
            return False
        return self.definition.is_over(now)

    def owes_beat(self, now: datetime) -> bool:
        """Tell whether a heartbeat is due; a clock set back starts a new period."""
        period = self.definition.heartbeat if self.definition else None
        if self.status != "active" or self.is_criteria() or self.queue:
            return False
        if self.beat_at is None or not period:
            return False
        if self.beat_at - now > timedelta(seconds=period):
            self.rest(now)
            return False
        return self.beat_at <= now

    def standing(self, base: str, count: int | None = None) -> Standing:
        """Answer how it stands; `count` overrides the events so far."""
        definition = self.definition
        return Standing(
            base=base,
            id=self.id,
            form=definition.form if definition else "backport",
            topic=definition.topic if definition else None,
            status=self.status,
            count=self.count if count is None else count,
            error=self.error,
        )


def write_record(line: Line, event: Event) -> dict[str, Any]:
    """Write an event for the journal; the resource itself is in the store."""
    return {
        "s": line.id,
        "n": event.number,
        "t": event.type,
        "i": event.id,
        "v": event.version,
    }


def recall_lines(
    records: Iterable[dict[str, Any]],
    versions: Callable[[str, str], list[Change]],
) -> dict[str, Line]:
    """Answer the lines that the journal tells of, with what was never sent queued."""
    lines: dict[str, Line] = {}
    for record in records:
        if "reset" in record:
            for line in lines.values():
                line.reset()
            continue
        line = lines.setdefault(record["s"], Line(record["s"]))
        settled = record.get("d") or []
        if "n" in record:
            line.count = record["n"]
            line.counting = True
            changes = versions(record["t"], record["i"])
            change = next((c for c in changes if c.version == record["v"]), None)
            if change is not None:
                event = _event(line.count, change)
                line.events.append(event)
                line.queue.append(Waiting(event))
        if settled:
            line.queue = deque(
                item for item in line.queue if item.event.number not in settled
            )
    return lines


def note_event(line: Line, change: Change) -> Event:
    """Give a change its number in the line and keep it."""
    line.count += 1
    event = _event(line.count, change)
    line.events.append(event)
    return event


def _event(number: int, change: Change) -> Event:
    return Event(
        number=number,
        interaction=change.interaction,
        type=change.type,
        id=change.id,
        version=change.version,
        instant=change.instant,
        resource=change.resource,
    )
