"""The verdict sentence: may this patient be messaged, how, in which words, and when.

Pure. One sentence is true for each state; the first state that applies is shown, most
serious first. The codes are those of :data:`mappings.nudge.REASONS`.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from mappings.nudge import REASONS
from mappings.preference import Who
from middleware.decisions.safety import (
    check_hospice,
    check_patient,
    check_replies,
)
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
    permissions,
    write_source,
)
from middleware.desk.unreachable import choose_unreachable, choose_young
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
ONLY_AT = {"sms": mark("Text %(name)s"), "email": mark("Email %(name)s")}
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
    others = [flag for flag in write_flags(view) if flag.text != answer.tag.text]
    return replace(answer, flags=tuple(others))


def _choose(view: View, lede: str) -> Answer:
    for choose in (
        _record,
        _switched,
        _paused,
        _stopped,
        _reply,
        _confidential,
        choose_unreachable,
    ):
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
    if channel not in ONLY_AT:
        return None
    address = write_address(place.value)
    only = view.say("at %(address)s only.", address=address)
    sentence = view.say(ONLY_AT[channel], name=view.given)
    if view.profile.language is not None:
        words = language_name(view.viewer, view.profile.language.value)
        sentence = view.say(ONLY_IN[channel], name=view.given, language=words)
    return Answer(tag, sentence, only, lede)
