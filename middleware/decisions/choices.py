"""What holds for each preference, of all that chart and own store say about it.

Each choice returns the value in force and the conflicts that were found on the way.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from mappings.chart import Chart
from mappings.designated import read_designated
from mappings.endpoint import Site
from mappings.places import Designated
from mappings.preference import (
    STRENGTH,
    Address,
    Conflict,
    OwnRecord,
    Sourced,
    Who,
)
from mappings.recipient import UNRANKED, read_address_value
from mappings.reference import reference_of
from mappings.resource import (
    Resource,
    dict_of,
    extension_value,
    extensions_of,
    list_of,
)
from mappings.speech import read_written_language, reads_with_difficulty
from mappings.stated import EXPERIENCE, NEEDS, read_modalities, read_needs
from middleware.decisions.weighing import (
    keep,
    own_value,
    own_voices,
    prefer,
    restrict,
    sourced,
)
from middleware.decisions.windows import CONTACT_WINDOW, chart_days, chart_window

DEFAULT_CHANNELS = ("sms", "email")
CHANNELS = frozenset({"sms", "email", "screen"})
TOPIC_CHANNELS = "channels:"
URGENT = "urgent"

Conflicts = tuple[Conflict, ...]
Channels = Sourced[tuple[str, ...]]


def choose_channels(own: OwnRecord, addresses: Sequence[Address]) -> Channels:
    """Return the order of channels: what was said, the chart's ranks, the site's."""
    stated = _usable_channels(own_value(own, "channels"))
    return stated or ranked_channels(addresses)


def ranked_channels(addresses: Sequence[Address]) -> Channels:
    """Return the order of the chart's ranks, the site's where they do not tell."""
    site: Channels = Sourced(DEFAULT_CHANNELS, Who.SITE, "the site's order")
    return _ranked(addresses) or site


def choose_topic_channels(own: OwnRecord) -> dict[str, Channels]:
    """Return the orders that were said for one topic, or for what cannot wait."""
    names = {item.name for item in own.preferences}
    found: dict[str, Channels] = {}
    for name in sorted(names):
        if name.startswith(TOPIC_CHANNELS):
            stated = _usable_channels(own_value(own, name))
            if stated is not None:
                found[name.removeprefix(TOPIC_CHANNELS)] = stated
    return found


def _usable_channels(stated: Sourced[Any] | None) -> Channels | None:
    if stated is None:
        return None
    usable = [item for item in list_of(stated.value) if item in CHANNELS]
    return replace(stated, value=tuple(dict.fromkeys(usable))) if usable else None


def _ranked(addresses: Sequence[Address]) -> Channels | None:
    """Return the order of the chart's ranks, where they tell the channels apart."""
    best: dict[str, Address] = {}
    for item in addresses:
        best.setdefault(item.channel, item)
    ranks = [item.rank for item in best.values()]
    if len(set(ranks)) < 2 or UNRANKED in ranks:
        return None
    order = sorted(best.values(), key=lambda item: item.rank)
    reference = f"{order[0].reference}#{order[0].path}"
    channels = tuple(item.channel for item in order)
    return Sourced(channels, Who.CHART, "in the chart", reference=reference)


def choose_language(
    patient: Resource, own: OwnRecord
) -> tuple[Sourced[str] | None, Conflicts]:
    """Return the language to write in; where voices differ the patient's own holds."""
    chart = read_written_language(patient)
    voices = keep([*own_voices(own, "language"), chart], lambda v: isinstance(v, str))
    return prefer("language", voices, lambda one, other: _base(one) == _base(other))


def _base(tag: str) -> str:
    return tag.replace("_", "-").split("-", maxsplit=1)[0].lower()


def choose_window(
    patient: Resource, own: OwnRecord, site: Site
) -> tuple[Sourced[tuple[float, float]], Conflicts]:
    """Return the hours that everybody who spoke allows; the site's where none did."""
    found = chart_window(patient)
    chart = _of_chart(found, patient) if found is not None else None
    voices = keep([*own_voices(own, "window"), chart], _is_window)
    pairs = [replace(item, value=tuple(item.value)) for item in voices]
    held, conflicts = restrict("window", _without_learned(pairs), _overlap)
    return held or Sourced(site.window, Who.SITE, "the site's hours"), conflicts


def _overlap(
    one: tuple[float, float], other: tuple[float, float]
) -> tuple[float, float]:
    first = max(one[0], other[0])
    return first, max(first, min(one[1], other[1]))


def _is_window(value: object) -> bool:
    return (
        isinstance(value, list | tuple)
        and len(value) == 2
        and all(isinstance(item, int | float) for item in value)
        and 0 <= value[0] < value[1] <= 24
    )


def choose_days(
    patient: Resource, own: OwnRecord, now: datetime
) -> tuple[Sourced[tuple[int, ...]] | None, Conflicts]:
    """Return the weekdays (Monday 0) that everybody who spoke allows."""
    found = chart_days(patient, now)
    chart = _of_chart(found, patient) if found else None
    voices = keep([*own_voices(own, "days"), chart], _are_days)
    sets = [replace(item, value=tuple(sorted(set(item.value)))) for item in voices]
    return restrict("days", _without_learned(sets), _common)


