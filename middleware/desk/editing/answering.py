"""Recording a new answer about being contacted: checked, kept for good, in force at once.

A no counts whoever says it. A yes lifts a no only where the same voice, or a stronger
one, gave it: nobody but the patient takes back the patient's own no.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from mappings.preference import ConsentRecord, OwnRecord, Who
from mappings.related import GUARDIAN, PARENT, PROXY
from middleware.decisions.consent import Asked as Weighed
from middleware.decisions.consent import choose_permission
from middleware.desk.editing.fields import Sent
from middleware.desk.editing.questions import AT_ALL, Answer
from middleware.desk.editing.saving import (
    ChangedElsewhereError,
    RefusedError,
    author_of,
    look_again,
    wake,
    write_audit,
)
from middleware.desk.reaching import write_source
from middleware.desk.stating import write_person
from middleware.desk.values import Actor
from middleware.desk.versions import consent_version
from middleware.desk.views import View
from middleware.stages.context import StageContext
from middleware.stages.people import own_record
from middleware.stages.writing_back import queue_consent
from middleware.storage import gate, preferences
from middleware.storage.connecting import Tx

SPEAKERS = frozenset({PARENT, GUARDIAN, PROXY})


def save_answer(context: StageContext, view: View, sent: Sent, answer: Answer) -> None:
    """Record an answer at each of its contact points, as rows that are never changed.

    Raises RefusedError for a yes that would not count, and ChangedElsewhereError where
    another answer came since the form was made, but for the same one of the same form.
    Messages that a no stops are held in the same transaction; it takes the gate's
    locks, so a message that is just being sent went before or sees it.
    """
    now = context.clock.now()
    records = [_record(view, sent, answer, point, now) for point in answer.points]
    records = [item if sent.form.id else _anew(context, item) for item in records]
    if _is_repeated(view.own, sent.version, records):
        return
    if answer.permit:
        for record in records:
            _check_yes(view, record)
    with context.database.tx() as tx:
        for system, value in sorted(answer.points):
            gate.lock_contact_point(tx, system, value)
        gate.lock_patient(tx, view.endpoint.id, view.patient)
        own = own_record(tx, view.endpoint.id, view.patient, view.chart, now)
        if _is_repeated(own, sent.version, records):
            return
        for record in records:
            _insert(context, tx, view, sent.actor, record)
        shards = look_again(context, tx, view, now)
    wake(context, view, shards)


def _insert(
    context: StageContext, tx: Tx, view: View, actor: Actor, record: ConsentRecord
) -> None:
    """Record an answer at one place and queue it for the EHR, audited."""
    now = record.recorded_at
    preferences.insert_consent(tx, record)
    queue_consent(
        context,
        tx,
        record,
        view.patient,
        now,
        author=author_of(actor),
        organization=view.endpoint.site.organization,
    )
    _note(tx, view, actor, record, now)


def _is_repeated(
    own: OwnRecord, version: str, records: Sequence[ConsentRecord]
) -> bool:
    """Tell whether all of these are there: the form was sent twice.

    ChangedElsewhereError where another answer came. An id says all that an answer is.
    """
    if consent_version(own) == version:
        return False
    if {item.id for item in records} <= {item.id for item in own.consents}:
        return True
    raise ChangedElsewhereError


def _anew(context: StageContext, record: ConsentRecord) -> ConsentRecord:
    return replace(record, id=context.ids.new())


def _record(
    view: View, sent: Sent, answer: Answer, point: tuple[str, str], now: datetime
) -> ConsentRecord:
    mine, actor = answer.said_by == view.patient, sent.actor
    # One form of one person makes one answer at a place, however often it is sent.
    origin = (sent.form.id, actor.user, actor.reference, view.endpoint.id, view.patient)
    named = "|".join((*origin, *point, str(answer)))
    return ConsentRecord(
        id=hashlib.sha256(named.encode()).hexdigest()[:32],
        endpoint_id=view.endpoint.id,
        patient=view.patient,
        system=point[0],
        value=point[1],
        topic=answer.asked.topic,
        permit=answer.permit,
        who=Who.PATIENT if mine else Who.STAFF,
        how=answer.how,
        recorded_at=now,
        recorded_by=actor.name,
        actor=answer.asked.person or None,
        asked=answer.question,
        said_by=answer.said_by,
    )


def _check_yes(view: View, record: ConsentRecord) -> None:
    """Refuse a yes of somebody who may not give it, or that a no would outweigh."""
    if record.who is not Who.PATIENT:
        kinds = {
            kind
            for contact in view.profile.contacts
            if contact.reference == record.said_by
            for kind in contact.kinds
        }
        if not kinds & SPEAKERS:
            raise RefusedError(
                view.say(
                    "%(name)s cannot say yes for %(given)s: only a parent, a guardian "
                    "or a health care proxy can. A no is recorded from anybody.",
                    name=write_person(view, record.said_by),
                    given=view.given,
                )
            )
    everywhere = record.system == AT_ALL
    asked = Weighed(
        patient=view.patient,
        channel="sms" if everywhere else record.system,
        address="" if everywhere else record.value,
        topic=record.topic,
        actor=record.actor,
    )
    # What stands is older than the new answer, whatever clock it was noted by.
    known = [
        replace(item, recorded_at=min(item.recorded_at, record.recorded_at))
        for item in view.profile.consents
    ]
    found = choose_permission([*known, record], asked)
    if found.reason == "opted-out":
        raise RefusedError(_outweighed(view, found.records[0]))


def _outweighed(view: View, denial: ConsentRecord) -> str:
    source = write_source(
        view, denial.who, denial.how, denial.recorded_by, denial.recorded_at
    )
    if denial.who is Who.CHART:
        return view.say(
            "The chart holds a no, which this answer does not lift. Change it in the "
            "chart first. %(source)s",
            source=source,
        )
    return view.say(
        "A no stands that this answer does not lift; only whoever said it can take it "
        "back. %(source)s",
        source=source,
    )


def _note(
    tx: Tx, view: View, actor: Actor, record: ConsentRecord, now: datetime
) -> None:
    detail = {
        "topic": record.topic,
        "system": record.system,
        "permit": record.permit,
        "how": record.how,
        "asked": record.asked,
        "said_by": record.said_by,
        "person": record.actor,
    }
    write_audit(tx, view, actor, "consent-recorded", about=(record.id, detail), now=now)
