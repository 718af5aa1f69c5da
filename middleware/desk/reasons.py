"""Why a message is held or ends, in the viewer's language. Pure.

A verdict has a reason, which has a sentence of its own, and may have a detail: the
pipeline's note, in English, for the ledger. What a detail adds for a reader is said here;
what cannot be said in the viewer's language is left to the ledger.
"""

from __future__ import annotations

from mappings.nudge import REASONS, Verdict
from middleware.decisions.fatigue import COMING, TODAY
from middleware.desk.completeness import name_kinds
from middleware.desk.formats import CHANNELS
from middleware.desk.viewer import mark
from middleware.desk.views import View

# Where the reason's own sentence would not be true: reason and detail.
INSTEAD = {
    ("limit-reached", COMING): mark("It waits: a more urgent message goes first."),
    ("limit-reached", TODAY): mark("The patient was told about this today."),
}
HELD = {
    "paused": mark("messages are paused"),
    "limit-reached": mark("this week is full"),
    "same-topic": mark("heard about it this week"),
    "hours-never-meet": mark("no hour suits every time zone"),
    "outside-hours": mark("waits for allowed hours"),
    "no-consent": mark("no permission recorded"),
    "opted-out": mark("the answer was no"),
    "no-address": mark("no number or address"),
    "language-missing": mark("language not recorded"),
    "zone-missing": mark("time zone not known"),
    "reply-needs-person": mark("a reply waits"),
    "switched-off": mark("on hold by a person"),
    "data-missing": mark("the chart lacks something"),
    "sensitive": mark("a person decides"),
    "minor": mark("a person decides"),
    "confidential": mark("asked to be reached one way only"),
    "several-patients": mark("a person decides"),
    "in-hospital": mark("in hospital now"),
    "wording-missing": mark("no wording in this language"),
    "wording-not-reviewed": mark("wording not approved yet"),
    "wording-refused": mark("the text failed a check"),
    "ehr-unreachable": mark("the chart could not be read"),
    "long-silent": mark("not heard of for long"),
}
HELD_INSTEAD = {
    ("limit-reached", COMING): mark("a more urgent one goes first"),
    ("limit-reached", TODAY): mark("told about this today"),
}


def write_reason(view: View, verdict: Verdict) -> str:
    """Return why it is held or ends, in a sentence or two."""
    key = (verdict.reason, verdict.detail)
    if key in INSTEAD:
        return view.say(INSTEAD[key])
    sentence = view.say(REASONS[verdict.reason].sentence)
    more = _more(view, verdict)
    return f"{sentence} {more}" if more else sentence


def write_held(view: View, verdict: Verdict) -> str:
    """Return what holds it, in few words; empty where only a sentence says it."""
    key = (verdict.reason, verdict.detail)
    words = HELD_INSTEAD.get(key) or HELD.get(verdict.reason, "")
    return view.say(words)


def _more(view: View, verdict: Verdict) -> str:
    """Return what the detail adds to the reason's sentence."""
    reason, detail = verdict.reason, verdict.detail
    if reason == "switched-off" and detail in CHANNELS:
        word = view.say(CHANNELS[detail])
        return view.say("It covers this way: %(channel)s.", channel=word)
    if reason == "minor" and detail in REASONS:
        return view.say(REASONS[detail].sentence)
    unread = detail.removeprefix("not read: ")
    if unread != detail:
        kinds = name_kinds(view, unread.split(", "))
        return view.say("Not read: %(names)s.", names=kinds)
    return ""
