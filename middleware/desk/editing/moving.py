"""A coming message put to another time: within its window and the allowed hours.

The pipeline keeps the move when it plans anew, and the gate lets nothing go before it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from mappings.errors import BadInputError
from mappings.nudge import Nudge, NudgeState, Outcome
from middleware.decisions.deciding import Candidate
from middleware.decisions.unread import decide_read
from middleware.desk.coming import write_moved
from middleware.desk.editing.fields import Sent
from middleware.desk.editing.messages import (
    Message,
    is_repeated,
    lock_message,
    note_change,
    put_to,
    write_mark,
)
from middleware.desk.editing.saving import (
    ChangedElsewhereError,
    RefusedError,
    wake,
    write_audit,
)
from middleware.desk.formats import write_instant
from middleware.desk.reasons import write_reason
from middleware.desk.values import Choice
from middleware.desk.views import View
from middleware.stages.context import StageContext
from middleware.stages.people import own_record
from middleware.storage import nudges
from middleware.storage.connecting import Tx
from middleware.storage.decision_log import DESK, insert_nudge_decision

FOLDS = ("0", "1")
LIMITS = ("limit-reached", "same-topic")
HOURS = ("outside-hours", "hours-never-meet", "window-passed")


@dataclass(frozen=True)
class MoveForm:
    """What the form offers: the present time, and the window as days and in words.

    ``which`` is ``1`` where the present time is the second of two. ``version`` is the
    time that it was made from; ``moved`` who moved it before.
    """

    day: str
    time: str
    which: str
    first_day: str
    last_day: str
    window: str
    hours: str
    version: str
    moved: str


def write_move_form(view: View, message: Message, hours: str) -> MoveForm:
    """Return the form of one coming message; ``hours`` are the patient's, in words."""
    nudge, candidate = message.nudge, message.candidate
    first, last = _window(nudge, candidate)
    first = max(first, view.now)
    start, end = (item.astimezone(view.zone) for item in (first, last))
    local = candidate.due_at.astimezone(view.zone)
    return MoveForm(
        day=local.date().isoformat(),
        time=f"{local:%H:%M}",
        which=str(local.fold),
        first_day=start.date().isoformat(),
        last_day=end.date().isoformat(),
        window=_write_window(view, first, last),
        hours=hours,
        version=write_mark(nudge),
        moved=write_moved(view, nudge),
    )


def read_moment(view: View, day: str, time: str, which: str = "") -> datetime:
    """Return the instant at which the patient's clock shows this; BadInputError else.

    ``which`` is ``0`` or ``1`` where it shows it twice: before or after it is set back.
    """
    local = _parse(view, day, time)
    first, second = _both(local)
    if _is_skipped(local):
        raise BadInputError(
            view.say("The clock is set forward then: that time does not come."),
            field="time",
        )
    if first != second and which not in FOLDS:
        raise BadInputError(
            view.say("The clock is set back then: choose which of the two times."),
            field="which",
        )
    return second if which == "1" else first


def offer_moments(view: View, day: str, time: str) -> tuple[Choice, ...]:
    """Return the two times where the patient's clock shows this twice, else none."""
    try:
        local = _parse(view, day, time)
    except BadInputError:
        return ()
    first, second = _both(local)
    if _is_skipped(local) or first == second:
        return ()
    before, after = (
        write_instant(view.viewer, item, view.zone).time for item in (first, second)
    )
    return (
        Choice("0", view.say("%(time)s, before it is set back", time=before)),
        Choice("1", view.say("%(time)s, after it is set back", time=after)),
    )


def _parse(view: View, day: str, time: str) -> datetime:
    try:
        local = datetime.strptime(f"{day} {time}", "%Y-%m-%d %H:%M")  # noqa: DTZ007 -- made aware here
        local = local.replace(tzinfo=view.zone)
        _both(local)
    except (ValueError, OverflowError):
        raise BadInputError(view.say("Choose a day and a time."), field="day") from None
    return local


def _both(local: datetime) -> tuple[datetime, datetime]:
    """Return the instants of a local time, if it comes first and if it comes again."""
    again = local.replace(fold=1).astimezone(UTC)
    return local.replace(fold=0).astimezone(UTC), again


def _is_skipped(local: datetime) -> bool:
    first, second = _both(local)
    return first > second


def save_move(
    context: StageContext,
    view: View,
    sent: Sent,
    nudge_id: str,
    moment: datetime | None,
    why: str,
) -> None:
    """Move one open message of this patient; None puts it back to its own time.

    Raises ClosedError, ChangedElsewhereError, or RefusedError with the reason.
    """
    change = note_change(sent, context.clock.now(), why)
    try:
        _move(context, view, sent, nudge_id, moment, change)
    except ChangedElsewhereError:
        to = "" if moment is None else moment.isoformat()
        if not is_repeated(context, nudge_id, "moved", {**change, "to": to}):
            raise


