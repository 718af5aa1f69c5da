"""Reading an endpoint that an administrator described in a TOML file."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import MISSING, fields
from typing import Any, TypeVar
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from mappings.bases import read_base_key
from mappings.endpoint import (
    AppClient,
    BackendClient,
    CdsCaller,
    Endpoint,
    EndpointKind,
    Site,
)
from mappings.errors import BadInputError

T = TypeVar("T", BackendClient, AppClient, CdsCaller, Site)
FLAGS = (
    "private_network",
    "authorize_post",
    "authorize_in_window",
    "audit_events",
    "secret_encoded",
)
WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
TABLES = ("profile", "backend", "app", "site", "cds")
TOP = frozenset({"id", "name", "kind", "fhir_base", "allow_list", *TABLES})


def read_endpoint_file(text: str, cds: Mapping[str, Any] | None = None) -> Endpoint:
    """Read the TOML text; raises BadInputError that names the field at fault.

    ``cds`` are fields that go before those of the file's ``[cds]``.
    """
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise BadInputError(f"The endpoint file is not TOML: {error}.") from None
    unknown = sorted(set(raw) - TOP)
    if unknown:
        raise BadInputError(f"The endpoint file has unknown fields: {unknown}.")
    for name in TABLES:
        if not isinstance(raw.get(name, {}), dict):
            raise BadInputError(f"The endpoint file needs a table for [{name}].")
    try:
        return Endpoint(
            id=_text(raw, "id"),
            name=_text(raw, "name"),
            kind=EndpointKind(raw.get("kind", "test")),
            fhir_base=_base(_text(raw, "fhir_base")),
            backend=_part(BackendClient, raw.get("backend", {}), "backend"),
            app=_part(AppClient, raw.get("app", {}), "app"),
            cds=_caller({**raw.get("cds", {}), **(cds or {})}),
            site=read_site(raw.get("site", {})),
            allow_list=tuple(raw.get("allow_list", ())),
            profile=_profile(raw.get("profile", {})),
        )
    except ValueError as error:
        raise BadInputError(f"The endpoint file is not usable: {error}.") from None


def _text(raw: dict[str, Any], name: str) -> str:
    value = raw.get(name)
    if not isinstance(value, str) or not value.strip():
        raise BadInputError(f"The endpoint file needs a text for {name!r}.")
    return value.strip()


def _base(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username:
        raise BadInputError("fhir_base must be an absolute http(s) URL.")
    if parts.query or parts.fragment:
        raise BadInputError("fhir_base must have no query and no fragment.")
    return url.rstrip("/")


def _profile(raw: dict[str, Any]) -> dict[str, Any]:
    """Check the fields that say where a focus may be read."""
    for name in ("aliases", "focus_bases"):
        bases = raw.get(name, [])
        usable = isinstance(bases, list) and all(isinstance(b, str) for b in bases)
        if not usable or not all(map(read_base_key, bases)):
            raise BadInputError(f"[profile] {name} must be a list of http(s) bases.")
    for name in FLAGS:
        if not isinstance(raw.get(name, False), bool):
            raise BadInputError(f"[profile] {name} must be true or false.")
    if raw.get("scope_style", "v2") not in ("v1", "v2"):
        raise BadInputError('[profile] scope_style must be "v1" or "v2".')
    return dict(raw)


def _caller(raw: dict[str, Any]) -> CdsCaller:
    """Read who may call our CDS Hooks services; keys come from https or this machine."""
    caller = _part(CdsCaller, raw, "cds")
    for name in ("issuers", "key_urls", "tenants", "origins"):
        values = getattr(caller, name)
        if not isinstance(values, tuple) or not all(isinstance(v, str) for v in values):
            raise BadInputError(f"[cds] {name} must be a list of texts.")
    if bool(caller.issuers) != bool(caller.key_urls):
        raise BadInputError("[cds] needs both issuers and key_urls, or neither.")
    for url in (*caller.key_urls, *caller.origins):
        parts = urlsplit(url)
        here = parts.hostname in ("localhost", "127.0.0.1", "::1")
        safe = parts.scheme == "https" or (parts.scheme == "http" and here)
        if not safe or not parts.hostname or parts.username or parts.fragment:
            raise BadInputError(f"[cds] {url!r} must be an https URL.")
    if any(urlsplit(url).path or urlsplit(url).query for url in caller.origins):
        raise BadInputError("[cds] origins have no path, not even a slash.")
    return caller


def _part(kind: type[T], raw: dict[str, Any], name: str) -> T:
    known = {item.name for item in fields(kind)}
    unknown = sorted(set(raw) - known)
    if unknown:
        raise BadInputError(f"[{name}] has unknown fields: {unknown}.")
    values: dict[str, Any] = {
        key: tuple(value) if isinstance(value, list) else value
        for key, value in raw.items()
    }
    missing = [
        item.name
        for item in fields(kind)
        if item.default is MISSING
        and item.default_factory is MISSING
        and item.name not in raw
    ]
    if missing:
        raise BadInputError(
            f"[{name}] is not complete: it needs {', '.join(missing)}. Nothing was "
            "changed."
        )
    return kind(**values)


def read_site(raw: dict[str, Any]) -> Site:
    """Read a site's settings; raises BadInputError that names the field at fault."""
    site = _part(Site, raw, "site")
    days = site.review_days
    if isinstance(days, bool) or not isinstance(days, int | float) or days < 0:
        raise BadInputError("[site] review_days must be a number of days, 0 for never.")
    try:
        ZoneInfo(site.zone)
    except (ZoneInfoNotFoundError, ValueError):
        raise BadInputError(
            f"[site] zone {site.zone!r} is no IANA time zone."
        ) from None
    for name, window in site.windows.items():
        _check_window(name, window)
    return site


def _check_window(name: str, window: object) -> None:
    """Raise BadInputError unless it is [first, last] of the hours of a weekday."""
    usable = (
        name in WEEKDAYS
        and isinstance(window, list | tuple)
        and len(window) == 2
        and all(isinstance(hour, int | float) for hour in window)
        and 0 <= window[0] <= window[1] <= 24
    )
    if not usable:
        raise BadInputError(
            f"[site] windows: {name!r} must be mon to sun with two hours from 0 to 24."
        )
