"""The preferences of one patient in words, each with who said so.

Pure.
"""

from __future__ import annotations

from datetime import datetime

from middleware.decisions.consent import FREE_CHANNELS, Permission
from middleware.decisions.timing import site_windows
from middleware.desk.formats import (
    CHANNELS,
    language_name,
    topic_name,
    write_address,
    write_hour,
    write_time,
)
from middleware.desk.reaching import (
    REFUSED,
    permissions,
    topics_of,
    write_source,
)
from middleware.desk.values import ChannelRow, Hours, Setting, Tag, TopicRow
from middleware.desk.views import View

DAYS = (
    "Monday",
    "Tuesday",
    "Wednesday",
    "Thursday",
    "Friday",
    "Saturday",
    "Sunday",
)


def write_channels(view: View) -> tuple[ChannelRow, ...]:
    """Return the channels in the patient's order, then those with no use."""
    rows = [_channel(view, name) for name in view.order]
    return tuple(sorted(rows, key=lambda row: bool(row.off)))


def write_order_source(view: View) -> str:
    """Return who said the order."""
    said = view.profile.channels
    return write_source(view, said.who, said.how, said.by, said.when)


def write_hours(view: View, due: datetime | None) -> Hours:
    """Return the allowed hours and where the next message falls in them."""
    said = view.profile.window
    first, last = said.value
    local = due.astimezone(view.zone) if due else None
    less, never = _exceptions(view)
    source = write_source(view, said.who, said.how, said.by, said.when)
    return Hours(
        text=f"{write_hour(first)} to {write_hour(last)}{never}",
        first=first,
        last=last,
        first_text=write_hour(first),
        last_text=write_hour(last),
        next_hour=local.hour + local.minute / 60 if local else None,
        next_text=f"Next: {local:%a} {_short(local)}" if local else "",
        source=f"{source}. {less}" if less else source,
    )


def _exceptions(view: View) -> tuple[str, str]:
    """Return on which days it is less, and on which nothing is sent."""
    first, last = view.profile.window.value
    days = view.profile.days
    allowed = set(range(7) if days is None else days.value)
    less: list[str] = []
    for day, (low, high) in sorted(site_windows(view.endpoint.site).items()):
        start, end = max(first, low), min(last, high)
        if start >= end:
            allowed -= {day}
        elif day in allowed and (start, end) != (first, last):
            less.append(f"{DAYS[day]}s {write_hour(start)} to {write_hour(end)}.")
    closed = [DAYS[day] for day in range(7) if day not in allowed]
    if not closed:
        return " ".join(less), ""
    if len(closed) < 3:
        return " ".join(less), f", never {' or '.join(closed)}"
    return " ".join(less), f", only {', '.join(DAYS[day] for day in sorted(allowed))}"


def write_language(view: View) -> Setting:
    """Return the language to write in."""
    said = view.profile.language
    if said is None:
        return Setting("Not recorded", "Nothing is written until it is known")
    source = write_source(view, said.who, said.how, said.by, said.when)
    if view.profile.interpreter_needed:
        source = f"Interpreter for visits. {source}"
    return Setting(language_name(said.value), source)


def write_weekly(view: View) -> Setting:
    """Return the weekly limit."""
    said = view.profile.max_per_week
    noun = "message" if said.value == 1 else "messages"
    return Setting(
        f"{said.value} {noun} a week",
        write_source(view, said.who, said.how, said.by, said.when),
    )


def write_topics(view: View) -> tuple[TopicRow, ...]:
    """Return each topic with the answer that counts for it."""
    return tuple(_topic(view, topic) for topic in topics_of(view))


def _channel(view: View, name: str) -> ChannelRow:
    word = CHANNELS[name]
    if name in FREE_CHANNELS:
        return ChannelRow(name, word, "", None, "Shown in this app only")
    addresses = [item for item in view.profile.addresses if item.channel == name]
    if not addresses:
        return ChannelRow(name, word, "", None, "Nothing in the chart")
    shown = write_address(addresses[0].value)
    if (name, addresses[0].value) in view.own.bad_addresses:
        return ChannelRow(name, word, shown, None, "Does not work")
    found = permissions(view, topics_of(view), addresses[:1])
    if any(item.allowed for item in found):
        return ChannelRow(name, word, shown, Tag("ok", "check", "Agreed"), "")
    if any(item.reason == REFUSED for item in found):
        return ChannelRow(name, word, shown, None, "Said no")
    return ChannelRow(name, word, shown, None, "No permission recorded")


def _topic(view: View, topic: str) -> TopicRow:
    name = topic_name(topic)
    found = permissions(view, (topic,))
    permitted = next((item for item in found if item.allowed), None)
    if permitted is not None:
        return TopicRow(name, Tag("ok", "check", "Yes"), _said(view, permitted))
    refused = next((item for item in found if item.reason == REFUSED), None)
    if refused is not None:
        return TopicRow(name, Tag("off", "x", "No"), _said(view, refused))
    return TopicRow(name, Tag("off", "ask", "Not asked"), "")


def _said(view: View, permission: Permission) -> str:
    if not permission.records:
        return ""
    record = permission.records[0]
    return write_source(
        view, record.who, record.how, record.recorded_by, record.recorded_at
    )


def _short(local: datetime) -> str:
    return write_time(local).replace(":00", "")
