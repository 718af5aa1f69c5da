"""Where an answer is kept, in words: in the chart, on its way there, or here alone. Pure."""

from __future__ import annotations

from mappings.preference import Conflict
from mappings.telecom import is_point, says
from middleware.desk.editing.clashes import write_moment
from middleware.desk.stating import write_person, write_value
from middleware.desk.values import Actor
from middleware.desk.viewer import mark
from middleware.desk.views import View
from middleware.stages.record import NO_FORM

IN_CHART = mark("Kept in the chart")
CORRECT = mark(
    "Kept here, not in the chart. Ask the front desk to correct the chart: a task for it "
    "is open"
)
DIFFERS = mark("Kept here. The chart says otherwise, and no task to correct it is open")
AS = {
    "QuestionnaireResponse": mark("Kept in the chart as a questionnaire answer"),
    "DocumentReference": mark("Kept in the chart as a document"),
}


def write_kept(view: View, name: str) -> str:
    """Return where a preference (by name) or a consent (by id) is kept."""
    written = view.written.get(name)
    if written is None or written.state is None:
        return view.say("Kept in CareCue, not in the chart")
    if is_point(name) and _is_charted(view, name):
        return view.say(IN_CHART)
    if is_point(name) and written.state != "waiting":
        # A form that says it beside the Patient leaves the Patient as it was.
        in_patient = _type(written.server_reference) == "Patient"
        aside = CORRECT if written.asked else DIFFERS
        return view.say(IN_CHART if in_patient else aside)
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


def write_underway(view: View, item: Conflict, actor: Actor) -> str:
    """Return what was changed, when and by whom, and what the chart says until then."""
    records = [one for one in view.own.preferences if one.name == item.name]
    last = max(records, key=lambda one: one.recorded_at)
    told = {
        "time": write_moment(view, last.recorded_at),
        "other": write_value(view, item.name, item.second.value),
    }
    if actor.user and last.saved_by == actor.user:
        return view.say(
            "You changed it at %(time)s. Until that is in the chart, it still says: "
            "%(other)s.",
            **told,
        )
    return view.say(
        "%(who)s changed it at %(time)s. Until that is in the chart, it still says: "
        "%(other)s.",
        who=last.recorded_by or write_person(view, view.patient),
        **told,
    )


def _is_charted(view: View, name: str) -> bool:
    said = view.profile.points.said.get(name)
    return said is not None and says(view.profile.points.chart, name, said.value)


def _type(reference: str | None) -> str:
    return (reference or "").partition("/")[0]
