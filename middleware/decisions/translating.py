"""Checking the translations of a plan's titles and sentences against what they translate.

Each fault is one sentence that names the plan, the step and the language.
"""

from __future__ import annotations

from collections.abc import Iterator

from mappings.plan import Plan, PlanAction
from middleware.decisions.wording import asked_for, fill

# Other languages take a third more words than English for the same.
MOST_TRANSLATED = 40
SENTENCE_VALUES = {
    "given": "Maximiliana",
    "event_day": "Nov 20",
    "visit_day": "Nov 24",
    "visit_time": "10:30 AM",
    "activity_day": "Nov 24",
}


def title_faults(plan: Plan) -> Iterator[str]:
    """Find languages that a plan's title has and its steps lack, or the reverse."""
    stepped = {tag for action in plan.actions for tag in action.translated}
    for tag in sorted({*plan.titles} | stepped):
        if tag not in plan.titles:
            yield f"{plan.id}, {tag}: the plan's title has no translation"
        for action in plan.actions:
            if tag not in action.translated:
                yield f"{plan.id}, {action.id}, {tag}: the step has no translation"


def translation_faults(where: str, action: PlanAction) -> Iterator[str]:
    """Find translations that lack a text, say more or less, or are too long."""
    for tag, words in action.translated.items():
        place = f"{where}, {tag}"
        texts = (
            ("title", "", words.title),
            ("why", action.why, words.why),
            ("stops-if", action.stops_if, words.stops_if),
        )
        for name, source, text in texts:
            yield from _text_faults(place, name, source, text)
        if len(f"{words.why} {words.stops_if}".split()) >= MOST_TRANSLATED:
            yield f"{place}: its sentences have {MOST_TRANSLATED} words or more"


def _text_faults(place: str, name: str, source: str, text: str) -> Iterator[str]:
    if not text:
        yield f"{place}: {name} has no translation, so the step is not said in it"
        return
    try:
        mine, theirs = asked_for(text), asked_for(source)
        fill(text, {key: SENTENCE_VALUES.get(key, "x") for key in mine})
    except Exception as error:  # noqa: BLE001 - Jinja2 raises several kinds
        yield f"{place}: {name} cannot be filled in ({type(error).__name__})"
        return
    for variable in sorted(theirs - mine):
        yield f"{place}: {name} lacks the variable {variable!r}"
    for variable in sorted(mine - theirs):
        yield f"{place}: {name} has the variable {variable!r}, which it does not translate"
