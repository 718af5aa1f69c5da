"""A store and a clock for the receiver, and what it answers."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from mappings.errors import StorageError
from subscriptions.receiver import (
    Received,
    Registered,
)

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


OLD, NEW = "old-secret-0123456789", "new-secret-0123456789"


REGISTERED = Registered("s1", "e1", "Encounter", (NEW, OLD))


@dataclass
class Memory:
    """A store that remembers, or fails when it is told to."""

    registered: Registered = REGISTERED
    kept: list[Received] = field(default_factory=list)
    broken: bool = False

    def find(
        self, hook_key: str, until: float, *, fresh: bool = False
    ) -> Registered | None:
        return self.registered if hook_key == "hook" else None

    def keep(self, registered: Registered, received: Received, until: float) -> None:
        assert registered is self.registered
        if self.broken:
            raise StorageError("the database is down")
        self.kept.append(received)


class Stopped:
    def now(self) -> datetime:
        return NOW


def read(answer: Any) -> tuple[int, str, dict[str, Any]]:
    return answer.status_code, answer.content_type, json.loads(answer.data)


ACCEPTED = (
    200,
    "application/fhir+json",
    {"resourceType": "Bundle", "type": "transaction-response"},
)
