"""What ``carecue decide`` reads: a chart, a site's settings and what was sent before."""

from __future__ import annotations

import tomllib
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson

from mappings.endpoint import AppClient, BackendClient, Endpoint, EndpointKind
from mappings.endpoint_file import read_site
from mappings.errors import BadInputError
from mappings.instants import find_instant
from mappings.others import read_sent
from mappings.preference import OwnRecord, SentMessage
from mappings.resource import dict_of, list_of

# What a site is taken for where --site does not say otherwise.
SITE: dict[str, Any] = {
    "name": "The clinic",
    "phone": "555-0100",
    "booking_url": "https://clinic.example.org/book",
    "zone": "America/New_York",
}
FIRST_YEAR, LAST_YEAR = 1900, 2200
SENT_FIELDS = frozenset({"sentAt", "topic", "channel", "answered", "plan"})


def read_json(path: Path, what: str) -> Any:
    """Read a JSON file; raises BadInputError that says where it is broken."""
    try:
        return orjson.loads(path.read_bytes())
    except orjson.JSONDecodeError as error:
        raise BadInputError(f"The {what} {path.name} is not JSON: {error}.") from None


def read_site_file(path: Path | None) -> Endpoint:
    """Return the endpoint of a site that is described in a JSON or TOML file.

    What the file leaves out is :data:`SITE`'s. The endpoint counts as production: no
    allow-list stands in the way.
    """
    raw: Any = {}
    if path is not None and path.suffix == ".toml":
        try:
            raw = tomllib.loads(path.read_text())
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise BadInputError(f"The site file is not TOML: {error}.") from None
    elif path is not None:
        raw = read_json(path, "site file")
    if not isinstance(raw, dict):
        raise BadInputError("The site file must hold one object.")
    given = raw.get("site", raw)
    if not isinstance(given, dict):
        raise BadInputError("The site file's `site` must be an object.")
    return Endpoint(
        id="file",
        name="file",
        kind=EndpointKind.PRODUCTION,
        fhir_base="http://localhost/fhir",
        backend=BackendClient(),
        app=AppClient(),
        site=read_site({**SITE, **given}),
    )


def read_history_file(path: Path | None) -> OwnRecord:
    """Return what was sent before: a Bundle of Communications, or ``{"sent": [...]}``.

    Each of ``sent`` has ``sentAt`` (an instant), ``topic`` and ``channel``, and may
    have the ``plan`` that it came of.
    """
    if path is None:
        return OwnRecord()
    raw = read_json(path, "history file")
    if not isinstance(raw, dict):
        raise BadInputError("The history file must hold one object.")
    if raw.get("resourceType") == "Bundle":
        entries = [dict_of(item) for item in list_of(raw.get("entry"))]
        resources = [dict_of(item.get("resource")) for item in entries]
        sent = [
            read_sent(item)
            for item in resources
            if item.get("resourceType") == "Communication"
        ]
    else:
        unknown = sorted(set(raw) - {"sent"})
        if unknown:
            raise BadInputError(f"The history file has unknown fields: {unknown}.")
        sent = [_sent(item) for item in list_of(raw.get("sent"))]
    return OwnRecord(sent=tuple(item for item in sent if item is not None))


def _sent(item: Any) -> SentMessage:
    known = dict_of(item)
    unknown = sorted(set(known) - SENT_FIELDS)
    moment = _moment(known.get("sentAt"))
    if unknown or moment is None:
        raise BadInputError(
            f"Each of the history's `sent` has {sorted(SENT_FIELDS)}; sentAt is an "
            "instant with a time zone."
        )
    return SentMessage(
        sent_at=moment,
        topic=str(known.get("topic") or "unknown"),
        channel=str(known.get("channel") or "sms"),
        answered=known.get("answered") is True,
        about=_about(str(known.get("plan") or "")),
    )


def _about(plan: str) -> tuple[str, str, str] | None:
    return (plan, "", "") if plan else None


def _moment(text: object) -> datetime | None:
    return find_instant(text) if isinstance(text, str) and "T" in text else None


def read_now(text: str) -> datetime:
    """Read the instant to decide at; raises BadInputError without a time zone."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise BadInputError(f"{text!r} is not an ISO 8601 instant.") from None
    if moment.tzinfo is None:
        raise BadInputError(f"{text!r} needs a time zone, such as a final Z.")
    if not FIRST_YEAR <= moment.year <= LAST_YEAR:
        raise BadInputError(
            f"{text!r} is not of the years {FIRST_YEAR} to {LAST_YEAR}."
        )
    return moment
