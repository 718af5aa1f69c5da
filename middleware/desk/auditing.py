"""What people at a desk saw of whom, and why, as the audit keeps it.

Ids, codes and counts, nothing of what a chart says. It is kept in the transaction that
comes before the answer leaves: what cannot be kept is not shown.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from mappings.audited import SEARCHED
from mappings.chart import Chart
from mappings.endpoint import Endpoint
from middleware.desk.patients import Found
from middleware.desk.views import View
from middleware.storage import audit
from middleware.storage.connecting import Tx
from middleware.storage.ids import shard_of
from middleware.storage.launches import LaunchRow as Launch

WHY = ("iss", "sub", "intent", "fhir_context")


def count_read(chart: Chart) -> dict[str, int]:
    """Return how many resources a page had of each type, the patient among them."""
    types = Counter(str(item.get("resourceType")) for item in chart.resources)
    return {"Patient": 1, **dict(sorted(types.items()))}


def make_viewing(
    launch: Launch,
    endpoint: Endpoint,
    view: str,
    read: Mapping[str, int],
    now: datetime,
) -> audit.Viewing:
    """Return a look at the launch's patient: which view, what was read for it, why."""
    return audit.Viewing(
        at=now,
        who=launch.who,
        endpoint_id=launch.endpoint_id,
        patient=launch.patient or "",
        launch_id=launch.id,
        detail=_detail(launch, view, read),
        tell=tells_ehr(endpoint),
    )


def describe_opening(launch: Launch, *, named: bool) -> dict[str, Any]:
    """Return the look that the first piece of a launch's page is, to be kept with it.

    It shows what is known before the chart is read: who it is, where ``named``.
    """
    return {
        "who": launch.who,
        "shard": shard_of(launch.endpoint_id, launch.patient or ""),
        "detail": _detail(launch, "opening", {"Patient": 1} if named else {}),
    }


def view_chart(launch: Launch, view: View, name: str, now: datetime) -> audit.Viewing:
    """Return a look at what was read of a patient."""
    return make_viewing(launch, view.endpoint, name, count_read(view.chart), now)


def tells_ehr(endpoint: Endpoint) -> bool:
    """Tell whether the site wants its EHR to hear who looked at whom."""
    return endpoint.profile.get("audit_events") is True


def note_launch(tx: Tx, launch: Launch, now: datetime) -> None:
    """Put an opened launch into the audit: who came to whose chart, and when."""
    detail = {"scope": launch.scope, **_why(launch)}
    _note(tx, launch, "launch-opened", detail, now, patient=launch.patient)


def note_end(tx: Tx, launch: Launch, now: datetime) -> None:
    """Put the end of a launch into the audit, and why it ended."""
    _note(
        tx, launch, "launch-ended", {"code": launch.error}, now, patient=launch.patient
    )


def note_search(
    tx: Tx, launch: Launch, fields: Mapping[str, str], found: Found, now: datetime
) -> None:
    """Put a search for patients into the audit: by what, how many, and who was shown.

    What was searched for is not kept: it names a person who may not be a patient.
    """
    shown = [f"Patient/{row.id}" for row in found.rows]
    detail = {
        "by": sorted(name for name, text in fields.items() if text.strip()),
        "count": len(found.rows),
        "whole": found.whole,
        "patients": shown,
        **_why(launch),
    }
    _note(tx, launch, SEARCHED, detail, now, concerns=shown)


def _note(
    tx: Tx,
    launch: Launch,
    action: str,
    detail: dict[str, Any],
    now: datetime,
    *,
    patient: str | None = None,
    concerns: Sequence[str] | None = None,
) -> None:
    """Put what was done in a launch into the audit; the EHR hears of it where it wants to."""
    audit.insert_audit(
        tx,
        launch.who,
        action,
        now,
        endpoint_id=launch.endpoint_id,
        patient=patient,
        subject=launch.id,
        detail=detail,
        tell=None,
        concerns=concerns,
    )


def _detail(launch: Launch, view: str, read: Mapping[str, int]) -> dict[str, Any]:
    return {"view": view, "read": dict(read), **_why(launch)}


def _why(launch: Launch) -> dict[str, Any]:
    told = {name: launch.context.get(name) for name in WHY}
    told |= {"fhir_user": launch.user_reference, "encounter": launch.encounter}
    return {name: value for name, value in told.items() if value}
