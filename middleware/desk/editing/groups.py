"""The groups of preferences that are edited together: one group is one small form.

Pure; saving is :mod:`middleware.desk.editing.preferences`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

from middleware.desk.editing import (
    offering,
    offering_points,
    offering_ways,
    points,
)
from middleware.desk.editing.fields import Field, Fields, read_one
from middleware.desk.editing.points import PointRow
from middleware.desk.reaching import topics_of
from middleware.desk.viewer import mark
from middleware.desk.views import View

Offer = Callable[[View], tuple[Field, ...]]
Read = Callable[[View, Fields], dict[str, Any]]


@dataclass(frozen=True)
class Group:
    """One group: its path, its heading (``%(name)s`` is the patient's), its records.

    ``rows`` where each of its values is shown with a source of its own; then ``stands``
    tells whether all that a form says holds, by the records that were made from it.
    ``autosave`` where a slip does little harm; ``quoted`` where only the patient or a
    carer can have said it; ``empty`` is said where nobody said anything.
    """

    name: str
    title: str
    records: Callable[[View], tuple[str, ...]]
    offer: Offer
    read: Read
    rows: Callable[[View], tuple[PointRow, ...]] | None = None
    stands: Callable[[View, Fields, Collection[str]], bool] | None = None
    autosave: bool = False
    quoted: bool = False
    empty: str = mark("Not recorded")
    hint: str = ""


def _fixed(*names: str) -> Callable[[View], tuple[str, ...]]:
    return lambda _: names


def _single(name: str, offer: Offer, value: Callable[[str], Any] = str) -> Read:
    """Return the reader of a form with one field."""

    def read(view: View, given: Fields) -> dict[str, Any]:
        (field,) = offer(view)
        return {name: value(read_one(view, field, given))}

    return read


def _channels(text: str) -> list[str]:
    return text.split(",")


def _topics(view: View) -> tuple[str, ...]:
    return tuple(f"channels:{topic}" for topic in (*topics_of(view), "urgent"))


POINTS = "telecom"
# In the order of the page.
GROUPS: dict[str, Group] = {
    group.name: group
    for group in (
        Group(
            "channels",
            mark("How to reach %(name)s"),
            _fixed("channels"),
            offering_ways.offer_ways,
            _single("channels", offering_ways.offer_ways, _channels),
        ),
        Group(
            POINTS,
            mark("Phone and email"),
            points.list_names,
            offering_points.offer_points,
            offering_points.read_points,
            rows=points.write_points,
            stands=offering_points.stands_as_said,
            empty=mark("No number or address"),
            hint=mark(
                "What is out of use gets no message from now on. Nothing goes to a new "
                "number or address until somebody at it has said yes: record that answer "
                "next."
            ),
        ),
        Group(
            "hours",
            mark("Hours and days"),
            _fixed("window", "days"),
            offering.offer_hours,
            offering.read_hours,
        ),
        Group(
            "zone",
            mark("Time zone"),
            _fixed("zone"),
            offering.offer_zones,
            _single("zone", offering.offer_zones),
        ),
        Group(
            "language",
            mark("Language"),
            _fixed("language"),
            offering.offer_languages,
            _single("language", offering.offer_languages),
        ),
        Group(
            "interpreter",
            mark("Interpreter"),
            _fixed("interpreter"),
            offering.offer_interpreter,
            _single(
                "interpreter", offering.offer_interpreter, lambda word: word == "yes"
            ),
            autosave=True,
        ),
        Group(
            "topics",
            mark("Way for each topic"),
            _topics,
            offering_ways.offer_orders,
            offering_ways.read_orders,
        ),
        Group(
            "limit",
            mark("Weekly limit"),
            _fixed("max_per_week"),
            offering.offer_weekly,
            _single("max_per_week", offering.offer_weekly, int),
            autosave=True,
        ),
        Group(
            "visits",
            mark("Visits"),
            _fixed("modality"),
            offering.offer_visits,
            _single("modality", offering.offer_visits),
            autosave=True,
        ),
        Group(
            "needs",
            mark("Accessibility"),
            _fixed("accessibility"),
            offering.offer_needs,
            offering.read_needs,
            autosave=True,
        ),
        Group(
            "words",
            mark("What matters"),
            _fixed("matters"),
            offering_ways.offer_words,
            offering_ways.read_words,
            quoted=True,
        ),
        Group(
            "people",
            mark("Who is written to"),
            _fixed("recipients"),
            offering_ways.offer_people,
            offering_ways.read_people,
            hint=mark(
                "Whether somebody may be told at all is an answer, recorded by itself."
            ),
        ),
        Group(
            "confidential",
            mark("Confidential contact"),
            _fixed("confidential"),
            offering_ways.offer_confidential,
            offering_ways.read_confidential,
            hint=mark("Takes effect at once: nothing goes to any other place."),
        ),
    )
}
