"""Where an answer is kept, in words: in the chart, on its way there, or here alone. Pure."""

from __future__ import annotations

from mappings.telecom import is_point
from middleware.desk.viewer import mark
from middleware.desk.views import View
from middleware.stages.record import NO_FORM

IN_CHART = mark("Kept in the chart")
CORRECT = mark(
    "Kept here, not in the chart. Ask the front desk to correct the chart: a task for it "
    "is open"
)
AS = {
    "QuestionnaireResponse": mark("Kept in the chart as a questionnaire answer"),
    "DocumentReference": mark("Kept in the chart as a document"),
}


def write_kept(view: View, name: str) -> str:
    """Return where a preference (by name) or a consent (by id) is kept."""
    written = view.written.get(name)
    if written is None or written.state is None:
        return view.say("Kept in CareCue, not in the chart")
    if is_point(name) and written.state != "waiting":
        # A form that says it beside the Patient leaves the Patient as it was.
        in_patient = _type(written.server_reference) == "Patient"
        return view.say(IN_CHART if in_patient else CORRECT)
    if written.state == "done":
        return view.say(AS.get(_type(written.server_reference), IN_CHART))
    if written.state == "waiting":
        if written.error:
            return view.say("Waiting to be written: the chart did not take it yet")
        return view.say("Waiting to be written to the chart")
    if written.state == "kept" and written.error == NO_FORM:
        return view.say("Kept in CareCue, not in the chart")
    if written.state == "kept":
        return view.say(
            "The chart refused it: %(reason)s. Kept in CareCue",
            reason=(written.error or "").rstrip("."),
        )
    return view.say("Could not be written to the chart. Kept in CareCue")


def _type(reference: str | None) -> str:
    return (reference or "").partition("/")[0]
