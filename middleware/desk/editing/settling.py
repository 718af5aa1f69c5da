"""Settling between what was said here and what the chart says by now: one click either way.

It comes to that where the chart was changed after an answer was saved and before it was
written: the EHR refuses the older version, nobody is overwritten, and both stand.
"""

from __future__ import annotations

from typing import Any

from mappings.preference import Conflict, Sourced, Who
from middleware.desk.editing.clashes import Clash
from middleware.desk.editing.fields import Sent
from middleware.desk.editing.group_views import group_version, newest_record
from middleware.desk.editing.groups import GROUPS
from middleware.desk.editing.preferences import TAKEN_BACK, VOICES
from middleware.desk.editing.saving import (
    ChangedElsewhereError,
    RefusedError,
    Said,
    save_said,
)
from middleware.desk.editing.unsettled import list_unsettled, settle_version
from middleware.desk.stating import write_value
from middleware.desk.views import View
from middleware.stages.context import StageContext

OURS, CHART = "ours", "chart"


def settle(context: StageContext, view: View, sent: Sent, name: str, keep: str) -> None:
    """Let what was said here hold and be written into the chart anew, or the chart's.

    Of the patient's own answer the chart's is recorded as the patient's new one; what
    staff said is taken back. Raises ChangedElsewhereError, or RefusedError where both
    agree by now.
    """
    group = GROUPS[name]
    newest = newest_record(view, group)
    if newest is not None and sent.made(newest):
        return
    said = [_say(item, keep) for item in list_unsettled(view, group)]
    if not said:
        raise RefusedError(view.say("The chart says the same by now."))
    if settle_version(view, group, group_version(view, group)) != sent.version:
        raise ChangedElsewhereError
    save_said(context, view, sent, said, action="preference-settled")


def write_settle_clash(view: View, name: str, keep: str) -> Clash:
    """Return what stands now beside what was chosen, where somebody was faster."""
    group = GROUPS[name]
    found = list_unsettled(view, group)
    lines = [write_value(view, item.name, item.holds) for item in found]
    mine = [write_value(view, item.name, _pick(item, keep)) for item in found]
    version = settle_version(view, group, group_version(view, group))
    return Clash(". ".join(lines), "", ". ".join(mine), version)


def _say(item: Conflict, keep: str) -> Said:
    ours = _voices(item)[0]
    if keep == OURS:
        return Said(item.name, _plain(ours.value), ours.who, ours.how)
    if ours.who is Who.PATIENT:
        _, how = VOICES["patient"]
        return Said(item.name, _plain(_pick(item, keep)), Who.PATIENT, how)
    return Said(item.name, None, ours.who, TAKEN_BACK)


def _pick(item: Conflict, keep: str) -> Any:
    ours, theirs = _voices(item)
    return ours.value if keep == OURS else theirs.value


def _voices(item: Conflict) -> tuple[Sourced[Any], Sourced[Any]]:
    """Return what was said here, and what the chart says."""
    if item.first.who is Who.CHART:
        return item.second, item.first
    return item.first, item.second


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
