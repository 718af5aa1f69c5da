"""What decisions cost, event by event and gate by gate."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from middleware.cli.bench_figures import percentile


@dataclass
class Costs:
    """CPU seconds of each event, and of each gate at the time of sending after it.

    ``elapsed`` are the events' seconds by the clock; ``verdicts`` those of all events.
    """

    events: list[float] = field(default_factory=list)
    gates: list[float] = field(default_factory=list)
    elapsed: list[float] = field(default_factory=list)
    verdicts: int = 0

    @property
    def used(self) -> float:
        """Return the CPU seconds of all."""
        return sum(self.events) + sum(self.gates)

    def plain(self) -> dict[str, Any]:
        """Return the figures; rates are by CPU, so for one core that does only this.

        A decision is a message that was planned, and passed the gate when it was due.
        """
        events, gates = sorted(self.events), sorted(self.gates) or [0.0]
        verdicts = self.verdicts + len(self.gates)
        return {
            "events": len(events),
            "decisions_per_second": round(len(self.gates) / self.used, 1),
            "verdicts_per_second": round(verdicts / self.used, 1),
            "events_per_second": round(len(events) / sum(events), 1),
            "verdicts_per_event": round(self.verdicts / len(events), 1),
            "gates_per_event": round(len(self.gates) / len(events), 2),
            "cpu_ms_per_event": round(self.used * 1000 / len(events), 3),
            "p50_ms": percentile(events, 50),
            "p95_ms": percentile(events, 95),
            "p95_elapsed_ms": percentile(sorted(self.elapsed), 95),
            "gate_p50_ms": percentile(gates, 50),
            "gate_p95_ms": percentile(gates, 95),
        }
