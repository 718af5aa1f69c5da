"""Where each answer of a patient is kept: what became of it on its way to the EHR."""

from __future__ import annotations

from dataclasses import dataclass

from middleware.storage.connecting import Tx
from middleware.storage.differing import task_id

# An answer's outbox key: endpoint, the word, the record's id and the patient's.
_KEY = "endpoint_id || '|answer|' || id || '.' || split_part(patient, '/', 2)"
_SEEN = '$.item[*] ? (@.linkId == "seen").answer[0].valueString'
_PREFERENCES = f"""
SELECT p.name, o.state, o.server_reference, o.attempts, o.error,
       jsonb_path_query_first(o.resource, '{_SEEN}') #>> '{{}}' AS seen,
       coalesce(t.state = 'requested', false) AS asked
  FROM (SELECT DISTINCT ON (name) name, id, {_KEY} AS key FROM preference
         WHERE endpoint_id = %(endpoint)s AND patient = %(patient)s
         ORDER BY name, seq DESC) AS p LEFT JOIN outbox AS o ON o.key = p.key
  LEFT JOIN staff_task AS t ON t.id = '{task_id("")}' || p.id
"""  # noqa: S608 -- constants
_CONSENTS = f"""
SELECT c.id AS name, o.state, o.server_reference, o.attempts, o.error
  FROM (SELECT id, {_KEY} AS key FROM consent
         WHERE endpoint_id = %(endpoint)s AND patient = %(patient)s) AS c
  LEFT JOIN outbox AS o ON o.key = c.key
"""  # noqa: S608 -- constants


@dataclass(frozen=True)
class Written:
    """What became of one answer; ``state`` is the outbox's, None where it has no row.

    ``seen`` marks what the chart said of it when it was given
    (:func:`mappings.amending.mark_elements`); ``asked``: a task to correct the chart is open.
    """

    state: str | None
    server_reference: str | None
    attempts: int | None
    error: str | None
    seen: str | None = None
    asked: bool = False


def list_written(tx: Tx, endpoint_id: str, patient: str) -> dict[str, Written]:
    """Return it for the newest record of each preference, by name, and each consent by id."""
    values = {"endpoint": endpoint_id, "patient": patient}
    found: dict[str, Written] = {}
    for statement in (_PREFERENCES, _CONSENTS):
        for row in tx.execute(statement, values):
            name = row.pop("name")
            found[name] = Written(**row)
    return found
