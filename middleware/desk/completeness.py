"""What of the chart could not be read, said where it matters. Pure."""

from __future__ import annotations

from collections.abc import Iterable

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
    """Return what the EHR did not give, or gave of somebody else; none when all is well.

    A sentence each; whose the others are is not said.
    """
    chart = view.chart
    sentences = []
    if chart.incomplete:
        sentences.append(
            view.say(
                "The EHR did not give this app: %(names)s. What rests on it is missing "
                "here or held.",
                names=_names(view, chart.incomplete),
            )
        )
    if chart.limited:
        sentences.append(
            view.say(
                "The EHR says that there may be more than it gave this app of: "
                "%(names)s.",
                names=_names(view, chart.limited),
            )
        )
    if chart.strangers:
        sentences.append(
            view.say_many(
                "The EHR sent %(number)s entry of another patient along: %(names)s. It "
                "was left out. Tell the person who runs CareCue.",
                "The EHR sent %(number)s entries of other patients along: %(names)s. "
                "They were left out. Tell the person who runs CareCue.",
                len(chart.strangers),
                names=_names(view, [one.partition("/")[0] for one in chart.strangers]),
            )
        )
    return tuple(sentences)


def _names(view: View, kinds: Iterable[str]) -> str:
    names = [plain_name(view, name) for name in dict.fromkeys(kinds)]
    return view.viewer.join(names)
