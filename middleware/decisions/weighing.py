"""Several voices on one preference: whose answer counts, and where they disagree.

The strongest voice is heard: patient, staff, chart, what was learned, the site. For
hours, days and limits the more restrictive of all that was said holds, whoever said it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

from mappings.preference import (
    STRENGTH,
    Conflict,
    OwnRecord,
    PreferenceRecord,
    Sourced,
    Who,
)

T = TypeVar("T")


def newest(own: OwnRecord, name: str) -> PreferenceRecord | None:
    """Return the recorded preference that counts: the newest of the strongest voice.

    A newer answer of a weaker voice does not replace the patient's own; a voice that
    took its answer back says nothing. A pause is anybody's: the newest counts.
    """
    answers = [item for item in own.preferences if item.name == name]
    if not answers:
        return None
    if name != "pause":
        last = {item.who: item for item in sorted(answers, key=_order)}
        said = [item for item in last.values() if item.value is not None]
        answers = said or list(last.values())
        strongest = max(STRENGTH[item.who] for item in answers)
        answers = [item for item in answers if STRENGTH[item.who] == strongest]
    return max(answers, key=_order)


def own_value(own: OwnRecord, name: str) -> Sourced[Any] | None:
    """Return the recorded value that counts; None where it was taken back."""
    record = newest(own, name)
    return sourced(record) if record is not None else None


def own_voices(own: OwnRecord, name: str) -> list[Sourced[Any]]:
    """Return the newest recorded answer of each voice, the strongest first."""
    found: list[Sourced[Any]] = []
    for who in sorted(Who, key=lambda item: -STRENGTH[item]):
        said = [i for i in own.preferences if (i.name, i.who) == (name, who)]
        voice = sourced(max(said, key=_order)) if said else None
        if voice is not None:
            found.append(voice)
    return found


def sourced(record: PreferenceRecord) -> Sourced[Any] | None:
    """Return a record's value with its provenance; None where it was taken back."""
    if record.value is None:
        return None
    return Sourced(
        value=record.value,
        who=record.who,
        how=record.how,
        when=record.recorded_at,
        by=record.recorded_by,
    )


def restrict(
    name: str, voices: Sequence[Sourced[T]], meet: Callable[[T, T], T]
) -> tuple[Sourced[T] | None, tuple[Conflict, ...]]:
    """Return the value that satisfies all voices, and each disagreement.

    The strongest voice is named as its source unless another narrows it.
    """
    if not voices:
        return None, ()
    first, *rest = voices
    held = first
    for other in rest:
        met = meet(held.value, other.value)
        if met != held.value:
            held = Sourced(
                met, other.who, other.how, other.when, other.by, other.reference
            )
    conflicts = (
        Conflict(name, first, other, held.value)
        for other in rest
        if other.value != first.value
    )
    return held, tuple(conflicts)


def prefer(
    name: str,
    voices: Sequence[Sourced[T]],
    same: Callable[[T, T], bool] = lambda one, other: one == other,
) -> tuple[Sourced[T] | None, tuple[Conflict, ...]]:
    """Return the strongest voice's value, and each voice that disagrees with it."""
    if not voices:
        return None, ()
    first, *rest = voices
    conflicts = (
        Conflict(name, first, other, first.value)
        for other in rest
        if not same(first.value, other.value)
    )
    return first, tuple(conflicts)


def keep(
    voices: Iterable[Sourced[Any] | None], usable: Callable[[Any], bool]
) -> list[Any]:
    """Return the voices whose value can be used."""
    return [item for item in voices if item is not None and usable(item.value)]


def _order(record: PreferenceRecord) -> tuple[Any, str, str]:
    """Order by time; at one instant by what was said, so that the order is always one."""
    return record.recorded_at, record.who.value, repr(record.value)
