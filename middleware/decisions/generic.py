"""Where a message's own words would reveal too much, the generic one takes its place."""

from __future__ import annotations

from middleware.decisions.circumstance import Step
from middleware.decisions.routing import Route
from middleware.decisions.stopping import is_sensitive
from middleware.decisions.wording import GENERIC, names_patient


def choose_definition(step: Step, route: Route, language: str) -> str:
    """Return the message to write: the generic one where its own would reveal too much.

    That is a sensitive matter, or a name to a number that another adult shares or that
    is the only one the patient allows.
    """
    case, own = step.case, step.action.definition
    if is_sensitive(step) is not None:
        return GENERIC
    channel = route.channel or ""
    if (route.shared or route.confidential) and names_patient(
        case.library, own, channel, language
    ):
        return GENERIC
    return own
