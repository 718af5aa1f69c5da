"""Which ways lead to the patient: permissions and routes, as deciding sees them. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from mappings.preference import Address, Who
from middleware.decisions.consent import (
    FREE_CHANNELS,
    Permission,
)
from middleware.decisions.recipients import Recipient
from middleware.decisions.routing import (
    Route,
    Wanted,
    ask_permission,
    choose_route,
)
from middleware.desk.formats import write_when
from middleware.desk.viewer import mark
from middleware.desk.views import View

REFUSED = "opted-out"
SITES = "the site's "
HOW = (  # in which words the records say how something was said
    mark("order"),
    mark("hours"),
    mark("limit"),
    mark("in the chart"),
    mark("by text"),
    mark("by email"),
    mark("by phone"),
    mark("on paper"),
    mark("a goal in the chart"),
    mark("reply STOP"),
    mark("reply START"),
    mark("provider"),
    mark("asked to be reached here only"),
    mark("Consent in the chart"),
)


def routes(view: View) -> list[Route]:
    """Return the way that each topic would take, or the verdict that it has none."""
    return [
        choose_route(view.profile, view.own, view.endpoint, Wanted(topic))
        for topic in topics_of(view)
    ]


def chosen_route(view: View) -> Route | None:
    """Return the way of the most urgent topic that may be sent at all."""
    return next((route for route in routes(view) if route.verdict is None), None)


def chosen_channel(view: View) -> str | None:
    """Return the channel of that way, None where there is none."""
    route = chosen_route(view)
    return route.channel if route else None


def permissions(
    view: View,
    topics: Sequence[str] | None = None,
    addresses: Sequence[Address] | None = None,
) -> list[Permission]:
    """Return what may be used: each address by each topic, all of them by default.

    What is only shown on a screen needs no permission and is left out.
    """
    named = view.profile.addresses if addresses is None else addresses
    patient = Recipient(view.patient, tuple(named), view.profile.language)
    return [
        ask_permission(view.profile, patient, item, topic)
        for item in named
        if item.channel not in FREE_CHANNELS
        for topic in (topics_of(view) if topics is None else topics)
    ]


def topics_of(view: View) -> tuple[str, ...]:
    """Return the topics of the active plans, in their order of urgency."""
    plans = sorted(view.library.plans, key=lambda plan: plan.priority)
    return tuple(dict.fromkeys(plan.topic for plan in plans))


def write_source(
    view: View, who: Who, how: str, by: str | None, when: datetime | None
) -> str:
    """Write who said it, how, who recorded it and when."""
    if who is Who.SITE:
        what = view.say(how.removeprefix(SITES))
        said = view.say("%(site)s’s %(what)s", site=view.endpoint.site.name, what=what)
        return f"{said[:1].upper()}{said[1:]}"
    names = {
        Who.PATIENT: view.given,
        Who.STAFF: view.say("Staff"),
        Who.CHART: view.say("From the chart"),
        Who.LEARNED: view.say("Learned"),
    }
    parts = [names[who]]
    if how and who is not Who.CHART:
        parts.append(view.say(how))
    if by and who is not Who.CHART and "/" not in by:
        parts.append(view.say("recorded by %(name)s", name=by))
    if when is not None:
        day = when.astimezone(view.zone).date()
        parts.append(write_when(view.viewer, day, view.today))
    return ", ".join(parts)
