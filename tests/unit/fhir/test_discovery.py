from __future__ import annotations

from typing import Any

import pytest

from mappings.errors import AuthorizationError, FhirError
from middleware.clock import FixedClock
from middleware.fhir.bounded import make_session
from middleware.fhir.discovery import (
    fetch_capabilities,
    fetch_key_set,
    fetch_smart_configuration,
)
from middleware.fhir.reach import Reach
from tests.unit.fhir.scripted import NOW, Asked, Reply, Script, outcome

HERE = Reach(loopback=True)


def configuration(script: Script, **changes: Any) -> dict[str, Any]:
    return {
        "issuer": script.base,
        "authorization_endpoint": f"{script.base}/authorize",
        "token_endpoint": "oauth/token",
        "jwks_uri": f"{script.base}/jwks",
        "capabilities": ["launch-ehr", 7],
        "code_challenge_methods_supported": None,
        **changes,
    }


@pytest.mark.requirement("hl7.fhir.uv.smart-app-launch_2.2.0@227")
@pytest.mark.requirement("hl7.fhir.uv.smart-app-launch_2.2.0@29")
@pytest.mark.requirement("hl7.fhir.uv.smart-app-launch_2.2.0@379")
def test_configuration_is_read_and_relative_urls_resolved(script: Script) -> None:
    script.then(Reply(200, configuration(script)))
    found = fetch_smart_configuration(script.base)
    assert script.lines == ["GET /fhir/.well-known/smart-configuration"]
    assert found.token_endpoint == f"{script.base}/oauth/token"
    assert found.issuer == script.base
    assert found.capabilities == ("launch-ehr",)
    assert found.code_challenge_methods == ()
    assert "Authorization" not in script.asked[0].headers


@pytest.mark.parametrize(
    "endpoint",
    [
        "https://evil.example/token",
        "//evil.example/token",
        "http://evil.example/token",
        "https://127.0.0.1@evil.example/token",
        "file:///etc/passwd",
        "https://127.0.0.1.evil.example/token",
    ],
)
def test_an_endpoint_on_an_unreviewed_host_is_refused(
    script: Script, endpoint: str
) -> None:
    script.then(Reply(200, configuration(script, token_endpoint=endpoint)))
    with pytest.raises(AuthorizationError, match="token_endpoint") as caught:
        fetch_smart_configuration(script.base)
    assert caught.value.permanent


def test_an_endpoint_on_a_reviewed_host_is_taken(script: Script) -> None:
    url = "https://login.example.org/token"
    script.then(Reply(200, configuration(script, token_endpoint=url)))
    found = fetch_smart_configuration(script.base, hosts=["login.example.org"])
    assert found.token_endpoint == url


HOSTILE = {
    "redirect": Reply(302, None, {"Location": "http://127.0.0.1:1/"}),
    "html": Reply(200, b"<html>"),
    "twice": Reply(200, b'{"token_endpoint":"/a","token_endpoint":"/b"}'),
    "deep": Reply(200, b"[" * 200_000),
    "large": Reply(200, b" " * 600_000),
    "server error": Reply(500),
}


@pytest.mark.parametrize("reply", HOSTILE.values(), ids=HOSTILE)
def test_an_unusable_document_is_an_error(script: Script, reply: Reply) -> None:
    script.then(reply)
    with pytest.raises(AuthorizationError):
        fetch_smart_configuration(script.base)
    assert len(script.asked) == 1


def test_a_dripping_document_is_cut(script: Script) -> None:
    def drip(handler: Any) -> None:
        handler.wfile.write(b"HTTP/1.1 200 OK\r\n\r\n{")
        while not script.released.wait(0.01):
            handler.wfile.write(b" ")
            handler.wfile.flush()

    script.then(Reply(raw=drip))
    with pytest.raises(AuthorizationError, match="TooSlow"):
        fetch_smart_configuration(script.base, session=make_session(HERE, seconds=0.3))


def test_without_a_document_the_capability_statement_is_read(script: Script) -> None:
    def answer(asked: Asked) -> Reply:
        if asked.path != "/fhir/metadata":
            return Reply(404)
        uris = [
            {"url": "token", "valueUri": f"{script.base}/token"},
            {"url": "authorize", "valueUri": f"{script.base}/authorize"},
        ]
        extension = {
            "url": (
                "http://fhir-registry.smarthealthit.org/StructureDefinition/oauth-uris"
            ),
            "extension": uris,
        }
        security = {"extension": [extension]}
        return Reply(200, {"rest": [{"security": security}]})

    script.answer = answer
    found = fetch_smart_configuration(script.base)
    assert (found.source, found.issuer) == ("capabilities", None)
    assert found.token_endpoint == f"{script.base}/token"
    assert found.authorization_endpoint == f"{script.base}/authorize"


def test_keys_are_looked_for_under_the_fhir_base(script: Script) -> None:
    def answer(asked: Asked) -> Reply:
        if asked.path == "/fhir/.well-known/openid-configuration":
            return Reply(200, {"issuer": "x", "jwks_uri": f"{script.base}/keys"})
        if asked.path.endswith("smart-configuration"):
            issuer = "https://idp.example.org"
            return Reply(200, configuration(script, jwks_uri=None, issuer=issuer))
        return Reply(404)

    script.answer = answer
    found = fetch_smart_configuration(script.base)
    assert found.jwks_uri == f"{script.base}/keys"
    assert found.issuer == "https://idp.example.org"


def test_a_configuration_at_the_hosts_root_is_read_where_that_is_known(
    script: Script,
) -> None:
    def answer(asked: Asked) -> Reply:
        if asked.path == "/.well-known/smart-configuration":
            return Reply(200, configuration(script))
        return Reply(200, {}) if asked.path.endswith("/metadata") else Reply(404)

    script.answer = answer
    found = fetch_smart_configuration(script.base, at_root=True)
    assert found.source == "well-known"
    assert found.token_endpoint == f"{script.base}/oauth/token"
    assert fetch_smart_configuration(script.base).source == "capabilities"


def test_fetch_key_set(script: Script) -> None:
    script.then(Reply(200, {"keys": [{"kty": "EC"}]}), Reply(200, {"keys": "x"}))
    assert fetch_key_set(f"{script.base}/jwks") == {"keys": [{"kty": "EC"}]}
    with pytest.raises(AuthorizationError):
        fetch_key_set(f"{script.base}/jwks")


def test_fetch_capabilities(script: Script) -> None:
    statement = {"resourceType": "CapabilityStatement", "fhirVersion": "4.0.1"}
    script.then(Reply(200, statement))
    assert fetch_capabilities(script.base, clock=FixedClock(NOW)) == statement
    assert script.lines == ["GET /fhir/metadata"]


@pytest.mark.parametrize("reply", [Reply(404, outcome()), Reply(200, outcome())])
def test_fetch_capabilities_of_something_else_is_permanent(
    script: Script, reply: Reply
) -> None:
    script.then(reply)
    with pytest.raises(FhirError) as caught:
        fetch_capabilities(script.base, clock=FixedClock(NOW))
    assert caught.value.permanent
