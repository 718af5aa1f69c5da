"""Texts and e-mails against a provider's shape and a real SMTP server: the sandbox."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import requests
from flask import Flask, Response, request
from werkzeug.serving import make_server

from mappings.delivery import DeliveryState, Message, Receipt
from mappings.errors import ChannelError
from middleware.channels.email import EmailChannel
from middleware.channels.inbound import (
    InboundMessage,
    StatusReport,
    parse_email_inbound,
    parse_twilio_inbound,
    parse_twilio_status,
)
from middleware.channels.signatures import check_twilio_signature
from middleware.channels.sms import SmsChannel
from middleware.clock import SystemClock
from middleware.sandbox.server import Running

TOKEN = "auth-token"
OURS = "+12025550100"


class Inbox:
    """Our side of the callbacks: keeps what is genuine."""

    def __init__(self) -> None:
        self.calls: list[Any] = []
        self.changed = threading.Condition()
        app = Flask("callbacks")
        app.add_url_rule("/sms", view_func=self.take_sms, methods=["POST"])
        app.add_url_rule("/status", view_func=self.take_status, methods=["POST"])
        app.add_url_rule("/mail", view_func=self.take_mail, methods=["POST"])
        self.server = make_server("127.0.0.1", 0, app, threaded=True)
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def take_sms(self) -> Response:
        return self.keep(parse_twilio_inbound(self.genuine()))

    def take_status(self) -> Response:
        return self.keep(parse_twilio_status(self.genuine(), request.args))

    def take_mail(self) -> Response:
        return self.keep(parse_email_inbound(request.get_data()))

    def genuine(self) -> dict[str, str]:
        form = request.form.to_dict()
        signature = request.headers["X-Twilio-Signature"]
        assert check_twilio_signature(request.url, form, signature, TOKEN)
        return form

    def keep(self, call: Any) -> Response:
        with self.changed:
            self.calls.append(call)
            self.changed.notify_all()
        return Response(status=204)

    def wait(self, kind: type, **fields: Any) -> Any:
        """Wait for a call of this kind with these fields."""

        def find() -> Any:
            for call in self.calls:
                if isinstance(call, kind) and all(
                    getattr(call, name) == value for name, value in fields.items()
                ):
                    return call
            return None

        with self.changed:
            return self.changed.wait_for(find, timeout=60)


@pytest.fixture(scope="module")
def inbox() -> Iterator[Inbox]:
    made = Inbox()
    thread = threading.Thread(target=made.server.serve_forever, args=(0.02,))
    thread.start()
    yield made
    made.server.shutdown()
    thread.join()
    made.server.server_close()


@pytest.fixture(scope="module")
def sandbox(inbox: Inbox) -> Iterator[Running]:
    with Running() as running:
        account = {
            "account_sid": "AC1",
            "auth_token": TOKEN,
            "from_number": OURS,
            "inbound_url": f"{inbox.url}/sms",
        }
        url = f"{running.base_url}/sandbox"
        requests.put(f"{url}/sms", json=account, timeout=30).raise_for_status()
        yield running


@pytest.fixture
def sms(sandbox: Running) -> SmsChannel:
    return SmsChannel(sandbox.base_url, "AC1", TOKEN, OURS, allowed=lambda _: True)


def text(delivery_id: str, number: str, status_url: str | None = None) -> Message:
    return Message(
        delivery_id, "sms", number, f"Text {delivery_id}", "", "en", status_url
    )


def test_a_text_is_taken_found_and_delivered(inbox: Inbox, sms: SmsChannel) -> None:
    since = datetime.now(UTC)
    message = text("d-1", "+12025550121", f"{inbox.url}/status")
    receipt = sms.send(message)
    found = sms.find(message, since)
    assert found is not None
    assert found.provider_id == receipt.provider_id
    assert sms.find(text("d-2", "+12025550121"), since) is None
    report = inbox.wait(StatusReport, status="delivered", delivery_id="d-1")
    assert (report.provider_id, report.state) == (
        receipt.provider_id,
        DeliveryState.DELIVERED,
    )


def test_a_phone_that_is_off_is_reported(
    inbox: Inbox, sandbox: Running, sms: SmsChannel
) -> None:
    number = "+12025550122"
    url = f"{sandbox.base_url}/sandbox/phones/{number}"
    requests.put(url, json={"reachable": False}, timeout=30).raise_for_status()
    sms.send(text("d-3", number, f"{inbox.url}/status"))
    report = inbox.wait(StatusReport, delivery_id="d-3", state=DeliveryState.FAILED)
    assert report.reason == "address-unreachable"
    with pytest.raises(ChannelError) as caught:
        sms.find(text("d-3", number), datetime.now(UTC) - timedelta(minutes=1))
    assert caught.value.reason == "address-unreachable"


def test_a_reply_comes_in_and_stop_is_refused_afterwards(
    inbox: Inbox, sandbox: Running, sms: SmsChannel
) -> None:
    number = "+12025550123"
    sms.send(text("d-4", number))
    url = f"{sandbox.base_url}/sandbox/phones/{number}/reply"
    requests.post(url, json={"text": "STOP"}, timeout=30).raise_for_status()
    reply = inbox.wait(InboundMessage, address=number)
    assert (reply.text, reply.automatic) == ("STOP", False)
    with pytest.raises(ChannelError) as caught:
        sms.send(text("d-5", number))
    assert (caught.value.reason, caught.value.permanent) == ("opted-out", True)


def test_a_number_that_is_none_is_refused(sms: SmsChannel) -> None:
    with pytest.raises(ChannelError) as caught:
        sms.send(text("d-6", "12"))
    assert (caught.value.reason, caught.value.permanent) == ("address-invalid", True)


def test_an_email_is_taken(sandbox: Running) -> None:
    channel = EmailChannel(
        "127.0.0.1",
        sandbox.smtp_port,
        "care@clinic.example.org",
        clock=SystemClock(),
        allowed=lambda _: True,
        security="none",
    )
    message = Message("d-7", "email", "jane@example.org", "Mañana.", "Cita", "es")
    assert channel.send(message) == Receipt("<d-7@clinic.example.org>")
    url = f"{sandbox.base_url}/sandbox/messages"
    (mail,) = requests.get(url, timeout=30).json()["email"]
    assert (mail["to"], mail["subject"], mail["text"].strip()) == (
        "jane@example.org",
        "Cita",
        "Mañana.",
    )
    assert mail["headers"]["X-CareCue-Delivery"] == "d-7"
