"""What the benchmark prints: rates, percentiles and CPU per thousand requests."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from middleware.cli.bench_load import Outcome


@dataclass(frozen=True)
class Used:
    """CPU seconds: of our process, and of PostgreSQL (None when it is elsewhere)."""

    process: float
    postgresql: float | None

    def __sub__(self, before: Used) -> Used:
        """Return what was used in between."""
        later, earlier = self.postgresql, before.postgresql
        return Used(
            self.process - before.process,
            later - earlier if later is not None and earlier is not None else None,
        )


@dataclass(frozen=True)
class Figures:
    """One measurement; CPU is in seconds per thousand requests (so in ms for one).

    ``cpu_s_per_1000`` is our process and PostgreSQL together, the generator apart.
    """

    requests: int
    refused: int
    requests_per_second: float
    p50_ms: float
    p95_ms: float
    p99_ms: float
    cpu_s_per_1000: float
    process_cpu_s_per_1000: float
    postgresql_cpu_s_per_1000: float | None
    generator_cpu_s_per_1000: float

    def plain(self) -> dict[str, Any]:
        """Return the figures as JSON has them."""
        return asdict(self)


def figures_of(outcome: Outcome, used: Used) -> Figures:
    """Put one run's counts into figures."""
    sent = max(outcome.sent, 1)
    ordered = sorted(outcome.latencies) or [0.0]
    postgresql = used.postgresql
    return Figures(
        requests=outcome.sent,
        refused=outcome.sent - outcome.statuses.get("200", 0),
        requests_per_second=round(sent / outcome.seconds, 1),
        p50_ms=percentile(ordered, 50),
        p95_ms=percentile(ordered, 95),
        p99_ms=percentile(ordered, 99),
        cpu_s_per_1000=round((used.process + (postgresql or 0)) * 1000 / sent, 4),
        process_cpu_s_per_1000=round(used.process * 1000 / sent, 4),
        postgresql_cpu_s_per_1000=(
            None if postgresql is None else round(postgresql * 1000 / sent, 4)
        ),
        generator_cpu_s_per_1000=round(outcome.cpu_seconds * 1000 / sent, 4),
    )


def cheapest(rounds: Sequence[Figures]) -> Figures:
    """Return the round that used least CPU: what others did then disturbed it least."""
    return min(rounds, key=lambda figures: figures.cpu_s_per_1000)


def percentile(ordered: Sequence[float], percent: int) -> float:
    """Return a percentile in milliseconds, the nearest rank."""
    rank = -(-len(ordered) * percent // 100)
    return round(ordered[max(rank, 1) - 1] * 1000, 2)
