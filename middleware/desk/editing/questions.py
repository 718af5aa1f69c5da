"""A new answer about being contacted: the form that records it, and what was answered.

Pure. Consent is never a switch: what was asked, the answer, how, and by whom.
"""

from __future__ import annotations

from dataclasses import dataclass

from mappings.errors import BadInputError
from mappings.preference import ConsentRecord, Contact
from middleware.decisions.consent import FREE_CHANNELS
from middleware.desk.editing.fields import Field, Fields, read_one, read_text
from middleware.desk.editing.kept import write_kept
from middleware.desk.formats import write_address
from middleware.desk.reaching import topics_of, write_source
from middleware.desk.stating import write_person, write_topic
from middleware.desk.values import Choice
from middleware.desk.versions import consent_version
from middleware.desk.viewer import mark
from middleware.desk.views import View

ALL = "all"
AT_ALL = "*"
HOWS = {
    "in-person": mark("in person"),
    "phone": mark("by phone"),
    "paper": mark("on paper"),
    "portal": mark("in the portal"),
}


@dataclass(frozen=True)
class Asked:
    """What an answer is about: a topic, and somebody beside the patient or nobody."""

    topic: str
    person: str = ""


@dataclass(frozen=True)
class Answer:
    """One answer as it is to be recorded, at one or more contact points.

    ``said_by`` is the patient, or the RelatedPerson who answered for them.
    """

    asked: Asked
    points: tuple[tuple[str, str], ...]
    permit: bool
    question: str
    how: str
    said_by: str


@dataclass(frozen=True)
class Recorded:
    """An answer that was recorded before, in words."""

    permit: bool
    where: str
    source: str
    question: str
    kept: str


@dataclass(frozen=True)
class AnswerForm:
    """The form, with what was answered before, the newest first."""

    title: str
    topic: str
    person: str
    fields: tuple[Field, ...]
    before: tuple[Recorded, ...]
    version: str


@dataclass(frozen=True)
class PersonRow:
    """Somebody beside the patient: what they are, and whether they may be told."""

    reference: str
    name: str
    answer: str
    source: str


def find_asked(view: View, topic: str, person: str) -> Asked | None:
    """Return what is asked about; None for a topic or person that is not there."""
    people = {"", *(item.reference for item in view.profile.contacts)}
    if topic not in {AT_ALL, *topics_of(view)} or person not in people:
        return None
    return Asked(topic, person)


def write_answer_form(view: View, asked: Asked) -> AnswerForm:
    """Return the form that records a new answer."""
    return AnswerForm(
        title=_title(view, asked),
        topic=asked.topic,
        person=asked.person,
        fields=_fields(view, asked),
        before=tuple(_recorded(view, item) for item in _before(view, asked)),
        version=consent_version(view.own),
    )


def read_answer(view: View, asked: Asked, given: Fields) -> Answer:
    """Read an answer; BadInputError says what is missing."""
    question, place, answer, how, who = _fields(view, asked)
    text = read_text(view, question.name, given)
    if not text:
        raise BadInputError(
            view.say("Write down what was asked, in its exact words."),
            field=question.name,
        )
    chosen = read_one(view, place, given)
    points = _points(view, asked)
    if chosen != ALL:
        points = [point for point in points if ":".join(point) == chosen]
    return Answer(
        asked=asked,
        points=tuple(points),
        permit=read_one(view, answer, given) == "yes",
        question=text,
        how=HOWS[read_one(view, how, given)],
        said_by=read_one(view, who, given),
    )


def list_people(view: View) -> tuple[PersonRow, ...]:
    """Return who stands beside the patient, each with the last answer about telling."""
    return tuple(_person(view, contact) for contact in view.profile.contacts)


def _person(view: View, contact: Contact) -> PersonRow:
    about = [item for item in view.profile.consents if item.actor == contact.reference]
    newest = max(about, key=lambda item: item.recorded_at, default=None)
    answer, source = view.say("Not asked"), ""
    if newest is not None:
        answer = view.say("Yes") if newest.permit else view.say("No")
        source = _source(view, newest)
    name = write_person(view, contact.reference)
    return PersonRow(contact.reference, name, answer, source)


