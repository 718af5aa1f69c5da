"""The sending side of the notifier: handshakes, heartbeats, events, and failure.

It may not decide what is an event. Its lock (`changed`, the notifier's) is never
held while the store is written or the network is used.
"""

import threading
import time
from collections import Counter
from collections.abc import Callable

from middleware.sandbox.clock import SandboxClock
from middleware.sandbox.courier import Courier
from middleware.sandbox.delivering import Answer, Lanes
from middleware.sandbox.journal import Journal
from middleware.sandbox.lines import KIND, Line, Waiting
from middleware.sandbox.store import Change, Store

LATE_WAIT = 0.5


class Dispatcher:
    """Does the jobs of each line in order, and writes where the line stands."""

    def __init__(
        self,
        store: Store,
        clock: SandboxClock,
        journal: Journal,
        base: str,
        changed: threading.Condition,
    ) -> None:
        self._store = store
        self._clock = clock
        self._journal = journal
        self._base = base
        self._changed = changed
        self.lanes = Lanes("sandbox-notifier")
        self.counts: Counter[str] = Counter()
        self._courier = Courier(self.lanes)
        self._own: set[tuple[str, int]] = set()

    def put(self, line: Line, job: Callable[[Line, int], None]) -> None:
        """Add a job to the line, for what the line asks now (its epoch)."""
        epoch = line.epoch
        self.lanes.put(line.id, lambda: job(line, epoch))

    def put_events(self, line: Line) -> None:
        """Add one sending for each event that waits."""
        for _ in line.queue:
            self.put(line, self.send_next)

    def is_own(self, change: Change) -> bool:
        """Tell, once, whether a change of a Subscription was written here."""
        key = (change.id, change.version)
        found = key in self._own
        self._own.discard(key)
        return found

    def give_up(self, line: Line, lost: list[Waiting]) -> None:
        """Count events as failed and never try them again."""
        self.counts["failed"] += len(lost)
        self._settle(line, lost)

    def activate(self, line: Line, epoch: int) -> None:
        """Bring a requested line to active, after a handshake where there is one."""
        with self._changed:
            definition, standing = line.definition, line.standing(self._base)
            if line.epoch != epoch or definition is None:
                return
        if definition.form != "criteria":
            now = self._clock.now()
            answer = self._courier.shake_hands(definition, standing, now)
            if answer.status != 200:
                text = f"the handshake was not answered 200 but {answer.describe()}"
                self._fail(line, epoch, text, [])
                return
        with self._changed:
            if line.epoch != epoch:
                return
            line.go(self._clock.now())
            if definition.form != "criteria":
                self.counts["handshakes"] += 1
            self.put_events(line)
        self.write_status(line, epoch)

    def beat(self, line: Line, epoch: int) -> None:
        """Send a heartbeat, unless an event went out meanwhile."""
        with self._changed:
            definition = line.definition
            if line.epoch != epoch or line.queue or definition is None:
                return
            standing = line.standing(self._base)
        answer = self._courier.beat(definition, standing, self._clock.now())
        if not answer.accepted:
            self._fail(line, epoch, _explain("a heartbeat", answer), [])
            return
        with self._changed:
            self.counts["heartbeats"] += 1

    def send_next(self, line: Line, _: int) -> None:
        """Send what is at the head of the queue, if the line is active."""
        with self._changed:
            definition = line.definition
            if line.status != "active" or definition is None or not line.queue:
                return
            epoch = line.epoch
            wait = line.queue[0].ready_at - time.monotonic()
        if self.lanes.pause(wait):
            return
        batch = self._take(line, epoch, definition.max_count)
        if not batch:
            return
        count = max(waiting.event.number for waiting in batch)
        events = [waiting.event for waiting in batch]
        for _ in range(2 if batch[0].twice else 1):
            standing = line.standing(self._base, count)
            now = self._clock.now()
            answer = self._courier.carry(definition, standing, events, now)
            if not answer.accepted:
                self._fail(line, epoch, _explain("a notification", answer), batch)
                return
        with self._changed:
            self.counts["sent"] += len(batch)
            self.counts["duplicated"] += sum(waiting.twice for waiting in batch)
            line.rest(self._clock.now())
            self._settle(line, batch)

    def write_status(self, line: Line, epoch: int) -> None:
        """Write status and error to the resource, unless the client was quicker."""
        with self._store.transaction() as transaction:
            latest = transaction.latest("Subscription", line.id)
            if latest is None or latest.resource is None:
                return
            if latest.version != line.version or line.epoch != epoch:
                return
            resource = {**latest.resource, "status": line.status}
            resource.pop("error", None)
            if line.error:
                resource["error"] = line.error
            if resource == latest.resource:
                return
            change = transaction.update("Subscription", line.id, resource)
            self._own.add((line.id, change.version))
            line.version = change.version

    def _take(self, line: Line, epoch: int, most: int) -> list[Waiting]:
        with self._changed:
            if line.queue and line.queue[0].late:
                self._changed.wait_for(lambda: len(line.queue) != 1, LATE_WAIT)
            if line.epoch != epoch or not line.queue:
                return []
            first = line.queue.popleft()
            if first.late:
                first.late = False
                if line.queue:
                    second = line.queue.popleft()
                    line.queue.appendleft(first)
                    first = second
                    self.counts["reordered"] += 1
            batch = [first]
            limit = 1 if first.twice or line.is_criteria() else most
            while len(batch) < limit and line.queue and line.queue[0].is_plain():
                batch.append(line.queue.popleft())
            return batch

    def _fail(self, line: Line, epoch: int, text: str, batch: list[Waiting]) -> None:
        with self._changed:
            if line.epoch != epoch:
                line.take_back(batch)
                return
            lost = batch + line.halt("error", text)
            self.give_up(line, lost)
            epoch = line.epoch
        self.write_status(line, epoch)

    def _settle(self, line: Line, done: list[Waiting]) -> None:
        if done:
            numbers = [waiting.event.number for waiting in done]
            self._journal.append(KIND, {"s": line.id, "d": numbers})


def _explain(what: str, answer: Answer) -> str:
    return f"{what} was not accepted after three attempts: {answer.describe()}"
