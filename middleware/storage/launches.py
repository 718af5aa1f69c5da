"""SMART launches: one row each, with the tokens sealed.

What is looked up by is kept as a hash; ``sealed`` is opened by the room that sealed it.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

from psycopg import sql
from psycopg.types.json import Jsonb

from middleware.storage.connecting import Tx

_COLUMNS = (
    "id, endpoint_id, state_hash, cookie_hash, sealed, patient, encounter, "
    "user_reference, user_name, scope, need_patient_banner, stage, created_at, "
    "expires_at, seen_at, error, language, context, steps, renewing_at, "
    "handoff_hash, handoff_until, look"
)
_FAILURE = "id, at, code, endpoint_id, coalesce(detail ->> 'found', '') AS found"
NAMES = tuple(_COLUMNS.split(", "))
MOST_FAILURES = 2000
_JSON = ("context", "steps", "look")
_VALUES = ", ".join(f"%({name})s" for name in NAMES)
_CHANGEABLE = frozenset(NAMES) - {"id"}


@dataclass(frozen=True)
class LaunchRow:
    """A row of ``launch``; ``stage`` says how far it came (the SMART app's word).

    ``context`` is what the launch was told beside patient and encounter; ``steps`` is
    the way it went, ids and codes only. ``renewing_at`` is set while one process asks
    for a new token, ``handoff_hash`` while a window of its own may take over. ``look``
    is what the audit says of the first piece of its page: who, which shard, detail.
    """

    id: str
    endpoint_id: str
    state_hash: str | None
    cookie_hash: str
    sealed: bytes
    patient: str | None
    encounter: str | None
    user_reference: str | None
    user_name: str | None
    scope: str | None
    need_patient_banner: bool | None
    stage: str
    created_at: datetime
    expires_at: datetime
    seen_at: datetime | None = None
    error: str | None = None
    language: str | None = None
    context: dict[str, Any] = field(default_factory=dict)
    steps: list[dict[str, Any]] = field(default_factory=list)
    renewing_at: datetime | None = None
    handoff_hash: str | None = None
    handoff_until: datetime | None = None
    look: dict[str, Any] | None = None

    @property
    def who(self) -> str:
        """Return the user for the audit: a reference, else issuer and subject."""
        issuer, subject = self.context.get("iss", ""), self.context.get("sub", "")
        return self.user_reference or f"{issuer} {subject}".strip()

    @property
    def user(self) -> str:
        """Return the user by every name that is known; empty where none is.

        Two people may have one name, and a reference means nothing without its EHR.
        """
        names = (self.context.get("iss"), self.context.get("sub"), self.user_reference)
        return "|".join(str(name or "") for name in names) if any(names) else ""


def insert_launch(tx: Tx, row: LaunchRow) -> None:
    """Add a launch."""
    tx.execute(
        f"INSERT INTO launch ({_COLUMNS}) VALUES ({_VALUES})",  # noqa: S608 -- constants
        _values(asdict(row)),
    )


def get_launch(tx: Tx, launch_id: str) -> LaunchRow | None:
    """Return one launch."""
    row = tx.execute(
        f"SELECT {_COLUMNS} FROM launch WHERE id = %s",  # noqa: S608 -- constants
        (launch_id,),
    ).fetchone()
    return LaunchRow(**row) if row else None


def update_launch(tx: Tx, launch_id: str, **changes: Any) -> bool:
    """Set the given columns (also to None); False when there is no such launch."""
    unknown = set(changes) - _CHANGEABLE
    if unknown or not changes:
        raise ValueError(f"not columns of launch: {sorted(unknown)}")
    assignments = sql.SQL(", ").join(
        sql.SQL("{} = {}").format(sql.Identifier(name), sql.Placeholder(name))
        for name in changes
    )
    statement = sql.SQL("UPDATE launch SET {} WHERE id = {}").format(
        assignments, sql.Placeholder("launch_id")
    )
    return (
        tx.execute(statement, _values({**changes, "launch_id": launch_id})).rowcount
        == 1
    )


def set_last_fault(tx: Tx, launch_id: str, fault: dict[str, str]) -> None:
    """Keep what did not work last; no step, for those count what is sealed."""
    tx.execute(
        "UPDATE launch SET context = context || jsonb_build_object('last_fault', %s) "
        "WHERE id = %s",
        (Jsonb(fault), launch_id),
    )


def take_known_name(tx: Tx, row: LaunchRow, since: datetime) -> None:
    """Call the user of a launch as an earlier one did, if that was read ``since``."""
    tx.execute(
        "UPDATE launch AS l SET user_name = known.user_name, "
        "context = l.context || jsonb_build_object('named_at', known.named_at) "
        "FROM (SELECT user_name, context ->> 'named_at' AS named_at FROM launch "
        "WHERE endpoint_id = %s AND user_reference = %s AND user_name <> '' "
        "AND (context ->> 'named_at')::timestamptz >= %s "
        "ORDER BY created_at DESC LIMIT 1) AS known WHERE l.id = %s",
        (row.endpoint_id, row.user_reference, since, row.id),
    )


def set_user_name(tx: Tx, launch_id: str, name: str, read_at: datetime) -> None:
    """Write how the user of a launch is called, as was read now."""
    tx.execute(
        "UPDATE launch SET user_name = %s, context = context || %s WHERE id = %s",
        (name, Jsonb({"named_at": read_at.isoformat()}), launch_id),
    )


def claim_renewal(tx: Tx, row: LaunchRow, now: datetime) -> bool:
    """Say that this process asks for a new token; False when another does already.

    False too where the launch went on since ``row`` was read: what is sealed in it was
    renewed or handed over, and must not be used again.
    """
    claimed = tx.execute(
        "UPDATE launch SET renewing_at = %s WHERE id = %s AND stage IN ('open', 'picking') "
        "AND renewing_at IS NULL AND jsonb_array_length(steps) = %s",
        (now, row.id, len(row.steps)),
    )
    return claimed.rowcount == 1


def settle_renewal(tx: Tx, row: LaunchRow) -> bool:
    """Keep what came of a renewal; False when the launch was closed meanwhile."""
    # Its last step alone is new: the patient may have been chosen since it was read.
    settled = tx.execute(
        "UPDATE launch SET sealed = %s, steps = steps || %s, scope = %s, renewing_at = NULL "
        "WHERE id = %s AND stage IN ('open', 'picking')",
        (row.sealed, Jsonb(row.steps[-1:]), row.scope, row.id),
    )
    return settled.rowcount == 1


def bind_patient(tx: Tx, row: LaunchRow) -> bool:
    """Give a launch that waits for it its patient; False for any other.

    Its last step alone is new: the token may have been renewed since it was read.
    """
    bound = tx.execute(
        "UPDATE launch SET patient = %s, stage = %s, seen_at = %s, steps = steps || %s, "
        "need_patient_banner = %s, look = %s "
        "WHERE id = %s AND stage = 'picking' AND patient IS NULL",
        (
            row.patient,
            row.stage,
            row.seen_at,
            Jsonb(row.steps[-1:]),
            row.need_patient_banner,
            Jsonb(row.look),
            row.id,
        ),
    )
    return bound.rowcount == 1


def lock_handoff(tx: Tx, code_hash: str, now: datetime) -> LaunchRow | None:
    """Lock the open launch that a code hands over; None while its token is renewed."""
    row = tx.execute(
        f"SELECT {_COLUMNS} FROM launch WHERE handoff_hash = %s "  # noqa: S608 -- constants
        "AND handoff_until > %s AND stage = 'open' AND renewing_at IS NULL FOR UPDATE",
        (code_hash, now),
    ).fetchone()
    return LaunchRow(**row) if row else None


def end_launch(tx: Tx, row: LaunchRow) -> bool:
    """Close a launch that goes on, with nothing sealed left; False for any other."""
    ended = tx.execute(
        "UPDATE launch SET stage = %s, error = %s, steps = %s, sealed = '', "
        "renewing_at = NULL, handoff_hash = NULL "
        "WHERE id = %s AND stage IN ('open', 'picking')",
        (row.stage, row.error, Jsonb(row.steps), row.id),
    )
    return ended.rowcount == 1


def take_launch_state(tx: Tx, state_hash: str) -> bool:
    """Use up the ``state`` of a launch: a second response with it finds nothing."""
    used = tx.execute(
        "UPDATE launch SET state_hash = NULL WHERE state_hash = %s", (state_hash,)
    )
    return used.rowcount == 1


def insert_failure(tx: Tx, row: FailureRow) -> None:
    """Keep that a launch failed before there was one.

    Anybody may cause these, so that only the newest are kept.
    """
    tx.execute(
        "INSERT INTO launch_failure (id, at, code, endpoint_id, detail) VALUES (%(id)s, "
        "%(at)s, %(code)s, %(endpoint_id)s, jsonb_build_object('found', %(found)s::text))",
        asdict(row),
    )
    tx.execute(
        "DELETE FROM launch_failure WHERE at <= (SELECT at FROM launch_failure "
        "ORDER BY at DESC OFFSET %s LIMIT 1)",
        (MOST_FAILURES,),
    )


def empty_expired_launches(tx: Tx, now: datetime) -> int:
    """Forget the tokens of launches whose time is over; return how many."""
    emptied = "UPDATE launch SET sealed = '' WHERE sealed <> '' AND expires_at < %s"
    return tx.execute(emptied, (now,)).rowcount


def delete_expired_launches(tx: Tx, before: datetime) -> int:
    """Remove launches that expired before an instant; return how many."""
    tx.execute("DELETE FROM launch_failure WHERE at < %s", (before,))
    return tx.execute("DELETE FROM launch WHERE expires_at < %s", (before,)).rowcount


@dataclass(frozen=True)
class FailureRow:
    """A row of ``launch_failure``: a launch that failed before it was one."""

    id: str
    at: datetime
    code: str
    endpoint_id: str | None = None
    found: str = ""


def list_launches(tx: Tx, limit: int) -> list[LaunchRow]:
    """List the newest launches first."""
    rows = tx.execute(
        f"SELECT {_COLUMNS} FROM launch ORDER BY created_at DESC LIMIT %s",  # noqa: S608 -- constants
        (limit,),
    )
    return [LaunchRow(**row) for row in rows]


def list_failures(tx: Tx, limit: int) -> list[FailureRow]:
    """List the newest failures without a launch first."""
    rows = tx.execute(
        f"SELECT {_FAILURE} FROM launch_failure ORDER BY at DESC LIMIT %s",  # noqa: S608 -- constants
        (limit,),
    )
    return [FailureRow(**row) for row in rows]


def find_by_prefix(tx: Tx, start: str) -> list[LaunchRow | FailureRow]:
    """Return what begins with the short id that a page shows; two at the most."""
    pattern = f"{start}%"
    launches = tx.execute(
        f"SELECT {_COLUMNS} FROM launch WHERE id LIKE %s LIMIT 2",  # noqa: S608 -- constants
        (pattern,),
    )
    found: list[LaunchRow | FailureRow] = [LaunchRow(**row) for row in launches]
    failures = tx.execute(
        f"SELECT {_FAILURE} FROM launch_failure WHERE id LIKE %s LIMIT 2",  # noqa: S608 -- constants
        (pattern,),
    )
    return [*found, *(FailureRow(**row) for row in failures)][:2]


def _values(values: dict[str, Any]) -> dict[str, Any]:
    return {
        name: Jsonb(value) if name in _JSON and value is not None else value
        for name, value in values.items()
    }
