"""Batch and transaction Bundles: many calls in one, alone or all together.

A transaction commits all or nothing, in FHIR's order, with its own references
resolved. Source: https://hl7.org/fhir/R4/http.html#transaction.
"""

import base64
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Any
from urllib.parse import SplitResult, parse_qsl, urlsplit

import orjson

from middleware.sandbox.access import Grant
from middleware.sandbox.calls import Answer, Call, Session, Site
from middleware.sandbox.integrity import check_integrity, rewrite
from middleware.sandbox.interactions import answer_read, answer_write, is_write
from middleware.sandbox.outcome import FhirFault, printable
from middleware.sandbox.state import Resource
from middleware.sandbox.store import Store
from middleware.sandbox.transaction import Transaction
from middleware.sandbox.validation import check_resource
from middleware.sandbox.writes import check_body, match_one, read_condition

ORDER = {"DELETE": 0, "POST": 1, "PUT": 2, "PATCH": 2, "GET": 3, "HEAD": 3}
MAX_ENTRIES = 5000


@dataclass
class Item:
    """One entry at work: its place, its call, its fullUrl, its reserved id."""

    position: int
    call: Call
    full_url: str
    id: str | None = None


def process(
    bundle: Any, store: Store, site: Site, grant: Grant | None, *, full: bool = False
) -> Resource:
    """Carry out a Bundle and answer the response Bundle.

    FhirFault when the Bundle makes no sense, or when an entry of a transaction
    fails: then nothing is committed. `full` puts written resources in the answer.
    """
    check_resource(_envelope(bundle), "Bundle")
    kind = bundle["type"]
    entries = bundle.get("entry", [])
    if kind not in {"batch", "transaction"}:
        raise FhirFault(400, "Only Bundles of type batch or transaction belong here.")
    if len(entries) > MAX_ENTRIES:
        raise FhirFault(413, f"A Bundle holds at most {MAX_ENTRIES} entries here.")
    entries = orjson.loads(orjson.dumps(entries))
    run = _transact if kind == "transaction" else _batch
    return {
        "resourceType": "Bundle",
        "type": f"{kind}-response",
        "entry": run(entries, store, site, grant, full),
    }


def _envelope(bundle: Any) -> Any:
    """Answer the Bundle without its resources: each is checked with its own entry."""
    if not isinstance(bundle, dict) or not isinstance(bundle.get("entry"), list):
        return bundle
    bare = [
        {name: part for name, part in entry.items() if name != "resource"}
        if isinstance(entry, dict) and len(entry) > 1
        else entry
        for entry in bundle["entry"]
    ]
    return {**bundle, "entry": bare}


def carry_out(call: Call, store: Store, site: Site, grant: Grant | None) -> Answer:
    """Answer one call on its own, committing what it changes."""
    if not is_write(call):
        return answer_read(call, Session(site, store, grant))
    check_body(call)
    with store.transaction(site.now()) as transaction:
        answer = answer_write(call, Session(site, transaction, grant), transaction)
        check_integrity(transaction, transaction.changes)
    return answer


def _batch(
    entries: list[Resource], store: Store, site: Site, grant: Grant | None, full: bool
) -> list[Resource]:
    answers = []
    for position, entry in enumerate(entries):
        try:
            item = _item(entry, position, site.base)
            answer = carry_out(item.call, store, site, grant)
            answers.append(_response(answer, item.call, site.base, full))
        except FhirFault as fault:
            answers.append(_refusal(fault))
    return answers


def _transact(
    entries: list[Resource], store: Store, site: Site, grant: Grant | None, full: bool
) -> list[Resource]:
    items = []
    for position, entry in enumerate(entries):
        with _at(position):
            item = _item(entry, position, site.base)
            if is_write(item.call):
                check_body(item.call)
            items.append(item)
    _check_distinct(items)
    answers: list[Resource] = [{} for _ in items]
    with store.transaction(site.now()) as transaction:
        session = Session(site, transaction, grant)
        _resolve(items, session, transaction)
        for item in sorted(items, key=lambda item: ORDER[item.call.method]):
            with _at(item.position):
                answer = _answer(item, session, transaction)
            answers[item.position] = _response(answer, item.call, site.base, full)
        check_integrity(transaction, transaction.changes)
    return answers


class _at:  # noqa: N801 (reads as a preposition)
    """Says in a fault which entry of the transaction it comes from."""

    def __init__(self, position: int) -> None:
        self._position = position

    def __enter__(self) -> None:
        """Begin the entry."""

    def __exit__(self, _: object, error: object, __: object) -> None:
        if isinstance(error, FhirFault):
            raise FhirFault(
                error.status,
                f"Bundle.entry[{self._position}]: {error.diagnostics} "
                "Nothing of the transaction was committed.",
                error.code,
                f"Bundle.entry[{self._position}]",
                error.headers,
            ) from error


def _answer(item: Item, session: Session, transaction: Transaction) -> Answer:
    if is_write(item.call):
        return answer_write(item.call, session, transaction, item.id)
    return answer_read(item.call, session)


