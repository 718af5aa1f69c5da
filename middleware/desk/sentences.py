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
from middleware.desk.views import View

VERBS = {"sms": "Text", "email": "Email", "screen": "Only show on screen for"}


def choose_answer(view: View, lede: str) -> Answer:
    """Return the sentence for the state of this patient, with its chip."""
    for choose in (_record, _switched, _paused, _stopped, _reply, _unreachable):
        answer = choose(view)
        if answer is not None:
            return answer
    first, last = view.profile.window.value
    language = view.profile.language
    words = f" in {language_name(language.value)}" if language else ""
    return Answer(
        Tag("ok", "okc", "Messages on"),
        f"{VERBS[chosen_channel(view) or 'screen']} {view.given}{words},",
        f"{write_hour(first)} to {write_hour(last)}.",
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
    return write_day(day, view.today)


def _record(view: View) -> Answer | None:
    chart, library, given = view.chart, view.library, view.given
    verdict = check_patient(chart, view.profile, library, view.endpoint, None)
    verdict = verdict or check_hospice(chart, library, view.now)
    if verdict is None:
        return None
    none = "Nothing will be sent."
    states = {
        "deceased": ("stop", "Deceased", f"{given} has died."),
        "disposition-died": ("stop", "Deceased", f"{given} has died."),
        "hospice": ("stop", "Hospice care", f"{given} is in hospice care."),
        "test-patient": ("off", "Test patient", "This is a test patient."),
        "record-inactive": ("stop", "Record inactive", "This record is not in use."),
    }
    kind, word, sentence = states[verdict.reason]
    ledes = {
        "hospice": "A person decides how to stay in touch.",
        "record-inactive": "The chart marks it as inactive or merged into another.",
        "test-patient": "",
    }
    if verdict.reason == "record-inactive" and view.profile.merged_into:
        word, sentence = "Record merged", "This record was merged into another."
    lede = ledes.get(verdict.reason, "The chart says so. Planned messages end.")
    return Answer(
        Tag(kind, "stop" if kind == "stop" else "off", word), sentence, none, lede
    )


def _switched(view: View) -> Answer | None:
    held = "Messages are on hold here."
    if view.own.restore_unchecked:
        return Answer(
            Tag("warn", "pause", "Messages on hold"),
            held,
            "",
            REASONS["restore-unchecked"].sentence,
        )
    for switch in view.own.switches:
        own = switch.scope == "endpoint" and switch.target == view.endpoint.id
        if switch.scope == "all" or own:
            return Answer(
                Tag("warn", "pause", "Messages on hold"),
                held,
                "",
                f"CareCue’s administrators hold all messages: {switch.reason}.",
            )
    return None


def _paused(view: View) -> Answer | None:
    pause = view.profile.pause
    if pause is None or not is_paused(view):
        return None
    until = pause_until(view)
    why = pause.value.get("why")
    source = write_source(view, pause.who, pause.how, pause.by, pause.when)
    said = f"{why}. {source}." if why else f"{source}."
    if until is None:
        return Answer(
            Tag("warn", "pause", "Paused"),
            f"Messages to {view.given} are paused",
            "until someone turns them back on.",
            said,
        )
    day = write_last_day(view, until)
    return Answer(
        Tag("warn", "pause", f"Paused until {day}"),
        f"Messages to {view.given} are paused",
        f"until {day}.",
        said,
    )


def _stopped(view: View) -> Answer | None:
    found = permissions(view)
    if not found or any(item.reason != REFUSED for item in found):
        return None
    records = [record for item in found for record in item.records]
    last = max(records, key=lambda item: item.recorded_at)
    who = "by staff" if last.who is Who.STAFF else "by patient"
    source = write_source(view, last.who, last.how, last.recorded_by, last.recorded_at)
    return Answer(
        Tag("stop", "stop", f"Stopped {who}"),
        f"Do not message {view.given}.",
        "The answer was no.",
        f"{source}.",
    )


def _reply(view: View) -> Answer | None:
    if check_replies(view.own) is None:
        return None
    return Answer(
        Tag("warn", "warn", "A reply waits"),
        f"Read {view.given}’s reply first.",
        "",
        "CareCue sends nothing more until a person has answered it.",
    )


def _unreachable(view: View) -> Answer | None:
    given, profile = view.given, view.profile
    if check_reading(view.chart, view.endpoint, at_send=False) is not None:
        return _ask(
            "Chart incomplete",
            "The chart could not be read in full.",
            "Until it can be, this page cannot say whether a message may go out.",
            "warn",
        )
    minor = check_minor(view.chart, profile)
    if minor is not None and minor.reason == "minor":
        sentence = f"A person decides whom to reach for {given}."
        return _ask("Under 18", sentence, REASONS["minor"].sentence, "warn")
    if minor is not None:
        nobody = "Nothing is sent to somebody who may be a minor."
        return _ask("Birth date not recorded", f"Record {given}’s birth date.", nobody)
    if chosen_channel(view) is None:
        return _no_route(view)
    if profile.language is None:
        sentence = f"Ask {given} which language to write in."
        why = REASONS["language-missing"].sentence
        return _ask("Language not recorded", sentence, why)
    if view.zone_id is None:
        why = REASONS["zone-missing"].sentence
        return _ask("Time zone not known", f"Record where {given} lives.", why)
    return None


def _ask(word: str, sentence: str, why: str, icon: str = "ask") -> Answer:
    return Answer(Tag("warn", icon, word), sentence, "", why)


def _no_route(view: View) -> Answer:
    verdicts = [item.verdict for item in routes(view) if item.verdict is not None]
    reason = verdicts[0].reason if verdicts else "no-consent"
    why = REASONS[reason].sentence
    if reason == "no-consent":
        return _ask("No permission recorded", f"Ask {view.given} first.", why)
    words = {
        "opted-out": "Partly stopped by patient",
        "not-allow-listed": "Not reachable from here",
        "switched-off": "Messages on hold",
    }
    word = words.get(reason, "No number or address")
    return _ask(word, f"CareCue cannot reach {view.given}.", why, "warn")
