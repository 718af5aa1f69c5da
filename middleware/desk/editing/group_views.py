"""The groups of preferences as they are shown and as they are edited. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

from mappings.errors import BadInputError
from mappings.preference import Conflict, PreferenceRecord, Sourced
from middleware.desk.editing.fields import Field, Fields, refill
from middleware.desk.editing.groups import GROUPS, Group
from middleware.desk.editing.kept import write_kept
from middleware.desk.formats import write_time
from middleware.desk.reaching import write_source
from middleware.desk.stating import write_topic, write_value
from middleware.desk.values import Actor, Choice
from middleware.desk.versions import standing, standing_version
from middleware.desk.views import View

UNDO = timedelta(seconds=10)


@dataclass(frozen=True)
class GroupView:
    """A group as it is shown: its value with where it comes from and where it is kept.

    ``saved`` is when, and ``undo`` the version to undo, while that is offered.
    """

    name: str
    title: str
    lines: tuple[str, ...]
    source: str
    kept: str
    conflicts: tuple[str, ...]
    saved: str
    undo: str


@dataclass(frozen=True)
class GroupForm:
    """A group as it is edited; ``others`` are the answers that are weighed against it."""

    name: str
    title: str
    hint: str
    fields: tuple[Field, ...]
    whos: tuple[Choice, ...]
    who: str
    version: str
    autosave: bool
    present: str
    source: str


@dataclass(frozen=True)
class Clash:
    """Two values of which one was saved: ``theirs`` stands, ``mine`` does not."""

    theirs: str
    source: str
    mine: str


def write_group(view: View, name: str, actor: Actor) -> GroupView:
    """Return a group as it is shown."""
    group = GROUPS[name]
    said = _first(view, group)
    record = newest_record(view, group)
    fresh = record is not None and is_fresh(record, view, actor, UNDO)
    saved = ""
    if fresh and record is not None:
        time = _clock(view, record)
        saved = view.say("Saved %(time)s", time=time)
    return GroupView(
        name=name,
        title=view.say(group.title),
        lines=_lines(view, group),
        source=_source(view, said),
        kept=write_kept(view, record.name) if record is not None else "",
        conflicts=tuple(
            _conflict(view, item)
            for item in view.profile.conflicts
            if item.name in group.records(view)
        ),
        saved=saved,
        undo=group_version(view, group) if fresh else "",
    )


def write_group_form(view: View, name: str) -> GroupForm:
    """Return a group's form, filled in with what holds."""
    group = GROUPS[name]
    return GroupForm(
        name=name,
        title=view.say(group.title),
        hint=view.say(group.hint) if group.hint else "",
        fields=group.offer(view),
        whos=list_voices(view, group),
        who="",
        version=group_version(view, group),
        autosave=group.autosave,
        present=". ".join(_lines(view, group)),
        source=_source(view, _first(view, group)),
    )


def refill_group_form(view: View, name: str, given: Fields, who: str) -> GroupForm:
    """Return the form as somebody had filled it in, made from what holds now."""
    form = write_group_form(view, name)
    return GroupForm(
        **{
            **vars(form),
            "fields": refill(form.fields, given),
            "who": who,
        }
    )


def is_filled_in(view: View, name: str, given: Fields, who: str) -> bool:
    """Tell whether somebody is named who said so, and anything else than what holds."""
    known = {choice.value for choice in list_voices(view, GROUPS[name])}
    fields = GROUPS[name].offer(view)
    changed = any(
        tuple(given.get(item.name, ())) not in (item.value, item.value or ("-",))
        for item in fields
    )
    return who in known and changed


def write_clash(view: View, name: str, given: Fields) -> Clash:
    """Return what stands now, who said it and when, beside what was about to be saved."""
    group = GROUPS[name]
    newest = newest_record(view, group)
    source = _source(view, _first(view, group))
    if newest is not None and newest.recorded_by:
        time = _clock(view, newest)
        source = view.say(
            "%(source)s. Recorded by %(name)s at %(time)s",
            source=source,
            name=newest.recorded_by,
            time=time,
        )
    try:
        values = group.read(view, given)
    except BadInputError:
        values = {}
    mine = [write_value(view, key, value) for key, value in values.items()]
    return Clash(". ".join(_lines(view, group)), source, ". ".join(mine))


def group_version(view: View, group: Group) -> str:
    """Return the mark of what holds in a group."""
    names = group.records(view)
    return standing_version(view.own, view.chart, view.endpoint, names, view.now)


def list_voices(view: View, group: Group) -> tuple[Choice, ...]:
    """Return who may have said it."""
    words = {
        "patient": view.say("%(given)s, today", given=view.given),
        "carer": view.say("A carer"),
        "staff": view.say("Staff, for %(given)s", given=view.given),
        "chart": view.say("A note in the chart"),
    }
    if group.quoted:
        words = {name: words[name] for name in ("patient", "carer")}
    return tuple(Choice(name, text) for name, text in words.items())


def _lines(view: View, group: Group) -> tuple[str, ...]:
    found: list[str] = []
    for name in group.records(view):
        values = [item.value for item in standing(view.profile, name)]
        if name == "accessibility":
            values = [values] if values else []
        if name == "zone" and values:
            values = [", ".join(write_value(view, name, zone) for zone in values[0])]
            found.append(values[0])
            continue
        words = [write_value(view, name, value) for value in values]
        if name.startswith("channels:"):
            topic = write_topic(view, name.removeprefix("channels:"))
            words = [f"{topic}: {text}" for text in words]
        found.extend(words)
    if found:
        return tuple(found)
    return (view.say(group.empty),)


def _first(view: View, group: Group) -> Sourced[Any] | None:
    for name in group.records(view):
        for item in standing(view.profile, name):
            return item
    return None


def _source(view: View, said: Sourced[Any] | None) -> str:
    if said is None:
        return ""
    return write_source(view, said.who, said.how, said.by, said.when)


def newest_record(view: View, group: Group) -> PreferenceRecord | None:
    """Return the last record of a group, whoever made it."""
    names = group.records(view)
    mine = [item for item in view.own.preferences if item.name in names]
    return max(mine, key=lambda item: item.recorded_at, default=None)


def is_fresh(
    record: PreferenceRecord, view: View, actor: Actor, age: timedelta
) -> bool:
    """Tell whether this person made a record no longer ago than ``age``."""
    mine = record.recorded_by == actor.name
    return mine and view.now - record.recorded_at <= age


def _clock(view: View, record: PreferenceRecord) -> str:
    """Return when something was saved, on the clock of whoever saved it."""
    zone = ZoneInfo(view.endpoint.site.zone)
    return write_time(view.viewer, record.recorded_at.astimezone(zone))


def _conflict(view: View, item: Conflict) -> str:
    return view.say(
        "%(first)s: %(one)s. %(second)s: %(other)s. In force: %(holds)s.",
        first=_source(view, item.first),
        one=write_value(view, item.name, item.first.value),
        second=_source(view, item.second),
        other=write_value(view, item.name, item.second.value),
        holds=write_value(view, item.name, item.holds),
    )
