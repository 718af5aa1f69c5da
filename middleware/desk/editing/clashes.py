"""What stands and what was about to be saved, side by side, where somebody was faster.

Pure. Nothing is lost and nothing overwritten unseen: whoever tried chooses between both.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from zoneinfo import ZoneInfo

from mappings.preference import PreferenceRecord
from middleware.desk.formats import write_day, write_time
from middleware.desk.sentences import is_paused, pause_until, write_last_day
from middleware.desk.views import View


@dataclass(frozen=True)
class Clash:
    """Two values of which one was saved: ``theirs`` stands, ``mine`` does not.

    ``source`` is who saved theirs and when; ``version`` marks that mine was tried in
    sight of theirs.
    """

    theirs: str
    source: str
    mine: str
    version: str


def write_recorded(view: View, name: str | None, at: datetime) -> str:
    """Return who recorded something and when."""
    when = write_moment(view, at)
    if not name or "/" in name:
        return view.say("Recorded %(when)s", when=when)
    return view.say("Recorded by %(name)s, %(when)s", name=name, when=when)


def write_moment(view: View, at: datetime) -> str:
    """Return when something was saved, on the clock of whoever saved it."""
    local = at.astimezone(ZoneInfo(view.endpoint.site.zone))
    today = view.now.astimezone(local.tzinfo).date()
    time = write_time(view.viewer, local)
    if local.date() == today:
        return time
    return f"{write_day(view.viewer, local.date(), today)}, {time}"


def write_pause_clash(view: View, mine: str) -> Clash:
    """Return both where somebody else paused messages or turned them on."""
    records = [item for item in view.own.preferences if item.name == "pause"]
    last = max(reversed(records), key=lambda item: item.recorded_at, default=None)
    return Clash(
        write_present_pause(view),
        _recorded(view, last),
        mine,
        view.version("pause"),
    )


def write_present_pause(view: View) -> str:
    """Return whether messages are paused now, until when and why."""
    pause = view.profile.pause
    if pause is None or not is_paused(view):
        return view.say("Messages are on")
    until = pause_until(view)
    day = write_last_day(view, until) if until is not None else ""
    return _pause(view, day, str(pause.value.get("why") or ""))


def write_pause(view: View, last: date | None, why: str) -> str:
    """Return a pause that was asked for: to the end of ``last``, or open-ended."""
    day = write_day(view.viewer, last, view.today) if last is not None else ""
    return _pause(view, day, why)


def _pause(view: View, day: str, why: str) -> str:
    said = view.say("Paused until someone turns them back on")
    if day:
        said = view.say("Paused until the end of %(day)s", day=day)
    return f"{said}. {view.say(why)}." if why else f"{said}."


def _recorded(view: View, record: PreferenceRecord | None) -> str:
    if record is None:
        return ""
    return write_recorded(view, record.recorded_by, record.recorded_at)
