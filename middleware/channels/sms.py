"""Texts, by the REST API that Twilio made common.

A message goes out once: where it is not known whether the provider took it, the error
says so and nobody sends again before the provider was asked. No number or text appears
in an error. Source: Twilio REST API 2010-04-01, Message resource.
"""

from __future__ import annotations

import ssl
import time
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from http.cookiejar import DefaultCookiePolicy
from typing import Any
from urllib.parse import quote, urlencode, urljoin, urlsplit

import orjson
import requests
from urllib3.exceptions import (
    ConnectTimeoutError,
    HTTPError,
    MaxRetryError,
    NewConnectionError,
)

from mappings.delivery import DeliveryState, Message, Receipt
from mappings.errors import ChannelError
from middleware.channels.allowing import Allowed, require_allowed
from middleware.channels.listing import ProviderText, read_text
from middleware.channels.twilio import STATES, make_refusal, read_reason
from middleware.ports import require_no_transaction

_LARGEST_ANSWER = 2 * 1024 * 1024
_LONGEST_ANSWER = 30.0
_PAGES = 5
_MANY_PAGES = 2000
# The provider's clock may differ from ours by this much.
_SKEW = timedelta(minutes=5)


class SmsChannel:
    """Implements ``middleware.ports.Channel`` for texts."""

    name = "sms"

    def __init__(
        self,
        base_url: str,
        account_sid: str,
        auth_token: str,
        from_number: str,
        *,
        allowed: Allowed,
        session: requests.Session | None = None,
        timeout: tuple[float, float] = (3.0, 15.0),
    ) -> None:
        self._base = base_url.rstrip("/")
        self._path = f"/2010-04-01/Accounts/{quote(account_sid)}/Messages.json"
        self._account = (account_sid, auth_token)
        self._from = from_number
        self._allowed = allowed
        self._session = session or requests.Session()
        self._session.trust_env = False
        self._session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        self._timeout = timeout

    def send(self, message: Message) -> Receipt:
        """Hand the text over once; raises ChannelError."""
        require_allowed(self._allowed, message)
        require_no_transaction("sending a text")
        form = {"To": message.address, "From": self._from, "Body": message.text}
        if message.status_url:
            form["StatusCallback"] = write_status_url(message)
        try:
            response = self._session.post(
                self._base + self._path,
                data=form,
                auth=self._account,
                timeout=self._timeout,
                allow_redirects=False,
                stream=True,
            )
            body = _read_body(response)
        except (requests.RequestException, HTTPError) as error:
            raise _lost(error) from None
        if not 200 <= response.status_code < 300:
            retry_after = _read_seconds(response.headers.get("Retry-After"))
            raise make_refusal(response.status_code, _read_code(body), retry_after)
        return _read_receipt(body)

    def find(self, message: Message, since: datetime) -> Receipt | None:
        """Look for the message among those sent to its address since then.

        Raises ChannelError when the provider cannot be asked to the end.
        """
        require_no_transaction("a question to the SMS provider")
        earliest = since.astimezone(UTC) - _SKEW
        query = {
            "To": message.address,
            "DateSent>": earliest.strftime("%Y-%m-%d"),
            "PageSize": "200",
        }
        path: str | None = f"{self._path}?{urlencode(query)}"
        for _ in range(_PAGES):
            page = self._fetch_page(str(path))
            for item in page.get("messages") or []:
                if isinstance(item, dict) and _is_same(item, message, earliest):
                    return _read_found(item)
            path = page.get("next_page_uri")
            if not path:
                return None
        raise _not_asked("more pages than are read")

    def list_since(self, since: datetime) -> tuple[ProviderText, ...]:
        """Return all texts to and from our number since then, oldest first.

        Raises ChannelError when the provider cannot be asked to the end.
        """
        require_no_transaction("a question to the SMS provider")
        earliest = since.astimezone(UTC) - _SKEW
        day = earliest.strftime("%Y-%m-%d")
        query = urlencode({"DateSent>": day, "PageSize": "500"})
        path: str | None = f"{self._path}?{query}"
        found: dict[str, ProviderText] = {}
        for _ in range(_MANY_PAGES):
            page = self._fetch_page(str(path))
            for item in page.get("messages") or []:
                text = read_text(item, self._from) if isinstance(item, dict) else None
                if text is not None and text.at >= earliest:
                    found[text.provider_id] = text
            path = page.get("next_page_uri")
            if not path:
                return tuple(sorted(found.values(), key=_age))
        raise _not_asked("more pages than are read")

    def _fetch_page(self, path: str) -> dict[str, Any]:
        url = urljoin(self._base + self._path, path)
        if _origin(url) != _origin(self._base):
            raise _not_asked("a link to another server")
        try:
            response = self._session.get(
                url,
                auth=self._account,
                timeout=self._timeout,
                allow_redirects=False,
                stream=True,
            )
            body = _read_body(response)
        except (requests.RequestException, HTTPError) as error:
            raise _not_asked(type(error).__name__) from None
        if response.status_code != 200 or body is None:
            raise _not_asked(f"status {response.status_code}")
        return body