def _move(
    context: StageContext,
    view: View,
    sent: Sent,
    nudge_id: str,
    moment: datetime | None,
    change: dict[str, str],
) -> None:
    now = datetime.fromisoformat(change["at"])
    with context.database.tx() as tx:
        nudge = lock_message(tx, view, nudge_id, sent.version)
        # The chart was read for a while before the lock, and a pause may have come since.
        own = own_record(tx, view.endpoint.id, view.patient, view.chart, now)
        view = replace(view, own=own)
        if moment is None:
            moved, candidate = None, _own_time(view, nudge, now)
        else:
            moved = _note(nudge, moment, change)
            candidate = _check(view, nudge, moment, moved, now)
        _store(context, tx, nudge, candidate, moved, now)
        detail = {
            "from": nudge.due_at.isoformat(),
            "to": candidate.due_at.isoformat(),
            "why": change["why"],
        }
        action = "nudge-moved" if moved else "nudge-put-back"
        write_audit(tx, view, sent.actor, action, about=(nudge.id, detail), now=now)
    wake(context, view, {nudge.shard})


def _note(nudge: Nudge, moment: datetime, change: dict[str, str]) -> dict[str, str]:
    before = nudge.detail.get("moved") or {}
    was = before.get("from") or nudge.due_at.isoformat()
    return {**change, "to": moment.isoformat(), "from": was}


def _check(
    view: View, nudge: Nudge, moment: datetime, moved: dict[str, str], now: datetime
) -> Candidate:
    """Return the message as it stands at another time; RefusedError says why not."""
    if moment <= now:
        raise RefusedError(view.say("That time has passed. Choose a later one."))
    wanted = put_to(nudge, moment, {**nudge.detail, "moved": moved})
    found = _look(view, wanted, now)
    first, last = _window(nudge, found)
    if not first <= moment < last:
        window = _write_window(view, max(first, now), last)
        raise RefusedError(
            view.say("At that time it would come too early or too late.") + f" {window}"
        )
    reason = found.verdict.reason
    if found.due_at != moment or reason in HOURS:
        raise RefusedError(_outside(view, found, moment))
    if found.verdict.outcome not in (Outcome.SEND, Outcome.HOLD):
        raise RefusedError(write_reason(view, found.verdict))
    limit = _look(view, wanted, moment, at_send=True).verdict
    if limit.reason in LIMITS:
        raise RefusedError(write_reason(view, limit))
    return found


def _look(
    view: View, nudge: Nudge, now: datetime, *, at_send: bool = False
) -> Candidate:
    """Decide on a message as it would stand, at an instant that may lie ahead."""
    chart = replace(view.chart, read_at=now) if at_send else view.chart
    return decide_read(
        nudge, chart, view.own, view.library, view.endpoint, now, at_send=at_send
    )


def _outside(view: View, found: Candidate, moment: datetime) -> str:
    refused = view.say(
        "That is outside the hours that %(given)s allows.", given=view.given
    )
    if found.due_at <= moment:
        return refused
    opening = write_instant(view.viewer, found.due_at, view.zone)
    allowed = view.say(
        "The next allowed time is %(day)s, %(time)s.",
        day=opening.day,
        time=opening.time,
    )
    return f"{refused} {allowed}"


def _own_time(view: View, nudge: Nudge, now: datetime) -> Candidate:
    rest = {name: value for name, value in nudge.detail.items() if name != "moved"}
    moved = nudge.detail.get("moved") or {}
    was = datetime.fromisoformat(moved["from"]) if moved else nudge.due_at
    found = _look(view, put_to(nudge, was, rest), now)
    if found.verdict.outcome not in (Outcome.SEND, Outcome.HOLD):
        raise RefusedError(write_reason(view, found.verdict))
    return found


def _store(
    context: StageContext,
    tx: Tx,
    nudge: Nudge,
    candidate: Candidate,
    moved: dict[str, str] | None,
    now: datetime,
) -> None:
    held = candidate.verdict.outcome is Outcome.HOLD
    state = NudgeState.HELD if held else NudgeState.PLANNED
    nudges.note_nudge(tx, nudge, candidate.due_at, moved=moved, skipped=None)
    nudges.set_nudge(tx, nudge.id, state, candidate.verdict.reason, now)
    insert_nudge_decision(
        tx,
        nudge,
        candidate.verdict,
        id=context.ids.new(),
        stage=DESK,
        decided_at=now,
    )


def _window(nudge: Nudge, candidate: Candidate) -> tuple[datetime, datetime]:
    """Return from when and until when the message is any use."""
    length = timedelta(hours=candidate.action.timing.window_hours)
    return nudge.expires_at - length, nudge.expires_at


def _write_window(view: View, first: datetime, last: datetime) -> str:
    start, end = (write_instant(view.viewer, at, view.zone) for at in (first, last))
    return view.say(
        "It can go from %(day)s, %(time)s until %(last_day)s, %(last_time)s.",
        day=start.day,
        time=start.time,
        last_day=end.day,
        last_time=end.time,
    )
