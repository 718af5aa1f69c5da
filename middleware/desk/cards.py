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
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from mappings.asking import NEEDS_PERSON
from middleware.desk.coming import write_coming
from middleware.desk.completeness import name_kinds
from middleware.desk.discharging import FollowUp, foresee, lacks_disposition
from middleware.desk.histories import write_lede
from middleware.desk.sentences import choose_answer
from middleware.desk.values import Answer
from middleware.desk.viewer import viewer_of
from middleware.desk.views import View

MOST = 139
SHOWN = 6
TITLES = 3
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
    """What a card says; ``verdict`` is a digest that changes when its meaning does.

    ``read`` is how many resources of each type it was made from.
    """

    summary: str
    detail: str
    indicator: str
    asks: bool
    verdict: str
    read: Mapping[str, int] = field(default_factory=dict)


def write_patient_card(view: View) -> Card | None:
    """Return the card of an opened chart; None where the record itself says enough.

    A closed record, one of somebody who died and a test patient have none.
    """
    answer = choose_answer(view, write_lede(view))
    if _says_enough(view, answer):
        return None
    lines = [answer.lede] if answer.lede else []
    coming = [write_coming(view, *pair) for pair in view.planned]
    if coming:
        first = coming[0]
        when = f"{first.when.day}, {first.when.time}"
        lines.append(
            view.say("Next message: %(title)s, %(when)s.", title=first.title, when=when)
        )
        lines += [f"{first.tag.text.removesuffix('.')}.", first.why, first.stops]
    else:
        lines.append(view.say("No message is planned."))
    asks = _asks(answer)
    return Card(
        summary=write_summary(_sentence(answer)),
        detail="\n\n".join(inert(line) for line in lines if line),
        indicator="warning" if asks else "info",
        asks=asks,
        verdict=_digest(view),
    )


def write_early_card(view: View, stay: str | None) -> Card | None:
    """Return the card of a chart of which no more than the verdict rests on was read.

    It says nothing of messages, and names what was not read. With ``stay`` it is that
    of a discharge, which has a card whatever the verdict is.
    """
    answer = choose_answer(view, "")
    if stay is None and _says_enough(view, answer):
        return None
    names = name_kinds(view, sorted(view.unread))
    unread = view.say("Not read in time: %(names)s.", names=names)
    if stay is None:
        rest = view.say("Which messages are planned is in CareCue.")
    else:
        rest = view.say("What follows this discharge is in CareCue.")
    asks = _asks(answer)
    return Card(
        summary=write_summary(_sentence(answer)),
        detail="\n\n".join(map(inert, (unread, rest))),
        indicator="warning" if asks else "info",
        asks=asks,
        verdict=_digest(view),
    )


def write_discharge_card(view: View, stay: str) -> Card:
    """Return the card of a discharge: what would follow and why, or why nothing does.

    ``stay`` is the Encounter that is being ended, which is in the view's chart.
    """
    unknown = lacks_disposition(view, stay)
    rows = foresee(view, stay, home=unknown)
    waits = unknown and any(row.state == "planned" for row in rows)
    asks = waits or any(_is_mended(row) for row in rows)
    answer = choose_answer(view, write_lede(view))
    lines = [inert(_sentence(answer)), ""]
    summary = _follow_up(view, rows)
    if unknown:
        lines += [inert(view.say("If %(name)s goes home:", name=view.given)), ""]
    if waits:
        summary = view.say(
            "Record where %(name)s goes after discharge: messages wait for it.",
            name=view.given,
        )
    return Card(
        summary=write_summary(summary),
        detail="\n".join([*lines, *_list(view, rows)]),
        indicator="warning" if asks else "info",
        asks=asks,
        verdict=_digest(view),
    )


def _says_enough(view: View, answer: Answer) -> bool:
    """Tell whether the record itself says why nobody is written to."""
    profile = view.profile
    ended = profile.deceased or not profile.active or profile.merged_into is not None
    return ended or answer.tag.kind == "off"


def _asks(answer: Answer) -> bool:
    return answer.tag.kind == "warn" and answer.tag.icon in ASKS


def _is_mended(row: FollowUp) -> bool:
    """Tell whether a person can mend what holds a step."""
    known = row.reason in NEEDS_PERSON or row.reason in MENDED_BY_PEOPLE
    return row.state == "held" and known


def _list(view: View, rows: tuple[FollowUp, ...]) -> list[str]:
    """Return the steps as a list; those that wait for the same are one line."""
    together: dict[object, list[FollowUp]] = {}
    for row in rows:
        alone = row if row.when else (row.state, row.reason)
        together.setdefault(alone, []).append(row)
    groups = list(together.values())
    lines = [f"- {_line(view, group)}" for group in groups[:SHOWN]]
    rest = sum(len(group) for group in groups[SHOWN:])
    if rest:
        more = view.say_many(
            "%(number)s more in CareCue.", "%(number)s more in CareCue.", rest
        )
        lines.append(f"- {inert(more)}")
    return lines


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


def _follow_up(view: View, rows: tuple[FollowUp, ...]) -> str:
    name, first = view.given, rows[0] if rows else None
    counts = Counter(row.state for row in rows)
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


def _line(view: View, group: list[FollowUp]) -> str:
    row = group[0]
    names = [f"**{inert(each.title)}**" for each in group]
    title = ", ".join(names[:TITLES])
    if len(names) > TITLES:
        title = f"{title} +{len(names) - TITLES}"
    why = inert(row.why)
    if row.when:
        how = f" ({inert(row.how)})" if row.how else ""
        return f"{title}, {inert(row.when)}{how}. {why}".strip()
    word = view.say("Held") if row.state == "held" else view.say("Not sent")
    return f"{title}: {inert(word)}. {why}"


def _digest(view: View) -> str:
    """Return a mark of the verdict that does not depend on the reader's language."""
    english = replace(view, viewer=viewer_of("en-US"))
    return hashlib.sha256(_sentence(choose_answer(english, "")).encode()).hexdigest()
