"""The preview of one coming message: its exact text, and what it rests on. Pure.

A held message is shown as it would go once released, and says that it is held.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import date

from mappings.content import SHIPPED
from mappings.nudge import Nudge, Outcome
from mappings.preference import PreferenceRecord, Who
from middleware.decisions.deciding import Candidate, decide_nudge
from middleware.decisions.linting import count_segments
from middleware.decisions.reading import reading_level
from middleware.decisions.releasing import LIFTED, word_released
from middleware.desk.checks import write_checks
from middleware.desk.coming import coming_tag, write_coming
from middleware.desk.evidence import write_facts
from middleware.desk.formats import language_name, write_address, write_date
from middleware.desk.reasons import write_reason
from middleware.desk.values import Preview, Reading, Tag
from middleware.desk.viewer import mark
from middleware.desk.views import View

PASSED = mark("Every check passes as of now.")
UNSEEN = mark(
    "It stands as CareCue planned it. This page was not given all that its text and its "
    "checks rest on."
)
KINDS = {
    "sms": mark("Text message"),
    "email": mark("Email"),
    "screen": mark("On screen"),
}


def write_preview(view: View, nudge_id: str) -> Preview | None:
    """Return the exact text of one open message; None when it is not open here."""
    for nudge, candidate in view.planned:
        if nudge.id == nudge_id:
            return _preview(view, nudge, candidate)
    return None


def _preview(view: View, nudge: Nudge, candidate: Candidate) -> Preview:
    verdict = candidate.verdict
    shown = _released(view, nudge, candidate)
    channel = shown.channel or nudge.channel or "screen"
    language = shown.language or nudge.language or ""
    named = language_name(view.viewer, language) if language else ""
    send = verdict.outcome is Outcome.SEND
    # What was not given to this person stands as it was decided, and has no words here.
    passed = PASSED if shown.text else UNSEEN
    planned = Tag("ok", "okc", view.say("Planned"))
    return Preview(
        coming=write_coming(view, nudge, candidate),
        language=language,
        language_name=named,
        channel=view.say(KINDS[channel]),
        address=write_address(shown.address or nudge.address or ""),
        subject="" if channel == "sms" else shown.subject,
        text=shown.text,
        segments=_segments(view, shown.text) if channel == "sms" else "",
        reviewer=write_review(view, named, shown.reviewer, shown.reviewed),
        verdict=planned if send else coming_tag(view, nudge, candidate),
        sentence=view.say(passed) if send else write_reason(view, verdict),
        facts=write_facts(view, verdict.facts),
        level=_level(view, shown.text, language),
        reading=read_aloud(view, nudge, shown),
        checks=write_checks(view, nudge, shown) if shown.text or not send else (),
        held=not send,
    )


def _released(view: View, nudge: Nudge, candidate: Candidate) -> Candidate:
    """Return the message with the words that it would have if nothing held it."""
    verdict = candidate.verdict
    if candidate.text or verdict.reason not in LIFTED:
        return candidate
    parts = (view.chart, view.own, view.library, view.endpoint, view.now)
    found = word_released(nudge, *parts)
    if found is None:
        return candidate
    return replace(found, verdict=verdict, due_at=candidate.due_at)


def read_aloud(view: View, nudge: Nudge, candidate: Candidate) -> Reading | None:
    """Return the message in the viewer's language, from the same variables.

    None where it is written in it already, or where there is no such wording. Nobody
    has to have approved the wording: it is not sent.
    """
    mine = view.viewer.language
    if not candidate.text or (candidate.language or "").partition("-")[0] == mine:
        return None
    wordings = tuple(
        replace(item, reviewer=item.reviewer or "reading")
        for item in view.library.wordings
    )
    spoken = PreferenceRecord("language", mine, Who.PATIENT, "reading", view.now)
    decide = word_released if candidate.verdict.reason in LIFTED else decide_nudge
    read = decide(
        nudge,
        view.chart,
        replace(view.own, preferences=(*view.own.preferences, spoken)),
        replace(view.library, wordings=wordings),
        view.endpoint,
        view.now,
    )
    if read is None or not read.text:
        return None
    if (read.language or "").partition("-")[0] != mine:
        return None
    return Reading(mine, read.text)


def _level(view: View, text: str, language: str) -> str:
    """Write how hard the text is to read, in the measure of its language."""
    level = reading_level(text, language)
    if level is None:
        return ""
    if language.partition("-")[0] == "en":
        return view.say("Grade %(grade)s reading level.", grade=round(level))
    return view.say("Ease of reading %(ease)s of 100.", ease=min(100, round(level)))


def _segments(view: View, text: str) -> str:
    if not text:
        return ""
    count = count_segments(text)
    return view.say_many("%(number)s text segment.", "%(number)s text segments.", count)


def write_review(view: View, words: str, reviewer: str, reviewed: str) -> str:
    """Write who approved a text, and when; empty for nobody. ``words``: its language."""
    if not reviewer:
        return ""
    if reviewer == SHIPPED:
        return view.say("%(language)s wording as CareCue brings it.", language=words)
    if not reviewed:
        return view.say(
            "%(language)s reviewed by %(name)s, day not recorded.",
            language=words,
            name=reviewer,
        )
    return view.say(
        "%(language)s reviewed by %(name)s, %(day)s.",
        language=words,
        name=reviewer,
        day=write_date(view.viewer, date.fromisoformat(reviewed)),
    )
