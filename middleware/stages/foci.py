"""Foci: transitions are named, the patients' charts are read, events are stored.

What lies further back than any plan reaches is passed over before a chart is read, so
that an EHR's past, whoever brings it in, costs one look at the history and no message.
Foci are resolved side by side: their reads share batches, their rows a transaction. One
that breaks is postponed by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import Any, TypeVar

from mappings.endpoint import Endpoint
from mappings.errors import CareCueError, FhirError
from mappings.event import Event, EventKind, Transition
from mappings.plan import Library
from middleware.decisions.reach import is_past
from middleware.decisions.transitions import match_transitions
from middleware.ports import FhirApi, SearchResult
from middleware.stages.attempting import attempt, attempt_together
from middleware.stages.charts import chart_queries, is_passing
from middleware.stages.context import StageContext
from middleware.stages.merging import (
    Reading,
    fetch_surviving,
    gone_record,
    store_merges,
)
from middleware.stages.news import Focus, News, new_event, only_merged, why_past
from middleware.storage import events, inbox, merging, nudges
from middleware.storage.connecting import Tx
from middleware.storage.ids import shard_of
from middleware.storage.shards import Held, check_epochs

R = TypeVar("R")
T = TypeVar("T")

# After so many failures the present version alone is better than nothing.
HISTORY_TRIES = 5


Versions = tuple[Focus, tuple[dict[str, Any], ...]]
Told = tuple[News, Mapping[str, Reading]]


@dataclass(frozen=True)
class FociWork:
    """The foci of one endpoint; ``postpone`` is told of one that cannot be resolved."""

    api: FhirApi
    endpoint: Endpoint
    foci: Sequence[Focus]
    postpone: Callable[[Focus, CareCueError], None]

    def run(self, context: StageContext, held: Held, now: datetime) -> None:
        """Name the transitions of these foci and store them as events."""
        versions = self._each(self.foci, lambda focus: focus, self._versions)
        look = partial(self._news, context, now)
        groups = attempt_together(
            "resolve", versions, look, lambda row, error: self.postpone(row[0], error)
        )
        news = [item for group in groups for item in group or ()]
        known = self._ahead(context, now, news)
        read = partial(self._read, context, now, known)
        told = self._each(news, lambda item: item.focus, read)
        store = partial(self._store, context, held, now)
        stored = attempt_together(
            "resolve",
            told,
            store,
            lambda row, error: self.postpone(row[0].focus, error),
        )
        woken = {item for group in stored for item in group or ()}
        for stage, number in sorted(woken):
            context.wake(stage, number)

    def _each(
        self, rows: Iterable[R], focus_of: Callable[[R], Focus], run: Callable[[R], T]
    ) -> list[tuple[R, T]]:
        """Return each row with what came of it; a focus that failed is postponed."""
        found = [
            (
                row,
                attempt("resolve", partial(run, row), self._postponing(focus_of(row))),
            )
            for row in rows
        ]
        return [(row, result) for row, result in found if result is not None]

    def _postponing(self, focus: Focus) -> Callable[[CareCueError], None]:
        return partial(self.postpone, focus)

    def _versions(self, focus: Focus) -> tuple[dict[str, Any], ...]:
        """Return the versions, oldest first; the current one alone if need be."""
        if focus.history.complete:
            return focus.history.resources
        patience_ends = max(item.attempts for item in focus.items) >= HISTORY_TRIES
        if is_passing(focus.history) and not patience_ends:
            raise FhirError(
                "the history of this resource could not be read; nothing was passed "
                "over; it is tried again"
            )
        try:
            return (self.api.fetch(focus.name),)
        except FhirError as error:
            if error.status == 410:
                kind, _, identifier = focus.name.partition("/")
                return ({"resourceType": kind, "id": identifier, "_deleted": True},)
            raise

    def _news(
        self, context: StageContext, now: datetime, rows: Sequence[Versions]
    ) -> list[News]:
        """Return the transitions that may still matter, each for the living record."""
        base, endpoint_id = self.endpoint.fhir_base, self.endpoint.id
        library = context.library(self.endpoint)
        with context.database.tx() as tx:
            names = [focus.name for focus, _ in rows]
            before = events.list_focus_states(tx, endpoint_id, names)
            matched = [
                (focus, *match_transitions(before.get(focus.name), versions, base))
                for focus, versions in rows
            ]
            named = {
                item.patient
                for _, found, _ in matched
                for item in found
                if item.patient is not None
            }
            known = merging.find_survivors(tx, endpoint_id, named) if named else {}
            news = [
                self._sift(
                    tx, library, known, News(focus, tuple(found), state, None), now
                )
                for focus, found, state in matched
            ]
            people = sorted({name for item in news for name in item.patients})
            same = merging.list_same(tx, endpoint_id, people) if people else {}
            return [replace(item, same=same) for item in news]

    def _sift(
        self,
        tx: Tx,
        library: Library,
        known: Mapping[str, str | None],
        news: News,
        now: datetime,
    ) -> News:
        """Leave out what is past and concerns nobody, or names no patient."""
        kept, note = [], None
        for item in news.transitions:
            if item.patient is None:
                continue
            patient = known.get(item.patient) or item.patient
            if is_past(item, library, now) and not nudges.is_concerned(
                tx, self.endpoint.id, patient, news.focus.name
            ):
                note = why_past(item) or note
                continue
            kept.append(replace(item, patient=patient))
        if news.transitions and all(item.patient is None for item in news.transitions):
            note = "names-no-patient"
        return replace(news, transitions=tuple(kept), note=None if kept else note)

    def _ahead(
        self, context: StageContext, now: datetime, news: Sequence[News]
    ) -> dict[str, SearchResult]:
        """Read the charts of all at once; where that fails, each is read alone."""
        library = context.library(self.endpoint)
        queries = [
            query
            for item in news
            for patient in item.patients
            for query in chart_queries(library, patient, item.focus.name, now)
        ]
        wanted = list(dict.fromkeys(queries))
        try:
            answers = self.api.fetch_many(wanted) if wanted else ()
        except CareCueError:
            return {}
        return dict(zip(wanted, answers, strict=True))

    def _read(
        self,
        context: StageContext,
        now: datetime,
        known: Mapping[str, SearchResult],
        news: News,
    ) -> dict[str, Reading]:
        """Return the chart of everybody whom the transitions concern."""
        library = context.library(self.endpoint)
        moved = {
            item.patient
            for item in news.transitions
            if item.kind is EventKind.RESOURCE_MOVED
        }
        found: dict[str, Reading] = {}
        for patient in news.patients:
            try:
                found[patient] = fetch_surviving(
                    self.api,
                    library,
                    patient,
                    now,
                    focus=news.focus.name,
                    known=known,
                    older=news.same.get(patient, ()),
                )
            except FhirError as error:
                if patient not in moved or not error.permanent:
                    raise
                found[patient] = gone_record(patient, now)
        return found

    def _store(
        self,
        context: StageContext,
        held: Held,
        now: datetime,
        rows: Sequence[Told],
    ) -> set[tuple[str, int]]:
        """Store what was found; return the stages and shards that have work now."""
        with context.database.tx() as tx:
            check_epochs(tx, "resolve", held)
            woken: set[tuple[str, int]] = set()
            fresh: list[events.NewEvent] = []
            for news, readings in rows:
                woken |= store_merges(tx, self.endpoint, readings.values(), now)
                fresh += self._events(context, news, readings)
            events.insert_events(tx, fresh, now)
            states = [news.state for news, _ in rows if news.state is not None]
            events.put_focus_states(tx, self.endpoint.id, states)
            for note in {news.note for news, _ in rows}:
                done = [news.focus.items for news, _ in rows if news.note == note]
                ids = [item.id for items in done for item in items]
                inbox.finish_inbox(tx, ids, now, note)
        return woken | {("decide", item.event.shard) for item in fresh}

    def _events(
        self, context: StageContext, news: News, readings: Mapping[str, Reading]
    ) -> list[events.NewEvent]:
        into = {
            old: new
            for reading in readings.values()
            for old, new in reading.into().items()
        }
        return [
            new_event(
                self._event(context, item, readings[str(item.patient)], news.focus),
                news.focus.items,
                readings,
            )
            for item in news.transitions
            if not only_merged(item, news.state, into)
        ]

    def _event(
        self, context: StageContext, item: Transition, reading: Reading, focus: Focus
    ) -> Event:
        patient = reading.patient
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
            received_at=focus.items[0].received_at,
        )
