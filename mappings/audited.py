"""An entry of the audit: who did what, when, to whom and why. Ids, codes and counts."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

VIEWED = "chart-viewed"
SEARCHED = "patients-searched"


@dataclass(frozen=True)
class Audited:
    """One entry (a row of ``audit``).

    ``who`` is a reference at the EHR, else issuer and subject, else an administrator's
    name; ``subject`` is what was acted on: a launch, a preference, a message.
    """

    id: int
    at: datetime
    who: str
    action: str
    endpoint_id: str | None
    patient: str | None
    subject: str | None
    detail: dict[str, Any]
