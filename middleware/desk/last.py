"""What is known of a patient before the chart is read: who it is, what was last said.

What was said is always shown with its time and as something that is being checked, and
only to whom it was said: an EHR may withhold from one what it shows another. It is kept
for a month, and not shown where our own record or a switch changed since.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from mappings.chart import Chart
from mappings.endpoint import Endpoint
from mappings.plan import Library
from mappings.preference import OwnRecord
from mappings.resource import Resource
from middleware.decisions.preference import compile_profile
from middleware.desk.charting import TURNING
from middleware.desk.flags import write_flags
from middleware.desk.formats import language_name, write_instant
from middleware.desk.page import write_identity
from middleware.desk.sentences import choose_answer, choose_lasting, write_window
from middleware.desk.values import Answer, Identity, Page, Tag
from middleware.desk.viewer import Viewer
from middleware.desk.views import View
from middleware.desk.waiting import waits_for_chart
from middleware.storage import last_answers
from middleware.storage.connecting import Tx
from middleware.storage.last_answers import LastAnswer

KEPT = timedelta(days=30)
# Where one of these failed the answer is that of an incomplete chart, and is not kept.
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
    if answer.sends:
        # Nobody reads a yes that is not known to hold any more.
        unsure = Tag("warn", "ask", viewer.say("Being checked"))
        answer = replace(answer, tag=unsure)
    zone = ZoneInfo(endpoint.site.zone)
    at = write_instant(viewer, row.written_at, zone)
    today = row.written_at.astimezone(zone).date() == now.astimezone(zone).date()
    return Last(answer, at.time if today else f"{at.day}, {at.time}")


def answer_so_far(view: View) -> Answer:
    """Return what can be said of a patient while the rest of the chart is read.

    It is the verdict where nothing that is still being read may turn it: that a record
    has ended or that a person holds messages, or any where all of ``TURNING`` was read
    or failed, and something may go without the rest. Else that it is not known yet,
    whatever was found so far.
    """
    if not TURNING & view.unread and not (view.unread and waits_for_chart(view)):
        return choose_answer(view, "")
    return choose_lasting(view) or _not_known_yet(view)


def is_verdict_read(view: View) -> bool:
    """Tell whether nothing may turn the verdict any more, and what it rests on was read."""
    return not TURNING & view.unread and not RESTS_ON & {*view.chart.incomplete}


def _not_known_yet(view: View) -> Answer:
    """Say that nobody knows yet, and what is known without the chart's other parts."""
    parts = [view.say("It is not known yet whether a message may go out.")]
    if view.profile.language is not None:
        words = language_name(view.viewer, view.profile.language.value)
        parts.append(view.say("Language to write in: %(language)s.", language=words))
    parts.append(view.say("Hours: %(hours)s.", hours=write_window(view)))
    if "RelatedPerson" in view.unread:
        parts.append(
            view.say(
                "Phone and email are not yet compared with those of family and carers."
            )
        )
    return Answer(
        Tag("warn", "ask", view.say("Being checked")),
        view.say("Wait before you write to %(name)s.", name=view.given),
        "",
        " ".join(parts),
        write_flags(view),
    )


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
    flags = tuple(Tag(**flag) for flag in said["flags"])
    # What an older version kept does not tell whether it says that a message may go.
    values = {**said, "tag": Tag(**said["tag"]), "flags": flags, "sends": said["sends"]}
    return Answer(**values)
