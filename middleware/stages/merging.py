"""Merged records: the chart of the one that lives on, and what goes over to it.

A merge is learnt wherever a Patient is read anyhow: with an event, right before a
message goes, or when the EHR tells of a Patient. None is searched for.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from mappings.chart import Chart
from mappings.endpoint import Endpoint
from mappings.errors import FhirError, MergedError
from mappings.event import Event
from mappings.merge import ELSEWHERE, merged_into, replaced_records
from mappings.plan import Library
from middleware.ports import FhirApi, SearchResult
from middleware.stages.charts import fetch_chart, fetch_replaced
from middleware.storage import events, inbox, merging
from middleware.storage.connecting import Tx
from middleware.storage.ids import shard_of

HOPS = 4
Merge = tuple[str, str]


@dataclass(frozen=True)
class Reading:
    """The chart of the record that lives on.

    ``merges`` are the (old, new) that led to it, ``told`` those that it tells of itself.
    """

    patient: str
    chart: Chart
    merges: tuple[Merge, ...] = ()
    told: tuple[Merge, ...] = ()

    def into(self) -> dict[str, str]:
        """Return every old record with the one that stands for it."""
        return {old: self.patient for old, _ in (*self.merges, *self.told)}


def fetch_surviving(
    api: FhirApi,
    library: Library,
    patient: str,
    now: datetime,
    *,
    focus: str = "",
    known: Mapping[str, SearchResult] | None = None,
    older: Sequence[str] = (),
) -> Reading:
    """Read a patient's chart, or that of the record that the patient's was merged into.

    What still names an old record is read with it; ``older`` are those that we know of.
    Where the surviving record cannot be found, or leads back, the old one is returned;
    it is replaced, so a person is asked. Raises FhirError as :func:`fetch_chart` does.
    """
    found = _follow(api, library, patient, now, focus=focus, known=known)
    told = [old for old, _ in (*found.merges, *found.told)]
    chart = fetch_replaced(api, library, found.chart, told=told, known=older)
    return replace(found, chart=chart)


def _follow(
    api: FhirApi,
    library: Library,
    patient: str,
    now: datetime,
    *,
    focus: str,
    known: Mapping[str, SearchResult] | None,
) -> Reading:
    found: list[Reading] = []
    merges: tuple[Merge, ...] = ()
    for _ in range(HOPS):
        try:
            chart = fetch_chart(api, library, patient, now, focus=focus, known=known)
            into = merged_into(chart.patient, api.base_url)
            found.append(_reading(patient, chart, merges, api.base_url))
        except MergedError as error:
            into = error.survivor
        except FhirError as error:
            if not found or not error.permanent:
                raise
            return found[-1]
        if into is None or into == ELSEWHERE:
            return found[-1]
        if into in (patient, *(old for old, _ in merges)):
            break
        merges = (*merges, (patient, into))
        patient = into
    if found and not found[0].merges:
        return found[0]
    raise FhirError(
        "the records of this patient lead to each other; nothing was decided; check "
        "the merge in the EHR",
        permanent=True,
    )


def _reading(
    patient: str, chart: Chart, merges: tuple[Merge, ...], base: str
) -> Reading:
    told = replaced_records(chart.patient, base)
    own = tuple((old, patient) for old in told if old != patient)
    return Reading(patient, chart, merges, own)


def gone_record(patient: str, now: datetime) -> Reading:
    """Stand in for a record that does not exist any more: closed, and empty."""
    identifier = patient.partition("/")[2]
    person = {"resourceType": "Patient", "id": identifier, "active": False}
    return Reading(patient, Chart(patient=person, resources=(), read_at=now))


def store_merges(
    tx: Tx, endpoint: Endpoint, readings: Iterable[Reading], now: datetime
) -> set[tuple[str, int]]:
    """Take over what was planned for old records; return what to wake.

    What a record tells of itself is taken up once, and of patients whom we know.
    """
    shards: set[int | None] = set()
    for reading in readings:
        wanted = list(reading.merges)
        if reading.told:
            told = {old for old, _ in reading.told}
            known = merging.find_survivors(tx, endpoint.id, told)
            wanted += [
                (old, new)
                for old, new in reading.told
                if old in known and known[old] != new
            ]
        for old, new in dict.fromkeys(wanted):
            shards.add(merging.merge_patients(tx, endpoint.id, old, new, now))
    return {("deliver", shard) for shard in shards if shard is not None}


def read_again(tx: Tx, endpoint: Endpoint, event: Event, now: datetime) -> None:
    """Let a focus be read anew, for its record was merged while the event waited.

    Its chart is the old record's. RESOLVE reads the one that lives on.
    """
    events.forget_focus(tx, endpoint.id, event.focus)
    item = inbox.NewItem(
        key=f"{endpoint.id}|{event.focus}|merged|{event.id}",
        endpoint_id=endpoint.id,
        subscription_id=None,
        notification_id=None,
        source="merge",
        focus=event.focus,
        version=None,
        event_number=None,
        resource_type=event.focus.partition("/")[0],
        interaction="update",
        shard=shard_of(endpoint.id, event.focus),
        received_at=now,
    )
    inbox.insert_inbox(tx, [item])
    events.finish_event(tx, [event.id], now)
