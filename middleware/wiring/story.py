"""A story: what happens to a clinic's patients, written to any FHIR server.

The same scenario file drives the sandbox and a server that we did not write. Instants
are given as "+3d 09:30", counted from the story's first day in the site's zone.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import orjson

from mappings.errors import BadInputError
from middleware.ports import FhirApi

SCENARIOS = Path(__file__).parent.parent / "sandbox" / "scenarios"
_OFFSET = re.compile(r"^([+-]\d+)d (\d\d):(\d\d)$")
_PLACEHOLDER = re.compile(r"^@\{([+-]\d+d \d\d:\d\d)\}$")


@dataclass(frozen=True)
class Step:
    """One thing that happens: a resource written, or a patient's reply."""

    id: str
    at: datetime
    patient: str
    title: str
    body: dict[str, Any]


@dataclass(frozen=True)
class Story:
    """A scenario with its instants worked out."""

    name: str
    start: datetime
    zone: ZoneInfo
    days: int
    steps: tuple[Step, ...]
    expect: dict[str, Any]

    @property
    def end(self) -> datetime:
        """Return the instant at which everything must have happened."""
        return self.start + timedelta(days=self.days)

    def instant(self, offset: str) -> datetime:
        """Return the instant of "+3d 09:30"; raises BadInputError."""
        return instant_of(offset, self.start, self.zone)


def read_story(name: str) -> Story:
    """Read a scenario by name; raises BadInputError when it is not there."""
    path = SCENARIOS / f"{name}.json"
    if not path.is_file():
        raise BadInputError(f"There is no scenario {name!r} in {SCENARIOS.name}/.")
    raw = orjson.loads(path.read_bytes())
    start, zone = datetime.fromisoformat(raw["start"]), ZoneInfo(raw["zone"])
    steps = tuple(_step(item, start, zone) for item in raw["steps"])
    return Story(raw["name"], start, zone, int(raw["days"]), steps, raw["expect"])


def _step(item: dict[str, Any], start: datetime, zone: ZoneInfo) -> Step:
    return Step(
        id=item["id"],
        at=instant_of(item["at"], start, zone),
        patient=item["patient"],
        title=item["title"],
        body=_resolve(item, start, zone),
    )


def instant_of(offset: str, start: datetime, zone: ZoneInfo) -> datetime:
    """Return the instant of "+3d 09:30" counted from ``start``'s local day."""
    match = _OFFSET.match(offset)
    if match is None:
        raise BadInputError(f"{offset!r} is not an instant like +3d 09:30.")
    days, hour, minute = (int(part) for part in match.groups())
    day = start.astimezone(zone).date() + timedelta(days=days)
    return datetime(day.year, day.month, day.day, hour, minute, tzinfo=zone)


def _resolve(value: Any, start: datetime, zone: ZoneInfo) -> Any:
    if isinstance(value, dict):
        return {name: _resolve(part, start, zone) for name, part in value.items()}
    if isinstance(value, list):
        return [_resolve(part, start, zone) for part in value]
    if isinstance(value, str):
        match = _PLACEHOLDER.match(value)
        if match:
            return instant_of(match.group(1), start, zone).isoformat()
    return value


def send_step(step: Step, ehr: FhirApi) -> str:
    """Write what a step changes to the EHR; return ``Type/id/version``."""
    if "create" in step.body:
        stored = ehr.send_update(step.body["create"])
    else:
        current = ehr.fetch(step.body["update"])
        version = current["meta"]["versionId"]
        changed = merge(current, step.body["set"])
        stored = ehr.send_update(changed, if_match=f'W/"{version}"')
    meta = stored.get("meta", {})
    return f"{stored['resourceType']}/{stored['id']}/{meta.get('versionId')}"


def merge(base: Any, change: Any) -> Any:
    """Return ``base`` with ``change`` laid over it, objects merged by name."""
    if not isinstance(base, dict) or not isinstance(change, dict):
        return change
    merged = dict(base)
    for name, part in change.items():
        merged[name] = merge(base.get(name), part)
    return merged


def people_bundles(story: Story, folder: Path) -> Iterable[dict[str, Any]]:
    """Yield the charts of the sandbox's people as transaction Bundles."""
    for path in sorted(folder.glob("*.json")):
        yield _resolve_chart(orjson.loads(path.read_bytes()), story)


_CHART = re.compile(r"^@\{([+-]\d+)([dh])(?: (\d\d):(\d\d))?( date)?\}$")


def _resolve_chart(value: Any, story: Story) -> Any:
    if isinstance(value, dict):
        return {name: _resolve_chart(part, story) for name, part in value.items()}
    if isinstance(value, list):
        return [_resolve_chart(part, story) for part in value]
    match = _CHART.match(value) if isinstance(value, str) else None
    if match is None:
        return value
    amount, unit, hour, minute, date_only = match.groups()
    if hour is not None:
        offset = f"{int(amount):+d}d {hour}:{minute}"
        return instant_of(offset, story.start, story.zone).isoformat()
    step = timedelta(days=int(amount)) if unit == "d" else timedelta(hours=int(amount))
    moment = (story.start + step).astimezone(story.zone)
    return moment.date().isoformat() if date_only else moment.isoformat()
