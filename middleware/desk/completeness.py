"""What of the chart could not be read, said where it matters. Pure."""

from __future__ import annotations

from middleware.desk.viewer import mark
from middleware.desk.views import View

PLAIN = {
    "Appointment": mark("visits"),
    "CarePlan": mark("care plans"),
    "Communication": mark("messages"),
    "Condition": mark("problems"),
    "Consent": mark("consents"),
    "Encounter": mark("hospital stays and visits"),
    "Flag": mark("flags"),
    "Goal": mark("goals"),
    "Immunization": mark("vaccinations"),
    "MedicationRequest": mark("prescriptions"),
    "Observation": mark("results"),
    "Procedure": mark("procedures"),
    "RelatedPerson": mark("family and carers"),
    "ServiceRequest": mark("orders"),
}


def plain_name(view: View, kind: str) -> str:
    """Write several resources of a FHIR type as people call them."""
    return view.say(PLAIN[kind]) if kind in PLAIN else kind


def write_gaps(view: View) -> tuple[str, ...]:
    """Return a sentence on what the EHR did not give, none when it gave all."""
    incomplete = view.chart.incomplete
    if not incomplete:
        return ()
    return (
        view.say(
            "The EHR did not give this app: %(names)s. What rests on it is missing "
            "here or held.",
            names=view.viewer.join([plain_name(view, name) for name in incomplete]),
        ),
    )
