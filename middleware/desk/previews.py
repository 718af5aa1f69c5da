"""The preview of one coming message: its exact text, and what it rests on. Pure."""

from __future__ import annotations

from mappings.nudge import REASONS, Nudge, Outcome, Verdict
from middleware.decisions.deciding import Candidate
from middleware.decisions.linting import is_gsm
from middleware.desk.coming import coming_tag, write_coming
from middleware.desk.evidence import write_facts
from middleware.desk.formats import language_name, write_address
from middleware.desk.values import Preview, Tag
from middleware.desk.viewer import mark
from middleware.desk.views import View

PASSED = mark("Every check passes as of now.")
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
    channel = candidate.channel or nudge.channel or "screen"
    language = candidate.language or nudge.language or ""
    send = verdict.outcome is Outcome.SEND
    planned = Tag("ok", "okc", view.say("Planned"))
    return Preview(
        coming=write_coming(view, nudge, candidate),
        language=language,
        language_name=language_name(view.viewer, language) if language else "",
        channel=view.say(KINDS[channel]),
        address=write_address(candidate.address or nudge.address or ""),
        subject="" if channel == "sms" else candidate.subject,
        text=candidate.text,
        segments=_segments(view, candidate.text) if channel == "sms" else "",
        reviewer=_reviewer(view, language),
        verdict=planned if send else coming_tag(view, nudge, candidate),
        sentence=view.say(PASSED) if send else _refusal(view, verdict),
        facts=write_facts(view, verdict.facts),
    )


def _refusal(view: View, verdict: Verdict) -> str:
    sentence = view.say(REASONS[verdict.reason].sentence)
    return f"{sentence} ({verdict.detail})" if verdict.detail else sentence


def _segments(view: View, text: str) -> str:
    """Count text message segments (3GPP TS 23.038: 160/153 or 70/67 characters)."""
    if not text:
        return ""
    single, joined = (160, 153) if is_gsm(text) else (70, 67)
    count = 1 if len(text) <= single else -(-len(text) // joined)
    return view.say_many("%(number)s text segment.", "%(number)s text segments.", count)


def _reviewer(view: View, language: str) -> str:
    reviewers = view.endpoint.site.reviewers
    primary = language.partition("-")[0]
    name = reviewers.get(language) or reviewers.get(primary)
    if not name:
        return ""
    words = language_name(view.viewer, language)
    return view.say("%(language)s reviewed by %(name)s.", language=words, name=name)
