"""HTTP sessions whose answers are bounded in size and time, and whose reach is too.

``requests`` limits the wait for one piece of an answer, never the whole; here the
whole has a limit too, headers included, so that a server that drips bytes or sends
without end cannot hold a worker. The address that is connected to is the one that was
looked at, so that no name can mean another a moment later. No cookies, no environment,
no ``.netrc``. It knows nothing of FHIR.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable
from http.cookiejar import DefaultCookiePolicy
from typing import Any, Self

import requests
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import HTTPError as Urllib3Error
from urllib3.exceptions import NameResolutionError, NewConnectionError

from middleware.fhir.deadlines import Deadline, Deadlines
from middleware.fhir.reach import Reach
from middleware.fhir.resolving import list_addresses

LARGEST_ANSWER = 20 * 1024 * 1024
LONGEST_ANSWER = 30.0
_PIECE = 64 * 1024
_exchange = threading.local()
_deadlines = Deadlines()


class TooLargeError(requests.RequestException):
    """The answer is larger than the limit; reading stopped there."""


class TooSlowError(requests.Timeout):
    """The answer took longer than the limit as a whole; reading stopped there."""


class RefusedAddressError(requests.RequestException):
    """The host's name means addresses that this endpoint may not reach."""


class _OutOfReachError(Exception):
    """Passes through urllib3, which would take an OSError for its own."""


class _Watch:
    """Shuts the connection of one exchange when its time is over."""

    def __init__(self, seconds: float) -> None:
        self.fired = False
        self._seconds = seconds
        self._cut: Callable[[], None] | None = None
        self._deadline: Deadline | None = None

    def attach(self, cut: Callable[[], None]) -> None:
        """Say how the connection in use is cut."""
        self._cut = cut

    def _fire(self) -> None:
        self.fired = True
        if self._cut is not None:
            self._cut()

    def __enter__(self) -> Self:
        _exchange.watch = self
        self._deadline = _deadlines.begin(self._seconds, self._fire)
        return self

    def __exit__(self, *_: object) -> None:
        _exchange.watch = None
        if self._deadline is not None:
            _deadlines.end(self._deadline)


def _attach(connection: HTTPConnection) -> None:
    watch = getattr(_exchange, "watch", None)
    sock = connection.sock
    if watch is None or sock is None:
        return

    def cut() -> None:
        with contextlib.suppress(OSError):
            sock.shutdown(socket.SHUT_RDWR)

    watch.attach(cut)


class _Connection(HTTPConnection):
    reach = Reach()

    def _new_conn(self) -> socket.socket:
        """Connect to the first address within reach that takes it, and to no name."""
        name = self._dns_host
        try:
            allowed = list_addresses(name, self.port, self.reach)
        except (socket.gaierror, UnicodeError) as error:
            raise NameResolutionError(self.host, self, error) from error  # type: ignore[arg-type]
        if not allowed:
            raise _OutOfReachError
        try:
            for address in allowed[:-1]:
                self._dns_host = address
                with contextlib.suppress(NewConnectionError):
                    return super()._new_conn()
            self._dns_host = allowed[-1]
            return super()._new_conn()
        finally:
            self._dns_host = name

    def getresponse(self) -> Any:
        _attach(self)
        return super().getresponse()


class _SecureConnection(_Connection, HTTPSConnection):
    pass


def _make_pools(reach: Reach) -> dict[str, type[HTTPConnectionPool]]:
    """Make pools whose connections can be cut from outside and stay within reach."""

    class Connection(_Connection):
        pass

    class SecureConnection(_SecureConnection):
        pass

    class Pool(HTTPConnectionPool):
        ConnectionCls = Connection

    class SecurePool(HTTPSConnectionPool):
        ConnectionCls = SecureConnection

    Connection.reach = SecureConnection.reach = reach
    return {"http": Pool, "https": SecurePool}


class BoundedAdapter(HTTPAdapter):
    """Reads each answer whole, within ``size`` bytes and ``seconds``.

    Raises TooLargeError, TooSlowError, RefusedAddressError or another
    ``requests.RequestException``.
    """

    def __init__(
        self,
        reach: Reach,
        size: int = LARGEST_ANSWER,
        seconds: float = LONGEST_ANSWER,
        pool: int = 10,
    ) -> None:
        self._reach = reach
        self._size = size
        self._seconds = seconds
        super().__init__(pool_connections=4, pool_maxsize=pool, max_retries=0)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """Make pools of our own connections."""
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = _make_pools(self._reach)

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> Any:
        """Send, and return a response whose body is already here."""
        kwargs["stream"] = True
        with _Watch(self._seconds) as watch:
            try:
                response = super().send(request, *args, **kwargs)
                content = self._read(response)
            except _OutOfReachError:
                raise RefusedAddressError("the address is out of reach") from None
            except (requests.RequestException, Urllib3Error, OSError, ValueError) as e:
                if watch.fired:
                    raise TooSlowError("the answer took too long") from None
                if isinstance(e, requests.RequestException):
                    raise
                raise requests.ConnectionError(type(e).__name__) from None
            # A connection that was cut may look like one that ended.
            if watch.fired:
                raise TooSlowError("the answer took too long")
        response._content = content  # noqa: SLF001 -- requests has no public way
        response._content_consumed = True  # type: ignore[attr-defined]  # noqa: SLF001 -- same
        return response

    def _read(self, response: requests.Response) -> bytes:
        content = bytearray()
        while piece := response.raw.read1(_PIECE, decode_content=True):
            content += piece
            if len(content) > self._size:
                response.close()
                raise TooLargeError("the answer is too large")
        response.raw.release_conn()
        return bytes(content)


def make_session(
    reach: Reach,
    *,
    size: int = LARGEST_ANSWER,
    seconds: float = LONGEST_ANSWER,
    pool: int = 10,
    ca_file: str | None = None,
) -> requests.Session:
    """Return a bounded session; ``ca_file`` names a PEM bundle to trust instead."""
    session = requests.Session()
    return bound_session(session, reach, size, seconds, pool, ca_file)


def bound_session(
    session: requests.Session,
    reach: Reach,
    size: int = LARGEST_ANSWER,
    seconds: float = LONGEST_ANSWER,
    pool: int = 10,
    ca_file: str | None = None,
) -> requests.Session:
    """Give a session bounded adapters, and take cookies and environment from it."""
    adapter = BoundedAdapter(reach, size, seconds, pool)
    session.mount("http://", adapter)
    session.mount("https://", adapter)
    session.trust_env = False
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    session.headers["User-Agent"] = "CareCue"
    if ca_file:
        session.verify = ca_file
    return session
