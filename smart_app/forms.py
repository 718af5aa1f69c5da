"""What the forms offer, and reading what came back: strict, nothing guessed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta

from flask import Request

from mappings.errors import BadInputError
from middleware.desk.formats import write_day
from middleware.desk.values import Choice
from middleware.desk.viewer import mark
from middleware.desk.views import View

WHY_PAUSE = ("asked", "hospital", "crisis", "number", "other")
WHY_SKIP = (
    Choice("done", mark("It is already done")),
    Choice("not-right", mark("It does not fit this patient")),
    Choice("in-person", mark("We will talk about it in person")),
    Choice("wrong", mark("The reason given is wrong")),
    Choice("other", mark("Other")),
)
WHY_MOVE = (
    Choice("asked", mark("The patient asked")),
    Choice("fits", mark("Another time fits the care better")),
    Choice("staff", mark("Staff talk to the patient first")),
    Choice("other", mark("Other")),
)
WHO_ORDERS = ("patient", "staff")
LONGEST_PAUSE = timedelta(days=366)


@dataclass(frozen=True)
class PauseForm:
    """A pause as chosen: ``last`` is its last day, None until somebody ends it."""

    until: str
    day: str
    why: str
    version: str
    last: date | None = None


@dataclass(frozen=True)
class OrderForm:
    """A channel order as chosen."""

    order: tuple[str, ...]
    who: str
    version: str


@dataclass(frozen=True)
class MoveChoice:
    """Where a message is to go: a day and a time as typed, or ``back`` to its own."""

    day: str
    time: str
    why: str
    back: bool


def pause_days(view: View) -> tuple[Choice, ...]:
    """Return the two days that the form offers: a week and four weeks ahead."""
    days = [view.today + timedelta(days=7), view.today + timedelta(days=28)]
    return tuple(Choice(day.isoformat(), write_day(view.viewer, day)) for day in days)


def pause_reasons(view: View) -> tuple[Choice, ...]:
    """Return the reasons that the form offers."""
    words = (
        view.say("%(name)s asked", name=view.given),
        view.say("In hospital"),
        view.say("Bereavement or crisis"),
        view.say("Wrong number or address"),
        view.say("Other"),
    )
    return tuple(map(Choice, WHY_PAUSE, words))


def order_speakers(view: View) -> tuple[Choice, ...]:
    """Return who may have said which way comes first."""
    words = (
        view.say("%(given)s, today", given=view.given),
        view.say("Staff, for %(given)s", given=view.given),
    )
    return tuple(map(Choice, WHO_ORDERS, words))


def read_pause(request: Request, today: date) -> PauseForm:
    """Read the pause form; BadInputError says what to choose."""
    form = request.form
    raw = PauseForm(
        until=form.get("until", ""),
        day=form.get("date", ""),
        why=form.get("why", ""),
        version=form.get("version", ""),
    )
    if raw.why not in WHY_PAUSE:
        raise BadInputError(mark("Choose why messages are paused."))
    if raw.until == "open":
        return raw
    text = raw.day if raw.until == "date" else raw.until
    try:
        last = datetime.strptime(text, "%Y-%m-%d").date()  # noqa: DTZ007 -- a day
    except ValueError:
        raise BadInputError(mark("Choose the last day of the pause.")) from None
    if not today <= last <= today + LONGEST_PAUSE:
        raise BadInputError(mark("Choose a day from today on, within a year."))
    return PauseForm(raw.until, raw.day, raw.why, raw.version, last)


def read_order(request: Request, known: tuple[str, ...]) -> OrderForm:
    """Read the order form, with the row that a button asked to move already moved.

    BadInputError when it does not name each known channel once.
    """
    order = list(request.form.getlist("order"))
    if sorted(order) != sorted(known):
        raise BadInputError(
            mark("The order must name each way once. Nothing was changed.")
        )
    name, _, direction = request.form.get("move", "").partition(":")
    if name in order and direction in ("up", "down"):
        at = order.index(name)
        to = min(max(at + (-1 if direction == "up" else 1), 0), len(order) - 1)
        order.insert(to, order.pop(at))
    who = request.form.get("who", "")
    if who not in WHO_ORDERS:
        raise BadInputError(mark("Choose who said so."))
    return OrderForm(tuple(order), who, request.form.get("version", ""))


def read_move(request: Request) -> MoveChoice:
    """Read what was filled in; BadInputError where no reason is given for a move."""
    form = request.form
    back = "back" in form
    why = next((item for item in WHY_MOVE if item.value == form.get("why")), None)
    if why is None and not back:
        raise BadInputError(mark("Choose why it is moved."))
    reason = why.text if why and not back else ""
    return MoveChoice(form.get("day", ""), form.get("time", ""), reason, back=back)


def read_skip(request: Request) -> Choice:
    """Read why a message is skipped."""
    for choice in WHY_SKIP:
        if choice.value == request.form.get("why"):
            return choice
    raise BadInputError(mark("Choose why it is skipped."))
