"""The fields of a preference's form, and reading what came back: strict, nothing guessed.

Pure; what is offered depends on the patient.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mappings.errors import BadInputError
from mappings.preference import PreferenceRecord
from middleware.desk.values import Actor, Choice
from middleware.desk.views import View

Fields = Mapping[str, Sequence[str]]
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
LONGEST_TEXT = 500


@dataclass(frozen=True)
class Form:
    """Which form on a page a save came from, and how often it had been changed by then.

    Two saves of one form are one person's: the one that was filled in later counts.
    """

    id: str = ""
    turn: int = 0


@dataclass(frozen=True)
class Sent:
    """A form that was sent: by whom, the version of what it was made from, which it is."""

    actor: Actor
    version: str
    form: Form = Form()

    def made(self, record: PreferenceRecord) -> bool:
        """Tell whether a record was made by this very form."""
        user = self.actor.user
        known = bool(self.form.id) and bool(user)
        return known and (record.form, record.saved_by) == (self.form.id, user)


@dataclass(frozen=True)
class Filled:
    """A group's form as it came back: its fields, who said so, what it was made from."""

    given: Fields
    who: str = ""
    version: str = ""
    form: Form = Form()


@dataclass(frozen=True)
class Field:
    """One field: ``kind`` one or pick (of the choices), some (of them), text, line or day.

    A ``head`` is none: it names the fields that follow it.
    """

    kind: str
    name: str
    label: str
    value: tuple[str, ...]
    choices: tuple[Choice, ...] = ()
    hint: str = ""


def refill(fields: Sequence[Field], given: Fields) -> tuple[Field, ...]:
    """Return the fields filled in as they came back, so that nothing is lost."""
    return tuple(
        Field(
            item.kind,
            item.name,
            item.label,
            tuple(given.get(item.name, ())),
            item.choices,
            item.hint,
        )
        for item in fields
    )


def read_one(view: View, field: Field, given: Fields) -> str:
    """Return the one choice that was made; BadInputError for none or another."""
    values = list(given.get(field.name, ()))
    known = {choice.value for choice in field.choices}
    if len(values) != 1 or values[0] not in known:
        raise BadInputError(
            view.say("Choose: %(label)s.", label=field.label), field=field.name
        )
    return values[0]


def read_some(view: View, field: Field, given: Fields) -> list[str]:
    """Return the choices that were made, in the order of the form."""
    values = set(given.get(field.name, ()))
    known = [choice.value for choice in field.choices]
    if values - set(known):
        raise BadInputError(
            view.say("Choose: %(label)s.", label=field.label), field=field.name
        )
    return [value for value in known if value in values]


def read_text(view: View, name: str, given: Fields) -> str:
    """Return a text without the blanks around it; BadInputError when it is too long.

    What no keyboard writes is left out: no database takes a NUL.
    """
    text = " ".join(CONTROL.sub(" ", " ".join(given.get(name, ()))).split())
    if len(text) > LONGEST_TEXT:
        raise BadInputError(
            view.say("Write it in %(number)s characters.", number=LONGEST_TEXT)
        )
    return text
