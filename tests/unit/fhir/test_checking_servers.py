"""Servers that are broken in one way each, and the diagnosis that each must get."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from mappings.endpoint import AppClient, BackendClient
from middleware.clock import FixedClock
from middleware.fhir.checking.finding import Finding, Outcome, conclude
from middleware.fhir.checking.steps import DIAGNOSES
from tests.unit.fhir.checked_ehr import (
    NEEDS,
    PHI,
    TOKEN,
    Ehr,
    ahead,
    bundle,
    check,
    outcome,
    token,
    visit,
)
from tests.unit.fhir.scripted import Asked, Reply

HTML = {"Content-Type": "text/html"}
LOGIN = Reply(200, b"<!DOCTYPE html><html><title>Sign in</title></html>", HTML)
Answer = Callable[[Asked], Reply | None]
Break = Callable[[Ehr], Any]


def test_a_server_in_good_order_holds_in_every_step(ehr: Ehr) -> None:
    found = check(ehr)
    assert {item.outcome for item in found.values()} == {Outcome.OK}, found
    assert "can be used" in conclude(ehr.endpoint(), list(found.values()))


def on(
    path: str, reply: Reply | Callable[[Asked], Reply | None], method: str = ""
) -> Answer:
    """Answer requests to a path (without its query) so; others pass."""

    def answer(asked: Asked) -> Reply | None:
        if asked.path.partition("?")[0] != path or not asked.method.startswith(method):
            return None
        return reply(asked) if callable(reply) else reply

    return answer


def asks(asked: Asked, word: str) -> bool:
    return word in asked.path.partition("?")[2]


def metadata(reply: Reply) -> Break:
    return lambda _: on("/fhir/metadata", reply)


def statement(**changes: Any) -> Break:
    return lambda ehr: on("/fhir/metadata", Reply(200, ehr.statement(**changes)))


def smart(reply: Reply) -> Break:
    return lambda _: on("/fhir/.well-known/smart-configuration", reply)


def configured(**changes: Any) -> Break:
    return lambda ehr: on(
        "/fhir/.well-known/smart-configuration",
        Reply(200, ehr.configuration(**changes)),
    )


def issued(reply: Reply) -> Break:
    return lambda _: on("/token", reply)


def refused(error: str, said: str | None = None, status: int = 401) -> Break:
    body = {"error": error} | ({"error_description": said} if said else {})
    return issued(Reply(status, body))


def granted(scope: str | None) -> Break:
    return issued(Reply(200, token(scope=scope)))


def searched(reply: Reply) -> Break:
    return lambda _: on("/fhir/Encounter", reply)


def overlooked(word: str) -> Break:
    """Overlook one search parameter."""

    def make(ehr: Ehr) -> Answer:
        def answer(asked: Asked) -> Reply | None:
            if not asks(asked, word):
                return None
            return Reply(200, bundle(ehr.visits))

        return on("/fhir/Encounter", answer)

    return make


def said_no(word: str) -> Break:
    reply = Reply(400, outcome("not-supported", f"{word} is not known"))
    return lambda _: on(
        "/fhir/Encounter", lambda asked: reply if asks(asked, word) else None
    )


def next_link(url: str) -> Break:
    page = {**bundle([visit(1)]), "link": [{"relation": "next", "url": url}]}
    return lambda _: on(
        "/fhir/Encounter",
        lambda asked: (
            Reply(200, page)
            if asks(asked, "_count=1") and not asks(asked, "_sort")
            else None
        ),
    )


def subscription(**changes: Any) -> Break:
    """Declare Subscription so; None takes a member away."""

    def make(ehr: Ehr) -> Answer:
        whole = ehr.statement()
        declared = whole["rest"][0]["resource"][-1]
        declared.update(changes)
        return on("/fhir/metadata", Reply(200, whole))

    return make


def without(*names: str) -> Break:
    def make(ehr: Ehr) -> Answer:
        whole = ehr.statement()
        rest = whole["rest"][0]
        rest["resource"] = [r for r in rest["resource"] if r["type"] not in names]
        return on("/fhir/metadata", Reply(200, whole))

    return make


def bare(name: str) -> Break:
    """Take one member out of every resource's meta."""

    def make(ehr: Ehr) -> Answer:
        for item in ehr.visits:
            del item["meta"][name]
        plain = Reply(200, bundle(ehr.visits))
        if name != "lastUpdated":
            return lambda _: None
        return on("/fhir/Encounter", plain)

    return make


