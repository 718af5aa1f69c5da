"""The page of one patient, put together from a view: words, facts, rows.

Pure: nothing here reads or changes. What is not known is said, never guessed.
"""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

from mappings.nudge import REASONS, Nudge, Outcome, Verdict
from middleware.decisions.deciding import Candidate
from middleware.decisions.linting import is_gsm
from middleware.desk.evidence import write_facts
from middleware.desk.formats import (
    CHANNELS,
    language_name,
    write_address,
    write_age,
    write_born,
    write_instant,
    write_time,
    zone_name,
)
from middleware.desk.histories import write_history, write_lede
from middleware.desk.personal import choose_words, visit_fact
from middleware.desk.preferring import (
    write_channels,
    write_hours,
    write_language,
    write_order_source,
    write_topics,
    write_weekly,
)
from middleware.desk.sentences import choose_answer, is_paused
from middleware.desk.values import (
    Coming,
    Fact,
    Identity,
    Page,
    Preview,
    Tag,
    TopicRow,
)
from middleware.desk.views import View
from middleware.desk.weeks import write_week

ICONS = {"sms": "text", "email": "mail", "screen": "text"}
PASSED = "Every check passes as of now."
HELD = {
    "paused": "messages are paused",
    "limit-reached": "this week is full",
    "same-topic": "heard about it this week",
    "hours-never-meet": "no hour suits every time zone",
    "outside-hours": "waits for allowed hours",
    "no-consent": "no permission recorded",
    "opted-out": "the answer was no",
    "no-address": "no number or address",
    "language-missing": "language not recorded",
    "zone-missing": "time zone not known",
    "reply-needs-person": "a reply waits",
    "switched-off": "on hold by a person",
    "data-missing": "the chart lacks something",
    "sensitive": "a person decides",
    "minor": "a person decides",
    "confidential": "asked to be reached one way only",
    "in-hospital": "in hospital now",
}


def write_page(view: View) -> Page:
    """Return the whole page."""
    profile = view.profile
    answer = choose_answer(view, write_lede(view))
    coming = tuple(write_coming(view, *pair) for pair in view.planned)
    topics = write_topics(view)
    ended = profile.deceased or not profile.active or profile.merged_into is not None
    return Page(
        identity=_identity(view),
        chart_read=write_time(
            view.chart.read_at.astimezone(ZoneInfo(view.endpoint.site.zone))
        ),
        zone=zone_name(view.zone_id, view.now) if view.zone_id else "",
        answer=answer,
        words=choose_words(view),
        facts=_facts(view, topics, coming),
        coming=coming,
        history=write_history(view),
        channels=write_channels(view),
        channels_source=write_order_source(view),
        hours=write_hours(view, _next_due(view)),
        language=write_language(view),
        topics=topics,
        weekly=write_weekly(view),
        paused=is_paused(view),
        can_pause=not ended,
        versions={name: view.version(name) for name in ("pause", "channels")},
        gaps=view.gaps,
        conflicts=tuple(dict.fromkeys(item.name for item in profile.conflicts)),
    )


def write_preview(view: View, nudge_id: str) -> Preview | None:
    """Return the exact text of one open message; None when it is not open here."""
    for nudge, candidate in view.planned:
        if nudge.id == nudge_id:
            return _preview(view, nudge, candidate)
    return None


def write_pause_effect(view: View) -> str:
    """Return what a pause holds, before it is confirmed."""
    count = len(view.planned)
    if not count:
        return f"No message to {view.given} is planned right now. New ones wait."
    names = "; ".join(dict.fromkeys(_title(*pair) for pair in view.planned))
    noun = "message" if count == 1 else "messages"
    after = "What has passed its time by the end of the pause is not sent."
    return f"Holds {count} {noun}: {names}. {after}"


def write_coming(view: View, nudge: Nudge, candidate: Candidate) -> Coming:
    """Return one coming message with its reason and what a fresh look says of it."""
    return Coming(
        id=nudge.id,
        when=write_instant(candidate.due_at, view.zone),
        title=_title(nudge, candidate),
        why=candidate.why or nudge.why,
        stops=candidate.stops or nudge.stops,
        tag=_tag(nudge, candidate),
    )


def _title(nudge: Nudge, candidate: Candidate) -> str:
    return candidate.title or nudge.title


