"""What is wrong, worst first: one sentence each, its effect on patients, what mends it.

Pure: judges what the overview has read.
"""

from __future__ import annotations

from collections.abc import Iterator

from middleware.web.endpoint_row import EndpointRow
from middleware.web.sight import Act, Problem, Sight
from middleware.web.words import ago, count
from subscriptions.case import SAFE

ATTENTION = "/console/attention"
# What an EHR can mend; what is only too long ago is as it should be.
INCOMPLETE = {
    "names-no-patient": (
        "without a patient",
        "Nobody is written to about them. Ask the EHR team why the subject is empty.",
    ),
    "time-unknown": (
        "that had ended, without a date that says when",
        "Nobody is written to on a guess. Ask the EHR team to give a stay its period.",
    ),
}


def find_problems(sight: Sight) -> tuple[Problem, ...]:
    """List everything that is wrong, the worst for patients first."""
    return tuple(
        problem
        for look in (
            _stopped,
            _unreadable,
            _left_alone,
            _held,
            _broken,
            _people,
            _given_up,
            _lesser,
        )
        for problem in look(sight)
    )


def _stopped(sight: Sight) -> Iterator[Problem]:
    if not sight.endpoints:
        yield Problem(
            "info",
            "Not connected",
            "No EHR is connected yet.",
            "Describe it in a file, then run carecue endpoint add FILE.",
        )
    if sight.worker_silent:
        seen = (
            f"The last sign of one was {ago(sight.last_tick, sight.now)}."
            if sight.last_tick
            else "None has run on this database yet."
        )
        yield Problem(
            "stop",
            "No worker",
            "No worker is running, so no message goes out.",
            f"{seen} Nothing is lost: notifications are still taken and wait. "
            "Start one with carecue worker.",
        )


def _unreadable(sight: Sight) -> Iterator[Problem]:
    for row in sight.endpoints:
        if row.read.tone == "stop":
            last = ago(row.last_poll, sight.now)
            yield Problem(
                "stop",
                row.name,
                f"{row.name} cannot be read.",
                "Nothing is sent on old facts: its messages wait until the chart can "
                f"be read again. Last try {last}: {row.poll_error}",
            )


def _left_alone(sight: Sight) -> Iterator[Problem]:
    names = {row.id: row.name for row in sight.endpoints}
    for row in sight.left_alone:
        ehr = names.get(row.endpoint_id or "", row.endpoint_id)
        yield Problem(
            "warn",
            "Left alone",
            f"{ehr} did not answer several times in a row."
            if ehr
            else f"The channel {row.name} failed several times in a row.",
            f"{count(row.workers, 'worker')} left it alone for up to 15 minutes. Its "
            "messages wait and nothing is lost; it is tried again by itself.",
        )


def _held(sight: Sight) -> Iterator[Problem]:
    if sight.restore_unchecked:
        yield Problem(
            "stop",
            "Restored",
            "Everything is held: this database was restored.",
            "It has forgotten opt-outs and what was sent since the backup. "
            "Run carecue restore check.",
        )
    if sight.all_held:
        yield Problem(
            "warn",
            "Everything is held",
            "A person holds everything, so no message goes out.",
            "Events are still received and decided on.",
            Act("Go to the hold", "#h-hold"),
        )


def _broken(sight: Sight) -> Iterator[Problem]:
    if sight.content:
        yield Problem(
            "stop",
            "Content",
            f"The site's own content cannot be used: {sight.content}.",
            "What was read before stays in force; a worker that starts anew does not "
            "begin. Mend the file, then run carecue plan check.",
        )


def _people(sight: Sight) -> Iterator[Problem]:
    if sight.replies:
        one = sight.replies == 1
        yield Problem(
            "stop",
            "Replies",
            "A patient's reply waits for a person."
            if one
            else f"{sight.replies:,} patients' replies wait for a person.",
            "Somebody has to read and answer. Where the words were worrying, that "
            "patient gets no other message until then.",
            Act(f"See {count(sight.replies, 'reply', 'replies')}", f"{ATTENTION}#wait"),
        )