def far(ehr: Ehr) -> Answer:
    """Write references to patients under another base."""
    for item in ehr.visits:
        there = item["subject"]["reference"]
        item["subject"]["reference"] = f"http://inner.example/fhir/{there}"
    return lambda _: None


def moved(ehr: Ehr) -> Answer:
    """Answer one level deeper only, at /fhir/r4."""

    def answer(asked: Asked) -> Reply | None:
        if asked.path == "/fhir/r4/metadata":
            return Reply(200, ehr.statement())
        return Reply(404, outcome("not-found")) if "metadata" in asked.path else None

    return answer


BOMB = gzip.compress(json.dumps({"resourceType": " " * 12_000_000}).encode())
ZIPPED = {"Content-Encoding": "gzip", "Content-Type": "application/fhir+json"}
R4_XML = b'<?xml version="1.0"?><CapabilityStatement xmlns="http://hl7.org/fhir"/>'
NEEDS_PATIENT = outcome("required", "One of these parameters is needed: patient, _id")

BROKEN: list[tuple[str, str, Break]] = [
    ("CapabilityStatement", "base-elsewhere", moved),
    ("CapabilityStatement", "base-not-found", metadata(Reply(404))),
    ("CapabilityStatement", "html", metadata(LOGIN)),
    ("CapabilityStatement", "xml-only", metadata(Reply(200, R4_XML))),
    ("CapabilityStatement", "xml-only", metadata(Reply(406))),
    ("CapabilityStatement", "not-json", metadata(Reply(200, b"hello"))),
    ("CapabilityStatement", "not-capabilities", metadata(Reply(200, {"a": 1}))),
    ("CapabilityStatement", "metadata-needs-token", metadata(Reply(401))),
    ("CapabilityStatement", "server-error", metadata(Reply(503))),
    ("CapabilityStatement", "throttled", metadata(Reply(429))),
    ("CapabilityStatement", "answer-too-large", metadata(Reply(200, BOMB, ZIPPED))),
    (
        "CapabilityStatement",
        "redirected",
        metadata(Reply(302, headers={"Location": "https://ehr.example/R4/metadata"})),
    ),
    (
        "CapabilityStatement",
        "version-old",
        metadata(Reply(200, {"resourceType": "Conformance", "fhirVersion": "1.0.2"})),
    ),
    ("CapabilityStatement", "version-old", statement(fhirVersion="3.0.2")),
    ("CapabilityStatement", "version-new", statement(fhirVersion="5.0.0")),
    ("smart-configuration", "smart-missing", smart(Reply(404))),
    ("smart-configuration", "smart-unreadable", smart(LOGIN)),
    (
        "smart-configuration",
        "token-host-unreviewed",
        configured(token_endpoint="https://login.example/token"),
    ),
    (
        "smart-configuration",
        "token-endpoint-http",
        configured(token_endpoint="http://login.example/token"),
    ),
    ("smart-configuration", "token-endpoint-missing", configured(token_endpoint=None)),
    ("smart-configuration", "token-url-differs", configured(token_endpoint="/other")),
    (
        "smart-configuration",
        "no-key-jwt",
        configured(token_endpoint_auth_methods_supported=["client_secret_basic"]),
    ),
    (
        "smart-configuration",
        "algorithm-unsupported",
        configured(token_endpoint_auth_signing_alg_values_supported=["RS384"]),
    ),
    (
        "smart-configuration",
        "no-client-credentials",
        configured(grant_types_supported=["authorization_code"]),
    ),
    ("token", "client-unknown", refused("invalid_client", "Unknown client")),
    ("token", "client-refused", refused("invalid_client")),
    ("token", "client-refused", issued(Reply(401))),
    ("token", "key-unknown", refused("invalid_client", "no key for the kid")),
    ("token", "token-audience", refused("invalid_client", "aud is not ours")),
    ("token", "token-audience", refused("invalid_grant", "Invalid audience", 400)),
    ("token", "token-clock", refused("invalid_client", "iat is in the future")),
    ("token", "scope-refused", refused("invalid_scope", "Unknown scope", 400)),
    ("token", "grant-refused", refused("unauthorized_client", None, 400)),
    ("token", "no-client-credentials", refused("unsupported_grant_type", None, 400)),
    ("token", "token-server-error", issued(Reply(500))),
    ("token", "token-html", issued(LOGIN)),
    ("token", "token-not-found", issued(Reply(404))),
    ("token", "token-redirected", issued(Reply(302, headers={"Location": "/login"}))),
    ("token", "token-not-json", issued(Reply(200, b"token"))),
    ("token", "token-missing", issued(Reply(200, {"result": {}}))),
    ("token", "token-type", issued(Reply(200, token(token_type="mac")))),
    ("token", "token-life-missing", issued(Reply(200, token(expires_in=None)))),
    ("token", "token-life-short", issued(Reply(200, token(expires_in=5)))),
    ("scopes", "scope-unsaid", granted(None)),
    ("scopes", "scope-context", granted("patient/*.read user/*.read")),
    ("scopes", "scope-missing-safety", granted("system/Procedure.rs")),
    ("scopes", "scope-less", granted("system/Encounter.read system/Patient.rs")),
    (
        "scopes",
        "scope-limited",
        granted("system/*.cruds system/Procedure.rs?category=surgery"),
    ),
    ("read", "token-not-accepted", searched(Reply(401, outcome("login")))),
    ("read", "read-forbidden", searched(Reply(403, outcome("forbidden")))),
    ("read", "read-not-found", searched(Reply(404, outcome("not-found")))),
    ("read", "patient-needed", searched(Reply(400, NEEDS_PATIENT))),
    ("read", "patient-needed", searched(Reply(200, bundle([NEEDS_PATIENT])))),
    ("read", "outcome-instead", searched(Reply(200, outcome("processing", "no")))),
    ("read", "nothing-there", searched(Reply(200, bundle([])))),
    ("read", "read-error", searched(Reply(500))),
    ("read", "read-not-json", searched(LOGIN)),
    (
        "read",
        "read-differs",
        lambda _: on("/fhir/Encounter/visit-1", Reply(404, outcome("not-found"))),
    ),
    ("search by time", "last-updated-ignored", overlooked("_lastUpdated=ge")),
    ("search by time", "last-updated-refused", said_no("_lastUpdated=ge")),
    ("search by time", "last-updated-missing", bare("lastUpdated")),
    ("sorting", "sort-ignored", overlooked("_sort")),
    ("sorting", "sort-refused", said_no("_sort=-")),
    ("paging", "next-elsewhere", next_link("https://inner.example/fhir?page=2")),
    ("paging", "next-broken", next_link("Encounter?_count=1&again")),
    ("paging", "count-ignored", overlooked("_count=1")),
    ("search by patient", "patient-ignored", overlooked("patient=")),
    ("search by patient", "patient-elsewhere", far),
    ("search by patient", "patient-refused", said_no("patient=")),
    (
        "history",
        "history-missing",
        lambda _: on("/fhir/Encounter/visit-1/_history", Reply(501)),
    ),
    ("history", "version-missing", bare("versionId")),
    ("batch", "batch-missing", lambda _: on("/fhir", Reply(405), "POST")),
    ("conditional create", "writes-missing", without("Communication", "Task")),
    ("subscriptions", "subscriptions-none", without("Subscription")),
    (
        "subscriptions",
        "subscriptions-read-only",
        subscription(interaction=[{"code": "read"}]),
    ),
    ("subscriptions", "topics-none", subscription(extension=[])),
]


