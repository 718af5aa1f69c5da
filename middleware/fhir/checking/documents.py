"""What the server says of itself: CapabilityStatement and the time of its clock.

Both are read without a token. Judging is apart from fetching. Source: FHIR R4
http.html, capabilities; RFC 9110 section 6.6.1 (Date).
"""

from __future__ import annotations

from datetime import UTC
from email.utils import parsedate_to_datetime
from urllib.parse import urljoin, urlsplit

from middleware.fhir.checking.exchange import Exchange
from middleware.fhir.checking.finding import Seen
from middleware.fhir.checking.talk import Talk

TAILS = ("fhir", "fhir/r4", "fhir/R4", "r4", "R4", "baseR4", "api/FHIR/R4")
# What people paste in place of the base.
DOCUMENT_NAMES = frozenset({"metadata", "smart-configuration"})
ELSEWHERE = frozenset({"base-not-found", "html", "not-capabilities", "not-json"})
SKEW_WARNED, SKEW_FATAL = 5.0, 60.0


def check_capabilities(talk: Talk) -> Seen:
    """Read ``/metadata``; where it is not, look one level up and down."""
    exchange = talk.caller.call("GET", f"{talk.base}/metadata")
    talk.metadata = exchange
    seen = judge_capabilities(exchange)
    pasted = talk.base.rpartition("/")[2] in DOCUMENT_NAMES
    if seen.code in ELSEWHERE or (pasted and seen.code != "ok"):
        found = _find_neighbour(talk)
        if found is not None:
            told = f"{seen.saw}; a FHIR server answers at {found}"
            return Seen("base-elsewhere", told, seen.asked, {"base": found})
    if seen.code == "ok":
        talk.statement = exchange.body
    return seen


def judge_capabilities(exchange: Exchange) -> Seen:
    """Say what stands at ``/metadata``."""
    told, asked = exchange.told(), exchange.shown
    if exchange.status is None:
        code = {"timeout": "no-answer", "too-large": "answer-too-large"}
        return Seen(code.get(exchange.fault or "", "answer-cut"), told, asked)
    if 300 <= exchange.status < 400:
        place = urljoin(exchange.url, exchange.headers.get("Location") or "")
        place = place.partition("?")[0]
        facts = {"base": place.removesuffix("/metadata")}
        return Seen("redirected", f"{told}, to {place}", asked, facts)
    if exchange.status in {401, 403}:
        return Seen("metadata-needs-token", told, asked)
    if exchange.status in {404, 405, 410}:
        return Seen("base-not-found", told, asked)
    if exchange.status in {406, 415}:
        return Seen("xml-only", told, asked)
    if exchange.status == 429:
        return Seen("throttled", told, asked)
    if exchange.status >= 500:
        return Seen("server-error", told, asked)
    return _judge_content(exchange, told, asked)


def _judge_content(exchange: Exchange, told: str, asked: str) -> Seen:
    if exchange.looks == "xml" and b"<CapabilityStatement" in exchange.content[:2000]:
        return Seen("xml-only", told, asked)
    if exchange.looks in {"html", "xml"}:
        return Seen("html", told, asked)
    if exchange.body is None:
        return Seen("not-json", told, asked)
    version = str(exchange.body.get("fhirVersion") or "")[:10]
    said = f"{told}, FHIR {version or 'of unknown version'}"
    if exchange.kind == "Conformance" or version.startswith(("1.", "3.")):
        return Seen("version-old", said, asked)
    if exchange.kind != "CapabilityStatement" or exchange.status != 200:
        return Seen("not-capabilities", told, asked)
    if version.startswith(("5.", "6.")):
        return Seen("version-new", said, asked)
    return Seen("ok", f"FHIR {version or 'of unknown version'}{_software(exchange)}")


def _software(exchange: Exchange) -> str:
    software = (exchange.body or {}).get("software")
    name = software.get("name") if isinstance(software, dict) else None
    plain = isinstance(name, str) and name.isprintable()
    return f", {str(name)[:60]}" if plain else ""


def _find_neighbour(talk: Talk) -> str | None:
    """Return a base near by, on the same host, where a CapabilityStatement stands."""
    parent = talk.base.removesuffix("/.well-known/smart-configuration")
    parent = parent if parent != talk.base else talk.base.rpartition("/")[0]
    parents = [parent] if urlsplit(parent).hostname else []
    below = [f"{start}/{tail}" for start in (talk.base, *parents) for tail in TAILS]
    for candidate in dict.fromkeys([*parents, *below]):
        exchange = talk.caller.call("GET", f"{candidate}/metadata")
        if exchange.status is None:
            return None
        if exchange.status == 200 and exchange.kind == "CapabilityStatement":
            return candidate
    return None


def check_clock(talk: Talk) -> Seen:
    """Compare the server's Date with our clock."""
    if talk.clock_moved:
        return Seen("skipped", "this installation's clock is moved on purpose")
    exchange = talk.metadata
    skew = None if exchange is None else read_skew(exchange)
    if skew is None:
        return Seen("skipped", "the server's answers carry no Date")
    talk.skew = skew
    return judge_clock(skew, exchange.shown if exchange else "")


def read_skew(exchange: Exchange) -> float | None:
    """Return by how many seconds the server's clock is ahead of ours."""
    try:
        there = parsedate_to_datetime(exchange.headers.get("Date") or "")
    except (TypeError, ValueError):
        return None
    there = there if there.tzinfo else there.replace(tzinfo=UTC)
    # Date counts whole seconds, rounded down.
    middle = exchange.began + (exchange.ended - exchange.began) / 2
    return (there - middle).total_seconds() + 0.5


def judge_clock(skew: float, asked: str) -> Seen:
    """Say what a difference in seconds means."""
    side = "ahead of" if skew > 0 else "behind"
    told = f"the server's clock is {abs(skew):.0f} s {side} ours"
    if abs(skew) > SKEW_FATAL:
        return Seen("clock-skew", told, asked)
    if abs(skew) > SKEW_WARNED:
        return Seen("clock-drift", told, asked)
    return Seen("ok", "the clocks agree within 5 s")
