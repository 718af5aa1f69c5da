"""A visit by video: whether an Appointment is one, and the link that joins it.

R5 has ``virtualService`` and ``class``; R4 carries the same in HL7's cross-version
extensions, or says it by its service or appointment type.
"""

from __future__ import annotations

from collections.abc import Iterator

from mappings.codes import ACT_CODE
from mappings.resource import (
    Resource,
    codings_of,
    extension_value,
    extensions_of,
    list_of,
    values_at,
)

SNOMED = "http://snomed.info/sct"
VIDEO = frozenset({(ACT_CODE, "VR"), ("", "VR"), (SNOMED, "448337001")})
R5 = "http://hl7.org/fhir/5.0/StructureDefinition/extension-Appointment."
LONGEST_LINK = 80


def is_video(visit: Resource) -> bool:
    """Tell whether a visit takes place by video (class VR, or a virtual service)."""
    types = [visit.get(name) for name in ("class", "serviceType", "appointmentType")]
    types.append(extension_value(visit, f"{R5}class"))
    named = {coding for item in types for coding in codings_of(item)}
    virtual = visit.get("virtualService") or extensions_of(visit, f"{R5}virtualService")
    return bool(named & VIDEO or virtual)


def join_link(visit: Resource) -> str:
    """Return the https link that joins a video visit, or "".

    One that is too long for a text message counts as none: staff send it.
    """
    fits = (
        link
        for link in _links(visit)
        if link.startswith("https://")
        and len(link) <= LONGEST_LINK
        and not any(part.isspace() for part in link)
    )
    return next(fits, "")


def _links(visit: Resource) -> Iterator[str]:
    for service in list_of(visit.get("virtualService")):
        yield from (str(item) for item in values_at(service, "addressUrl"))
    for service in extensions_of(visit, f"{R5}virtualService"):
        for part in list_of(service.get("extension")):
            if str(part.get("url")).startswith("address"):
                yield str(part.get("valueUrl") or part.get("valueUri") or "")
