"""What the page of a patient last said to whom; soon forgotten.

It is kept by reader: an EHR may show one person what it withholds from another.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg.types.json import Jsonb

from middleware.storage.connecting import Tx

# It grows with every record and every switch that may change what is said.
_STANDING = """
SELECT coalesce((SELECT max(seq) FROM preference AS p
                  WHERE p.endpoint_id = %(endpoint)s AND p.patient = %(patient)s), 0)
     + coalesce((SELECT max(seq) FROM consent AS c
                  WHERE c.endpoint_id = %(endpoint)s AND c.patient = %(patient)s), 0)
     + coalesce((SELECT max(c.seq) FROM bearer AS b
                   JOIN consent AS c ON c.system = b.system AND c.value = b.value
                  WHERE b.endpoint_id = %(endpoint)s AND b.patient = %(patient)s), 0)
     + (SELECT count(*) + count(released_at) FROM switch)
       AS standing
"""
_READ = f"""
SELECT answer, written_at FROM last_answer
 WHERE endpoint_id = %(endpoint)s AND patient = %(patient)s AND reader = %(reader)s
   AND language = %(language)s AND written_at >= %(since)s AND standing = ({_STANDING})
"""  # noqa: S608 -- constants
_PUT = """
INSERT INTO last_answer
       (endpoint_id, patient, reader, language, answer, standing, written_at)
VALUES (%(endpoint)s, %(patient)s, %(reader)s, %(language)s, %(answer)s, %(standing)s,
        %(at)s)
    ON CONFLICT (endpoint_id, patient, reader, language) DO UPDATE
   SET answer = excluded.answer, standing = excluded.standing,
       written_at = excluded.written_at
 WHERE last_answer.written_at <= excluded.written_at
"""


@dataclass(frozen=True)
class About:
    """Of whom (``Patient/id``), to whom, and in which language it was said."""

    endpoint_id: str
    patient: str
    reader: str
    language: str

    @property
    def values(self) -> dict[str, Any]:
        """Return the parameters of a statement."""
        return {
            "endpoint": self.endpoint_id,
            "patient": self.patient,
            "reader": self.reader,
            "language": self.language,
        }


@dataclass(frozen=True)
class LastAnswer:
    """An answer as JSON, and when it was written."""

    answer: dict[str, Any]
    written_at: datetime


def read_standing(tx: Tx, endpoint_id: str, patient: str) -> int:
    """Return a number that changes with our own record of a patient."""
    values = {"endpoint": endpoint_id, "patient": patient}
    row = tx.execute(_STANDING, values).fetchone()
    return int(row["standing"]) if row else 0


def read_last_answer(tx: Tx, about: About, since: datetime) -> LastAnswer | None:
    """Return what was last said, unless it is older or our record changed."""
    row = tx.execute(_READ, {**about.values, "since": since}).fetchone()
    return LastAnswer(row["answer"], row["written_at"]) if row else None


def put_last_answer(
    tx: Tx, about: About, answer: dict[str, Any], *, standing: int, at: datetime
) -> None:
    """Keep what the page says now, of the record as it stood."""
    said = {"answer": Jsonb(answer), "standing": standing, "at": at}
    tx.execute(_PUT, {**about.values, **said})


def delete_old_answers(tx: Tx, before: datetime) -> int:
    """Forget what was written before an instant; return how many."""
    done = tx.execute("DELETE FROM last_answer WHERE written_at < %s", (before,))
    return done.rowcount
