"""Our signing keys in a running process, and their rotation step by step.

A key is published a day before it signs and a day after it signed last, so that no EHR
meets one that it could not have fetched. Every process reads the keys again each minute.
"""

from __future__ import annotations

import contextlib
import threading
import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from mappings.errors import BadInputError, StorageError
from middleware.fhir.keys import SigningKeys
from middleware.storage import audit, marks
from middleware.wiring.runtime import KEYS_MARK, Runtime, signing_keys

LOOK_SECONDS = 60.0
# EHRs keep a fetched key set for hours; a day is longer than any that we know.
WAIT = timedelta(days=1)
STEP_MARK = "signing-rotation"

_SAID = {
    "announced": (
        "A new pair of signing keys is published beside the old one; the old one signs.",
        "An EHR that holds a copy of our keys instead of our JWKS URL needs it now.",
    ),
    "promoted": ("The new pair signs within a minute; the old one stays published.",),
    "retired": ("The old pair is not published any more. The rotation is done.",),
}


class KeyRing:
    """Returns the present keys; reads them again when a minute is over."""

    def __init__(self, runtime: Runtime, *, look_seconds: float = LOOK_SECONDS) -> None:
        self._runtime = runtime
        self._look_seconds = look_seconds
        self._guard = threading.Lock()
        self._keys: SigningKeys | None = None
        self._until = 0.0

    def __call__(self) -> SigningKeys:
        """Return the same object for as long as the keys are the same."""
        with self._guard:
            if self._keys is None:
                self._keys = signing_keys(self._runtime)
                self._until = time.monotonic() + self._look_seconds
            elif time.monotonic() >= self._until:
                self._until = time.monotonic() + self._look_seconds
                # A database that is away changes no keys either.
                with contextlib.suppress(StorageError):
                    fresh = signing_keys(self._runtime)
                    if fresh.dump() != self._keys.dump():
                        self._keys = fresh
            return self._keys


@dataclass(frozen=True)
class SigningStep:
    """What one step of the rotation did, and from when the next may be taken."""

    step: str
    next_at: datetime | None

    def sentences(self) -> tuple[str, ...]:
        """Return the result for a person, line by line."""
        if self.next_at is None:
            return _SAID[self.step]
        again = f"Run `carecue key rotate --signing` again from {self.next_at:%Y-%m-%d %H:%M} UTC."
        return (*_SAID[self.step], again)

    def as_json(self) -> dict[str, Any]:
        """Return the result as one JSON object."""
        following = self.next_at.isoformat() if self.next_at else None
        return {"step": self.step, "next_at": following}


def rotate_signing(runtime: Runtime, by: str) -> SigningStep:
    """Take the next step: announce, promote, retire; BadInputError when too early."""
    keys, now = signing_keys(runtime), runtime.clock.now()
    with runtime.database.tx() as tx:
        stands = marks.read_mark(tx, STEP_MARK)
        if stands is None:
            step, keys = "announced", keys.announce()
        else:
            _require_time(datetime.fromisoformat(stands["at"]) + WAIT, now)
            promoted = stands["step"] == "promoted"
            step = "retired" if promoted else "promoted"
            keys = keys.retire() if promoted else keys.promote()
        marks.put_mark(tx, KEYS_MARK, runtime.sealer.seal(keys.dump()).hex())
        if step == "retired":
            marks.delete_mark(tx, STEP_MARK)
        else:
            marks.put_mark(tx, STEP_MARK, {"step": step, "at": now.isoformat()})
        audit.insert_audit(tx, by, "signing-key-rotate", now, subject=step)
    return SigningStep(step, None if step == "retired" else now + WAIT)


def _require_time(due: datetime, now: datetime) -> None:
    if now < due:
        raise BadInputError(
            f"The next step of this rotation may be taken from {due:%Y-%m-%d %H:%M} UTC: "
            "until then EHRs may know only the keys that they fetched before. Nothing "
            "was changed."
        )
