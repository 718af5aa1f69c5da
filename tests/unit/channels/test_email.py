from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

import pytest
from aiosmtpd.controller import Controller

from mappings.delivery import DeliveryState, Message, Receipt
from mappings.errors import ChannelError, ConfigurationError
from middleware.channels.email import EmailChannel
from middleware.clock import FixedClock

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
MESSAGE = Message(
    delivery_id="d-1",
    channel="email",
    address="jane@example.org",
    text="Su cita es mañana.\n.\n..dots\nFin",
    subject="Recordatorio: cita\nBcc: x@example.org",
    language="es",
)


@dataclass
class Post:
    """What the mail server took, and what it says to each command."""

    taken: list[tuple[str, list[str], bytes]] = field(default_factory=list)
    rcpt: str = "250 OK"
    data: str = "250 OK"

    async def handle_RCPT(  # noqa: N802
        self, _: Any, __: Any, envelope: Any, address: str, ___: Any
    ) -> str:
        if self.rcpt.startswith("250"):
            envelope.rcpt_tos.append(address)
        return self.rcpt

    async def handle_DATA(self, _: Any, __: Any, envelope: Any) -> str:  # noqa: N802
        self.taken.append((envelope.mail_from, envelope.rcpt_tos, envelope.content))
        return self.data


class FreePort(Controller):
    """A controller on a port of the system's choice."""

    def _trigger_server(self) -> None:
        self.port = self.server.sockets[0].getsockname()[1]
        super()._trigger_server()


@pytest.fixture
def post() -> Post:
    return Post()


@pytest.fixture
def port(post: Post) -> Iterator[int]:
    controller = FreePort(post, hostname="127.0.0.1", port=0)
    controller.start()
    yield controller.port
    controller.stop()


def channel(port: int, **changes: Any) -> EmailChannel:
    options: dict[str, Any] = {
        "clock": FixedClock(NOW),
        "allowed": lambda _: True,
        "security": "none",
        "timeout": 2.0,
        **changes,
    }
    return EmailChannel(
        "127.0.0.1", port, "Clinic <care@clinic.example.org>", **options
    )


def read(post: Post) -> EmailMessage:
    mail = message_from_bytes(post.taken[0][2], policy=policy.default)
    assert isinstance(mail, EmailMessage)
    return mail


def test_send_hands_over_the_mail_with_its_headers(post: Post, port: int) -> None:
    receipt = channel(port).send(MESSAGE)
    assert receipt == Receipt("<d-1@clinic.example.org>", DeliveryState.SENT)
    sender, recipients, _ = post.taken[0]
    assert (sender, recipients) == ("care@clinic.example.org", ["jane@example.org"])
    mail = read(post)
    assert dict(mail.items()) == {
        "From": "Clinic <care@clinic.example.org>",
        "To": "jane@example.org",
        "Subject": "Recordatorio: cita Bcc: x@example.org",
        "Date": "Mon, 02 Mar 2026 09:00:00 +0000",
        "Message-ID": "<d-1@clinic.example.org>",
        "X-CareCue-Delivery": "d-1",
        "Auto-Submitted": "auto-generated",
        "Content-Language": "es",
        "List-Unsubscribe": "<mailto:care@clinic.example.org?subject=STOP>",
        "Content-Type": 'text/plain; charset="utf-8"',
        "Content-Transfer-Encoding": "quoted-printable",
        "MIME-Version": "1.0",
    }
    assert mail.get_content().splitlines() == MESSAGE.text.splitlines()