def _title(view: View, asked: Asked) -> str:
    topic = write_topic(view, asked.topic)
    if not asked.person:
        return view.say("New answer: %(topic)s", topic=topic)
    if asked.topic == AT_ALL:
        name = write_person(view, asked.person)
        return view.say("New answer: may %(name)s be told?", name=name)
    return view.say(
        "New answer about telling %(name)s: %(topic)s",
        name=write_person(view, asked.person),
        topic=topic,
    )


def _fields(view: View, asked: Asked) -> tuple[Field, ...]:
    places = [
        Choice(":".join(point), write_place(view, *point))
        for point in _points(view, asked)
    ]
    if len(places) > 1:
        places.append(Choice(ALL, view.say("All of these")))
    only = (places[0].value,) if len(places) == 1 else ()
    people = [Choice(view.patient, view.given)]
    people += [
        Choice(item.reference, write_person(view, item.reference))
        for item in view.profile.contacts
    ]
    answers = (Choice("yes", view.say("Yes")), Choice("no", view.say("No")))
    hows = tuple(Choice(name, view.say(text)) for name, text in HOWS.items())
    question = (_question(view, asked),)
    about = view.say("About") if asked.person else view.say("Number or address")
    return (
        Field("text", "question", view.say("What was asked"), question),
        Field("one", "point", about, only, tuple(places)),
        Field("pick", "answer", view.say("The answer"), (), answers),
        Field("one", "how", view.say("How"), (), hows),
        Field("one", "said_by", view.say("Who answered"), (), tuple(people)),
    )


def _question(view: View, asked: Asked) -> str:
    topic, clinic = write_topic(view, asked.topic), view.endpoint.site.name
    if asked.person:
        (contact,) = _asked_about(view, asked)
        name = contact.name or write_person(view, asked.person)
        if asked.topic == AT_ALL:
            whole = mark("May %(clinic)s tell %(name)s about your care?")
            return view.say(whole, clinic=clinic, name=name)
        part = mark("May %(clinic)s tell %(name)s about: %(topic)s?")
        return view.say(part, clinic=clinic, name=name, topic=topic)
    if asked.topic == AT_ALL:
        return view.say("May %(clinic)s send you messages?", clinic=clinic)
    return view.say(
        "May %(clinic)s send you messages about: %(topic)s?",
        clinic=clinic,
        topic=topic,
    )


def _asked_about(view: View, asked: Asked) -> list[Contact]:
    return [one for one in view.profile.contacts if one.reference == asked.person]


def _points(view: View, asked: Asked) -> list[tuple[str, str]]:
    """Return where the answer may count: the patient's places, or that person's."""
    if not asked.person:
        listed = view.profile.addresses
        return [
            (item.channel, item.value)
            for item in listed
            if item.channel not in FREE_CHANNELS
        ]
    (contact,) = _asked_about(view, asked)
    places = [(item.channel, item.value) for item in contact.addresses]
    return [(AT_ALL, AT_ALL), *places]


def write_place(view: View, system: str, value: str) -> str:
    """Return where an answer counts: a number, an address, or being told at all."""
    if system == AT_ALL:
        return view.say("Being told at all, at any number or address")
    if value == AT_ALL:
        return view.say("Every number and address")
    words = {
        "sms": view.say("Text to %(place)s", place=write_address(value)),
        "email": view.say("Email to %(place)s", place=value),
    }
    return words.get(system, value)


def _before(view: View, asked: Asked) -> list[ConsentRecord]:
    points = set(_points(view, asked))
    found = [
        item
        for item in view.profile.consents
        if item.topic in (asked.topic, AT_ALL)
        and (item.actor or "") == asked.person
        and ((item.system, item.value) in points or item.value == AT_ALL)
    ]
    return sorted(found, key=lambda item: (item.recorded_at, item.id), reverse=True)


def _recorded(view: View, item: ConsentRecord) -> Recorded:
    return Recorded(
        permit=item.permit,
        where=write_place(view, item.system, item.value),
        source=_source(view, item),
        question=item.asked,
        kept=write_kept(view, item.id) if "/" not in item.id else "",
    )


def _source(view: View, item: ConsentRecord) -> str:
    source = write_source(view, item.who, item.how, item.recorded_by, item.recorded_at)
    if not item.said_by or item.said_by.startswith("Patient/"):
        return source
    name = write_person(view, item.said_by)
    return view.say("Answered by %(name)s. %(source)s", name=name, source=source)
