"""E-mail over SMTP, one connection per message.

The delivery id stands in Message-ID and X-CareCue-Delivery. Once the text is on its
way a lost connection means that the server may have taken it. No address or text
appears in an error. Sources: RFC 5321, RFC 5322, RFC 2369, RFC 8058, RFC 3834.
"""

from __future__ import annotations

import contextlib
import re
import smtplib
import ssl
from collections.abc import Callable
from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, parseaddr
from typing import Literal

from mappings.delivery import Message, Receipt
from mappings.errors import ChannelError, ConfigurationError
from middleware.channels.allowing import Allowed, require_allowed
from middleware.ports import Clock, require_no_transaction

Security = Literal["starttls", "tls", "none"]
_LINE_START_DOT = re.compile(rb"(?m)^\.")
_ADDRESS = re.compile(r"[^\s@<>\"(),:;\\\[\]]{1,64}@[A-Za-z0-9.-]{1,253}")


class EmailChannel:
    """Implements ``middleware.ports.Channel`` for e-mail.

    ``unsubscribe`` returns the one-click URL of a message (RFC 8058), or None.
    """

    name = "email"

    def __init__(
        self,
        host: str,
        port: int,
        from_address: str,
        *,
        clock: Clock,
        allowed: Allowed,
        security: Security = "starttls",
        user: str = "",
        password: str = "",
        timeout: float = 15.0,
        unsubscribe: Callable[[Message], str | None] | None = None,
    ) -> None:
        self._sender = parseaddr(from_address)
        if not _ADDRESS.fullmatch(self._sender[1]):
            raise ConfigurationError(
                "The sender address for e-mail is not an address; set CARECUE_SMTP_FROM"
            )
        self._domain = self._sender[1].rpartition("@")[2]
        self._place = (host, port)
        self._clock = clock
        self._allowed = allowed
        self._security = security
        self._login = (user, password)
        self._timeout = timeout
        self._unsubscribe = unsubscribe

    def send(self, message: Message) -> Receipt:
        """Hand the e-mail over once; raises ChannelError."""
        require_allowed(self._allowed, message)
        require_no_transaction("sending an e-mail")
        mail = self.write_mail(message)
        smtp = self._connect()
        with contextlib.closing(smtp):
            try:
                self._address(smtp, message.address)
                _start_data(smtp)
            except (OSError, smtplib.SMTPException) as error:
                raise _unreachable(error) from None
            _finish_data(smtp, mail.as_bytes(policy=SMTP))
            with contextlib.suppress(OSError, smtplib.SMTPException):
                smtp.quit()
        return Receipt(str(mail["Message-ID"]))

    def find(self, message: Message, since: datetime) -> Receipt | None:
        """SMTP cannot be asked what it took: always raises ChannelError."""
        raise ChannelError(
            f"A mail server cannot be asked about delivery {message.delivery_id} of "
            f"{since.isoformat()}; it was not sent again; a person checks",
            reason="delivery-unknown",
            permanent=True,
            maybe_sent=True,
        )

    def write_mail(self, message: Message) -> EmailMessage:
        """Return the e-mail as it goes out; ChannelError for an unusable address."""
        if not _ADDRESS.fullmatch(message.address) or not message.address.isascii():
            raise ChannelError(
                "The address is not one that an e-mail can be sent to; nothing was "
                "sent; correct it in the chart",
                reason="address-invalid",
                permanent=True,
            )
        mail = EmailMessage(policy=SMTP)
        name, spec = self._sender
        mail["From"] = Address(name, addr_spec=spec)
        mail["To"] = Address(addr_spec=message.address)
        mail["Subject"] = " ".join(message.subject.split())
        mail["Date"] = format_datetime(self._clock.now())
        mail["Message-ID"] = f"<{message.delivery_id}@{self._domain}>"
        mail["X-CareCue-Delivery"] = message.delivery_id
        mail["Auto-Submitted"] = "auto-generated"
        self._add_unsubscribe(mail, message)
        mail.set_content(message.text, cte="quoted-printable")
        mail["Content-Language"] = message.language
        return mail

    def _add_unsubscribe(self, mail: EmailMessage, message: Message) -> None:
        ways = [f"<mailto:{self._sender[1]}?subject=STOP>"]
        url = self._unsubscribe(message) if self._unsubscribe else None
        if url:
            ways.insert(0, f"<{url}>")
            mail["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
        mail["List-Unsubscribe"] = ", ".join(ways)

    def _connect(self) -> smtplib.SMTP:
        """Connect, protect and log in; nothing was sent when this raises."""
        host, port = self._place
        name, limit = self._domain, self._timeout
        smtp: smtplib.SMTP | None = None
        try:
            # Without a name smtplib asks the resolver for ours, which may hang.
            if self._security == "tls":
                context = ssl.create_default_context()
                smtp = smtplib.SMTP_SSL(
                    host, port, local_hostname=name, timeout=limit, context=context
                )
            else:
                smtp = smtplib.SMTP(host, port, local_hostname=name, timeout=limit)
            if self._security == "starttls":
                smtp.starttls(context=ssl.create_default_context())
            if self._login[0]:
                smtp.login(*self._login)
        except (OSError, smtplib.SMTPException) as error:
            if smtp is not None:
                smtp.close()
            raise _unreachable(error) from None
        return smtp

    def _address(self, smtp: smtplib.SMTP, address: str) -> None:
        smtp.ehlo_or_helo_if_needed()
        code, _ = smtp.mail(self._sender[1])
        if code != 250:
            raise _refused(code, b"", "the sender")
        code, text = smtp.rcpt(address)
        if code not in {250, 251}:
            raise _refused(code, text, "the recipient")


def _start_data(smtp: smtplib.SMTP) -> None:
    code, text = smtp.docmd("DATA")
    if code != 354:
        raise _refused(code, text, "the message")


def _finish_data(smtp: smtplib.SMTP, raw: bytes) -> None:
    """Send the text and its end; from here on a silence is ambiguous."""
    stuffed = _LINE_START_DOT.sub(b"..", raw)
    if not stuffed.endswith(b"\r\n"):
        stuffed += b"\r\n"
    try:
        smtp.send(stuffed + b".\r\n")
        code, text = smtp.getreply()
    except (OSError, smtplib.SMTPException) as error:
        raise ChannelError(
            f"The mail server was lost after the text was sent "
            f"({type(error).__name__}); it may have taken it; a person checks before "
            "it is sent again",
            reason="delivery-unknown",
            maybe_sent=True,
        ) from None
    if not 200 <= code < 300:
        raise _refused(code, text, "the message")


def _unreachable(error: Exception) -> ChannelError:
    """Return the error of a fault before any text was sent."""
    code = getattr(error, "smtp_code", None)
    said = f"{type(error).__name__} {code}" if code else type(error).__name__
    return ChannelError(
        f"The mail server cannot be used ({said}); nothing was sent; it may be sent "
        "again",
        reason="channel-down",
    )


def _refused(code: int, text: bytes, what: str) -> ChannelError:
    """Translate a refusal by its reply code and enhanced code (RFC 3463)."""
    found = re.match(rb"\s*([245]\.\d{1,3}\.\d{1,3})", text)
    enhanced = found.group(1).decode() if found else ""
    said = f"The mail server refused {what} ({code} {enhanced}".rstrip() + ")"
    if not 500 <= code < 600:
        return ChannelError(
            f"{said}; nothing was sent; it may be sent again", reason="channel-down"
        )
    reason = "provider-refused"
    if what == "the recipient":
        reason = "address-invalid"
        if enhanced.startswith("5.2."):
            reason = "address-unreachable"
        elif enhanced.startswith("5.7."):
            reason = "provider-refused"
    return ChannelError(
        f"{said}; nothing was sent; sending it again will not help",
        reason=reason,
        permanent=True,
    )
