"""One focus: its transitions are named, its patient's chart is read, events are stored.

What lies further back than any plan reaches is passed over before a chart is read, so
that an EHR's past, whoever brings it in, costs one look at the history and no message.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from mappings.endpoint import Endpoint
from mappings.errors import FhirError
from mappings.event import Event, EventKind, FocusState, Transition
from middleware.decisions.reach import is_past
from middleware.decisions.transitions import match_transitions
from middleware.ports import FhirApi, SearchResult
from middleware.stages.charts import is_passing
from middleware.stages.context import StageContext
from middleware.stages.merging import (
    Reading,
    fetch_surviving,
    gone_record,
    store_merges,
)
from middleware.storage import events, inbox, merging, nudges
from middleware.storage.connecting import Tx
from middleware.storage.ids import shard_of
from middleware.storage.shards import check_epoch

# After so many failures the present version alone is better than nothing.
HISTORY_TRIES = 5


@dataclass(frozen=True)
class News:
    """What the versions of a focus show, and why nothing more came of them."""

    transitions: tuple[Transition, ...]
    state: FocusState | None
    note: str | None


@dataclass(frozen=True)
class FocusWork:
    """One focus with all the rows that mention it."""

    api: FhirApi
    endpoint: Endpoint
    name: str
    items: Sequence[inbox.InboxItem]
    history: SearchResult

    def run(self, context: StageContext, shard: int, epoch: int, now: datetime) -> None:
        """Name the transitions of this focus and store them as events."""
        versions = self._versions()
        with context.database.tx() as tx:
            news = self._news(context, tx, versions, now)
        readings = self._read(context, news, now)
        with context.database.tx() as tx:
            check_epoch(tx, "resolve", shard, epoch)
            woken = store_merges(tx, self.endpoint, readings.values(), now)
            into = {
                old: new
                for reading in readings.values()
                for old, new in reading.into().items()
            }
            for item in news.transitions:
                event = self._event(context, item, readings[str(item.patient)])
                if not _only_merged(item, news.state, into):
                    store_event(tx, event, self.items, readings, now)
                    woken.add(("decide", event.shard))
            if news.state is not None:
                events.put_focus_state(tx, self.endpoint.id, news.state)
            ids = [item.id for item in self.items]
            inbox.finish_inbox(tx, ids, now, news.note)
        for stage, number in sorted(woken):
            context.wake(stage, number)

    def _versions(self) -> tuple[dict[str, Any], ...]:
        """Return the versions, oldest first; the current one alone if need be."""
        if self.history.complete:
            return self.history.resources
        if is_passing(self.history) and not self._patience_ends():
            raise FhirError(
                "the history of this resource could not be read; nothing was passed "
                "over; it is tried again"
            )
        try:
            return (self.api.fetch(self.name),)
        except FhirError as error:
            if error.status == 410:
                kind, _, identifier = self.name.partition("/")
                return ({"resourceType": kind, "id": identifier, "_deleted": True},)
            raise

    def _patience_ends(self) -> bool:
        return max(item.attempts for item in self.items) >= HISTORY_TRIES

    def _news(
        self,
        context: StageContext,
        tx: Tx,
        versions: Sequence[dict[str, Any]],
        now: datetime,
    ) -> News:
        """Return the transitions that may still matter, each for the living record."""
        before = events.get_focus_state(tx, self.endpoint.id, self.name)
        found, state = match_transitions(before, versions, self.endpoint.fhir_base)
        named = {item.patient for item in found if item.patient is not None}
        if not named:
            return News((), state, "names-no-patient" if found else None)
        known = merging.find_survivors(tx, self.endpoint.id, named)
        library, kept, note = context.library(self.endpoint), [], None
        for item in found:
            if item.patient is None:
                continue
            patient = known.get(item.patient) or item.patient
            if is_past(item, library, now) and not nudges.is_concerned(
                tx, self.endpoint.id, patient, self.name
            ):
                note = _why_past(item) or note
                continue
            kept.append(replace(item, patient=patient))
        return News(tuple(kept), state, None if kept else note)

    def _read(
        self, context: StageContext, news: News, now: datetime
    ) -> dict[str, Reading]:
        """Read the chart of everybody whom the transitions concern, each once."""
        library = context.library(self.endpoint)
        found: dict[str, Reading] = {}
        for item in news.transitions:
            patient = str(item.patient)
            if patient in found:
                continue
            try:
                found[patient] = fetch_surviving(
                    self.api, library, patient, now, focus=self.name
                )
            except FhirError as error:
                if item.kind is not EventKind.RESOURCE_MOVED or not error.permanent:
                    raise
                found[patient] = gone_record(patient, now)
        return found

    def _event(
        self, context: StageContext, item: Transition, reading: Reading
    ) -> Event:
        patient, first = reading.patient, self.items[0]
        return Event(
            id=context.ids.new(),
            key=f"{self.endpoint.id}|{item.reference}|{item.version}|"
            f"{item.kind.value}|{patient}",
            endpoint_id=self.endpoint.id,
            kind=item.kind,
            patient=patient,
            shard=shard_of(self.endpoint.id, patient),
            focus=item.reference,
            focus_version=item.version,
            occurred_at=item.occurred_at,
            received_at=first.received_at,
        )


def store_event(
    tx: Tx,
    event: Event,
    items: Sequence[inbox.InboxItem],
    readings: Mapping[str, Reading],
    now: datetime,
) -> None:
    """Hand an event to DECIDE with the chart of its patient; once per key."""
    charts = {reading.patient: reading.chart for reading in readings.values()}
    events.insert_event(
        tx,
        event,
        source=items[0].source,
        inbox_id=items[0].id,
        chart=charts[event.patient],
        due_at=now,
    )


def _why_past(item: Transition) -> str | None:
    """Return the note on what is passed over; what was deleted says nothing itself."""
    if item.kind is EventKind.RESOURCE_DELETED:
        return None
    return "time-unknown" if item.tells_of is None else "too-long-ago"


def _only_merged(
    item: Transition, state: FocusState | None, into: Mapping[str, str]
) -> bool:
    """Tell whether a focus moved with its patient's record, to the same person."""
    if item.kind is not EventKind.RESOURCE_MOVED or state is None:
        return False
    old, new = str(item.patient), str(state.patient)
    return into.get(old, old) == into.get(new, new)
