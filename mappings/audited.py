"""An entry of the audit: who did what, when, to whom and why. Ids, codes and counts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from mappings.telecom import PREFIX, is_point, read_point_name

VIEWED = "chart-viewed"
SEARCHED = "patients-searched"
# What was done, as people read it; machines are given the codes.
ACTIONS: Mapping[str, str] = {
    VIEWED: "Saw the chart",
    SEARCHED: "Searched for patients",
    "launch-opened": "Opened the app",
    "launch-ended": "Left the app",
    "preference-saved": "Saved a preference",
    "preference-undone": "Undid a preference",
    "preference-taken-back": "Took back what staff had said",
    "preference-settled": "Chose between two values",
    "consent-recorded": "Recorded an answer about being contacted",
    "consent-saved": "Recorded an answer about being contacted",
    "nudge-moved": "Moved a message",
    "nudge-put-back": "Put a message back to its own time",
    "nudge-skipped": "Skipped a message",
    "cds-card": "Saw a card in the EHR",
    "cds-feedback": "Answered a card",
    "task-taken": "Took on a task",
    "task-ended": "A task ended",
    "task-withdrawn": "A task was taken back",
    "task-escalated": "A task was passed on",
    "address-trusted": "Trusted a number or address again",
    "patient-merged": "Two records became one",
    "patient-audit": "Asked who saw and changed what",
    "patient-export": "Handed out a patient's data",
    "patient-erase": "Erased a patient's data",
    "patient-data-shown": "Looked at what a chart said",
    "hold": "Held messages",
    "release": "Released a hold",
    "plan-on": "Switched a plan on",
    "plan-off": "Switched a plan off",
    "plan-import": "Imported plans",
    "endpoint-add": "Stored an endpoint",
    "endpoint-remove": "Removed an endpoint",
    "endpoint-secret": "Sealed an endpoint's secret",
    "endpoint-subscribe": "Asked an EHR for notifications",
    "endpoint-rotate": "Made new secrets for notifications",
    "hook": "Made an address for notifications",
    "quarantine-view": "Looked at a notification that was set aside",
    "replay": "Tried again what was given up",
    "key-rotate": "Changed the key that seals secrets",
    "signing-key-rotate": "Changed the keys that sign",
    "restore-noticed": "Noticed that the database was restored",
    "restore-mark": "Said that the database was restored",
    "restore-check": "Checked a restored database",
    "clock-forward": "Moved the clock forward",
    "console-link": "Made a link to the console",
    "console-login": "Opened the console",
    "console-logout": "Left the console",
}
POINTS = {f"{PREFIX}sms": "a phone number", f"{PREFIX}email": "an email address"}
# What of a patient was seen, by the name of the view.
VIEWS: Mapping[str, str] = {
    "opening": "who it is",
    "verdict": "the verdict",
    "page": "the whole page",
    "history": "earlier messages",
    "summary": "the sheet for the patient",
    "preview": "the text of a message",
    "move": "a message, to move it",
    "skip": "a message, to skip it",
    "pause": "the form of a pause",
    "resume": "what a pause holds",
    "answer": "the form of an answer",
    "preference": "the form of a preference",
    "settle": "two values that differ",
    "undo": "what an undo puts back",
    "take_back": "what staff had said",
}


@dataclass(frozen=True)
class Audited:
    """One entry (a row of ``audit``).

    ``who`` is a reference at the EHR, else issuer and subject, else an administrator's
    name; ``subject`` is what was acted on: a launch, a preference, a message.
    """

    id: int
    at: datetime
    who: str
    action: str
    endpoint_id: str | None
    patient: str | None
    subject: str | None
    detail: dict[str, Any]


def say_action(entry: Audited) -> str:
    """Return what was done, in words."""
    known = ACTIONS.get(entry.action)
    done = known or entry.action.replace("-", " ").capitalize()
    view = entry.detail.get("view")
    return f"{done}: {VIEWS.get(view, view)}" if isinstance(view, str) else done


def say_who(entry: Audited) -> str:
    """Return who did it: the name, where it was known, before what they are known by."""
    name = entry.detail.get("by")
    return f"{name} ({entry.who})" if isinstance(name, str) else entry.who


def name_subject(entry: Audited) -> str:
    """Return what was acted on; of a number or address only which kind it is."""
    subject = entry.subject or ""
    if is_point(subject):
        return f"{PREFIX}{read_point_name(subject)[0]}"
    return subject


def say_subject(entry: Audited) -> str:
    """Return what was acted on, in words where it has any."""
    subject = name_subject(entry)
    return POINTS.get(subject, subject)