@pytest.mark.parametrize(
    ("step", "code", "break_it"),
    BROKEN,
    ids=[f"{step}-{code}-{n}" for n, (step, code, _) in enumerate(BROKEN)],
)
def test_the_diagnosis_is_right(
    ehr: Ehr, step: str, code: str, break_it: Break
) -> None:
    ehr.broken = break_it(ehr)
    found = check(ehr)
    assert found[step].code == code, found
    assert found[step].outcome is DIAGNOSES[code].outcome
    _assert_first(found, step)
    _assert_told_well(found[step], ehr)


def _assert_first(found: dict[str, Finding], step: str) -> None:
    """Nothing may fail before the step that is broken."""
    for name, item in found.items():
        if name == step:
            return
        assert item.outcome is not Outcome.FAILED, item


def _assert_told_well(item: Finding, ehr: Ehr) -> None:
    texts = (item.saw, item.cause, item.safe, item.todo)
    assert all(texts)
    assert "{" not in "".join(texts)
    whole = "\n".join((*texts, item.letter))
    for forbidden in (PHI, TOKEN, "rosa", "visit-", "client_assertion", "eyJ"):
        assert forbidden not in whole
    if DIAGNOSES[item.code].ask:
        assert ehr.base in item.letter
        assert "carecue" in item.letter
        assert "UTC" in item.letter
        assert item.saw in item.letter
        assert "?" not in item.letter.partition("What we expected")[0]


