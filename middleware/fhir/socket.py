"""A WebSocket to an EHR: bounded, to the endpoint's own host only, never redirected.

The address that is connected to is one that was looked at, as for every other request.

Sources: RFC 6455; Subscriptions R5 Backport IG 1.1, channels.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Collection
from contextlib import ExitStack, suppress
from urllib.parse import urlsplit

from websockets.exceptions import WebSocketException
from websockets.sync.client import ClientConnection, connect

from mappings.errors import FhirError
from middleware.fhir.addresses import is_loopback
from middleware.fhir.reach import Reach, read_reach
from middleware.fhir.resolving import list_addresses
from middleware.ports import require_no_transaction

LARGEST_FRAME = 5 * 1024 * 1024
OPEN_SECONDS = 10.0
KEEPALIVE_SECONDS = 20.0


class Socket:
    """An open WebSocket; ``close`` it when done. Raises FhirError once it is gone."""

    def __init__(self, connection: ClientConnection, stack: ExitStack) -> None:
        self._connection = connection
        self._stack = stack

    def send(self, text: str) -> None:
        """Say one message."""
        try:
            self._connection.send(text)
        except (WebSocketException, OSError) as error:
            raise _gone(error) from None

    def receive(self, seconds: float) -> str | bytes | None:
        """Return the next message; None when none came in ``seconds``."""
        try:
            return self._connection.recv(timeout=seconds)
        except TimeoutError:
            return None
        except (WebSocketException, OSError) as error:
            raise _gone(error) from None

    def close(self) -> None:
        """Say goodbye and close."""
        self._stack.close()


def open_socket(
    url: str,
    base: str,
    *,
    hosts: Collection[str] = (),
    private_network: bool = False,
    ca_file: str | None = None,
    open_seconds: float = OPEN_SECONDS,
) -> Socket:
    """Open a WebSocket at ``url``; FhirError when it may not or cannot be opened.

    It must lie on the host of ``base`` or on one of ``hosts``, which an administrator
    reviewed, be wss, but on this machine, and mean an address within reach.
    ``open_seconds`` limits the opening alone.
    """
    require_no_transaction("a WebSocket")
    secure = _check(url, base, hosts)
    context = ssl.create_default_context(cafile=ca_file) if secure else None
    reach, stack = read_reach(url, private_network=private_network), ExitStack()
    try:
        connection = stack.enter_context(
            connect(
                url,
                sock=_connect(url, reach, open_seconds),
                ssl=context,
                open_timeout=open_seconds,
                ping_interval=KEEPALIVE_SECONDS,
                ping_timeout=KEEPALIVE_SECONDS,
                close_timeout=2.0,
                max_size=LARGEST_FRAME,
                user_agent_header="CareCue",
                proxy=None,
            )
        )
    except (WebSocketException, OSError, ValueError) as error:
        raise FhirError(
            f"The EHR's WebSocket could not be opened ({type(error).__name__}); nothing "
            "is lost, the poll goes on; it is tried again"
        ) from None
    return Socket(connection, stack)


def _check(url: str, base: str, hosts: Collection[str]) -> bool:
    """Return whether the URL is wss; FhirError when it must not be opened."""
    try:
        parts = urlsplit(url)
        host = (parts.hostname or "").lower()
    except ValueError:
        host = ""
    own = (urlsplit(base).hostname or "").lower()
    if not host or host not in {own, *(item.lower() for item in hosts)}:
        raise FhirError(
            f"The EHR's WebSocket lies on the host {host!r}, which nobody has reviewed; "
            "it was not opened; add it to authorization_hosts if it is right",
            permanent=True,
        )
    if parts.scheme == "wss":
        return True
    if parts.scheme == "ws" and is_loopback(host):
        return False
    raise FhirError(
        "The EHR's WebSocket is not wss, so its token would be seen on the way; it was "
        "not opened; ask the EHR's team for a wss address",
        permanent=True,
    )


def _connect(url: str, reach: Reach, seconds: float) -> socket.socket:
    """Connect to the first address within reach that takes it.

    An open connection is also what keeps the library from following a redirect.
    """
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "wss" else 80)
    allowed = list_addresses(parts.hostname or "", port, reach)
    if not allowed:
        raise FhirError(
            "The name of the EHR's WebSocket means an address that may not be gone to "
            "(loopback, link-local, multicast or a metadata server); nothing was sent; "
            "see private_network in docs/operations.md",
            permanent=True,
        )
    for address in allowed[:-1]:
        with suppress(OSError):
            return _open(address, port, seconds)
    return _open(allowed[-1], port, seconds)


def _open(address: str, port: int, seconds: float) -> socket.socket:
    opened = socket.create_connection((address, port), seconds)
    # From here on the library keeps the time: a socket may be silent, and the other end
    # slow to read, for longer than opening may take.
    opened.settimeout(None)
    return opened


def _gone(error: Exception) -> FhirError:
    return FhirError(
        f"The EHR's WebSocket is gone ({type(error).__name__}); it is opened again and "
        "what was missed is searched"
    )
