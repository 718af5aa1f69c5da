"""The EHR as a CDS Hooks client: it asks when a chart is opened and when a stay may end.

It may not trust what it is told: a card is text on a page, and its link opens an app
only when that app is registered here. Source: CDS Hooks 2.0.
"""

import html
import re
import secrets
import uuid
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import orjson
from flask import Blueprint, Flask, Response, current_app, jsonify, request

from middleware.sandbox.access import Tokens
from middleware.sandbox.clock import SandboxClock
from middleware.sandbox.definition import is_loopback
from middleware.sandbox.delivering import send
from middleware.sandbox.keys import SigningKeys

LIFE = timedelta(minutes=5)
SCOPE = "patient/*.rs"
PATIENCE = 5.0
MOST_CARDS = 5
ESCAPED = re.compile(r"\\([^\w\s])")

routes = Blueprint("cds", __name__)


@dataclass(frozen=True)
class CardText:
    """A card as the page shows it; ``launch_uri`` is that of its SMART link."""

    summary: str
    lines: tuple[str, ...]
    indicator: str
    source: str
    launch_uri: str


class CdsClient:
    """Asks the services at one address; none before ``PUT /sandbox/cds`` names it."""

    def __init__(
        self, clock: SandboxClock, keys: SigningKeys, tokens: Tokens, issuer: str
    ) -> None:
        self._clock = clock
        self._keys = keys
        self._tokens = tokens
        self._issuer = issuer
        self.url = ""
        self.client_id = ""

    def ask(
        self, hook: str, patient: str, encounter: str | None, user: str
    ) -> tuple[CardText, ...]:
        """Answer the cards of every service of a hook; none from one that fails."""
        found: list[CardText] = []
        for service in self._list_services(hook):
            url = f"{self.url}/{service}"
            body = self._write(hook, patient, encounter, user)
            headers = {
                "Authorization": f"Bearer {self._sign(url)}",
                "Content-Type": "application/json",
            }
            answer = send("POST", url, headers, orjson.dumps(body), PATIENCE)
            if answer.status == 200:
                found += _read_cards(answer.body)
        return tuple(found[:MOST_CARDS])

    def _list_services(self, hook: str) -> list[str]:
        if not self.url:
            return []
        answer = send("GET", self.url, {}, b"", PATIENCE)
        listed = _read_list(answer.body, "services") if answer.status == 200 else []
        return [str(item.get("id")) for item in listed if item.get("hook") == hook]

    def _sign(self, audience: str) -> str:
        now = self._clock.now()
        return self._keys.sign(
            {
                "iss": self._issuer,
                "aud": audience,
                "iat": int(now.timestamp()),
                "exp": int((now + LIFE).timestamp()),
                "jti": secrets.token_urlsafe(16),
            }
        )

    def _write(
        self, hook: str, patient: str, encounter: str | None, user: str
    ) -> dict[str, Any]:
        token = self._tokens.issue(
            self.client_id, frozenset({SCOPE}), LIFE, patient=patient, user=user
        )
        context = {"userId": user, "patientId": patient}
        return {
            "hook": hook,
            "hookInstance": str(uuid.uuid4()),
            "fhirServer": self._issuer,
            "fhirAuthorization": {
                "access_token": token,
                "token_type": "Bearer",
                "expires_in": int(LIFE.total_seconds()),
                "scope": SCOPE,
                "subject": self.client_id,
                "patient": patient,
            },
            "context": {**context, "encounterId": encounter} if encounter else context,
        }


@routes.put("/sandbox/cds")
def set_services() -> tuple[Response, int]:
    """Take {"url", "client_id"} of the services to ask: an address of this machine."""
    try:
        asked = orjson.loads(request.get_data())
        url, client_id = str(asked["url"]), str(asked["client_id"])
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return jsonify(error="send url and client_id; nothing was changed"), 400
    if not is_loopback(url):
        return jsonify(error="url is no address of this machine"), 400
    client: CdsClient = current_app.extensions["cds"]
    client.url, client.client_id = url.rstrip("/"), client_id
    return jsonify(url=client.url, client_id=client.client_id), 200


def _read_cards(body: bytes) -> list[CardText]:
    return [_read_card(card) for card in _read_list(body, "cards")]


def _read_card(card: dict[str, Any]) -> CardText:
    links = [link for link in card.get("links") or [] if isinstance(link, dict)]
    smart = [str(link.get("url")) for link in links if link.get("type") == "smart"]
    source = card.get("source")
    lines = str(card.get("detail") or "").splitlines()
    return CardText(
        summary=str(card.get("summary") or ""),
        lines=tuple(filter(None, map(_plain, lines))),
        indicator="warning" if card.get("indicator") == "warning" else "info",
        source=str(source.get("label")) if isinstance(source, dict) else "",
        launch_uri=smart[0] if smart else "",
    )


def _plain(line: str) -> str:
    """Answer a line of Markdown as plain text."""
    bare = line.removeprefix("- ").replace("**", "")
    return html.unescape(ESCAPED.sub(r"\1", bare)).strip()


def _read_list(body: bytes, name: str) -> list[dict[str, Any]]:
    try:
        found = orjson.loads(body).get(name)
    except (orjson.JSONDecodeError, AttributeError):
        return []
    items = found if isinstance(found, list) else []
    return [item for item in items if isinstance(item, dict)]


def register(app: Flask) -> None:
    """Put the client into the application, and serve its address."""
    extensions = app.extensions
    extensions["cds"] = CdsClient(
        extensions["clock"],
        extensions["keys"],
        extensions["access"].tokens,
        extensions["options"].fhir_base,
    )
    app.register_blueprint(routes)
