"""The history of one patient: counted, never scored.

Pure. Fewer than five messages are too few to say anything.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from math import ceil

from mappings.nudge import REASONS
from middleware.desk.formats import (
    CHANNELS,
    language_name,
    write_day,
    write_month,
    write_span,
)
from middleware.desk.steps import say_sent_title
from middleware.desk.values import Dot, History, Sent, Tag, Tally
from middleware.desk.viewer import mark
from middleware.desk.views import HISTORY, WEEKS, View
from middleware.storage.history import SentRow

ENOUGH = 5
SHOWN = 6
MOST = 0.75  # of the answers came within what is called usual
USUAL = (
    (timedelta(hours=1), mark("within an hour")),
    (timedelta(hours=2), mark("within 2 hours")),
    (timedelta(hours=12), mark("the same day")),
    (timedelta(days=1), mark("within a day")),
)
FIRST = {  # of the way used most: answered at least every other time, or less
    ("sms", True): mark("%(name)s answers texts, %(answered)s of %(total)s."),
    ("sms", False): mark("%(name)s seldom answers texts, %(answered)s of %(total)s."),
    ("email", True): mark("%(name)s answers emails, %(answered)s of %(total)s."),
    ("email", False): mark(
        "%(name)s seldom answers emails, %(answered)s of %(total)s."
    ),
    ("screen", True): mark(
        "%(name)s answers messages on screen, %(answered)s of %(total)s."
    ),
    ("screen", False): mark(
        "%(name)s seldom answers messages on screen, %(answered)s of %(total)s."
    ),
}
NEXT = {  # of each other way: some answered, or none
    ("sms", True): mark("Texts get answers, %(answered)s of %(total)s."),
    ("sms", False): mark("Texts go unanswered, %(answered)s of %(total)s."),
    ("email", True): mark("Emails get answers, %(answered)s of %(total)s."),
    ("email", False): mark("Emails go unanswered, %(answered)s of %(total)s."),
    ("screen", True): mark(
        "Messages on screen get answers, %(answered)s of %(total)s."
    ),
    ("screen", False): mark(
        "Messages on screen go unanswered, %(answered)s of %(total)s."
    ),
}
LEDES = {
    "sms": mark("%(name)s usually answers a text %(span)s."),
    "email": mark("%(name)s usually answers an email %(span)s."),
    "screen": mark("%(name)s usually answers a message on screen %(span)s."),
}


def write_history(view: View, shown: int | None = SHOWN) -> History:
    """Return the finding, the dots and the newest rows of 12 weeks; None is all."""
    sent = [row for row in view.sent if row.state not in ("failed", "unknown")]
    lanes = tuple(
        view.say(word)
        for name, word in CHANNELS.items()
        if any(row.channel == name for row in sent)
    )
    return History(
        finding=write_finding(view),
        window=view.say("Last %(weeks)s weeks", weeks=WEEKS),
        label=_label(view, sent),
        lanes=lanes,
        months=_months(view),
        dots=tuple(_dot(view, row) for row in reversed(sent)),
        rows=tuple(_row(view, row) for row in view.sent[:shown]),
        total=len(view.sent),
        tallies=tuple(_tally(view, sent, *tally) for tally in _tallies(sent)),
    )


def write_finding(view: View) -> str:
    """Return what the counts say, in a sentence."""
    sent = [row for row in view.sent if row.state not in ("failed", "unknown")]
    if not sent:
        return view.say("No messages yet")
    if len(sent) < ENOUGH:
        return view.say_many(
            "Too early to tell (%(number)s message)",
            "Too early to tell (%(number)s messages)",
            len(sent),
        )
    parts: list[str] = []
    for name, total, answered in _tallies(sent):
        text = (
            NEXT[name, bool(answered)] if parts else FIRST[name, answered * 2 >= total]
        )
        parts.append(view.say(text, name=view.given, answered=answered, total=total))
    return " ".join(parts)


def write_lede(view: View) -> str:
    """Return how fast the patient usually answers, once it can be told."""
    sent = [row for row in view.sent if row.state not in ("failed", "unknown")]
    for name, total, answered in _tallies(sent):
        span = _usual(sent, name)
        if total >= ENOUGH and answered * 2 >= total and span:
            words = next((text for limit, text in USUAL if span <= limit), None)
            usual = (
                view.say(words)
                if words
                else view.say("within %(span)s", span=write_span(view.viewer, span))
            )
            return view.say(LEDES[name], name=view.given, span=usual)
    return ""


def _usual(sent: Sequence[SentRow], name: str) -> timedelta | None:
    """Return how long three in four of the answers on a way took at most."""
    spans = sorted(
        row.answered_at - row.at
        for row in sent
        if row.channel == name and row.answered_at is not None
    )
    return spans[ceil(MOST * len(spans)) - 1] if spans else None


def _tally(
    view: View, sent: Sequence[SentRow], name: str, total: int, answered: int
) -> Tally:
    span = _usual(sent, name)
    usual = (
        view.say("within %(span)s", span=write_span(view.viewer, span)) if span else ""
    )
    return Tally(view.say(CHANNELS[name]), total, answered, usual)


def _tallies(sent: Sequence[SentRow]) -> list[tuple[str, int, int]]:
    found = []
    for name in dict.fromkeys(row.channel for row in sent):
        mine = [row for row in sent if row.channel == name]
        answered = sum(row.answered_at is not None for row in mine)
        found.append((name, len(mine), answered))
    return sorted(found, key=lambda item: -item[1])


def _label(view: View, sent: Sequence[SentRow]) -> str:
    count = view.say_many("%(number)s message", "%(number)s messages", len(sent))
    parts = [view.say("%(count)s in %(weeks)s weeks.", count=count, weeks=WEEKS)]
    parts += [
        view.say(
            "%(channel)s: %(answered)s of %(total)s answered.",
            channel=view.say(CHANNELS[name]),
            answered=answered,
            total=total,
        )
        for name, total, answered in _tallies(sent)
    ]
    return " ".join(parts)


def _position(view: View, day: date) -> float:
    start = (view.now - HISTORY).astimezone(view.zone).date()
    return round((day - start).days / HISTORY.days * 100, 2)


def _months(view: View) -> tuple[tuple[str, float], ...]:
    marks = []
    day = view.today.replace(day=1)
    while (at := _position(view, day)) > 0:
        marks.append((write_month(view.viewer, day), at))
        day = (day - timedelta(days=1)).replace(day=1)
    return tuple(reversed(marks))


def _dot(view: View, row: SentRow) -> Dot:
    day = row.at.astimezone(view.zone).date()
    at = min(max(_position(view, day), 1.2), 98.8)
    return Dot(view.say(CHANNELS[row.channel]), at, row.answered_at is not None)


def _row(view: View, row: SentRow) -> Sent:
    day = row.at.astimezone(view.zone).date()
    language = language_name(view.viewer, row.language)
    tag, result = _result(view, row)
    title, spoken = say_sent_title(view, row)
    return Sent(
        day=write_day(view.viewer, day, view.today),
        iso=day.isoformat(),
        title=title,
        tag=tag,
        note=f"{view.say(CHANNELS[row.channel])}, {language}{result}",
        language=spoken,
    )


def _result(view: View, row: SentRow) -> tuple[Tag, str]:
    """Return what came of a message, as a tag and as the end of a sentence."""
    if row.answered_at is not None:
        span = write_span(view.viewer, row.answered_at - row.at)
        text = view.say("answered in %(span)s", span=span)
        return Tag("ok", "check", view.say("Answered")), f", {text}"
    if row.state == "failed":
        reason = REASONS.get(row.reason or "")
        text = f". {view.say(reason.sentence)}" if reason else ""
        return Tag("stop", "stop", view.say("Failed")), text
    if row.state in ("unknown", "sending"):
        text = f". {view.say(REASONS['delivery-unknown'].sentence)}"
        return Tag("warn", "warn", view.say("Not known")), text
    silent = Tag("off", "off", view.say("No answer"))
    return silent, f", {view.say('delivered')}" if row.delivered_at else ""
