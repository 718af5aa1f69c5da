"""The page of one patient, put together from a view: words, facts, rows.

Pure: nothing here reads or changes. What is not known is said, never guessed.
"""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

from mappings.nudge import Outcome
from middleware.desk.coming import write_coming
from middleware.desk.completeness import (
    know_coming,
    know_history,
    know_preferences,
    know_words,
)
from middleware.desk.flags import write_conflicts
from middleware.desk.formats import (
    write_age,
    write_born,
    write_time,
    zone_name,
)
from middleware.desk.gaps import write_gaps
from middleware.desk.histories import write_history, write_lede
from middleware.desk.opened import write_elsewhere, write_notes
from middleware.desk.personal import choose_words, visit_fact
from middleware.desk.preferring import (
    write_channels,
    write_hours,
    write_topics,
)
from middleware.desk.sentences import choose_answer, is_paused
from middleware.desk.steps import say_step
from middleware.desk.values import (
    Coming,
    Fact,
    Identity,
    Known,
    Page,
    TopicRow,
)
from middleware.desk.viewer import mark
from middleware.desk.views import View
from middleware.desk.weeks import write_week

SEXES = {
    "female": mark("female"),
    "male": mark("male"),
    "other": mark("other sex"),
    "unknown": mark("sex not known"),
}


def write_page(view: View) -> Page:
    """Return the whole page."""
    answer = choose_answer(view, write_lede(view))
    coming = tuple(write_coming(view, *pair) for pair in view.planned)
    steps = tuple(write_coming(view, *pair) for pair in view.steps)
    topics = write_topics(view)
    known = {
        "words": know_words(view),
        "coming": know_coming(view),
        "history": know_history(view),
        "preferences": know_preferences(view),
    }
    return Page(
        identity=write_identity(view),
        chart_read=_chart_read(view),
        zone=zone_name(view.viewer, view.zone_id, view.now) if view.zone_id else "",
        answer=answer,
        words=choose_words(view),
        facts=_facts(view, topics, coming, known["coming"]),
        coming=tuple(sorted((*coming, *steps), key=lambda row: row.when.iso)),
        history=write_history(view),
        channels=write_channels(view),
        hours=write_hours(view, _next_due(view)),
        topics=topics,
        paused=is_paused(view),
        can_pause=not view.is_over,
        elsewhere=write_elsewhere(view.viewer, view.linked, (*coming, *steps)),
        versions={name: view.version(name) for name in ("pause",)},
        gaps=(*write_notes(view.opened, view.chart, view.viewer), *write_gaps(view)),
        conflicts=write_conflicts(view),
        known=known,
    )


def _chart_read(view: View) -> str:
    zone = view.endpoint.site.zone
    at = view.chart.read_at.astimezone(ZoneInfo(zone))
    return f"{write_time(view.viewer, at)} {zone_name(view.viewer, zone, view.now)}"


def write_pause_effect(view: View) -> str:
    """Return what a pause holds, before it is confirmed."""
    count = len(view.planned)
    if not count:
        return view.say(
            "No message to %(name)s is planned right now. New ones wait.",
            name=view.given,
        )
    titles = dict.fromkeys(
        say_step(view, item, one).title for one, item in view.planned
    )
    holds = view.say_many(
        "Holds %(number)s message: %(names)s.",
        "Holds %(number)s messages: %(names)s.",
        count,
        names="; ".join(titles),
    )
    after = view.say("What has passed its time by the end of the pause is not sent.")
    return f"{holds} {after}"


def write_identity(view: View) -> Identity:
    """Return who the chart is about."""
    profile = view.profile
    return Identity(
        reference=view.patient,
        name=profile.name or view.say("Name not recorded"),
        given=view.given,
        age=write_age(view.viewer, profile.birth_date, view.today),
        sex=view.say(SEXES.get(profile.gender or "", "")),
        born=write_born(view.viewer, profile.birth_date),
        mrn=profile.mrn or "",
    )


def _facts(
    view: View,
    topics: tuple[TopicRow, ...],
    coming: tuple[Coming, ...],
    known: Known,
) -> tuple[Fact, ...]:
    return (
        _next_message(view, coming, known),
        write_week(view),
        _consent_fact(view, topics),
        visit_fact(view),
    )


def _consent_fact(view: View, topics: tuple[TopicRow, ...]) -> Fact:
    agreed = [topic for topic in topics if topic.tag.kind == "ok"]
    refused = [topic.name for topic in topics if topic.tag.icon == "x"]
    open_ = len(topics) - len(agreed)
    if refused and len(refused) < len(topics):
        names = view.viewer.join(refused).lower()
        note = view.say("Said no to %(topics)s", topics=names)
    elif refused:
        note = view.say("Said no to all")
    elif "Consent" in view.chart.incomplete:
        note = view.say("The chart’s consents were not read")
    elif open_:
        note = view.say_many("%(number)s not asked", "%(number)s not asked", open_)
    else:
        note = view.say("All agreed")
    value = view.say(
        "%(agreed)s of %(total)s topics", agreed=len(agreed), total=len(topics)
    )
    return Fact(view.say("Consent"), value, note)


def _next_message(view: View, coming: tuple[Coming, ...], known: Known) -> Fact:
    label = view.say("Next message")
    for (_, candidate), row in zip(view.planned, coming, strict=True):
        if candidate.verdict.outcome is Outcome.SEND:
            when = f"{row.when.day}, {row.when.time}"
            if view.zone_id:
                when = f"{when} {zone_name(view.viewer, view.zone_id, view.now)}"
            return Fact(label, when, row.title)
    if any(row.tag.kind == "info" for row in coming):
        return Fact(label, view.say("None for now"), coming[0].tag.text)
    if coming:
        return Fact(label, view.say("None"), coming[0].tag.text)
    note = view.say("Nothing is due")
    if known.missing:
        note = view.say("The chart was not read in full")
    return Fact(label, view.say("None planned"), note)


def _next_due(view: View) -> datetime | None:
    for _, candidate in view.planned:
        if candidate.verdict.outcome is Outcome.SEND:
            return candidate.due_at
    return None
