"""What the forms offer, and reading what came back: strict, nothing guessed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta

from mappings.errors import BadInputError
from middleware.desk.editing.fields import Fields
from middleware.desk.formats import write_day
from middleware.desk.values import Choice
from middleware.desk.viewer import mark
from middleware.desk.views import View

# In which words a record says why; a form says it with the patient's name.
WHY_PAUSE = (
    Choice("asked", mark("The patient asked")),
    Choice("hospital", mark("In hospital")),
    Choice("crisis", mark("Bereavement or crisis")),
    Choice("number", mark("Wrong number or address")),
    Choice("other", mark("Other")),
)
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
NAMED = {
    "The patient asked": mark("%(name)s asked"),
    "It does not fit this patient": mark("It does not fit %(name)s"),
    "Staff talk to the patient first": mark("Staff talk to %(name)s first"),
}
LONGEST_PAUSE = timedelta(days=366)


@dataclass(frozen=True)
class PauseForm:
    """A pause as chosen: ``last`` is its last day, None until somebody ends it.

    ``seen`` is when the form was made, ``reason`` what the record says of ``why``.
    """

    until: str
    day: str
    why: str
    version: str
    seen: str = ""
    last: date | None = None
    reason: str = ""


@dataclass(frozen=True)
class MoveChoice:
    """Where a message is to go: a day and a time as typed, or ``back`` to its own.

    ``which`` of two where the patient's clock shows that time twice; ``version`` is what
    the form was made from.
    """

    day: str
    time: str
    which: str
    why: str
    back: bool
    version: str = ""


@dataclass(frozen=True)
class SkipChoice:
    """Why a message is not to go; ``version`` is what the form was made from."""

    why: str
    version: str = ""


def pause_days(view: View) -> tuple[Choice, ...]:
    """Return the two days that the form offers: a week and four weeks ahead."""
    days = [view.today + timedelta(days=7), view.today + timedelta(days=28)]
    return tuple(Choice(day.isoformat(), write_day(view.viewer, day)) for day in days)


def offer_reasons(view: View, choices: tuple[Choice, ...]) -> tuple[Choice, ...]:
    """Return the reasons that a form offers, in the viewer's words."""
    return tuple(
        replace(one, text=view.say(NAMED.get(one.text, one.text), name=view.given))
        for one in choices
    )


def fill_pause(given: Fields) -> PauseForm:
    """Return the pause form as it came back, whatever it says."""
    names = ("until", "date", "why", "version", "seen")
    until, day, why, version, seen = ("".join(given.get(name, ())) for name in names)
    return PauseForm(until, day, why, version, seen)


def read_pause(raw: PauseForm, today: date) -> PauseForm:
    """Return the pause that was chosen; BadInputError says what to choose."""
    reason = _read_why(WHY_PAUSE, raw.why, mark("Choose why messages are paused."))
    raw = replace(raw, reason=reason)
    if raw.until == "open":
        return raw
    text = raw.day if raw.until == "date" else raw.until
    try:
        last = datetime.strptime(text, "%Y-%m-%d").date()  # noqa: DTZ007 -- a day
    except ValueError:
        raise BadInputError(
            mark("Choose the last day of the pause."), field="date"
        ) from None
    if not today <= last <= today + LONGEST_PAUSE:
        raise BadInputError(
            mark("Choose a day from today on, within a year."), field="date"
        )
    return replace(raw, last=last)


def fill_move(given: Fields) -> MoveChoice:
    """Return the form that moves a message as it came back, whatever it says."""
    names = ("day", "time", "which", "why", "version")
    day, time, which, why, seen = ("".join(given.get(name, ())) for name in names)
    return MoveChoice(day, time, which, why, back="back" in given, version=seen)


def read_move(chosen: MoveChoice) -> str:
    """Return why a message is moved; BadInputError where a move has no reason."""
    if chosen.back:
        return ""
    return _read_why(WHY_MOVE, chosen.why, mark("Choose why it is moved."))


def fill_skip(given: Fields) -> SkipChoice:
    """Return the form that skips a message as it came back, whatever it says."""
    why, version = ("".join(given.get(name, ())) for name in ("why", "version"))
    return SkipChoice(why, version)


def read_skip(why: str) -> str:
    """Return why a message is skipped; BadInputError where there is no reason."""
    return _read_why(WHY_SKIP, why, mark("Choose why it is skipped."))


def _read_why(choices: tuple[Choice, ...], given: str, missing: str) -> str:
    for choice in choices:
        if choice.value == given:
            return choice.text
    raise BadInputError(missing, field="why")
