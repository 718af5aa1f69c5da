"""The verdict sentence: may this patient be messaged, how, in which words, and when.

Pure. One sentence is true for each state; the first state that applies is shown, most
serious first. The codes are those of :data:`mappings.nudge.REASONS`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

from mappings.nudge import REASONS
from mappings.preference import Who
from middleware.decisions.consent import FREE_CHANNELS
from middleware.decisions.safety import (
    check_hospice,
    check_patient,
    check_replies,
    check_switches,
)
from middleware.decisions.timing import within_legal
from middleware.desk.flags import CONFIDENTIAL, write_flags
from middleware.desk.formats import (
    language_name,
    write_address,
    write_day,
    write_hour,
)
from middleware.desk.reaching import (
    REFUSED,
    chosen_channel,
    chosen_route,
    permissions,
    write_source,
)
from middleware.desk.stating import write_person
from middleware.desk.unreachable import choose_unreachable, choose_young
from middleware.desk.values import Answer, Tag
from middleware.desk.viewer import mark
from middleware.desk.views import View
from middleware.desk.waiting import say_held, waits_for_chart

HOW = {
    "sms": mark("Text %(name)s in %(language)s,"),
    "email": mark("Email %(name)s in %(language)s,"),
    "screen": mark("Only show on screen for %(name)s in %(language)s,"),
}
TO_ANOTHER = {
    "sms": mark("Text %(who)s about %(name)s in %(language)s,"),
    "email": mark("Email %(who)s about %(name)s in %(language)s,"),
}
ONLY_IN = {
    "sms": mark("Text %(name)s in %(language)s"),
    "email": mark("Email %(name)s in %(language)s"),
}
RECORDS = {
    "deceased": (mark("Deceased"), mark("%(name)s has died.")),
    "disposition-died": (mark("Deceased"), mark("%(name)s has died.")),
    "hospice": (mark("Hospice care"), mark("%(name)s is in hospice care.")),
    "test-patient": (mark("Test patient"), mark("This is a test patient.")),
    "record-inactive": (mark("Record inactive"), mark("This record is not in use.")),
}
LEDES = {
    "hospice": mark("A person decides how to stay in touch."),
    "record-inactive": mark("The chart marks it as inactive or merged into another."),
    "test-patient": "",
}
CHART_SAYS = mark("The chart says so. Planned messages are cancelled.")


def choose_answer(view: View, lede: str) -> Answer:
    """Return the sentence for the state of this patient, with its chip."""
    answer = _choose(view, lede)
    # On the way to a whole chart nobody knows yet what will not have been given.
    if answer.sends and not view.unread and waits_for_chart(view):
        answer = say_held(view, answer)
    return _beside(view, answer)


def choose_standing(view: View) -> Answer:
    """Return the same for this patient's standing, whatever is planned just now."""
    return _choose(view, "")


def choose_lasting(view: View) -> Answer | None:
    """Return the sentence of a state that nothing else in a chart can lift, or None.

    Such are the end of a record, and what a person holds: of these a graver one may
    still take the place.
    """
    answer = _first(view, LASTING)
    return answer and _beside(view, answer)


def write_window(view: View) -> str:
    """Return the hours in which messages go out, as the end of a sentence."""
    first, last = within_legal(view.profile.window.value)
    return view.say(
        "%(first)s to %(last)s.",
        first=write_hour(view.viewer, first),
        last=write_hour(view.viewer, last),
    )


def _beside(view: View, answer: Answer) -> Answer:
    others = [flag for flag in write_flags(view) if flag.text != answer.tag.text]
    return replace(answer, flags=tuple(others))


def _first(
    view: View, states: tuple[Callable[[View], Answer | None], ...]
) -> Answer | None:
    found = (choose(view) for choose in states)
    return next((answer for answer in found if answer is not None), None)


def _choose(view: View, lede: str) -> Answer:
    held = _first(view, (*LASTING, _stopped, _reply, _confidential, choose_unreachable))
    return held or _on(view, lede)


def _on(view: View, lede: str) -> Answer:
    route = chosen_route(view)
    channel = (route and route.channel) or "screen"
    language = route and route.language
    words = language_name(view.viewer, language.value if language else "")
    named = {"name": view.given, "language": words}
    if route is not None and route.recipient not in ("", view.patient):
        sentence = view.say(
            TO_ANOTHER[channel], who=write_person(view, route.recipient), **named
        )
    else:
        sentence = view.say(HOW[channel], **named)
    on = Tag("ok", "okc", view.say("Messages on"))
    return Answer(on, sentence, write_window(view), lede, sends=True)


def pause_until(view: View) -> datetime | None:
    """Return until when messages are paused; None when open-ended or not paused."""
    pause = view.profile.pause
    text = pause.value.get("until") if pause else None
    return datetime.fromisoformat(text).astimezone(UTC) if text else None


