"""What was saved here and is on its way into the chart: no disagreement as yet. Pure.

While nobody else changed those elements since, the chart says what the save replaced.
"""

from __future__ import annotations

from mappings.amending import mark_elements
from mappings.preference import Conflict, Who
from middleware.desk.views import View


def is_underway(view: View, item: Conflict) -> bool:
    """Tell whether two voices differ only until ours is written over the chart's."""
    written = view.written.get(item.name)
    if written is None or written.state != "waiting" or written.seen is None:
        return False
    ours = item.first.who is not Who.CHART and item.second.who is Who.CHART
    return ours and written.seen == mark_elements(view.chart.patient, item.name)


def list_differing(view: View) -> tuple[Conflict, ...]:
    """Return where voices truly disagree."""
    return tuple(item for item in view.profile.conflicts if not is_underway(view, item))
