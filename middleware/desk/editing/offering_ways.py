"""Ways, words and people: what their forms offer, and reading it back. Pure."""

from __future__ import annotations

from typing import Any

from mappings.errors import BadInputError
from mappings.recipient import read_address_value
from middleware.decisions.recipients import list_recipients
from middleware.desk.editing.fields import Field, Fields, read_one, read_text
from middleware.desk.formats import language_name
from middleware.desk.reaching import topics_of
from middleware.desk.stating import ORDERS, write_person, write_topic, write_value
from middleware.desk.values import Choice
from middleware.desk.views import View

STAFF = "staff"
OTHER = "other"


# --- how ---------------------------------------------------------------------------


def offer_ways(view: View) -> tuple[Field, ...]:
    """Offer the orders of ways; one that nobody can choose here stays where it is."""
    present = ",".join(view.profile.channels.value)
    known = dict.fromkeys((*ORDERS, present))
    choices = tuple(
        Choice(order, write_value(view, "channels", order.split(",")))
        for order in known
    )
    hint = view.say(
        "The first way that is allowed and has a number or address is used."
    )
    return (Field("one", "ways", view.say("Order"), (present,), choices, hint),)


def offer_orders(view: View) -> tuple[Field, ...]:
    """Offer an order of ways for each topic."""
    default = Choice("", view.say("Like everything else"))
    choices = (default, *(Choice(k, view.say(v)) for k, v in ORDERS.items()))
    said = view.profile.topic_channels
    return tuple(
        Field(
            "one",
            f"topic-{topic}",
            write_topic(view, topic),
            (",".join(said[topic].value) if topic in said else "",),
            choices,
        )
        for topic in (*topics_of(view), "urgent")
    )


def read_orders(view: View, given: Fields) -> dict[str, Any]:
    """Read the orders that were changed."""
    found: dict[str, Any] = {}
    for field in offer_orders(view):
        chosen = read_one(view, field, given)
        if chosen != field.value[0]:
            topic = field.name.removeprefix("topic-")
            found[f"channels:{topic}"] = chosen.split(",") if chosen else None
    if not found:
        raise BadInputError(view.say("Nothing was changed, so nothing was saved."))
    return found


# --- who, and in whose words ---------------------------------------------------------


def offer_words(view: View) -> tuple[Field, ...]:
    """Offer the patient's own words to be written down."""
    said = view.profile.matters
    text = str(said.value.get("text") or "") if said else ""
    language = str(said.value.get("language") or "") if said else ""
    spoken = view.profile.language
    tags = dict.fromkeys(
        ["", language, *([spoken.value] if spoken else []), "en", "es"]
    )
    choices = tuple(
        Choice(tag, language_name(view.viewer, tag) if tag else view.say("Not stated"))
        for tag in tags
    )
    return (
        Field("text", "text", view.say("In their own words"), (text,)),
        Field("one", "language", view.say("Written in"), (language,), choices),
    )


def read_words(view: View, given: Fields) -> dict[str, Any]:
    """Read the words; none takes them back."""
    text = read_text(view, "text", given)
    language = read_one(view, offer_words(view)[1], given)
    if not text:
        return {"matters": None}
    return {"matters": {"text": text, **({"language": language} if language else {})}}


def offer_people(view: View) -> tuple[Field, ...]:
    """Offer a place in the order to the patient and whoever stands beside."""
    said, listed = view.profile.recipients, list_recipients(view.profile, "*")
    order = said.value if said else tuple(item.reference for item in listed)
    names = [view.patient, *(item.reference for item in view.profile.contacts)]
    places = [
        Choice(str(n), view.say("Number %(n)s", n=n)) for n in range(1, len(names) + 1)
    ]
    choices = (Choice("", view.say("Not written to")), *places)
    return tuple(
        Field(
            "one",
            f"place-{name.replace('/', '-')}",
            write_person(view, name),
            (str(order.index(name) + 1) if name in order else "",),
            choices,
        )
        for name in names
    )


def read_people(view: View, given: Fields) -> dict[str, Any]:
    """Read the order; nobody in it takes it back."""
    names = [view.patient, *(item.reference for item in view.profile.contacts)]
    fields = zip(names, offer_people(view), strict=True)
    places = {name: read_one(view, field, given) for name, field in fields}
    chosen = sorted((int(place), name) for name, place in places.items() if place)
    if len({place for place, _ in chosen}) < len(chosen):
        raise BadInputError(view.say("Give each person a number of their own."))
    return {"recipients": [name for _, name in chosen] or None}


def offer_confidential(view: View) -> tuple[Field, ...]:
    """Offer the one way to be reached."""
    said = view.profile.confidential
    present, note = "", ""
    if said is not None:
        place = said.value
        present = f"{place.channel}:{place.value}" if place.channel else STAFF
        note = place.note
    known = dict.fromkeys(
        f"{item.channel}:{item.value}" for item in view.profile.addresses
    )
    listed = [item for item in (*known, present) if ":" in item]
    choices = [Choice("", view.say("No such request"))]
    for item in dict.fromkeys(listed):
        channel, _, value = item.partition(":")
        words = write_value(view, "confidential", {"system": channel, "value": value})
        choices.append(Choice(item, words))
    choices.append(Choice(OTHER, view.say("Only at another number or address")))
    choices.append(Choice(STAFF, view.say("Only by staff, never by a message")))
    return (
        Field("one", "place", view.say("To be reached"), (present,), tuple(choices)),
        Field("line", "other", view.say("The other number or email address"), ("",)),
        Field("line", "note", view.say("What staff should know"), (note,)),
    )


def read_confidential(view: View, given: Fields) -> dict[str, Any]:
    """Read the one way; none takes the request back."""
    place = read_one(view, offer_confidential(view)[0], given)
    note = read_text(view, "note", given)
    if not place:
        return {"confidential": None}
    if place == STAFF:
        return {"confidential": {"system": None, "value": "", "note": note}}
    system, _, text = place.partition(":")
    if place == OTHER:
        text = read_text(view, "other", given)
        system = "email" if "@" in text else "sms"
    found = read_address_value(system, text)
    if found is None:
        raise BadInputError(view.say("Write a whole phone number or email address."))
    return {"confidential": {"system": found[0], "value": found[1], "note": note}}
