"""The app's registration: each deviation is told, with what the app does about it."""

from __future__ import annotations

from typing import Any

import pytest

from mappings.dialects.registry import DIALECTS
from mappings.endpoint import AppClient
from middleware.fhir.checking.finding import Finding, Outcome
from tests.unit.fhir.checked_ehr import Ehr, check
from tests.unit.fhir.scripted import Asked, Reply

STEPS = ("app sign-in", "app identity", "app scopes", "app frame", "app deviations")


def look(ehr: Ehr, document: dict[str, Any] | None = None, **more: Any) -> Any:
    """Check with a changed SMART configuration; ``more`` are replies by path."""
    replies = dict(more.pop("replies", {}))
    whole = {**ehr.configuration(), **(document or {})}
    told = {name: value for name, value in whole.items() if value is not None}
    replies["/fhir/.well-known/smart-configuration"] = Reply(200, told)
    statement = more.pop("statement", None)
    if statement:
        replies["/fhir/metadata"] = Reply(200, statement)

    def answer(asked: Asked) -> Reply | None:
        return replies.get(asked.path.partition("?")[0])

    ehr.broken = answer
    found: dict[str, Finding] = check(ehr, ehr.endpoint(**more))
    return found


def test_a_good_server_has_nothing_to_tell(ehr: Ehr) -> None:
    found = look(ehr)
    assert {found[step].code for step in STEPS} == {"ok"}


def test_without_an_app_nothing_is_checked(ehr: Ehr) -> None:
    found = look(ehr, app=AppClient())
    assert {found[step].outcome for step in STEPS} == {Outcome.SKIPPED}


@pytest.mark.parametrize(
    ("document", "step", "code"),
    [
        (
            {"token_endpoint_auth_methods_supported": ["client_secret_basic"]},
            "app sign-in",
            "app-method",
        ),
        (
            {"token_endpoint_auth_signing_alg_values_supported": ["ES384"]},
            "app sign-in",
            "app-algorithm",
        ),
        ({"capabilities": ["launch-standalone"]}, "app sign-in", "app-no-launch"),
        ({"code_challenge_methods_supported": None}, "app sign-in", "app-no-pkce"),
        ({"jwks_uri": None}, "app identity", "app-no-keys"),
        ({"jwks_uri": "https://k.example.org"}, "app identity", "app-keys-unreviewed"),
        ({"issuer": None}, "app identity", "app-no-issuer"),
        (
            {"capabilities": ["launch-ehr", "permission-v1"]},
            "app scopes",
            "app-scopes-old",
        ),
        (
            {"capabilities": ["launch-ehr", "permission-v2"]},
            "app scopes",
            "app-no-refresh",
        ),
        (
            {"authorization_endpoint": "https://login.example.org/a"},
            "app frame",
            "app-host-unreviewed",
        ),
    ],
)
def test_a_deviation_is_told(
    ehr: Ehr, document: dict[str, Any], step: str, code: str
) -> None:
    found = look(ehr, document)[step]
    assert found.code == code
    assert found.cause
    assert found.todo


def test_keys_in_the_openid_configuration_are_found(ehr: Ehr) -> None:
    opened = {"jwks_uri": f"{ehr.root}/jwks", "issuer": "https://idp.example.org"}
    path = "/fhir/.well-known/openid-configuration"
    found = look(
        ehr, {"jwks_uri": None, "issuer": None}, replies={path: Reply(200, opened)}
    )["app identity"]
    assert found.code == "app-keys-elsewhere"
    assert "https://idp.example.org" in found.saw


@pytest.mark.parametrize(
    "headers",
    [
        {"X-Frame-Options": "DENY"},
        {"X-Frame-Options": "SAMEORIGIN"},
        {"Content-Security-Policy": "frame-ancestors 'none'"},
    ],
)
def test_a_sign_in_that_refuses_frames_is_told(
    ehr: Ehr, headers: dict[str, str]
) -> None:
    replies = {"/authorize": Reply(200, "<html>", headers=headers)}
    found = look(ehr, replies=replies)["app frame"]
    assert found.code == "app-not-framed"
    assert next(iter(headers)) in found.saw
    assert "offers a window" in found.safe
    window = {"authorize_in_window": True}
    found = look(ehr, replies=replies, profile=window)["app frame"]
    assert found.code == "ok"
    assert next(iter(headers)) in found.saw
    stays = look(ehr, replies=replies, profile={"authorize_in_window": False})
    assert stays["app frame"].code == "ok"
    assert next(iter(headers)) in stays["app frame"].saw
    assert "stay in the frame" in stays["app frame"].saw


@pytest.mark.parametrize(
    "reply",
    [Reply(503), Reply(302, headers={"Location": "https://idp.example.com/"})],
)
def test_a_sign_in_whose_page_was_not_seen_is_told(ehr: Ehr, reply: Reply) -> None:
    found = look(ehr, replies={"/authorize": reply})["app frame"]
    assert found.code == "app-frame-unseen"
    assert ("idp.example.com" in found.saw) == (reply.status == 302)
    assert "three stay blank" in found.safe


def test_an_app_that_nobody_may_frame_is_told(ehr: Ehr) -> None:
    app = AppClient("carecue-app", algorithm="RS384")
    found = look(ehr, app=app)["app frame"]
    assert found.code == "app-no-frame"
    assert "frame_origins" in found.todo


def test_the_sign_in_is_asked_with_our_registration(ehr: Ehr) -> None:
    look(ehr)
    asked = [line for line in ehr.lines if line.startswith("GET /authorize?")]
    assert len(asked) == 1
    assert "client_id=carecue-app" in asked[0]
    assert "redirect_uri=http" in asked[0]


def test_a_known_kind_of_server_tells_its_deviations(ehr: Ehr) -> None:
    statement = ehr.statement(software={"name": "Epic"})
    found = look(ehr, statement=statement)["app deviations"]
    assert found.code == "app-server-unnamed"
    assert '"epic"' in found.todo
    named = look(ehr, profile={"server": "epic"})
    assert "need_patient_banner" in named["app deviations"].saw
    assert "/oauth2" in named["app identity"].saw


@pytest.mark.parametrize(
    "server",
    ["athena", "epic", "inferno", "launcher", "meditech", "medplum", "oracle"],
)
def test_each_deviation_of_a_named_server_is_printed(ehr: Ehr, server: str) -> None:
    notes = DIALECTS[server].app.notes
    found = look(ehr, profile={"server": server})["app deviations"]
    assert found.code == "app-deviations"
    assert notes
    assert [note for note in notes if note not in found.saw] == []
    # What it does stands before the colon, what the app does after it.
    assert [note for note in notes if ": " not in note] == []


def test_the_sandbox_deviates_in_nothing(ehr: Ehr) -> None:
    found = look(ehr, profile={"server": "sandbox"})["app deviations"]
    assert found.code == "ok"
