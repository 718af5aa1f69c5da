"""/metrics in the Prometheus text format (version 0.0.4): counts only, no patient."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime

from mappings.event import FOCUS_TYPES
from mappings.plan import Plan
from middleware.decisions.matching import is_ending
from middleware.storage import (
    cds,
    circuits,
    completeness,
    conditions,
    endpoints,
    hand_overs,
    inbox,
    overview,
    schedule,
    story,
    subscriptions,
)
from middleware.storage.connecting import Tx
from middleware.storage.schedule import CONTENT
from middleware.web.subscription_row import list_pushed_types

Labels = Mapping[str, str]
Samples = list[tuple[Labels, float]]
# Seconds: what a fast provider takes, up to where a worker gives up on one.
BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


def write_metrics(
    tx: Tx, now: datetime, plans: Iterable[Plan] = (), content_fault: str = ""
) -> str:
    """Return all metrics as text; of the plans, how many retire soon or have.

    ``content_fault`` says why this process cannot use the content.
    """
    parts = (
        _counts(tx),
        _states(tx),
        _ages(tx, now),
        _push(tx, now),
        _shut(tx, now),
        _handed(tx),
        _refused(tx),
        _ending(plans, now),
        _content(tx, content_fault),
    )
    return "\n".join([*(line for part in parts for line in part), ""])


def _ending(plans: Iterable[Plan], now: datetime) -> Iterator[str]:
    total = sum(is_ending(plan, "UTC", now) for plan in plans)
    text = "Plans whose content lapses within 60 days, or has"
    yield from _gauge("plans_ending", text, [({}, total)])


def _content(tx: Tx, fault: str) -> Iterator[str]:
    found = {"serve": fault, "worker": schedule.list_errors(tx).get(CONTENT, "")}
    yield from _gauge(
        "content_faults",
        "Whether the site's own content cannot be used, by process",
        [({"process": name}, int(bool(text))) for name, text in found.items()],
    )


def _counts(tx: Tx) -> Iterator[str]:
    found = overview.count_all(tx)
    for name, text, total in (
        ("notifications", "Notifications stored", found.notifications),
        ("events", "Clinical events stored", found.events),
        ("decisions", "Verdicts stored", found.decisions),
        ("replies", "Replies of patients stored", found.replies),
        ("ehr_writes", "Resources that the EHR took", found.recorded),
        ("ehr_writes_kept", "Resources that the EHR refused", found.kept),
        ("staff_tasks_open", "Open tasks for staff", found.tasks_open),
        ("holds", "Holds set by a person", found.switches_on),
    ):
        yield from _gauge(name, text, [({}, total)])


def _states(tx: Tx) -> Iterator[str]:
    found = overview.count_all(tx)
    yield from _gauge(
        "nudges",
        "Messages intended, by state and reason",
        [
            ({"state": state, "reason": reason}, total)
            for (state, reason), total in sorted(found.nudges.items())
        ],
    )
    yield from _gauge(
        "deliveries",
        "Hand-overs to a channel, by state",
        [({"state": name}, total) for name, total in sorted(found.deliveries.items())],
    )
    for name, rows in (("waiting", found.waiting), ("dead", found.dead)):
        yield from _gauge(
            f"rows_{name}",
            f"Rows {name}, by stage",
            [({"stage": stage}, total) for stage, total in sorted(rows.items())],
        )


def _ages(tx: Tx, now: datetime) -> Iterator[str]:
    polled: Samples = []
    heard: dict[tuple[str, str], float] = {}
    for endpoint in endpoints.list_endpoints(tx):
        for poll in inbox.list_polls(tx, endpoint.id, FOCUS_TYPES):
            labels = {"endpoint": endpoint.id, "type": poll.resource_type}
            polled.append((labels, (now - poll.polled_at).total_seconds()))
        for row in subscriptions.list_subscriptions(tx, endpoint.id):
            if row.last_seen_at:
                # One series per type, however many subscriptions it has.
                key = (endpoint.id, row.resource_type)
                age = (now - row.last_seen_at).total_seconds()
                heard[key] = min(age, heard.get(key, age))
    tick = story.last_finished(tx, "janitor")
    yield from _gauge("poll_age_seconds", "Since the last read of the chart", polled)
    yield from _gauge(
        "notification_age_seconds",
        "Since the last notification",
        [({"endpoint": one, "type": name}, age) for (one, name), age in heard.items()],
    )
    yield from _gauge(
        "worker_tick_age_seconds",
        "Since a worker last ticked",
        [({}, (now - tick).total_seconds())] if tick else [],
    )


def _push(tx: Tx, now: datetime) -> Iterator[str]:
    pushed = {
        (endpoint.id, name)
        for endpoint in endpoints.list_endpoints(tx)
        for name in list_pushed_types(subscriptions.list_subscriptions(tx, endpoint.id))
    }
    yield from _gauge(
        "push_completeness",
        "Share of the versions found in seven days that push had delivered",
        [
            ({"endpoint": endpoint, "type": name}, share.ratio)
            for (endpoint, name), share in sorted(
                completeness.read_shares(tx, now).items()
            )
            if share.ratio is not None and (endpoint, name) in pushed
        ],
    )
    troubled: dict[tuple[str, str], int] = {}
    for row in conditions.list_watched(tx):
        if row.condition.trouble is not None:
            key = (row.endpoint_id, row.condition.trouble.value)
            troubled[key] = troubled.get(key, 0) + 1
    yield from _gauge(
        "subscription_troubles",
        "Subscriptions that may have missed something, by trouble",
        [
            ({"endpoint": endpoint, "trouble": name}, total)
            for (endpoint, name), total in sorted(troubled.items())
        ],
    )


def _shut(tx: Tx, now: datetime) -> Iterator[str]:
    yield from _gauge(
        "circuits_shut",
        "Workers that leave a channel or EHR alone because it failed in a row",
        [({"left": row.name}, row.workers) for row in circuits.list_shut(tx, now)],
    )


def _handed(tx: Tx) -> Iterator[str]:
    name = "carecue_hand_over_seconds"
    yield f"# HELP {name} From the gate's commit to the channel's answer."
    yield f"# TYPE {name} histogram"
    for found in hand_overs.count_hand_overs(tx, BOUNDS):
        channel = {"channel": found.channel}
        for bound, total in found.within.items():
            yield f"{name}_bucket{_labels({**channel, 'le': str(bound)})} {total}"
        yield f"{name}_bucket{_labels({**channel, 'le': '+Inf'})} {found.count}"
        yield f"{name}_sum{_labels(channel)} {found.seconds:.6f}"
        yield f"{name}_count{_labels(channel)} {found.count}"


def _refused(tx: Tx) -> Iterator[str]:
    name = "carecue_cds_refused_total"
    yield f"# HELP {name} Calls of CDS Hooks that got no card, by endpoint and reason."
    yield f"# TYPE {name} counter"
    for (endpoint, reason), total in cds.list_refusals(tx).items():
        yield f"{name}{_labels({'endpoint': endpoint, 'reason': reason})} {total}"


def _gauge(name: str, text: str, samples: Samples) -> Iterator[str]:
    yield f"# HELP carecue_{name} {text}."
    yield f"# TYPE carecue_{name} gauge"
    for labels, value in samples:
        yield f"carecue_{name}{_labels(labels)} {_number(value)}"


def _labels(labels: Labels) -> str:
    if not labels:
        return ""
    pairs = (f'{name}="{_escape(value)}"' for name, value in labels.items())
    return "{" + ",".join(pairs) + "}"


def _escape(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _number(value: float) -> str:
    return str(value) if isinstance(value, int) else f"{value:.3f}"
