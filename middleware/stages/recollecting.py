"""After a restore: what the provider and the EHR remember becomes rows again.

Nothing is sent here. Whoever calls holds the deliver shard of the patients whose
nudges are changed, so that no worker changes them at the same time.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from mappings.delivery import Delivery, DeliveryState
from mappings.endpoint import Endpoint
from mappings.nudge import OPEN_STATES, Nudge, NudgeState
from mappings.own_communication import OwnCommunication
from mappings.preference import ConsentRecord
from middleware.channels.listing import ProviderText
from middleware.decisions.deciding import Candidate, decide_nudge
from middleware.decisions.replies import Intent, Reply, reply_text
from middleware.stages.context import StageContext
from middleware.stages.people import own_record
from middleware.stages.unknown import leave_to_person
from middleware.storage import deliveries, events, nudges, restoring
from middleware.storage.connecting import Tx

MAYBE_SENT = (
    "A message may have reached the patient before the database was restored. It will "
    "not be sent again by itself. Check with the patient before sending anything."
)


# The provider's clock may differ from ours by this much.
SKEW = timedelta(minutes=5)


@dataclass(frozen=True)
class Planned:
    """An open nudge as it would go out now, held by nothing but the restore."""

    nudge: Nudge
    candidate: Candidate

    @property
    def first_due(self) -> datetime:
        """Return the earliest instant at which it can have been sent."""
        window = timedelta(hours=self.candidate.action.timing.window_hours)
        return min(self.nudge.due_at, self.nudge.expires_at - window)

    @property
    def person(self) -> tuple[str, str]:
        """Return (endpoint id, ``Patient/id``)."""
        return self.nudge.endpoint_id, self.nudge.patient

    def goes_to(self, text: ProviderText) -> bool:
        """Tell whether it would go to the number of a text."""
        to = (self.candidate.channel, self.candidate.address)
        return to == ("sms", text.address)

    def is_text(self, text: ProviderText) -> bool:
        """Tell whether it is that very text, sent when it was due."""
        same = self.goes_to(text) and self.candidate.text == text.text
        return same and self._was_due(text.at)

    def may_be(self, text: ProviderText) -> bool:
        """Tell whether its words are not known and its time was that of the text."""
        return not self.candidate.text and self._was_due(text.at)

    def _was_due(self, at: datetime) -> bool:
        return self.first_due - SKEW <= at <= self.nudge.expires_at + SKEW


def list_planned(
    context: StageContext,
    tx: Tx,
    known: Mapping[str, Endpoint],
    shard: int,
    since: datetime,
    now: datetime,
) -> list[Planned]:
    """Write every open nudge of a shard anew, from the chart of its event.

    Denials after ``since`` are left out: the message may have gone before they came.
    """
    found = []
    for nudge in restoring.list_open(tx, shard):
        stored = events.get_event(tx, nudge.event_id)
        endpoint = known.get(nudge.endpoint_id)
        if stored is None or endpoint is None:
            continue
        chart = stored[1]
        own = own_record(tx, nudge.endpoint_id, nudge.patient, chart, now)
        before = [item for item in own.consents if _stood(item, since)]
        free = replace(own, restore_unchecked=False, consents=tuple(before))
        library = context.library(endpoint)
        candidate = decide_nudge(nudge, chart, free, library, endpoint, now)
        found.append(Planned(nudge, candidate))
    return found


@dataclass(frozen=True)
class Recalled:
    """What came of one memory: whether it was new, and the nudges it ended."""

    fresh: bool = False
    ended: tuple[str, ...] = ()
    doubtful: tuple[str, ...] = ()


def recall_communication(
    tx: Tx,
    endpoint: Endpoint,
    said: OwnCommunication,
    texts: Mapping[str, ProviderText],
    now: datetime,
) -> Recalled:
    """Make the delivery that an EHR's Communication tells of, unless it is known.

    The nudge whose key it carries ends as sent.
    """
    nudge = restoring.find_nudge(tx, said.nudge_key) if said.nudge_key else None
    stored = deliveries.get_delivery(tx, said.delivery_id)
    if stored is not None and stored.state is not DeliveryState.SENDING:
        return Recalled()
    ended: tuple[str, ...] = ()
    if nudge is not None and nudge.state in (*OPEN_STATES, NudgeState.SENDING):
        nudges.set_nudge(tx, nudge.id, NudgeState.SENT, "due", now)
        ended = (nudge.id,)
    sent_at = said.sent_at or now
    if stored is not None:
        deliveries.set_delivery(tx, stored.id, DeliveryState.SENT, sent_at=sent_at)
        return Recalled(fresh=True, ended=ended)
    text = texts.get(said.provider_id or "")
    delivery = _delivery_said(said, endpoint.id, nudge, text, sent_at)
    _insert(tx, delivery, nudge.topic if nudge else said.topic)
    return Recalled(fresh=True, ended=ended)


def _delivery_said(
    said: OwnCommunication,
    endpoint_id: str,
    nudge: Nudge | None,
    text: ProviderText | None,
    sent_at: datetime,
) -> Delivery:
    address = text.address if text else (nudge.address if nudge else None)
    return Delivery(
        id=said.delivery_id,
        nudge_id=nudge.id if nudge else None,
        endpoint_id=endpoint_id,
        patient=said.patient,
        channel=said.channel,
        address=address or "",
        language=said.language,
        subject="",
        text=said.text,
        state=text.state if text else DeliveryState.SENT,
        provider_id=said.provider_id,
        sending_at=sent_at,
        sent_at=sent_at,
    )


def recall_text(
    context: StageContext,
    tx: Tx,
    endpoint: Endpoint,
    text: ProviderText,
    patient: str,
    planned: Sequence[Planned],
    now: datetime,
) -> Recalled:
    """Make the delivery of a text that we know nothing of, for one patient.

    ``planned`` are the patient's open nudges: the one with the same words ends as
    sent; where words are not known and the time fits, a person looks.
    """
    identifier = f"restored-{text.provider_id}-{_short(endpoint.id, patient)}"
    if deliveries.get_delivery(tx, identifier) is not None:
        return Recalled()
    same = next((item for item in planned if item.is_text(text)), None)
    topic = same.nudge.topic if same else _topic(endpoint, text)
    doubtful = [item for item in planned if item.may_be(text)]
    if same or topic == "reply":
        doubtful = []
    delivery = _delivery_of(text, identifier, (endpoint.id, patient), same)
    _insert(tx, delivery, topic)
    _end(context, tx, endpoint, same, doubtful, text, now)
    return Recalled(
        fresh=True,
        ended=(same.nudge.id,) if same else (),
        doubtful=tuple(item.nudge.id for item in doubtful),
    )


def _delivery_of(
    text: ProviderText, identifier: str, person: tuple[str, str], same: Planned | None
) -> Delivery:
    return Delivery(
        id=identifier,
        nudge_id=same.nudge.id if same else None,
        endpoint_id=person[0],
        patient=person[1],
        channel="sms",
        address=text.address,
        language=(same.candidate.language if same else None) or "",
        subject="",
        text=text.text,
        state=text.state,
        provider_id=text.provider_id,
        sending_at=text.at,
        sent_at=text.at,
    )


def _insert(tx: Tx, delivery: Delivery, topic: str) -> None:
    """Add a delivery; the provider's id names the first of several at one number."""
    known = deliveries.find_delivery(tx, delivery.channel, delivery.provider_id or "")
    fresh = replace(delivery, provider_id=None) if known else delivery
    deliveries.insert_delivery(tx, fresh, topic)


