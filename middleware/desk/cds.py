"""The desk of the CDS Hooks services: whose card is shown, to whom, and when again.

Reading is network first, then short transactions. A card that asks nothing is shown to
a user once for what it says, so that it does not become noise.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import structlog

from mappings.endpoint import Endpoint
from mappings.errors import CdsReason, StorageError
from mappings.event import EventKind
from mappings.resource import Resource
from middleware.desk.auditing import count_read, tells_ehr
from middleware.desk.cards import (
    Card,
    write_discharge_card,
    write_early_card,
    write_patient_card,
)
from middleware.desk.charting import TURNING, Within
from middleware.desk.discharging import fetch_stay
from middleware.desk.last import is_verdict_read
from middleware.desk.permitted import type_of
from middleware.desk.viewer import Viewer
from middleware.desk.views import View, read_views
from middleware.ports import FhirApi
from middleware.stages.context import StageContext
from middleware.storage import audit, cds, nudges

_log = structlog.get_logger(__name__)

DISCHARGED = EventKind.ENCOUNTER_DISCHARGED.value
ONCE = timedelta(days=30)
OVERRIDDEN = timedelta(days=7)


@dataclass(frozen=True)
class Seen:
    """Who looks at whom by which service: references, and the service's id."""

    endpoint: Endpoint
    patient: str
    user: str
    service: str


@dataclass(frozen=True)
class Feedback:
    """What came of one card: accepted or overridden, and the code of a reason."""

    card: str
    outcome: str
    reason: str


class CdsDesk:
    """What the CDS Hooks services read and keep, over the ports of the stages."""

    def __init__(self, context: StageContext) -> None:
        self._context = context

    def take_token(self, mark: str, expires_at: datetime) -> bool:
        """Use up a JWT by its mark; False when it was used before."""
        with self._context.database.tx() as tx:
            return cds.take_token(tx, mark, expires_at)

    def read_cards(
        self,
        seen: Seen,
        api: FhirApi | None,
        stay: str | None,
        viewer: Viewer,
        told: Mapping[str, Resource] | None = None,
    ) -> Iterator[Card | None]:
        """Yield the card as the chart is read, None where none is due; the last holds.

        What comes before it says the verdict alone, and comes only where the rest of
        the chart cannot lift that. ``api`` None reads with our own backend's token.
        With ``stay`` (an Encounter) the card is that of its end. ``told`` are resources
        that the EHR sent along, by reference: what it reads is read after the others,
        and the stay not at all. Raises FhirError when the patient cannot be read.
        """
        api = api or self._context.fhir(seen.endpoint)
        context = self._narrow(seen, discharge=stay is not None)
        about = (seen.endpoint, api, seen.patient, viewer)
        sent = told or {}
        within = Within(person=sent.get(seen.patient))
        for view in read_views(context, *about, within=within):
            if view.unread:
                # A stay that was found with the patient's is this patient's.
                known = stay is None or view.chart.find(stay) is not None
                if known and is_verdict_read(view):
                    yield self._finish(seen, view, write_early_card(view, stay), stay)
            elif stay is None:
                yield self._finish(seen, view, write_patient_card(view), stay)
            else:
                ending = fetch_stay(view, api, stay, sent.get(stay))
                card = write_discharge_card(ending, stay)
                yield self._finish(seen, ending, card, stay)

    def _finish(
        self, seen: Seen, view: View, card: Card | None, stay: str | None
    ) -> Card | None:
        """Return the card with what it was made from; None where it is not due."""
        if card is None or (stay is None and not self._is_due(seen, card)):
            return None
        return replace(card, read=count_read(view.chart))

    def note_shown(self, seen: Seen, card: Card, card_id: str) -> None:
        """Remember a card that went out, and audit it: who was told of whom."""
        now = self._context.clock.now()
        row = cds.CardRow(
            id=card_id,
            endpoint_id=seen.endpoint.id,
            patient=seen.patient,
            user_reference=seen.user,
            service=seen.service,
            verdict=card.verdict,
            shown_at=now,
        )
        with self._context.database.tx() as tx:
            cds.insert_card(tx, row)
            audit.insert_audit(
                tx,
                seen.user,
                "cds-card",
                now,
                endpoint_id=seen.endpoint.id,
                patient=seen.patient,
                subject=card_id,
                detail={
                    "service": seen.service,
                    "indicator": card.indicator,
                    "read": dict(card.read),
                },
                tell=tells_ehr(seen.endpoint),
            )

    def note_refused(
        self, reason: CdsReason, service: str, endpoint_id: str = ""
    ) -> None:
        """Log and count a call that got no card; ``endpoint_id`` where it named one.

        The answer is the same where it cannot be counted.
        """
        _log.warning(
            "a call of CDS Hooks got no card",
            reason=reason,
            service=service,
            endpoint_id=endpoint_id,
        )
        with contextlib.suppress(StorageError), self._context.database.tx() as tx:
            cds.count_refusal(tx, endpoint_id, reason)

    def note_feedback(
        self, endpoints: Sequence[Endpoint], service: str, told: Sequence[Feedback]
    ) -> int:
        """Keep what came of cards of these endpoints; return of how many."""
        now, count = self._context.clock.now(), 0
        with self._context.database.tx() as tx:
            for item in told:
                for endpoint in endpoints:
                    row = cds.set_card_outcome(
                        tx, item.card, endpoint.id, service, item.outcome
                    )
                    if row is None:
                        continue
                    count += 1
                    audit.insert_audit(
                        tx,
                        row.user_reference,
                        "cds-feedback",
                        now,
                        endpoint_id=endpoint.id,
                        patient=row.patient,
                        subject=item.card,
                        detail={"outcome": item.outcome, "reason": item.reason},
                    )
        return count

    def _narrow(self, seen: Seen, *, discharge: bool) -> StageContext:
        """Return a context whose plans ask for no more of the chart than a card needs.

        An EHR waits half a second: what only other plans look at is not read, but for
        what may turn the verdict, so that a card says what the page says.
        """
        with self._context.database.tx() as tx:
            waiting = nudges.list_open_nudges(tx, seen.endpoint.id, seen.patient)
        wanted = {nudge.plan for nudge in waiting}
        library = self._context.library(seen.endpoint)
        plans = tuple(
            plan
            if plan.url in wanted or (discharge and DISCHARGED in plan.triggers)
            else replace(plan, data=tuple(filter(_may_turn, plan.data)))
            for plan in library.plans
        )
        narrow = replace(library, plans=plans)
        return replace(self._context, library=lambda _: narrow)

    def _is_due(self, seen: Seen, card: Card) -> bool:
        """Tell whether this user is to see this card of an opened chart now.

        One that asks something of a person comes each time until it was overridden,
        then not for a week; any other once in 30 days. What says something new comes.
        """
        with self._context.database.tx() as tx:
            last = cds.find_last_card(
                tx, seen.endpoint.id, seen.patient, seen.user, seen.service
            )
        if last is None or last.verdict != card.verdict:
            return True
        age = self._context.clock.now() - last.shown_at
        if card.asks:
            return last.outcome != "overridden" or age >= OVERRIDDEN
        return age >= ONCE


def _may_turn(query: str) -> bool:
    return type_of(query) in TURNING
