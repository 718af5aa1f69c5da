"""The interactions that change something: create, update, patch, delete.

They stage their changes in an open transaction; who opened it commits them.
Source: https://hl7.org/fhir/R4/http.html.
"""

from typing import Any
from urllib.parse import parse_qsl

import orjson

from middleware.sandbox.access import read_categories
from middleware.sandbox.calls import Answer, Call, Session
from middleware.sandbox.integrity import localize
from middleware.sandbox.outcome import FhirFault
from middleware.sandbox.patch import apply_patch
from middleware.sandbox.query import parse_query
from middleware.sandbox.reads import tag_version
from middleware.sandbox.search import select
from middleware.sandbox.state import Resource
from middleware.sandbox.transaction import Transaction
from middleware.sandbox.validation import ID, check_resource

Pairs = tuple[tuple[str, str], ...]


def check_body(call: Call) -> None:
    """Refuse a create or update whose resource is not R4, before any lock is held."""
    if call.method in {"POST", "PUT"}:
        check_resource(call.body, call.path[0])


def create(
    call: Call, session: Session, transaction: Transaction, id_: str | None = None
) -> Answer:
    """Create a resource, or answer the one that If-None-Exist finds.

    200 with the existing resource, 412 when several match. `id_` is the id that a
    transaction Bundle has reserved.
    """
    type_ = call.path[0]
    session.require("c", type_, read_categories(call.body))
    if call.if_none_exist is not None:
        found = match_one(session, type_, read_condition(call))
        if found is not None:
            session.admit("r", found)
            change = transaction.latest(type_, found["id"])
            return Answer(200, found, change, located=True)
    resource = _ready(call.body, session)
    session.admit("c", {**resource, "id": id_ or ""})
    change = transaction.create(type_, resource, id_)
    return Answer(201, change.resource, change, located=True)


def update(call: Call, session: Session, transaction: Transaction) -> Answer:
    """Write the next version under this id, or the first (201)."""
    type_ = call.path[0]
    id_, current = _addressed(call, session, call.body.get("id"))
    if id_ is None:
        session.require("c", type_, read_categories(call.body))
        id_ = transaction.allot(type_)
    elif call.body.get("id") != id_ and len(call.path) == 2:
        raise FhirFault(400, "The resource's id is not the id of the URL.")
    if not ID.fullmatch(id_):
        raise FhirFault(400, "An id is up to 64 letters, digits, hyphens and dots.")
    _check_match(call, session, type_, id_)
    resource = _ready(call.body, session)
    if current is not None:
        session.admit("u", current)
    session.admit("c" if current is None else "u", {**resource, "id": id_})
    change = transaction.update(type_, id_, resource)
    return Answer(
        201 if current is None else 200, change.resource, change, located=True
    )


def patch(call: Call, session: Session, transaction: Transaction) -> Answer:
    """Apply a JSON Patch to the current version; the result must be R4 again."""
    type_ = call.path[0]
    id_, current = _addressed(call, session, None)
    if id_ is None or current is None:
        session.require("u", type_)
        gone = id_ is not None and session.view.latest(type_, id_) is not None
        raise FhirFault(410 if gone else 404, f"There is no such {type_} to patch.")
    session.admit("u", current)
    _check_match(call, session, type_, id_)
    patched = apply_patch(current, call.body)
    check_resource(patched, type_)
    if patched.get("id") != id_:
        raise FhirFault(422, "A patch may not change the id; nothing was changed.")
    resource = _ready(patched, session)
    session.admit("u", resource)
    change = transaction.update(type_, id_, resource)
    return Answer(200, change.resource, change, located=True)


def delete(call: Call, session: Session, transaction: Transaction) -> Answer:
    """Delete a resource; 204 also when there is nothing to delete."""
    type_ = call.path[0]
    id_, current = _addressed(call, session, None)
    if id_ is None or current is None:
        session.require("d", type_)
        return Answer(204)
    session.admit("d", current)
    _check_match(call, session, type_, id_)
    return Answer(204, change=transaction.delete(type_, id_))


def read_condition(call: Call) -> Pairs:
    """Read If-None-Exist: a query, with or without its question mark and type."""
    text = (call.if_none_exist or "").removeprefix(call.path[0]).removeprefix("?")
    return tuple(parse_qsl(text, keep_blank_values=True))


def match_one(session: Session, type_: str, pairs: Pairs) -> Resource | None:
    """Answer the only resource that a condition finds; FhirFault 412 for several.

    The condition sees everything, as FHIR asks: a match that the caller may not
    read is then refused, not doubled.
    """
    if not pairs:
        raise FhirFault(412, "A condition without parameters matches everything.")
    query = parse_query(type_, pairs, session.site.base, session.site.zone)
    found = select(session.view, query)
    if len(found) > 1:
        raise FhirFault(412, f"The condition matches {len(found)} resources.")
    return found[0] if found else None


def _addressed(
    call: Call, session: Session, id_in_body: Any
) -> tuple[str | None, Resource | None]:
    type_ = call.path[0]
    if len(call.path) == 2:
        return call.path[1], session.view.get(type_, call.path[1])
    found = match_one(session, type_, call.query)
    if found is None:
        known = isinstance(id_in_body, str)
        if known and session.view.get(type_, id_in_body) is not None:
            raise FhirFault(409, "Nothing matches, and the resource's id is taken.")
        return id_in_body if known else None, None
    if id_in_body is not None and id_in_body != found["id"]:
        raise FhirFault(400, "The resource's id is not that of the match.")
    return found["id"], found


def _check_match(call: Call, session: Session, type_: str, id_: str) -> None:
    current = session.view.get(type_, id_)
    if call.if_none_match == "*" and current is not None:
        raise FhirFault(412, f"{type_}/{id_} is already here; nothing was changed.")
    if call.if_match is None:
        return
    held = current["meta"]["versionId"] if current else None
    if call.if_match.strip() != "*" and tag_version(call.if_match) != held:
        raise FhirFault(
            412,
            f"{type_}/{id_} is not at the version that If-Match names; nothing was "
            "changed; read it again.",
        )
    if current is None:
        raise FhirFault(412, f"{type_}/{id_} is not here; nothing was changed.")


def _ready(resource: Resource, session: Session) -> Resource:
    copy: Resource = orjson.loads(orjson.dumps(resource))
    localize(copy, session.site.base)
    for check in session.site.checks:
        check(copy)
    return copy
