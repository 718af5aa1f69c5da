"""The preferences of one patient in words, each with who said so.

Pure.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from middleware.decisions.consent import FREE_CHANNELS, Permission
from middleware.decisions.timing import site_windows
from middleware.desk.formats import (
    CHANNELS,
    topic_name,
    write_address,
    write_hour,
    write_weekday,
)
from middleware.desk.reaching import (
    REFUSED,
    permissions,
    topics_of,
    write_source,
)
from middleware.desk.values import ChannelRow, Hours, Tag, TopicRow
from middleware.desk.views import View


def write_channels(view: View) -> tuple[ChannelRow, ...]:
    """Return the channels in the patient's order, then those with no use or not chosen."""
    rows = [_channel(view, name) for name in view.order]
    known = dict.fromkeys(item.channel for item in view.profile.addresses)
    unused = view.say("Not chosen")
    rows += [
        replace(_channel(view, name), tag=None, off=unused)
        for name in known
        if name in CHANNELS and name not in view.order
    ]
    return tuple(sorted(rows, key=lambda row: bool(row.off)))


def write_hours(view: View, due: datetime | None) -> Hours:
    """Return the allowed hours and where the next message falls in them."""
    said = view.profile.window
    first, last = said.value
    local = due.astimezone(view.zone) if due else None
    less, never = _exceptions(view)
    hour = view.viewer
    return Hours(
        text=_window(view, first, last) + never,
        first=first,
        last=last,
        first_text=write_hour(hour, first),
        last_text=write_hour(hour, last),
        next_hour=local.hour + local.minute / 60 if local else None,
        next_text=_next(view, local) if local else "",
        less=less,
    )


def _window(view: View, first: float, last: float) -> str:
    return view.say(
        "%(first)s to %(last)s",
        first=write_hour(view.viewer, first),
        last=write_hour(view.viewer, last),
    )


def _next(view: View, local: datetime) -> str:
    day = write_weekday(view.viewer, local.weekday(), "abbreviated")
    hour = write_hour(view.viewer, local.hour + local.minute / 60)
    return view.say("Next: %(day)s %(time)s", day=day, time=hour)


def _exceptions(view: View) -> tuple[str, str]:
    """Return on which days it is less, and on which nothing is sent."""
    first, last = view.profile.window.value
    days = view.profile.days
    allowed = set(range(7) if days is None else days.value)
    less: list[str] = []
    for day, (low, high) in sorted(site_windows(view.endpoint.site).items()):
        start, end = max(first, low), min(last, high)
        if day not in allowed or (start, end) == (first, last):
            continue
        name = write_weekday(view.viewer, day)
        if start >= end:
            allowed -= {day}
            less.append(view.say("On %(day)s nothing is sent.", day=name))
        else:
            hours = _window(view, start, end)
            less.append(view.say("On %(day)s %(hours)s.", day=name, hours=hours))
    closed = [day for day in range(7) if day not in allowed]
    if not closed:
        return " ".join(less), ""
    named = closed if len(closed) < 3 else sorted(allowed)
    names = [write_weekday(view.viewer, day) for day in named]
    if named is closed:
        days_text = view.viewer.join(names, "or")
        return " ".join(less), view.say(", never %(days)s", days=days_text)
    return " ".join(less), view.say(", only %(days)s", days=view.viewer.join(names))


def write_topics(view: View) -> tuple[TopicRow, ...]:
    """Return each topic with the answer that counts for it.

    Near are those that something was sent or is planned on, and those that were
    answered otherwise than most.
    """
    known = {item.topic for item in view.own.sent}
    known |= {nudge.topic for nudge, _ in (*view.planned, *view.steps)}
    rows = [(topic, _topic(view, topic)) for topic in topics_of(view)]
    kinds = [row.tag.icon for _, row in rows]
    usual = max(kinds, key=kinds.count, default="")
    return tuple(
        replace(row, near=topic in known or row.tag.icon != usual)
        for topic, row in rows
    )


def _channel(view: View, name: str) -> ChannelRow:
    word = view.say(CHANNELS[name])
    if name in FREE_CHANNELS:
        return ChannelRow(name, word, "", None, view.say("Shown in this app only"))
    addresses = [item for item in view.profile.addresses if item.channel == name]
    if not addresses:
        return ChannelRow(name, word, "", None, view.say("Nothing in the chart"))
    shown = write_address(addresses[0].value)
    if (name, addresses[0].value) in view.own.bad_addresses:
        return ChannelRow(name, word, shown, None, view.say("Does not work"))
    place = view.profile.confidential
    point = (name, addresses[0].value)
    if place is not None and (place.value.channel, place.value.value) != point:
        unused = view.say("Not used: confidential contact")
        return ChannelRow(name, word, shown, None, unused)
    found = permissions(view, topics_of(view), addresses[:1])
    if any(item.allowed for item in found):
        agreed = Tag("ok", "check", view.say("Agreed"))
        return ChannelRow(name, word, shown, agreed, "")
    if any(item.reason == REFUSED for item in found):
        return ChannelRow(name, word, shown, None, view.say("Said no"))
    return ChannelRow(name, word, shown, None, view.say("No permission recorded"))


def _topic(view: View, topic: str) -> TopicRow:
    name = topic_name(view.viewer, topic)
    found = permissions(view, (topic,))
    permitted = next((item for item in found if item.allowed), None)
    if permitted is not None:
        yes = Tag("ok", "check", view.say("Yes"))
        return TopicRow(name, yes, _said(view, permitted), topic)
    refused = next((item for item in found if item.reason == REFUSED), None)
    if refused is not None:
        no = Tag("off", "x", view.say("No"))
        return TopicRow(name, no, _said(view, refused), topic)
    return TopicRow(name, Tag("off", "ask", view.say("Not asked")), "", topic)


def _said(view: View, permission: Permission) -> str:
    if not permission.records:
        return ""
    record = permission.records[0]
    return write_source(
        view, record.who, record.how, record.recorded_by, record.recorded_at
    )
