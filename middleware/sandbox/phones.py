"""The phones and their carrier: texts that arrive, texts that patients send back.

It may not know HTTP requests or pages. Messages are in the journal; callbacks and
webhooks go out from its own threads, signed as Twilio signs them.
"""

import secrets
import threading
from collections.abc import Callable
from dataclasses import asdict, replace
from datetime import datetime
from functools import partial
from typing import Any
from urllib.parse import urlencode

from middleware.sandbox.carrier import (
    FINAL,
    LANDLINE,
    UNREACHABLE,
    Account,
    Message,
    Number,
    read_keyword,
    read_record,
    sign,
    write_record,
)
from middleware.sandbox.delivering import Answer, Lanes, send, send_with_retries
from middleware.sandbox.journal import Journal

MESSAGE_KIND = "sms"
NUMBER_KIND = "phone-number"
ACCOUNT_KIND = "sms-account"
CALLBACK_TIMEOUT = 10.0
Now = Callable[[], datetime]


class Phones:
    """All phones, and the provider's account; started and stopped as a service."""

    def __init__(self, now: Now, journal: Journal) -> None:
        self._now = now
        self._journal = journal
        self._lock = threading.RLock()
        self._lanes = Lanes("sandbox-phone")
        self._messages: dict[str, Message] = {}
        self._by_phone: dict[str, list[str]] = {}
        self._numbers: dict[str, Number] = {}
        self._read: dict[str, int] = {}
        self._account = Account()
        self._recall()

    def start(self) -> None:
        """Begin to deliver; messages on their way go on."""
        self._lanes.start()

    def stop(self) -> None:
        """End; what is on its way goes on at the next start."""
        self._lanes.stop()

    def pending(self) -> int:
        """Answer how many messages and webhooks wait or run."""
        return self._lanes.pending()

    def wait_quiet(self, timeout: float) -> bool:
        """Wait until nothing waits or runs; False after `timeout` seconds."""
        return self._lanes.wait_quiet(timeout)

    @property
    def account(self) -> Account:
        """Answer the provider's account as it is set."""
        return self._account

    def set_account(self, account: Account) -> None:
        """Set the provider's account."""
        with self._lock:
            self._account = account
            self._journal.append(ACCOUNT_KIND, asdict(account))

    def number(self, number: str) -> Number:
        """Answer what the carrier knows of a number."""
        with self._lock:
            return self._numbers.get(number, Number())

    def set_number(self, number: str, known: Number) -> None:
        """Set what the carrier knows of a number."""
        with self._lock:
            self._numbers[number] = known
            record = {**asdict(known), "stopped": sorted(known.stopped)}
            self._journal.append(NUMBER_KIND, {"number": number, **record})

    def set_reachable(self, number: str, *, reachable: bool) -> None:
        """Switch a phone on or off, as far as the carrier can tell."""
        with self._lock:
            known = replace(self.number(number), reachable=reachable, landline=False)
            self.set_number(number, known)

    def messages(self) -> list[Message]:
        """Answer all messages, oldest first."""
        with self._lock:
            return list(self._messages.values())

    def message(self, sid: str) -> Message | None:
        """Answer one message, or None."""
        with self._lock:
            return self._messages.get(sid)

    def conversation(self, number: str) -> list[Message]:
        """Answer the messages to and from one phone, oldest first."""
        with self._lock:
            return [self._messages[sid] for sid in self._by_phone.get(number, [])]

    def known(self) -> list[str]:
        """Answer the numbers that have messages or were set."""
        with self._lock:
            return sorted({*self._by_phone, *self._numbers})

    def unread(self, number: str) -> int:
        """Answer how many texts came since the conversation was last seen."""
        with self._lock:
            return sum(
                message.direction != "inbound" and message.status == "delivered"
                for message in self.conversation(number)[self._read.get(number, 0) :]
            )

    def see(self, number: str) -> None:
        """Note that the conversation was looked at."""
        with self._lock:
            self._read[number] = len(self._by_phone.get(number, []))

    def accept(
        self,
        to: str,
        sender: str,
        body: str,
        *,
        callback: str | None = None,
        service: str | None = None,
    ) -> Message:
        """Take a text from the API and deliver it in the background."""
        message = Message(
            sid=f"SM{secrets.token_hex(16)}",
            direction="outbound-api",
            to=to,
            sender=sender,
            body=body,
            status="queued",
            created=self._now(),
            callback=callback,
            service=service,
        )
        self._keep(message)
        self._lanes.put(message.sid, partial(self._deliver, message.sid))
        return message

    def reply(self, number: str, text: str) -> Message:
        """Send what a patient texts back, to the sender who wrote last.

        The carrier heeds STOP and START before the provider is told.
        """
        written = [m for m in self.conversation(number) if m.direction != "inbound"]
        to = written[-1].sender if written else (self._account.from_number or "")
        self._heed(number, to, text)
        message = Message(
            sid=f"SM{secrets.token_hex(16)}",
            direction="inbound",
            to=to,
            sender=number,
            body=text,
            status="received",
            created=self._now(),
        )
        self._keep(message)
        url = self._account.inbound_url
        if url:
            form = self._inbound_form(message)
            self._lanes.put(f"inbound {number}", lambda: self._tell(url, form))
        return message

    def _heed(self, number: str, sender: str, text: str) -> None:
        keyword = read_keyword(text)
        if keyword is None:
            return
        with self._lock:
            known = self.number(number)
            stopped = known.stopped - {sender}
            if keyword == "STOP":
                stopped |= {sender}
            if stopped != known.stopped:
                self.set_number(number, replace(known, stopped=stopped))

    def _deliver(self, sid: str) -> None:
        for _ in range(3):
            message = self.message(sid)
            if message is None:
                return
            self._report(message)
            if message.status in FINAL:
                return
            self._keep(self._advanced(message))

    def _advanced(self, message: Message) -> Message:
        now = self._now()
        if message.status == "queued":
            return replace(message, status="sent", sent=now, updated=now)
        number = self.number(message.to)
        if number.reachable and not number.landline:
            return replace(message, status="delivered", updated=now)
        code = LANDLINE if number.landline else UNREACHABLE
        return replace(message, status="undelivered", error_code=code, updated=now)

    def _report(self, message: Message) -> None:
        if message.callback:
            self._tell(message.callback, self._status_form(message))

    def _tell(self, url: str, form: dict[str, str]) -> None:
        body = urlencode(form).encode()
        headers = {
            "Content-Type": "application/x-www-form-urlencoded; charset=utf-8",
            "X-Twilio-Signature": sign(url, form, self._account.auth_token),
            "User-Agent": "TwilioProxy/1.1",
        }

        def attempt() -> Answer:
            return send("POST", url, headers, body, CALLBACK_TIMEOUT)

        send_with_retries(self._lanes, attempt, lambda answer: answer.accepted)

    def _status_form(self, message: Message) -> dict[str, str]:
        form = {
            "AccountSid": self._account.account_sid,
            "ApiVersion": "2010-04-01",
            "From": message.sender,
            "MessageSid": message.sid,
            "MessageStatus": message.status,
            "SmsSid": message.sid,
            "SmsStatus": message.status,
            "To": message.to,
        }
        if message.error_code:
            form["ErrorCode"] = str(message.error_code)
        return form

    def _inbound_form(self, message: Message) -> dict[str, str]:
        return {
            "AccountSid": self._account.account_sid,
            "ApiVersion": "2010-04-01",
            "Body": message.body,
            "From": message.sender,
            "MessageSid": message.sid,
            "NumMedia": "0",
            "NumSegments": "1",
            "SmsMessageSid": message.sid,
            "SmsSid": message.sid,
            "SmsStatus": "received",
            "To": message.to,
        }

    def _keep(self, message: Message) -> None:
        with self._lock:
            self._place(message)
            self._journal.append(MESSAGE_KIND, write_record(message))

    def _place(self, message: Message) -> None:
        if message.sid not in self._messages:
            self._by_phone.setdefault(message.phone, []).append(message.sid)
        self._messages[message.sid] = message

    def _recall(self) -> None:
        for record in self._journal.recorded(ACCOUNT_KIND):
            self._account = Account(**record)
        for record in self._journal.recorded(NUMBER_KIND):
            number = record.pop("number")
            self._numbers[number] = read_known(record)
        for record in self._journal.recorded(MESSAGE_KIND):
            self._place(read_record(record))
        for message in self._messages.values():
            if message.status not in FINAL:
                self._lanes.put(message.sid, partial(self._deliver, message.sid))
        for number, sids in self._by_phone.items():
            self._read[number] = len(sids)


def read_known(record: dict[str, Any]) -> Number:
    """Read what the carrier knows of a number back from the journal."""
    return Number(**{**record, "stopped": frozenset(record["stopped"])})
