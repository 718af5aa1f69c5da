"""What a patient takes home on paper: whether and how we write, and how to change it.

Pure. It is said in the patient's language where we have its words, else in English with
a note to use an interpreter. It names no diagnosis, no test and no medicine, and of a
number or address only its end: others may read it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from mappings.instants import find_instant
from mappings.nudge import Outcome
from middleware.decisions.languages import language_tags
from middleware.desk.completeness import state_of
from middleware.desk.formats import (
    language_name,
    own_language_name,
    write_date,
    write_hour,
    write_instant,
)
from middleware.desk.personal import COMING_VISITS
from middleware.desk.reaching import routes
from middleware.desk.sentences import (
    choose_standing,
    is_paused,
    pause_until,
    write_last_day,
)
from middleware.desk.viewer import LANGUAGES, Viewer, mark, viewer_of
from middleware.desk.views import View

MOST_ROWS = 3
UNKNOWN = frozenset({"withheld", "partly", "failed"})
MOST_NAME = 80
WAYS = {
    "sms": mark("We write to you by text message, to the number that ends in %(end)s."),
    "email": mark("We write to you by email, to the address that begins with %(end)s."),
}
ABOUT = {
    "appointments": mark("A message about a visit"),
    "appointment": mark("A message about a visit"),
    "post-discharge": mark("A message to ask how you are"),
    "discharge": mark("A message to ask how you are"),
    "ed-followup": mark("A message to ask how you are"),
    "emergency": mark("A message to ask how you are"),
}
ANY = mark("A message about your care")


@dataclass(frozen=True)
class Summary:
    """Sentences in the patient's language; ``note`` is set where they are in English.

    ``coming`` are (when, what). ``changes`` are lines to fill in by hand.
    """

    viewer: Viewer
    note: str
    title: str
    name: str
    how: tuple[str, ...]
    coming_title: str
    coming: tuple[tuple[str, str], ...]
    change_title: str
    change: tuple[str, ...]
    changes_title: str
    changes: tuple[str, ...]
    made: str


def write_summary(view: View) -> Summary | None:
    """Return the page to print; None for a closed record or somebody who died."""
    profile = view.profile
    if profile.deceased or not profile.active or profile.merged_into is not None:
        return None
    tag = profile.language.value if profile.language else ""
    own = replace(view, viewer=viewer_of(tag or "en-US"))
    site = view.endpoint.site
    name = profile.name or own.say("the patient")
    made = write_instant(own.viewer, view.now, view.zone)
    return Summary(
        viewer=own.viewer,
        note=_note(tag),
        title=own.say("Messages from %(clinic)s", clinic=site.name),
        name=name if len(name) <= MOST_NAME else f"{name[: MOST_NAME - 1]}…",
        how=_how(own),
        coming_title=own.say("What is coming"),
        coming=_coming(own),
        change_title=own.say("To stop or change messages"),
        change=(
            own.say("Answer STOP to any message, and we stop."),
            own.say("Or call us: %(phone)s.", phone=site.phone),
            own.say("Messages are not for emergencies. In an emergency, call 911."),
        ),
        changes_title=own.say("What should change? Write it here and hand it to us."),
        changes=(
            own.say("Stop all messages"),
            own.say("Number or email"),
            own.say("Language"),
            own.say("Days and hours"),
        ),
        made=own.say(
            "As of %(day)s, %(time)s",
            day=write_date(own.viewer, view.now.astimezone(view.zone).date()),
            time=made.time,
        ),
    )


def _note(tag: str) -> str:
    """Return why the sentences are in English, for whoever hands the paper over."""
    if not tag:
        return "The chart does not say which language to use; this is in English."
    if tag.partition("-")[0].lower() in LANGUAGES:
        return ""
    english = viewer_of("en-US")
    names = dict.fromkeys((language_name(english, tag), own_language_name(tag)))
    return (
        f"No reviewed translation into {' / '.join(names)} exists. This is in English: "
        "go through it with an interpreter."
    )


def _how(view: View) -> tuple[str, ...]:
    """Say whether we write, by which way, in which language and when."""
    profile = view.profile
    answer = choose_standing(view)
    if is_paused(view):
        until = pause_until(view)
        if until is None:
            return (view.say("We send you no messages for now."),)
        day = write_last_day(view, until)
        return (view.say("We send you no messages until %(day)s.", day=day),)
    if answer.tag.icon == "stop":
        return (view.say("You said no to messages, so we send you none."),)
    route = next((item for item in routes(view) if item.verdict is None), None)
    way = WAYS.get((route.channel if route else None) or "")
    if answer.tag.kind != "ok" or route is None or way is None or not _has_words(view):
        return (
            view.say("We send you no messages for now."),
            view.say("Please tell us if and how we may reach you."),
        )
    first, last = profile.window.value
    limit = profile.max_per_week.value
    return (
        view.say(way, end=_end(route.channel or "", route.address or "")),
        view.say(
            "We write between %(first)s and %(last)s, in %(language)s.",
            language=_language(view),
            first=write_hour(view.viewer, first),
            last=write_hour(view.viewer, last),
        ),
        view.say_many(
            "At most %(number)s message a week.",
            "At most %(number)s messages a week.",
            limit,
        ),
    )


def _has_words(view: View) -> bool:
    """Tell whether any message exists in the patient's language."""
    language = view.profile.language
    tags = {tag.lower() for tag in language_tags(language.value if language else "")}
    return any(wording.language.lower() in tags for wording in view.library.wordings)


def _language(view: View) -> str:
    language = view.profile.language
    return language_name(view.viewer, language.value if language else "en")


def _end(channel: str, address: str) -> str:
    """Return as much of a number or address as its owner knows it by."""
    return address[-4:] if channel == "sms" else f"{address[:2]}…"


def _coming(view: View) -> tuple[tuple[str, str], ...]:
    """List the next visit and the next messages that will go, soonest first."""
    visits: list[tuple[datetime, str]] = []
    for visit in view.chart.of("Appointment"):
        start = find_instant(visit.get("start"))
        known = str(visit.get("status")) in COMING_VISITS
        if start and start > view.now and known:
            visits.append((start, view.say("Your visit")))
    messages = [
        (candidate.due_at, view.say(ABOUT.get(nudge.topic, ANY)))
        for nudge, candidate in view.planned
        if candidate.verdict.outcome is Outcome.SEND
    ]
    shown = sorted(visits)[:1] + sorted(messages)
    rows = []
    for at, what in sorted(shown[:MOST_ROWS]):
        when = write_instant(view.viewer, at, view.zone)
        rows.append((f"{when.day}, {when.time}", what))
    state = state_of(view, "Appointment", view.chart.of("Appointment"))
    if not rows and state not in UNKNOWN:
        return (("", view.say("Nothing is planned.")),)
    return tuple(rows)