def test_send_with_a_page_offers_one_click(post: Post, port: int) -> None:
    link = "https://carecue.example.org/p/abc"
    channel(port, unsubscribe=lambda _: link).send(MESSAGE)
    mail = read(post)
    assert mail["List-Unsubscribe"].startswith(f"<{link}>, <mailto:")
    assert mail["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"


def test_send_to_an_address_that_is_not_allowed_sends_nothing(
    post: Post, port: int
) -> None:
    with pytest.raises(ChannelError) as caught:
        channel(port, allowed=lambda _: False).send(MESSAGE)
    assert (caught.value.reason, post.taken) == ("not-allow-listed", [])


@pytest.mark.parametrize(
    "address",
    [
        "",
        "jane",
        "jane@",
        "jane@example.org\r\nBcc: x@example.org",
        "jane@example.org, x@example.org",
        "jané@example.org",
        "<jane@example.org>",
    ],
)
def test_send_to_no_address_is_permanent(post: Post, port: int, address: str) -> None:
    with pytest.raises(ChannelError) as caught:
        channel(port).send(replace(MESSAGE, address=address))
    assert (caught.value.reason, caught.value.permanent) == ("address-invalid", True)
    assert post.taken == []


@pytest.mark.parametrize(
    ("rcpt", "data", "reason", "permanent"),
    [
        ("550 5.1.1 no such user", "250 OK", "address-invalid", True),
        ("552 5.2.2 mailbox full", "250 OK", "address-unreachable", True),
        ("550 5.7.1 not wanted", "250 OK", "provider-refused", True),
        ("450 4.2.1 greylisted", "250 OK", "channel-down", False),
        ("250 OK", "554 5.6.0 bad", "provider-refused", True),
        ("250 OK", "451 4.3.0 try later", "channel-down", False),
    ],
)
def test_send_refused_is_translated(
    post: Post, port: int, rcpt: str, data: str, reason: str, permanent: bool
) -> None:
    post.rcpt, post.data = rcpt, data
    with pytest.raises(ChannelError) as caught:
        channel(port).send(MESSAGE)
    error = caught.value
    assert (error.reason, error.permanent, error.maybe_sent) == (
        reason,
        permanent,
        False,
    )
    assert "jane" not in str(error)


def test_send_without_a_server_was_not_sent() -> None:
    with pytest.raises(ChannelError) as caught:
        channel(1).send(MESSAGE)
    assert (caught.value.reason, caught.value.maybe_sent) == ("channel-down", False)


def test_send_without_encryption_where_it_is_required_sends_nothing(
    post: Post, port: int
) -> None:
    with pytest.raises(ChannelError) as caught:
        channel(port, security="starttls").send(MESSAGE)
    assert (caught.value.reason, post.taken) == ("channel-down", [])


def break_off(stage: str) -> tuple[int, Callable[[], None]]:
    """Serve one SMTP dialogue that ends when the client sends ``stage``."""
    listener = socket.create_server(("127.0.0.1", 0))

    def run() -> None:
        connection, _ = listener.accept()
        with listener, connection, connection.makefile("rb") as lines:
            connection.sendall(b"220 ready\r\n")
            for line in lines:
                word = line.strip().upper()[:4].decode(errors="replace")
                if word == stage:
                    return
                if word == "DATA":
                    connection.sendall(b"354 go on\r\n")
                elif word in {"EHLO", "MAIL", "RCPT"}:
                    connection.sendall(b"250 OK\r\n")

    thread = threading.Thread(target=run)
    thread.start()
    return listener.getsockname()[1], thread.join


@pytest.mark.parametrize(
    ("stage", "maybe_sent"),
    [("EHLO", False), ("MAIL", False), ("RCPT", False), ("DATA", False), (".", True)],
)
def test_send_on_a_connection_that_is_lost(stage: str, maybe_sent: bool) -> None:
    port, join = break_off(stage)
    with pytest.raises(ChannelError) as caught:
        channel(port).send(replace(MESSAGE, text="one line"))
    join()
    assert caught.value.maybe_sent == maybe_sent
    assert caught.value.reason == ("delivery-unknown" if maybe_sent else "channel-down")


def test_find_cannot_be_answered(port: int) -> None:
    with pytest.raises(ChannelError) as caught:
        channel(port).find(MESSAGE, NOW)
    assert (caught.value.reason, caught.value.permanent) == ("delivery-unknown", True)


def test_a_sender_that_is_no_address_is_a_configuration_error() -> None:
    with pytest.raises(ConfigurationError):
        EmailChannel("h", 25, "nobody", clock=FixedClock(NOW), allowed=lambda _: True)
