"""A person's access token: renewed ahead of its end, once for everybody who waits.

One request among all threads and processes asks for a new token; the launch's row says
that it does. A refresh token is used once: the server's new one takes its place, or it
stays because the server keeps it; where nobody knows, it is not used again. What comes
back for another patient, user or with more power ends the launch. Source: SMART App
Launch 2.2, refresh and best practices.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, cast

from mappings.endpoint import Endpoint
from mappings.errors import AuthorizationError, CareCueError, LaunchError
from mappings.scopes import read_grant
from mappings.secret import Secret
from middleware.desk.launches import ALIVE, FAILED, LOCKED, Launch, note_step
from smart_app.discovery import AuthorizationServer, Discovery
from smart_app.kept import ENDED, seal, unseal
from smart_app.oauth import NotRenewedError, TokenClient
from smart_app.pacing import may_ask, time_of
from smart_app.ports import SmartPorts
from smart_app.presence import count_unseen, is_forgotten, read_active_until
from smart_app.session import find_endpoint
from smart_app.tokens import (
    read_granted,
    read_named,
    read_refresh,
    read_renewed,
    verify_id_token,
)
from smart_app.users import read_user

AHEAD = timedelta(seconds=90)
# Who claimed to renew and said nothing for so long is gone, and with it the answer.
LOST_AFTER = timedelta(seconds=60)
WAIT_SECONDS = 20.0
LOOK_SECONDS = 0.1
MOST_KEPT = 2048


class Bearers:
    """The bearers of open launches, one each in this process."""

    def __init__(self, ports: SmartPorts, discovery: Discovery) -> None:
        self._renewal = Renewal(ports, discovery)
        self._guard = threading.Lock()
        self._kept: OrderedDict[str, LaunchBearer] = OrderedDict()

    def of(self, launch: Launch) -> LaunchBearer:
        """Return the launch's bearer, told of the row as it stands."""
        with self._guard:
            bearer = self._kept.get(launch.id)
            if bearer is None:
                bearer = self._kept[launch.id] = LaunchBearer(launch.id, self._renewal)
            self._kept.move_to_end(launch.id)
            while len(self._kept) > MOST_KEPT:
                self._kept.popitem(last=False)
        bearer.see(launch)
        return bearer


class LaunchBearer:
    """The access token of one launch."""

    def __init__(self, launch_id: str, renewal: Renewal) -> None:
        self._id = launch_id
        self._renewal = renewal
        self._lock = threading.Lock()
        self._guard = threading.Lock()
        self._steps = 0
        self._value: dict[str, Any] = {}
        self._refused: Secret | None = None

    def __repr__(self) -> str:
        return f"LaunchBearer({self._id})"

    def see(self, launch: Launch) -> None:
        """Take over what a row holds, unless a later state of it is known.

        Every change of what is sealed adds a step, and requests read the row when
        they begin: an old one must not bring a spent token back.
        """
        with self._guard:
            if len(launch.steps) > self._steps:
                self._value = self._renewal.unseal(launch)
                self._steps = len(launch.steps)

    def token(self) -> Secret:
        """Return a token that lives and was not refused; renews it where it can.

        Raises AuthorizationError when the session is over.
        """
        value = self._value
        state = self._renewal.judge(value, self._refused)
        if state == "good":
            return _token(value)
        if state == "aging":
            # Others go on with the token that still lives.
            if self._lock.acquire(blocking=False):
                try:
                    self._renew(wait=False)
                finally:
                    self._lock.release()
            return _token(self._value)
        with self._lock:
            if self._renewal.judge(self._value, self._refused) == "over":
                self._renew(wait=True)
            return _token(self._value)

    def forget(self, token: Secret) -> None:
        """Hear that the EHR refused a token, unless it was replaced already."""
        if self._value.get("token") == token:
            self._refused = token

    def _renew(self, *, wait: bool) -> None:
        launch = self._renewal.renew(self._id, self._refused, wait=wait)
        if launch is not None:
            self.see(launch)
        elif wait and self._renewal.is_expired(self._value):
            raise AuthorizationError("the session with the EHR is over", permanent=True)


