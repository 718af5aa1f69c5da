"""The card of a CDS Hooks service: one sentence, the next message and why.

Pure. ``summary`` is plain text under 140 characters; ``detail`` is GitHub-flavoured
Markdown in which nothing that a chart says can act. Source: CDS Hooks 2.0, Card
Attributes.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections import Counter
from dataclasses import dataclass, replace

from mappings.asking import NEEDS_PERSON
from middleware.desk.coming import write_coming
from middleware.desk.discharging import FollowUp, foresee
from middleware.desk.histories import write_lede
from middleware.desk.sentences import choose_answer
from middleware.desk.values import Answer
from middleware.desk.viewer import viewer_of
from middleware.desk.views import View

MOST = 139
SHOWN = 6
ASKS = frozenset({"ask", "warn"})
# Mends that only a person can make, beside those that become a task.
MENDED_BY_PEOPLE = frozenset({"no-consent", "no-address", "zone-missing", "sensitive"})
TURNING = re.compile("[\u200e\u200f\u202a-\u202e\u2066\u2067]")
ACTING = re.compile(r"[\\`*_{}\[\]#!|~$]")
LEADING = re.compile(r"\A(\d{1,9})?([-+=.)])")
LINKING = re.compile(r"(:)(?=/)|(?<=www)(\.)|(?<=\w)(@)(?=\w)", re.IGNORECASE)
ENTITIES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})
QUOTES = str.maketrans({"<": "‹", ">": "›"})


@dataclass(frozen=True)
class Card:
    """What a card says; ``verdict`` is a digest that changes when its meaning does."""

    summary: str
    detail: str
    indicator: str
    asks: bool
    verdict: str


def write_patient_card(view: View) -> Card | None:
    """Return the card of an opened chart; None where the record itself says enough.

    A closed record, one of somebody who died and a test patient have none.
    """
    profile = view.profile
    answer = choose_answer(view, write_lede(view))
    ended = profile.deceased or not profile.active or profile.merged_into is not None
    if ended or answer.tag.kind == "off":
        return None
    lines = [answer.lede] if answer.lede else []
    coming = [write_coming(view, *pair) for pair in view.planned]
    if coming:
        first = coming[0]
        when = f"{first.when.day}, {first.when.time}"
        lines.append(
            view.say("Next message: %(title)s, %(when)s.", title=first.title, when=when)
        )
        lines += [f"{first.tag.text}.", first.why, first.stops]
    else:
        lines.append(view.say("No message is planned."))
    asks = answer.tag.kind == "warn" and answer.tag.icon in ASKS
    return Card(
        summary=write_summary(_sentence(answer)),
        detail="\n\n".join(inert(line) for line in lines if line),
        indicator="warning" if asks else "info",
        asks=asks,
        verdict=_digest(view),
    )


def write_discharge_card(view: View, stay: str) -> Card:
    """Return the card of a discharge: what would follow and why, or why nothing does.

    ``stay`` is the Encounter that is being ended, which is in the view's chart.
    """
    rows = foresee(view, stay)
    counts = Counter(row.state for row in rows)
    mended = [
        row
        for row in rows
        if row.state == "held"
        and (row.reason in NEEDS_PERSON or row.reason in MENDED_BY_PEOPLE)
    ]
    shown = [f"- {_line(view, row)}" for row in rows[:SHOWN]]
    if len(rows) > SHOWN:
        rest = view.say_many(
            "%(number)s more in CareCue.",
            "%(number)s more in CareCue.",
            len(rows) - SHOWN,
        )
        shown.append(f"- {inert(rest)}")
    answer = choose_answer(view, write_lede(view))
    return Card(
        summary=write_summary(_follow_up(view, rows, counts)),
        detail="\n".join([inert(_sentence(answer)), "", *shown]),
        indicator="warning" if mended else "info",
        asks=bool(mended),
        verdict=_digest(view),
    )


def write_summary(text: str) -> str:
    """Return plain text on one line, cut to under 140 characters."""
    line = _one_line(text).translate(QUOTES)
    return line if len(line) <= MOST else f"{line[: MOST - 1].rstrip()}…"


def inert(text: str) -> str:
    """Return a text as Markdown that shows it as it is: no markup, link or list.

    Angle brackets and ampersands become entities, so that it is inert as HTML too.
    """
    line = ACTING.sub(r"\\\g<0>", _one_line(text)).translate(ENTITIES)
    line = LINKING.sub(r"\\\g<0>", line)
    return LEADING.sub(r"\1\\\2", line)


def _one_line(text: str) -> str:
    spaced = "".join(
        " " if unicodedata.category(letter) in {"Cc", "Zl", "Zp"} else letter
        for letter in TURNING.sub("", text)
    )
    return " ".join(spaced.split())


def _sentence(answer: Answer) -> str:
    parts = (answer.sentence, answer.hours)
    return f"{answer.tag.text}: {' '.join(part for part in parts if part)}"


def _follow_up(view: View, rows: tuple[FollowUp, ...], counts: Counter[str]) -> str:
    name, first = view.given, rows[0] if rows else None
    if first is None:
        return view.say("No follow-up message is planned for %(name)s.", name=name)
    if first.state == "planned":
        return view.say_many(
            "After discharge: %(number)s message to %(name)s: %(title)s, %(when)s.",
            "After discharge: %(number)s messages to %(name)s, first %(title)s, %(when)s.",
            counts["planned"],
            name=name,
            title=first.title,
            when=first.when,
        )
    if first.state == "held":
        return view.say(
            "After discharge, messages to %(name)s wait: %(why)s",
            name=name,
            why=first.why,
        )
    if first.state == "staff":
        return view.say(
            "No follow-up message to %(name)s; a person does: %(title)s, %(when)s.",
            name=name,
            title=first.title,
            when=first.when,
        )
    return view.say(
        "No follow-up message to %(name)s: %(why)s", name=name, why=first.why
    )


def _line(view: View, row: FollowUp) -> str:
    title = f"**{inert(row.title)}**"
    how = f" ({inert(row.how)})" if row.how else ""
    why = inert(row.why)
    if row.when:
        return f"{title}, {inert(row.when)}{how}. {why}".strip()
    word = view.say("Held") if row.state == "held" else view.say("Not sent")
    return f"{title}{how}: {inert(word)}. {why}"


def _digest(view: View) -> str:
    """Return a mark of the verdict that does not depend on the reader's language."""
    english = replace(view, viewer=viewer_of("en-US"))
    return hashlib.sha256(_sentence(choose_answer(english, "")).encode()).hexdigest()
