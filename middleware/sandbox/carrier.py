"""What a phone and its carrier are: messages, numbers, keywords, signatures.

Pure: values in, values out. It may not send, store or ask for the time.
"""

import base64
import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from email.utils import format_datetime
from typing import Any

NUMBER = re.compile(r"\+[1-9]\d{7,14}")
STOP_WORDS = frozenset(
    ("STOP", "STOPALL", "UNSUBSCRIBE", "CANCEL", "END", "QUIT", "OPTOUT", "REVOKE")
)
START_WORDS = frozenset(("START", "YES", "UNSTOP"))
FINAL = frozenset(("delivered", "undelivered", "failed", "received"))
UNREACHABLE = 30003
LANDLINE = 30006
REASONS = {
    UNREACHABLE: "Unreachable destination handset",
    LANDLINE: "Landline or unreachable carrier",
}


@dataclass(frozen=True)
class Message:
    """One text message; `direction` is outbound-api or inbound."""

    sid: str
    direction: str
    to: str
    sender: str
    body: str
    status: str
    created: datetime
    sent: datetime | None = None
    updated: datetime | None = None
    error_code: int | None = None
    callback: str | None = None
    service: str | None = None

    @property
    def phone(self) -> str:
        """Answer the number of the patient's phone, whichever way it went."""
        return self.sender if self.direction == "inbound" else self.to


@dataclass(frozen=True)
class Account:
    """What the SMS provider knows of its one customer."""

    account_sid: str = ""
    auth_token: str = ""
    inbound_url: str | None = None
    from_number: str | None = None


@dataclass(frozen=True)
class Number:
    """What a carrier knows of one number; `stopped` holds senders it blocks."""

    reachable: bool = True
    landline: bool = False
    stopped: frozenset[str] = frozenset()


def read_number(text: str) -> str | None:
    """Read an E.164 number (spaces and hyphens allowed), or answer None."""
    number = re.sub(r"[\s().-]", "", text)
    return number if NUMBER.fullmatch(number) else None


def read_keyword(body: str) -> str | None:
    """Answer STOP or START when the whole text is such a word to a carrier."""
    word = body.strip().upper()
    if word in STOP_WORDS:
        return "STOP"
    return "START" if word in START_WORDS else None


def count_segments(body: str) -> int:
    """Answer how many segments a text takes: 160/153 GSM-7, 70/67 otherwise."""
    plain = all(ord(c) < 128 or c in "éèùìòàÉÑñÜüÖöÄäÅåØøÆæß¿¡§£¥€" for c in body)
    single, many = (160, 153) if plain else (70, 67)
    return 1 if len(body) <= single else -(-len(body) // many)


def sign(url: str, form: Mapping[str, str], auth_token: str) -> str:
    """Answer X-Twilio-Signature: base64 HMAC-SHA1 over the URL and sorted fields.

    Source: Twilio, "Webhooks security".
    """
    text = url + "".join(f"{name}{form[name]}" for name in sorted(form))
    digest = hmac.new(auth_token.encode(), text.encode(), hashlib.sha1).digest()
    return base64.b64encode(digest).decode()


def write_message(message: Message, account_sid: str) -> dict[str, Any]:
    """Write a message as the REST API shows it; dates are RFC 2822, in UTC."""
    code = message.error_code
    uri = f"/2010-04-01/Accounts/{account_sid}/Messages/{message.sid}"
    return {
        "sid": message.sid,
        "account_sid": account_sid,
        "messaging_service_sid": message.service,
        "to": message.to,
        "from": message.sender,
        "body": message.body,
        "status": message.status,
        "direction": message.direction,
        "num_segments": str(count_segments(message.body)),
        "num_media": "0",
        "date_created": format_datetime(message.created),
        "date_sent": format_datetime(message.sent) if message.sent else None,
        "date_updated": format_datetime(message.updated or message.created),
        "error_code": code,
        "error_message": REASONS.get(code) if code else None,
        "price": None,
        "price_unit": "USD",
        "api_version": "2010-04-01",
        "uri": f"{uri}.json",
        "subresource_uris": {"media": f"{uri}/Media.json"},
    }


def write_record(message: Message) -> dict[str, Any]:
    """Write a message for the journal."""
    record = asdict(message)
    for name in ("created", "sent", "updated"):
        record[name] = record[name].isoformat() if record[name] else None
    return record


def read_record(record: dict[str, Any]) -> Message:
    """Read a message back from the journal."""
    dates = {
        name: datetime.fromisoformat(record[name]) if record[name] else None
        for name in ("created", "sent", "updated")
    }
    return Message(**{**record, **dates})
