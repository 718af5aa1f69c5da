"""Which sheet is handed over: in which language, who approved it, how staff read it.

Pure. The patient's language where we have its words, else English with a note on the
paper to use an interpreter; staff may choose another. A translation that nobody approved
for the site is printed as it is, and says so on the screen to whoever is about to print.
"""

from __future__ import annotations

from dataclasses import dataclass

from mappings.content import SHIPPED, split_review
from middleware.desk.formats import own_language_name, written_language_name
from middleware.desk.previews import write_review
from middleware.desk.summary import Summary, write_summary
from middleware.desk.viewer import HANDED, find_handed, reader_of, viewer_of
from middleware.desk.views import View

ENGLISH = "en"


@dataclass(frozen=True)
class Handing:
    """A sheet with what staff see around it.

    ``language`` is one of HANDED. ``note`` stands on the paper, in English. ``review``
    says who approved the translation, or that nobody did (``approved``), and ``reading``
    is the same sheet in the language of staff where that is another.
    """

    sheet: Summary
    language: str
    note: str
    review: str
    approved: bool
    reading: Summary | None


def write_handing(view: View, chosen: str = "") -> Handing | None:
    """Return the sheet in the patient's language or a ``chosen`` one of HANDED.

    None for a closed record or somebody who died.
    """
    if view.is_over:
        return None
    tag = view.profile.language.value if view.profile.language else ""
    own = find_handed(tag)
    language = chosen if chosen in HANDED else own or ENGLISH
    reader = reader_of(tag if language == own else language)
    reviewer, reviewed = _find_reviewer(view, language)
    mine = write_summary(view, view.viewer)
    named = written_language_name(view.viewer, language)
    return Handing(
        sheet=write_summary(view, reader),
        language=language,
        note=_note(tag) if language == ENGLISH and not own else "",
        review=write_review(view, named, reviewer, reviewed) or _warn(view, named),
        approved=bool(reviewer),
        reading=None if view.viewer.language == language else mine,
    )


def _find_reviewer(view: View, language: str) -> tuple[str, str]:
    """Return who approved what we say in a language for this site, and the day."""
    if language == ENGLISH:
        return SHIPPED, ""
    known = view.endpoint.site.reviewers
    return split_review(known.get(language) or known.get(language[:2]) or "")


def _warn(view: View, named: str) -> str:
    return view.say(
        "Nobody has approved the %(language)s of this sheet for %(clinic)s. Let a "
        "qualified translator read it before you hand it over, or hand over the English "
        "and use an interpreter.",
        language=named,
        clinic=view.endpoint.site.name,
    )


def _note(tag: str) -> str:
    """Return why the sentences are in English, for whoever hands the paper over."""
    if not tag:
        return "The chart does not say which language to use; this is in English."
    english = viewer_of("en-US")
    names = (written_language_name(english, tag), own_language_name(tag))
    return (
        f"No reviewed translation into {' / '.join(dict.fromkeys(names))} exists. This "
        "is in English: go through it with an interpreter."
    )
