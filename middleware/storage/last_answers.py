"""What the page of a patient last said to whom; soon forgotten.

It is kept by reader: an EHR may show one person what it withholds from another.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg.types.json import Jsonb

from middleware.storage.connecting import Tx
from middleware.storage.marks import RESTORE_UNCHECKED
from middleware.storage.tasks import HOLDING_REASON

WORDS = {"holding": HOLDING_REASON, "unchecked": RESTORE_UNCHECKED}

_STANDING = """
WITH at AS (SELECT e ->> 0 AS s, e ->> 1 AS v FROM jsonb_array_elements({points}) AS e)
SELECT hashtextextended(concat_ws('|',
    (SELECT max(p.seq) FROM preference AS p
      WHERE p.endpoint_id = {endpoint} AND p.patient = ANY(r.records)),
    '#', (SELECT max(c.seq) FROM consent AS c
      WHERE c.endpoint_id = {endpoint} AND c.patient = ANY(r.records)),
    '#', (SELECT max(c.seq) FROM consent AS c JOIN at ON at.s = c.system AND at.v = c.value),
    '#', (SELECT string_agg(concat_ws(' ', b.system, b.value, b.bad_reason,
                                      extract(epoch FROM b.bad_at)), ','
                            ORDER BY b.system, b.value)
            FROM contact_point AS b JOIN at ON at.s = b.system AND at.v = b.value
           WHERE b.bad_reason IS NOT NULL),
    '#', (SELECT string_agg(t.id, ',' ORDER BY t.id) FROM staff_task AS t
           WHERE t.state = 'requested' AND t.reason = %(holding)s
             AND ((t.endpoint_id = {endpoint} AND t.patient = ANY(r.records))
                  OR EXISTS (SELECT FROM inbound AS i JOIN at ON at.s = i.channel
                                AND at.v = i.address
                              WHERE split_part(t.id, '|', 1) = 'task-reply'
                                AND i.id::text = split_part(t.id, '|', 2)))),
    '#', r.merged, array_to_string(r.records, ','),
    '#', (SELECT concat(count(*), '+', count(released_at)) FROM switch),
    '#', (SELECT count(*) FROM mark WHERE name = %(unchecked)s)), 0) AS standing
  FROM (SELECT array_append(array_agg(o.patient ORDER BY o.patient), {patient}::text)
               AS records,
               (SELECT l.merged_into FROM patient_lock AS l WHERE
                 l.endpoint_id = {endpoint} AND l.patient = {patient}) AS merged
          FROM patient_lock AS o
         WHERE o.endpoint_id = {endpoint} AND o.merged_into = {patient}) AS r
"""


def write_standing(endpoint: str, patient: str, points: str) -> str:
    """Return the statement that says how our own record of a patient stands.

    It changes with every record, hold and place that may change what is said. The
    arguments are columns or places of a statement, never values; ``WORDS`` are its
    own.
    """
    return _STANDING.format(endpoint=endpoint, patient=patient, points=points)


_NOW = write_standing("%(endpoint)s", "%(patient)s", "%(points)s::jsonb")
_PUT = """
INSERT INTO last_answer (endpoint_id, patient, reader, language, answer, standing, points,
                         written_at)
VALUES (%(endpoint)s, %(patient)s, %(reader)s, %(language)s, %(answer)s, %(standing)s,
        %(points)s, %(at)s)
    ON CONFLICT (endpoint_id, patient, reader, language) DO UPDATE
   SET answer = excluded.answer, standing = excluded.standing, points = excluded.points,
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


@dataclass(frozen=True)
class Standing:
    """How our record stands; ``points`` are the places that what is said rests on."""

    mark: int = 0
    points: tuple[tuple[str, str], ...] = ()


def read_standing(
    tx: Tx, endpoint_id: str, patient: str, points: Collection[tuple[str, str]]
) -> Standing:
    """Return a mark that changes with our own record of a patient and these places.

    ``points`` are (system, value) of the patient and of whoever stands beside.
    """
    known = tuple(sorted(set(points)))
    values = {**WORDS, "endpoint": endpoint_id, "patient": patient}
    row = tx.execute(_NOW, {**values, "points": Jsonb(known)}).fetchone()
    return Standing(int(row["standing"]), known) if row else Standing()


def put_last_answer(
    tx: Tx, about: About, answer: dict[str, Any], *, standing: Standing, at: datetime
) -> None:
    """Keep what the page says now, of the record as it stood."""
    said = {
        "answer": Jsonb(answer),
        "standing": standing.mark,
        "points": Jsonb(standing.points),
        "at": at,
    }
    tx.execute(_PUT, {**about.values, **said})


def delete_old_answers(tx: Tx, before: datetime) -> int:
    """Forget what was written before an instant; return how many."""
    done = tx.execute("DELETE FROM last_answer WHERE written_at < %s", (before,))
    return done.rowcount
