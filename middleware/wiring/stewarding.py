"""Stewardship of what is stored: hand out, erase, forget with time, change the key.

Each act is audited in its own transaction.
"""

from __future__ import annotations

import base64
import os
import re
import secrets
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mappings.endpoint import Endpoint
from mappings.errors import BadInputError, ConfigurationError
from middleware.sealing import KEY_BYTES, Sealer, read_keys
from middleware.storage import audit, endpoints, retention, sealed, stewarding
from middleware.storage.connecting import Tx
from middleware.wiring.runtime import Runtime

CHART_DAYS = 30
TEXT_DAYS = 365
MOST_ROUNDS = 200
_PATIENT = re.compile(r"Patient/[A-Za-z0-9.-]{1,64}")

KEPT = {
    "denials_kept": "{count} opt-outs with their numbers, so that nobody writes there",
    "pauses_kept": "{count} entries about pauses, without what was said",
    "events": "which versions of the EHR's resources were read, so that nothing that "
    "is past happens again",
    "deliveries": "when something was sent and the provider's own number for it, so "
    "that nothing is sent twice",
    "audit": "the audit trail, which now also says that this patient was erased",
}


@dataclass(frozen=True)
class Erased:
    """What an erasure did: rows by kind, and what was kept and why."""

    endpoint_id: str
    patient: str
    counts: dict[str, int]

    def sentences(self) -> tuple[str, ...]:
        """Return the result for a person, line by line."""
        emptied = ", ".join(
            f"{count} {name.replace('_', ' ')}"
            for name, count in self.counts.items()
            if count and name not in KEPT and name != "numbers_shared"
        )
        lines = [f"Erased of {self.patient}: {emptied or 'nothing was stored'}."]
        lines.append("Kept:")
        for name, words in KEPT.items():
            count = self.counts.get(name, 1)
            if count:
                lines.append(f"  {words.format(count=count)}")
        if self.counts.get("numbers_shared"):
            lines.append(
                f"  replies from {self.counts['numbers_shared']} numbers that other "
                "patients share"
            )
        lines.append(
            "The EHR still has the patient's chart and what was written there, and will "
            "go on telling of it: record the wish there, or pause the patient, if no "
            "messages are wanted. Backups keep what they hold until they are deleted."
        )
        return tuple(lines)

    def as_json(self) -> dict[str, Any]:
        """Return the result as one JSON object."""
        return {
            "endpoint": self.endpoint_id,
            "patient": self.patient,
            "rows": self.counts,
            "kept": list(KEPT),
        }


def export_patient(
    runtime: Runtime, endpoint_id: str, patient: str, by: str
) -> dict[str, Any]:
    """Return everything stored of one patient as one JSON object; BadInputError."""
    now = runtime.clock.now()
    with runtime.database.tx() as tx:
        require_patient(tx, endpoint_id, patient)
        audit.insert_audit(
            tx, by, "patient-export", now, endpoint_id=endpoint_id, patient=patient
        )
        found = stewarding.export_patient(tx, endpoint_id, patient)
    return {
        "endpoint": endpoint_id,
        "patient": patient,
        "exported_at": now.isoformat(),
        **found,
    }


def erase_patient(
    runtime: Runtime, endpoint_id: str, patient: str, by: str, *, reason: str
) -> Erased:
    """Erase what is stored of one patient; BadInputError while one is being sent."""
    now = runtime.clock.now()
    with runtime.database.tx() as tx:
        require_patient(tx, endpoint_id, patient)
        if stewarding.is_sending(tx, endpoint_id, patient):
            raise BadInputError(
                "A message to this patient is under way right now. Nothing was erased; "
                "try again in a minute."
            )
        counts = stewarding.erase_patient(tx, endpoint_id, patient, by, now)
        audit.insert_audit(
            tx,
            by,
            "patient-erase",
            now,
            endpoint_id=endpoint_id,
            patient=patient,
            detail={"reason": reason, "rows": counts},
        )
    return Erased(endpoint_id, patient, counts)


