"""What the benchmark asks of the database: a place of its own, a floor and a count."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

import psycopg
from psycopg.conninfo import make_conninfo
from psycopg.sql import SQL, Identifier

from middleware.storage.connecting import Tx, open_connection, storage_error

_STORED = """
SELECT i.focus, count(*) AS rows FROM notification AS n
LEFT JOIN inbox AS i ON i.notification_id = n.id AND i.source = 'push'
    AND position(convert_to(i.focus, 'UTF8') IN n.body) > 0
WHERE n.subscription_id = %s AND n.state = 'stored'
GROUP BY i.focus
"""
_EFFECTS = """
SELECT e.focus, e.kinds, coalesce(n.steps, '{}') AS steps
  FROM (SELECT focus, array_agg(kind ORDER BY kind) AS kinds FROM event
         WHERE endpoint_id = %(endpoint)s GROUP BY focus) AS e
  LEFT JOIN (SELECT focus, array_agg(action || ' ' || state ORDER BY action, state)
               AS steps FROM nudge WHERE endpoint_id = %(endpoint)s GROUP BY focus) AS n
 USING (focus)
"""


@dataclass(frozen=True)
class Server:
    """How durable a commit is, and the postmaster's process id if it runs here."""

    version: str
    fsync: bool
    synchronous_commit: str
    backend_pid: int | None


@contextmanager
def own_database(url: str, name: str) -> Iterator[str]:
    """Make a database on a server, lend its URL, and drop it; raises StorageError."""
    connection = open_connection(url)
    try:
        connection.execute(SQL("CREATE DATABASE {}").format(Identifier(name)))
    except psycopg.Error as error:
        connection.close()
        raise storage_error(error) from None
    try:
        yield make_conninfo(url, dbname=name)
    finally:
        connection.close()
        # The first connection may have been cut while the load ran.
        with open_connection(url) as last:
            last.execute(SQL("DROP DATABASE {} WITH (FORCE)").format(Identifier(name)))


def read_server(tx: Tx) -> Server:
    """Return what a commit is worth here; the process id only of a local server."""
    row = tx.execute(
        "SELECT current_setting('server_version') AS version, "
        "current_setting('fsync') = 'on' AS fsync, "
        "current_setting('synchronous_commit') AS synchronous_commit, "
        "CASE WHEN coalesce(host(inet_server_addr()) IN ('127.0.0.1', '::1'), true) "
        "THEN pg_backend_pid() END AS backend_pid"
    ).fetchone()
    assert row is not None
    return Server(**row)


def insert_plainly(
    connection: Tx, subscription_id: str, body: bytes, focus: str, now: datetime
) -> None:
    """Commit the rows of one delivery with one plain statement each: the floor."""
    with connection.transaction():
        row = connection.execute(
            "INSERT INTO notification (subscription_id, received_at, method, path, "
            "headers, body, type, form, state) VALUES (%s, %s, 'POST', '', '{}', %s, "
            "'event-notification', 'r4-backport', 'stored') RETURNING id",
            (subscription_id, now, body),
        ).fetchone()
        assert row is not None
        connection.execute(
            "INSERT INTO tally (notification_id, subscription_id, received_at, type) "
            "VALUES (%s, %s, %s, 'event-notification')",
            (row["id"], subscription_id, now),
        )
        connection.execute(
            "INSERT INTO inbox (key, endpoint_id, subscription_id, notification_id, "
            "source, focus, version, resource_type, shard, received_at, due_at) SELECT "
            "%s, endpoint_id, id, %s, 'push', %s, '7', 'Encounter', 0, %s, %s "
            "FROM subscription WHERE id = %s",
            (f"{subscription_id}|{focus}", row["id"], focus, now, now, subscription_id),
        )


def count_stored(
    tx: Tx, subscription_id: str, foci: Sequence[str]
) -> tuple[int, int, int]:
    """Count deliveries by focus: stored once, missing, and doubled.

    Stored means: one raw notification whose body names the focus, with its inbox row.
    """
    rows = tx.execute(_STORED, (subscription_id,)).fetchall()
    stored = {row["focus"]: int(row["rows"]) for row in rows}
    found = [stored.get(focus, 0) for focus in foci]
    return (
        found.count(1),
        found.count(0),
        sum(1 for focus, rows in stored.items() if focus and rows > 1),
    )


def permit_email(
    tx: Tx, endpoint_id: str, first: int, count: int, now: datetime
) -> None:
    """Record that the benchmark's patients of these numbers permit e-mails."""
    tx.execute(
        "INSERT INTO consent (id, endpoint_id, patient, system, value, topic, permit, "
        "who, how, recorded_at) SELECT 'bench-' || n, %(endpoint)s, 'Patient/p' || n, "
        "'email', 'p' || n || '@bench.example.org', '*', true, 'patient', 'paper', "
        "%(now)s FROM generate_series(%(first)s::bigint, %(last)s::bigint) AS n",
        {
            "endpoint": endpoint_id,
            "now": now,
            "first": first,
            "last": first + count - 1,
        },
    )


