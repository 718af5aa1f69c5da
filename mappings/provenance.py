"""Who recorded an answer, on whose behalf, on whose word and why, as Provenance."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from mappings.consent import OWN
from mappings.instants import find_instant, write_instant
from mappings.resource import Resource, dict_of, list_of

TERMS = "http://terminology.hl7.org/CodeSystem"
KIND = f"{TERMS}/provenance-participant-type"
OPERATION = f"{TERMS}/v3-DataOperation"
REASON = f"{TERMS}/v3-ActReason"


@dataclass(frozen=True)
class Recording:
    """Who recorded an answer (``Practitioner/id``), and whose word it is, if known.

    ``organization`` is who the author works for, ``name`` how the author is called.
    """

    author: str
    informant: str | None = None
    organization: str | None = None
    name: str | None = None


def write_provenance(
    recording: Recording, identifier: str, recorded: datetime
) -> Resource:
    """Write who recorded an answer; what it targets is known once that is stored.

    R4's Provenance has no identifier: ours names the answer here and is not sent.
    """
    who = {"reference": recording.author}
    if recording.name and "/" not in recording.name:
        who["display"] = recording.name
    author = _agent("author", who)
    if recording.organization:
        author["onBehalfOf"] = {"reference": recording.organization}
    agents = [author]
    if recording.informant:
        agents.append(_agent("informant", {"reference": recording.informant}))
    agents.append(_agent("assembler", {"display": "CareCue"}))
    asked = recording.informant is not None
    return {
        "resourceType": "Provenance",
        "identifier": [{"system": OWN, "value": identifier}],
        "occurredDateTime": write_instant(recorded),
        "recorded": write_instant(recorded),
        # The patient's own word, else what staff noted so that care fits together.
        "reason": [_concept(REASON, "PATRQT" if asked else "COC")],
        "agent": agents,
    }


def aim_provenance(
    provenance: Resource, target: str, release: str, *, changed: bool = False
) -> Resource:
    """Return it as it is sent: about ``target`` (``Type/id``), in R4 or R5.

    An answer that went into the Patient itself ``changed`` it, and so does one that takes
    another back; any other is new.
    """
    changed = changed or target.startswith("Patient/")
    ready = {name: part for name, part in provenance.items() if name != "identifier"}
    ready["target"] = [{"reference": target}]
    ready["activity"] = _concept(OPERATION, "UPDATE" if changed else "CREATE")
    if release == "R5":
        reasons = ready.pop("reason", [])
        ready["authorization"] = [{"concept": reason} for reason in reasons]
    return ready


def is_same(provenance: Resource, found: Resource) -> bool:
    """Tell whether a Provenance that was found says what ours says: of what, when, by whom."""
    return _told(provenance) == _told(found)


def _told(provenance: Resource) -> tuple[object, ...]:
    targets = list_of(provenance.get("target"))
    agents = [dict_of(item) for item in list_of(provenance.get("agent"))]
    return (
        [dict_of(item).get("reference") for item in targets],
        find_instant(provenance.get("recorded")),
        [dict_of(item.get("who")).get("reference") for item in agents],
    )


def _agent(kind: str, who: Resource) -> Resource:
    return {"type": _concept(KIND, kind), "who": who}


def _concept(system: str, code: str) -> Resource:
    return {"coding": [{"system": system, "code": code}]}
