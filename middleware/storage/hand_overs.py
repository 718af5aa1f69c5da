"""How long it took from the gate's commit to the channel's answer, by channel.

In that time a denial comes too late. What a crash left open, and was asked about
later, is not in it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import accumulate

from middleware.storage.connecting import Tx

_TOOK = "extract(epoch FROM sent_at - handed_at)::float8"
_MEASURED = "handed_at IS NOT NULL AND sent_at >= handed_at"


@dataclass
class HandOvers:
    """A channel's hand-overs: all, and how many took less than each bound in seconds."""

    channel: str
    count: int = 0
    seconds: float = 0.0
    within: dict[float, int] = field(default_factory=dict)


def count_hand_overs(tx: Tx, bounds: Sequence[float]) -> list[HandOvers]:
    """Count them by channel; ``bounds`` are seconds in rising order."""
    rows = tx.execute(
        f"SELECT channel, width_bucket({_TOOK}, %s::float8[]) AS place, "  # noqa: S608 -- constants of this module
        f"count(*) AS total, sum({_TOOK}) AS seconds FROM delivery WHERE {_MEASURED} "
        "GROUP BY channel, place ORDER BY channel, place",
        (list(bounds),),
    )
    found: dict[str, HandOvers] = {}
    places: dict[str, list[int]] = {}
    for row in rows:
        name = row["channel"]
        one = found.setdefault(name, HandOvers(name))
        one.count += row["total"]
        one.seconds += row["seconds"]
        places.setdefault(name, [0] * (len(bounds) + 1))[row["place"]] = row["total"]
    for name, one in found.items():
        one.within = dict(zip(bounds, accumulate(places[name]), strict=False))
    return list(found.values())


def list_hand_overs(tx: Tx, since: datetime) -> list[tuple[str, float]]:
    """List channel and seconds of each hand-over since then, the shortest first."""
    rows = tx.execute(
        f"SELECT channel, {_TOOK} AS took FROM delivery "  # noqa: S608 -- constants of this module
        f"WHERE {_MEASURED} AND sent_at >= %s ORDER BY took",
        (since,),
    )
    return [(row["channel"], row["took"]) for row in rows]