def permit(
    tx: Tx,
    endpoint_id: str,
    people: Sequence[tuple[str, str, str]],
    zone: str,
    now: datetime,
) -> None:
    """Record that these people permit messages, and where they are.

    Each is a patient's reference, a channel and the address.
    """
    with tx.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO consent (id, endpoint_id, patient, system, value, topic, "
            "permit, who, how, recorded_at) VALUES "
            "(%(id)s, %(endpoint)s, %(patient)s, %(channel)s, %(address)s, '*', true, "
            "'patient', 'paper', %(now)s)",
            [
                {
                    "id": f"bench-{patient}",
                    "endpoint": endpoint_id,
                    "patient": patient,
                    "channel": channel,
                    "address": address,
                    "now": now,
                }
                for patient, channel, address in people
            ],
        )
    tx.execute(
        "INSERT INTO preference (id, endpoint_id, patient, name, value, who, how, "
        "recorded_at) SELECT 'zone-' || patient, %s, patient, 'zone', "
        "to_jsonb(%s::text), 'staff', 'paper', %s FROM unnest(%s::text[]) AS p(patient)",
        (endpoint_id, zone, now, [patient for patient, _, _ in people]),
    )


def plan_messages(
    tx: Tx, endpoint_id: str, count: int, patients: int, now: datetime
) -> None:
    """Plan so many messages, the first due in a day, for patients of their own."""
    values = {"endpoint": endpoint_id, "now": now, "last": count, "people": patients}
    tx.execute(
        "INSERT INTO event (id, key, endpoint_id, kind, patient, shard, focus, "
        "focus_version, occurred_at, received_at, source, state, due_at) VALUES "
        "('planned', 'planned', %(endpoint)s, 'patient-review', 'Patient/w', 0, "
        "'Patient/w', '1', %(now)s, %(now)s, 'push', 'done', %(now)s)",
        values,
    )
    tx.execute(
        "INSERT INTO nudge (id, key, endpoint_id, event_id, patient, shard, plan, "
        "plan_version, action, topic, focus, occasion, recipient, state, reason, "
        "due_at, expires_at, created_at) SELECT 'w' || n, 'w' || n, %(endpoint)s, "
        "'planned', 'Patient/w' || n %% %(people)s, n %% %(people)s %% 32, 'waiting', "
        "'1', 'wait', 'preventive', 'Patient/w' || n %% %(people)s, 'o' || n, "
        "'Patient/w' || n %% %(people)s, 'planned', 'due', "
        "%(now)s + interval '1 day' + n * interval '20 seconds', "
        "%(now)s + interval '400 days', %(now)s "
        "FROM generate_series(1, %(last)s) AS n",
        values,
    )
    tx.execute("ANALYZE nudge")


def list_decided(tx: Tx, keys: Sequence[str]) -> set[str]:
    """Return those of these events that are decided."""
    rows = tx.execute(
        "SELECT key FROM event WHERE key = ANY(%s) AND state = 'done'", (list(keys),)
    )
    return {row["key"] for row in rows}


def count_open(tx: Tx) -> tuple[int, int]:
    """Count the rows before DELIVER that wait, and those that were given up."""
    row = tx.execute(
        "SELECT count(*) FILTER (WHERE state = 'waiting') AS waiting, "
        "count(*) FILTER (WHERE state = 'dead') AS dead FROM "
        "(SELECT state FROM inbox WHERE state IN ('waiting', 'dead') UNION ALL "
        "SELECT state FROM event WHERE state IN ('waiting', 'dead')) AS work"
    ).fetchone()
    assert row is not None
    return int(row["waiting"]), int(row["dead"])


def count_deliveries(tx: Tx) -> dict[str, int]:
    """Count the messages that were handed over, and those that are not, by state."""
    rows = tx.execute(
        "SELECT coalesce(d.state, n.state || ' ' || n.reason) AS state, "
        "count(*) AS total FROM nudge AS n LEFT JOIN delivery AS d ON d.nudge_id = n.id "
        "WHERE n.action = 'check-in' GROUP BY 1"
    )
    return {row["state"]: row["total"] for row in rows}


def list_effects(tx: Tx, endpoint_id: str) -> dict[str, tuple[list[str], list[str]]]:
    """Return, by focus, the kinds of its events and the steps and states of its nudges."""
    rows = tx.execute(_EFFECTS, {"endpoint": endpoint_id})
    return {row["focus"]: (row["kinds"], row["steps"]) for row in rows}
