"""The audit as the console lists it: who did what, in words. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from mappings.audited import Audited, say_action, say_subject, say_who
from middleware.web.words import PlanWords

HOLDS = frozenset({"hold", "release"})


@dataclass(frozen=True)
class AuditRow:
    """One entry in words; ``reason`` is empty where none was given."""

    at: datetime
    who: str
    action: str
    subject: str
    patient: str
    reason: str


def write_rows(entries: list[Audited], plans: PlanWords) -> tuple[AuditRow, ...]:
    """Return the entries in words, in their order."""
    return tuple(_row(entry, plans) for entry in entries)


def _row(entry: Audited, plans: PlanWords) -> AuditRow:
    reason = entry.detail.get("reason")
    subject = say_subject(entry)
    if entry.action in HOLDS:
        scope, _, target = subject.partition(":")
        subject = plans.target(scope, target)
    return AuditRow(
        at=entry.at,
        who=say_who(entry),
        action=say_action(entry),
        subject=subject,
        patient=entry.patient or "",
        reason=plans.reason(reason) if isinstance(reason, str) else "",
    )
