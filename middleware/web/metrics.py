"""/metrics in the Prometheus text format (version 0.0.4): counts only, no patient."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from middleware.storage import endpoints, inbox, overview, subscriptions
from middleware.storage.connecting import Tx

TYPES = ("Encounter", "Appointment", "CarePlan")


def write_metrics(tx: Tx, now: datetime) -> str:
    """Return all metrics as text."""
    return "\n".join([*_counts(tx), *_endpoints(tx, now), ""])


def _counts(tx: Tx) -> Iterator[str]:
    found = overview.count_all(tx)
    yield from _metric(
        "notifications_total", "counter", "Notifications received", [("", found.notifications)]
    )
    yield from _metric(
        "events_total", "counter", "Clinical events", [("", found.events)]
    )
    yield from _metric(
        "decisions_total", "counter", "Verdicts stored", [("", found.decisions)]
    )
    yield from _metric(
        "nudges",
        "gauge",
        "Nudges by state and reason",
        [
            (f'{{state="{state}",reason="{reason}"}}', total)
            for (state, reason), total in sorted(found.nudges.items())
        ],
    )
    yield from _metric(
        "deliveries",
        "gauge",
        "Deliveries by state",
        [(f'{{state="{name}"}}', n) for name, n in sorted(found.deliveries.items())],
    )
    for name, rows in (("waiting", found.waiting), ("dead", found.dead)):
        yield from _metric(
            f"rows_{name}",
            "gauge",
            f"Rows {name} by stage",
            [(f'{{stage="{stage}"}}', total) for stage, total in sorted(rows.items())],
        )
    yield from _metric(
        "staff_tasks_open", "gauge", "Open tasks for staff", [("", found.tasks_open)]
    )
    yield from _metric(
        "holds", "gauge", "Holds set by a person", [("", found.switches_on)]
    )


def _endpoints(tx: Tx, now: datetime) -> Iterator[str]:
    ages, seen = [], []
    for endpoint in endpoints.list_endpoints(tx):
        for name in TYPES:
            cursor = inbox.read_cursor(tx, endpoint.id, name)
            if cursor and cursor.polled_at:
                label = f'{{endpoint="{endpoint.id}",type="{name}"}}'
                ages.append((label, (now - cursor.polled_at).total_seconds()))
        for row in subscriptions.list_subscriptions(tx, endpoint.id):
            if row.last_seen_at:
                label = f'{{endpoint="{endpoint.id}",type="{row.resource_type}"}}'
                seen.append((label, (now - row.last_seen_at).total_seconds()))
    yield from _metric("poll_age_seconds", "gauge", "Since the last poll", ages)
    yield from _metric(
        "notification_age_seconds", "gauge", "Since the last notification", seen
    )


def _metric(
    name: str, kind: str, text: str, samples: list[tuple[str, float]]
) -> Iterator[str]:
    yield f"# HELP carecue_{name} {text}."
    yield f"# TYPE carecue_{name} {kind}"
    for labels, value in samples:
        yield f"carecue_{name}{labels} {value:g}"
