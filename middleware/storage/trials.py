"""The short-lived Subscription of a check: did anything arrive, and away with it."""

from __future__ import annotations

from middleware.storage.connecting import Tx

# What stands in ``criteria`` of such a row, so that one that was left is found.
TRIAL = "carecue-check"


def find_arrival(tx: Tx, subscription_id: str) -> str | None:
    """Return the type of the first delivery that came (quarantined: unreadable)."""
    row = tx.execute(
        "SELECT coalesce(type, state) AS what FROM notification "
        "WHERE subscription_id = %s ORDER BY id LIMIT 1",
        (subscription_id,),
    ).fetchone()
    return str(row["what"]) if row else None


def delete_trials(tx: Tx, endpoint_id: str) -> None:
    """Remove an endpoint's trials with their deliveries.

    Items of work that came through one are real changes and stay.
    """
    of_trials = "(SELECT id FROM subscription WHERE endpoint_id = %s AND criteria = %s)"
    chosen = (endpoint_id, TRIAL)
    for table in ("tally", "notification"):
        tx.execute(
            f"DELETE FROM {table} WHERE subscription_id IN {of_trials}",  # noqa: S608 -- constants
            chosen,
        )
    tx.execute(
        "DELETE FROM subscription WHERE endpoint_id = %s AND criteria = %s", chosen
    )
