"""The listener: authenticates a delivery, has it kept, and answers.

Nothing slow and nothing clever happens before the answer: no read from the EHR, no
decision; and whatever happens, there is an answer within 1.5 seconds. It may not know
the database. Sources: FHIR R4 Subscription, rest-hook; Subscriptions R5 Backport IG
1.1, channels.
"""

from __future__ import annotations

import contextlib
import re
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Protocol
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from mappings.errors import NotificationError, StorageError
from subscriptions.bodies import read_body
from subscriptions.buckets import Buckets
from subscriptions.incoming import Incoming, read_incoming
from subscriptions.notification import Notification
from subscriptions.parsing import parse_notification
from subscriptions.proving import Given, Proof, is_proved
from subscriptions.reading import Reader, UnfinishedError
from subscriptions.receiver_answers import (
    Answer,
    accept,
    allow,
    postpone,
    refuse,
    refuse_method,
)
from subscriptions.unpacking import LARGEST_BODY, unpack

# The answer itself takes a moment: 1.5 s are the limit.
WORK_SECONDS = 1.4
# What may be kept for the record; secrets and cookies are not among them.
# So many deliveries are worked on at a time; more would only be in each other's way.
PLACES = 32
_KEPT_HEADERS = (
    "Content-Type",
    "User-Agent",
    "If-Match",
    "X-Request-Id",
    "X-Medplum-Subscription",
    "X-Medplum-Interaction",
    "X-Medplum-Deleted-Resource",
    "ce-id",
    "ce-source",
    "ce-specversion",
    "ce-subject",
    "ce-time",
    "ce-type",
    "X-Goog-Pubsub-Message-Id",
    "action",
    "resourceType",
    "lastUpdatedTime",
    "versionId",
)
_KEPT = {name.lower(): name for name in _KEPT_HEADERS}
_HOOK_KEY = re.compile(r"[A-Za-z0-9_\-]{1,200}")
_METHODS = ("POST", "PUT", "DELETE")
_MESSAGE = "$process-message"


class Clock(Protocol):
    """Tells the time."""

    def now(self) -> datetime:
        """Return the present instant, aware, in UTC."""
        ...


@dataclass(frozen=True)
class Registered:
    """A subscription that a hook's key stands for.

    ``secrets`` are all that are accepted now, the old one too during a rotation;
    ``proof`` is how they must be used (Proof).
    """

    subscription_id: str
    endpoint_id: str
    resource_type: str
    secrets: tuple[str, ...]
    proof: str = Proof.HEADER.value


@dataclass(frozen=True)
class Received:
    """One authenticated delivery; ``notification`` is None when it is set aside.

    ``error`` then says why. ``path`` is what followed the hook's key.
    """

    received_at: datetime
    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    notification: Notification | None
    error: str | None = None


class ReceiverStore(Protocol):
    """Where hooks are looked up and deliveries kept.

    Either raises StorageError, at the latest at ``until`` (monotonic, in seconds).
    """

    def find(
        self, hook_key: str, until: float, *, fresh: bool = False
    ) -> Registered | None:
        """Return the subscription of a hook's key; ``fresh``: as it is stored now."""
        ...

    def keep(self, registered: Registered, received: Received, until: float) -> None:
        """Commit the delivery to disk before returning."""
        ...


@dataclass(frozen=True)
class _Parts:
    store: ReceiverStore
    clock: Clock
    reader: Reader
    buckets: Buckets
    places: threading.Semaphore


