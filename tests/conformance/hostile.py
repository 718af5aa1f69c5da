"""An authorization server and FHIR server of an EHR that does as a test tells it.

Left alone it is strict: what our client does wrong stands in ``faults``. Every answer
can be replaced or bent: ``instead`` takes a view for any path, ``document``,
``answer``, ``refreshed`` and ``claims`` are laid over what it would say (None takes a
member away), and ``write_id_token`` signs as badly as it likes.
"""

from __future__ import annotations

import itertools
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Self
from urllib.parse import urlencode

from flask import Flask, Response, request
from joserfc import jwt
from joserfc.jwk import RSAKey
from werkzeug.serving import make_server

from middleware.ports import Clock
from tests.conformance.charts import Charts, answer_fhir
from tests.conformance.heard import (
    Grant,
    Heard,
    Quiet,
    find_fault,
    laid_over,
    proves,
    read_jti,
)

CLIENT = "carecue-app"
REDIRECT = "https://localhost:8443/smart/callback"
CONFIGURATION = "/fhir/.well-known/smart-configuration"
KEY = RSAKey.generate_key(2048, {"kid": "as-1", "alg": "RS256", "use": "sig"})
View = Callable[[], Any]


@dataclass
class Habits:
    """How the server behaves; a test sets what it needs."""

    instead: dict[str, View] = field(default_factory=dict)
    below: dict[str, View] = field(default_factory=dict)
    document: dict[str, Any] = field(default_factory=dict)
    answer: dict[str, Any] = field(default_factory=dict)
    refreshed: dict[str, Any] = field(default_factory=dict)
    claims: dict[str, Any] = field(default_factory=dict)
    context: dict[str, Any] = field(default_factory=lambda: {"patient": "rosa"})
    write_id_token: Callable[[dict[str, Any]], Any] | None = None
    published: list[Any] = field(default_factory=lambda: [KEY.as_dict(private=False)])
    scope: str | None = None
    life: Any = 3600
    mark: str = ""
    refreshes: bool = False
    rotates: bool = True
    names_issuer: bool = False
    echoes_nonce: bool = True
    check_client: Callable[[dict[str, str], dict[str, str]], str | None] | None = None


