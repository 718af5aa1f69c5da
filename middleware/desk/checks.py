"""The six looks before a message goes out, each with what was found. Pure.

The verdict is the pipeline's own; a look that it failed at says why.
"""

from __future__ import annotations

from mappings.nudge import REASONS, Nudge, Outcome
from middleware.decisions.deciding import Candidate
from middleware.decisions.fatigue import UNCOUNTED
from middleware.decisions.linting import is_revealing
from middleware.decisions.safety import check_replies
from middleware.desk.formats import topic_name, write_hour, write_instant, write_time
from middleware.desk.reaching import permissions, write_source
from middleware.desk.reasons import write_reason
from middleware.desk.values import Check
from middleware.desk.viewer import mark
from middleware.desk.views import View
from middleware.desk.weeks import write_week

FAILING = {
    "consent": {"no-consent", "opted-out", "confidential", "minor", "no-address"},
    "hours": {"outside-hours", "hours-never-meet", "zone-missing"},
    "limit": {"limit-reached", "same-topic", "same-day-visit"},
    "content": {"sensitive", "wording-refused", "wording-not-reviewed"},
    "replies": {"reply-needs-person", "reply"},
}
NAMES = {
    "consent": mark("Permission"),
    "hours": mark("Hours"),
    "limit": mark("Weekly limit"),
    "due": mark("Still due"),
    "content": mark("Nothing sensitive"),
    "replies": mark("Somebody answers"),
}


def write_checks(view: View, nudge: Nudge, candidate: Candidate) -> tuple[Check, ...]:
    """Return consent, hours, limit, still due, nothing sensitive, somebody answers."""
    found = {
        "consent": _consent(view, nudge, candidate),
        "hours": _hours(view, candidate),
        "limit": _limit(view, nudge),
        "due": _due(view, candidate),
        "content": _content(view, candidate),
        "replies": _replies(view),
    }
    verdict = candidate.verdict
    why = write_reason(view, verdict)
    for name, reasons in FAILING.items():
        if verdict.reason in reasons and verdict.outcome is not Outcome.SEND:
            found[name] = (False, why)
    return tuple(
        Check(passed, view.say(NAMES[name]), note)
        for name, (passed, note) in found.items()
    )


def _consent(view: View, nudge: Nudge, candidate: Candidate) -> tuple[bool, str]:
    if candidate.channel == "screen":
        return True, view.say("Shown on screen only; no permission is needed.")
    if candidate.recipient != view.patient:
        passed = candidate.verdict.outcome is Outcome.SEND
        return passed, view.say("It goes to somebody who may be told.")
    used = [
        item
        for item in view.profile.addresses
        if (item.channel, item.value) == (candidate.channel, candidate.address)
    ]
    for permission in permissions(view, (nudge.topic,), used):
        if permission.allowed and permission.records:
            said = permission.records[0]
            source = write_source(
                view, said.who, said.how, said.recorded_by, said.recorded_at
            )
            topic = topic_name(view.viewer, nudge.topic)
            return True, view.say(
                "Yes to %(topic)s. %(source)s.", topic=topic, source=source
            )
    return False, view.say(REASONS["no-consent"].sentence)


def _hours(view: View, candidate: Candidate) -> tuple[bool, str]:
    first, last = view.profile.window.value
    when = write_instant(view.viewer, candidate.due_at, view.zone)
    return True, view.say(
        "%(day)s, %(time)s lies within %(first)s to %(last)s.",
        day=when.day,
        time=when.time,
        first=write_hour(view.viewer, first),
        last=write_hour(view.viewer, last),
    )


def _limit(view: View, nudge: Nudge) -> tuple[bool, str]:
    if nudge.topic in UNCOUNTED:
        return True, view.say("Does not count against the weekly limit.")
    week = write_week(view)
    return True, f"{week.value}. {week.note}."


def _due(view: View, candidate: Candidate) -> tuple[bool, str]:
    verdict = candidate.verdict
    if verdict.outcome not in (Outcome.SEND, Outcome.HOLD):
        return False, write_reason(view, verdict)
    read = write_time(view.viewer, view.chart.read_at.astimezone(view.zone))
    return True, view.say(
        "Nothing in the chart ends it, as read at %(time)s.", time=read
    )


def _content(view: View, candidate: Candidate) -> tuple[bool, str]:
    if not candidate.text:
        return False, view.say("There is no finished text to look at.")
    if is_revealing(f"{candidate.subject} {candidate.text}"):
        return False, view.say("A word may reveal a diagnosis, medicine or result.")
    return True, view.say("Names no diagnosis, medicine, test or result.")


def _replies(view: View) -> tuple[bool, str]:
    if check_replies(view.own) is not None:
        return False, view.say("An earlier reply still waits for a person.")
    return True, view.say("A reply becomes a task for staff; none waits now.")
