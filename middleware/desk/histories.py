"""The history of one patient: counted, never scored.

Pure. Fewer than five messages are too few to say anything.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from statistics import median

from mappings.nudge import REASONS
from middleware.desk.formats import (
    CHANNELS,
    NOUNS,
    language_name,
    write_day,
    write_span,
)
from middleware.desk.values import Dot, History, Sent, Tag
from middleware.desk.views import HISTORY, WEEKS, View
from middleware.storage.history import SentRow

ENOUGH = 5
SHOWN = 6
USUAL = (
    (timedelta(hours=1), "within an hour"),
    (timedelta(hours=2), "within 2 hours"),
    (timedelta(hours=12), "the same day"),
    (timedelta(days=1), "within a day"),
)


def write_history(view: View) -> History:
    """Return the finding, the dots and the newest rows of 12 weeks."""
    sent = [row for row in view.sent if row.state not in ("failed", "unknown")]
    lanes = tuple(
        CHANNELS[name] for name in CHANNELS if any(row.channel == name for row in sent)
    )
    return History(
        finding=write_finding(view),
        window=f"Last {WEEKS} weeks",
        label=_label(sent),
        lanes=lanes,
        months=_months(view),
        dots=tuple(_dot(view, row) for row in reversed(sent)),
        rows=tuple(_row(view, row) for row in view.sent[:SHOWN]),
        total=len(view.sent),
    )


def write_finding(view: View) -> str:
    """Return what the counts say, in a sentence."""
    sent = [row for row in view.sent if row.state not in ("failed", "unknown")]
    if not sent:
        return "No messages yet"
    if len(sent) < ENOUGH:
        return f"Too early to tell ({_count(len(sent), 'message', 'messages')})"
    parts: list[str] = []
    for name, total, answered in _tallies(sent):
        many = NOUNS[name][1]
        if not parts:
            verb = "answers" if answered * 2 >= total else "seldom answers"
            parts.append(f"{view.given} {verb} {many}, {answered} of {total}.")
        else:
            verb = "get answers" if answered else "go unanswered"
            parts.append(f"{many.capitalize()} {verb}, {answered} of {total}.")
    return " ".join(parts)


def write_lede(view: View) -> str:
    """Return how fast the patient usually answers, once it can be told."""
    sent = [row for row in view.sent if row.state not in ("failed", "unknown")]
    for name, total, answered in _tallies(sent):
        spans = [
            (row.answered_at - row.at).total_seconds()
            for row in sent
            if row.channel == name and row.answered_at is not None
        ]
        if total >= ENOUGH and answered * 2 >= total and spans:
            middle = timedelta(seconds=median(spans))
            words = next((text for limit, text in USUAL if middle <= limit), None)
            one = NOUNS[name][0]
            article = "an" if one[0] in "aeiou" else "a"
            usual = words or f"within {write_span(middle)}"
            return f"{view.given} usually answers {article} {one} {usual}."
    return ""


def _tallies(sent: Sequence[SentRow]) -> list[tuple[str, int, int]]:
    found = []
    for name in dict.fromkeys(row.channel for row in sent):
        mine = [row for row in sent if row.channel == name]
        answered = sum(row.answered_at is not None for row in mine)
        found.append((name, len(mine), answered))
    return sorted(found, key=lambda item: -item[1])


def _label(sent: Sequence[SentRow]) -> str:
    parts = [f"{_count(len(sent), 'message', 'messages')} in {WEEKS} weeks."]
    parts += [
        f"{CHANNELS[name]}: {answered} of {total} answered."
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
        marks.append((f"{day:%b}", at))
        day = (day - timedelta(days=1)).replace(day=1)
    return tuple(reversed(marks))


def _dot(view: View, row: SentRow) -> Dot:
    day = row.at.astimezone(view.zone).date()
    at = min(max(_position(view, day), 1.2), 98.8)
    return Dot(CHANNELS[row.channel], at, row.answered_at is not None)


def _row(view: View, row: SentRow) -> Sent:
    local = row.at.astimezone(view.zone)
    how = f"{CHANNELS[row.channel]}, {language_name(row.language)}"
    if row.answered_at is not None:
        tag = Tag("ok", "check", "Answered")
        how = f"{how}, answered in {write_span(row.answered_at - row.at)}"
    elif row.state == "failed":
        tag = Tag("stop", "stop", "Failed")
        reason = REASONS.get(row.reason or "")
        how = f"{how}. {reason.sentence}" if reason else how
    elif row.state in ("unknown", "sending"):
        tag = Tag("warn", "warn", "Not known")
        how = f"{how}. {REASONS['delivery-unknown'].sentence}"
    elif row.delivered_at is not None:
        tag = Tag("off", "off", "No answer")
        how = f"{how}, delivered"
    else:
        tag = Tag("off", "off", "No answer")
    return Sent(
        write_day(local.date(), view.today),
        local.date().isoformat(),
        row.title,
        tag,
        how,
    )


def _count(number: int, one: str, many: str) -> str:
    return f"{number} {one if number == 1 else many}"