def make_receiver(
    store: ReceiverStore,
    clock: Clock,
    *,
    buckets: Buckets | None = None,
    reader: Reader | None = None,
) -> WSGIApplication:
    """Make the WSGI application for ``/hooks/<key>[/<type>/<id>]``."""
    parts = _Parts(
        store,
        clock,
        reader or Reader(),
        buckets or Buckets(),
        threading.Semaphore(PLACES),
    )

    def receive(environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        return _receive(parts, read_incoming(environ)).send(start)

    return receive


def _receive(parts: _Parts, request: Incoming) -> Answer:
    until = time.monotonic() + WORK_SECONDS
    origin = request.headers.get("webhook-request-origin")
    asks = request.method == "OPTIONS" and origin is not None
    if request.method not in _METHODS and not asks:
        return refuse_method()
    try:
        registered, body = _admit(parts, request, until)
        if registered is None:
            return refuse(401, "login", "The notification was not authenticated.")
        if body is None:
            text = f"The body is larger than {LARGEST_BODY} bytes."
            return refuse(413, "too-long", text)
        if not parts.buckets.take(registered.subscription_id, time.monotonic()):
            return postpone("throttled", "Too many at once; send it again.", 1)
        if asks:
            return allow(origin or "")
        with _place(parts.places, until):
            received = _read(parts.clock.now(), request, body)
            _keep(parts.store, registered, received, until)
    except NotificationError as error:
        return refuse(error.status, "invalid", error.message)
    except UnfinishedError as error:
        # What is read may not be answered for good: the server would wait for the end
        # of the body, and everybody with it.
        return replace(_ask_again(), after=error.wait)
    except (StorageError, TimeoutError):
        return _ask_again()
    echo = received.notification.echo if received.notification else None
    return accept(message=request.tail.strip("/") == _MESSAGE, echo=echo)


def _ask_again() -> Answer:
    return postpone("transient", "It cannot be kept now; send it again.")


def _keep(
    store: ReceiverStore, registered: Registered, received: Received, until: float
) -> None:
    """Keep it; what the database will never take as it was read is set aside."""
    try:
        store.keep(registered, received, until)
    except StorageError as error:
        if received.notification is None or not error.permanent:
            raise
        text = "What was read could not be stored; it was set aside"
        aside = replace(received, notification=None, error=text)
        store.keep(registered, aside, until)


def _read(now: datetime, request: Incoming, body: bytes) -> Received:
    """Parse the delivery; NotificationError when it is nothing that is kept."""
    method, tail, headers = request.method, request.tail, request.headers
    notification, fault = None, None
    try:
        body = unpack(body, headers.get("content-encoding", ""))
        notification = parse_notification(method, tail, headers, body)
    except NotificationError as error:
        if not error.quarantine:
            raise
        fault = error.message
    kept = {
        name: headers[lower][:500] for lower, name in _KEPT.items() if lower in headers
    }
    return Received(now, method, tail, kept, body, notification, fault)


@contextlib.contextmanager
def _place(places: threading.Semaphore, until: float) -> Iterator[None]:
    if not places.acquire(timeout=max(until - time.monotonic(), 0.0)):
        raise TimeoutError("too many at once")
    try:
        yield
    finally:
        places.release()


def _admit(
    parts: _Parts, request: Incoming, until: float
) -> tuple[Registered | None, bytes | None]:
    """Return who proved to be the sender, and the body, which is read for no other."""
    registered = _find_sender(parts.store, request, until)
    if registered is None:
        return None, None
    body = read_body(parts.reader, request, until, registered.subscription_id)
    if registered.proof == Proof.HMAC:
        registered = _find_signer(parts.store, request, body, until)
    return registered, body


def _find_sender(
    store: ReceiverStore, request: Incoming, until: float
) -> Registered | None:
    """Return the subscription whose body may be read; nobody waits for others' bodies.

    Proved by a secret, or to be proved by the body itself.
    """
    if _HOOK_KEY.fullmatch(request.hook_key) is None:
        return None
    registered = store.find(request.hook_key, until)
    if registered is None or registered.proof == Proof.HMAC:
        return registered
    return _find_signer(store, request, None, until)


def _find_signer(
    store: ReceiverStore, request: Incoming, body: bytes | None, until: float
) -> Registered | None:
    """Return the subscription of an authentic delivery.

    A server may use a new secret at once: what is remembered is not the last word.
    """
    for fresh in (False, True):
        registered = store.find(request.hook_key, until, fresh=fresh)
        if registered is None or _is_authentic(registered, request, body):
            return registered
    return None


def _is_authentic(
    registered: Registered, request: Incoming, body: bytes | None
) -> bool:
    headers = request.headers
    token = request.token() if registered.proof == Proof.QUERY else ""
    given = Given(lambda name: headers.get(name.lower(), ""), token, body)
    return is_proved(registered.proof, registered.secrets, given)
