"""The verdict sentence: may this patient be messaged, how, in which words, and when.

Pure. One sentence is true for each state; the first state that applies is shown, most
serious first. The codes are those of :data:`mappings.nudge.REASONS`.
"""

from __future__ import annotations

from datetime import UTC, datetime

from mappings.nudge import REASONS
from mappings.preference import Who
from middleware.decisions.safety import (
    check_hospice,
    check_minor,
    check_patient,
    check_reading,
    check_replies,
)
from middleware.desk.formats import (
    language_name,
    write_day,
    write_hour,
)
from middleware.desk.reaching import (
    REFUSED,
    chosen_channel,
    permissions,
    routes,
    write_source,
)
from middleware.desk.values import Answer, Tag
from middleware.desk.viewer import mark
from middleware.desk.views import View

HOW = {
    "sms": mark("Text %(name)s,"),
    "email": mark("Email %(name)s,"),
    "screen": mark("Only show on screen for %(name)s,"),
}
HOW_IN = {
    "sms": mark("Text %(name)s in %(language)s,"),
    "email": mark("Email %(name)s in %(language)s,"),
    "screen": mark("Only show on screen for %(name)s in %(language)s,"),
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
CHART_SAYS = mark("The chart says so. Planned messages end.")
NO_ROUTES = {
    "opted-out": mark("Partly stopped by patient"),
    "not-allow-listed": mark("Not reachable from here"),
    "switched-off": mark("Messages on hold"),
}


def choose_answer(view: View, lede: str) -> Answer:
    """Return the sentence for the state of this patient, with its chip."""
    for choose in (_record, _switched, _paused, _stopped, _reply, _unreachable):
        answer = choose(view)
        if answer is not None:
            return answer
    first, last = view.profile.window.value
    language = view.profile.language
    channel = chosen_channel(view) or "screen"
    if language is None:
        sentence = view.say(HOW[channel], name=view.given)
    else:
        words = language_name(view.viewer, language.value)
        sentence = view.say(HOW_IN[channel], name=view.given, language=words)
    return Answer(
        Tag("ok", "okc", view.say("Messages on")),
        sentence,
        view.say(
            "%(first)s to %(last)s.",
            first=write_hour(view.viewer, first),
            last=write_hour(view.viewer, last),
        ),
        lede,
    )


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


def write_last_day(view: View, until: datetime) -> str:
    """Write the last day of a pause: it ends with the midnight after."""
    local = until.astimezone(view.zone)
    midnight = (local.hour, local.minute) == (0, 0)
    day = local.date().fromordinal(local.date().toordinal() - 1) if midnight else local
    return write_day(view.viewer, day, view.today)


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
    on_hold = Tag("warn", "pause", view.say("Messages on hold"))
    held = view.say("Messages are on hold here.")
    if view.own.restore_unchecked:
        why = view.say(REASONS["restore-unchecked"].sentence)
        return Answer(on_hold, held, "", why)
    for switch in view.own.switches:
        own = switch.scope == "endpoint" and switch.target == view.endpoint.id
        if switch.scope == "all" or own:
            why = view.say(
                "CareCue’s administrators hold all messages: %(why)s.",
                why=switch.reason,
            )
            return Answer(on_hold, held, "", why)
    return None


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


def _unreachable(view: View) -> Answer | None:
    if check_reading(view.chart, view.endpoint, at_send=False) is not None:
        return _ask(
            view,
            mark("Chart incomplete"),
            mark("The chart could not be read in full."),
            mark("Until it can be, this page cannot say whether a message may go out."),
            "warn",
        )
    return _young(view) or _missing(view)


def _young(view: View) -> Answer | None:
    minor = check_minor(view.chart, view.profile)
    if minor is None:
        return None
    if minor.reason == "minor":
        sentence = mark("A person decides whom to reach for %(name)s.")
        return _ask(view, mark("Under 18"), sentence, REASONS["minor"].sentence, "warn")
    return _ask(
        view,
        mark("Birth date not recorded"),
        mark("Record %(name)s’s birth date."),
        mark("Nothing is sent to somebody who may be a minor."),
    )


def _missing(view: View) -> Answer | None:
    if chosen_channel(view) is None:
        return _no_route(view)
    if view.profile.language is None:
        return _ask(
            view,
            mark("Language not recorded"),
            mark("Ask %(name)s which language to write in."),
            REASONS["language-missing"].sentence,
        )
    if view.zone_id is None:
        return _ask(
            view,
            mark("Time zone not known"),
            mark("Record where %(name)s lives."),
            REASONS["zone-missing"].sentence,
        )
    return None


def _ask(view: View, word: str, sentence: str, why: str, icon: str = "ask") -> Answer:
    return Answer(
        Tag("warn", icon, view.say(word)),
        view.say(sentence, name=view.given),
        "",
        view.say(why),
    )


def _no_route(view: View) -> Answer:
    verdicts = [item.verdict for item in routes(view) if item.verdict is not None]
    reason = verdicts[0].reason if verdicts else "no-consent"
    why = REASONS[reason].sentence
    if reason == "no-consent":
        word = mark("No permission recorded")
        return _ask(view, word, mark("Ask %(name)s first."), why)
    word = NO_ROUTES.get(reason, mark("No number or address"))
    return _ask(view, word, mark("CareCue cannot reach %(name)s."), why, "warn")
