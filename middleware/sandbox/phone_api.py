"""The SMS provider's REST API in Twilio's shape, and the control of the phones.

It may not keep anything: the phones do. Source: Twilio REST API 2010-04-01,
Message resource and error dictionary.
"""

import base64
import binascii
import hmac
from collections.abc import Callable
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import flask
import orjson

from middleware.sandbox.carrier import (
    Account,
    Message,
    read_number,
    write_message,
)
from middleware.sandbox.definition import is_loopback
from middleware.sandbox.phones import Phones

LONGEST_BODY = 1600
LARGEST_PAGE = 1000
Json = dict[str, Any]


class ProviderFault(Exception):  # noqa: N818 (a refusal in the provider's words)
    """A refusal by the provider: its own code, and the HTTP status."""

    def __init__(self, status: int, code: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.body: Json = {
            "code": code,
            "message": message,
            "more_info": f"https://www.twilio.com/docs/errors/{code}",
            "status": status,
        }


def register(app: flask.Flask) -> None:
    """Add `/2010-04-01`, `/sandbox/sms` and `/sandbox/phones`."""
    phones = app.extensions["phone"]
    api = flask.Blueprint("sms", __name__)
    base = "/2010-04-01/Accounts/<account_sid>/Messages"
    api.add_url_rule(f"{base}.json", view_func=create_message, methods=["POST"])
    api.add_url_rule(f"{base}.json", view_func=list_messages)
    api.add_url_rule(f"{base}/<sid>.json", view_func=read_message)
    api.register_error_handler(
        ProviderFault, lambda fault: (flask.jsonify(fault.body), fault.status)
    )

    @api.get("/sandbox/sms")
    def read_account() -> Json:
        return asdict(phones.account)

    @api.put("/sandbox/sms")
    def set_account() -> tuple[Json, int]:
        try:
            account = read_account_body(phones.account, flask.request.get_data())
        except ValueError as error:
            return {"error": f"{error}; the account stays as it was"}, 400
        phones.set_account(account)
        return asdict(account), 200

    api.add_url_rule("/sandbox/phones/<number>", view_func=set_number, methods=["PUT"])
    api.add_url_rule(
        "/sandbox/phones/<number>/reply", view_func=send_reply, methods=["POST"]
    )
    app.register_blueprint(api)


def read_account_body(current: Account, data: bytes) -> Account:
    """Read the account from JSON; what is absent stays. ValueError otherwise."""
    body = orjson.loads(data)
    known = set(asdict(current))
    if not isinstance(body, dict) or not set(body) <= known:
        raise ValueError(f"the body is not an object of {', '.join(sorted(known))}")
    account = replace(current, **body)
    if account.inbound_url and not is_loopback(account.inbound_url):
        raise ValueError("inbound_url is not an http(s) URL of this machine")
    if account.from_number and read_number(account.from_number) is None:
        raise ValueError("from_number is not an E.164 number")
    return account


def create_message(account_sid: str) -> tuple[flask.Response, int]:
    """Take a message: 201, or a refusal with the provider's code."""
    phones = _authenticate(account_sid)
    form = flask.request.form
    service = form.get("MessagingServiceSid")
    sender = form.get("From") or (phones.account.from_number if service else None)
    to = _check_to(phones, form.get("To"), sender)
    body = form.get("Body") or ""
    if not body:
        raise ProviderFault(400, 21602, "Message body is required.")
    if len(body) > LONGEST_BODY:
        raise ProviderFault(
            400, 21617, f"The concatenated body exceeds {LONGEST_BODY} characters."
        )
    callback = form.get("StatusCallback") or None
    if callback and not is_loopback(callback):
        text = f"The StatusCallback URL {callback} is not a valid URL."
        raise ProviderFault(400, 21609, text)
    message = phones.accept(to, sender or "", body, callback=callback, service=service)
    return flask.jsonify(write_message(message, account_sid)), 201


def read_message(account_sid: str, sid: str) -> Json:
    """Answer one message as it is now."""
    message = _authenticate(account_sid).message(sid)
    if message is None:
        path = flask.request.path
        raise ProviderFault(404, 20404, f"The requested resource {path} was not found")
    return write_message(message, account_sid)


def list_messages(account_sid: str) -> Json:
    """Answer messages, newest first, by To, From and DateSent (=, <=, >=)."""
    phones = _authenticate(account_sid)
    args = flask.request.args
    size = min(max(args.get("PageSize", 50, type=int), 1), LARGEST_PAGE)
    page = max(args.get("Page", 0, type=int), 0)
    wanted = _filters()
    found = [m for m in reversed(phones.messages()) if all(f(m) for f in wanted)]
    start, end = page * size, (page + 1) * size
    shown = found[start:end]
    return {
        "messages": [write_message(message, account_sid) for message in shown],
        "page": page,
        "page_size": size,
        "start": start,
        "end": start + max(len(shown) - 1, 0),
        "uri": flask.request.full_path.rstrip("?"),
        "first_page_uri": _page_uri(0, size),
        "previous_page_uri": _page_uri(page - 1, size) if page else None,
        "next_page_uri": _page_uri(page + 1, size) if end < len(found) else None,
    }


def set_number(number: str) -> tuple[Json, int]:
    """Set what the carrier does with a number: reachable, landline (booleans)."""
    phones: Phones = flask.current_app.extensions["phone"]
    e164 = read_number(number)
    body = flask.request.get_json(silent=True)
    if e164 is None or not isinstance(body, dict):
        return {"error": "give an E.164 number and a JSON object; nothing set"}, 400
    if not set(body) <= {"reachable", "landline"} or not all(
        isinstance(value, bool) for value in body.values()
    ):
        return {"error": "only reachable and landline, true or false; nothing set"}, 400
    known = replace(phones.number(e164), **body)
    phones.set_number(e164, known)
    return {"number": e164, **asdict(known), "stopped": sorted(known.stopped)}, 200


def send_reply(number: str) -> tuple[Json, int]:
    """Text back as the patient would; 201 with the message's sid."""
    phones: Phones = flask.current_app.extensions["phone"]
    e164 = read_number(number)
    body = flask.request.get_json(silent=True)
    text = body.get("text") if isinstance(body, dict) else None
    if e164 is None or not isinstance(text, str) or not text.strip():
        return {"error": 'give an E.164 number and {"text": ...}; nothing sent'}, 400
    message = phones.reply(e164, text)
    return {"sid": message.sid, "to": message.to, "from": message.sender}, 201


def _authenticate(account_sid: str) -> Phones:
    phones: Phones = flask.current_app.extensions["phone"]
    account = phones.account
    scheme, _, value = flask.request.headers.get("Authorization", "").partition(" ")
    try:
        given = base64.b64decode(value, validate=True) if scheme == "Basic" else b""
    except binascii.Error:
        given = b""
    expected = f"{account.account_sid}:{account.auth_token}".encode()
    known = account.auth_token and account_sid == account.account_sid
    if not known or not hmac.compare_digest(given, expected):
        raise ProviderFault(401, 20003, "Authenticate")
    return phones


def _check_to(phones: Phones, text: str | None, sender: str | None) -> str:
    if not text:
        raise ProviderFault(400, 21604, "A 'To' phone number is required.")
    to = read_number(text)
    if to is None:
        raise ProviderFault(400, 21211, f"Invalid 'To' Phone Number: {text}")
    if not sender:
        raise ProviderFault(400, 21603, "A 'From' phone number is required.")
    if sender != phones.account.from_number:
        text = f"The 'From' number {sender} is not a number of this account."
        raise ProviderFault(400, 21606, text)
    if sender in phones.number(to).stopped:
        raise ProviderFault(400, 21610, "Attempt to send to unsubscribed recipient")
    return to


def _filters() -> list[Callable[[Message], bool]]:
    args = flask.request.args
    filters: list[Callable[[Message], bool]] = []
    if to := args.get("To"):
        filters.append(lambda message: message.to == read_number(to))
    if sender := args.get("From"):
        filters.append(lambda message: message.sender == read_number(sender))
    if day := args.get("DateSent"):
        first = _instant(day)
        filters.append(lambda m: first <= _sent(m) < first + timedelta(days=1))
    if after := args.get("DateSent>"):
        since = _instant(after)
        filters.append(lambda message: _sent(message) >= since)
    if before := args.get("DateSent<"):
        until = _instant(before)
        filters.append(lambda message: _sent(message) <= until)
    return filters


def _sent(message: Message) -> datetime:
    return message.sent or message.created


def _instant(text: str) -> datetime:
    try:
        instant = datetime.fromisoformat(text)
    except ValueError as error:
        raise ProviderFault(400, 20001, f"Invalid date: {text}") from error
    return instant if instant.tzinfo else instant.replace(tzinfo=UTC)


def _page_uri(page: int, size: int) -> str:
    args = {**flask.request.args, "Page": str(page), "PageSize": str(size)}
    return f"{flask.request.path}?{urlencode(args)}"
