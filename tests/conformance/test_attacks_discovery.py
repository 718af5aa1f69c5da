"""Attacks by the documents that say how an EHR is signed in to."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest
from flask import Response

from tests.conformance.charts import write_fhir
from tests.conformance.clinic import Clinic, code_of
from tests.conformance.hostile import CONFIGURATION, HostileEhr, View
from tests.pace import Pace

OAUTH_URIS = "http://fhir-registry.smarthealthit.org/StructureDefinition/oauth-uris"
MEGABYTE = 1_000_000


@pytest.mark.attack(3)
def test_a_configuration_that_is_elsewhere_is_not_followed(
    clinic: Clinic, elsewhere: HostileEhr
) -> None:
    there = {"Location": f"{elsewhere.root}{CONFIGURATION}"}
    for status in (301, 302, 303, 307, 308):
        clinic.ehr.habits.instead[CONFIGURATION] = partial(Response, "", status, there)
        answer = clinic.begin()
        assert (answer.status_code, code_of(answer)) == (502, "D1"), status
        assert "Set-Cookie" not in answer.headers
    assert elsewhere.heard == []


FOREIGN_PLACES: tuple[Callable[[HostileEhr, HostileEhr], str], ...] = (
    lambda ehr, other: f"{other.root}/token",
    lambda ehr, other: other.root.replace("http:", "") + "/token",
    lambda ehr, other: f"{ehr.root}@localhost/token",
    lambda ehr, other: f"{ehr.root}.evil.example.com/token",
    lambda ehr, other: f"{ehr.root}\\@localhost/token",
    lambda ehr, other: "http://192.0.2.7/token",
    lambda ehr, other: "javascript:alert(1)",
)


@pytest.mark.attack(4)
@pytest.mark.parametrize(
    "member", ["authorization_endpoint", "token_endpoint", "jwks_uri"]
)
def test_a_document_that_points_to_another_host_is_refused(
    clinic: Clinic, elsewhere: HostileEhr, member: str
) -> None:
    for place in FOREIGN_PLACES:
        url = place(clinic.ehr, elsewhere)
        clinic.ehr.habits.document = {member: url}
        answer = clinic.begin()
        assert answer.status_code == 502, url
        assert code_of(answer) in {"D1", "D3"}
    assert elsewhere.heard == []
    assert clinic.rows("SELECT id FROM launch") == []


@pytest.mark.attack(4)
@pytest.mark.parametrize("member", ["authorize", "token"])
def test_an_older_document_that_points_to_another_host_is_refused(
    clinic: Clinic, elsewhere: HostileEhr, member: str
) -> None:
    clinic.connect(profile={"jwks_uri": f"{clinic.ehr.root}/jwks"})
    clinic.ehr.habits.instead[CONFIGURATION] = lambda: ("", 404)
    for foreign in (False, True):
        places = {name: f"{clinic.ehr.root}/{name}" for name in ("authorize", "token")}
        places |= {member: f"{elsewhere.root}/{member}"} if foreign else {}
        told = [{"url": name, "valueUri": url} for name, url in places.items()]
        security = {"extension": [{"url": OAUTH_URIS, "extension": told}]}
        statement = {
            "resourceType": "CapabilityStatement",
            "rest": [{"mode": "server", "security": security}],
        }
        view = partial(write_fhir, statement)
        clinic.ehr.habits.instead["/fhir/metadata"] = view
        clinic.connect(
            issuers=(clinic.ehr.issuer,),
            profile={"jwks_uri": f"{clinic.ehr.root}/jwks"},
        )
        answer = clinic.app_again().begin()
        assert answer.status_code == (502 if foreign else 303)
        assert not foreign or code_of(answer) in {"D1", "D3"}
    assert elsewhere.heard == []


@pytest.mark.attack(4)
def test_keys_that_another_document_names_elsewhere_are_not_fetched(
    clinic: Clinic, elsewhere: HostileEhr
) -> None:
    named = {"jwks_uri": f"{elsewhere.root}/jwks", "issuer": elsewhere.base}
    openid = "/fhir/.well-known/openid-configuration"
    clinic.ehr.habits.instead[openid] = lambda: named
    for issuer in (clinic.ehr.issuer, elsewhere.base):
        clinic.ehr.habits.document = {"jwks_uri": None, "issuer": issuer}
        answer = clinic.app_again().begin()
        assert answer.status_code == 502
        assert code_of(answer) in {"D1", "D2", "D3"}
    assert elsewhere.heard == []


def bad_answers(good: Callable[[], dict[str, Any]], sent: list[int]) -> dict[str, View]:
    """Return answers that all hold a good document, in a form that is none.

    Of the huge one, ``sent`` holds how many megabytes were taken from us.
    """

    def twice() -> Response:
        text = json.dumps(document := good())
        name, value = next(iter(document.items()))
        more = json.dumps({name: value})[1:-1]
        return Response(f"{text[:-1]}, {more}}}", content_type="application/json")

    def huge() -> Response:
        def parts() -> Iterator[bytes]:
            for number in range(50):
                sent.append(number)
                yield b" " * MEGABYTE
            yield json.dumps(good()).encode()

        return Response(parts(), content_type="application/json")

    def drip() -> Response:
        pause = threading.Event()

        def parts() -> Iterator[bytes]:
            for _ in range(120):
                pause.wait(0.5)
                yield b" "
            yield json.dumps(good()).encode()

        return Response(parts(), content_type="application/json")

    def deep() -> Response:
        nested = f'{{"x": {"[" * 200_000}{"]" * 200_000}, {json.dumps(good())[1:]}'
        return Response(nested, content_type="application/json")

    def html() -> Response:
        text = f"<!doctype html><title>{json.dumps(good())}</title>"
        return Response(text, content_type="text/html")

    return {
        "twice": twice,
        "huge": huge,
        "drip": drip,
        "deep": deep,
        "html": html,
        "list": lambda: [good()],
        "cut": lambda: json.dumps(good())[:-1],
        "failed": lambda: (good(), 500),
        "null": lambda: "null",
    }


@pytest.mark.attack(5)
@pytest.mark.parametrize("kind", bad_answers(dict, []))
def test_a_configuration_that_is_none_is_an_error_within_bounds(
    clinic: Clinic, kind: str
) -> None:
    sent: list[int] = []
    clinic.ehr.habits.instead[CONFIGURATION] = bad_answers(clinic.ehr.describe, sent)[
        kind
    ]
    with Pace() as granted:
        answer = clinic.begin()

    assert (answer.status_code, code_of(answer)) == (502, "D1")
    assert granted.seconds < 20
    assert len(sent) < 25
    assert clinic.rows("SELECT id FROM launch") == []


@pytest.mark.attack(5)
@pytest.mark.parametrize(
    "kind", ["twice", "huge", "deep", "html", "list", "cut", "failed", "null"]
)
def test_keys_that_are_none_are_an_error_within_bounds(
    clinic: Clinic, kind: str
) -> None:
    sent: list[int] = []
    published = {"keys": clinic.ehr.habits.published}
    clinic.ehr.habits.instead["/jwks"] = bad_answers(lambda: published, sent)[kind]
    with Pace() as granted:
        answer = clinic.launch()

    assert (answer.status_code, code_of(answer)) == (502, "D4")
    assert granted.seconds < 30
    assert len(sent) < 50
    assert clinic.rows("SELECT id FROM launch WHERE stage = 'open'") == []


@pytest.mark.attack(5)
@pytest.mark.parametrize("strange", [{"issuer": 7}, {"token_endpoint": ["x"]}])
def test_members_of_another_kind_are_missing(
    clinic: Clinic, strange: dict[str, Any]
) -> None:
    clinic.ehr.habits.document = strange
    answer = clinic.begin()

    assert (answer.status_code, code_of(answer)) == (502, "D2")
