"""A circuit: whether somebody who failed several times is worth asking right now.

Pure. Faults in a row, about different people, shut it for a while; then one probe is
let through, and its answer opens it again or keeps it shut for twice as long.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

FAULTS = 5
FIRST_SHUT = timedelta(seconds=30)
LONGEST_SHUT = timedelta(minutes=15)
# A probe that never tells is given up: longer than any time-out of ours.
PROBE = timedelta(minutes=1)


@dataclass(frozen=True)
class Circuit:
    """Faults in a row, and until when nobody is let through (None: it is open).

    ``about`` names whom they concerned: one patient or address that always fails is no
    fault of the other side, so only different ones count. ``shuts`` counts the times
    that it was shut in a row; ``probing`` is True while one has been let through to see.
    """

    about: frozenset[str] = frozenset()
    shuts: int = 0
    shut_until: datetime | None = None
    probing: bool = False

    def is_shut(self, now: datetime) -> bool:
        """Tell whether nobody is let through at ``now``."""
        return self.shut_until is not None and now < self.shut_until


def after_fault(
    circuit: Circuit, now: datetime, about: str, retry_after: float | None = None
) -> Circuit:
    """Count a fault about somebody; ``retry_after`` (seconds) is what the other side asked for.

    Faults of those who were on their way when it was shut tell nothing new.
    """
    if circuit.shut_until is not None and not circuit.probing:
        return circuit
    named = circuit.about | {about}
    if len(named) < FAULTS:
        return replace(circuit, about=named)
    asked = timedelta(seconds=retry_after or 0.0)
    length = min(max(FIRST_SHUT * 2.0**circuit.shuts, asked), LONGEST_SHUT)
    return Circuit(named, min(circuit.shuts + 1, 16), now + length)


def after_answer() -> Circuit:
    """Return the circuit after an answer of any kind: open, nothing counted."""
    return Circuit()


def let_through(circuit: Circuit, now: datetime) -> tuple[Circuit, datetime | None]:
    """Say until when to wait; None lets this one through, as the probe if it was shut."""
    if circuit.shut_until is None:
        return circuit, None
    if circuit.is_shut(now):
        return circuit, circuit.shut_until
    return replace(circuit, shut_until=now + PROBE, probing=True), None
