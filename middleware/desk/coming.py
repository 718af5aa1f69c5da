"""One coming message in words: when, what, why, what stops it, and what holds it. Pure."""

from __future__ import annotations

from datetime import datetime

from mappings.nudge import Nudge, Outcome
from middleware.decisions.deciding import Candidate
from middleware.desk.formats import CHANNELS, language_name, write_instant
from middleware.desk.opened import tag_here
from middleware.desk.reasons import write_held, write_reason
from middleware.desk.steps import say_step, say_when
from middleware.desk.values import Coming, Tag
from middleware.desk.views import View

ICONS = {"sms": "text", "email": "mail", "screen": "text"}


def write_coming(view: View, nudge: Nudge, candidate: Candidate) -> Coming:
    """Return one coming message with its reason and what a fresh look says of it."""
    said = say_step(view, candidate, nudge)
    return Coming(
        id=nudge.id,
        when=say_when(view, candidate),
        title=said.title,
        why=said.why,
        stops=said.stops,
        tag=coming_tag(view, nudge, candidate),
        moved=write_moved(view, nudge),
        staff=nudge.is_task,
        language=said.language,
        here=tag_here(view.linked, nudge, view.viewer),
    )


def write_moved(view: View, nudge: Nudge) -> str:
    """Return who moved a message and from when; empty where nobody did."""
    moved = nudge.detail.get("moved")
    if not moved:
        return ""
    was = write_instant(view.viewer, datetime.fromisoformat(moved["from"]), view.zone)
    return view.say(
        "Moved by %(name)s from %(day)s, %(time)s.",
        name=moved["by"],
        day=was.day,
        time=was.time,
    )


def coming_tag(view: View, nudge: Nudge, candidate: Candidate) -> Tag:
    """Return how it goes out, or what holds or ends it."""
    verdict = candidate.verdict
    if verdict.outcome is Outcome.HOLD:
        words = write_held(view, verdict)
        held = view.say("Held, %(why)s", why=words) if words else ""
        return Tag("info", "hold", held or write_reason(view, verdict))
    if verdict.outcome is not Outcome.SEND:
        why = write_reason(view, verdict)
        return Tag("off", "off", view.say("Will be cancelled. %(why)s", why=why))
    if nudge.is_task:
        return Tag("quiet", "person", view.say("Staff do this by then"))
    channel = candidate.channel or nudge.channel or "screen"
    language = candidate.language or nudge.language
    word = view.say(CHANNELS[channel])
    name = f", {language_name(view.viewer, language)}" if language else ""
    return Tag("quiet", ICONS[channel], f"{word}{name}")
