"""What Subscriptions R5 Backport 1.1 asks of a client, in short, one row each.

Numbers are those of the Inferno test kits; what they do not number has a name. The
last column is the test of Inferno's client suite, if there is one.
"""

from __future__ import annotations

from dataclasses import dataclass

BACKPORT = "hl7.fhir.uv.subscriptions_1.1.0"
R5 = "hl7.fhir.r5.core_5.0.0"


@dataclass(frozen=True)
class Requirement:
    """``instead`` says what is done where a MAY is not taken up."""

    id: str
    verb: str
    asks: str
    inferno: str = "no"
    instead: str | None = None


REQUIREMENTS = (
    Requirement(
        f"{BACKPORT}@17",
        "SHOULD",
        "Expect notifications to get lost, and to come more than once.",
    ),
    Requirement(
        f"{BACKPORT}@23",
        "SHALL",
        "Ask for the channel rest-hook, with an address of our own as its endpoint.",
        "1.1.01",
    ),
    Requirement(
        f"{BACKPORT}@24", "SHALL", "Be reachable by the server at it.", "1.2.02"
    ),
    Requirement(
        f"{BACKPORT}@61",
        "MAY",
        "Ask for a channel of another kind by the channel-type extension.",
        "not applicable",
        "not used: rest-hook and websocket are standard types",
    ),
    Requirement(f"{BACKPORT}@64", "SHALL", "Be able to write a topic's filters."),
    Requirement(
        f"{BACKPORT}@68",
        "SHALL",
        "Be able to write how much content notifications are to carry.",
        "1.3.01",
    ),
    Requirement(
        f"{BACKPORT}@71",
        "SHALL",
        "Process a valid status (Parameters; R4B: SubscriptionStatus) without errors.",
        "1.2.01, 1.2.02",
    ),
    Requirement(
        f"{BACKPORT}@76", "SHALL", "Write the topic's canonical as criteria.", "1.3.01"
    ),
    Requirement(
        f"{BACKPORT}@81",
        "SHALL",
        "Find out that a subscription is in error, make up for what was missed, then "
        "ask for it to be active again.",
    ),
    Requirement(
        f"{BACKPORT}@82",
        "SHALL",
        "Set the status to requested or active once notifications can be taken again.",
    ),
    Requirement(f"{BACKPORT}@85", "MAY", "Make up for what was missed by `$events`."),
    Requirement(
        f"{BACKPORT}@86",
        "SHOULD NOT",
        "Use cross-version extensions for what the guide defines itself.",
        "1.3.01 (warning)",
    ),
    Requirement(
        f"{BACKPORT}@88",
        "MAY",
        "Ask for notifications of another FHIR version in the payload's media type.",
        "no",
        "not used: the version is told by the notification's shape",
    ),
    Requirement(
        f"{BACKPORT}@96",
        "SHALL",
        "Filter by search parameters or by keys that the topic defines.",
    ),
    Requirement(
        f"{BACKPORT}@116", "SHALL", "Take the content asked of `$events` as a hint."
    ),
    Requirement(
        f"{BACKPORT}@beyond-focus",
        "SHALL",
        "Not count on any resource beyond the focus being sent along.",
    ),
    Requirement(
        f"{R5}@accepted", "SHALL", "Check which version of a request was accepted."
    ),
    Requirement(
        f"{R5}@heartbeats", "SHALL", "Take heartbeats more often than asked for."
    ),
)