def _given_up(sight: Sight) -> Iterator[Problem]:
    if sight.dead:
        yield Problem(
            "warn",
            "Given up",
            f"{count(sight.dead, 'piece')} of work failed several times and "
            f"{'was' if sight.dead == 1 else 'were'} given up.",
            "Each is listed with its error, what stands, and how it is tried again.",
            Act(f"See {sight.dead:,} given up", f"{ATTENTION}#fail"),
        )
    if sight.failed:
        yield Problem(
            "warn",
            "Failed messages",
            f"{count(sight.failed, 'message')} could not be delivered.",
            "These patients were not reached; each cause is listed with what to do.",
            Act(f"See {count(sight.failed, 'failed message')}", f"{ATTENTION}#fail"),
        )
    for name, fault in sight.periodic.items():
        yield Problem(
            "warn",
            "Periodic work",
            f"The last turn of the periodic work “{name}” failed.",
            f"It is tried again at its next turn. The workers’ log has the {fault}.",
        )


def _passed_over(row: EndpointRow, sight: Sight) -> Iterator[Problem]:
    for note, (lack, effect) in INCOMPLETE.items():
        number = sight.passed_over.get((row.id, note), 0)
        if number:
            what = count(number, "resource")
            yield Problem(
                "warn",
                "Passed over",
                f"In the last week {row.name} told of {what} {lack}.",
                effect,
            )


def _lesser(sight: Sight) -> Iterator[Problem]:
    for row in sight.endpoints:
        if row.read.tone == "warn":
            yield Problem(
                "warn",
                row.name,
                f"{row.name} was last read {ago(row.last_poll, sight.now)}.",
                "Events that its notifications miss are found late.",
            )
        yield from _missed(row)
        yield from _passed_over(row, sight)
    for title, days in sight.ending.items():
        when = f"retires in {count(days, 'day')}" if days > 0 else "has retired"
        yield Problem(
            "warn",
            "Content ends",
            f"The plan {title} {when}: its content has not been reviewed since.",
            "From then on it sends nothing and what it planned is cancelled. Review it "
            "and import a version with a later end.",
        )
    if sight.holds and not sight.all_held:
        yield Problem(
            "warn",
            "A hold",
            f"No message goes out for {', '.join(sight.holds)}.",
            "Other messages go out as planned.",
            Act("Go to the hold", "#h-hold"),
        )
    if sight.tasks > sight.replies:
        rest = sight.tasks - sight.replies
        yield Problem(
            "info",
            "Tasks",
            f"{count(rest, 'task')} {'waits' if rest == 1 else 'wait'} for staff.",
            "A person does these; no message takes their place.",
            Act(f"See {count(rest, 'task')}", f"{ATTENTION}#wait"),
        )


def _missed(row: EndpointRow) -> Iterator[Problem]:
    """List what notifications leave out; the regular read finds it."""
    for sentence in row.alerts:
        yield Problem("warn", row.name, f"{row.name}, {sentence}", SAFE)
    if row.push.tone == "warn" and not row.alerts:
        yield Problem(
            "warn",
            row.name,
            f"{row.name} has switched notifications off: {row.push.said}.",
            "Nothing is lost: the regular read finds its events, a little later.",
        )
    if row.share.tone == "warn":
        yield Problem(
            "warn",
            row.name,
            f"{row.name} pushes nothing though it is subscribed to: it is polled only.",
            "Nothing is lost: the regular read finds its events, a little later. "
            "Ask the EHR's team whether its deliveries reach this address.",
        )
    if row.unread:
        yield Problem(
            "warn",
            row.name,
            f"What {count(row.unread, 'subscription')} of {row.name} may have "
            "missed could not be read again yet.",
            "It is tried again every minute and nothing is passed over. The reason "
            "is in the table of subscriptions.",
        )