class Renewal:
    """Renews tokens of launches, once each, over the app's ports."""

    def __init__(self, ports: SmartPorts, discovery: Discovery) -> None:
        self._ports = ports
        self._discovery = discovery
        self._tokens = TokenClient(ports)

    def unseal(self, launch: Launch) -> dict[str, Any]:
        """Return what is sealed to a launch."""
        return unseal(self._ports, launch)

    def is_expired(self, value: dict[str, Any]) -> bool:
        """Tell whether a token's time has passed."""
        return self._ports.clock.now() >= time_of(value, "token_until")

    def judge(self, value: dict[str, Any], refused: Secret | None) -> str:
        """Say of a token: good, aging (a new one may be asked for) or over."""
        now, until = self._ports.clock.now(), time_of(value, "token_until")
        if now >= until or (refused is not None and value.get("token") == refused):
            return "over"
        ahead = min(AHEAD, (until - time_of(value, "token_since")) / 2)
        renewable = value.get("refresh") and may_ask(value, now)
        # A server that ends the session of who is not seen has to hear of them before.
        unseen = is_forgotten(value, now, AHEAD)
        return "aging" if renewable and (unseen or now >= until - ahead) else "good"

    def renew(
        self, launch_id: str, refused: Secret | None, *, wait: bool
    ) -> Launch | None:
        """Return the launch with a new token, whoever asked for it; None without.

        With ``wait`` another's answer is waited for. Raises AuthorizationError when
        the launch is over.
        """
        book, until = self._ports.launches, time.monotonic() + WAIT_SECONDS
        pause = threading.Event()
        while True:
            launch = book.get(launch_id)
            if launch is None or launch.stage not in ALIVE:
                raise AuthorizationError("the launch is over", permanent=True)
            value, now = self.unseal(launch), self._ports.clock.now()
            if self.judge(value, refused) == "good":
                return launch
            if not value.get("refresh") or not may_ask(value, now):
                return None
            if book.claim_renewal(launch, now):
                return self._ask(replace(launch, renewing_at=now), value, now)
            if launch.renewing_at and now - launch.renewing_at >= LOST_AFTER:
                return None
            if not wait or time.monotonic() >= until:
                return None
            pause.wait(LOOK_SECONDS)

    def _ask(
        self, launch: Launch, value: dict[str, Any], now: datetime
    ) -> Launch | None:
        try:
            endpoint = find_endpoint(self._ports, launch.endpoint_id)
            server = self._discovery.find_server(endpoint)
        except CareCueError:
            note_step(launch, now, "not renewed", said="no sign-in document")
            self._keep(launch, {**value, "asked_at": now.isoformat()})
            return None
        try:
            answer = self._tokens.renew(
                endpoint,
                server.token_endpoint,
                value["refresh"],
                count_unseen(launch, value, now),
            )
        except NotRenewedError as error:
            return self._not_renewed(launch, value, now, error)
        try:
            self._check_same(launch, endpoint, server, answer, now)
            fresh = read_renewed(answer, now)
        except LaunchError as error:
            told = {"code": error.code, "found": error.found or None}
            note_step(launch, now, "renewal refused by us", **told)
            self.end(launch, FAILED, error.code)
            raise AuthorizationError(error.message, permanent=True) from error
        # Less than before counts from now on; silence means the same as before.
        launch = replace(launch, scope=read_granted(answer) or launch.scope)
        note_step(launch, now, "renewed", deviation=fresh.deviation)
        kept = value | {
            "token": fresh.token,
            "token_since": now.isoformat(),
            "token_until": fresh.expires_at.isoformat(),
            "refresh": read_refresh(answer) or value["refresh"],
            "active_until": read_active_until(answer, now) or value.get("active_until"),
            "asked_at": now.isoformat(),
        }
        return self._keep(launch, kept)

    def _not_renewed(
        self,
        launch: Launch,
        value: dict[str, Any],
        now: datetime,
        error: NotRenewedError,
    ) -> Launch | None:
        word = error.said.partition(":")[0][:40]
        note_step(launch, now, "not renewed", said=word)
        if error.refused:
            self.end(launch, LOCKED, "R1")
            raise AuthorizationError(ENDED, permanent=True) from error
        refresh = None if error.spent else value["refresh"]
        self._keep(launch, {**value, "refresh": refresh, "asked_at": now.isoformat()})
        return None

    def _keep(self, launch: Launch, value: dict[str, Any]) -> Launch:
        value.pop("lid", None)
        kept = replace(
            launch, sealed=seal(self._ports, launch.id, value), renewing_at=None
        )
        self._ports.launches.settle_renewal(kept)
        return kept

    def end(self, launch: Launch, stage: str, code: str | None) -> None:
        """Close a launch for good: its tokens are gone with it."""
        ended = replace(launch, stage=stage, error=code)
        self._ports.launches.end(ended, self._ports.clock.now())

    def _check_same(
        self,
        launch: Launch,
        endpoint: Endpoint,
        server: AuthorizationServer,
        answer: dict[str, Any],
        now: datetime,
    ) -> None:
        told = answer.get("patient") is not None
        named = read_named("Patient", answer, endpoint.fhir_base)
        if told and named != launch.patient:
            raise _another("R2", "for another patient")
        granted = read_grant(read_granted(answer))
        if granted.exceeds(read_grant(launch.scope or "")):
            raise _another("R4", "with more scopes than before")
        raw = answer.get("id_token")
        if not isinstance(raw, str) or not raw:
            return
        claims = verify_id_token(
            Secret(raw),
            lambda fresh: self._discovery.find_keys(endpoint, server, fresh=fresh),
            endpoint=endpoint,
            issuers=server.issuers,
            nonce=None,
            now=now,
        )
        same = (launch.context.get("iss"), launch.context.get("sub"))
        if (claims["iss"], claims["sub"]) != same or (
            "fhirUser" in claims
            and read_user(claims, endpoint).reference != launch.user_reference
        ):
            raise _another("R3", "for another user")


def _another(code: str, what: str) -> LaunchError:
    return LaunchError(
        f"The EHR renewed the access {what}, so this page was closed. Nothing was "
        "changed. Open this app again from the chart.",
        code=code,
        status=403,
    )


def _token(value: dict[str, Any]) -> Secret:
    return cast("Secret", value["token"])
