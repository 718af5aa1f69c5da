"""What waits between two requests: launches, log-ins, codes and refresh tokens.

It may not answer HTTP or decide who may have what. Everything here is opaque to
the app, bound to what it was made for, and ends by simulated time.
"""

import secrets
import threading
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any, Generic, TypeVar

from middleware.sandbox.access import digest
from middleware.sandbox.clock import SandboxClock
from middleware.sandbox.journal import Journal

KIND = "refresh-token"
LAUNCH_LIFE = timedelta(minutes=5)
PENDING_LIFE = timedelta(minutes=10)
CODE_LIFE = timedelta(seconds=60)
ONLINE_LIFE = timedelta(hours=12)
OFFLINE_LIFE = timedelta(days=90)


@dataclass(frozen=True)
class Launch:
    """A launch from a chart: for which client, patient, encounter and user."""

    client_id: str | None
    patient: str
    encounter: str | None
    user: str


@dataclass(frozen=True)
class Context:
    """What an authorization is about, as the token response will say it."""

    user: str
    patient: str | None = None
    encounter: str | None = None
    need_patient_banner: bool = True


@dataclass(frozen=True)
class Code:
    """What an authorization code stands for; `family` names what comes of it."""

    client_id: str
    redirect_uri: str
    scopes: tuple[str, ...]
    challenge: str
    nonce: str | None
    context: Context
    family: str


@dataclass(frozen=True)
class Family:
    """One authorization that can be refreshed until `expires_at`."""

    id: str
    client_id: str
    scopes: tuple[str, ...]
    context: Context
    expires_at: datetime


T = TypeVar("T")


class OneTime(Generic[T]):
    """Values behind opaque keys that can be taken once, within their life."""

    def __init__(self, clock: SandboxClock, life: timedelta) -> None:
        self._clock = clock
        self._life = life
        self._lock = threading.Lock()
        self._waiting: dict[str, tuple[datetime, T]] = {}
        self._taken: dict[str, T] = {}

    def put(self, value: T) -> str:
        """Answer a new key for a value."""
        key = secrets.token_urlsafe(32)
        with self._lock:
            self._waiting[digest(key)] = (self._clock.now() + self._life, value)
        return key

    def look(self, key: str) -> T | None:
        """Answer the value without taking it; None when gone or expired."""
        with self._lock:
            until, value = self._waiting.get(digest(key), (None, None))
        return value if until is not None and until > self._clock.now() else None

    def take(self, key: str) -> T | None:
        """Answer the value, for the first and last time; None when gone."""
        with self._lock:
            until, value = self._waiting.pop(digest(key), (None, None))
            if until is None or value is None or until <= self._clock.now():
                return None
            self._taken[digest(key)] = value
            return value

    def taken(self, key: str) -> T | None:
        """Answer the value of a key that was taken before: somebody replays it."""
        with self._lock:
            return self._taken.get(digest(key))


class Refreshes:
    """Refresh tokens: each works once, and an old one ends its whole family."""

    def __init__(self, clock: SandboxClock, journal: Journal) -> None:
        self._clock = clock
        self._journal = journal
        self._lock = threading.Lock()
        self._families: dict[str, Family] = {}
        self._current: dict[str, str] = {}
        self._owner: dict[str, str] = {}
        for record in journal.recorded(KIND):
            self._apply(record)

    def begin(self, code: Code, offline: bool) -> str:
        """Answer the first refresh token of a redeemed code's family."""
        life = OFFLINE_LIFE if offline else ONLINE_LIFE
        context = code.context
        with self._lock:
            return self._turn(
                {
                    "family": code.family,
                    "client_id": code.client_id,
                    "scopes": list(code.scopes),
                    "context": asdict(context),
                    "expires_at": (self._clock.now() + life).isoformat(),
                }
            )

    def find(self, token: str) -> Family | None:
        """Answer the family of a token, old or current; None when unknown."""
        with self._lock:
            return self._families.get(self._owner.get(digest(token), ""))

    def is_current(self, token: str) -> bool:
        """Tell whether a token is its family's latest, and in time."""
        with self._lock:
            family = self._families.get(self._owner.get(digest(token), ""))
            return (
                family is not None
                and self._current.get(family.id) == digest(token)
                and family.expires_at > self._clock.now()
            )

    def rotate(self, token: str) -> str | None:
        """Answer the next token in exchange for the latest; None for an old one."""
        with self._lock:
            family = self._owner.get(digest(token), "")
            if self._current.get(family) != digest(token):
                return None
            return self._turn({"family": family})

    def end(self, family: str) -> None:
        """Forget a family and its tokens."""
        with self._lock:
            if family in self._families:
                self._keep({"ended": family})

    def _turn(self, record: dict[str, Any]) -> str:
        token = secrets.token_urlsafe(32)
        self._keep({**record, "token": digest(token)})
        return token

    def _keep(self, record: dict[str, Any]) -> None:
        self._apply(record)
        self._journal.append(KIND, record)

    def _apply(self, record: dict[str, Any]) -> None:
        if "ended" in record:
            self._families.pop(record["ended"], None)
            self._current.pop(record["ended"], None)
            return
        family = record["family"]
        if "client_id" in record:
            self._families[family] = Family(
                family,
                record["client_id"],
                tuple(record["scopes"]),
                Context(**record["context"]),
                datetime.fromisoformat(record["expires_at"]),
            )
        self._current[family] = record["token"]
        self._owner[record["token"]] = family