def _tag(nudge: Nudge, candidate: Candidate) -> Tag:
    verdict = candidate.verdict
    if verdict.outcome is Outcome.HOLD:
        words = HELD.get(verdict.reason)
        text = f"Held, {words}" if words else REASONS[verdict.reason].sentence
        return Tag("info", "hold", text)
    if verdict.outcome is not Outcome.SEND:
        return Tag("off", "off", f"Ends: {REASONS[verdict.reason].sentence}")
    channel = candidate.channel or nudge.channel or "screen"
    language = candidate.language or nudge.language
    name = f", {language_name(language)}" if language else ""
    return Tag("quiet", ICONS[channel], f"{CHANNELS[channel]}{name}")


def _identity(view: View) -> Identity:
    profile = view.profile
    return Identity(
        reference=view.patient,
        name=profile.name or "Name not recorded",
        given=view.given,
        age=write_age(profile.birth_date, view.today),
        sex=profile.gender or "",
        born=write_born(profile.birth_date),
        mrn=profile.mrn or "",
    )


def _facts(
    view: View,
    topics: tuple[TopicRow, ...],
    coming: tuple[Coming, ...],
) -> tuple[Fact, ...]:
    return (
        visit_fact(view),
        _consent_fact(topics),
        write_week(view),
        _next_message(view, coming),
    )


def _consent_fact(topics: tuple[TopicRow, ...]) -> Fact:
    agreed = [topic for topic in topics if topic.tag.kind == "ok"]
    refused = [topic.name.lower() for topic in topics if topic.tag.text == "No"]
    if refused and len(refused) < len(topics):
        note = f"Said no to {', '.join(refused)}"
    elif refused:
        note = "Said no to all"
    else:
        open_ = len(topics) - len(agreed)
        note = f"{open_} not asked" if open_ else "All agreed"
    return Fact("Consent", f"{len(agreed)} of {len(topics)} topics", note)


def _next_message(view: View, coming: tuple[Coming, ...]) -> Fact:
    for (_, candidate), row in zip(view.planned, coming, strict=True):
        if candidate.verdict.outcome is Outcome.SEND:
            when = f"{row.when.day}, {row.when.time}"
            return Fact("Next message", when, row.title)
    if coming:
        return Fact("Next message", "None until released", coming[0].tag.text)
    return Fact("Next message", "None planned", "Nothing is due")


def _next_due(view: View) -> datetime | None:
    for _, candidate in view.planned:
        if candidate.verdict.outcome is Outcome.SEND:
            return candidate.due_at
    return None


def _preview(view: View, nudge: Nudge, candidate: Candidate) -> Preview:
    verdict = candidate.verdict
    channel = candidate.channel or nudge.channel or "screen"
    language = candidate.language or nudge.language or ""
    send = verdict.outcome is Outcome.SEND
    return Preview(
        coming=write_coming(view, nudge, candidate),
        language=language,
        language_name=language_name(language) if language else "",
        channel=f"{CHANNELS[channel]} message"
        if channel == "sms"
        else CHANNELS[channel],
        address=write_address(candidate.address or nudge.address or ""),
        subject="" if channel == "sms" else candidate.subject,
        text=candidate.text,
        segments=_segments(candidate.text) if channel == "sms" else "",
        reviewer=_reviewer(view, language),
        verdict=Tag("ok", "okc", "Planned") if send else _tag(nudge, candidate),
        sentence=PASSED if send else _refusal(verdict),
        facts=write_facts(view, verdict.facts),
    )


def _refusal(verdict: Verdict) -> str:
    sentence = REASONS[verdict.reason].sentence
    return f"{sentence} ({verdict.detail})" if verdict.detail else sentence


def _segments(text: str) -> str:
    """Count text message segments (3GPP TS 23.038: 160/153 or 70/67 characters)."""
    if not text:
        return ""
    single, joined = (160, 153) if is_gsm(text) else (70, 67)
    count = 1 if len(text) <= single else -(-len(text) // joined)
    return f"{count} text segment{'s' if count > 1 else ''}."


def _reviewer(view: View, language: str) -> str:
    reviewers = view.endpoint.site.reviewers
    primary = language.partition("-")[0]
    name = reviewers.get(language) or reviewers.get(primary)
    return f"{language_name(language)} reviewed by {name}." if name else ""
