"""Migrated, empty databases for tests: copied once, swept clean between tests.

A database that a test left with open connections or another schema is dropped. One
connection to each stays open between tests: it knows the tables already, which a new one
would look up first.
"""

from __future__ import annotations

import itertools
import os
from urllib.parse import urlsplit, urlunsplit

import psycopg
from psycopg.rows import scalar_row

from middleware.storage.database import Database
from middleware.storage.migrate import migrate

_OTHERS = """
SELECT count(*) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid()
  AND backend_type = 'client backend'
"""
_SHAPE = """
SELECT (SELECT string_agg(c.oid::text || c.relname || coalesce(c.relchecks, 0)
          || (SELECT count(*) FROM pg_attribute a WHERE a.attrelid = c.oid),
          ',' ORDER BY c.oid)
        FROM pg_class c WHERE relnamespace = 'public'::regnamespace)
    || (SELECT string_agg(name, ',' ORDER BY name) FROM schema_version)
"""
# One query for each table and sequence: what makes it empty, if it is not. A table of a
# page is deleted from, which is far cheaper than new files for it and its indexes; rows
# still come in the order in which they were written. What grew beyond gets its new files.
_LEAVINGS = """
SELECT format(
    'SELECT CASE WHEN pg_relation_size(%L) > 8192 THEN %L ELSE %L END '
    'WHERE EXISTS (SELECT FROM %I)',
    relname, format('TRUNCATE %I CASCADE', relname), format('DELETE FROM %I', relname),
    relname
) FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace
    AND relname NOT IN ('clock', 'schema_version')
UNION ALL
SELECT format(
    'SELECT %L FROM %I WHERE is_called',
    format('SELECT setval(%L, %s, false)', sequencename, start_value), sequencename
) FROM pg_sequences WHERE schemaname = 'public'
"""
_RESET_CLOCK = "UPDATE clock SET offset_seconds = 0 WHERE offset_seconds <> 0"

Connection = psycopg.Connection[object]


def with_name(url: str, name: str) -> str:
    """Return the URL of another database on the same server."""
    parts = urlsplit(url)
    netloc = parts.netloc or "postgres@"
    return urlunsplit((parts.scheme, netloc, f"/{name}", parts.query, ""))


def _open(url: str) -> Connection:
    """Open a connection that deletes in any order: no foreign key is looked at."""
    connection = psycopg.connect(url, autocommit=True, row_factory=scalar_row)
    connection.execute("SET session_replication_role = replica")
    return connection


class Databases:
    """Databases on one server, all copies of one that was migrated."""

    def __init__(self, server_url: str) -> None:
        self._server_url = server_url
        self._numbers = itertools.count(1)
        self._free: list[str] = []
        self._names: list[str] = []
        self._sweepers: dict[str, Connection] = {}
        self._template = self._new("")
        url = with_name(server_url, self._template)
        database = Database(url, pool_size=1)
        migrate(database)
        database.close()
        with _open(url) as connection:
            self._shape = connection.execute(_SHAPE).fetchone()
            queries = connection.execute(_LEAVINGS).fetchall()
        self._leavings = " UNION ALL ".join(f"({query})" for query in queries)

    def take(self) -> str:
        """Return the URL of an empty database that nobody else uses."""
        name = (
            self._free.pop()
            if self._free
            else self._new(f'TEMPLATE "{self._template}"')
        )
        return with_name(self._server_url, name)

    def copy(self, url: str) -> str:
        """Return the URL of a copy of a database that nobody is connected to."""
        name = urlsplit(url).path.strip("/")
        self._leave(name)
        return with_name(self._server_url, self._new(f'TEMPLATE "{name}"'))

    def give_back(self, url: str) -> None:
        """Sweep a database for the next test."""
        name = urlsplit(url).path.strip("/")
        if self._swept(name, url):
            self._free.append(name)
        else:
            self._drop(name)

    def close(self) -> None:
        """Drop them all."""
        for name in list(self._names):
            self._drop(name)

    def _swept(self, name: str, url: str) -> bool:
        try:
            connection = self._sweepers.get(name) or _open(url)
            self._sweepers[name] = connection
            for _ in range(1000):
                if connection.execute(_OTHERS).fetchone() == 0:
                    break
            else:
                return False
            found = connection.execute(self._leavings, prepare=True).fetchall()
            connection.execute("; ".join([*map(str, found), _RESET_CLOCK]))
            shape = connection.execute(_SHAPE).fetchone()
        except psycopg.Error:
            return False
        return shape == self._shape

    def _new(self, source: str) -> str:
        name = f"carecue_test_{os.getpid()}_{next(self._numbers)}"
        with psycopg.connect(self._server_url, autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{name}" {source}')
        self._names.append(name)
        return name

    def _leave(self, name: str) -> None:
        if name in self._sweepers:
            self._sweepers.pop(name).close()

    def _drop(self, name: str) -> None:
        self._leave(name)
        with psycopg.connect(self._server_url, autocommit=True) as connection:
            connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
        self._names.remove(name)