def test_a_base_one_level_off_is_named(ehr: Ehr) -> None:
    ehr.broken = moved(ehr)
    found = check(ehr)
    assert f'fhir_base = "{ehr.base}/r4"' in found["CapabilityStatement"].todo


@pytest.mark.parametrize("link", ["metadata", ".well-known/smart-configuration"])
def test_a_link_that_was_pasted_for_the_base_is_mended(ehr: Ehr, link: str) -> None:
    found = check(ehr, ehr.endpoint(base=f"{ehr.base}/{link}"))
    assert found["CapabilityStatement"].code == "base-elsewhere"
    assert f'fhir_base = "{ehr.base}"' in found["CapabilityStatement"].todo


def test_steps_that_would_tell_nothing_are_skipped_by_name(ehr: Ehr) -> None:
    ehr.broken = refused("invalid_client", "Unknown client")(ehr)
    found = check(ehr)
    skipped = {n for n, item in found.items() if item.outcome is Outcome.SKIPPED}
    assert {"scopes", "read", "paging", "subscriptions"} <= skipped
    assert found["paging"].saw == "not tried, because token failed"
    assert found["conditional create"].outcome is Outcome.OK


@pytest.mark.parametrize("seconds", [600, -600])
def test_a_clock_that_is_wrong_explains_a_refused_token(
    ehr: Ehr, seconds: float
) -> None:
    ehr.broken = refused("invalid_client")(ehr)
    found = check(ehr, clock=FixedClock(ahead(seconds)))
    assert found["clock"].code == "clock-skew"
    side = "behind" if seconds > 0 else "ahead of"
    assert side in found["clock"].saw
    assert found["token"].code == "token-clock"


def test_a_clock_that_drifts_is_only_told(ehr: Ehr) -> None:
    found = check(ehr, clock=FixedClock(ahead(30)))
    assert found["clock"].code == "clock-drift"
    assert found["token"].outcome is Outcome.OK


def test_a_clock_that_was_moved_on_purpose_tells_nothing(ehr: Ehr) -> None:
    found = check(ehr, clock=FixedClock(ahead(86400)), clock_moved=True)
    assert found["clock"].outcome is Outcome.SKIPPED


def test_keys_that_nobody_can_fetch_explain_a_refused_client(ehr: Ehr) -> None:
    ehr.broken = refused("invalid_client")(ehr)
    found = check(ehr, public_url=f"{ehr.root}/elsewhere")
    assert found["token"].code == "jwks-unreachable"
    assert found["token"].letter == ""


def test_a_document_without_our_way_explains_a_refused_client(ehr: Ehr) -> None:
    refuse = refused("invalid_client")(ehr)
    document = configured(token_endpoint_auth_methods_supported=["none"])(ehr)
    ehr.broken = lambda asked: refuse(asked) or document(asked)
    assert check(ehr)["token"].code == "no-key-jwt"


def test_the_older_way_of_naming_endpoints_is_known(ehr: Ehr) -> None:
    security = {"extension": [{"url": "http://x/oauth-uris"}]}
    old = statement(rest=[{"mode": "server", "security": security}])(ehr)
    missing = smart(Reply(404))(ehr)
    ehr.broken = lambda asked: old(asked) or missing(asked)
    found = check(ehr)
    assert found["smart-configuration"].code == "smart-old"


def test_a_repeated_create_needs_a_server_that_looks_first(ehr: Ehr) -> None:
    whole = ehr.statement()
    for declared in whole["rest"][0]["resource"]:
        declared.pop("conditionalCreate", None)
    ehr.broken = on("/fhir/metadata", Reply(200, whole))
    assert check(ehr)["conditional create"].code == "conditional-missing"
    searching = ehr.endpoint(profile={"search_first": True})
    assert check(ehr, searching)["conditional create"].outcome is Outcome.OK


def test_a_server_that_wants_a_token_from_an_endpoint_without_one(ehr: Ehr) -> None:
    found = check(ehr, ehr.endpoint(backend=BackendClient(), app=AppClient()))
    assert found["token"].outcome is Outcome.SKIPPED
    assert found["read"].code == "token-needed"


def test_a_token_url_without_a_client_id(ehr: Ehr) -> None:
    backend = BackendClient(None, f"{ehr.root}/token")
    assert (
        check(ehr, ehr.endpoint(backend=backend))["token"].code == "client-id-missing"
    )


def test_an_algorithm_that_we_do_not_have(ehr: Ehr) -> None:
    backend = BackendClient("carecue", f"{ehr.root}/token", algorithm="RS256")
    found = check(ehr, ehr.endpoint(backend=backend))
    assert found["token"].code == "setting-wrong"


