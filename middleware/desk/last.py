"""What is known of a patient before the chart is read: who it is, what was last said.

What was said is always shown with its time and as something that is being checked, and
only to whom it was said: an EHR may withhold from one what it shows another. It is kept
for a month, and not shown where our own record or a switch changed since.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from mappings.chart import Chart
from mappings.endpoint import Endpoint
from mappings.plan import Library
from mappings.preference import OwnRecord
from mappings.resource import Resource
from middleware.decisions.preference import compile_profile
from middleware.decisions.safety import check_minor
from middleware.desk.formats import write_instant
from middleware.desk.page import write_identity
from middleware.desk.sentences import choose_answer
from middleware.desk.values import Answer, Identity, Page, Tag
from middleware.desk.viewer import Viewer
from middleware.desk.views import View
from middleware.storage import last_answers
from middleware.storage.connecting import Tx
from middleware.storage.last_answers import LastAnswer

KEPT = timedelta(days=30)
# What the answer rests on: where one of these was not read it is not kept.
RESTS_ON = frozenset({"Consent", "Encounter", "Condition", "RelatedPerson", "Flag"})


@dataclass(frozen=True)
class Last:
    """What was said of a patient, and ``at`` which time, as the site tells time."""

    answer: Answer
    at: str


def write_last(
    row: LastAnswer, endpoint: Endpoint, viewer: Viewer, now: datetime
) -> Last | None:
    """Return what the page last said, in the words of now; None for an odd one."""
    try:
        answer = _read_answer(row.answer)
    except (KeyError, TypeError):
        # Another version of CareCue wrote it.
        return None
    zone = ZoneInfo(endpoint.site.zone)
    at = write_instant(viewer, row.written_at, zone)
    today = row.written_at.astimezone(zone).date() == now.astimezone(zone).date()
    return Last(answer, at.time if today else f"{at.day}, {at.time}")


def answer_so_far(view: View) -> Answer | None:
    """Return the verdict while the rest of a chart is read; None where that may lift it.

    Only for a minor does it rest on who stands beside the patient.
    """
    needed = RESTS_ON
    if check_minor(view.chart, view.profile) is None:
        needed -= {"RelatedPerson"}
    return None if needed & view.unread else choose_answer(view, "")


def is_verdict_read(view: View) -> bool:
    """Tell whether all that the verdict rests on was read: none is missing or failed."""
    return not RESTS_ON & {*view.unread, *view.chart.incomplete}


def keep_last(tx: Tx, view: View, page: Page, reader: str) -> None:
    """Keep what the page says to a reader, where what it rests on was read."""
    if is_verdict_read(view):
        about = last_answers.About(
            view.endpoint.id, view.patient, reader, view.viewer.tag
        )
        said = asdict(page.answer)
        last_answers.put_last_answer(
            tx, about, said, standing=view.standing, at=view.now
        )


def identify(
    person: Resource, endpoint: Endpoint, patient: str, viewer: Viewer, now: datetime
) -> Identity:
    """Return who a Patient is, as the page would say it."""
    chart = Chart(person, (), now)
    return write_identity(
        View(
            endpoint=endpoint,
            patient=patient,
            chart=chart,
            own=OwnRecord(),
            profile=compile_profile(chart, OwnRecord(), endpoint, now),
            library=Library((), (), {}, {}),
            planned=(),
            sent=(),
            now=now,
            viewer=viewer,
        )
    )


def _read_answer(said: Mapping[str, Any]) -> Answer:
    values = {**said, "tag": Tag(**said["tag"])}
    if "flags" in values:
        values["flags"] = tuple(Tag(**flag) for flag in values["flags"])
    return Answer(**values)
