"""Marks of what a form was made from, so that a save sees what changed meanwhile. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import orjson

from mappings.chart import Chart
from mappings.endpoint import Endpoint
from mappings.preference import EngagementProfile, OwnRecord, Sourced, Who
from mappings.telecom import is_point, read_point_name, read_statement
from middleware.decisions.preference import compile_profile

# Where the profile has a preference under another name than its record.
_FIELDS = {"zone": "zones"}
_TOPIC = "channels:"


def preference_version(own: OwnRecord, name: str) -> str:
    """Return a short digest of every voice's last word on a preference, ``0`` for none."""
    records = [item for item in own.preferences if item.name == name]
    if not records:
        return "0"
    words = [
        [item.recorded_at, item.value, item.who.value, item.recorded_by, item.saved_by]
        for item in records
    ]
    return _digest(sorted(words, key=repr))


def standing_version(
    own: OwnRecord,
    chart: Chart,
    endpoint: Endpoint,
    names: Sequence[str],
    now: datetime,
) -> str:
    """Return a digest of what holds for these preferences, whoever said it.

    It changes with a record of ours and with what the chart says.
    """
    profile = compile_profile(chart, own, endpoint, now)
    marks = [
        [name, preference_version(own, name), _marks(standing(profile, name))]
        for name in sorted(names)
    ]
    return _digest(marks)


def standing(profile: EngagementProfile, name: str) -> tuple[Sourced[Any], ...]:
    """Return what holds for a preference, with its source; empty where nothing does."""
    if is_point(name):
        point = find_point(profile, name)
        return () if point is None else (point,)
    if name.startswith(_TOPIC):
        found: Any = profile.topic_channels.get(name.removeprefix(_TOPIC))
    else:
        found = getattr(profile, _FIELDS.get(name, name))
    listed = found if isinstance(found, tuple) else (found,)
    return tuple(item for item in listed if isinstance(item, Sourced))


def find_point(profile: EngagementProfile, name: str) -> Sourced[Any] | None:
    """Return what holds of one number or address, as was said here or by the chart."""
    differing = next((item for item in profile.conflicts if item.name == name), None)
    if differing is not None and differing.holds == differing.second.value:
        return differing.second
    said: Sourced[Any] | None = profile.points.said.get(name)
    if said is not None:
        return said
    told = read_statement(profile.points.chart, read_point_name(name))
    return None if told is None else Sourced(told, Who.CHART, "in the chart")


def _marks(found: Sequence[Sourced[Any]]) -> list[list[str]]:
    return [[repr(item.value), item.who.value] for item in found]


def consent_version(own: OwnRecord) -> str:
    """Return a digest of every answer that counts for this patient."""
    return _digest(sorted(item.id for item in own.consents))


def _digest(value: Any) -> str:
    return hashlib.sha256(orjson.dumps(value)).hexdigest()[:16]
