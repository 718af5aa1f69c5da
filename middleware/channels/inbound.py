"""What providers and patients send to us, read into two values.

Pure and total: a field that is missing is empty, never an exception. Sources: Twilio
webhook parameters; RFC 5322, RFC 3834.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from email import message_from_bytes, policy
from email.message import EmailMessage, Message
from email.utils import parseaddr

from mappings.delivery import DeliveryState
from middleware.channels.twilio import STATES, read_reason

_QUOTE = re.compile(r"^(On .+wrote:|El .+escribi.:|-{2,} ?Original Message ?-{2,}|>)")
_ADDRESS = re.compile(r"[^@\s]+@[^@\s]+")
_LONGEST_TEXT = 4000


@dataclass(frozen=True)
class InboundMessage:
    """What somebody wrote back.

    ``address`` is E.164 or an addr-spec, ``answers`` the delivery id that it answers
    when the message says so, ``automatic`` an out-of-office or bounce.
    """

    provider_id: str
    address: str
    text: str
    answers: str | None = None
    automatic: bool = False


@dataclass(frozen=True)
class StatusReport:
    """What a provider says about a message that it took.

    ``reason`` is a code of ``mappings.nudge.REASONS`` when the state is FAILED.
    """

    provider_id: str
    status: str
    state: DeliveryState
    delivery_id: str | None = None
    reason: str | None = None
    error_code: int | None = None


def parse_twilio_inbound(form: Mapping[str, str]) -> InboundMessage:
    """Read the form that Twilio posts for an incoming text."""
    return InboundMessage(
        provider_id=form.get("MessageSid") or form.get("SmsSid") or "",
        address=form.get("From") or "",
        text=(form.get("Body") or "")[:_LONGEST_TEXT],
    )


def parse_twilio_status(
    form: Mapping[str, str], query: Mapping[str, str] | None = None
) -> StatusReport:
    """Read the form of a status callback; ``query`` is that of its URL."""
    status = form.get("MessageStatus") or form.get("SmsStatus") or ""
    state = STATES.get(status, DeliveryState.SENT)
    digits = form.get("ErrorCode") or ""
    code = int(digits) if digits.isascii() and digits.isdigit() else None
    reason = None
    if state is DeliveryState.FAILED:
        reason = read_reason(code) if code else "not-delivered"
    return StatusReport(
        provider_id=form.get("MessageSid") or form.get("SmsSid") or "",
        status=status,
        state=state,
        delivery_id=(query or {}).get("delivery"),
        reason=reason,
        error_code=code,
    )


def parse_email_inbound(raw: bytes) -> InboundMessage:
    """Read an incoming e-mail (RFC 5322): its sender and its own words, unquoted."""
    mail = message_from_bytes(raw, policy=policy.default)
    text = "" if not isinstance(mail, EmailMessage) else _read_text(mail)
    automatic = _header(mail, "Auto-Submitted").lower() not in {"", "no"}
    sender = parseaddr(_header(mail, "From"))[1]
    sender = sender if _ADDRESS.fullmatch(sender) else ""
    bounced = mail.get_content_type() == "multipart/report"
    answered = _header(mail, "In-Reply-To").strip().strip("<>")
    return InboundMessage(
        provider_id=_header(mail, "Message-ID").strip(),
        address=sender,
        text=_own_words(text)[:_LONGEST_TEXT],
        answers=answered.partition("@")[0] or None,
        automatic=automatic or bounced or sender == "",
    )


def _header(mail: Message, name: str) -> str:
    # The standard library's parser raises for some malformed headers.
    try:
        return str(mail.get(name, ""))
    except (ValueError, IndexError, AttributeError):
        return ""


def _read_text(mail: EmailMessage) -> str:
    part = mail.get_body(("plain",))
    if part is None:
        return ""
    try:
        return str(part.get_content())
    except (LookupError, ValueError, AttributeError):
        return ""


def _own_words(text: str) -> str:
    lines: list[str] = []
    for line in text.splitlines():
        if _QUOTE.match(line.strip()):
            break
        lines.append(line)
    return "\n".join(lines).strip()
