"""What is known of a planned message where a part of its chart was not given. Pure.

A person at a desk may see less of a chart than the pipeline does. What the pipeline
decided on all of it stands; what people said since is weighed all the same.
"""

from __future__ import annotations

from datetime import datetime

from mappings.chart import Chart
from mappings.endpoint import Endpoint
from mappings.nudge import REASONS, Nudge, Outcome, Verdict
from mappings.plan import Library
from mappings.preference import OwnRecord
from middleware.decisions.addressing import wanted_way
from middleware.decisions.candidate import Candidate, stand_in
from middleware.decisions.circumstance import Step, open_case
from middleware.decisions.deciding import decide_nudge, step_of
from middleware.decisions.matching import find_action
from middleware.decisions.routing import choose_route
from middleware.decisions.safety import check_pause, check_replies, check_switches
from middleware.decisions.scheduling import READY

# What a decision says of a chart that was not read as far as it asks.
UNREAD = frozenset({"data-missing", "plan-unknown", "ehr-unreachable"})
# Of these types a no, and whom it is about, may come.
ROUTED = frozenset({"Consent", "Flag", "RelatedPerson"})
HOLDS = frozenset({"paused", "switched-off", "restore-unchecked", "reply-needs-person"})
ROUTES = frozenset(
    {"opted-out", "no-consent", "no-address", "confidential", "language-missing"}
)


def decide_read(
    nudge: Nudge,
    chart: Chart,
    own: OwnRecord,
    library: Library,
    endpoint: Endpoint,
    now: datetime,
    *,
    at_send: bool = False,
) -> Candidate:
    """Look at a planned message again, as far as its chart was read.

    What was not read changes nothing of how it stands.
    """
    parts = (chart, own, library, endpoint, now)
    found = decide_nudge(nudge, *parts, at_send=at_send)
    return settle_unread(nudge, found, *parts) if chart.incomplete else found


def settle_unread(
    nudge: Nudge,
    found: Candidate,
    chart: Chart,
    own: OwnRecord,
    library: Library,
    endpoint: Endpoint,
    now: datetime,
) -> Candidate:
    """Return a message as the pipeline left it, but for what people said since.

    What was decided on what was read stands as it was decided.
    """
    if found.verdict.reason not in UNREAD:
        return found
    case = open_case(chart, own, library, endpoint, now)
    known = find_action(library, nudge.plan, nudge.action) or stand_in(nudge)
    step = step_of(nudge, case, known)
    if held := _held(step, nudge, max(found.due_at, now)):
        return found.with_verdict(held)
    lifted = HOLDS | (set() if ROUTED & {*chart.incomplete} else ROUTES)
    if nudge.reason in lifted:
        return found.with_verdict(READY)
    stood = REASONS[nudge.reason]
    return found.with_verdict(Verdict(stood.outcome, stood.code))


def _held(step: Step, nudge: Nudge, due: datetime) -> Verdict | None:
    """Return the hold that stands whatever else the chart says."""
    case = step.case
    switched = check_switches(step.plan, case.own, case.endpoint)
    if nudge.is_task or switched is not None:
        return switched
    return check_pause(case.profile, due) or check_replies(case.own) or _no_way(step)


def _no_way(step: Step) -> Verdict | None:
    """Return why there is no way to reach anybody, where what was read tells that."""
    case = step.case
    route = choose_route(case.profile, case.own, case.endpoint, wanted_way(step))
    verdict = route.verdict
    # A no counts whatever else was said; that nobody said yes has to be read in full.
    sure = verdict is not None and verdict.reason == "opted-out"
    if ROUTED & {*case.chart.incomplete} and not sure:
        return None
    if verdict is None and route.channel is not None and route.language is None:
        return Verdict(Outcome.HOLD, "language-missing")
    return verdict