def _item(entry: Resource, position: int, base: str) -> Item:
    request = entry.get("request")
    if not isinstance(request, dict):
        raise FhirFault(400, "An entry of a batch or transaction has a request.")
    method = request["method"]
    if method not in ORDER:
        raise FhirFault(400, f"{printable(method)} is not supported in a Bundle.")
    url = _read_url(request["url"], base)
    if url.scheme or url.netloc:
        raise FhirFault(400, "An entry's request.url is relative to this server.")
    body = entry.get("resource")
    if method in {"POST", "PUT"} and body is None:
        raise FhirFault(400, f"A {method} needs a resource.")
    if method == "PATCH":
        body = _read_patch(body)
    call = Call(
        method="GET" if method == "HEAD" else method,
        path=tuple(part for part in url.path.split("/") if part),
        query=tuple(parse_qsl(url.query, keep_blank_values=True)),
        body=body,
        if_match=request.get("ifMatch"),
        if_none_match=request.get("ifNoneMatch"),
        if_none_exist=request.get("ifNoneExist"),
        url=f"{base}/{url.path}" + (f"?{url.query}" if url.query else ""),
    )
    return Item(position, call, entry.get("fullUrl", ""))


def _read_url(text: str, base: str) -> SplitResult:
    try:
        return urlsplit(text.removeprefix(f"{base}/").lstrip("/"))
    except ValueError as error:
        raise FhirFault(400, "An entry's request.url is not a URL.") from error


def _read_patch(body: Any) -> Any:
    """Read a JSON Patch out of the Binary that carries it inside a Bundle."""
    if not isinstance(body, dict) or body.get("resourceType") != "Binary":
        raise FhirFault(400, "A PATCH in a Bundle is a Binary with a JSON Patch.")
    try:
        return orjson.loads(base64.b64decode(body.get("data", ""), validate=True))
    except ValueError as error:
        raise FhirFault(400, "The Binary's data is no JSON Patch.") from error


def _check_distinct(items: list[Item]) -> None:
    seen: set[Any] = set()
    for item in items:
        call = item.call
        single = len(call.path) == 2 and call.method in {"PUT", "PATCH", "DELETE"}
        for mark in (call.path if single else None, item.full_url or None):
            if mark is not None and mark in seen:
                raise FhirFault(400, f"Bundle.entry[{item.position}] repeats another.")
            seen.add(mark)


def _resolve(items: list[Item], session: Session, transaction: Transaction) -> None:
    """Reserve ids and make every reference between the entries a real one."""
    known = {}
    for item in items:
        call = item.call
        if call.method == "POST" and len(call.path) == 1:
            item.id = transaction.allot(call.path[0])
            found = None
            if call.if_none_exist is not None:
                with _at(item.position):
                    found = match_one(session, call.path[0], read_condition(call))
            known[item.full_url] = f"{call.path[0]}/{found['id'] if found else item.id}"
        elif call.method == "PUT" and len(call.path) == 2:
            known[item.full_url] = "/".join(call.path)
        elif call.method == "PUT":
            _pin(item, session, transaction)
            known[item.full_url] = "/".join(item.call.path)
    known.pop("", None)

    def resolve(reference: str) -> str:
        if reference in known:
            return known[reference]
        return _conditional(reference, session)

    for item in items:
        if item.call.body is not None and item.call.method != "PATCH":
            with _at(item.position):
                rewrite(item.call.body, resolve)


def _pin(item: Item, session: Session, transaction: Transaction) -> None:
    """Turn a conditional update into one of a known id, so it can be referred to."""
    call = item.call
    with _at(item.position):
        found = match_one(session, call.path[0], call.query)
    wanted = call.body.get("id")
    id_ = found["id"] if found else wanted or transaction.allot(call.path[0])
    if found and wanted not in {None, id_}:
        raise FhirFault(400, f"Bundle.entry[{item.position}] has not the match's id.")
    item.call = replace(
        call, path=(call.path[0], id_), query=(), body={**call.body, "id": id_}
    )


def _conditional(reference: str, session: Session) -> str:
    type_, mark, condition = reference.partition("?")
    if not mark or "/" in type_ or ":" in type_:
        return reference
    found = match_one(session, type_, tuple(parse_qsl(condition)))
    if found is None:
        raise FhirFault(412, f"No {type_} matches a conditional reference.")
    return f"{type_}/{found['id']}"


def _response(answer: Answer, call: Call, base: str, full: bool) -> Resource:
    status = HTTPStatus(answer.status)
    response: Resource = {"status": f"{status.value} {status.phrase}"}
    change = answer.change
    if change is not None:
        response["etag"] = f'W/"{change.version}"'
        response["lastModified"] = change.instant.isoformat(timespec="milliseconds")
        if answer.located:
            response["location"] = (
                f"{base}/{change.type}/{change.id}/_history/{change.version}"
            )
    entry: Resource = {"response": response}
    if answer.body is not None and (full or call.method == "GET"):
        entry["resource"] = answer.body
    return entry


def _refusal(fault: FhirFault) -> Resource:
    status = HTTPStatus(fault.status)
    outcome = fault.outcome()
    return {
        "response": {"status": f"{status.value} {status.phrase}", "outcome": outcome}
    }