def _common(one: tuple[int, ...], other: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(sorted(set(one) & set(other)))


def _are_days(value: object) -> bool:
    return (
        isinstance(value, list | tuple)
        and bool(value)
        and all(isinstance(item, int) and 0 <= item <= 6 for item in value)
    )


def choose_max_per_week(
    patient: Resource, own: OwnRecord, site: Site
) -> tuple[Sourced[int], Conflicts]:
    """Return the weekly limit: anybody may ask for fewer, nobody for more."""
    window = next(iter(extensions_of(patient, CONTACT_WINDOW)), {})
    chart = _of_chart(extension_value(window, "maxPerWeek"), patient)
    voices = keep([*own_voices(own, "max_per_week"), chart], _is_count)
    held, conflicts = restrict("max_per_week", _without_learned(voices), min)
    if held is None:
        return Sourced(site.max_per_week, Who.SITE, "the site's limit"), ()
    return replace(held, value=max(0, min(held.value, site.max_per_week))), conflicts


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def choose_modality(
    chart: Chart, own: OwnRecord
) -> tuple[Sourced[str] | None, Conflicts]:
    """Return how the patient likes to be seen: telehealth, in-person or phone."""
    told = read_modalities(
        chart.coded("Observation", {EXPERIENCE}), reference_of(chart.patient)
    )
    voices = [*own_voices(own, "modality"), *told[:1]]
    ordered = sorted(voices, key=lambda item: -STRENGTH[item.who])
    return prefer("modality", keep(ordered, lambda value: isinstance(value, str)))


def choose_accessibility(chart: Chart, own: OwnRecord) -> tuple[Sourced[str], ...]:
    """Return every need that anybody named, each once."""
    found: dict[str, Sourced[str]] = {}
    for voice in own_voices(own, "accessibility"):
        for need in list_of(voice.value):
            found.setdefault(str(need), replace(voice, value=str(need)))
    reference = reference_of(chart.patient)
    for item in read_needs(chart.coded("Observation", NEEDS), reference):
        found.setdefault(item.value, item)
    if reads_with_difficulty(chart.patient):
        easy = _of_chart("easy-words", chart.patient)
        found.setdefault("easy-words", easy)
    return tuple(found[name] for name in sorted(found))


def choose_recipients(own: OwnRecord, patient: str) -> Sourced[tuple[str, ...]] | None:
    """Return whom the patient wants to be written to, in order.

    The patient may be named by a record that was merged into this one.
    """
    stated = own_value(own, "recipients")
    if stated is None:
        return None
    names = [
        patient if item.startswith("Patient/") else item
        for item in list_of(stated.value)
        if isinstance(item, str)
    ]
    return replace(stated, value=tuple(dict.fromkeys(names))) if names else None


def choose_designated(
    chart: Chart, own: OwnRecord, now: datetime
) -> tuple[Sourced[Designated] | None, Conflicts]:
    """Return the request for confidential communication that stands, whoever made it.

    A request stands until a voice as strong takes it back; one that names no usable
    place leaves it to staff.
    """
    told = read_designated(chart.patient, chart.of("Flag"), now)
    voices = _requests(own)
    if told is not None and (told.value.channel is not None or not voices):
        voices.append(told)
    return prefer(
        "confidential",
        voices,
        lambda one, other: (one.channel, one.value) == (other.channel, other.value),
    )


def _requests(own: OwnRecord) -> list[Sourced[Designated]]:
    answers = [item for item in own.preferences if item.name == "confidential"]
    found: dict[Who, Sourced[Designated]] = {}
    for item in sorted(answers, key=lambda item: (item.recorded_at, repr(item.value))):
        lifted = any(
            later.value is None
            and later.recorded_at > item.recorded_at
            and STRENGTH[later.who] >= STRENGTH[item.who]
            for later in answers
        )
        voice = sourced(item)
        if voice is not None and not lifted:
            found[item.who] = replace(voice, value=_designated(item.value))
    return [found[who] for who in sorted(found, key=lambda item: -STRENGTH[item])]


def _designated(value: object) -> Designated:
    stated = dict_of(value)
    place = read_address_value(stated.get("system"), stated.get("value"))
    note = str(stated.get("note") or "")
    return Designated(*place, note) if place else Designated(note=note)


def _without_learned(voices: Sequence[Sourced[Any]]) -> list[Sourced[Any]]:
    """Leave out what was only learned where somebody spoke."""
    spoken = [item for item in voices if item.who is not Who.LEARNED]
    return spoken or list(voices)


def _of_chart(value: Any, patient: Resource) -> Sourced[Any]:
    reference = f"{reference_of(patient)}#Patient.extension[contact-window]"
    return Sourced(value, Who.CHART, "in the chart", reference=reference)
