"""An SMTP server that keeps what it is sent, and the mailboxes that hold it.

It may not relay anything. What patients answer, and their one-click unsubscribe,
goes out over HTTP to this machine only. Sources: RFC 5321, RFC 5322, RFC 8058.
"""

import asyncio
import threading
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import datetime
from email import message_from_bytes, policy
from email.message import EmailMessage
from email.utils import format_datetime, make_msgid, parseaddr
from typing import Any, Literal

import orjson
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from middleware.sandbox.definition import is_loopback
from middleware.sandbox.delivering import Answer, Lanes, send, send_with_retries
from middleware.sandbox.journal import Journal

MAIL_KIND = "mail"
SETTINGS_KIND = "smtp"
LARGEST_MAIL = 5_000_000
TIMEOUT = 10.0
REFUSALS = {
    "450": "450 4.2.1 The mailbox is busy, try again later",
    "550": "550 5.1.1 There is no such mailbox",
}
Direction = Literal["received", "sent"]


@dataclass(frozen=True)
class Mail:
    """One mail in one mailbox: what came, or what the patient answered."""

    id: int
    direction: Direction
    mailbox: str
    to: str
    sender: str
    subject: str
    text: str
    html: str | None
    message_id: str
    headers: dict[str, str]
    received: datetime


@dataclass(frozen=True)
class MailSettings:
    """`refuse` is None, "450" or "550"; `inbound_url` is told what patients answer."""

    refuse: str | None = None
    inbound_url: str | None = None


class Mailboxes:
    """The SMTP server and its mailboxes; started and stopped as a service."""

    def __init__(
        self, now: Callable[[], datetime], journal: Journal, port: int
    ) -> None:
        self._now = now
        self._journal = journal
        self._asked_port = port
        self._lock = threading.RLock()
        self._lanes = Lanes("sandbox-mail", workers=2)
        self._mails: list[Mail] = []
        self._read: dict[str, int] = {}
        self._settings = MailSettings()
        self._controller: _Sink | None = None
        for record in journal.recorded(SETTINGS_KIND):
            self._settings = MailSettings(**record)
        for record in journal.recorded(MAIL_KIND):
            received = datetime.fromisoformat(record.pop("received"))
            self._mails.append(Mail(received=received, **record))
            self.see(self._mails[-1].mailbox)

    @property
    def port(self) -> int:
        """Answer the port that is really served, once started."""
        return self._controller.port if self._controller else self._asked_port

    @property
    def settings(self) -> MailSettings:
        """Answer whether recipients are refused, and where answers go."""
        return self._settings

    def start(self) -> None:
        """Begin to listen on 127.0.0.1."""
        self._lanes.start()
        self._controller = _Sink(
            _Handler(self),
            hostname="127.0.0.1",
            port=self._asked_port,
            data_size_limit=LARGEST_MAIL,
            ident="Sandbox mail",
        )
        self._controller.start()

    def stop(self) -> None:
        """Close the port and end the threads."""
        if self._controller is not None:
            self._controller.stop()
            self._controller = None
        self._lanes.stop()

    def pending(self) -> int:
        """Answer how many answers wait to go out."""
        return self._lanes.pending()

    def wait_quiet(self, timeout: float) -> bool:
        """Wait until nothing waits or runs; False after `timeout` seconds."""
        return self._lanes.wait_quiet(timeout)

    def set(self, settings: MailSettings) -> None:
        """Put settings in force."""
        with self._lock:
            self._settings = settings
            self._journal.append(SETTINGS_KIND, asdict(settings))

    def mails(self) -> list[Mail]:
        """Answer every mail, oldest first."""
        with self._lock:
            return list(self._mails)

    def mailbox(self, address: str) -> list[Mail]:
        """Answer the mails of one mailbox, oldest first."""
        name = address.casefold()
        return [mail for mail in self.mails() if mail.mailbox == name]

    def unread(self, address: str) -> int:
        """Answer how many mails came since the mailbox was last seen."""
        unseen = self.mailbox(address)[self._read.get(address.casefold(), 0) :]
        return sum(mail.direction == "received" for mail in unseen)

    def see(self, address: str) -> None:
        """Note that the mailbox was looked at."""
        with self._lock:
            self._read[address.casefold()] = len(self.mailbox(address))

    def take(self, recipient: str, content: bytes) -> Mail:
        """Keep a mail that came for a recipient."""
        parsed = message_from_bytes(content, policy=policy.default)
        return self._keep(parsed, "received", recipient)

    def reply(self, address: str, text: str, subject: str | None = None) -> Mail:
        """Answer, as the patient would, the newest mail of a mailbox."""
        came = [m for m in self.mailbox(address) if m.direction == "received"]
        answer = EmailMessage(policy=policy.SMTP)
        answer["From"] = address
        answer["To"] = came[-1].sender if came else "nobody@example.org"
        known = came[-1].subject if came else "A question"
        answer["Subject"] = subject or f"Re: {known.removeprefix('Re: ')}"
        answer["Date"] = format_datetime(self._now())
        answer["Message-ID"] = make_msgid(domain="mail.example.org")
        if came:
            answer["In-Reply-To"] = came[-1].message_id
        answer.set_content(text)
        mail = self._keep(answer, "sent", address)
        url = self._settings.inbound_url
        if url:
            body = answer.as_bytes()
            self._lanes.put("inbound", lambda: self._post(url, "message/rfc822", body))
        return mail

    def unsubscribe(self, mail: Mail) -> bool:
        """Do what a mail program's unsubscribe button does (RFC 8058, one click)."""
        url = unsubscribe_url(mail)
        if url is None or not is_loopback(url):
            return False
        body = b"List-Unsubscribe=One-Click"
        kind = "application/x-www-form-urlencoded"
        self._lanes.put("unsubscribe", lambda: self._post(url, kind, body))
        return True

    def refusal(self) -> str | None:
        """Answer the SMTP line that refuses a recipient, or None."""
        return REFUSALS.get(self._settings.refuse or "")

    def _post(self, url: str, content_type: str, body: bytes) -> None:
        def attempt() -> Answer:
            return send("POST", url, {"Content-Type": content_type}, body, TIMEOUT)

        send_with_retries(self._lanes, attempt, lambda answer: answer.accepted)

    def _keep(self, parsed: Any, direction: Direction, mailbox: str) -> Mail:
        with self._lock:
            mail = Mail(
                id=len(self._mails) + 1,
                direction=direction,
                mailbox=mailbox.casefold(),
                to=parseaddr(str(parsed.get("To", mailbox)))[1],
                sender=parseaddr(str(parsed.get("From", "")))[1],
                subject=str(parsed.get("Subject", "")),
                text=_part(parsed, "plain") or "",
                html=_part(parsed, "html"),
                message_id=str(parsed.get("Message-ID", "")).strip(),
                headers={name: str(value) for name, value in parsed.items()},
                received=self._now(),
            )
            self._mails.append(mail)
            record = {**asdict(mail), "received": mail.received.isoformat()}
            self._journal.append(MAIL_KIND, record)
        return mail


