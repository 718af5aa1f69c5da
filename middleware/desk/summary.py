"""What a patient takes home on paper: whether and how we write, and how to change it.

Pure. It is said to a reader, in whatever language; ``handing`` chooses which. It names no
diagnosis, no test and no medicine, and of a number or address only its end: others may
read it.
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
    whole_zone_name,
    write_address,
    write_hour,
    write_instant,
    write_long_date,
    write_time,
    write_whole_day,
)
from middleware.desk.personal import COMING_VISITS
from middleware.desk.reaching import routes
from middleware.desk.sentences import (
    choose_standing,
    find_last_day,
    is_paused,
    pause_until,
)
from middleware.desk.viewer import Viewer, mark
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
WORDLESS = mark("We do not have messages in your language yet, so we send you none.")


@dataclass(frozen=True)
class Summary:
    """Sentences in the language of ``viewer``, who reads the sheet.

    ``coming`` are (when, what). ``changes`` are lines to fill in by hand.
    """

    viewer: Viewer
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


def write_summary(view: View, reader: Viewer) -> Summary:
    """Return the page to print, as its reader is told."""
    own = replace(view, viewer=reader)
    site = view.endpoint.site
    name = view.profile.name or own.say("the patient")
    return Summary(
        viewer=reader,
        title=own.say("Messages from %(clinic)s", clinic=site.name),
        name=name if len(name) <= MOST_NAME else f"{name[: MOST_NAME - 1]}…",
        how=_how(own),
        coming_title=own.say("Your next visit and messages"),
        coming=_coming(own),
        change_title=own.say("To stop or change messages"),
        change=(
            own.say("Reply STOP to any message, and we stop."),
            own.say("Or call us: %(phone)s.", phone=write_address(site.phone)),
            own.say("Messages are not for emergencies. In an emergency, call 911."),
        ),
        changes_title=own.say(
            "Would you like to change something? Write it here and give it to us."
        ),
        changes=(
            own.say("Stop all messages"),
            own.say("Phone number or email"),
            own.say("Language"),
            own.say("Days and hours"),
        ),
        made=_made(own),
    )


def _made(view: View) -> str:
    local = view.now.astimezone(view.zone)
    return view.say(
        "Printed on %(day)s, %(time)s. All times here are %(zone)s.",
        day=write_long_date(view.viewer, local.date()),
        time=write_time(view.viewer, local),
        zone=whole_zone_name(view.viewer, view.zone, view.now),
    )


def _how(view: View) -> tuple[str, ...]:
    """Say whether we write, by which way, in which language and when."""
    profile = view.profile
    answer = choose_standing(view)
    if is_paused(view):
        until = pause_until(view)
        if until is None:
            return (view.say("We send you no messages for now."),)
        day = write_whole_day(view.viewer, find_last_day(view, until))
        return (view.say("We send you no messages until the end of %(day)s.", day=day),)
    if answer.tag.icon == "stop":
        return (view.say("You said no to messages, so we send you none."),)
    route = next((item for item in routes(view) if item.verdict is None), None)
    way = WAYS.get((route.channel if route else None) or "")
    if profile.language and not _has_words(view):
        return (view.say(WORDLESS),)
    if answer.tag.kind != "ok" or route is None or way is None:
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
    """Tell whether any message that may be sent is in the patient's language."""
    language = view.profile.language
    tags = {tag.lower() for tag in language_tags(language.value if language else "")}
    return any(
        wording.reviewer and wording.language.lower() in tags
        for wording in view.library.wordings
    )


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
        local = at.astimezone(view.zone)
        day = write_whole_day(view.viewer, local.date())
        time = write_instant(view.viewer, at, view.zone).time
        rows.append((view.say("%(day)s at %(time)s", day=day, time=time), what))
    state = state_of(view, "Appointment", view.chart.of("Appointment"))
    if not rows and state not in UNKNOWN:
        return (("", view.say("Nothing is planned.")),)
    return tuple(rows)
