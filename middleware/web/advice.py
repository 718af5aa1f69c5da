"""What a person can do about each cause: one sentence per reason, and who does it.

Pure words. Every reason that holds or fails a message has a line here.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Advice:
    """What to do and whose it is: staff (the practice) or site (this console's).

    ``command`` does what the last words of ``text`` say.
    """

    text: str
    who: str
    command: str = ""


STAFF, SITE = "Practice staff", "Site administrator"
WAITS = "Nothing to do: it is looked at again by itself."

_TABLE: dict[str, tuple[str, str]] = {
    "paused": ("It goes on when the pause ends or staff end it.", STAFF),
    "no-consent": ("Ask the patient and record the answer in the chart.", STAFF),
    "opted-out": ("Respect it. Only the patient can say yes again.", STAFF),
    "no-address": ("Add a number or email address to the chart.", STAFF),
    "language-missing": ("Ask for the language and record it in the chart.", STAFF),
    "wording-missing": ("Add the wording, or reach the patient in person.", SITE),
    "wording-not-reviewed": ("Have the wording read and name its reviewer.", SITE),
    "wording-refused": ("Mend the wording: carecue plan check names it.", SITE),
    "zone-missing": ("Complete the patient's address or the site's zone.", STAFF),
    "outside-hours": (WAITS, ""),
    "not-yet": (WAITS, ""),
    "limit-reached": (WAITS, ""),
    "same-topic": (WAITS, ""),
    "hours-never-meet": (
        "Ask where the patient lives, or reach them in person.",
        STAFF,
    ),
    "switched-off": ("Release the hold on the overview when its cause is gone.", SITE),
    "ehr-unreachable": ("Check the EHR; it is tried again every few minutes.", SITE),
    "facts-stale": (WAITS, ""),
    "data-missing": ("Complete the chart; the event's page names what lacks.", STAFF),
    "disposition-unknown": ("Complete the discharge disposition in the chart.", STAFF),
    "reply": ("Read it in the EHR's task and answer it.", STAFF),
    "reply-needs-person": ("Call back, then complete the task.", STAFF),
    "not-allow-listed": ("Add the number to the endpoint's allow list.", SITE),
    "restore-unchecked": ("Run carecue restore check.", SITE),
    "sensitive": ("Decide how to reach the patient; nothing is sent.", STAFF),
    "minor": ("Decide whom to reach; nothing is sent by itself.", STAFF),
    "confidential": ("Reach the patient only where they asked to be reached.", STAFF),
    "several-patients": ("Tell the patients of the visit in person.", STAFF),
    "long-silent": ("Make sure that the patient is there to be written to.", STAFF),
    "same-day-visit": (WAITS, ""),
    "patient-unknown": ("Check that the patient can be read in the EHR.", SITE),
    "channel-down": ("Check the provider; it goes on by itself after that.", SITE),
    "wrong-patient": ("Look at both records in the EHR; nothing is sent.", STAFF),
    "in-hospital": (WAITS, ""),
    "plan-unknown": ("Check the plan's condition that the event names.", SITE),
    "address-invalid": ("Correct the number or address in the chart.", STAFF),
    "address-unreachable": ("Ask the patient for another way to be reached.", STAFF),
    "provider-refused": ("Check the account and sender at the provider.", SITE),
    "retries-exhausted": ("Check the provider, then reach the patient.", SITE),
    "delivery-unknown": ("Look it up at the provider; it is not sent again.", SITE),
    "not-delivered": ("Reach the patient another way; check the number.", STAFF),
    "quarantined": ("Each with its cause and its outline:", SITE),
    "dead-letter": ("Read the error, mend its cause; nothing was sent.", SITE),
}
_COMMANDS = {"quarantined": "carecue events quarantined"}
# What became of what was given up, by stage.
_GIVEN_UP = {
    "record": "What was sent or said stands here and counts; the EHR has not got it.",
    "listen": "A reply or receipt was not worked on: look it up at the provider.",
}


def advise_given_up(stage: str) -> Advice:
    """Return what to do about work that a stage gave up."""
    stands = _GIVEN_UP.get(stage, "Nothing was sent for it.")
    again = f"carecue events replay --stage {stage}"
    return Advice(f"{stands} Mend the cause, then:", SITE, again)


def advise(reason: str) -> Advice:
    """Return what to do about a reason; a plan's task is for staff to do."""
    text, who = _TABLE.get(
        reason, ("A person does this; no message takes its place.", STAFF)
    )
    return Advice(text, who, _COMMANDS.get(reason, ""))
