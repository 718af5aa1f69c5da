"""What an EHR tells of a Patient: a merge, a death, a record that was closed.

Only patients whom we know are read, and only an end matters: everything else is read
again before a message goes. So a feed of every Patient costs next to nothing.
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
from middleware.storage import events, inbox, merging, nudges
from middleware.storage.ids import shard_of
from middleware.storage.shards import check_epoch


@dataclass(frozen=True)
class PersonWork:
    """One Patient with all the rows that mention it."""

    api: FhirApi
    endpoint: Endpoint
    name: str
    items: Sequence[inbox.InboxItem]

    def run(self, context: StageContext, shard: int, epoch: int, now: datetime) -> None:
        """Take back, or over to another record, what was planned."""
        with context.database.tx() as tx:
            known = merging.find_survivors(tx, self.endpoint.id, {self.name})
            planned = nudges.list_open_nudges(tx, self.endpoint.id, self.name)
        woken: set[tuple[str, int]] = set()
        reading = self._read(context, now) if self.name in known else None
        parted = reading is not None and self._is_parted(reading, known[self.name])
        with context.database.tx() as tx:
            check_epoch(tx, "resolve", shard, epoch)
            if reading is not None:
                if parted:
                    merging.part_patients(tx, self.endpoint.id, self.name)
                woken = store_merges(tx, self.endpoint, [reading], now)
                if planned and not reading.merges and _is_closed(reading, now):
                    event = self._event(context, reading)
                    readings = {reading.patient: reading}
                    events.insert_events(
                        tx, [new_event(event, self.items, readings)], now
                    )
                    woken.add(("decide", event.shard))
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

    def _event(self, context: StageContext, reading: Reading) -> Event:
        version = str(version_of(reading.chart.patient) or reading.chart.read_at)
        kind, first = EventKind.PATIENT_CLOSED, self.items[0]
        return Event(
            id=context.ids.new(),
            key=f"{self.endpoint.id}|{self.name}|{version}|{kind.value}|{self.name}",
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
