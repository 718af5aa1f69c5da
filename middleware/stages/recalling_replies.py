"""After a restore: replies that the provider has and we have not.

A STOP counts from the instant it came. No reply is answered a second time.
"""

from __future__ import annotations

from collections.abc import Mapping

from mappings.endpoint import Endpoint
from middleware.channels.listing import ProviderText
from middleware.decisions.replies import HOLDING, Intent, Reply, classify_reply
from middleware.stages.answering import endpoints_of, whom_to_ask
from middleware.stages.consenting import record_answer
from middleware.stages.context import StageContext
from middleware.stages.staff import ask_person
from middleware.storage import inbound, preferences, restoring
from middleware.storage.connecting import Tx
from middleware.storage.ids import shard_of


def recall_reply(
    context: StageContext,
    tx: Tx,
    known: Mapping[str, Endpoint],
    text: ProviderText,
    people: list[tuple[str, str]],
) -> Reply | None:
    """Store one reply and what it means for consent; None when it was known."""
    key = f"sms:{text.provider_id}:reply"
    now = context.clock.now()
    reply = classify_reply(text.text)
    fresh = inbound.insert_inbound(
        tx,
        key=key,
        channel="sms",
        source="reply",
        address=text.address,
        body=text.text,
        detail={"found": "restore check"},
        received_at=text.at,
        shard=shard_of("sms", text.address),
    )
    if not fresh:
        return None
    restoring.finish_inbound_by_key(tx, key, ",".join(sorted(reply.intents)), now)
    _change_consent(context, tx, text, reply)
    if Intent.WRONG_NUMBER in reply.intents:
        preferences.mark_bad_address(tx, "sms", text.address, "wrong-number", now)
    if reply.needs_person:
        _ask(context, tx, known, text, people, reply)
    return reply


def _change_consent(
    context: StageContext,
    tx: Tx,
    text: ProviderText,
    reply: Reply,
) -> None:
    stop, start = Intent.STOP in reply.intents, Intent.START in reply.intents
    if not stop and not start:
        return
    word = "STOP" if stop else "START"
    for endpoint_id in endpoints_of(tx, "sms", text.address):
        record_answer(
            context,
            tx,
            endpoint_id,
            ("sms", text.address),
            permit=not stop,
            how=f"reply {word}, found at the provider after a restore",
            recorded_at=text.at,
        )


def _ask(
    context: StageContext,
    tx: Tx,
    known: Mapping[str, Endpoint],
    text: ProviderText,
    people: list[tuple[str, str]],
    reply: Reply,
) -> None:
    for endpoint, patient in whom_to_ask(known, people):
        ask_person(
            context,
            tx,
            endpoint,
            patient,
            shard=shard_of(endpoint.id, patient or ""),
            priority="urgent",
            reason="reply-needs-person" if reply.intents & HOLDING else "reply",
            text=(
                "This reply came before the database was restored; it may have been "
                f"dealt with already: {text.text}"
            ),
            now=context.clock.now(),
            key=f"restored-reply|{text.provider_id}|{endpoint.id}|{patient or ''}",
        )
