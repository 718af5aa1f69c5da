"""A coming message put to another time: within its window and the allowed hours.

The pipeline keeps the move when it plans anew, and the gate lets nothing go before it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from mappings.errors import BadInputError
from mappings.nudge import OPEN_STATES, Nudge, NudgeState, Outcome
from middleware.decisions.deciding import Candidate, decide_nudge
from middleware.desk.coming import write_moved
from middleware.desk.editing.saving import (
    ChangedElsewhereError,
    RefusedError,
    wake,
    write_audit,
)
from middleware.desk.formats import write_instant
from middleware.desk.reasons import write_reason
from middleware.desk.values import Actor
from middleware.desk.views import View
from middleware.stages.context import StageContext
from middleware.storage import gate, nudges
from middleware.storage.connecting import Tx
from middleware.storage.decision_log import insert_nudge_decision

LIMITS = ("limit-reached", "same-topic")
HOURS = ("outside-hours", "hours-never-meet", "window-passed")


class ClosedError(RefusedError):
    """The message has gone out or ended meanwhile; nothing was changed."""


@dataclass(frozen=True)
class MoveForm:
    """What the form offers: the present time, and the window as days and in words.

    ``version`` is the time that it was made from; ``moved`` who moved it before.
    """

    day: str
    time: str
    first_day: str
    last_day: str
    window: str
    hours: str
    version: str
    moved: str


def write_move_form(view: View, nudge_id: str, hours: str) -> MoveForm | None:
    """Return the form of one coming message; None when it is not open here.

    ``hours`` are the patient's, in words.
    """
    for nudge, candidate in view.planned:
        if nudge.id != nudge_id:
            continue
        first, last = _window(nudge, candidate)
        first = max(first, view.now)
        start, end = (item.astimezone(view.zone) for item in (first, last))
        local = candidate.due_at.astimezone(view.zone)
        return MoveForm(
            day=local.date().isoformat(),
            time=f"{local:%H:%M}",
            first_day=start.date().isoformat(),
            last_day=end.date().isoformat(),
            window=_write_window(view, first, last),
            hours=hours,
            version=write_mark(nudge),
            moved=write_moved(view, nudge),
        )
    return None


def write_mark(nudge: Nudge) -> str:
    """Return the mark of a message's time, for the optimistic check of a move."""
    return nudge.due_at.astimezone(UTC).isoformat()


def read_moment(view: View, day: str, time: str) -> datetime:
    """Return the instant at which the patient's clock shows this; BadInputError else."""
    try:
        local = datetime.strptime(f"{day} {time}", "%Y-%m-%d %H:%M")  # noqa: DTZ007 -- made aware below
        moment = local.replace(tzinfo=view.zone).astimezone(UTC)
    except (ValueError, OverflowError):
        raise BadInputError(view.say("Choose a day and a time.")) from None
    if moment.astimezone(view.zone).replace(tzinfo=None) != local:
        raise BadInputError(
            view.say("The clock is set forward then: that time does not come.")
        )
    return moment


def save_move(
    context: StageContext,
    view: View,
    actor: Actor,
    nudge_id: str,
    moment: datetime | None,
    *,
    why: str,
    version: str,
) -> None:
    """Move one open message of this patient; None puts it back to its own time.

    Raises ClosedError, ChangedElsewhereError, or RefusedError with the reason.
    """
    now = context.clock.now()
    with context.database.tx() as tx:
        gate.lock_patient(tx, view.endpoint.id, view.patient)
        nudge = _open(view, nudges.get_nudge(tx, nudge_id))
        if write_mark(nudge) != version:
            raise ChangedElsewhereError
        if moment is None:
            moved, candidate = None, _own_time(view, nudge, now)
        else:
            moved = _note(nudge, moment, actor, now, why)
            candidate = _check(view, nudge, moment, moved, now)
        _store(context, tx, nudge, candidate, moved, now)
        detail = {
            "from": nudge.due_at.isoformat(),
            "to": candidate.due_at.isoformat(),
            "why": why,
        }
        action = "nudge-moved" if moved else "nudge-put-back"
        write_audit(tx, view, actor, action, about=(nudge.id, detail), now=now)
    wake(context, view, {nudge.shard})


def _open(view: View, nudge: Nudge | None) -> Nudge:
    mine = nudge is not None and (nudge.endpoint_id, nudge.patient) == (
        view.endpoint.id,
        view.patient,
    )
    if nudge is None or not mine or nudge.state not in OPEN_STATES:
        raise ClosedError(
            view.say(
                "This message has gone out or ended meanwhile, so there is nothing "
                "left to move."
            )
        )
    return nudge


def _note(
    nudge: Nudge, moment: datetime, actor: Actor, now: datetime, why: str
) -> dict[str, str]:
    before = nudge.detail.get("moved") or {}
    return {
        "to": moment.isoformat(),
        "from": before.get("from") or nudge.due_at.isoformat(),
        "by": actor.name,
        "at": now.isoformat(),
        "why": why,
    }


def _check(
    view: View, nudge: Nudge, moment: datetime, moved: dict[str, str], now: datetime
) -> Candidate:
    """Return the message as it stands at another time; RefusedError says why not."""
    if moment <= now:
        raise RefusedError(view.say("That time has passed. Choose a later one."))
    wanted = replace(nudge, due_at=moment, detail={**nudge.detail, "moved": moved})
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
    return decide_nudge(
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
    found = _look(view, replace(nudge, due_at=was, detail=rest), now)
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
    nudges.move_nudge(tx, nudge, candidate.due_at, moved)
    nudges.set_nudge(tx, nudge.id, state, candidate.verdict.reason, now)
    insert_nudge_decision(
        tx,
        nudge,
        candidate.verdict,
        id=context.ids.new(),
        stage="desk",
        decided_at=now,
    )


def _window(nudge: Nudge, candidate: Candidate) -> tuple[datetime, datetime]:
    """Return from when and until when the message is any use."""
    length = timedelta(hours=candidate.action.timing.window_hours)
    return nudge.expires_at - length, nudge.expires_at


def _write_window(view: View, first: datetime, last: datetime) -> str:
    start, end = (
        write_instant(view.viewer, first, view.zone),
        write_instant(view.viewer, last, view.zone),
    )
    return view.say(
        "It can go from %(day)s, %(time)s until %(last_day)s, %(last_time)s.",
        day=start.day,
        time=start.time,
        last_day=end.day,
        last_time=end.time,
    )
