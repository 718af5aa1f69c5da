"""What a check after a restore found, as a value that says itself in sentences."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

WORDS = {
    "texts_read": "texts read at the provider",
    "communications_read": "Communications of ours read in the EHRs",
    "denials_recalled": "opt-outs taken over",
    "replies_recalled": "replies taken over",
    "deliveries_from_ehr": "messages taken over from the EHRs",
    "deliveries_from_provider": "messages taken over from the provider",
    "nudges_ended": "planned messages ended as already sent",
    "sending_settled": "interrupted deliveries settled",
    "left_to_people": "messages left to a person, for they may have been sent",
    "texts_of_strangers": "texts to numbers that no chart here bears",
}
ASK = (
    "Preferences, pauses and holds that people recorded here after {since} are known "
    "nowhere else, nor are opt-outs by e-mail: ask the staff."
)


@dataclass
class Findings:
    """What adds up while a check runs: counts, what is still open, what to know."""

    counts: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class RestoreCheck:
    """The result of one check; ``complete`` means that the hold has ended.

    ``since`` is the instant from which on the database may have forgotten things.
    """

    complete: bool
    marked: bool
    since: datetime | None
    counts: dict[str, int] = field(default_factory=dict)
    faults: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def sentences(self) -> tuple[str, ...]:
        """Return the result for a person, line by line."""
        if not self.marked or self.since is None:
            return ("No restore is marked, so nothing is held for one.",)
        since = f"{self.since:%Y-%m-%d %H:%M} UTC"
        lines = [f"Read what happened since {since}:"]
        lines += [
            f"  {self.counts[name]} {words}"
            for name, words in WORDS.items()
            if self.counts.get(name)
        ]
        lines += [*self.notes, ASK.format(since=since)]
        if self.complete:
            return (*lines, "Every source was read to its end: the hold has ended.")
        return (*lines, *self.faults, "All messages stay held. Run the check again.")

    def as_json(self) -> dict[str, Any]:
        """Return the result as one JSON object."""
        return {
            "complete": self.complete,
            "marked": self.marked,
            "since": self.since.isoformat() if self.since else None,
            "counts": self.counts,
            "open": list(self.faults),
            "notes": list(self.notes),
        }
