"""What a step of a plan is called and why it is there, in the viewer's language. Pure.

Content brings its own translations. A step that has none in the viewer's language, or
not all of one, is said as it is written, and marked so.
"""

from __future__ import annotations

from dataclasses import dataclass

from mappings.nudge import Nudge
from mappings.plan import Plan, PlanAction, StepWords
from middleware.decisions.deciding import Candidate
from middleware.decisions.languages import language_tags
from middleware.decisions.sentences import Spelling, sentence, spell_places
from middleware.decisions.timing import next_close
from middleware.desk.formats import write_instant, write_time, write_when
from middleware.desk.values import Instant
from middleware.desk.viewer import Viewer
from middleware.desk.views import View
from middleware.storage.history import SentRow


@dataclass(frozen=True)
class StepSaid:
    """A step in words; ``language`` is empty where it is the viewer's own."""

    title: str
    why: str
    stops: str
    language: str


def say_step(view: View, candidate: Candidate, nudge: Nudge | None = None) -> StepSaid:
    """Return the title and sentences of a step that was just decided on.

    Where they were not written anew they are those of the ``nudge``, as it is stored.
    """
    words = _find_words(view.viewer, candidate.action)
    if words is None or candidate.places is None:
        return StepSaid(
            candidate.title or (nudge.title if nudge else ""),
            candidate.why or (nudge.why if nudge else ""),
            candidate.stops or (nudge.stops if nudge else ""),
            _foreign(view.viewer, candidate.plan),
        )
    values = spell_places(candidate.places, _spelling(view))
    values["given"] = view.viewer.isolate(values["given"])
    why, stops = sentence(words.why, values), sentence(words.stops_if, values)
    return StepSaid(words.title, why, stops, "")


def say_when(view: View, candidate: Candidate) -> Instant:
    """Return when a message goes, or by when staff are to have done a step.

    A step that waits is asked for when it is due, and done by the next close of business.
    """
    due = candidate.due_at
    if candidate.kind == "task" and candidate.action.waits:
        zone = view.zone_id or view.endpoint.site.zone
        due = next_close(due, zone, view.endpoint.site.holidays)
    return write_instant(view.viewer, due, view.zone)


def say_sent_title(view: View, row: SentRow) -> tuple[str, str]:
    """Return what a message that went out was about, and the language where not theirs.

    A step that the library no longer has is called as it was then.
    """
    found = view.library.steps.get((row.plan, row.action))
    words = _find_words(view.viewer, found[1]) if found else None
    if words is not None:
        return words.title, ""
    return row.title, _foreign(view.viewer, found[0] if found else None)


def _find_words(viewer: Viewer, action: PlanAction) -> StepWords | None:
    tags = (tag.lower() for tag in language_tags(viewer.tag))
    found = (action.translated.get(tag) for tag in tags)
    return next((words for words in found if words is not None and words.whole), None)


def _foreign(viewer: Viewer, plan: Plan | None) -> str:
    """Return the language that a plan is written in, empty where the viewer reads it."""
    language = plan.language if plan else "en"
    same = language.partition("-")[0].lower() == viewer.language
    return "" if same else language


def _spelling(view: View) -> Spelling:
    viewer = view.viewer
    return Spelling(
        day=lambda day: write_when(viewer, day, view.today),
        time=lambda local: write_time(viewer, local),
        someone=viewer.say("this person"),
    )
