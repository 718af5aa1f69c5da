"""Whether anything that is planned can go, where parts of the chart were not given. Pure."""

from __future__ import annotations

from mappings.nudge import Outcome
from middleware.decisions.deciding import Candidate
from middleware.decisions.unread import UNREAD
from middleware.desk.completeness import asked_types, name_kinds
from middleware.desk.values import Answer, Tag
from middleware.desk.views import View


def list_missing(view: View) -> list[str]:
    """Return the types that the page asks for and was not given."""
    return sorted({*view.chart.incomplete, *view.withheld} & asked_types(view))


def count_unread(view: View) -> int:
    """Return how many planned messages are held for want of what was not read."""
    return sum(is_unread(candidate) for _, candidate in view.planned)


def is_unread(candidate: Candidate) -> bool:
    """Tell whether a message is held because its chart was not read as far as it asks."""
    verdict = candidate.verdict
    return verdict.outcome is Outcome.HOLD and verdict.reason in UNREAD


def waits_for_chart(view: View) -> bool:
    """Tell whether all that is planned is held for want of what was not read."""
    count = count_unread(view)
    return 0 < count == len(view.planned) and bool(list_missing(view))


def say_held(view: View, answer: Answer) -> Answer:
    """Return the answer of somebody who may be messaged while nothing planned can go.

    What would hold without that is kept in its second part.
    """
    held = view.say_many(
        "%(number)s planned message is held. Not read: %(names)s.",
        "All %(number)s planned messages are held. Not read: %(names)s.",
        len(view.planned),
        names=name_kinds(view, list_missing(view)),
    )
    would = view.say(
        "Once that is read: %(said)s",
        said=f"{answer.sentence} {answer.hours}".strip(),
    )
    return Answer(
        Tag("warn", "hold", view.say("Messages held")),
        view.say("No message to %(name)s can go out now.", name=view.given),
        "",
        f"{held} {would}",
    )
