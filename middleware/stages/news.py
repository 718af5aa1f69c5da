"""What a focus shows: its transitions, or why nothing more came of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from mappings.event import Event, EventKind, FocusState, Transition
from middleware.ports import SearchResult
from middleware.stages.merging import Reading
from middleware.storage import events, inbox


@dataclass(frozen=True)
class Focus:
    """One focus with all the rows that mention it, and its history as it was read."""

    name: str
    items: Sequence[inbox.InboxItem]
    history: SearchResult


@dataclass(frozen=True)
class News:
    """What the versions of a focus show, and why nothing more came of them.

    ``same`` are the other records of its patients that we know to be merged.
    """

    focus: Focus
    transitions: tuple[Transition, ...]
    state: FocusState | None
    note: str | None
    same: Mapping[str, Sequence[str]] = field(default_factory=dict)

    @property
    def patients(self) -> list[str]:
        """Return everybody whom the transitions concern, each once."""
        return list(dict.fromkeys(str(item.patient) for item in self.transitions))


def new_event(
    event: Event, items: Sequence[inbox.InboxItem], readings: Mapping[str, Reading]
) -> events.NewEvent:
    """Return an event as DECIDE is given it, with the chart of its patient."""
    charts = {reading.patient: reading.chart for reading in readings.values()}
    first = items[0]
    return events.NewEvent(event, first.source, first.id, charts[event.patient])


def why_past(item: Transition) -> str | None:
    """Return the note on what is passed over; what was deleted says nothing itself."""
    if item.kind is EventKind.RESOURCE_DELETED:
        return None
    return "time-unknown" if item.tells_of is None else "too-long-ago"


def only_merged(
    item: Transition, state: FocusState | None, into: Mapping[str, str]
) -> bool:
    """Tell whether a focus moved with its patient's record, to the same person."""
    if item.kind is not EventKind.RESOURCE_MOVED or state is None:
        return False
    old, new = str(item.patient), str(state.patient)
    return into.get(old, old) == into.get(new, new)
