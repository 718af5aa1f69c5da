"""Places that were said here to be a patient's, or not to be, beside what charts say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mappings.telecom import OUT
from middleware.storage.connecting import Tx

Address = tuple[str, str]
_TOLD = """
SELECT patient, value ->> 'system' AS system, value ->> 'value' AS value,
       value ->> 'state' AS state
  FROM (SELECT patient, value FROM preference
         WHERE endpoint_id = %(endpoint)s AND patient = ANY(%(patients)s)
           AND name = 'confidential' AND jsonb_typeof(value) = 'object'
         UNION
        (SELECT DISTINCT ON (patient, name) patient, value FROM preference
          WHERE endpoint_id = %(endpoint)s AND patient = ANY(%(patients)s)
            AND name LIKE 'telecom:%%' ORDER BY patient, name, seq DESC)) AS said
 WHERE value ->> 'value' IS NOT NULL ORDER BY 1, 2, 3
"""


@dataclass(frozen=True)
class Told:
    """Places that a patient's records name: ``used`` count beside the chart's.

    ``ended`` are not the patient's any more, whatever the chart says.
    """

    used: tuple[Address, ...] = ()
    ended: frozenset[Address] = frozenset()


def list_told(tx: Tx, endpoint_id: str, patients: Sequence[str]) -> dict[str, Told]:
    """Return the (system, value) that were said of each patient, where some were.

    They are the places to be reached at only, and what was last said of a number.
    """
    found: dict[str, tuple[list[Address], set[Address]]] = {}
    for row in tx.execute(_TOLD, {"endpoint": endpoint_id, "patients": list(patients)}):
        used, ended = found.setdefault(row["patient"], ([], set()))
        place = (row["system"], row["value"])
        if row["state"] in OUT:
            ended.add(place)
        else:
            used.append(place)
    return {
        name: Told(tuple(one), frozenset(two)) for name, (one, two) in found.items()
    }
