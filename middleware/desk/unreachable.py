"""Why a patient cannot be written to yet, and what to ask or record. Pure."""

from __future__ import annotations

from mappings.nudge import REASONS
from middleware.decisions.languages import language_tags
from middleware.decisions.routing import Route
from middleware.decisions.safety import check_minor, check_reading
from middleware.decisions.timing import (
    Hours,
    never_meet,
    shared_days,
    site_windows,
    within_legal,
)
from middleware.desk.formats import language_name
from middleware.desk.reaching import chosen_route, routes
from middleware.desk.values import Answer, Tag
from middleware.desk.viewer import mark
from middleware.desk.views import View

NO_ROUTES = {
    "opted-out": mark("Partly stopped by patient"),
    "not-allow-listed": mark("Not reachable from here"),
    "switched-off": mark("Messages on hold"),
}


def choose_unreachable(view: View) -> Answer | None:
    """Return what has to be known or asked first, None where nothing is missing."""
    unread = check_reading(view.chart, view.endpoint, at_send=False)
    # Without flags nobody knows whether the patient asked to be reached in one way only.
    if unread is not None or "Flag" in view.chart.incomplete or _is_beside_open(view):
        return _ask(
            view,
            mark("Chart incomplete"),
            mark("The chart could not be read in full."),
            mark("Until it can be, this page cannot say whether a message may go out."),
            "warn",
        )
    return choose_young(view) or _missing(view)


def _is_beside_open(view: View) -> bool:
    """Tell whether nobody is found to write to while it is not known who stands beside."""
    unknown = "RelatedPerson" in view.chart.incomplete
    return unknown and choose_young(view) is None and chosen_route(view) is None


def choose_young(view: View) -> Answer | None:
    """Return the answer for somebody who is, or may be, a minor."""
    minor = check_minor(view.chart, view.profile)
    if minor is None:
        return None
    if minor.reason == "minor":
        sentence = mark("A person decides whom to reach for %(name)s.")
        why = mark("%(name)s is under 18: nothing goes out by itself.")
        return _ask(view, mark("Under 18"), sentence, why, "warn")
    return _ask(
        view,
        mark("Birth date not recorded"),
        mark("Record %(name)s’s birth date."),
        mark("Nothing is sent to somebody who may be a minor."),
    )


def _missing(view: View) -> Answer | None:
    route = chosen_route(view)
    if route is None:
        return _no_route(view)
    if route.language is None:
        return _ask(
            view,
            mark("Language not recorded"),
            mark("Ask %(name)s which language to write in."),
            REASONS["language-missing"].sentence,
            step="language",
        )
    if view.zone_id is None:
        return _ask(
            view,
            mark("Time zone not known"),
            mark("Record where %(name)s lives."),
            REASONS["zone-missing"].sentence,
            step="zone",
        )
    if never_meet(_hours(view, route)):
        return _ask(
            view,
            mark("No hour left"),
            mark("Ask %(name)s at what hours to write."),
            REASONS["hours-never-meet"].sentence,
        )
    return None if _is_worded(view, route) else _unworded(view, route)


def _is_worded(view: View, route: Route) -> bool:
    """Tell whether anything may be written in the language of who is written to."""
    wordings, language = view.library.wordings, route.language
    tags = {tag.lower() for tag in language_tags(language.value if language else "")}
    approved = (one for one in wordings if one.reviewer)
    return not wordings or any(one.language.lower() in tags for one in approved)


def _unworded(view: View, route: Route) -> Answer:
    tag = route.language.value if route.language else ""
    language = language_name(view.viewer, tag)
    return Answer(
        Tag("warn", "warn", view.say("No wording approved")),
        view.say("CareCue cannot write in %(language)s yet.", language=language),
        "",
        view.say(
            "Messages to %(name)s are held until a wording in it is approved.",
            name=view.given,
        ),
    )


def _hours(view: View, route: Route) -> Hours:
    """Return the hours of an ordinary week, where whoever is written to may be."""
    profile = view.profile
    zones = profile.zones.value if profile.zones else ()
    return Hours(
        route.zones or zones,
        within_legal(profile.window.value),
        site_windows(view.endpoint.site),
        shared_days(profile.days.value if profile.days else None),
    )


def _ask(
    view: View, word: str, sentence: str, why: str, icon: str = "ask", step: str = ""
) -> Answer:
    return Answer(
        Tag("warn", icon, view.say(word)),
        view.say(sentence, name=view.given),
        "",
        view.say(why, name=view.given),
        step=step,
    )


def _no_route(view: View) -> Answer:
    verdicts = [item.verdict for item in routes(view) if item.verdict is not None]
    reason = verdicts[0].reason if verdicts else "no-consent"
    if reason == "no-consent":
        word = mark("No permission recorded")
        why = mark("Nobody has recorded whether %(name)s wants texts or emails.")
        return _ask(view, word, mark("Ask %(name)s first."), why, step="answer")
    word = NO_ROUTES.get(reason, mark("No number or address"))
    why = REASONS[reason].sentence
    step = "telecom" if reason == "no-address" else ""
    sentence = mark("CareCue cannot reach %(name)s.")
    return _ask(view, word, sentence, why, "warn", step)