def is_paused(view: View) -> bool:
    """Tell whether a pause is in force now."""
    if view.profile.pause is None:
        return False
    until = pause_until(view)
    return until is None or until > view.now


def find_last_day(view: View, until: datetime) -> date:
    """Return the last day of a pause, which ends with the midnight after."""
    # Not by its hour: where the clock is set forward at midnight the day begins at one.
    return (until - timedelta(microseconds=1)).astimezone(view.zone).date()


def write_last_day(view: View, until: datetime) -> str:
    """Write the last day of a pause."""
    return write_day(view.viewer, find_last_day(view, until), view.today)


def _record(view: View) -> Answer | None:
    chart, library = view.chart, view.library
    verdict = check_patient(chart, view.profile, library, view.endpoint, None)
    verdict = verdict or check_hospice(chart, library, view.now)
    if verdict is None:
        return None
    word, sentence = RECORDS[verdict.reason]
    if verdict.reason == "record-inactive" and view.profile.merged_into:
        word = mark("Record merged")
        sentence = mark("This record was merged into another.")
    lede = LEDES.get(verdict.reason, CHART_SAYS)
    kind = "off" if verdict.reason == "test-patient" else "stop"
    return Answer(
        Tag(kind, kind, view.say(word)),
        view.say(sentence, name=view.given),
        view.say("Nothing will be sent."),
        view.say(lede),
    )


def _switched(view: View) -> Answer | None:
    """Say that people hold all there is to send, at once or plan by plan."""
    found = [
        check_switches(plan, view.own, view.endpoint) for plan in view.library.plans
    ]
    held = [verdict for verdict in found if verdict is not None]
    if not held or len(held) < len(found):
        return None
    why = view.say(REASONS["restore-unchecked"].sentence)
    if held[0].facts:
        why = view.say(
            "CareCue’s administrators hold all messages: %(why)s.",
            why=held[0].facts[0].value,
        )
    on_hold = Tag("warn", "pause", view.say("Messages on hold"))
    return Answer(on_hold, view.say("Messages are on hold here."), "", why)


def _paused(view: View) -> Answer | None:
    pause = view.profile.pause
    if pause is None or not is_paused(view):
        return None
    until = pause_until(view)
    why = view.say(str(pause.value.get("why") or ""))
    source = write_source(view, pause.who, pause.how, pause.by, pause.when)
    said = f"{why}. {source}." if why else f"{source}."
    word = view.say("Paused")
    end = view.say("until someone turns them back on.")
    if until is not None:
        day = write_last_day(view, until)
        word = view.say("Paused until %(day)s", day=day)
        end = view.say("until %(day)s.", day=day)
    sentence = view.say("Messages to %(name)s are paused", name=view.given)
    return Answer(Tag("warn", "pause", word), sentence, end, said)


def _stopped(view: View) -> Answer | None:
    found = permissions(view)
    if not found or any(item.reason != REFUSED for item in found):
        return None
    if chosen_channel(view) not in (None, *FREE_CHANNELS):
        # The place that was asked for, or somebody who stands beside a child.
        return None
    records = [record for item in found for record in item.records]
    last = max(records, key=lambda item: item.recorded_at)
    staff = last.who is Who.STAFF
    word = view.say("Stopped by staff") if staff else view.say("Stopped by patient")
    source = write_source(view, last.who, last.how, last.recorded_by, last.recorded_at)
    return Answer(
        Tag("stop", "stop", word),
        view.say("Do not message %(name)s.", name=view.given),
        view.say("The answer was no."),
        f"{source}.",
    )


def _reply(view: View) -> Answer | None:
    if check_replies(view.own) is None:
        return None
    return Answer(
        Tag("warn", "warn", view.say("A reply waits")),
        view.say("Read %(name)s’s reply first.", name=view.given),
        "",
        view.say("CareCue sends nothing more until a person has answered it."),
    )


def _confidential(view: View) -> Answer | None:
    """Say the one way that the patient asked for, where nothing else is in its way."""
    asked = view.profile.confidential
    if asked is None or choose_young(view) is not None:
        return None
    place = asked.value
    source = write_source(view, asked.who, asked.how, asked.by, asked.when)
    lede = " ".join(part for part in (place.note, f"{source}.") if part)
    tag = Tag("warn", "hold", view.say(CONFIDENTIAL))
    channel = chosen_channel(view)
    if channel is None or place.channel is None:
        sentence = view.say("CareCue does not write to %(name)s.", name=view.given)
        only = view.say("Staff reach out in the way they asked for.")
        return Answer(tag, sentence, only, lede)
    language = view.profile.language
    if channel not in ONLY_IN or language is None or choose_unreachable(view):
        return None
    only = view.say("at %(address)s only.", address=write_address(place.value))
    words = language_name(view.viewer, language.value)
    sentence = view.say(ONLY_IN[channel], name=view.given, language=words)
    return Answer(tag, sentence, only, lede, sends=True)


# The order is that of how grave they are.
LASTING = (_record, _switched, _paused)
