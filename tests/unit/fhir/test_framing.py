"""Whether a sign-in page lets itself be shown in the EHR's frame, by its headers."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from mappings.endpoint import AppClient, BackendClient, Endpoint, EndpointKind, Site
from middleware.fhir.framing import (
    MOST_STEPS,
    Framing,
    fetch_framing,
    find_refusal,
    look_at_framing,
)
from tests.unit.fhir.scripted import Reply, serve

EHR = "https://ehr.example.org"
PAGE = "https://as.example.org/oauth/authorize?client_id=x"
PUBLIC = "https://carecue.example.org"
AUTHORIZE = "https://ehr.example.org/oauth/authorize"
ENDPOINT = Endpoint(
    id="north",
    name="Northside EHR",
    kind=EndpointKind.TEST,
    fhir_base="https://ehr.example.org/fhir",
    backend=BackendClient(),
    app=AppClient("carecue-app", frame_origins=(EHR,)),
    site=Site(name="Northside", phone="", booking_url="", zone="UTC"),
    profile={"authorization_hosts": ["login.example.org"]},
)


@pytest.mark.parametrize(
    ("headers", "refused"),
    [
        ({}, ""),
        ({"X-Frame-Options": "DENY"}, "X-Frame-Options: DENY"),
        ({"X-Frame-Options": "SameOrigin"}, "X-Frame-Options: SAMEORIGIN"),
        ({"X-Frame-Options": "SAMEORIGIN, DENY"}, "X-Frame-Options: DENY"),
        ({"X-Frame-Options": f"ALLOW-FROM {EHR}"}, ""),
        ({"Content-Security-Policy": "default-src 'self'"}, ""),
        ({"Content-Security-Policy": "frame-ancestors *"}, ""),
        ({"Content-Security-Policy": "frame-ancestors https:"}, ""),
        ({"Content-Security-Policy": f"frame-ancestors 'self' {EHR}"}, ""),
        ({"Content-Security-Policy": f"FRAME-ANCESTORS {EHR}:443/app"}, ""),
        ({"Content-Security-Policy": "frame-ancestors *.example.org"}, ""),
        ({"Content-Security-Policy": "frame-ancestors ehr.example.org:*"}, ""),
        (
            {
                "X-Frame-Options": "DENY",
                "Content-Security-Policy": f"frame-ancestors {EHR}",
            },
            "",
        ),
        (
            {"Content-Security-Policy": "frame-ancestors 'none'"},
            "Content-Security-Policy: frame-ancestors 'none'",
        ),
        (
            {"Content-Security-Policy": "frame-ancestors 'self'"},
            "Content-Security-Policy: frame-ancestors 'self'",
        ),
        (
            {"Content-Security-Policy": "frame-ancestors https://evil-ehr.example.org"},
            "Content-Security-Policy: frame-ancestors https://evil-ehr.example.org",
        ),
        (
            {"Content-Security-Policy": f"frame-ancestors {EHR}:8443"},
            f"Content-Security-Policy: frame-ancestors {EHR}:8443",
        ),
        (
            {"Content-Security-Policy": f"frame-ancestors {EHR}, frame-ancestors"},
            "Content-Security-Policy: frame-ancestors",
        ),
    ],
)
def test_headers_refuse_a_frame_as_a_browser_reads_them(
    headers: dict[str, str], refused: str
) -> None:
    assert find_refusal(headers, PAGE, (EHR,)).rstrip() == refused


def test_a_page_that_allows_one_of_the_frames_is_not_taken_to_refuse() -> None:
    policy = {"Content-Security-Policy": f"frame-ancestors {EHR}"}
    assert find_refusal(policy, PAGE, ("https://old.example.org", EHR)) == ""
    assert find_refusal(policy, PAGE, ("https://old.example.org",)) != ""


def test_the_pages_own_site_may_frame_what_says_same_origin() -> None:
    assert find_refusal({"X-Frame-Options": "SAMEORIGIN"}, f"{EHR}/a", (EHR,)) == ""


def test_without_a_frame_only_what_refuses_every_frame_is_told() -> None:
    policy = {"Content-Security-Policy": f"frame-ancestors {EHR}"}
    assert find_refusal(policy, PAGE, ()) == ""
    assert find_refusal({"X-Frame-Options": "DENY"}, PAGE, ()) != ""


def walk(*answers: tuple[int, dict[str, str]] | None) -> tuple[Framing | None, list]:
    left, asked = list(answers), []

    def get(url: str):
        asked.append(url)
        return left.pop(0)

    return look_at_framing(get, ENDPOINT, AUTHORIZE, f"{PUBLIC}/"), asked


def test_it_is_asked_as_we_are_registered_and_without_a_launch() -> None:
    _, asked = walk((200, {}))
    query = parse_qs(urlsplit(asked[0]).query)
    assert query["client_id"] == ["carecue-app"]
    assert query["redirect_uri"] == [f"{PUBLIC}/smart/callback"]
    assert query["aud"] == ["https://ehr.example.org/fhir"]
    assert query["code_challenge_method"] == ["S256"]
    assert "launch" not in query


def test_the_page_at_the_end_of_reviewed_redirects_is_judged() -> None:
    deny = {"X-Frame-Options": "DENY"}
    found, asked = walk(
        (302, {"Location": "/login?next=1", **deny}),
        (303, {"Location": "https://login.example.org/page"}),
        (200, deny),
    )
    assert found == Framing(
        refusal="X-Frame-Options: DENY", asked="https://login.example.org/page"
    )
    assert asked[1] == "https://ehr.example.org/login?next=1"


def test_a_redirect_is_followed_neither_to_us_nor_to_strangers() -> None:
    found, asked = walk((302, {"Location": f"{PUBLIC}/smart/callback?error=x"}))
    assert (found, len(asked)) == (Framing(asked=AUTHORIZE), 1)
    found, asked = walk((302, {"Location": "https://idp.example.com/"}))
    assert (found, len(asked)) == (
        Framing(unseen="idp.example.com", asked=AUTHORIZE),
        1,
    )


def test_nothing_is_concluded_without_a_usable_answer() -> None:
    assert walk(None)[0] is None
    assert walk((503, {"X-Frame-Options": "DENY"}))[0] is None
    assert walk(*[(302, {"Location": AUTHORIZE})] * 5)[0] is None


def test_a_real_page_is_asked_within_its_bounds() -> None:
    with serve() as script:
        endpoint = replace(ENDPOINT, fhir_base=f"{script.base}/fhir")
        url = f"{script.base}/authorize"
        script.answer = lambda _: Reply(
            200, "<html>", headers={"X-Frame-Options": "DENY"}
        )
        found = fetch_framing(endpoint, url, PUBLIC, seconds=5)
        assert found == Framing(refusal="X-Frame-Options: DENY", asked=url)
        script.answer = lambda _: Reply(raw=lambda handler: handler.connection.close())
        assert fetch_framing(endpoint, url, PUBLIC, seconds=5) is None


def test_redirects_have_no_time_of_their_own() -> None:
    asked: list[str] = []
    slow = threading.Event()

    def answer(request: Any) -> Reply:
        asked.append(str(request))
        slow.wait(0.3)
        return Reply(302, "", headers={"Location": "/authorize"})

    with serve() as script:
        script.answer = answer
        endpoint = replace(ENDPOINT, fhir_base=f"{script.base}/fhir")
        url = f"{script.base}/authorize"
        assert fetch_framing(endpoint, url, PUBLIC, seconds=1) is None
    assert len(asked) < MOST_STEPS
