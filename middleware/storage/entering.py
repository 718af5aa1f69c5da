"""What a page of an open launch stands on, in one statement: launch, EHR, last answer.

The first piece of a page waits for this and for nothing else of the database. That it
is shown is audited by the same statement, where the launch may be shown at all.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from mappings.endpoint import Endpoint
from middleware.storage import endpoints, last_answers, launches
from middleware.storage.audit import LOOKED, SAME_LOOK
from middleware.storage.connecting import Row, Tx
from middleware.storage.last_answers import LastAnswer
from middleware.storage.launches import LaunchRow

_LAUNCH = ", ".join(f"l.{name}" for name in launches.NAMES)
_STANDING = last_answers.write_standing("n.endpoint_id", "n.patient", "a.points")
_ENTER = f"""
WITH entered AS (
  SELECT {_LAUNCH}, e.record, {endpoints.ROLLOUT} AS rollout,
         l.stage = 'open' AND l.cookie_hash = %(cookie)s AND l.look IS NOT NULL
         AND %(now)s < least(l.expires_at,
                 coalesce(l.seen_at, l.created_at) + interval '1 minute'
                 * (e.record #>> '{{app,idle_minutes}}')::numeric) AS lives
    FROM launch AS l LEFT JOIN endpoint AS e ON e.id = l.endpoint_id
   WHERE l.id = %(id)s),
looked AS (
  SELECT %(now)s::timestamptz AS at, %(looked)s::timestamptz AS since,
         look ->> 'who' AS who, endpoint_id, patient, id AS launch_id,
         look -> 'detail' AS detail, (look ->> 'shard')::int AS shard,
         coalesce(record #> '{{profile,audit_events}}' = 'true', false) AS tell
    FROM entered WHERE lives AND %(look)s::boolean),
{LOOKED}
SELECT n.*, a.answer AS last_said, a.written_at AS last_at
  FROM entered AS n
  LEFT JOIN last_answer AS a
    ON n.lives AND a.endpoint_id = n.endpoint_id AND a.patient = n.patient
   AND a.reader = n.look ->> 'who' AND a.language = coalesce(n.language, %(language)s)
   AND a.written_at >= %(since)s AND a.standing = ({_STANDING})
"""  # noqa: S608 -- constants
_BEGUN = f"""
SELECT {_LAUNCH}, e.record, {endpoints.ROLLOUT} AS rollout
  FROM launch AS l LEFT JOIN endpoint AS e ON e.id = l.endpoint_id
 WHERE l.state_hash = %(state)s
"""  # noqa: S608 -- constants


@dataclass(frozen=True)
class Coming:
    """Who comes to a launch: the hash of the cookie's secret, and what they read.

    ``language`` is the tag where the launch has none of its own. With ``looks`` they
    are shown the first piece of the page, which is audited.
    """

    cookie_hash: str
    language: str
    now: datetime
    looks: bool = False


@dataclass(frozen=True)
class Entry:
    """A launch with its endpoint, None where that was removed.

    ``last`` is what the page last said to the launch's user in their language.
    """

    launch: LaunchRow
    endpoint: Endpoint | None
    last: LastAnswer | None = None


def read_entry(tx: Tx, launch_id: str, coming: Coming, kept: timedelta) -> Entry | None:
    """Return a launch and what its page begins with; None when there is no such one.

    What was last said is left out where it is older than ``kept``, or where the launch
    may not be shown to who comes: only then is nothing audited either.
    """
    values = {
        **last_answers.WORDS,
        "id": launch_id,
        "cookie": coming.cookie_hash,
        "language": coming.language,
        "now": coming.now,
        "look": coming.looks,
        "looked": coming.now - SAME_LOOK,
        "since": coming.now - kept,
    }
    row = tx.execute(_ENTER, values).fetchone()
    return _read(row) if row else None


def find_begun(tx: Tx, state_hash: str) -> Entry | None:
    """Return the launch that an authorization response belongs to, and its endpoint."""
    row = tx.execute(_BEGUN, {"state": state_hash}).fetchone()
    return _read(row) if row else None


def _read(row: Row) -> Entry:
    said = row.get("last_said")
    return Entry(
        LaunchRow(**{name: row[name] for name in launches.NAMES}),
        endpoints.read_endpoint(row) if row["record"] else None,
        LastAnswer(said, row["last_at"]) if said is not None else None,
    )
