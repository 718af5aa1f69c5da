"""Two answers about being contacted, side by side, where another one came meanwhile. Pure.

Neither is lost: an answer is never changed, and whichever is recorded last is the newest.
"""

from __future__ import annotations

from middleware.desk.editing.clashes import Clash, write_recorded
from middleware.desk.editing.questions import Answer, write_place
from middleware.desk.reaching import write_source
from middleware.desk.stating import write_person, write_topic
from middleware.desk.versions import consent_version
from middleware.desk.views import View


def write_answer_clash(view: View, answer: Answer) -> Clash:
    """Return the newest recorded answer, who gave and recorded it and when, and mine."""
    newest = max(
        view.own.consents, key=lambda item: (item.recorded_at, item.id), default=None
    )
    asked = answer.asked
    mine = _write(view, asked.topic, answer.points, asked.person, permit=answer.permit)
    version = consent_version(view.own)
    if newest is None:
        return Clash(view.say("Not asked"), "", mine, version)
    said = write_source(view, newest.who, newest.how, None, None)
    told = write_recorded(view, newest.recorded_by, newest.recorded_at)
    point = (newest.system, newest.value)
    about = (newest.topic, (point,), newest.actor or "")
    theirs = _write(view, *about, permit=newest.permit)
    return Clash(theirs, f"{said}. {told}", mine, version)


def _write(
    view: View,
    topic: str,
    points: tuple[tuple[str, str], ...],
    person: str,
    *,
    permit: bool,
) -> str:
    """Write an answer in one line: yes or no, to what, where, and about whom."""
    parts = [view.say("Yes") if permit else view.say("No"), write_topic(view, topic)]
    parts += [write_place(view, *point) for point in points]
    if person:
        parts.append(write_person(view, person))
    return ", ".join(parts)
