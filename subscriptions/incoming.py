"""One request to the listener, read from the WSGI environment without a framework.

The listener takes thousands a second and needs four things of HTTP: a path, headers,
a query and a body.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import IO
from urllib.parse import parse_qs
from wsgiref.types import WSGIEnvironment

from werkzeug.wsgi import get_input_stream

PREFIX = "/hooks"


@dataclass(frozen=True)
class Incoming:
    """A request; ``headers`` have lower-case names, ``tail`` follows the hook's key."""

    method: str
    hook_key: str
    tail: str
    headers: Mapping[str, str]
    environ: WSGIEnvironment

    def token(self) -> str:
        """Return the query's ``token``; empty without one."""
        query = str(self.environ.get("QUERY_STRING", ""))
        return parse_qs(query).get("token", [""])[0]

    def has_body(self) -> bool:
        """Tell whether a body comes along."""
        return bool(self.length()) or "transfer-encoding" in self.headers

    def length(self) -> int:
        """Return the length that was announced; 0 without one."""
        told = self.headers.get("content-length", "")
        return int(told) if told.isascii() and told.isdigit() else 0

    def stream(self) -> IO[bytes]:
        """Return the body; reading it ends where the request does."""
        return get_input_stream(self.environ)


def read_incoming(environ: WSGIEnvironment) -> Incoming:
    """Read method, path and headers."""
    path = str(environ.get("PATH_INFO", ""))
    if not path.isascii():
        path = path.encode("latin-1", "replace").decode("utf-8", "replace")
    hook_key, _, tail = path.removeprefix(PREFIX).removeprefix("/").partition("/")
    headers = {
        name[5:].replace("_", "-").lower(): value
        for name, value in environ.items()
        if name.startswith("HTTP_")
    }
    for name in ("CONTENT_TYPE", "CONTENT_LENGTH"):
        if environ.get(name):
            headers[name.replace("_", "-").lower()] = environ[name]
    method = str(environ["REQUEST_METHOD"])
    return Incoming(method, hook_key, tail.replace("\0", ""), headers, environ)
