"""The groups of preferences as they are shown and as they are edited. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from mappings.errors import BadInputError
from mappings.preference import Conflict, PreferenceRecord, Sourced, Who
from middleware.desk.editing.clashes import Clash, write_moment, write_recorded
from middleware.desk.editing.fields import Field, Fields, Filled, refill
from middleware.desk.editing.groups import GROUPS, Group
from middleware.desk.editing.kept import write_kept, write_underway
from middleware.desk.editing.points import PointRow
from middleware.desk.editing.unsettled import offer_both
from middleware.desk.personal import choose_words, write_visits
from middleware.desk.reaching import write_source
from middleware.desk.stating import write_topic, write_value
from middleware.desk.underway import is_underway, list_differing
from middleware.desk.values import Actor, Choice, Words
from middleware.desk.versions import standing, standing_version
from middleware.desk.views import View

UNDO = timedelta(seconds=10)


@dataclass(frozen=True)
class GroupView:
    """A group as it is shown: its value with where it comes from and where it is kept.

    ``saved`` is when, and ``undo`` the version to undo, while that is offered;
    ``take_back`` the one to take back what staff said, where another voice disagrees.
    ``rows`` are the values of a group in which each has a source of its own;
    ``underway`` says what the chart still holds of what is on its way there.
    ``settle`` is the version to choose between ours and the chart's, where both differ;
    ``charted`` says when the chart was changed, ``stated`` that ours is the patient's.
    """

    name: str
    title: str
    lines: tuple[str, ...]
    source: str
    kept: str
    conflicts: tuple[str, ...]
    saved: str
    undo: str
    take_back: str
    rows: tuple[PointRow, ...] = ()
    underway: tuple[str, ...] = ()
    settle: str = ""
    charted: str = ""
    stated: bool = False


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
    turn: int = 0


def write_group(view: View, name: str, actor: Actor) -> GroupView:
    """Return a group as it is shown."""
    group = GROUPS[name]
    said = _first(view, group)
    record = newest_record(view, group)
    fresh = record is not None and is_fresh(record, view, actor, UNDO)
    version, saved = group_version(view, group), ""
    both = offer_both(view, group, version)
    if fresh and record is not None:
        saved = view.say("Saved %(time)s", time=write_moment(view, record.recorded_at))
    return GroupView(
        name=name,
        title=view.say(group.title, name=view.given),
        lines=_lines(view, group),
        source="" if group.rows else _source(view, said),
        kept="" if record is None or group.rows else write_kept(view, record.name),
        conflicts=tuple(
            _conflict(view, item)
            for item in list_differing(view)
            if item.name in group.records(view)
        ),
        underway=tuple(
            write_underway(view, item, actor)
            for item in view.profile.conflicts
            if item.name in group.records(view) and is_underway(view, item)
        ),
        saved=saved,
        undo=version if fresh else "",
        rows=group.rows(view) if group.rows else (),
        take_back=version if _may_be_taken_back(view, group) and not both else "",
        **both,
    )


def write_group_form(view: View, name: str) -> GroupForm:
    """Return a group's form, filled in with what holds."""
    group = GROUPS[name]
    return GroupForm(
        name=name,
        title=view.say(group.title, name=view.given),
        hint=view.say(group.hint) if group.hint else "",
        fields=group.offer(view),
        whos=list_voices(view, group),
        who="",
        version=group_version(view, group),
        autosave=group.autosave,
        present=". ".join(_lines(view, group)),
        source=_source(view, _first(view, group)) or _charted(view, group).source,
    )


def refill_group_form(view: View, name: str, filled: Filled) -> GroupForm:
    """Return the form as somebody had filled it in, still made from what they saw.

    Without a version they see what holds now.
    """
    form = write_group_form(view, name)
    return replace(
        form,
        fields=refill(form.fields, filled.given),
        who=filled.who,
        version=filled.version or form.version,
        turn=filled.form.turn,
    )


def is_filled_in(view: View, name: str, filled: Filled) -> bool:
    """Tell whether somebody is named who said so, and anything else than what holds.

    What was filled in against something else says so in any case.
    """
    group, given = GROUPS[name], filled.given
    known = {choice.value for choice in list_voices(view, group)}
    changed = filled.version != group_version(view, group) or any(
        tuple(given.get(item.name, ())) not in (item.value, item.value or ("-",))
        for item in group.offer(view)
    )
    return filled.who in known and changed


def write_clash(view: View, name: str, given: Fields) -> Clash:
    """Return what stands now, who said it and when, beside what was about to be saved."""
    group = GROUPS[name]
    try:
        values = group.read(view, given)
    except BadInputError:
        values = {}
    return clash_with(view, name, values)


def clash_with(view: View, name: str, values: Mapping[str, Any]) -> Clash:
    """Return the same where the values are known."""
    group = GROUPS[name]
    newest, first = newest_record(view, group), _first(view, group)
    told = ""
    if newest is not None and newest.recorded_by:
        told = write_recorded(view, newest.recorded_by, newest.recorded_at)
        if first is not None and first.when == newest.recorded_at:
            first = replace(first, by=None, when=None)
    source = ". ".join(filter(None, (_source(view, first), told)))
    mine = [write_named(view, key, value) for key, value in values.items()]
    version = group_version(view, group)
    return Clash(". ".join(_lines(view, group)), source, ". ".join(mine), version)


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
        if name == "modality":
            found += [write_visits(view, said) for said in standing(view.profile, name)]
            continue
        found.extend(write_named(view, name, value) for value in values)
    words = _charted(view, group).text
    return tuple(found) or ((f"“{words}”" if words else view.say(group.empty)),)


def _charted(view: View, group: Group) -> Words:
    """Return what the chart says in the patient's own words, where nobody told us."""
    words = choose_words(view) if group.quoted else None
    return words or Words("", "", "")


def write_named(view: View, name: str, value: Any) -> str:
    """Return a value in words, with its topic where it is about one."""
    words = write_value(view, name, value)
    if not name.startswith("channels:"):
        return words
    if value is None:
        words = view.say("Like everything else")
    topic = write_topic(view, name.removeprefix("channels:"))
    return f"{topic}: {words}"


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
    return max(reversed(mine), key=lambda item: item.recorded_at, default=None)


def list_staffs(view: View, group: Group) -> list[PreferenceRecord]:
    """Return what staff said in a group and did not take back."""
    names = group.records(view)
    return [
        item
        for item in view.own.preferences
        if item.name in names and item.who is Who.STAFF and item.value is not None
    ]


def _may_be_taken_back(view: View, group: Group) -> bool:
    """Tell whether an answer of staff stands against another voice.

    Of a number the next statement takes it back.
    """
    if group.rows:
        return False
    names = {item.name for item in list_staffs(view, group)}
    return any(
        item.name in names and Who.STAFF in (item.first.who, item.second.who)
        for item in view.profile.conflicts
    )


def is_fresh(
    record: PreferenceRecord, view: View, actor: Actor, age: timedelta
) -> bool:
    """Tell whether this person made a record no longer ago than ``age``.

    A name tells nobody apart; whom the EHR did not name made none.
    """
    mine = bool(actor.user) and record.saved_by == actor.user
    return mine and view.now - record.recorded_at <= age


def _conflict(view: View, item: Conflict) -> str:
    return view.say(
        "%(first)s: %(one)s. %(second)s: %(other)s. In force: %(holds)s.",
        first=_source(view, item.first),
        one=write_value(view, item.name, item.first.value),
        second=_source(view, item.second),
        other=write_value(view, item.name, item.second.value),
        holds=write_value(view, item.name, item.holds),
    )
