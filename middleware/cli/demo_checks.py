"""What the demo's month came to, counted where it happened.

Transitions are counted in the EHR's own history, events, nudges and decisions in the
database, messages at the phone API: never in the driver's own bookkeeping.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from mappings.event import FOCUS_TYPES
from middleware.ports import FhirApi
from middleware.storage import story as stored
from middleware.storage.database import Database
from middleware.wiring.story import Story

PAST = timedelta(days=90)
TOLERANCE = timedelta(minutes=15)
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}(T\S+)?")
_NEVER = "9999-12-31"
HEADER = "X-CareCue-Delivery"


@dataclass(frozen=True)
class Result:
    """The counts of a whole story and every expectation that did not hold."""

    counts: dict[str, Any]
    faults: tuple[str, ...]
    messages: tuple[tuple[str, ...], ...]


def count_story(
    story: Story, database: Database, ehr: FhirApi, phones: dict[str, Any]
) -> Result:
    """Count and compare; ``phones`` is what the phone and mailbox API lists."""
    with database.tx() as tx:
        rows = stored.list_story(tx)
        counts = stored.count_story_rows(tx)
    lost = sorted(_transitions(ehr, story.start - PAST) - rows.events)
    matched, strangers = _match(_received(phones), rows)
    messages = [pair for pair in matched if pair[1].nudge_key is not None]
    keys = Counter(row.nudge_key for _, row in messages)
    doubled = sum(count - 1 for count in keys.values())
    communications = ehr.fetch_search("Communication?status=completed&_count=200")
    faults = [
        *(f"lost: {focus} version {version}" for focus, version in lost),
        *(["a message was sent twice"] if doubled else []),
        *([f"{strangers} message(s) without a delivery"] if strangers else []),
        *_compare(story, messages, rows),
    ]
    return Result(
        counts={
            "events": counts.events,
            "nudges": counts.nudges,
            "delivered": counts.delivered,
            "held": dict(sorted(counts.held.items())),
            "communications_in_ehr": len(communications.resources),
            "lost": len(lost),
            "doubled": doubled,
        },
        faults=tuple(faults),
        messages=tuple(
            (row.patient, row.plan, row.action, row.channel, row.language, row.body)
            for _, row in messages
        ),
    )


def _match(
    received: list[Received], rows: stored.StoryRows
) -> tuple[list[tuple[datetime, stored.StoryDelivery]], int]:
    """Pair what arrived with its delivery; count what has none."""
    known = {row.delivery_id: row for row in rows.deliveries}
    pairs = [
        (item.received, known[item.delivery_id])
        for item in received
        if item.delivery_id in known
    ]
    pairs.sort(key=lambda pair: (pair[0], pair[1].delivery_id))
    return pairs, len(received) - len(pairs)


def _transitions(ehr: FhirApi, since: datetime) -> set[tuple[str, str]]:
    """Return (reference, version) of every status change in the EHR's history.

    Versions that bear no date from ``since`` on are left out: the past is no news. What
    the product makes of a version's dates is not asked.
    """
    found: set[tuple[str, str]] = set()
    for kind in FOCUS_TYPES:
        for resource in ehr.fetch_search(f"{kind}?_count=200").resources:
            reference = f"{kind}/{resource['id']}"
            before: tuple[Any, ...] | None = None
            for version in ehr.fetch_history(reference):
                now = (version.get("status"), version.get("start"))
                past = max(_days(version), default=_NEVER) < since.date().isoformat()
                if (before is None or now != before) and not past:
                    found.add((reference, str(version["meta"]["versionId"])))
                before = now
    return found


def _days(value: Any, name: str = "") -> Iterator[str]:
    """Yield the day of every date that a version bears, wherever it stands."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _days(item, key)
    elif isinstance(value, list):
        for item in value:
            yield from _days(item, name)
    elif isinstance(value, str) and name != "lastUpdated" and _DATE.fullmatch(value):
        yield value[:10]


@dataclass(frozen=True, order=True)
class Received:
    """One message at the phone or mailbox."""

    received: datetime
    delivery_id: str


def _received(phones: dict[str, Any]) -> list[Received]:
    found = []
    for text in phones["sms"]:
        if text["direction"].startswith("outbound"):
            mark = str(text.get("status_callback") or "").rpartition("delivery=")[2]
            found.append(Received(datetime.fromisoformat(text["date_created"]), mark))
    for mail in phones["email"]:
        headers = {name.lower(): value for name, value in mail["headers"].items()}
        moment = datetime.fromisoformat(mail["received"])
        found.append(Received(moment, str(headers.get(HEADER.lower(), ""))))
    return found


def _compare(
    story: Story,
    messages: list[tuple[datetime, stored.StoryDelivery]],
    rows: stored.StoryRows,
) -> list[str]:
    """Compare messages, holds and staff tasks with what the scenario expects."""
    faults = []
    left = list(messages)
    for wanted in story.expect["messages"]:
        at = story.instant(wanted["at"])
        match = next((pair for pair in left if _matches(wanted, at, pair)), None)
        name = f"{wanted['patient']} {wanted['plan']}/{wanted['action']}"
        if match is None:
            faults.append(f"missing: {name} at {at.isoformat()}")
        else:
            left.remove(match)
    faults.extend(
        f"not expected: {row.patient} {row.plan}/{row.action} at {moment.isoformat()}"
        for moment, row in left
    )
    faults.extend(_compare_held(story, rows))
    return faults


def _matches(
    wanted: dict[str, str],
    at: datetime,
    pair: tuple[datetime, stored.StoryDelivery],
) -> bool:
    moment, row = pair
    told = (row.patient, row.plan, row.action, row.channel, row.language)
    asked = (
        f"Patient/{wanted['patient']}",
        wanted["plan"],
        wanted["action"],
        wanted["channel"],
        wanted["language"],
    )
    return told == asked and timedelta() <= moment - at <= TOLERANCE


def _compare_held(story: Story, rows: stored.StoryRows) -> list[str]:
    faults = [
        f"missing: {person} held for {reason}"
        for reason, people in story.expect["held"].items()
        for person in people
        if (f"Patient/{person}", reason) not in rows.held
    ]
    for wanted in story.expect["tasks"]:
        task = (f"Patient/{wanted['patient']}", wanted["reason"], wanted["priority"])
        if task not in rows.tasks:
            faults.append(f"missing: a {wanted['reason']} task for {wanted['patient']}")
    return faults
