"""How often a page waits for the database before its first piece leaves.

Counted on the wire: libpq writes down each message of a real connection, and each
``Sync`` or ``Query`` that it sends is an answer that somebody waits for.
"""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from flask import Flask

from middleware.desk.desk import Desk
from middleware.desk.editing.drafts import DraftBook
from middleware.desk.launches import LaunchBook
from middleware.storage.database import Database
from smart_app.app import create_blueprint
from tests.unit.smart_app.acts import agree, words
from tests.unit.smart_app.conftest import OURS_HEADERS

SAID = "Text Rosa in Spanish, 9 AM to 8 PM."


class Wire:
    """The messages of a database's only connection."""

    def __init__(self, database: Database, path: Path) -> None:
        self._database = database
        self._path = path

    def count(self) -> int:
        """Return how many answers were waited for since the last time."""
        with self._database.single() as tx:
            tx.pgconn.untrace()
            lines = self._path.read_text().splitlines()
            self._file.close()
        sent = [line.split("\t") for line in lines if "\t" in line]
        return sum(
            "F" in fields and {"Sync", "Query"} & set(fields) != set()
            for fields in sent
        )

    def begin(self) -> None:
        """Count from here on."""
        self._file = self._path.open("w")
        with self._database.single() as tx:
            tx.pgconn.trace(self._file.fileno())


@pytest.fixture
def wire(rig, database_url: str, tmp_path: Path) -> Iterator[Wire]:
    """The app upon a database with one connection, whose messages are counted."""
    alone = Database(database_url, pool_size=1)
    context = replace(rig.ports.desk._context, database=alone)
    rig.ports = replace(
        rig.ports,
        launches=LaunchBook(alone),
        drafts=DraftBook(alone),
        desk=Desk(context),
    )
    app = Flask("wired")
    app.test_client_class = type(rig.http)
    app.register_blueprint(create_blueprint(rig.ports))
    rig.http.application = app
    yield Wire(alone, tmp_path / "wire")
    alone.close()


def first_piece(rig, path: str) -> str:
    answer = rig.http.get(path, buffered=False)
    piece = next(answer.iter_encoded()).decode()
    answer.close()
    return piece


def test_a_known_patients_first_piece_takes_one_round_trip(rig, wire):
    agree(rig)
    rig.clock.instant += timedelta(minutes=1)
    rig.http.get(rig.open())
    rig.clock.instant += timedelta(minutes=20)
    path = rig.open()
    # A page that was opened a while ago is used, which is noted after the first piece.
    for later in (timedelta(0), timedelta(minutes=5)):
        rig.clock.instant += later
        wire.begin()
        piece = first_piece(rig, path)
        assert wire.count() == 1
        assert SAID in words(piece)


def test_a_user_known_by_subject_alone_is_told_what_was_last_said(rig, wire):
    rig.app(unknown_users=True)
    rig.ehr.claims = {"fhirUser": None}
    agree(rig)
    rig.clock.instant += timedelta(minutes=1)
    rig.http.get(rig.open())
    assert SAID in words(first_piece(rig, rig.open()))


def test_what_was_last_said_is_found_in_a_chosen_language(rig, wire):
    agree(rig)
    rig.clock.instant += timedelta(minutes=1)
    path = rig.open()
    form = rig.form(path, language="es")
    rig.http.post(f"{path}language", data=form, headers=OURS_HEADERS)
    rig.http.get(path)
    assert "Se está comprobando la historia" in words(first_piece(rig, path))


def test_a_callback_waits_twice_before_the_exchange_and_commits_once(rig, wire):
    first = rig.http.get(
        "/smart/launch", query_string={"iss": rig.ehr.base, "launch": "opaque-1"}
    )
    code, state = rig.ehr.approve(first.location), rig.ehr.state(first.location)
    wire.begin()
    answer = rig.http.get(f"/smart/callback?code={code}&state={state}")
    # The launch, its state; then a transaction of three statements.
    assert wire.count() == 2 + 5
    assert answer.status_code == 303
