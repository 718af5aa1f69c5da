"""Switching plans on: after a trial, in steps, and off by themselves when people object.

A plan is first tried on stored events, then switched on for 5, 25 and 100 percent of the
patients of an endpoint. Who is among the first is fixed by plan and patient, so a patient
who is in stays in. Sandboxes need none of this.
"""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta

from mappings.endpoint import Endpoint
from mappings.errors import BadInputError
from mappings.plan import Plan
from middleware.decisions.matching import is_off

STEPS = (5, 25, 100)
TRIAL_LIFE = timedelta(days=30)
# Fewer contact points than this say nothing about how many object.
LEAST_TOLD = 20


def is_switched_off(plan: Plan, endpoint: Endpoint, now: datetime) -> bool:
    """Tell whether a plan says nothing to anybody here, by wish, date or step."""
    known = endpoint.rollout.get(plan.id)
    asked = bool({plan.id, plan.url} & set(endpoint.site.plans_on))
    wished = plan.default_on or asked or bool(known)
    if not wished or is_off(plan, endpoint.site, now):
        return True
    return _percent(plan, endpoint) == 0


def _percent(plan: Plan, endpoint: Endpoint) -> int:
    return endpoint.rollout.get(plan.id, 0 if endpoint.governed else 100)


def why_not(plan: Plan, endpoint: Endpoint, patient: str, now: datetime) -> str:
    """Return why a plan says nothing to a patient here: a reason, or empty."""
    if is_switched_off(plan, endpoint, now):
        return "plan-off"
    percent = _percent(plan, endpoint)
    return "" if place_of(plan.id, patient) < percent else "not-in-stage"


def place_of(plan: str, patient: str) -> int:
    """Return where a patient stands among a hundred for one plan, from 0."""
    digest = hashlib.sha256(f"{plan}|{patient}".encode()).digest()
    return int.from_bytes(digest[:4], "big") % 100


def check_step(present: int, wanted: int) -> None:
    """Raise BadInputError unless ``wanted`` is the next step after ``present`` percent."""
    if wanted not in STEPS:
        raise BadInputError(f"A plan is on for {', '.join(map(str, STEPS))} percent.")
    following = next((step for step in STEPS if step > present), 100)
    if wanted > following:
        raise BadInputError(
            f"The next step after {present} percent is {following} percent. Nothing was "
            "changed; see how the messages are taken before going on."
        )


def check_trial(tried_at: datetime | None, now: datetime) -> None:
    """Raise BadInputError unless this version was tried within 30 days."""
    if tried_at is None or now - tried_at > TRIAL_LIFE:
        raise BadInputError(
            "This version was not tried on this endpoint in the last 30 days. Nothing "
            "was switched on; run carecue plan dry-run first and read what it says."
        )


def objects_too_much(told: int, objected: int, limit_percent: float) -> bool:
    """Tell whether more contact points said stop than the site bears.

    ``told`` distinct contact points had a message of the plan, ``objected`` of them
    were closed within three days of one.
    """
    return told >= LEAST_TOLD and objected * 100 > limit_percent * told
