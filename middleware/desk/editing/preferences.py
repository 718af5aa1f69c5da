"""Saving a group of preferences, and taking a save or an answer back.

Nothing here knows of forms on the wire: the same is called by the pages and by commands.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

from mappings.errors import BadInputError
from mappings.preference import PreferenceRecord, Who
from mappings.telecom import is_point
from middleware.desk.editing.fields import Filled, Sent
from middleware.desk.editing.group_views import (
    group_version,
    is_fresh,
    list_staffs,
    list_voices,
    newest_record,
)
from middleware.desk.editing.groups import GROUPS, Group
from middleware.desk.editing.point_checks import check_points, undo_point
from middleware.desk.editing.points import is_out
from middleware.desk.editing.saving import (
    ChangedElsewhereError,
    RefusedError,
    Said,
    save_said,
    says_same,
)
from middleware.desk.values import Actor
from middleware.desk.versions import standing
from middleware.desk.viewer import mark
from middleware.desk.views import View, refresh_view
from middleware.stages.context import StageContext
from middleware.storage import preferences

# What is shown for ten seconds may take a while to be pressed and to arrive.
UNDO_TAKEN = timedelta(seconds=60)
VOICES: dict[str, tuple[Who, str]] = {
    "patient": (Who.PATIENT, mark("told staff")),
    "carer": (Who.STAFF, mark("told by a carer")),
    "staff": (Who.STAFF, mark("for the patient")),
    "chart": (Who.STAFF, mark("read in the chart")),
}
TAKEN_BACK = mark("taken back")
# Needs of every voice count together, so staff can add to the patient's.
ADDED = frozenset({"accessibility"})


def save_group(
    context: StageContext, view: View, actor: Actor, name: str, filled: Filled
) -> None:
    """Record what a form of a group says.

    Of two saves of one form on their way at once, the one that was filled in later
    stands, whichever comes first. Raises BadInputError for what is missing,
    RefusedError for what must not be, and ChangedElsewhereError where what holds is not
    what the form was made from.
    """
    group, sent = GROUPS[name], Sent(actor, filled.version, filled.form)
    try:
        _save(context, view, sent, group, filled)
    except ChangedElsewhereError:
        fresh = refresh_view(context, view)
        last = newest_record(fresh, group)
        if last is None or not sent.made(last):
            raise
        if sent.form.turn > last.turn:
            anew = replace(sent, version=group_version(fresh, group))
            _save(context, fresh, anew, group, filled)
        elif sent.form.turn == last.turn and not _stands(fresh, sent, group, filled):
            raise


def _save(
    context: StageContext, view: View, sent: Sent, group: Group, filled: Filled
) -> None:
    # First: what was filled in is read as it was meant only beside what was seen.
    if group_version(view, group) != sent.version:
        raise ChangedElsewhereError
    said = _read_said(view, group, filled)
    values = {item.name: item.value for item in said}
    if VOICES[filled.who][0] is not Who.PATIENT:
        _spare_the_patients(view, values)
    check_points(context, view, values)
    save_said(context, view, sent, said)


def _read_said(view: View, group: Group, filled: Filled) -> list[Said]:
    """Return what a form says; BadInputError for what is missing."""
    values = group.read(view, filled.given)
    if filled.who not in {choice.value for choice in list_voices(view, group)}:
        raise BadInputError(view.say("Choose who said so."), field="who")
    voice, how = VOICES[filled.who]
    return [Said(key, value, voice, how) for key, value in values.items()]


def _stands(view: View, sent: Sent, group: Group, filled: Filled) -> bool:
    """Tell whether all that a form says was saved from it, and holds."""
    mine = {
        item.name
        for item in view.own.preferences
        if sent.made(item) and VOICES.get(filled.who) == (item.who, item.how)
    }
    try:
        if group.stands is not None:
            return group.stands(view, filled.given, mine)
        return says_same(view.own, _read_said(view, group, filled))
    except BadInputError:
        return False


def _is_first(view: View, group: Group, sent: Sent) -> bool:
    """Tell whether this form was not sent before; ChangedElsewhereError by another."""
    newest = newest_record(view, group)
    if newest is not None and sent.made(newest):
        return False
    if group_version(view, group) != sent.version:
        raise ChangedElsewhereError
    return True


def undo_group(context: StageContext, view: View, sent: Sent, name: str) -> None:
    """Record again what stood before this person's last save of a group.

    Raises ChangedElsewhereError where somebody saved after it (the form's version says
    what the person has seen), RefusedError when it is somebody else's or too long ago.
    """
    if not _is_first(view, GROUPS[name], sent):
        return
    said = find_undone(context, view, sent.actor, name)
    if not said:
        raise RefusedError(
            view.say("It is too late to undo this. Change it again instead.")
        )
    save_said(context, view, sent, said, action="preference-undone")


def find_undone(
    context: StageContext, view: View, actor: Actor, name: str
) -> list[Said]:
    """Return what stood before this person's last save of a group; none where too late."""
    found: list[tuple[PreferenceRecord, Said]] = []
    with context.database.tx() as tx:
        for record in GROUPS[name].records(view):
            told = preferences.list_told(tx, view.endpoint.id, view.patient, record)
            for at, item in enumerate(told):
                if is_fresh(item, view, actor, UNDO_TAKEN):
                    same = (one for one in told[at + 1 :] if one.who is item.who)
                    back = undo_point(view, item) if is_point(record) else None
                    found.append((item, back or _before(item, next(same, None))))
                    break
    last = max((item.recorded_at for item, _ in found), default=None)
    return [said for item, said in found if item.recorded_at == last]


def _before(item: PreferenceRecord, before: PreferenceRecord | None) -> Said:
    if before is None:
        return Said(item.name, None, item.who, item.how)
    return Said(before.name, before.value, before.who, before.how)


def take_back(context: StageContext, view: View, sent: Sent, name: str) -> None:
    """Take back what staff said in a group: the other voices hold again.

    Raises ChangedElsewhereError, or RefusedError where staff said nothing.
    """
    if not _is_first(view, GROUPS[name], sent):
        return
    said = [
        Said(item.name, None, Who.STAFF, TAKEN_BACK)
        for item in list_staffs(view, GROUPS[name])
    ]
    if not said:
        raise RefusedError(view.say("There is no answer of staff to take back."))
    save_said(context, view, sent, said, action="preference-taken-back")


def _spare_the_patients(view: View, values: dict[str, Any]) -> None:
    """Refuse to put another's word over the patient's own answer."""
    # That a number is the patient's no more, anybody may say.
    ended = {name for name in values if is_point(name) and is_out(values[name])}
    for name in set(values) - ADDED - ended:
        own = any(
            item.name == name and item.who is Who.PATIENT and item.value is not None
            for item in view.own.preferences
        )
        holds = any(item.who is Who.PATIENT for item in standing(view.profile, name))
        if own or holds:
            raise RefusedError(
                view.say(
                    "This is %(given)s’s own answer. Only a new answer of %(given)s "
                    "changes it.",
                    given=view.given,
                )
            )
