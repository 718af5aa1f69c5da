"""What ends or holds all that is about a patient or a thing: looked for once a case.

Every plan asks; the answer is the same.
"""

from __future__ import annotations

from mappings.nudge import Verdict
from middleware.decisions.circumstance import Case, Step
from middleware.decisions.loss import check_loss
from middleware.decisions.safety import (
    check_hospice,
    check_inpatient,
    check_minor,
    check_patient,
    check_sensitive,
)
from middleware.decisions.silence import check_silence


def stopped_for_good(step: Step) -> Verdict | None:
    """Return the verdict when the patient died, is inactive, merged or a test one."""
    case, focus = step.case, step.focus
    parts = (case.chart, case.profile, case.library, case.endpoint, focus)
    return case.once(("for good", step.reference), lambda: check_patient(*parts))


def in_hospice(case: Case) -> Verdict | None:
    """Return the verdict when the patient is in hospice care."""
    parts = (case.chart, case.library, case.now)
    return case.once(("hospice",), lambda: check_hospice(*parts))


def is_after_loss(step: Step) -> Verdict | None:
    """Return the end of a cheerful message after the loss of a pregnancy."""
    case, plan = step.case, step.plan
    parts = (plan, case.chart, case.own, case.library, case.now)
    key = ("loss", plan.topic, plan.about)
    return case.once(key, lambda: check_loss(*parts))


def is_sensitive(step: Step, *, generic: bool = False) -> Verdict | None:
    """Return the hold when a label or a reason of the focus is sensitive."""
    case, focus = step.case, step.focus or {}
    return case.once(
        ("sensitive", step.reference, generic),
        lambda: check_sensitive(case.chart, case.library, focus, generic=generic),
    )


def is_inpatient(step: Step) -> Verdict | None:
    """Return the hold while another stay than the focus goes on."""
    case, focus = step.case, step.focus or {}
    key = ("inpatient", step.reference)
    return case.once(key, lambda: check_inpatient(case.chart, focus))


def is_silent(step: Step) -> Verdict | None:
    """Return the hold on a preventive message to a frail patient who went silent."""
    case, plan = step.case, step.plan
    parts = (plan, case.chart, case.own, case.library, case.now, case.zone)
    return case.once(("silent", plan.topic), lambda: check_silence(*parts))


def is_minor(step: Step) -> Verdict | None:
    """Return the hold for a minor without a guardian who may be told of the topic."""
    case, topic = step.case, step.plan.topic
    return case.once(
        ("minor", topic), lambda: check_minor(case.chart, case.profile, topic)
    )
