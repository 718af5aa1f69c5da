"""Migrated, empty databases for tests: copied once, swept clean between tests.

A database that a test left with open connections or another schema is dropped.
"""

from __future__ import annotations

import itertools
import os
from urllib.parse import urlsplit, urlunsplit

import psycopg

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
_SWEEP = """
DO $$ DECLARE name text; found boolean; filled text[] := '{}'; BEGIN
    FOR name IN SELECT format('%I', relname) FROM pg_class WHERE relkind = 'r'
        AND relnamespace = 'public'::regnamespace
        AND relname NOT IN ('clock', 'schema_version')
    LOOP
        EXECUTE 'SELECT EXISTS (SELECT 1 FROM ' || name || ')' INTO found;
        IF found THEN filled := filled || name; END IF;
    END LOOP;
    IF filled <> '{}' THEN
        EXECUTE 'TRUNCATE ' || array_to_string(filled, ', ') || ' CASCADE';
    END IF;
    FOR name IN SELECT format('%I', sequencename) FROM pg_sequences
        WHERE schemaname = 'public' AND last_value IS NOT NULL
    LOOP
        EXECUTE 'ALTER SEQUENCE ' || name || ' RESTART';
    END LOOP;
    UPDATE clock SET offset_seconds = 0 WHERE offset_seconds <> 0;
END $$
"""


def with_name(url: str, name: str) -> str:
    """Return the URL of another database on the same server."""
    parts = urlsplit(url)
    netloc = parts.netloc or "postgres@"
    return urlunsplit((parts.scheme, netloc, f"/{name}", parts.query, ""))


class Databases:
    """Databases on one server, all copies of one that was migrated."""

    def __init__(self, server_url: str) -> None:
        self._server_url = server_url
        self._numbers = itertools.count(1)
        self._free: list[str] = []
        self._names: list[str] = []
        self._template = self._new("")
        database = Database(with_name(server_url, self._template), pool_size=1)
        migrate(database)
        database.close()

    def take(self) -> str:
        """Return the URL of an empty database that nobody else uses."""
        name = (
            self._free.pop()
            if self._free
            else self._new(f'TEMPLATE "{self._template}"')
        )
        return with_name(self._server_url, name)

    def give_back(self, url: str) -> None:
        """Sweep a database for the next test."""
        name = urlsplit(url).path.strip("/")
        if self._swept(url):
            self._free.append(name)
        else:
            self._drop(name)

    def close(self) -> None:
        """Drop them all."""
        for name in list(self._names):
            self._drop(name)

    def _swept(self, url: str) -> bool:
        try:
            with psycopg.connect(url, autocommit=True) as connection:
                for _ in range(1000):
                    if connection.execute(_OTHERS).fetchone() == (0,):
                        break
                else:
                    return False
                connection.execute(_SWEEP)
                shape = connection.execute(_SHAPE).fetchone()
        except psycopg.OperationalError:
            return False
        return shape == self._shape()

    def _shape(self) -> tuple[object, ...] | None:
        if not hasattr(self, "_known_shape"):
            url = with_name(self._server_url, self._template)
            with psycopg.connect(url, autocommit=True) as connection:
                self._known_shape = connection.execute(_SHAPE).fetchone()
        return self._known_shape

    def _new(self, source: str) -> str:
        name = f"carecue_test_{os.getpid()}_{next(self._numbers)}"
        with psycopg.connect(self._server_url, autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{name}" {source}')
        self._names.append(name)
        return name

    def _drop(self, name: str) -> None:
        with psycopg.connect(self._server_url, autocommit=True) as connection:
            connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
        self._names.remove(name)
