"""What a held message would say if it were released: for people to read, never sent.

Pure. The words are the pipeline's own: only what holds the message is left aside.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from mappings.chart import Chart
from mappings.endpoint import Endpoint
from mappings.nudge import Nudge
from mappings.plan import Library
from mappings.preference import (
    Address,
    ConsentRecord,
    EngagementProfile,
    OwnRecord,
    Who,
)
from middleware.decisions.addressing import addressed
from middleware.decisions.candidate import Candidate
from middleware.decisions.circumstance import open_case
from middleware.decisions.deciding import step_of
from middleware.decisions.gate import finish, prepare
from middleware.decisions.matching import find_action
from middleware.decisions.scheduling import READY

# Holds that a person may lift without changing what the message says.
LIFTED = frozenset(
    {
        "paused",
        "switched-off",
        "restore-unchecked",
        "reply",
        "reply-needs-person",
        "no-consent",
        "opted-out",
        "in-hospital",
        "long-silent",
        "ehr-unreachable",
        "facts-stale",
    }
)


def word_released(
    nudge: Nudge,
    chart: Chart,
    own: OwnRecord,
    library: Library,
    endpoint: Endpoint,
    now: datetime,
) -> Candidate | None:
    """Return a held message as it would go once released; None for a plan that is off.

    Its own verdict says what it would lack even then: an address, a wording.
    """
    found = find_action(library, nudge.plan, nudge.action)
    if found is None:
        return None
    case = open_case(chart, replace(own, switches=()), library, endpoint, now)
    yes = tuple(
        _yes(endpoint, case.profile, one, now) for one in case.profile.addresses
    )
    case = replace(case, profile=replace(case.profile, consents=yes))
    step = step_of(nudge, case, found)
    route, words, verdict = prepare(step)
    return finish(
        addressed(step, route),
        verdict or READY,
        nudge.due_at,
        nudge.expires_at,
        route=route,
        words=words,
    )


def _yes(
    endpoint: Endpoint, profile: EngagementProfile, address: Address, now: datetime
) -> ConsentRecord:
    """Return the answer that a release would need; it is kept nowhere."""
    return ConsentRecord(
        id="released",
        endpoint_id=endpoint.id,
        patient=profile.patient,
        system=address.channel,
        value=address.value,
        topic="*",
        permit=True,
        who=Who.PATIENT,
        how="",
        recorded_at=now,
    )
