"""The value of each preference in words: what is shown, compared and put side by side.

Pure.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mappings.places import Designated
from mappings.telecom import OLD, WRONG, is_point
from middleware.desk.formats import (
    language_name,
    topic_name,
    write_address,
    write_hour,
    write_weekday,
    zone_name,
)
from middleware.desk.viewer import mark
from middleware.desk.views import View

MODALITIES = {
    "telehealth": mark("Video or phone from home"),
    "in-person": mark("In person"),
    "phone": mark("By phone"),
}
NEEDS = {
    "easy-words": mark("Easy words"),
    "large-print": mark("Large print"),
    "hearing": mark("Hard of hearing"),
    "seeing": mark("Low vision or blind"),
    "remembering": mark("Trouble remembering or concentrating"),
    "walking": mark("Trouble walking"),
    "errands": mark("Needs somebody along for errands and visits"),
    "screen-reader": mark("Uses a screen reader"),
    "relay": mark("Uses a text relay service"),
}
ORDERS = {
    "sms,email": mark("Text, then email"),
    "email,sms": mark("Email, then text"),
    "sms": mark("Text only"),
    "email": mark("Email only"),
    "screen": mark("Only on screen"),
}
ROLES = {
    "parent": mark("parent"),
    "guardian": mark("guardian"),
    "proxy": mark("health care proxy"),
    "carer": mark("carer"),
    "emergency": mark("emergency contact"),
    "other": mark("other contact"),
}


USES = {
    "mobile": mark("Mobile"),
    "home": mark("Home"),
    "work": mark("Work"),
    "temp": mark("Temporary"),
}


def write_value(view: View, name: str, value: Any) -> str:
    """Return a preference's value in words; None is what nobody said."""
    if value is None:
        return view.say("Not recorded")
    if name.startswith("channels"):
        return _order(view, value)
    if is_point(name):
        return _point(view, value)
    writer = _WRITERS.get(name)
    return writer(view, value) if writer else str(value)


def write_person(view: View, reference: str) -> str:
    """Return the name of the patient or of somebody beside them, with the relation."""
    if reference.startswith("Patient/"):
        return view.given
    for contact in view.profile.contacts:
        if contact.reference == reference:
            kinds = [view.say(ROLES.get(kind, kind)) for kind in sorted(contact.kinds)]
            name = contact.name or view.say("Name not recorded")
            return f"{name} ({', '.join(kinds)})" if kinds else name
    return view.say("Somebody whom the chart no longer names")


def write_topic(view: View, topic: str) -> str:
    """Return a topic as people call it; ``*`` is all of them."""
    if topic == "*":
        return view.say("Everything")
    if topic == "urgent":
        return view.say("What cannot wait")
    return topic_name(view.viewer, topic)


def _point(view: View, value: Any) -> str:
    place = write_address(str(value.get("value") or ""))
    if value.get("state") == WRONG:
        return view.say("%(place)s: not %(given)s’s", place=place, given=view.given)
    if value.get("state") == OLD:
        return view.say("%(place)s: used no more", place=place)
    use = USES.get(str(value.get("use") or ""))
    how = view.say(use).lower() if use else view.say("in use")
    return f"{place}: {how}"


def _order(view: View, value: Any) -> str:
    names = list(map(str, value))
    known = ORDERS.get(",".join(names))
    return view.say(known) if known else ", ".join(names)


def _window(view: View, value: Any) -> str:
    first, last = value
    return view.say(
        "%(first)s to %(last)s",
        first=write_hour(view.viewer, first),
        last=write_hour(view.viewer, last),
    )


def _days(view: View, value: Any) -> str:
    if sorted(value) == list(range(7)):
        return view.say("Every day")
    return view.viewer.join([write_weekday(view.viewer, day) for day in sorted(value)])


def _weekly(view: View, value: Any) -> str:
    return view.say_many(
        "%(number)s message a week", "%(number)s messages a week", value
    )


def _needs(view: View, value: Any) -> str:
    return ", ".join(view.say(NEEDS.get(item, item)) for item in value)


def _people(view: View, value: Any) -> str:
    names = [write_person(view, item) for item in value]
    said = names[0] if names else ""
    for name in names[1:]:
        said = view.say("%(first)s, then %(second)s", first=said, second=name)
    return said


def _confidential(view: View, value: Any) -> str:
    if isinstance(value, Designated):
        channel, place = value.channel, value.value
    else:
        channel, place = value.get("system"), value.get("value") or ""
    if not channel or not place:
        return view.say("Only by staff: no usable number or address is named")
    words = {
        "sms": view.say("Only by text to %(place)s", place=write_address(place)),
        "email": view.say("Only by email to %(place)s", place=place),
    }
    return words.get(channel, place)


def _matters(_: View, value: Any) -> str:
    return str(value.get("text") or "")


_WRITERS: dict[str, Callable[[View, Any], str]] = {
    "language": lambda view, value: language_name(view.viewer, value),
    "interpreter": lambda view, value: (
        view.say("Interpreter needed") if value else view.say("No interpreter needed")
    ),
    "window": _window,
    "days": _days,
    "zone": lambda view, value: zone_name(view.viewer, value, view.now),
    "max_per_week": _weekly,
    "modality": lambda view, value: view.say(MODALITIES.get(value, value)),
    "accessibility": _needs,
    "matters": _matters,
    "recipients": _people,
    "confidential": _confidential,
}
