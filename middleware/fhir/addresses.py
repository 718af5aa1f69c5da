"""The base-URL lock: which references and links may be followed, and to where.

Pure. A token goes to one FHIR base only, whatever a resource, a notification or a
Bundle says. Sources: FHIR R4 references.html; SMART App Launch 2.2, security.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import SplitResult, unquote, urljoin, urlsplit

from mappings.errors import ConfigurationError, ReferenceRefusedError

_ID = r"[A-Za-z0-9\-.]{1,64}"
_REFERENCE = re.compile(rf"([A-Z][A-Za-z]{{1,60}})/({_ID})(?:/_history/({_ID}))?")
_QUERY = re.compile(
    rf"([A-Z][A-Za-z]{{1,60}})(/{_ID})?(/_history|/\$[a-z-]{{1,60}})?(\?.*)?", re.DOTALL
)
_FORBIDDEN = re.compile(r"[\x00-\x20\x7f\\]")
_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True)
class Reference:
    """A reference under the base: type, id and, when it names one, the version."""

    type: str
    id: str
    version: str | None = None

    def __str__(self) -> str:
        return f"{self.type}/{self.id}"


def read_base(url: str) -> str:
    """Return the base without a trailing slash; ConfigurationError when unusable."""
    base = url.rstrip("/")
    parts = _split(base)
    if parts is None or parts.scheme not in _PORTS or parts.query or not parts.hostname:
        raise ConfigurationError(
            "A FHIR base must be an http(s) URL without user, query or fragment; "
            "nothing was asked; correct the endpoint"
        )
    return base


def read_reference(base: str, reference: str) -> Reference:
    """Read ``Type/id`` (relative, or absolute under the base).

    ReferenceRefusedError for contained, ``urn:`` and foreign references.
    """
    tail = _tail(base, reference) if ":" in reference else reference
    match = _REFERENCE.fullmatch(tail or "")
    if match is None or _has_dots(match.group(0)):
        raise ReferenceRefusedError(
            "A reference does not point to a resource under the endpoint's base; it "
            "was not followed; see the resource that holds it"
        )
    return Reference(*match.groups())


def read_query(base: str, query: str) -> str:
    """Return ``Type?params``, ``Type/id/_history`` and the like, relative to the base.

    ReferenceRefusedError when it would lead elsewhere.
    """
    tail = _tail(base, query) if "://" in query.partition("?")[0] else query
    match = _QUERY.fullmatch(tail or "")
    path = (tail or "").partition("?")[0]
    if match is None or _has_dots(path) or "#" in path:
        raise ReferenceRefusedError(
            "A query does not stay under the endpoint's base; it was not sent"
        )
    return match.group(0)


def resolve_link(base: str, current: str, link: str) -> str | None:
    """Return the absolute URL of a ``next`` link; None when it leaves the base."""
    if _FORBIDDEN.search(link) or link.startswith("//"):
        return None
    try:
        url = urljoin(current, link) if urlsplit(link).scheme == "" else link
    except ValueError:
        return None
    # urljoin resolves dot segments, which the raw link must not have either.
    if _has_dots(link.partition("?")[0]):
        return None
    return url if _tail(base, url) is not None else None


def bring_home(base: str, aliases: Sequence[str], link: str) -> str:
    """Return a link under another of the server's bases as the same under ours.

    Behind a proxy servers write links with the base that they have inside.
    """
    for alias in aliases:
        rest = link.removeprefix(alias.rstrip("/"))
        if rest != link and rest[:1] in ("", "/", "?"):
            return f"{base}{rest}"
    return link


def host_of(url: str) -> str:
    """Return the host of a URL in lower case; empty when there is none."""
    try:
        return (urlsplit(url).hostname or "").lower()
    except ValueError:
        return ""


def is_loopback(host: str) -> bool:
    """Tell whether a host name or address is this machine's own."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def leads_here(url: str) -> bool:
    """Tell whether a URL leads to this machine."""
    return is_loopback(host_of(url))


def is_protected(url: str) -> bool:
    """Tell whether a URL is https, or http on this machine, without user or fragment."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    if "@" in parts.netloc or parts.fragment or not parts.hostname:
        return False
    return parts.scheme == "https" or (parts.scheme == "http" and leads_here(url))


def _tail(base: str, url: str) -> str | None:
    """Return what follows the base in a URL under it; None for any other URL."""
    parts, home = _split(url), _split(base)
    if parts is None or home is None or _has_dots(parts.path):
        return None
    if _origin(parts) != _origin(home):
        return None
    if parts.path != home.path and not parts.path.startswith(f"{home.path}/"):
        return None
    tail = parts.path[len(home.path) :].lstrip("/")
    return f"{tail}?{parts.query}" if parts.query else tail


def _split(url: str) -> SplitResult | None:
    if _FORBIDDEN.search(url):
        return None
    try:
        parts = urlsplit(url)
        usable = parts.port is None or parts.port > 0
    except ValueError:
        return None
    if not usable or "@" in parts.netloc or parts.fragment:
        return None
    return parts


def _origin(parts: SplitResult) -> tuple[str, str, int | None]:
    port = parts.port or _PORTS.get(parts.scheme)
    return parts.scheme, (parts.hostname or "").lower(), port


def _has_dots(path: str) -> bool:
    plain = unquote(path)
    if "\\" in plain:
        return True
    return any(segment in {".", ".."} for segment in plain.split("/"))
