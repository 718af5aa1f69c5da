"""The threads that listen at WebSockets: one for each endpoint that wants one.

Any number of workers may run; a claim in the database makes one of them listen.
"""

from __future__ import annotations

import threading
import time
from typing import Any

import structlog

from mappings.dialects.registry import choose_dialect
from mappings.endpoint import Endpoint
from mappings.errors import CareCueError
from middleware.fhir.bounded import make_session
from middleware.fhir.discovery import fetch_capabilities
from middleware.fhir.reach import endpoint_reach
from middleware.fhir.socket import open_socket
from middleware.stages.context import StageContext
from middleware.stages.sockets import (
    EventSocket,
    Line,
    SocketPorts,
    close_lines,
    list_wanting,
    open_lines,
    take_turn,
)
from middleware.storage import endpoints
from middleware.storage.claims import claim
from middleware.storage.subscriptions import SubscriptionRow

WORK = "websocket"
LISTEN_SECONDS = 0.5
LOOK_SECONDS = 5.0
FIRST_REST = 1.0
LONGEST_REST = 60.0
STOP_SECONDS = 15.0

_log = structlog.get_logger(__name__)


class Listeners:
    """Starts a listener for each endpoint that wants one; ``stop`` ends them all."""

    def __init__(self, ports: SocketPorts, *, first_rest: float = FIRST_REST) -> None:
        self._ports = ports
        self._first_rest = first_rest
        self._stopping = threading.Event()
        self._watch = threading.Thread(target=self._supervise, name="websockets")
        self._threads: dict[str, threading.Thread] = {}

    def start(self) -> None:
        """Look every few seconds for endpoints that want a listener."""
        self._watch.start()

    def _supervise(self) -> None:
        while not self._stopping.is_set():
            try:
                self._look()
            except CareCueError as error:
                _log.warning("websockets not looked at", error=type(error).__name__)
            self._stopping.wait(LOOK_SECONDS)

    def _look(self) -> None:
        """Start what is wanted and not running here."""
        context = self._ports.context
        with context.database.tx() as tx:
            known = endpoints.list_endpoints(tx)
        for endpoint in known:
            running = self._threads.get(endpoint.id)
            if running is not None and running.is_alive():
                continue
            if list_wanting(context, endpoint) and not self._stopping.is_set():
                thread = threading.Thread(
                    target=self._listen, args=(endpoint,), name="websocket", daemon=True
                )
                self._threads[endpoint.id] = thread
                thread.start()

    def stop(self) -> None:
        """End every listener and wait for it."""
        self._stopping.set()
        for thread in (self._watch, *self._threads.values()):
            if thread.is_alive():
                thread.join(STOP_SECONDS)

    def _listen(self, endpoint: Endpoint) -> None:
        """Listen while it is wanted and ours; after a fault again, more patiently."""
        rest = self._first_rest
        with claim(self._ports.context.database, WORK, endpoint.id) as ours:
            while ours and not self._stopping.is_set():
                try:
                    if not self._session(endpoint):
                        return
                    rest = self._first_rest
                except CareCueError as error:
                    _log.warning("websocket gone", error=type(error).__name__)
                self._stopping.wait(rest)
                rest = min(rest * 2, LONGEST_REST)

    def _session(self, endpoint: Endpoint) -> bool:
        """Open, listen until it must be opened anew; False when nobody wants it."""
        context = self._ports.context
        rows = list_wanting(context, endpoint)
        if not rows:
            return False
        lines = open_lines(self._ports, endpoint, rows, context.clock.now())
        try:
            self._hear(endpoint, lines, rows)
        finally:
            close_lines(lines)
        return True

    def _hear(
        self,
        endpoint: Endpoint,
        lines: list[Line],
        rows: dict[str, SubscriptionRow],
    ) -> None:
        """Take turns at the sockets until one, or what is wanted, is another."""
        context, looked = self._ports.context, time.monotonic()
        while not self._stopping.is_set():
            for number, line in enumerate(lines):
                wait = LISTEN_SECONDS / len(lines)
                going = take_turn(self._ports, endpoint, line, wait)
                if going is None:
                    return
                lines[number] = going
            if time.monotonic() - looked > LOOK_SECONDS:
                looked = time.monotonic()
                if list_wanting(context, endpoint).keys() != rows.keys():
                    return


def socket_ports(context: StageContext) -> SocketPorts:
    """Make what listening is given."""

    def open_at(endpoint: Endpoint, url: str) -> EventSocket:
        profile = endpoint.profile
        return open_socket(
            url,
            endpoint.fhir_base,
            hosts=profile.get("authorization_hosts", ()),
            ca_file=profile.get("ca_file"),
        )

    def capabilities(endpoint: Endpoint) -> dict[str, Any]:
        profile = endpoint.profile
        reach = endpoint_reach(endpoint)
        with make_session(reach, ca_file=profile.get("ca_file")) as session:
            return fetch_capabilities(
                endpoint.fhir_base, clock=context.clock, session=session
            )

    def as_json(endpoint: Endpoint) -> bool:
        dialect = choose_dialect(endpoint.profile, capabilities(endpoint))
        return dialect.socket_bind == "json"

    return SocketPorts(context, open_at, capabilities, as_json)
