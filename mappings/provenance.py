"""Who recorded an answer, as R4 Provenance."""

from __future__ import annotations

from datetime import datetime

from mappings.consent import OWN
from mappings.instants import write_instant
from mappings.resource import Resource

KIND = "http://terminology.hl7.org/CodeSystem/provenance-participant-type"


def write_provenance(author: str, identifier: str, recorded: datetime) -> Resource:
    """Write who recorded an answer; what it targets is known once that is stored.

    R4's Provenance has no identifier: ours names the answer here and is not sent.
    """
    author_type = {"coding": [{"system": KIND, "code": "author"}]}
    return {
        "resourceType": "Provenance",
        "identifier": [{"system": OWN, "value": identifier}],
        "recorded": write_instant(recorded),
        "agent": [{"type": author_type, "who": {"reference": author}}],
    }
