"""The sandbox's own control surface, spoken over HTTP like to any stranger."""

from __future__ import annotations

import urllib.error
import urllib.request
from datetime import datetime
from typing import Any

import orjson

from mappings.errors import CareCueError
from mappings.secret import Secret

TIMEOUT = 10.0


class SandboxControl:
    """Moves the sandbox's clock, sets its faults and reads its phones."""

    def __init__(self, base_url: str) -> None:
        self.base_url = base_url

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """Send one request and return the JSON answer; raises CareCueError."""
        request = urllib.request.Request(  # noqa: S310 -- a loopback address of ours
            f"{self.base_url}{path}",
            method=method,
            data=None if body is None else orjson.dumps(body),
            headers={"Content-Type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT) as answer:  # noqa: S310
                text = answer.read()
        except (urllib.error.URLError, OSError) as error:
            raise CareCueError(
                f"The sandbox did not do {method} {path}: {error}. Nothing of ours was "
                "changed; check that it runs."
            ) from None
        return orjson.loads(text) if text else None

    def healthy(self) -> bool:
        """Return True when the sandbox answers."""
        try:
            self.call("GET", "/sandbox/health")
        except CareCueError:
            return False
        return True

    def set_clock(self, now: datetime) -> None:
        """Move the sandbox's clock."""
        self.call("POST", "/sandbox/clock", {"now": now.isoformat()})

    def now(self) -> datetime:
        """Return the sandbox's time."""
        text = self.call("GET", "/sandbox/clock")["now"]
        return datetime.fromisoformat(text)

    def pending(self) -> int:
        """Return how many notifications, receipts and replies are still to go out."""
        return int(self.call("GET", "/sandbox/notifier")["pending"])

    def staff_token(self) -> Secret:
        """Return a token with which the EHR's own staff writes."""
        return Secret(self.call("POST", "/sandbox/token")["access_token"])

    def messages(self) -> dict[str, list[dict[str, Any]]]:
        """Return every text and e-mail that reached a phone or mailbox."""
        found: dict[str, list[dict[str, Any]]] = self.call("GET", "/sandbox/messages")
        return found

    def reply(self, number: str, text: str) -> None:
        """Answer by text, as the patient would."""
        self.call("POST", f"/sandbox/phones/{number}/reply", {"text": text})