def forget_old(runtime: Runtime) -> dict[str, int]:
    """Empty what is older than it may be, in short transactions; periodic work."""
    total: Counter[str] = Counter()
    now = runtime.clock.now()
    for _ in range(MOST_ROUNDS):
        with runtime.database.tx() as tx:
            counts = retention.purge(tx, now, days=CHART_DAYS, text_days=TEXT_DAYS)
        total.update(counts)
        if max(counts.values()) < retention.BATCH:
            break
    return dict(total)


@dataclass(frozen=True)
class Rotated:
    """How far a change of the sealing key came, and what was sealed anew."""

    finished: bool
    keys: int
    counts: dict[str, int]

    def sentences(self) -> tuple[str, ...]:
        """Return the result for a person, line by line."""
        if not self.finished:
            return (
                "A new key stands first in the file and the old one still opens.",
                "Restart every process, on each machine that has the file.",
                "Then run `carecue key rotate --finish`.",
            )
        total = sum(self.counts.values())
        return (
            f"{total} secrets were sealed anew and only the new key is left in the file.",
            "Keep the old key as long as you keep backups from before today.",
        )

    def as_json(self) -> dict[str, Any]:
        """Return the result as one JSON object."""
        return {
            "finished": self.finished,
            "keys": self.keys,
            "resealed": self.counts,
        }


def begin_rotation(runtime: Runtime, by: str) -> Rotated:
    """Put a new key first in the file and keep the old one.

    Processes that run know only the old key, so nothing is sealed anew before they
    were started again. ConfigurationError when a rotation is under way already.
    """
    path = runtime.settings.secret_key_path
    keys = read_keys(path)
    if len(keys) > 1:
        raise ConfigurationError(
            f"{path} holds {len(keys)} keys: a rotation is under way. Nothing was "
            "changed; restart every process, then run `carecue key rotate --finish`."
        )
    _write_keys(path, (secrets.token_bytes(KEY_BYTES), *keys))
    now = runtime.clock.now()
    with runtime.database.tx() as tx:
        audit.insert_audit(tx, by, "key-rotate", now, subject="new key")
    return Rotated(finished=False, keys=len(keys) + 1, counts={})


def finish_rotation(runtime: Runtime, by: str) -> Rotated:
    """Seal everything under the first key, then drop the others from the file."""
    path = runtime.settings.secret_key_path
    keys = read_keys(path)
    if len(keys) < 2:
        raise BadInputError(
            f"{path} holds one key: there is nothing to finish. Begin with `carecue "
            "key rotate`."
        )
    every, newest = Sealer(keys), Sealer(keys[:1])
    with runtime.database.tx() as tx:
        counts = sealed.reseal(tx, lambda value: newest.seal(every.open(value)))
        now = runtime.clock.now()
        audit.insert_audit(tx, by, "key-rotate", now, subject="finished", detail=counts)
    _write_keys(path, keys[:1])
    return Rotated(finished=True, keys=1, counts=counts)


def _write_keys(path: Path, keys: tuple[bytes, ...]) -> None:
    """Replace the file whole, mode 0600: a crash leaves the old one or the new one."""
    fresh = path.with_name(f"{path.name}.new")
    fresh.unlink(missing_ok=True)
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(b"".join(base64.b64encode(key) + b"\n" for key in keys))
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)


def require_patient(tx: Tx, endpoint_id: str, patient: str) -> Endpoint:
    """Return the endpoint of a patient's reference; BadInputError for what is none."""
    if not _PATIENT.fullmatch(patient):
        raise BadInputError(
            "--patient must be a reference like Patient/123. Nothing was changed."
        )
    endpoint = endpoints.get_endpoint(tx, endpoint_id)
    if endpoint is None:
        raise BadInputError(
            f"There is no endpoint {endpoint_id!r}. `carecue endpoint list` names them. "
            "Nothing was changed."
        )
    return endpoint
