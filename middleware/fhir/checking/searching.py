"""The searches and interactions that polling rests on: not believed, but tried.

A server that overlooks a parameter answers 200 with too much; so each one is asked
something whose right answer is known. Source: FHIR R4 search.html, http.html.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

from mappings.bases import read_base_keys
from mappings.capabilities import find_declared
from mappings.instants import find_instant, write_instant
from mappings.reference import bring_references_home, focus_patient, named_patients
from mappings.resource import Resource
from middleware.fhir.addresses import host_of, resolve_link
from middleware.fhir.bundles import list_entries, read_next
from middleware.fhir.checking.exchange import Exchange
from middleware.fhir.checking.finding import Seen
from middleware.fhir.checking.reading import matches, meta_of
from middleware.fhir.checking.talk import Talk

Look = Callable[[Talk, Resource], Seen]

NOBODY = "carecue-check-nobody"
_EMPTY = Seen("skipped", "there is nothing yet to try it on")


def _each(talk: Talk, look: Look) -> Seen:
    """Look at every focus type that has something; tell what is wrong with which."""
    found = {name: look(talk, sample) for name, sample in talk.samples.items()}
    if not found:
        return _EMPTY
    bad = {name: seen for name, seen in found.items() if seen.code != "ok"}
    told = bad or found
    first = next(iter(told.values()))
    if len(found) == 1:
        return first
    if not bad:
        return replace(first, saw=f"{first.saw} ({', '.join(found)})")
    saw = "; ".join(f"{name}: {seen.saw}" for name, seen in bad.items())
    return replace(first, saw=saw)


def check_time(talk: Talk) -> Seen:
    """Search each focus type for what will change in a year: nothing may be found."""
    return _each(talk, _look_at_time)


def _look_at_time(talk: Talk, sample: Resource) -> Seen:
    stamp = meta_of(sample).get("lastUpdated")
    asked = f"GET {talk.base}/{sample['resourceType']}"
    if not stamp or find_instant(stamp) is None:
        return Seen(
            "last-updated-missing", "a resource without meta.lastUpdated", asked
        )
    ahead = write_instant(talk.clock.now() + timedelta(days=365))
    path = f"{sample['resourceType']}?_lastUpdated=ge{ahead}&_count=5"
    exchange = talk.get(path)
    if not _is_bundle(exchange):
        told = f"with _lastUpdated=ge: {exchange.told()}"
        return Seen("last-updated-refused", told, asked)
    found = len(matches(exchange))
    if found:
        told = f"{found} resources that were changed in a year from now"
        return Seen("last-updated-ignored", told, asked)
    return Seen("ok", "_lastUpdated filters")


def check_sort(talk: Talk) -> Seen:
    """Ask each focus type for the oldest and the newest: they must be in that order."""
    return _each(talk, _look_at_sort)


def _look_at_sort(talk: Talk, sample: Resource) -> Seen:
    name = sample["resourceType"]
    asked = f"GET {talk.base}/{name}"
    oldest = talk.get(f"{name}?_sort=_lastUpdated&_count=2")
    newest = talk.get(f"{name}?_sort=-_lastUpdated&_count=2")
    if not _is_bundle(oldest) or not _is_bundle(newest):
        bad = newest if _is_bundle(oldest) else oldest
        return Seen("sort-refused", f"with _sort: {bad.told()}", asked)
    rising, falling = _times(oldest), _times(newest)
    if not rising or not falling:
        return Seen("last-updated-missing", "resources without meta.lastUpdated", asked)
    wrong = rising != sorted(rising) or falling != sorted(falling, reverse=True)
    if wrong or falling[0] < rising[-1]:
        return Seen("sort-ignored", "the newest did not come first", asked)
    return Seen("ok", "_sort=_lastUpdated sorts")


def check_paging(talk: Talk) -> Seen:
    """Ask each focus type for pages of one, and follow the link to the second."""
    return _each(talk, _look_at_pages)


def _look_at_pages(talk: Talk, sample: Resource) -> Seen:
    name = sample["resourceType"]
    asked = f"GET {talk.base}/{name}"
    first = talk.get(f"{name}?_count=1")
    if len(matches(first)) > 1:
        return Seen(
            "count-ignored", f"{len(matches(first))} resources on a page", asked
        )
    link = read_next(first.body or {})
    if link is None:
        return Seen("ok", "one page holds everything")
    following = resolve_link(talk.base, first.url, link)
    if following is None:
        there = host_of(link) or "another place"
        told = f"the next link leads to {link.partition(':')[0]} on {there}"
        return Seen("next-elsewhere", told, asked, {"host": there, "base": talk.base})
    second = talk.caller.call("GET", following, token=talk.token, shown=asked[4:])
    same = {item["id"] for item in matches(first)} & {
        item["id"] for item in matches(second)
    }
    if not _is_bundle(second) or same:
        told = "the same page again" if same else second.told()
        return Seen("next-broken", told, asked)
    return Seen("ok", "pages can be followed")


def check_patient(talk: Talk) -> Seen:
    """Search for a patient who does not exist: nothing may be found.

    To refuse that with an error is right, too, if a patient who is there is found.
    Then every other type of which a chart is made is searched for one who is there.
    """
    seen = _each(talk, _look_at_patient)
    return _look_at_chart(talk) if seen.code == "ok" else seen


def _look_at_patient(talk: Talk, sample: Resource) -> Seen:
    name = sample["resourceType"]
    asked = f"GET {talk.base}/{name}"
    exchange = talk.get(f"{name}?patient=Patient/{NOBODY}&_count=5")
    found = len(matches(exchange)) if _is_bundle(exchange) else 0
    if found:
        told = f"{found} resources of a patient who does not exist"
        return Seen("patient-ignored", told, asked)
    bring_references_home(sample, read_base_keys(talk.endpoint.bases))
    patient = focus_patient(sample)
    if patient is None:
        return _tell_of_base(sample, asked)
    exchange = talk.get(f"{name}?patient={patient}&_count=5")
    if not _is_bundle(exchange) or not matches(exchange):
        told = f"with the patient of a resource that is there: {exchange.told()}"
        return Seen("patient-refused", told, asked)
    return Seen("ok", "patient= filters")


def _tell_of_base(sample: Resource, asked: str) -> Seen:
    """Say under which base a resource names a patient who is none of ours."""
    elsewhere = sorted(one for one in named_patients(sample) if "://" in one)
    if not elsewhere:
        return Seen("ok", "patient= filters")
    base = elsewhere[0].rsplit("/", 2)[0]
    told = f"its patient is referred to under {base}"
    return Seen("patient-elsewhere", told, asked, {"there": base})


def _look_at_chart(talk: Talk) -> Seen:
    """Search the types beside the focus types: they may hold nothing, but must answer."""
    people = (focus_patient(sample) for sample in talk.samples.values())
    patient = next((name for name in people if name), None)
    rest = [
        name
        for name in talk.needs.reads
        if name not in talk.needs.focus and name not in ("Patient", "Communication")
    ]
    if patient is None:
        return Seen("ok", "patient= filters")
    answers = {name: talk.get(f"{name}?patient={patient}&_count=1") for name in rest}
    bad = {name: one for name, one in answers.items() if not _is_bundle(one)}
    if bad:
        saw = "; ".join(f"{name}: {exchange.told()}" for name, exchange in bad.items())
        facts = {"types": ", ".join(f'"{name}"' for name in bad)}
        asked = f"GET {talk.base}/{next(iter(bad))}"
        return Seen("chart-in-part", saw, asked, facts, halts=False)
    tried = ", ".join([*talk.samples, *rest])
    return Seen("ok", f"patient= filters ({tried})")


def check_history(talk: Talk) -> Seen:
    """Read the versions of one resource of each focus type."""
    return _each(talk, _look_at_history)


def _look_at_history(talk: Talk, sample: Resource) -> Seen:
    name = sample["resourceType"]
    exchange = talk.get(
        f"{name}/{sample['id']}/_history", shown=f"{name}/[id]/_history"
    )
    if not _is_bundle(exchange) or not list_entries(exchange.body or {}):
        return Seen("history-missing", exchange.told(), exchange.shown)
    if not meta_of(sample).get("versionId"):
        return Seen("version-missing", "no meta.versionId", exchange.shown)
    return Seen("ok", "versions can be read")


def check_batch(talk: Talk) -> Seen:
    """Send a batch that only reads."""
    if talk.sample is None:
        return _EMPTY
    name = talk.sample["resourceType"]
    reads = [{"request": {"method": "GET", "url": f"{name}?_count=1"}}] * 2
    body: dict[str, Any] = {"resourceType": "Bundle", "type": "batch", "entry": reads}
    exchange = talk.caller.call("POST", talk.base, token=talk.token, body=body)
    if not _is_bundle(exchange) or len(list_entries(exchange.body or {})) != 2:
        return Seen("batch-missing", exchange.told(), exchange.shown)
    return Seen("ok", "batches are answered")


def check_conditional(talk: Talk) -> Seen:
    """See whether the server says that it creates only what is not there yet.

    It is not tried: a check writes nothing into a chart.
    """
    if talk.endpoint.profile.get("search_first"):
        return Seen("ok", "search_first is set: we search before each create")
    if talk.statement is None:
        return Seen("skipped", "there is no CapabilityStatement to tell it")
    kept = [
        (name, found)
        for name in talk.needs.writes
        if name != "Subscription"
        and (found := find_declared(talk.statement, name)) is not None
    ]
    without = [
        name for name, found in kept if found.get("conditionalCreate") is not True
    ]
    if without:
        told = f"conditionalCreate is not declared for {', '.join(without)}"
        return Seen("conditional-missing", told, f"GET {talk.base}/metadata")
    if not kept:
        told = "none of the types that we write is declared"
        return Seen("writes-missing", told, f"GET {talk.base}/metadata")
    return Seen("ok", "conditional create is declared")


def _is_bundle(exchange: Exchange) -> bool:
    return exchange.status == 200 and exchange.kind == "Bundle"


def _times(exchange: Exchange) -> list[Any]:
    stamps = [meta_of(item).get("lastUpdated") for item in matches(exchange)]
    return [moment for stamp in stamps if (moment := find_instant(stamp)) is not None]
