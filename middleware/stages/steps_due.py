"""A care plan step whose time has come: an event, though nothing changed in the EHR.

DECIDE then looks at the whole care plan again. A step that lies in a Task or order may
have got another day without a word to us; what is due anew is planned then.
"""

from __future__ import annotations

from datetime import datetime

from mappings.chart import Chart
from mappings.event import Event, EventKind
from mappings.nudge import Nudge
from mappings.plan import Library
from mappings.reference import version_of
from middleware.decisions.matching import find_action
from middleware.stages.context import StageContext
from middleware.storage import events
from middleware.storage.shards import check_epoch


def announce_step(
    context: StageContext,
    library: Library,
    nudge: Nudge,
    chart: Chart,
    epoch: int,
    now: datetime,
) -> None:
    """Store the event of a step whose message is due, once per step and day."""
    found = find_action(library, nudge.plan, nudge.action)
    if found is None or found[0].occasion != "activity":
        return
    kind = EventKind.CAREPLAN_ACTIVITY_DUE
    focus = chart.find(nudge.focus) or {}
    event = Event(
        id=context.ids.new(),
        key=f"{nudge.endpoint_id}|{nudge.focus}|{nudge.occasion}|{kind.value}|"
        f"{nudge.patient}",
        endpoint_id=nudge.endpoint_id,
        kind=kind,
        patient=nudge.patient,
        shard=nudge.shard,
        focus=nudge.focus,
        focus_version=str(version_of(focus) or ""),
        occurred_at=nudge.due_at,
        received_at=now,
    )
    with context.database.tx() as tx:
        check_epoch(tx, "deliver", nudge.shard, epoch)
        fresh = events.insert_event(
            tx, event, source="time", inbox_id=None, chart=chart, due_at=now
        )
    if fresh:
        context.wake("decide", nudge.shard)
