"""Whether a sign-in page lets itself be shown in the EHR's frame, by its headers.

It is asked as a person's browser would ask who is not signed in yet, with our
registered parameters and without a launch, which may be used once only. Sources:
Content Security Policy 3, frame-ancestors; HTML, X-Frame-Options.
"""

from __future__ import annotations

import hashlib
import re
import time
from base64 import urlsafe_b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import urlencode, urljoin, urlsplit

import requests

from mappings.endpoint import Endpoint
from middleware.fhir.addresses import host_of
from middleware.fhir.bounded import make_session
from middleware.fhir.reach import endpoint_reach
from middleware.ports import require_no_transaction

CALLBACK = "/smart/callback"
MOST_STEPS = 5
LARGEST_PAGE = 1024 * 1024
_PORTS = {"http": "80", "https": "443"}
_MOVED = frozenset({301, 302, 303, 307, 308})
_LONGEST = 120
_SOURCE = re.compile(
    r"(?:(?P<scheme>https?)://)?(?P<host>\*|(?:\*\.)?[a-z0-9.\-]+)"
    r"(?::(?P<port>\d+|\*))?(?:/\S*)?\Z"
)

Get = Callable[[str], tuple[int, Mapping[str, str]] | None]


@dataclass(frozen=True)
class Framing:
    """What a sign-in page says of frames.

    ``refusal`` is the header that refuses the EHR's, '' where none does. ``unseen`` is
    the host that the sign-in goes on at and that nobody has reviewed, '' for none.
    ``asked`` is the page's URL without its query.
    """

    refusal: str = ""
    unseen: str = ""
    asked: str = ""


def look_at_framing(
    get: Get, endpoint: Endpoint, authorize: str, public_url: str
) -> Framing | None:
    """Return what the sign-in page says; None where there was no usable answer.

    ``get`` fetches a URL without following it. Redirects are followed on the base's
    host and on reviewed ones, and never to us.
    """
    reviewed = endpoint.profile.get("authorization_hosts", ())
    allowed = {host_of(endpoint.fhir_base), *(str(name).lower() for name in reviewed)}
    redirect = f"{public_url.rstrip('/')}{CALLBACK}"
    url = _write_request(endpoint, authorize, redirect)
    for _ in range(MOST_STEPS):
        answer = get(url)
        if answer is None or answer[0] >= 500:
            return None
        status, headers = answer
        asked = url.partition("?")[0]
        target = _read_target(url, headers) if status in _MOVED else ""
        if not target:
            refusal = find_refusal(headers, url, endpoint.app.frame_origins)
            return Framing(refusal=refusal, asked=asked)
        if target.partition("?")[0] == redirect:
            return Framing(asked=asked)
        if host_of(target) not in allowed:
            return Framing(unseen=host_of(target), asked=asked)
        url = target
    return None


def fetch_framing(
    endpoint: Endpoint, authorize: str, public_url: str, *, seconds: float
) -> Framing | None:
    """Look at an endpoint's sign-in page; that takes ``seconds`` at the most, whole."""
    require_no_transaction("a look at a sign-in page")
    reach, ca_file = endpoint_reach(endpoint), endpoint.profile.get("ca_file")
    until = time.monotonic() + seconds

    def get(url: str) -> tuple[int, Mapping[str, str]] | None:
        # Each redirect could take as long as the look may take.
        left = until - time.monotonic()
        if left <= 0:
            return None
        with make_session(
            reach, size=LARGEST_PAGE, seconds=left, ca_file=ca_file
        ) as session:
            try:
                answer = session.get(url, timeout=left, allow_redirects=False)
            except requests.RequestException:
                return None
        return answer.status_code, answer.headers

    return look_at_framing(get, endpoint, authorize, public_url)


def find_refusal(headers: Mapping[str, str], url: str, parents: tuple[str, ...]) -> str:
    """Return the header that refuses all of these frames' origins; '' for none.

    Without origins only what refuses every frame is told. Where frame-ancestors is
    given, browsers pass over X-Frame-Options.
    """
    own = _read_origin(url)
    policies = [
        directive.split()[1:]
        for policy in (headers.get("Content-Security-Policy") or "").lower().split(",")
        for directive in policy.split(";")
        if directive.split()[:1] == ["frame-ancestors"]
    ]
    for sources in policies:
        closed = not sources or sources == ["'none'"]
        named = [any(_matches(s, one, own) for s in sources) for one in parents]
        if closed or (named and not any(named)):
            told = f"Content-Security-Policy: frame-ancestors {' '.join(sources)}"
            return told[:_LONGEST]
    if policies:
        return ""
    said = {
        word.strip()
        for word in (headers.get("X-Frame-Options") or "").lower().split(",")
    }
    elsewhere = not parents or any(_read_origin(one) != own for one in parents)
    if "deny" in said or ("sameorigin" in said and elsewhere):
        return f"X-Frame-Options: {'DENY' if 'deny' in said else 'SAMEORIGIN'}"
    return ""


def _write_request(endpoint: Endpoint, authorize: str, redirect: str) -> str:
    # Nobody exchanges what might come of it: the verifier is not kept.
    told = hashlib.sha256(f"frame:{endpoint.id}".encode()).digest()
    challenge = urlsafe_b64encode(told).rstrip(b"=").decode()
    query = {
        "response_type": "code",
        "client_id": endpoint.app.client_id or "",
        "redirect_uri": redirect,
        "scope": "openid fhirUser",
        "state": challenge,
        "aud": endpoint.fhir_base,
        "code_challenge": challenge,
        "code_challenge_method": "S256",
    }
    return f"{authorize}{'&' if '?' in authorize else '?'}{urlencode(query)}"


def _read_target(url: str, headers: Mapping[str, str]) -> str:
    try:
        target = urljoin(url, headers.get("Location") or "")
    except ValueError:
        return ""
    return target if target.startswith(("http://", "https://")) else ""


def _read_origin(url: str) -> str:
    parts = urlsplit(url.lower())
    return f"{parts.scheme}://{parts.netloc}"


def _matches(source: str, parent: str, own: str) -> bool:
    """Tell whether a source of frame-ancestors names an origin."""
    if source == "'self'":
        return _read_origin(parent) == own
    parts = urlsplit(parent.lower())
    if source in ("*", f"{parts.scheme}:"):
        return True
    found = _SOURCE.match(source)
    if found is None:
        return False
    scheme = found["scheme"] or own.partition(":")[0]
    host, port = found["host"], found["port"]
    named = str(parts.port or _PORTS.get(parts.scheme, ""))
    return (
        (parts.scheme == scheme or (scheme, parts.scheme) == ("http", "https"))
        and (port == "*" or named == (port or _PORTS[parts.scheme]))
        and _names(host, parts.hostname or "")
    )


def _names(pattern: str, host: str) -> bool:
    if pattern == "*":
        return True
    return host.endswith(pattern[1:]) if pattern.startswith("*.") else host == pattern
