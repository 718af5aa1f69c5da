"""Saving a group of preferences, and taking the save back.

Nothing here knows of forms on the wire: the same is called by the pages and by commands.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from mappings.errors import BadInputError
from mappings.preference import PreferenceRecord, Who
from middleware.desk.editing.fields import Fields
from middleware.desk.editing.group_views import (
    group_version,
    is_fresh,
    list_voices,
    newest_record,
)
from middleware.desk.editing.groups import GROUPS
from middleware.desk.editing.saving import (
    ChangedElsewhereError,
    RefusedError,
    Said,
    save_said,
)
from middleware.desk.values import Actor
from middleware.desk.versions import standing
from middleware.desk.viewer import mark
from middleware.desk.views import View
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
# Needs of every voice count together, so staff can add to the patient's.
ADDED = frozenset({"accessibility"})


def save_group(
    context: StageContext,
    view: View,
    actor: Actor,
    name: str,
    *,
    given: Fields,
    who: str,
    version: str,
) -> None:
    """Record what a form of a group says.

    Raises BadInputError for what is missing, RefusedError for what must not be, and
    ChangedElsewhereError where what holds is not what the form was made from.
    """
    group = GROUPS[name]
    values = group.read(view, given)
    if who not in {choice.value for choice in list_voices(view, group)}:
        raise BadInputError(view.say("Choose who said so."))
    if group_version(view, group) != version:
        raise ChangedElsewhereError
    voice, how = VOICES[who]
    if voice is not Who.PATIENT:
        _spare_the_patients(view, values)
    said = [Said(key, value, voice, how) for key, value in values.items()]
    save_said(context, view, actor, said, version=None)


def undo_group(
    context: StageContext, view: View, actor: Actor, name: str, version: str
) -> None:
    """Record again what stood before this person's last save of a group.

    Raises ChangedElsewhereError where somebody saved after it, RefusedError when it is
    somebody else's or too long ago.
    """
    group = GROUPS[name]
    if group_version(view, group) != version:
        raise ChangedElsewhereError
    newest = newest_record(view, group)
    if newest is None or not is_fresh(newest, view, actor, UNDO_TAKEN):
        raise RefusedError(
            view.say("It is too late to undo this. Change it again instead.")
        )
    said = []
    with context.database.tx() as tx:
        for record in group.records(view):
            last = preferences.list_last_two(tx, view.endpoint.id, view.patient, record)
            if last and last[0].recorded_at == newest.recorded_at:
                said.append(_before(last))
    save_said(context, view, actor, said, version=None, action="preference-undone")


def _before(last: list[PreferenceRecord]) -> Said:
    if len(last) == 1:
        return Said(last[0].name, None, last[0].who, last[0].how)
    before = last[1]
    return Said(before.name, before.value, before.who, before.how)


def _spare_the_patients(view: View, values: dict[str, Any]) -> None:
    """Refuse to put another's word over the patient's own answer."""
    for name in set(values) - ADDED:
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