def test_a_token_url_that_is_open_is_sent_nothing(ehr: Ehr) -> None:
    backend = BackendClient("carecue", "http://login.example/token")
    found = check(ehr, ehr.endpoint(backend=backend))
    assert found["token"].code == "token-url-open"


def test_a_type_that_is_refused_does_not_hide_the_others(ehr: Ehr) -> None:
    needs = replace(NEEDS, focus=("CarePlan", "Encounter"))
    found = check(ehr, needs=needs)
    assert found["read"].code == "read-in-part"
    assert 'unsupported = ["CarePlan"]' in found["read"].todo
    assert found["paging"].outcome is Outcome.OK


TWO = replace(NEEDS, focus=("Encounter", "CarePlan"))


def care_plans(ehr: Ehr, overlooks: str = "") -> Answer:
    """Answer for care plans as for visits, but overlook one parameter."""

    def answer(asked: Asked) -> Reply | None:
        parts = urlsplit(asked.path)
        if not parts.path.startswith("/fhir/CarePlan"):
            return None
        query = parse_qs(parts.query)
        query.pop(overlooks, None)
        path = parts.path.removeprefix("/fhir").replace("CarePlan", "Encounter")
        found = ehr.search(query) if path == "/Encounter" else ehr.read(path).body
        told = json.dumps(found).replace("Encounter", "CarePlan")
        return Reply(200, json.loads(told))

    return answer


def test_every_focus_type_is_tried_and_named(ehr: Ehr) -> None:
    ehr.broken = care_plans(ehr)
    found = check(ehr, needs=TWO)
    assert {item.outcome for item in found.values()} == {Outcome.OK}, found
    assert found["sorting"].saw == "_sort=_lastUpdated sorts (Encounter, CarePlan)"


@pytest.mark.parametrize(
    ("step", "code", "overlooks"),
    [
        ("search by time", "last-updated-ignored", "_lastUpdated"),
        ("sorting", "sort-ignored", "_sort"),
        ("paging", "count-ignored", "_count"),
        ("search by patient", "patient-ignored", "patient"),
    ],
)
def test_what_the_second_type_overlooks_is_found(
    ehr: Ehr, step: str, code: str, overlooks: str
) -> None:
    ehr.broken = care_plans(ehr, overlooks)
    seen = check(ehr, needs=TWO)[step]
    assert (seen.code, seen.saw.partition(":")[0]) == (code, "CarePlan")


def test_a_type_of_the_chart_that_cannot_be_searched_is_named(ehr: Ehr) -> None:
    ehr.broken = on("/fhir/Procedure", Reply(400, outcome("not-supported")))
    seen = check(ehr)["search by patient"]
    assert seen.code == "chart-in-part"
    assert 'unsupported = ["Procedure"]' in seen.todo
    assert PHI not in seen.saw + seen.letter


def test_a_patient_who_is_unknown_may_be_refused(ehr: Ehr) -> None:
    unknown = Reply(400, outcome("not-found"))
    ehr.broken = on(
        "/fhir/Encounter", lambda asked: unknown if asks(asked, "nobody") else None
    )
    assert check(ehr)["search by patient"].outcome is Outcome.OK


def test_what_a_terminal_would_obey_is_taken_out(ehr: Ehr) -> None:
    ehr.broken = configured(token_endpoint="https://a.example/\x1b[2Jtoken")(ehr)
    found = check(ehr)["smart-configuration"]
    assert "\x1b" not in found.saw + found.letter
    assert "?[2Jtoken" in found.saw


def test_a_token_host_that_is_away(ehr: Ehr) -> None:
    backend = BackendClient("carecue", "http://127.0.0.1:9/token")
    assert check(ehr, ehr.endpoint(backend=backend))["token"].code == "token-no-answer"


def test_without_a_statement_subscriptions_are_unknown(ehr: Ehr) -> None:
    ehr.broken = on("/fhir/metadata", Reply(403))
    found = check(ehr)
    assert found["subscriptions"].code == "subscriptions-unknown"
    assert found["conditional create"].outcome is Outcome.SKIPPED


def test_a_statement_that_needs_a_token_is_read_with_one(ehr: Ehr) -> None:
    ehr.broken = on(
        "/fhir/metadata",
        lambda asked: None if "Authorization" in asked.headers else Reply(401),
    )
    assert check(ehr)["subscriptions"].outcome is Outcome.OK
