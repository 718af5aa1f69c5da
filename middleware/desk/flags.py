"""What has to be known of a patient before anything else, and where answers differ.

Pure. A flag stands beside the verdict whatever the verdict is.
"""

from __future__ import annotations

from middleware.decisions.recipients import is_about_minor
from middleware.desk.stating import write_value
from middleware.desk.underway import list_differing
from middleware.desk.values import Tag
from middleware.desk.viewer import mark
from middleware.desk.views import View

CONFIDENTIAL = mark("Confidential contact")
DIFFER = mark("Answers differ")
NAMES = {
    "channels": mark("how to be reached"),
    "confidential": mark("confidential contact"),
    "days": mark("days"),
    "interpreter": mark("interpreter"),
    "language": mark("language"),
    "max_per_week": mark("weekly limit"),
    "modality": mark("visits"),
    "pause": mark("pause"),
    "recipients": mark("who is written to"),
    "telecom": mark("phone and email"),
    "window": mark("hours"),
    "zone": mark("time zone"),
    "zones": mark("time zone"),
}


def write_flags(view: View) -> tuple[Tag, ...]:
    """Return the flags: confidential contact, a minor, an interpreter, differing answers."""
    profile = view.profile
    flags = []
    if profile.confidential is not None:
        flags.append(Tag("warn", "hold", view.say(CONFIDENTIAL)))
    if is_about_minor(profile):
        flags.append(Tag("warn", "warn", view.say("Under 18")))
    if list_differing(view):
        flags.append(Tag("warn", "warn", view.say(DIFFER)))
    if profile.interpreter_needed:
        flags.append(Tag("info", "person", view.say("Interpreter for visits")))
    return tuple(flags)


def write_conflicts(view: View) -> tuple[str, ...]:
    """Return a sentence that names what the voices disagree on, none where they agree."""
    found = list_differing(view)
    kinds = dict.fromkeys(item.name.partition(":")[0] for item in found)
    if not kinds:
        return ()
    names = [view.say(NAMES[kind]) if kind in NAMES else kind for kind in kinds]
    what = view.viewer.join(names)
    if len(found) > 1:
        return (view.say("Answers differ on %(what)s.", what=what),)
    holds = write_value(view, found[0].name, found[0].holds)
    differ = mark("Answers differ on %(what)s. In force: %(holds)s.")
    return (view.say(differ, what=what, holds=holds),)
