"""The nudge: its states, outcomes and reasons, and the words that people see.

One table of reasons is used by code, pages, ledger and documentation. Four words are
never mixed: Held (by a preference or limit), Failed (by a fault), Skipped (by a
person), Cancelled (no longer due).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any


class NudgeState(StrEnum):
    """Where a nudge stands. PLANNED and HELD are open; the rest are ends."""

    PLANNED = "planned"
    HELD = "held"
    SENDING = "sending"
    SENT = "sent"
    FAILED = "failed"
    SKIPPED = "skipped"
    CANCELLED = "cancelled"


OPEN_STATES = (NudgeState.PLANNED, NudgeState.HELD)


class Outcome(StrEnum):
    """What a decision came to."""

    SEND = "send"
    HOLD = "hold"
    CANCEL = "cancel"
    FAIL = "fail"
    SKIP = "skip"
    NOT_DUE = "not-due"


NOT_SO, NOT_KNOWN = "not so: ", "unknown: "
DENIED = {
    NOT_SO: "A condition that is not met: ",
    NOT_KNOWN: "A condition that could not be looked at: ",
}
WORDS: dict[Outcome, str] = {
    Outcome.SEND: "Planned",
    Outcome.HOLD: "Held",
    Outcome.CANCEL: "Cancelled",
    Outcome.FAIL: "Failed",
    Outcome.SKIP: "Skipped",
    Outcome.NOT_DUE: "Not due",
}


@dataclass(frozen=True)
class Reason:
    """Why: a stable code, the outcome it leads to and a sentence for people."""

    code: str
    outcome: Outcome
    sentence: str


def _table(*rows: tuple[str, Outcome, str]) -> dict[str, Reason]:
    return {code: Reason(code, outcome, text) for code, outcome, text in rows}


_H, _C, _F = Outcome.HOLD, Outcome.CANCEL, Outcome.FAIL
_N, _S, _P = Outcome.NOT_DUE, Outcome.SEND, Outcome.SKIP

REASONS: dict[str, Reason] = _table(
    ("due", _S, "It is due and every check passed."),
    ("asked", _S, "Staff were asked to do it."),
    ("paused", _H, "Messages to this patient are paused."),
    ("no-consent", _H, "No permission is recorded for this way of contact."),
    ("opted-out", _H, "The patient said no to this way of contact or topic."),
    ("no-address", _H, "The chart has no usable number or address."),
    ("language-missing", _H, "The chart does not say which language to write in."),
    ("wording-missing", _H, "There is no wording in the patient's language."),
    ("wording-not-reviewed", _H, "Nobody has approved this wording for this site."),
    ("wording-refused", _H, "The finished text did not pass the safety checks."),
    ("zone-missing", _H, "The patient's time zone is not known."),
    ("not-yet", _H, "Its planned time has not come yet."),
    ("outside-hours", _H, "It waits for the hours that the patient allows."),
    ("hours-never-meet", _H, "No hour is allowed in every place the patient may be."),
    ("same-topic", _H, "The patient heard about the same matter within a week."),
    ("limit-reached", _H, "The patient has had as many messages as allowed."),
    ("switched-off", _H, "A hold set by a person covers this message."),
    ("ehr-unreachable", _H, "The chart could not be read again just before sending."),
    ("facts-stale", _H, "The chart was read too long ago to rely on."),
    ("data-missing", _H, "The chart lacks what this plan needs to know."),
    ("disposition-unknown", _H, "The discharge disposition is missing or unknown."),
    ("reply-needs-person", _H, "A reply from the patient waits for a person."),
    ("reply", _H, "The patient has written; a person answers."),
    ("not-allow-listed", _H, "This number may not be reached outside production."),
    ("restore-unchecked", _H, "The database was restored and not yet reconciled."),
    ("sensitive", _H, "The matter is sensitive: a person decides how to reach out."),
    ("long-silent", _H, "Nothing was heard of a frail patient for half a year."),
    ("minor", _H, "The patient is a minor: a person decides whom to reach."),
    ("confidential", _H, "The patient asked to be reached in one way only."),
    ("patient-unknown", _H, "The patient of this event cannot be read."),
    ("several-patients", _H, "The visit is of several patients: a person tells them."),
    ("channel-down", _H, "The channel is not taking messages right now."),
    ("wrong-patient", _H, "The chart that was read is another patient's."),
    ("in-hospital", _H, "The patient is in hospital right now."),
    ("plan-unknown", _H, "A condition of this plan could not be evaluated."),
    ("same-day-visit", _H, "One reminder tells of all visits of that day."),
    ("deceased", _C, "The patient has died."),
    ("record-inactive", _C, "The patient's record is inactive or was merged."),
    ("test-patient", _C, "This is a test patient."),
    ("appointment-cancelled", _C, "The visit was cancelled."),
    ("appointment-moved", _C, "The visit was moved; a new reminder takes its place."),
    ("appointment-over", _C, "The visit has taken place or its time has passed."),
    ("already-booked", _C, "A follow-up visit is already booked."),
    ("already-done", _C, "What this message asks for has been done."),
    ("readmitted", _C, "The patient is in hospital again."),
    ("event-undone", _C, "The event behind this message was taken back."),
    ("care-plan-ended", _C, "The care plan has ended or changed."),
    ("window-passed", _C, "Its time has passed; late messages are not sent."),
    ("superseded", _C, "A newer message takes its place."),
    ("joined", _C, "It goes out together with another message."),
    ("plan-off", _C, "The plan is switched off."),
    ("not-in-stage", _C, "The plan is being switched on step by step."),
    ("disposition-died", _C, "The hospital stay ended in death."),
    ("disposition-hospice", _C, "The patient went to hospice care."),
    ("disposition-facility", _C, "The patient went to another facility."),
    ("disposition-against-advice", _C, "The patient left against advice."),
    ("disposition-law", _C, "The patient is in the hands of law enforcement."),
    ("disposition-other", _C, "The way the stay ended calls for a person."),
    ("hospice", _C, "The patient is in hospice care."),
    ("pregnancy-loss", _C, "A pregnancy was lost; nothing cheerful for a year."),
    ("serious-illness", _C, "The patient is too ill for this to be offered."),
    ("refused", _C, "The patient refused what this message offers."),
    ("address-invalid", _F, "The number or address does not exist."),
    ("address-unreachable", _F, "The number cannot receive this kind of message."),
    ("provider-refused", _F, "The provider refused the message."),
    ("retries-exhausted", _F, "The provider did not take it after several tries."),
    ("delivery-unknown", _F, "Whether it was sent is not known; a person checks."),
    ("not-delivered", _F, "The provider could not deliver it."),
    ("skipped-by-staff", _P, "A member of staff skipped it."),
    ("not-applicable", _N, "The plan does not apply."),
)

# Ends that were true when they were reached and may cease to be: a visit booked again
# at its old time, a stay finished anew, a message that went along with another one.
# The same message may then be planned again.
REVIVABLE = frozenset(
    {
        "already-booked",
        "already-done",
        "appointment-cancelled",
        "appointment-moved",
        "care-plan-ended",
        "disposition-against-advice",
        "disposition-facility",
        "disposition-law",
        "disposition-other",
        "event-undone",
        "joined",
        "not-in-stage",
        "plan-off",
        "readmitted",
    }
)

# Holds that time alone ends: such a message still takes its place in the limits.
WAITING = frozenset(
    {
        "not-yet",
        "outside-hours",
        "limit-reached",
        "same-topic",
        "channel-down",
        "ehr-unreachable",
        "facts-stale",
    }
)


@dataclass(frozen=True)
class Fact:
    """One thing in the chart that a verdict rests on.

    ``reference`` is ``Type/id``, ``version`` its versionId (None for own records),
    ``path`` a FHIRPath element and ``value`` what stood there, as text.
    """

    reference: str
    version: str | None
    path: str
    value: str

    def as_json(self) -> dict[str, Any]:
        """Return the fact as a JSON object with the four fields by name."""
        return {
            "reference": self.reference,
            "version": self.version,
            "path": self.path,
            "value": self.value,
        }


@dataclass(frozen=True)
class Verdict:
    """What was decided, why, and the facts that it rests on.

    ``until`` is set when waiting helps: the first instant to look again.
    """

    outcome: Outcome
    reason: str
    facts: tuple[Fact, ...] = ()
    until: datetime | None = None
    detail: str = ""


@dataclass(frozen=True)
class Nudge:
    """One intended message to one person about one thing (a row of ``nudge``).

    A staff step that waits for its time is one as well (``detail["kind"]`` task).
    ``detail["moved"]`` {"to", "from", "by", "user", "form", "at", "why"} is set where a
    person moved it, ``detail["skipped"]`` the same without the times.
    """

    id: str
    key: str
    endpoint_id: str
    event_id: str
    patient: str
    shard: int
    plan: str
    plan_version: str
    action: str
    topic: str
    focus: str
    occasion: str
    recipient: str
    state: NudgeState
    reason: str
    due_at: datetime
    expires_at: datetime
    created_at: datetime
    attempts: int = 0
    channel: str | None = None
    address: str | None = None
    language: str | None = None
    title: str = ""
    why: str = ""
    stops: str = ""
    priority: int = 50
    detail: dict[str, Any] = field(default_factory=dict)

    @property
    def is_task(self) -> bool:
        """Tell whether staff are asked when its time comes, and nothing is sent."""
        return bool(self.detail.get("kind") == "task")

    @property
    def moved_to(self) -> datetime | None:
        """Return the instant that a person moved it to; before that it does not go."""
        moved = self.detail.get("moved")
        return datetime.fromisoformat(moved["to"]) if moved else None


def say_detail(text: str) -> str:
    """Return what a verdict adds to its reason, as a sentence for people.

    A condition's sentence says what has to be so, which a mark before it denies.
    """
    for mark, said in DENIED.items():
        if text.startswith(mark):
            return said + text.removeprefix(mark)
    if text in REASONS:
        return REASONS[text].sentence
    return text[:1].upper() + text[1:]
