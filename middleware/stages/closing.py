"""What an EHR tells of a Patient: a merge, a death, a record that was closed.

Only patients whom we know are read, and only an end matters: everything else is read
again before a message goes. So a feed of every Patient costs next to nothing. A patient
whose turn for a review has come is read here too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from mappings.endpoint import Endpoint
from mappings.errors import FhirError
from mappings.event import Event, EventKind
from mappings.merge import merged_into, replaced_records
from mappings.reference import version_of
from middleware.decisions.preference import is_deceased
from middleware.ports import FhirApi
from middleware.stages.context import StageContext
from middleware.stages.merging import (
    Reading,
    fetch_surviving,
    gone_record,
    store_merges,
)
from middleware.stages.news import new_event
from middleware.stages.withdrawing import list_step_tasks
from middleware.storage import events, inbox, merging, nudges, reviews
from middleware.storage.connecting import Tx
from middleware.storage.ids import shard_of
from middleware.storage.shards import Held, check_epochs

CLOSED = EventKind.PATIENT_CLOSED
TURNS = (EventKind.PATIENT_ADDED, EventKind.PATIENT_REVIEW)


@dataclass(frozen=True)
class PersonWork:
    """One Patient with all the rows that mention it."""

    api: FhirApi
    endpoint: Endpoint
    name: str
    items: Sequence[inbox.InboxItem]

    def run(self, context: StageContext, held: Held, now: datetime) -> None:
        """Take back, or over to another record, what was planned."""
        with context.database.tx() as tx:
            known = merging.find_survivors(tx, self.endpoint.id, {self.name})
            planned = bool(
                nudges.list_open_nudges(tx, self.endpoint.id, self.name)
                or list_step_tasks(tx, self.endpoint, [self.name])
            )
        woken: set[tuple[str, int]] = set()
        wanted = self.name in known or self._turns()
        reading = self._read(context, now) if wanted else None
        survivor = known.get(self.name)
        parted = reading is not None and self._is_parted(reading, survivor)
        with context.database.tx() as tx:
            check_epochs(tx, "resolve", held)
            if reading is not None:
                if parted:
                    merging.part_patients(tx, self.endpoint.id, self.name)
                woken = store_merges(tx, self.endpoint, [reading], now)
                closed = bool(reading.merges) or _is_closed(reading, now)
                if closed:
                    reviews.end_reviews(tx, self.endpoint.id, self.name)
                if reading.merges:
                    reviews.note_known(tx, self.endpoint.id, [reading.patient], now)
                if closed and planned and not reading.merges:
                    woken |= self._store(tx, context, reading, CLOSED, now)
                for kind in self._turns() if not closed else ():
                    woken |= self._store(tx, context, reading, kind, now)
            inbox.finish_inbox(tx, [item.id for item in self.items], now)
        for stage, number in sorted(woken):
            context.wake(stage, number)

    def _read(self, context: StageContext, now: datetime) -> Reading:
        library = context.library(self.endpoint)
        try:
            return fetch_surviving(self.api, library, self.name, now)
        except FhirError as error:
            if error.status in (404, 410):
                return gone_record(self.name, now)
            raise

    def _is_parted(self, reading: Reading, survivor: str | None) -> bool:
        """Tell whether a merge was taken back: neither record tells of it any more."""
        if survivor is None or reading.patient != self.name or _is_inactive(reading):
            return False
        other = self.api.fetch(survivor)
        return self.name not in replaced_records(other, self.api.base_url)

    def _turns(self) -> list[EventKind]:
        """Return what the review asks for: each kind once, a new patient first."""
        asked = {item.interaction for item in self.items if item.source == "review"}
        return [kind for kind in TURNS if kind.value in asked]

    def _store(
        self,
        tx: Tx,
        context: StageContext,
        reading: Reading,
        kind: EventKind,
        now: datetime,
    ) -> set[tuple[str, int]]:
        event = self._event(context, reading, kind)
        readings = {reading.patient: reading}
        events.insert_events(tx, [new_event(event, self.items, readings)], now)
        return {("decide", event.shard)}

    def _event(self, context: StageContext, reading: Reading, kind: EventKind) -> Event:
        version = str(version_of(reading.chart.patient) or reading.chart.read_at)
        first = next(
            (item for item in self.items if item.interaction == kind.value),
            self.items[0],
        )
        cause = {CLOSED: version, EventKind.PATIENT_ADDED: "first"}
        turn = cause.get(kind, first.received_at.isoformat())
        return Event(
            id=context.ids.new(),
            key=f"{self.endpoint.id}|{self.name}|{turn}|{kind.value}|{self.name}",
            endpoint_id=self.endpoint.id,
            kind=kind,
            patient=self.name,
            shard=shard_of(self.endpoint.id, self.name),
            focus=self.name,
            focus_version=version,
            occurred_at=reading.chart.read_at,
            received_at=first.received_at,
        )


def _is_inactive(reading: Reading) -> bool:
    patient = reading.chart.patient
    return patient.get("active") is False or merged_into(patient) is not None


def _is_closed(reading: Reading, now: datetime) -> bool:
    return _is_inactive(reading) or is_deceased(reading.chart.patient, now)
