"""How a save is made: one transaction that locks, checks, records, audits and plans anew.

A save names the version of what it was made from: when somebody else changed it in
between, nothing is written. Open messages are looked at again in the same transaction.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

import orjson

from mappings.errors import CareCueError
from mappings.nudge import Outcome
from mappings.preference import OwnRecord, PreferenceRecord, Who
from mappings.telecom import is_point
from middleware.decisions.unread import decide_read
from middleware.desk.auditing import tells_ehr
from middleware.desk.editing.fields import Sent
from middleware.desk.values import Actor
from middleware.desk.versions import preference_version
from middleware.desk.views import View
from middleware.stages.context import StageContext
from middleware.stages.decide import apply_again
from middleware.stages.people import note_bearers, own_record
from middleware.stages.writing_back import save_preference
from middleware.storage import audit, gate, nudges
from middleware.storage.connecting import Tx
from middleware.storage.decision_log import DESK
from middleware.storage.ids import shard_of


class ChangedElsewhereError(CareCueError):
    """Somebody changed the same thing meanwhile; nothing of this save was kept."""

    def __init__(self) -> None:
        super().__init__(
            "somebody else changed this preference while the form was open; nothing "
            "was saved; look at it again and save again",
            permanent=True,
        )


class RefusedError(CareCueError):
    """A save that must not be; the message says why to the person who tried."""

    field = ""  # it is about no one of them

    def __init__(self, message: str) -> None:
        super().__init__(message, permanent=True)


@dataclass(frozen=True)
class Said:
    """One preference as it is to be recorded: its value (None takes it back) and who said it.

    ``how`` is how it was said.
    """

    name: str
    value: Any
    who: Who
    how: str = "in the chart"


def save_said(
    context: StageContext,
    view: View,
    sent: Sent,
    said: Sequence[Said],
    *,
    version: str | None = None,
    action: str = "preference-saved",
) -> None:
    """Record one or more preferences together. Raises ChangedElsewhereError.

    ``version`` is that of the first one when the form was made; None where the caller
    compared what holds with the view: then nothing may have been said since.
    """
    names = tuple(item.name for item in said)
    now = context.clock.now()
    with context.database.tx() as tx:
        gate.lock_patient(tx, view.endpoint.id, view.patient)
        own = own_record(tx, view.endpoint.id, view.patient, view.chart, now)
        if version is None:
            marks = [(preference_version(view.own, name), name) for name in names]
        else:
            marks = [(version, names[0])]
        if any(preference_version(own, name) != seen for seen, name in marks):
            if _is_repeated(own, said, sent):
                return
            raise ChangedElsewhereError
        before = {(item.name, item.who): item.value for item in own.preferences}
        for item in said:
            _record(context, tx, view, sent, item, now)
            detail = {**asdict(item), "before": before.get((item.name, item.who))}
            about = (item.name, detail)
            write_audit(tx, view, sent.actor, action, about=about, now=now)
        if any(is_point(name) for name in names):
            note_bearers(tx, view.endpoint.id, {view.patient: view.chart})
        shards = look_again(context, tx, view, now)
    wake(context, view, shards)


def _is_repeated(own: OwnRecord, said: Sequence[Said], sent: Sent) -> bool:
    """Tell whether the last word on these is this form's: filled in later, or the same."""
    names = {item.name for item in said}
    records = [item for item in own.preferences if item.name in names]
    last = max(reversed(records), key=lambda item: item.recorded_at, default=None)
    return (
        last is not None
        and sent.made(last)
        and (sent.form.turn < last.turn or says_same(own, said))
    )


def says_same(own: OwnRecord, said: Sequence[Said]) -> bool:
    """Tell whether all of these are what their voices said last."""
    last = {(item.name, item.who): (item.value, item.how) for item in own.preferences}
    return all(
        last.get((item.name, item.who)) == (_plain(item.value), item.how)
        for item in said
    )


def _plain(value: Any) -> Any:
    """Return a value as it comes back from where it is kept."""
    return orjson.loads(orjson.dumps(value))


def author_of(actor: Actor) -> str | None:
    """Return who saves, as the EHR knows them; None where it does not."""
    known = actor.reference.startswith(("Practitioner/", "PractitionerRole/"))
    return actor.reference if known else None


def _record(
    context: StageContext,
    tx: Tx,
    view: View,
    sent: Sent,
    said: Said,
    now: datetime,
) -> None:
    """Record one preference and queue it for the EHR."""
    record = PreferenceRecord(
        said.name,
        said.value,
        said.who,
        said.how,
        now,
        sent.actor.name,
        sent.actor.user,
        sent.form.id,
        sent.form.turn,
    )
    save_preference(
        context,
        tx,
        view.endpoint,
        view.patient,
        record,
        author=author_of(sent.actor),
        seen=view.chart.patient,
    )


def look_again(context: StageContext, tx: Tx, view: View, now: datetime) -> set[int]:
    """Hold or plan the open messages anew; return their shards.

    Ending them is left to the pipeline, which reads the chart with fuller access, and so
    is what rests on a part of the chart that this person may not read.
    """
    shards: set[int] = set()
    own = own_record(tx, view.endpoint.id, view.patient, view.chart, now)
    for nudge in nudges.list_open_nudges(tx, view.endpoint.id, view.patient):
        candidate = decide_read(
            nudge, view.chart, own, view.library, view.endpoint, now
        )
        if candidate.verdict.outcome in (Outcome.SEND, Outcome.HOLD):
            apply_again(context, tx, nudge.event_id, nudge, candidate, now, stage=DESK)
            shards.add(nudge.shard)
    return shards


def wake(context: StageContext, view: View, shards: set[int]) -> None:
    """Say after the commit which messages may have changed, and that the EHR is told."""
    for shard in sorted(shards):
        context.wake("deliver", shard)
    context.wake("record", shard_of(view.endpoint.id, view.patient))


def write_audit(
    tx: Tx,
    view: View,
    actor: Actor,
    action: str,
    *,
    about: tuple[str, dict[str, Any]],
    now: datetime,
) -> None:
    """Put what was done into the audit: its subject, what was said of it, by whom.

    ``by`` is how the EHR calls them, where that is known; the reference always stands.
    """
    subject, detail = about
    if actor.name != actor.reference:
        detail = {**detail, "by": actor.name}
    audit.insert_audit(
        tx,
        actor.reference,
        action,
        now,
        endpoint_id=view.endpoint.id,
        patient=view.patient,
        subject=subject,
        detail=detail,
        tell=tells_ehr(view.endpoint),
    )
