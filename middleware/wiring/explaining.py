"""Why and why not, as sentences: from the stored verdicts and their facts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from mappings.endpoint import Endpoint
from mappings.errors import BadInputError
from mappings.event import Event
from mappings.nudge import REASONS, WORDS, say_detail
from middleware.decisions.matching import match_plans
from middleware.decisions.rollout import is_switched_off
from middleware.storage import decision_log, deliveries, endpoints, events, nudges
from middleware.storage.connecting import Tx
from middleware.storage.decision_log import DecisionRow
from middleware.wiring.pipeline import library_factory
from middleware.wiring.runtime import Runtime


@dataclass(frozen=True)
class Explanation:
    """The decisions behind one id, and the same in words."""

    identifier: str
    sentences: tuple[str, ...]
    decisions: tuple[DecisionRow, ...]

    def as_json(self) -> dict[str, Any]:
        """Return everything as one JSON object."""
        return {
            "id": self.identifier,
            "sentences": list(self.sentences),
            "decisions": [
                {
                    "id": row.id,
                    "stage": row.stage,
                    "plan": f"{row.plan}|{row.plan_version}",
                    "action": row.action,
                    "outcome": row.verdict.outcome,
                    "reason": row.verdict.reason,
                    "facts": [fact.as_json() for fact in row.verdict.facts],
                    "decided_at": row.decided_at.isoformat(),
                }
                for row in self.decisions
            ],
        }


def explain_id(runtime: Runtime, identifier: str) -> Explanation:
    """Explain an event, nudge, delivery or decision; BadInputError for no such id."""
    with runtime.database.tx() as tx:
        rows = _decisions(tx, identifier)
        found = events.get_event(tx, identifier)
        endpoint = endpoints.get_endpoint(tx, found[0].endpoint_id) if found else None
    if not rows and found is None:
        raise BadInputError(
            f"No event, nudge, delivery or decision has the id {identifier}."
        )
    sentences: list[str] = []
    for row in rows:
        sentences.extend(_sentences(row))
    if found is not None and endpoint is not None:
        sentences.extend(_left_out(runtime, endpoint, found[0], decided=bool(rows)))
    return Explanation(identifier, tuple(sentences), tuple(rows))


def _left_out(
    runtime: Runtime, endpoint: Endpoint, event: Event, *, decided: bool
) -> Iterator[str]:
    """Say what left no verdict: steps that do not apply, and plans that are off."""
    if not decided:
        yield "No step of a plan that is on applies."
    now, library = runtime.clock.now(), library_factory(runtime)(endpoint)
    about = match_plans(library, event.kind)
    off = [plan.id for plan in about if is_switched_off(plan, endpoint, now)]
    if off:
        yield f"Switched off here now, and not weighed: {', '.join(off)}."


def _decisions(tx: Tx, identifier: str) -> list[DecisionRow]:
    delivery = deliveries.get_delivery(tx, identifier)
    if delivery is not None and delivery.nudge_id:
        identifier = delivery.nudge_id
    if nudges.get_nudge(tx, identifier) is not None:
        return list(decision_log.list_decisions(tx, nudge_id=identifier))
    found = decision_log.list_decisions(tx, event_id=identifier)
    return list(found or decision_log.list_decisions(tx, id=identifier))


def _sentences(row: DecisionRow) -> list[str]:
    word = WORDS[row.verdict.outcome]
    plan = row.plan.rpartition("/")[2]
    when = f"{row.decided_at:%Y-%m-%d %H:%M} UTC"
    reason = REASONS[row.verdict.reason].sentence
    text = [f"{when}: {plan} {row.plan_version}, {row.action}: {word}. {reason}"]
    if row.verdict.detail:
        text.append(f"  {say_detail(row.verdict.detail)}")
    for fact in row.verdict.facts:
        version = f" version {fact.version}" if fact.version else ""
        text.append(
            f"  Because {fact.reference}{version} says {fact.path} = {fact.value}."
        )
    return text