class _Sink(Controller):
    """A controller that learns its port from the socket, so that 0 works."""

    def _trigger_server(self) -> None:
        assert isinstance(self.server, asyncio.Server)
        self.port = self.server.sockets[0].getsockname()[1]
        super()._trigger_server()  # type: ignore[no-untyped-call]


class _Handler:
    """What aiosmtpd asks at RCPT and after DATA; its names are aiosmtpd's."""

    def __init__(self, mailboxes: Mailboxes) -> None:
        self._mailboxes = mailboxes

    async def handle_RCPT(  # noqa: N802
        self,
        server: SMTP,  # noqa: ARG002
        session: Session,  # noqa: ARG002
        envelope: Envelope,
        address: str,
        rcpt_options: list[str],
    ) -> str:
        """Take or refuse a recipient."""
        refusal = self._mailboxes.refusal()
        if refusal is not None:
            return refusal
        envelope.rcpt_tos.append(address)
        envelope.rcpt_options.extend(rcpt_options)
        return "250 2.1.5 OK"

    async def handle_DATA(  # noqa: N802
        self,
        server: SMTP,  # noqa: ARG002
        session: Session,  # noqa: ARG002
        envelope: Envelope,
    ) -> str:
        """Keep the mail for every recipient, then say so."""
        content = envelope.content or b""
        data = content if isinstance(content, bytes) else content.encode()
        for recipient in envelope.rcpt_tos:
            self._mailboxes.take(recipient, data)
        return "250 2.0.0 OK"


def unsubscribe_url(mail: Mail) -> str | None:
    """Answer the http(s) URL in List-Unsubscribe, or None."""
    for part in mail.headers.get("List-Unsubscribe", "").split(","):
        url = part.strip().removeprefix("<").removesuffix(">")
        if url.startswith(("http://", "https://")):
            return url
    return None


def read_settings(current: MailSettings, data: bytes) -> MailSettings:
    """Read settings from JSON; what is absent stays. ValueError otherwise."""
    body = orjson.loads(data)
    if not isinstance(body, dict) or not set(body) <= {"refuse", "inbound_url"}:
        raise ValueError("the body is not an object of refuse and inbound_url")
    settings = MailSettings(**{**asdict(current), **body})
    if settings.refuse not in {None, *REFUSALS}:
        raise ValueError('refuse is not "450", "550" or null')
    if settings.inbound_url and not is_loopback(settings.inbound_url):
        raise ValueError("inbound_url is not an http(s) URL of this machine")
    return settings


def _part(parsed: Any, kind: str) -> str | None:
    part = parsed.get_body(preferencelist=(kind,))
    if part is None:
        return None
    try:
        return str(part.get_content()).replace("\r\n", "\n")
    except (LookupError, UnicodeError):
        return None  # a charset that does not exist says nothing
