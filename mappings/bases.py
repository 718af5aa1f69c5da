"""FHIR bases compared: which URLs mean the same server."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable
from urllib.parse import urlsplit

_FORBIDDEN = re.compile(r"[\x00-\x20\x7f\\%@?#]")
_PORTS = {"http": 80, "https": 443}


@functools.lru_cache(maxsize=1024)
def read_base_key(url: str) -> str | None:
    """Return what two spellings of one base have in common; None for no base at all.

    http and https without a port, or with their own, are alike (HL7's own example has
    a focus under http and its entry under https), and so are case in the host, a dot
    behind it and trailing slashes. It is only ever compared: what is fetched lies
    under the base that an administrator wrote down.
    """
    if _FORBIDDEN.search(url):
        return None
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return None
    host = (parts.hostname or "").lower().removesuffix(".")
    path = parts.path.rstrip("/")
    segments = path.split("/")[1:]
    if parts.scheme not in _PORTS or not host or {"", ".", ".."} & set(segments):
        return None
    own = _PORTS[parts.scheme]
    return f"{host}:{port if port not in (None, own) else ''}{path}"


def read_base_keys(urls: Iterable[str]) -> frozenset[str]:
    """Return the keys of several bases, without those that are none."""
    return frozenset(key for url in urls if (key := read_base_key(url)) is not None)
