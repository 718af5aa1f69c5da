"""One real read: what the token is worth at the FHIR server itself.

What is read stays in memory for the steps behind it and is never shown. Source: FHIR
R4 http.html, read and search.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from middleware.fhir.bundles import list_entries
from middleware.fhir.checking.exchange import Exchange
from middleware.fhir.checking.finding import APP_ALONE, Seen
from middleware.fhir.checking.talk import Talk
from middleware.fhir.faults import is_serious

_NAMED = re.compile(r"[A-Z][A-Za-z]{1,60}/(?!\.{1,2}$)[A-Za-z0-9\-.]{1,64}")
# What a server says to whoever brings no token.
REFUSALS = {"token-needed", "read-forbidden", "patient-needed"}
_REQUIRED = ("required", "business-rule", "invalid", "not-supported", "processing")


def check_read(talk: Talk) -> Seen:
    """Search each focus type for one resource, and read one that is there."""
    refused: dict[str, Seen] = {}
    for name in talk.needs.focus:
        exchange = talk.get(f"{name}?_count=1")
        seen = judge_search(exchange, with_token=talk.token is not None)
        if seen.code != "ok":
            refused[name] = seen
        elif found := matches(exchange):
            talk.samples[name] = found[0]
    if refused and len(refused) == len(talk.needs.focus) and _is_alone(talk, refused):
        first = next(iter(refused.values()))
        return Seen(APP_ALONE, first.saw, first.asked)
    if refused:
        return _tell_refused(talk, refused)
    if talk.sample is None:
        told = f"no {', no '.join(talk.needs.focus)} at all"
        return Seen("nothing-there", told, f"GET {talk.base}/{talk.needs.focus[0]}")
    return _read_again(talk, talk.sample)


def _is_alone(talk: Talk, refused: Mapping[str, Seen]) -> bool:
    """Tell whether a server refuses what nobody asked to be able to do."""
    codes = {seen.code for seen in refused.values()}
    return talk.endpoint.is_app_alone and codes <= REFUSALS


def _tell_refused(talk: Talk, refused: dict[str, Seen]) -> Seen:
    """Tell the one cause, or which types are refused while others are not."""
    first = next(iter(refused.values()))
    told = "; ".join(f"{name}: {seen.saw}" for name, seen in refused.items())
    if talk.sample is None:
        return Seen(first.code, told, first.asked)
    facts = {"types": ", ".join(f'"{name}"' for name in refused)}
    return Seen("read-in-part", told, first.asked, facts, halts=False)


def _read_again(talk: Talk, sample: dict[str, Any]) -> Seen:
    name = sample["resourceType"]
    exchange = talk.get(f"{name}/{sample['id']}", shown=f"{name}/[id]")
    if exchange.status != 200 or (exchange.body or {}).get("id") != sample["id"]:
        return Seen("read-differs", exchange.told(), exchange.shown)
    return Seen("ok", f"one {name} was found and read")


def judge_search(exchange: Exchange, *, with_token: bool) -> Seen:
    """Say what an answer to a plain search means."""
    told, asked, status = exchange.told(), exchange.shown, exchange.status
    if status == 401:
        code = "token-not-accepted" if with_token else "token-needed"
        return Seen(code, told, asked)
    if status in {400, 403, 422} and _wants_patient(exchange):
        return Seen("patient-needed", told, asked)
    if status == 403:
        return Seen("read-forbidden", told, asked)
    if status in {404, 405, 410, 501}:
        return Seen("read-not-found", told, asked)
    if status != 200:
        return Seen("read-error", told, asked)
    if exchange.body is None:
        return Seen("read-not-json", told, asked)
    if exchange.kind != "Bundle":
        code = "patient-needed" if _wants_patient(exchange) else "outcome-instead"
        return Seen(code, told, asked)
    return _judge_bundle(exchange, told, asked)


def _judge_bundle(exchange: Exchange, told: str, asked: str) -> Seen:
    """Look inside: some servers refuse in a Bundle with status 200."""
    for entry in list_entries(exchange.body or {}):
        inner = entry.get("resource") if isinstance(entry, dict) else None
        if not isinstance(inner, dict):
            continue
        if inner.get("resourceType") == "OperationOutcome" and is_serious(inner):
            wants = "patient" in str(inner.get("issue")).lower()
            code = "patient-needed" if wants else "outcome-instead"
            return Seen(code, f"{told} that holds an error", asked)
    return Seen("ok", told, asked)


def _wants_patient(exchange: Exchange) -> bool:
    """Tell whether the server will search only for one patient at a time."""
    issues = (exchange.body or {}).get("issue")
    for issue in issues if isinstance(issues, list) else []:
        if isinstance(issue, dict) and issue.get("code") in _REQUIRED:
            said = f"{issue.get('diagnostics')} {issue.get('details')}".lower()
            return "patient" in said
    return False


def matches(exchange: Exchange) -> list[dict[str, Any]]:
    """Return the resources that a search found, without what only came along.

    One whose type or id could not stand in a URL is left out.
    """
    found: list[dict[str, Any]] = []
    for entry in list_entries(exchange.body or {}):
        resource = entry.get("resource") if isinstance(entry, dict) else None
        if not isinstance(resource, dict):
            continue
        kind, search = resource.get("resourceType"), entry.get("search")
        mode = search.get("mode") if isinstance(search, dict) else None
        if not _NAMED.fullmatch(f"{kind}/{resource.get('id')}"):
            continue
        if mode in (None, "match") and kind != "OperationOutcome":
            found.append(resource)
    return found


def meta_of(resource: dict[str, Any]) -> dict[str, Any]:
    """Return a resource's meta; empty when it is none."""
    meta = resource.get("meta")
    return meta if isinstance(meta, dict) else {}
