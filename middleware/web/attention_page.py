"""Held, failed and waiting for a person: by cause, with what to do about each."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from middleware.storage import timeline
from middleware.storage.connecting import Tx
from middleware.storage.timeline import Attention
from middleware.web.advice import Advice, advise, advise_given_up
from middleware.web.words import PlanWords

SHOWN = 50
GIVEN_UP = ("dead", "quarantined")
FAILED = ("failed", *GIVEN_UP)
STAGES = {
    "receive": "Reading a notification",
    "resolve": "Reading the chart",
    "decide": "Deciding",
    "record": "Writing to the EHR",
    "listen": "Reading a reply or receipt",
}


@dataclass(frozen=True)
class Item:
    """One thing; ``link`` names what has an event to look at."""

    at: datetime
    what: str
    patient: str | None
    endpoint: str | None
    id: str
    link: bool


@dataclass(frozen=True)
class Cause:
    """Everything with one cause: how many, since when, what to do.

    ``fault`` is the error of what was given up.
    """

    reason: str
    sentence: str
    fault: str
    advice: Advice
    first: datetime
    last: datetime
    items: tuple[Item, ...]

    @property
    def shown(self) -> tuple[Item, ...]:
        """Return the newest ones, as many as a page takes."""
        return self.items[:SHOWN]


@dataclass(frozen=True)
class Part:
    """One section of the page."""

    id: str
    title: str
    empty: str
    tone: str
    causes: tuple[Cause, ...]

    @property
    def total(self) -> int:
        """Return how many things the section has."""
        return sum(len(cause.items) for cause in self.causes)


def read_attention(tx: Tx, plans: PlanWords) -> tuple[Part, ...]:
    """Read what is held, failed or a task, in three parts and by cause."""
    found = [item for group in timeline.list_attention(tx) for item in group.items]
    failed = [item for item in found if item.state in FAILED]
    waiting = [item for item in found if item.kind == "task"]
    held = [item for item in found if item.state == "held"]
    return (
        Part(
            "fail",
            "Failed by a fault",
            "Nothing failed.",
            "stop",
            _causes(failed, plans),
        ),
        Part(
            "wait",
            "Waits for a person",
            "No task is open.",
            "warn",
            _causes(waiting, plans),
        ),
        Part(
            "held",
            "Held by a preference or limit",
            "Nothing is held.",
            "info",
            _causes(held, plans),
        ),
    )


def _causes(items: list[Attention], plans: PlanWords) -> tuple[Cause, ...]:
    groups: dict[tuple[str, str], list[Attention]] = {}
    for item in items:
        fault = f"{item.kind}: {item.text}" if item.state in GIVEN_UP else ""
        groups.setdefault((item.reason, fault), []).append(item)
    causes = [
        Cause(
            reason=reason,
            sentence=_sentence(rows[0], plans),
            fault=rows[0].text if rows[0].state in GIVEN_UP else "",
            advice=advise_given_up(rows[0].kind)
            if rows[0].state == "dead"
            else advise(reason),
            first=min(row.at for row in rows),
            last=max(row.at for row in rows),
            items=tuple(_item(row) for row in rows),
        )
        for (reason, _), rows in groups.items()
    ]
    return tuple(
        sorted(
            causes, key=lambda cause: (-len(cause.items), cause.sentence, cause.fault)
        )
    )


def _sentence(item: Attention, plans: PlanWords) -> str:
    if item.state == "dead":
        stage = STAGES.get(item.kind, item.kind)
        return f"{stage} was given up after several tries."
    return plans.reason(item.reason)


def _item(item: Attention) -> Item:
    # A task's own text may quote a patient's reply, a message's may name the patient.
    what = {"nudge": item.text, "task": f"Task, {item.state}"}.get(
        item.kind, STAGES.get(item.kind, item.kind)
    )
    return Item(
        at=item.at,
        what=what,
        patient=item.patient,
        endpoint=item.endpoint_id,
        id=item.id,
        link=item.kind in ("nudge", "decide", "task"),
    )
