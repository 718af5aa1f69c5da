"""What a launch was opened from: the visit or plan in its context, as far as it counts.

Only what lies at this EHR and is this patient's counts; the rest is left out, and the
page says so. Source: SMART App Launch 2.2, fhirContext.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mappings.chart import Chart
from mappings.endpoint import Endpoint
from mappings.nudge import Nudge
from mappings.reference import of_another, read_reference, reference_of
from mappings.resource import list_of
from middleware.desk.values import Coming, Tag
from middleware.desk.viewer import Viewer, mark
from middleware.storage.launches import LaunchRow

# A message follows from one of these; what else a launch names says nothing here.
KINDS = ("Encounter", "Appointment", "CarePlan")
MOST = 5
ANOTHER = mark(
    "This page was opened with something that is another patient’s. It is left out. "
    "Make sure that this is the right chart."
)
ELSEWHERE = mark(
    "This page was opened with something on another server. It is not read, and "
    "nothing here says anything of it."
)


@dataclass(frozen=True)
class Opened:
    """What a launch names: ``references`` are what messages follow from.

    ``another`` and ``elsewhere`` tell whether it names another patient, or another
    server.
    """

    references: tuple[str, ...] = ()
    another: bool = False
    elsewhere: bool = False


NOTHING = Opened()


def read_opened(launch: LaunchRow, endpoint: Endpoint) -> Opened:
    """Return what a launch names beside its patient, in the role of what it came from."""
    context = list_of(launch.context.get("fhir_context"))
    named = [
        item.get("reference")
        for item in context
        if item.get("role") == "launch" and "reference" in item
    ]
    found = [
        (text, _read_local(text, endpoint))
        for text in (launch.encounter, *named)
        if text
    ]
    kept = [name for _, name in found if name and name.partition("/")[0] in KINDS]
    return Opened(
        references=tuple(dict.fromkeys(kept))[:MOST],
        another=any(
            name.startswith("Patient/") and name != launch.patient
            for _, name in found
            if name
        ),
        elsewhere=any(name is None and "://" in text for text, name in found),
    )


def _read_local(text: object, endpoint: Endpoint) -> str | None:
    found = (read_reference(text, base) for base in endpoint.bases)
    return next(filter(None, found), None)


def find_linked(opened: Opened, chart: Chart, patient: str) -> frozenset[str]:
    """Return what a message from here may be about: this, or the visit it was booked as."""
    own = {
        name: resource
        for name in opened.references
        if (resource := chart.find(name)) is not None
        and not of_another(resource, patient)
    }
    booked = {
        found
        for resource in own.values()
        for item in list_of(resource.get("appointment"))
        if (found := read_reference(item))
    }
    held = {
        reference_of(stay)
        for stay in chart.of("Encounter")
        for item in list_of(stay.get("appointment"))
        if read_reference(item) in own
    }
    return frozenset({*own, *booked, *held})


def tag_here(linked: frozenset[str], nudge: Nudge, viewer: Viewer) -> Tag | None:
    """Return the mark of a message that follows from what the page was opened from."""
    if nudge.focus not in linked:
        return None
    if nudge.focus.startswith("CarePlan/"):
        return Tag("info", "check", viewer.say("From this care plan"))
    return Tag("info", "check", viewer.say("From this visit"))


def write_notes(opened: Opened, chart: Chart, viewer: Viewer) -> tuple[str, ...]:
    """Return what has to be said of what was left out."""
    foreign = opened.another or bool({*opened.references} & {*chart.strangers})
    return tuple(
        viewer.say(sentence)
        for sentence, told in ((ANOTHER, foreign), (ELSEWHERE, opened.elsewhere))
        if told
    )


def write_elsewhere(
    viewer: Viewer, linked: frozenset[str], rows: Sequence[Coming]
) -> str:
    """Return that none of what is planned follows from here; empty where that is plain."""
    if not linked or not rows or any(row.here for row in rows):
        return ""
    return viewer.say("Nothing of this follows from the visit that you came from.")
