"""The charts that a new sandbox starts with: its people, or Synthea Bundles.

Both are transaction Bundles and go in through the same door as any client's.
"""

import re
from dataclasses import replace
from datetime import datetime, timedelta
from importlib import resources
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import orjson

from middleware.sandbox.bundle import process
from middleware.sandbox.calls import Site
from middleware.sandbox.journal import Journal
from middleware.sandbox.outcome import FhirFault
from middleware.sandbox.store import Store

KIND = "chart"
# What a chart holds was there before the sandbox began, so that it is no news.
AGE = timedelta(hours=1)
_PLACEHOLDER = re.compile(r"@\{([^{}]*)\}")
_INNER = re.compile(
    r"(?P<origin>now|(?P<sign>[+-])(?P<number>\d+)(?P<unit>[smhdw]))"
    r"(?: (?:(?P<hour>\d\d):(?P<minute>\d\d)|(?P<date>date)))?"
)
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def resolve_placeholders(value: Any, start: datetime, zone: ZoneInfo) -> Any:
    """Answer a copy of a JSON value with its relative dates made absolute.

    A string that is one placeholder as a whole becomes an ISO dateTime with the
    zone's offset, or a date. The forms, all counted from `start` (aware):

    - `@{now}`, `@{-2h}`, `@{+90m}`, `@{-400d}`, `@{+2w}`: that instant; days and
      weeks keep the local clock time in `zone` across daylight saving;
    - `@{+3d 09:30}`, `@{now 08:00}`: that local day at that local time;
    - `@{-400d date}`, `@{now date}`: that local day as a date.

    ValueError names a placeholder that has none of these forms. A placeholder
    inside a longer string is resolved in its place.
    """
    if isinstance(value, dict):
        return {k: resolve_placeholders(v, start, zone) for k, v in value.items()}
    if isinstance(value, list):
        return [resolve_placeholders(item, start, zone) for item in value]
    if isinstance(value, str) and "@{" in value:
        return _PLACEHOLDER.sub(lambda m: _resolve(m.group(1), start, zone), value)
    return value


def _resolve(text: str, start: datetime, zone: ZoneInfo) -> str:
    match = _INNER.fullmatch(text)
    if match is None:
        raise ValueError(
            f"@{{{text}}} is no relative date; "
            "write @{now}, @{-2h}, @{+3d 09:30} or @{-400d date}"
        )
    local = start.astimezone(zone)
    if match["sign"]:
        number = int(match["sign"] + match["number"])
        span = timedelta(**{_UNITS[match["unit"]]: number})
        if match["unit"] in "dw":
            local += span
        else:
            local = (start + span).astimezone(zone)
    if match["date"]:
        return local.date().isoformat()
    if match["hour"]:
        hour, minute = int(match["hour"]), int(match["minute"])
        local = local.replace(hour=hour, minute=minute, second=0, microsecond=0)
    return local.replace(microsecond=0).isoformat()


class Charts:
    """Loads charts once: the journal remembers which files are in."""

    def __init__(self, store: Store, site: Site, journal: Journal) -> None:
        self._store = store
        self._journal = journal
        self._start = site.now()
        self._site = replace(site, now=lambda: self._start - AGE)
        self._loaded = {record["file"] for record in journal.recorded(KIND)}

    def load_people(self) -> int:
        """Load the people that are made for the stories; answer how many files."""
        folder = resources.files("middleware.sandbox") / "people"
        names = sorted(f.name for f in folder.iterdir() if f.name.endswith(".json"))
        return sum(
            self._load(f"people/{name}", (folder / name).read_bytes()) for name in names
        )

    def load_directory(self, directory: Path) -> int:
        """Load every *.json transaction Bundle of a directory; answer how many.

        Files of practitioners and hospitals go first, for others refer to them.
        ValueError names the file that is not a Bundle this server takes.
        """
        files = sorted(directory.glob("*.json"), key=_rank)
        if not files:
            raise ValueError(f"{directory} holds no *.json Bundles; nothing was loaded")
        return sum(self._load(file.name, file.read_bytes()) for file in files)

    def _load(self, name: str, text: bytes) -> bool:
        if name in self._loaded:
            return False
        try:
            bundle = orjson.loads(text)
            bundle = resolve_placeholders(bundle, self._start, self._site.zone)
            process(bundle, self._store, self._site, None)
        except FhirFault as fault:
            sentence = f"{name} was not loaded: {fault.diagnostics}"
            raise ValueError(sentence) from fault
        except ValueError as error:
            raise ValueError(f"{name} was not loaded: {error}") from error
        self._loaded.add(name)
        self._journal.append(KIND, {"file": name})
        return True


def _rank(file: Path) -> tuple[int, str]:
    shared = ("hospitalInformation", "practitionerInformation")
    return (0 if file.name.startswith(shared) else 1, file.name)
