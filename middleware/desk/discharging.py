"""What a discharge at this moment would lead to, decided as if it had happened. Pure.

The stay is taken as ended now in a copy of the chart; everything else is as it was
read. Nothing is planned by looking.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from mappings.chart import Chart
from mappings.codes import DISCHARGED, disposition_codings, focus_status
from mappings.errors import CdsError
from mappings.event import EventKind, suppose_event
from mappings.nudge import Outcome
from mappings.reference import of_another
from mappings.resource import Resource, dict_of
from middleware.decisions.deciding import Candidate, decide_event, decide_nudge
from middleware.desk.coming import coming_tag
from middleware.desk.formats import CHANNELS, language_name
from middleware.desk.reasons import write_reason
from middleware.desk.steps import say_step, say_when
from middleware.desk.views import View
from middleware.ports import FhirApi

STATES = ("planned", "held", "staff", "off")
# What says nothing of this patient and this stay.
UNASKED = frozenset({"not-applicable", "plan-off", "not-in-stage"})
HOME = {
    "system": "http://terminology.hl7.org/CodeSystem/discharge-disposition",
    "code": "home",
}
NOT_THEIRS = (
    "The stay that is being ended is not this patient's. No card was made; check "
    "encounterId and patientId."
)


@dataclass(frozen=True)
class FollowUp:
    """One step in words: ``state`` is planned, held, staff (a person's step) or off."""

    state: str
    reason: str
    title: str
    when: str
    how: str
    why: str


def fetch_stay(
    view: View, api: FhirApi, reference: str, told: Resource | None = None
) -> View:
    """Return the view with this Encounter in its chart, read where it is not there.

    ``told`` is the Encounter where the EHR sent it along. Raises CdsError (412) when
    it is about another patient.
    """
    stay = view.chart.find(reference)
    chart = view.chart
    if stay is None:
        stay = told or api.fetch(reference)
        chart = _hold(chart, (*chart.resources, stay))
    subject = str(dict_of(stay.get("subject")).get("reference") or "")
    if not subject or of_another(stay, view.patient):
        raise CdsError(
            NOT_THEIRS, status=412, reason="stay-of-another", code="conflict"
        )
    return replace(view, chart=chart)


def lacks_disposition(view: View, reference: str) -> bool:
    """Tell whether the stay goes on and nobody has written down where it leads."""
    stay = view.chart.find(reference) or {}
    return focus_status(stay) != DISCHARGED and not disposition_codings(stay)


def foresee(view: View, reference: str, *, home: bool = False) -> tuple[FollowUp, ...]:
    """Return what would follow, what is planned already, and what would not be sent.

    ``home`` takes it that the patient goes home, whatever is written down.

    Soonest first within a state. Steps of plans that are off or not about such a stay
    are left out.
    """
    ended = _end(view, reference, home=home)
    event = suppose_event(
        EventKind.ENCOUNTER_DISCHARGED,
        view.patient,
        view.endpoint.id,
        view.now,
        focus=reference,
    )
    parts = (ended.chart, view.own, view.library, view.endpoint, view.now)
    fresh = [(item, _follow_up(ended, item)) for item in decide_event(event, *parts)]
    known = [(nudge, decide_nudge(nudge, *parts)) for nudge, _ in view.planned]
    again = [
        (
            item,
            replace(
                _follow_up(ended, item),
                title=say_step(ended, item, nudge).title,
                how=coming_tag(ended, nudge, item).text,
            ),
        )
        for nudge, item in known
    ]
    rows = sorted(
        (pair for pair in (*fresh, *again) if pair[0].verdict.reason not in UNASKED),
        key=lambda pair: (STATES.index(pair[1].state), pair[0].due_at),
    )
    return tuple(dict.fromkeys(row for _, row in rows))


def _end(view: View, reference: str, *, home: bool) -> View:
    """Return the view with the stay ended at this moment, where it is not ended yet."""
    stay = view.chart.find(reference) or {}
    if focus_status(stay) == DISCHARGED:
        return view
    period = {**dict_of(stay.get("period")), "end": view.now.isoformat()}
    ended: Resource = {**stay, "status": "finished", "period": period}
    if home:
        ended["hospitalization"] = {"dischargeDisposition": {"coding": [HOME]}}
    others = [item for item in view.chart.resources if item is not stay]
    return replace(view, chart=_hold(view.chart, (ended, *others)))


def _hold(chart: Chart, resources: tuple[Resource, ...]) -> Chart:
    """Return a chart of other resources; its indexes are made anew."""
    return Chart(
        patient=chart.patient,
        resources=resources,
        read_at=chart.read_at,
        incomplete=chart.incomplete,
        replaced=chart.replaced,
    )


def _follow_up(view: View, item: Candidate) -> FollowUp:
    verdict = item.verdict
    state = {Outcome.SEND: "planned", Outcome.HOLD: "held"}.get(verdict.outcome, "off")
    if item.kind == "task" and state == "planned":
        state = "staff"
    when = say_when(view, item)
    names = [view.say(CHANNELS[item.channel])] if item.channel else []
    names += [language_name(view.viewer, item.language)] if item.language else []
    goes = state in ("planned", "staff")
    said = say_step(view, item)
    return FollowUp(
        state=state,
        reason=verdict.reason,
        title=said.title,
        when=f"{when.day}, {when.time}" if goes else "",
        how=view.say("by a person") if item.kind == "task" else ", ".join(names),
        why=said.why if goes else write_reason(view, verdict),
    )
