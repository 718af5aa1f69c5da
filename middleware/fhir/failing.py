"""Why a server gave no answer at all, in words that an administrator can act on.

Pure. The library's own texts hold URLs, which may name a person, so only the kind of
the failure is said, and what a certificate's check said of it.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterator

import requests
from urllib3.exceptions import NameResolutionError

NAME = (
    "its host name is not known here (DNS); compare the host with what the EHR's team "
    "gave you"
)
REFUSED = "nothing listens at its port; check the port, and whether the server runs"
LATE = "no answer came in time; the server is slow or down, or a firewall drops what we send"
TLS = "no secure connection could be agreed on (TLS)"
CERTIFICATE = "its certificate is not accepted (TLS: {said})"


def name_failure(error: BaseException) -> str:
    """Say why no answer came; the type's name where nothing better is known."""
    for cause in _list_causes(error):
        if isinstance(cause, NameResolutionError):
            return NAME
        if isinstance(cause, ConnectionRefusedError):
            return REFUSED
        if isinstance(cause, ssl.SSLCertVerificationError):
            return CERTIFICATE.format(said=cause.verify_message.rstrip("."))
        if isinstance(cause, ssl.SSLError):
            return TLS
    return LATE if isinstance(error, requests.Timeout) else type(error).__name__


def _list_causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and what it came of, each once, whichever library wrapped it."""
    waiting, seen = [error], set[int]()
    while waiting:
        found = waiting.pop(0)
        if id(found) in seen:
            continue
        seen.add(id(found))
        yield found
        parts = (*found.args, getattr(found, "reason", None))
        parts = (*parts, found.__cause__, found.__context__)
        waiting += [part for part in parts if isinstance(part, BaseException)]
