"""What ends whatever is about a patient or a thing: looked for once for a case.

Every plan asks; the answer is the same.
"""

from __future__ import annotations

from mappings.nudge import Verdict
from middleware.decisions.circumstance import Case, Step
from middleware.decisions.safety import check_hospice, check_patient

_HOSPICE = "hospice"


def stopped_for_good(step: Step) -> Verdict | None:
    """Return the verdict when the patient died, is inactive, merged or a test one."""
    case, known = step.case, step.case.stops
    if step.reference not in known:
        known[step.reference] = check_patient(
            case.chart, case.profile, case.library, case.endpoint, step.focus
        )
    return known[step.reference]


def in_hospice(case: Case) -> Verdict | None:
    """Return the verdict when the patient is in hospice care."""
    if _HOSPICE not in case.stops:
        case.stops[_HOSPICE] = check_hospice(case.chart, case.library, case.now)
    return case.stops[_HOSPICE]
