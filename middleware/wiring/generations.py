"""Noticing by itself that the database was restored, copied or failed over.

A counter in the database goes up each minute; a small file outside of it remembers
the highest that this machine saw. A database that is behind the file has forgotten
something, and so may one that runs on another server than it says.
"""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path

import orjson
import structlog

from middleware.storage import audit, restoring
from middleware.storage.connecting import Tx
from middleware.storage.restoring import Generation, RestoreMark
from middleware.wiring.runtime import Runtime

OVERLAP = timedelta(hours=1)
WHO = "carecue"

_log = structlog.get_logger(__name__)


def generation_file(runtime: Runtime) -> Path:
    """Return the file beside which no database backup lies: ``generation`` at home."""
    return runtime.settings.home.expanduser() / "generation"


def check_generation(runtime: Runtime) -> bool:
    """Hold everything when the database was restored; return whether it was.

    Call it before a process serves or works. It changes nothing otherwise.
    """
    with runtime.database.tx() as tx:
        restoring.lock_generation(tx)
        return _hold_if_restored(runtime, tx) is not None


def note_generation(runtime: Runtime) -> int:
    """Count one further in the database, then in the file; return the generation.

    Call it at the start, after :func:`check_generation`, and each minute.
    """
    with runtime.database.tx() as tx:
        restoring.lock_generation(tx)
        _hold_if_restored(runtime, tx)
        known = restoring.read_generation(tx)
        noted = Generation(
            number=known.number + 1 if known else 1,
            at=runtime.clock.now(),
            lineage=known.lineage if known else runtime.ids.new(),
            incarnation=restoring.read_incarnation(tx),
        )
        restoring.put_generation(tx, noted)
    # The file comes after the commit: it may be behind, never ahead by our doing.
    _write_file(generation_file(runtime), noted)
    return noted.number


def _hold_if_restored(runtime: Runtime, tx: Tx) -> str | None:
    known = restoring.read_generation(tx)
    if known is None:
        return None
    seen = _read_file(generation_file(runtime), known.lineage)
    why = _sign(known, seen, restoring.read_incarnation(tx))
    if why is None:
        return None
    now = runtime.clock.now()
    restoring.put_restore_mark(tx, RestoreMark(now, known.at - OVERLAP, why))
    ahead = max(known.number, seen) + 1
    present = restoring.read_incarnation(tx) or known.incarnation
    restoring.put_generation(tx, Generation(ahead, now, known.lineage, present))
    audit.insert_audit(tx, WHO, "restore-noticed", now, detail={"why": why})
    _log.warning("restored database noticed; all messages are held", reason=why)
    return why


def _sign(
    known: Generation, seen: int, present: dict[str, object] | None
) -> str | None:
    if seen > known.number:
        return "the database is older than this machine has seen it"
    if present is None or known.incarnation is None:
        return None
    for name, why in (
        ("system", "the database was moved to another server"),
        ("number", "the database is a copy under another name"),
        ("timeline", "the server was recovered to a point in time or failed over"),
    ):
        if present.get(name) != known.incarnation.get(name):
            return why
    return None


def _read_file(path: Path, lineage: str) -> int:
    """Return the generation of this very database that the file remembers, or 0."""
    try:
        value = orjson.loads(path.read_bytes())
        return int(value["number"]) if value["lineage"] == lineage else 0
    except (OSError, ValueError, KeyError, TypeError):
        return 0


def _write_file(path: Path, generation: Generation) -> None:
    """Replace the file whole; a file that is further already stays.

    A home that cannot be written to costs this sign alone; it is logged.
    """
    if _read_file(path, generation.lineage) >= generation.number:
        return
    value = {"lineage": generation.lineage, "number": generation.number}
    fresh = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        fresh.write_bytes(orjson.dumps(value))
        fresh.replace(path)
    except OSError as error:
        _log.warning("generation file not written", error=type(error).__name__)
