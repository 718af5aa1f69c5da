"""Rosa's second record, and how it becomes the one that lives on."""

from __future__ import annotations

from datetime import timedelta

from tests.stages.world import ROSA, START, World, patient

RO, RO_NUMBER = "Patient/ro", "+13125550188"
BEFORE = START - timedelta(days=90)


def add_twin(world: World) -> World:
    """Give Rosa a second record, which is the one in use."""
    telecom = [{"system": "sms", "value": RO_NUMBER, "use": "mobile", "rank": 1}]
    world.fhir.put(patient(id="ro", telecom=telecom), BEFORE)
    world.permit(patient=RO, value=RO_NUMBER)
    return world


def merge(world: World, how: str = "replaced-by") -> None:
    """Merge rosa into ro as servers do: a link on either record, or on both."""
    old, new = {"reference": ROSA}, {"reference": RO}
    if how != "replaces":
        link = [{"type": "replaced-by", "other": new}]
        world.fhir.change(ROSA, active=False, link=link)
    if how != "replaced-by":
        world.fhir.change(RO, link=[{"type": "replaces", "other": old}])