class HostileEhr:
    """One EHR on a free port of loopback; ``with`` starts and ends it."""

    def __init__(
        self,
        clock: Clock,
        host: str = "127.0.0.1",
        context: ssl.SSLContext | None = None,
    ) -> None:
        self.clock = clock
        self.habits = Habits()
        self.charts = Charts()
        self.heard: list[Heard] = []
        self.faults: list[str] = []
        self.codes: dict[str, Grant] = {}
        self.tokens: dict[str, Grant] = {}
        self.refresh_tokens: dict[str, Grant] = {}
        self.revoked: list[str] = []
        self.keys: dict[str, Any] = {"keys": []}
        self.jtis: set[str] = set()
        self._numbers = itertools.count(1)
        self._server = make_server(
            host,
            0,
            self._make_app(),
            threaded=True,
            request_handler=Quiet,
            ssl_context=context,
        )
        scheme = "https" if context else "http"
        self.root = f"{scheme}://{host}:{self._server.server_port}"
        self.base = f"{self.root}/fhir"
        self.issuer = self.base

    def __enter__(self) -> Self:
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.02,), daemon=True
        )
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def lines(self) -> list[str]:
        """Return method and path of all that came."""
        return [one.line for one in self.heard]

    def forms(self, grant: str = "authorization_code") -> list[dict[str, str]]:
        """Return the token requests of one grant type."""
        return [one.form for one in self.heard if one.form.get("grant_type") == grant]

    def used(self) -> list[Heard]:
        """Return the requests that carried anything secret of ours."""
        return [
            one
            for one in self.heard
            if "Authorization" in one.headers or one.form or b"at-" in one.body
        ]

    def sign(self, claims: dict[str, Any], key: Any = KEY, **header: Any) -> str:
        """Return a JWT of these claims; ``kid=None`` leaves the header's out."""
        named = {"alg": "RS256", "kid": key.kid, "typ": "JWT", **header}
        named = {name: value for name, value in named.items() if value is not None}
        return jwt.encode(named, claims, key, algorithms=[named["alg"]])

    def describe(self) -> dict[str, Any]:
        """Return the SMART configuration as it stands."""
        return laid_over(
            {
                "issuer": self.issuer,
                "authorization_endpoint": f"{self.root}/authorize",
                "token_endpoint": f"{self.root}/token",
                "revocation_endpoint": f"{self.root}/revoke",
                "jwks_uri": f"{self.root}/jwks",
                "capabilities": [
                    "launch-ehr",
                    "launch-standalone",
                    "context-standalone-patient",
                    "permission-v2",
                ],
                "grant_types_supported": ["authorization_code", "refresh_token"],
                "code_challenge_methods_supported": ["S256"],
            },
            self.habits.document,
        )

    def _make_app(self) -> Flask:
        app = Flask("hostile")

        @app.before_request
        def bend() -> Any:
            view = self.habits.instead.get(request.path)
            for path, answer in self.habits.below.items():
                if view is None and request.path.startswith(path):
                    view = answer
            return view() if view is not None else None

        @app.after_request
        def note(response: Response) -> Response:
            self.heard.append(
                Heard(
                    request.method,
                    request.path,
                    request.args.to_dict(flat=False),
                    dict(request.headers),
                    request.form.to_dict(),
                    b"" if request.form else request.get_data(),
                    response.status_code,
                )
            )
            return response

        app.get(CONFIGURATION)(self.describe)
        app.get("/jwks")(lambda: {"keys": self.habits.published})
        app.route("/authorize", methods=["GET", "POST"])(self._authorize)
        app.post("/token")(self._token)
        app.post("/revoke")(self._revoke)
        app.route("/fhir", methods=["POST"])(self._fhir)
        app.route("/fhir/<path:path>", methods=["GET", "POST", "PUT"])(self._fhir)
        return app

    def _fhir(self, path: str = "") -> Response:
        word = request.headers.get("Authorization", "").removeprefix("Bearer ")
        return answer_fhir(self.charts, self.tokens.get(word), path)

    def _authorize(self) -> Any:
        asked = request.values.to_dict()
        wanted = {
            "response_type": "code",
            "client_id": CLIENT,
            "redirect_uri": REDIRECT,
            "aud": self.base,
            "code_challenge_method": "S256",
        }
        for name, value in wanted.items():
            if asked.get(name) != value:
                self.faults.append(f"authorize: {name} is {asked.get(name)!r}")
        code = f"code-{next(self._numbers)}"
        self.codes[code] = Grant(asked, dict(self.habits.context))
        back = {"code": code, "state": asked.get("state", "")}
        if self.habits.names_issuer:
            back["iss"] = self.issuer
        where = f"{asked.get('redirect_uri')}?{urlencode(back)}"
        return Response(status=302, headers={"Location": where})

    def _token(self) -> Any:
        form = request.form.to_dict()
        fault = self._check_client(form)
        if fault is not None:
            self.faults.append(f"token: {fault}")
            return {"error": "invalid_client"}, 401
        if form.get("grant_type") == "refresh_token":
            return self._refresh(form)
        if form.get("grant_type") == "client_credentials":
            grant = Grant(form, {}, form.get("scope", ""))
            return laid_over(self._issue(grant), self.habits.answer)
        grant = self.codes.pop(form.get("code", ""), None)
        if grant is None or not proves(form.get("code_verifier", ""), grant.asked):
            self.faults.append("token: code or verifier is not good")
            return {"error": "invalid_grant"}, 400
        if form.get("redirect_uri") != grant.asked["redirect_uri"]:
            self.faults.append("token: another redirect_uri")
        grant.scope = self.habits.scope or grant.asked["scope"]
        return laid_over(
            {
                **self._issue(grant),
                "id_token": self._identify(grant.asked),
                **grant.context,
            },
            self.habits.answer,
        )

    def _issue(self, grant: Grant) -> dict[str, Any]:
        number = f"{self.habits.mark}{next(self._numbers)}"
        self.tokens[f"at-{number}"] = grant
        given: dict[str, Any] = {
            "access_token": f"at-{number}",
            "token_type": "Bearer",
            "expires_in": self.habits.life,
            "scope": grant.scope,
        }
        if self.habits.refreshes:
            self.refresh_tokens[f"rt-{number}"] = grant
            given["refresh_token"] = f"rt-{number}"
        return given

    def _refresh(self, form: dict[str, str]) -> Any:
        grant = self.refresh_tokens.get(form.get("refresh_token", ""))
        if grant is None:
            return {"error": "invalid_grant"}, 400
        if self.habits.rotates:
            del self.refresh_tokens[form["refresh_token"]]
        given = self._issue(grant)
        if not self.habits.rotates:
            self.refresh_tokens.pop(given.pop("refresh_token", ""), None)
        return laid_over({**given, **grant.context}, self.habits.refreshed)

    def _revoke(self) -> Any:
        self.revoked.append(request.form.get("token", ""))
        self.refresh_tokens.pop(self.revoked[-1], None)
        return ""

    def _identify(self, asked: dict[str, str]) -> Any:
        now = int(self.clock.now().timestamp())
        claims = {
            "iss": self.issuer,
            "sub": "user-1",
            "aud": CLIENT,
            "iat": now,
            "exp": now + 300,
            "fhirUser": "Practitioner/osei",
        }
        if self.habits.echoes_nonce:
            claims["nonce"] = asked.get("nonce", "")
        claims = laid_over(claims, self.habits.claims)
        return (self.habits.write_id_token or self.sign)(claims)

    def _check_client(self, form: dict[str, str]) -> str | None:
        if self.habits.check_client is not None:
            return self.habits.check_client(form, dict(request.headers))
        fault = find_fault(
            form,
            self.keys,
            client=CLIENT,
            audience=str(self.describe().get("token_endpoint")),
            now=self.clock.now().timestamp(),
            used=self.jtis,
        )
        self.jtis.add(read_jti(form))
        return fault