def _end(
    context: StageContext,
    tx: Tx,
    endpoint: Endpoint,
    same: Planned | None,
    doubtful: Sequence[Planned],
    text: ProviderText,
    now: datetime,
) -> None:
    if same is not None and text.state is DeliveryState.FAILED:
        nudges.set_nudge(tx, same.nudge.id, NudgeState.FAILED, "not-delivered", now)
    elif same is not None:
        nudges.set_nudge(tx, same.nudge.id, NudgeState.SENT, "due", now)
    for item in doubtful:
        leave_forgotten(context, tx, endpoint, item.nudge, now)


def leave_forgotten(
    context: StageContext, tx: Tx, endpoint: Endpoint, nudge: Nudge, now: datetime
) -> None:
    """End a nudge that may have been sent before the restore: a person looks."""
    key = f"restored|{nudge.id}"
    leave_to_person(context, tx, endpoint, nudge, now, text=MAYBE_SENT, key=key)


def _stood(consent: ConsentRecord, since: datetime) -> bool:
    return consent.permit or consent.recorded_at <= since


def _short(endpoint_id: str, patient: str) -> str:
    return hashlib.blake2b(
        f"{endpoint_id}|{patient}".encode(), digest_size=6
    ).hexdigest()


def _topic(endpoint: Endpoint, text: ProviderText) -> str:
    """Return ``reply`` for a fixed answer, which counts for no limit."""
    return "reply" if text.text in set(_fixed_answers(endpoint)) else "restored"


def _fixed_answers(endpoint: Endpoint) -> Iterable[str]:
    for intent in Intent:
        for language in ("en", "es"):
            reply = Reply(frozenset({intent}), "routine")
            answer = reply_text(reply, endpoint.site, language)
            if answer is not None:
                yield answer
