"""After a restore: what the provider and the EHR remember becomes rows again.

Nothing is sent here. Whoever calls holds the deliver shard of the patients whose
nudges are changed, so that no worker changes them at the same time.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from mappings.delivery import Delivery, DeliveryState
from mappings.endpoint import Endpoint
from mappings.nudge import OPEN_STATES, Nudge, NudgeState
from mappings.own_communication import OwnCommunication
from middleware.channels.listing import ProviderText
from middleware.decisions.deciding import Candidate, decide_nudge
from middleware.decisions.replies import Intent, Reply, reply_text
from middleware.stages.context import StageContext
from middleware.stages.people import own_record
from middleware.stages.staff import ask_person
from middleware.storage import deliveries, events, nudges, restoring
from middleware.storage.connecting import Tx
from middleware.storage.ids import shard_of

MAYBE_SENT = (
    "A message may have reached the patient before the database was restored. It will "
    "not be sent again by itself. Check with the patient before sending anything."
)


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

    def may_be(self, text: ProviderText) -> bool:
        """Tell whether its words are not known and its time was that of the text."""
        in_time = self.first_due <= text.at <= self.nudge.expires_at
        return not self.candidate.text and in_time


def list_planned(
    context: StageContext,
    tx: Tx,
    known: Mapping[str, Endpoint],
    shard: int,
    now: datetime,
) -> list[Planned]:
    """Write every open nudge of a shard anew, from the chart of its event."""
    found = []
    for nudge in restoring.list_open(tx, shard):
        stored = events.get_event(tx, nudge.event_id)
        endpoint = known.get(nudge.endpoint_id)
        if stored is None or endpoint is None:
            continue
        chart = stored[1]
        own = own_record(tx, nudge.endpoint_id, nudge.patient, chart, now)
        free = replace(own, restore_unchecked=False)
        library = context.library(endpoint)
        candidate = decide_nudge(nudge, chart, free, library, endpoint, now)
        found.append(Planned(nudge, candidate))
    return found


def recall_communication(
    tx: Tx,
    endpoint: Endpoint,
    said: OwnCommunication,
    texts: Mapping[str, ProviderText],
    now: datetime,
) -> bool:
    """Make the delivery that an EHR's Communication tells of; False when known.

    The nudge whose key it carries ends as sent.
    """
    nudge = restoring.find_nudge(tx, said.nudge_key) if said.nudge_key else None
    stored = deliveries.get_delivery(tx, said.delivery_id)
    if stored is not None and stored.state is not DeliveryState.SENDING:
        return False
    if nudge is not None and nudge.state in (*OPEN_STATES, NudgeState.SENDING):
        nudges.set_nudge(tx, nudge.id, NudgeState.SENT, "due", now)
    sent_at = said.sent_at or now
    if stored is not None:
        deliveries.set_delivery(tx, stored.id, DeliveryState.SENT, sent_at=sent_at)
        return True
    text = texts.get(said.provider_id or "")
    address = text.address if text else (nudge.address if nudge else None)
    twin = deliveries.find_delivery(tx, said.channel, said.provider_id or "")
    delivery = Delivery(
        id=said.delivery_id,
        nudge_id=nudge.id if nudge else None,
        endpoint_id=endpoint.id,
        patient=said.patient,
        channel=said.channel,
        address=address or "",
        language=said.language,
        subject="",
        text=said.text,
        state=text.state if text else DeliveryState.SENT,
        provider_id=None if twin else said.provider_id,
        sending_at=sent_at,
        sent_at=sent_at,
    )
    deliveries.insert_delivery(tx, delivery, nudge.topic if nudge else said.topic)
    return True


def recall_text(
    context: StageContext,
    tx: Tx,
    endpoint: Endpoint,
    text: ProviderText,
    person: tuple[str, int],
    planned: Sequence[Planned],
    now: datetime,
) -> tuple[set[str], set[str]]:
    """Make the delivery of a text that we know nothing of, for one patient.

    ``person`` is (``Patient/id``, which of those at the number), ``planned`` the
    patient's open texts to it. Returns the ids of nudges that ended as sent, and of
    those that may have been this text and wait for a person.
    """
    patient, place = person
    identifier = f"restored-{text.provider_id}" + (f"-{place}" if place else "")
    if deliveries.get_delivery(tx, identifier) is not None:
        return set(), set()
    same = next((item for item in planned if item.candidate.text == text.text), None)
    doubtful = [] if same else [item for item in planned if item.may_be(text)]
    topic = same.nudge.topic if same else _topic(endpoint, text)
    if topic == "reply":
        doubtful = []
    delivery = Delivery(
        id=identifier,
        nudge_id=same.nudge.id if same else None,
        endpoint_id=endpoint.id,
        patient=patient,
        channel="sms",
        address=text.address,
        language=(same.candidate.language if same else None) or "",
        subject="",
        text=text.text,
        state=text.state,
        provider_id=text.provider_id if place == 0 else None,
        sending_at=text.at,
        sent_at=text.at,
    )
    deliveries.insert_delivery(tx, delivery, topic)
    if same is not None:
        nudges.set_nudge(tx, same.nudge.id, NudgeState.SENT, "due", now)
    for item in doubtful:
        leave_to_person(context, tx, endpoint, item.nudge, now)
    sent = {same.nudge.id} if same else set()
    return sent, {item.nudge.id for item in doubtful}


def leave_to_person(
    context: StageContext, tx: Tx, endpoint: Endpoint, nudge: Nudge, now: datetime
) -> None:
    """End a nudge that may have been sent: never blindly again, a person looks."""
    nudges.set_nudge(tx, nudge.id, NudgeState.FAILED, "delivery-unknown", now)
    ask_person(
        context,
        tx,
        endpoint,
        nudge.patient,
        nudge_id=nudge.id,
        shard=nudge.shard,
        priority="urgent",
        reason="delivery-unknown",
        text=MAYBE_SENT,
        now=now,
        key=f"restored|{nudge.id}",
    )


def shard_of_person(endpoint_id: str, patient: str) -> int:
    """Return the shard that a patient's nudges are in."""
    return shard_of(endpoint_id, patient)


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
