"""The accounting of one patient: everybody who saw or changed something, in order."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from mappings.audit_event import write_audit_event
from mappings.audited import (
    Audited,
    name_subject,
    say_action,
    say_subject,
    say_who,
)
from mappings.endpoint import Endpoint
from middleware.storage import audit
from middleware.wiring.runtime import Runtime
from middleware.wiring.stewarding import require_patient

# What an entry may say to whoever asks: no value of a chart, and nobody else's id.
TOLD = (
    "view",
    "service",
    "read",
    "iss",
    "sub",
    "fhir_user",
    "intent",
    "encounter",
    "fhir_context",
    "by",
    "count",
    "scope",
    "code",
    "reason",
)


@dataclass(frozen=True)
class Accounting:
    """What the audit has of one patient, and of records that were merged into theirs."""

    endpoint: Endpoint
    patient: str
    entries: tuple[Audited, ...]

    def as_json(self) -> dict[str, Any]:
        """Return it as one JSON object."""
        return {
            "endpoint": self.endpoint.id,
            "patient": self.patient,
            "entries": [_tell(entry) for entry in self.entries],
        }

    def as_bundle(self, release: str) -> dict[str, Any]:
        """Return it as a Bundle of AuditEvents, in R4 or R5."""
        events = [
            write_audit_event(
                entry, entry.patient or self.patient, self.endpoint, release
            )
            for entry in self.entries
        ]
        return {
            "resourceType": "Bundle",
            "type": "collection",
            "entry": [{"resource": event} for event in events],
        }

    def sentences(self) -> tuple[str, ...]:
        """Return it for a person, one line an entry."""
        return tuple(_say(entry) for entry in self.entries)


def account_patient(
    runtime: Runtime,
    endpoint_id: str,
    patient: str,
    by: str,
    *,
    since: datetime | None,
) -> Accounting:
    """Return who saw and changed what of a patient; BadInputError. Audited itself."""
    now = runtime.clock.now()
    with runtime.database.tx() as tx:
        endpoint = require_patient(tx, endpoint_id, patient)
        entries = audit.list_concerning(tx, endpoint_id, patient, since)
        audit.insert_audit(
            tx, by, "patient-audit", now, endpoint_id=endpoint_id, patient=patient
        )
    return Accounting(endpoint, patient, tuple(entries))


def _tell(entry: Audited) -> dict[str, Any]:
    told = {name: entry.detail[name] for name in TOLD if entry.detail.get(name)}
    return {
        "at": entry.at.isoformat(),
        "who": entry.who,
        "action": entry.action,
        "subject": name_subject(entry) or None,
        **told,
    }


def _say(entry: Audited) -> str:
    read = entry.detail.get("read") or {}
    parts = (
        f"{entry.at:%Y-%m-%d %H:%M:%S}",
        say_who(entry),
        say_action(entry),
        entry.detail.get("service"),
        ", ".join(f"{name} {count}" for name, count in read.items()),
        say_subject(entry),
    )
    return "  ".join(str(part) for part in parts if part)
