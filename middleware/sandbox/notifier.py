"""Subscriptions at work: what each asks for, and which changes become its events.

It may not send: that is the dispatcher's. Its lock is never held while the store
is written or the network is used. Sources: FHIR R4 Subscription; Subscriptions R5
Backport IG 1.1.
"""

import threading
import time
from collections.abc import Callable
from typing import Any
from zoneinfo import ZoneInfo

import flask

from middleware.sandbox.clock import SandboxClock
from middleware.sandbox.definition import Definition, RefusedError, read_definition
from middleware.sandbox.dispatching import Dispatcher
from middleware.sandbox.faults import Faults
from middleware.sandbox.journal import Journal
from middleware.sandbox.lines import (
    KIND,
    Line,
    Waiting,
    note_event,
    recall_lines,
    write_record,
)
from middleware.sandbox.models import resource_types
from middleware.sandbox.outcome import FhirFault
from middleware.sandbox.query import parse_query
from middleware.sandbox.store import Change, Store
from middleware.sandbox.wire import Event, Standing

Matches = Callable[[dict[str, Any]], bool]
Compile = Callable[[Definition], Matches]
TICK = 0.2
COUNTED = ("sent", "dropped", "duplicated", "failed", "reordered")


class Notifier:
    """Turns committed changes into notifications; started and stopped as a service."""

    def __init__(
        self,
        store: Store,
        clock: SandboxClock,
        journal: Journal,
        *,
        faults: Faults,
        base: str,
        compile_query: Compile,
    ) -> None:
        self._clock = clock
        self._journal = journal
        self._faults = faults
        self._base = base
        self._compile = compile_query
        self._changed = threading.Condition(threading.RLock())
        self._dispatcher = Dispatcher(store, clock, journal, base, self._changed)
        self._stopping = threading.Event()
        self._ticker: threading.Thread | None = None
        self._lines = recall_lines(journal.recorded(KIND), store.versions)
        for resource in store.candidates("Subscription"):
            self._recall(resource)
        store.on_change(self._take_in)

    def start(self) -> None:
        """Begin to send, and to watch for heartbeats and ends."""
        self._dispatcher.lanes.start()
        self._ticker = threading.Thread(
            target=self._tick_on, name="sandbox-heartbeats", daemon=True
        )
        self._ticker.start()

    def stop(self) -> None:
        """End; what was not sent is found again by the next start."""
        self._stopping.set()
        with self._changed:
            self._changed.notify_all()
        self._dispatcher.lanes.stop()
        if self._ticker is not None:
            self._ticker.join()

    def pending(self) -> int:
        """Answer how many sendings wait or run, those just due included."""
        self.tick()
        return self._dispatcher.lanes.pending()

    def wait_quiet(self, timeout: float) -> bool:
        """Wait until nothing waits or runs; False after `timeout` seconds."""
        self.tick()
        return self._dispatcher.lanes.wait_quiet(timeout)

    def counts(self) -> dict[str, int]:
        """Answer how many events were sent, spoilt or given up since the start."""
        names = (*COUNTED, "handshakes", "heartbeats")
        with self._changed:
            return {name: self._dispatcher.counts[name] for name in names}

    def restart(self) -> int:
        """Lose queues and counters, as an in-memory server does; answer the loss."""
        with self._changed:
            lost = sum(len(line.queue) for line in self._lines.values())
            self._dispatcher.lanes.clear()
            for line in self._lines.values():
                line.reset()
                if line.status == "requested":
                    self._dispatcher.put(line, self._dispatcher.activate)
            self._journal.append(KIND, {"reset": True})
            return lost

    def tick(self) -> None:
        """Put the heartbeats and ends in line that are due at the simulated time."""
        now = self._clock.now()
        with self._changed:
            for line in self._lines.values():
                if line.is_over(now):
                    self._halt(line, "off", None)
                    self._dispatcher.put(line, self._dispatcher.write_status)
                elif line.owes_beat(now):
                    line.rest(now)
                    self._dispatcher.put(line, self._dispatcher.beat)

    def standing(self, id_: str) -> Standing | None:
        """Answer how a subscription stands, or None when there is none."""
        with self._changed:
            line = self._lines.get(id_)
            return line.standing(self._base) if line else None

    def content(self, id_: str) -> str:
        """Answer the payload content that a subscription asked for."""
        with self._changed:
            line = self._lines.get(id_)
            return line.definition.content if line and line.definition else "id-only"

    def events(self, id_: str, since: int, until: int | None) -> list[Event]:
        """Answer the numbered events from `since` to `until`, both included."""
        with self._changed:
            line = self._lines.get(id_)
            kept = list(line.events) if line else []
        return [
            event
            for event in kept
            if since <= event.number and (until is None or event.number <= until)
        ]

    def _tick_on(self) -> None:
        while not self._stopping.wait(TICK):
            self.tick()

    def _recall(self, resource: dict[str, Any]) -> None:
        line = self._lines.setdefault(resource["id"], Line(resource["id"]))
        line.version = int(resource["meta"]["versionId"])
        if resource.get("status") == "active":
            line.status = "active"  # it went through its handshake before the stop
        line.counting = line.counting or resource.get("status") == "error"
        self._ask(line, resource)

    def _take_in(self, change: Change) -> None:
        self.tick()
        with self._changed:
            if change.type == "Subscription" and not self._dispatcher.is_own(change):
                self._adopt(change)
            for line in self._lines.values():
                definition = line.definition
                if definition and line.counting and definition.type == change.type:
                    self._note(line, definition, change)

    def _adopt(self, change: Change) -> None:
        line = self._lines.setdefault(change.id, Line(change.id))
        line.version = change.version
        if change.resource is None:
            self._halt(line, "off", None)
            del self._lines[change.id]
            return
        self._ask(line, change.resource)

    def _ask(self, line: Line, resource: dict[str, Any]) -> None:
        """Follow what the resource asks for; `active` from a client is a request.

        R4: only the server moves a subscription from requested to active.
        """
        status = resource.get("status")
        dispatcher = self._dispatcher
        try:
            line.definition = read_definition(resource)
            line.matches = self._compile(line.definition)
        except (RefusedError, FhirFault) as error:
            line.definition = None
            if status != "off":
                self._halt(line, "error", str(error))
                dispatcher.put(line, dispatcher.write_status)
                return
        if status == "off":
            self._halt(line, "off", None)
        elif line.definition and line.definition.is_over(self._clock.now()):
            self._halt(line, "off", None)
            dispatcher.put(line, dispatcher.write_status)
        elif status == "error":
            self._halt(line, "error", resource.get("error"))
        elif status == "active" and line.status == "active":
            self._keep_on(line)
        else:
            line.queue.extend(line.halt("requested", None))
            line.counting = line.counting or line.is_criteria()
            dispatcher.put(line, dispatcher.activate)

    def _keep_on(self, line: Line) -> None:
        line.queue.extend(line.halt("active", None))
        line.go(self._clock.now())
        self._dispatcher.put_events(line)

    def _halt(self, line: Line, status: Any, error: str | None) -> None:
        self._dispatcher.give_up(line, line.halt(status, error))

    def _note(self, line: Line, definition: Definition, change: Change) -> None:
        if change.resource is None and definition.form == "criteria":
            return
        resource = change.resource or change.previous
        if resource is None or not line.matches(resource):
            return
        event = note_event(line, change)
        record = write_record(line, event)
        about = f"{definition.topic}|{definition.type}|{definition.queries}"
        key = f"{about}|{event.reference}/{event.version}"
        dropped = self._faults.strikes("drop", key)
        if dropped or line.status not in {"active", "requested"}:
            name = "dropped" if dropped else "failed"
            self._dispatcher.counts[name] += 1
            self._journal.append(KIND, {**record, "d": [event.number]})
            return
        self._journal.append(KIND, record)
        delay = self._faults.plan.delay_ms / 1000
        waiting = Waiting(
            event,
            ready_at=time.monotonic() + delay,
            late=self._faults.strikes("reorder", key),
            twice=self._faults.strikes("duplicate", key),
        )
        line.queue.append(waiting)
        self._changed.notify_all()
        self._dispatcher.put(line, self._dispatcher.send_next)


def compile_definition(definition: Definition, base: str, zone: ZoneInfo) -> Matches:
    """Answer the test that a resource must pass; refuses what search refuses."""
    if definition.type not in resource_types():
        raise RefusedError(f"there is no resource type {definition.type} here")
    return parse_query(definition.type, definition.queries, base, zone).matches


def register(app: flask.Flask) -> None:
    """Add the notifier as a service; the faults must have been registered."""
    extensions = app.extensions
    options = extensions["options"]
    notifier = Notifier(
        extensions["store"],
        extensions["clock"],
        extensions["journal"],
        faults=extensions["faults"],
        base=options.fhir_base,
        compile_query=lambda definition: compile_definition(
            definition, options.fhir_base, options.site_zone
        ),
    )
    extensions["notifier"] = notifier
    extensions["services"].append(notifier)
