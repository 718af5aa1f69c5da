"""What holds a message about a visit: where the patient is, and who else comes."""

from __future__ import annotations

from mappings.nudge import Outcome, Verdict
from mappings.reference import named_patients
from middleware.decisions.addressing import VISITS
from middleware.decisions.circumstance import Step
from middleware.decisions.evidence import fact
from middleware.decisions.stopping import is_inpatient


def is_elsewhere(step: Step) -> Verdict | None:
    """Return the hold while another stay goes on.

    A visit is told of all the same, but not an infant's: a newborn in hospital does not
    come to the visit of the newborn.
    """
    if step.plan.topic == VISITS and step.case.profile.age != 0:
        return None
    return is_inpatient(step)


def names_others(step: Step) -> Verdict | None:
    """Return the hold when a visit is of others too, whose records nobody has read."""
    case, focus = step.case, step.focus or {}
    if focus.get("resourceType") != "Appointment":
        return None
    if not named_patients(focus) - {case.profile.patient, *case.own.replaced}:
        return None
    known = fact(focus, "participant.actor", "several patients")
    return Verdict(Outcome.HOLD, "several-patients", (known,))
