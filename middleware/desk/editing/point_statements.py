"""What is said of one number or address, as it is recorded; and what holds of it. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from mappings.amending import mark_elements
from mappings.telecom import read_point_name
from middleware.desk.editing.points import list_names
from middleware.desk.versions import find_point
from middleware.desk.views import View

Statement = dict[str, Any]
STOOD = ("state", "use", "rank", "start", "end", "shared", "since", "undone")


def make_statement(
    view: View, name: str, wanted: Mapping[str, Any], *, fresh: bool = False
) -> Statement:
    """Return a statement about one point, with what stood before and the chart's mark.

    ``fresh``: it was not the patient's until now, so that a yes from before is no yes.
    """
    now = standing_of(view, name)
    point = read_point_name(name)
    system = "email" if point[0] == "email" else "phone"
    since = {"since": view.now.isoformat()} if fresh else {}
    return {
        "system": (now or {}).get("system") or system,
        "value": point[1],
        **wanted,
        **since,
        "seen": mark_elements(view.chart.patient, name),
        "before": {key: now[key] for key in STOOD if key in now} if now else None,
    }


def names_of(view: View) -> list[str]:
    """Return the record names of what a form offers: all but what was undone at once."""
    shown = [(name, standing_of(view, name)) for name in list_names(view)]
    return [name for name, said in shown if said and not said.get("undone")]


def standing_of(view: View, name: str) -> Statement | None:
    """Return what holds of a point; None where nothing was said of it."""
    said = find_point(view.profile, name)
    return None if said is None else said.value


def key_of(name: str) -> str:
    """Return what the fields of a point are called, whatever its place in the list."""
    return hashlib.sha256(name.encode()).hexdigest()[:8]
