"""What providers call: replies and receipts, each with its signature checked.

A call is stored and answered; working it off is the LISTEN stage's.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from flask import Blueprint, Response, request


class Signed(Protocol):
    """Checks a provider's signature over the URL and the form."""

    def __call__(self, url: str, form: dict[str, str], signature: str) -> bool:
        """Return True only for a genuine call."""
        ...


@dataclass(frozen=True)
class CallbackPorts:
    """What the callbacks are given by wiring.

    ``keep_reply(channel, address, provider_id, text)`` and ``keep_receipt(channel,
    delivery_id, status, detail)`` return False for what was known already; the
    readers give those same values.
    """

    public_url: str
    signed: Signed
    read_reply: Callable[[dict[str, str]], tuple[str, str, str]]
    read_receipt: Callable[
        [dict[str, str], dict[str, str]], tuple[str, str, dict[str, Any]]
    ]
    keep_reply: Callable[[str, str, str, str], bool]
    keep_receipt: Callable[[str, str, str, dict[str, Any]], bool]


def create_callbacks(ports: CallbackPorts) -> Blueprint:
    """Make the blueprint for ``/channels/sms/inbound`` and ``/channels/sms/status``."""
    blueprint = Blueprint("callbacks", __name__, url_prefix="/channels")

    def genuine() -> dict[str, str] | None:
        form = request.form.to_dict()
        query = request.query_string.decode()
        url = f"{ports.public_url}{request.path}" + (f"?{query}" if query else "")
        signature = request.headers.get("X-Twilio-Signature", "")
        return _storable(form) if ports.signed(url, form, signature) else None

    @blueprint.post("/sms/inbound")
    def inbound() -> Response:
        form = genuine()
        if form is None:
            return Response(status=403)
        address, provider_id, text = ports.read_reply(form)
        if not address or not provider_id:
            return Response(status=400)
        ports.keep_reply("sms", address, provider_id, text)
        return Response("<Response/>", content_type="text/xml")

    @blueprint.post("/sms/status")
    def status() -> Response:
        form = genuine()
        if form is None:
            return Response(status=403)
        query = _storable(request.args.to_dict())
        delivery_id, state, detail = ports.read_receipt(form, query)
        if not delivery_id or not state:
            return Response(status=400)
        ports.keep_receipt("sms", delivery_id, state, detail)
        return Response(status=204)

    return blueprint


def _storable(form: dict[str, str]) -> dict[str, str]:
    """Leave out NUL, which no text column takes and no message needs."""
    return {name: value.replace("\x00", "") for name, value in form.items()}