def write_status_url(message: Message) -> str:
    """Return the URL for receipts, with the delivery id as ``delivery``."""
    url = message.status_url or ""
    if message.delivery_id in url:
        return url
    joint = "&" if "?" in url else "?"
    return f"{url}{joint}{urlencode({'delivery': message.delivery_id})}"


def _lost(error: Exception) -> ChannelError:
    """Tell a connection that never stood from one that was lost after the request."""
    cause = error.args[0] if error.args else None
    if isinstance(cause, MaxRetryError):
        cause = cause.reason
    inner = cause.args[0] if isinstance(cause, HTTPError) and cause.args else None
    never = isinstance(cause, NewConnectionError | ConnectTimeoutError)
    if never or isinstance(inner, ssl.SSLCertVerificationError):
        return ChannelError(
            "The SMS provider cannot be reached; nothing was sent; it may be sent "
            "again",
            reason="channel-down",
        )
    return ChannelError(
        f"The SMS provider did not answer ({type(error).__name__}); it may have taken "
        "the message; ask it before sending again",
        reason="delivery-unknown",
        maybe_sent=True,
    )


def _not_asked(why: str) -> ChannelError:
    return ChannelError(
        f"The SMS provider could not be asked about a message ({why}); nothing was "
        "sent; ask again",
        reason="delivery-unknown",
        maybe_sent=True,
    )


def _read_body(response: requests.Response) -> dict[str, Any] | None:
    """Return the JSON object of an answer, read within limits; None otherwise."""
    raw = bytearray()
    until = time.monotonic() + _LONGEST_ANSWER
    while piece := response.raw.read1(65536, decode_content=True):
        raw += piece
        if len(raw) > _LARGEST_ANSWER or time.monotonic() > until:
            response.close()
            return None
    response.raw.release_conn()
    try:
        body = orjson.loads(raw)
    except orjson.JSONDecodeError:
        return None
    return body if isinstance(body, dict) else None


def _read_code(body: dict[str, Any] | None) -> int | None:
    code = (body or {}).get("code")
    return code if isinstance(code, int) else None


def _read_seconds(text: str | None) -> float | None:
    return float(text) if text and text.isascii() and text.isdigit() else None


def _read_receipt(body: dict[str, Any] | None) -> Receipt:
    sid = (body or {}).get("sid")
    if not isinstance(sid, str) or not sid:
        raise ChannelError(
            "The SMS provider's answer does not name a message; it may have taken it; "
            "ask it before sending again",
            reason="delivery-unknown",
            maybe_sent=True,
        )
    return _read_found(body or {})


def _read_found(item: dict[str, Any]) -> Receipt:
    """Return the receipt of a message record; ChannelError when it failed there."""
    state = STATES.get(str(item.get("status")), DeliveryState.SENT)
    if state is DeliveryState.FAILED:
        code = item.get("error_code")
        known = code if isinstance(code, int) else None
        raise ChannelError(
            f"The SMS provider took the message and failed to send it (error {known})",
            reason=read_reason(known) if known else "not-delivered",
            permanent=True,
        )
    return Receipt(str(item.get("sid")), state)


def _is_same(item: dict[str, Any], message: Message, earliest: datetime) -> bool:
    if item.get("body") != message.text or item.get("to") != message.address:
        return False
    callback = item.get("status_callback")
    if isinstance(callback, str) and callback:
        return message.delivery_id in callback
    try:
        created = parsedate_to_datetime(str(item.get("date_created")))
    except (TypeError, ValueError):
        return True
    return (created if created.tzinfo else created.replace(tzinfo=UTC)) >= earliest


def _age(text: ProviderText) -> tuple[datetime, str]:
    return text.at, text.provider_id


def _origin(url: str) -> tuple[str, str]:
    parts = urlsplit(url)
    return parts.scheme, parts.netloc
