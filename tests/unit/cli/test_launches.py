"""`carecue launches`: the id on the page leads to the way that a launch went."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import click.testing
import orjson
import pytest

from middleware.cli.main import main
from middleware.desk.launches import FAILED, LaunchBook, new_launch, note_step
from middleware.storage.database import Database
from middleware.storage.launches import MOST_FAILURES, list_failures
from smart_app.remedies import REMEDIES

NOW = datetime(2026, 11, 20, 23, 0, tzinfo=UTC)
GOOD, EARLY = "3f2b6c1e-5a0d", "77aa6c1e-5a0d"


@pytest.fixture
def book(
    database: Database,
    database_url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> LaunchBook:
    monkeypatch.setenv("CARECUE_DATABASE_URL", database_url)
    monkeypatch.setenv("CARECUE_HOME", str(tmp_path / "home"))
    kept = LaunchBook(database)
    launch = new_launch(
        id=GOOD,
        endpoint_id="north",
        state_hash="s",
        cookie_hash="c",
        sealed=b"",
        created_at=NOW,
        expires_at=NOW + timedelta(minutes=10),
    )
    note_step(launch, NOW, "asked", scope="launch openid")
    note_step(launch, NOW, "failed", code="C4", said="access_denied: not today")
    kept.insert(replace(launch, stage=FAILED, error="C4"))
    kept.insert_failure(EARLY, "D2", "north", "jwks_uri", NOW + timedelta(seconds=1))
    return kept


def run(*words: str) -> click.testing.Result:
    return click.testing.CliRunner().invoke(main, ["launches", *words])


@pytest.mark.usefixtures("book")
def test_the_short_id_of_the_page_leads_to_the_steps() -> None:
    done = run("show", GOOD[:8], "--json")
    told = orjson.loads(done.output)
    assert (told["code"], told["endpoint"]) == ("C4", "north")
    assert told["step"] == "Coming back from the EHR's sign-in"
    assert [step["step"] for step in told["steps"]] == ["asked", "failed"]
    assert told["said"] == "access_denied: not today"
    assert told["do"] == REMEDIES["C4"]
    assert "access_denied: not today" in run("show", GOOD[:8]).output


@pytest.mark.usefixtures("book")
def test_a_failure_before_there_was_a_launch_is_found_too() -> None:
    done = run("show", EARLY[:8])
    for told in ("D2", "Asking the EHR how to sign in", "north", "jwks_uri"):
        assert told in done.output
    assert REMEDIES["D2"] in done.output


@pytest.mark.usefixtures("book")
def test_the_list_holds_both_newest_first() -> None:
    rows = orjson.loads(run("list", "--json").output)["launches"]
    assert [row["id"] for row in rows] == [EARLY, GOOD]


@pytest.mark.usefixtures("book")
@pytest.mark.parametrize("given", ["00000000", "%", "x'; --"])
def test_an_id_of_nothing_is_bad_input(given: str) -> None:
    done = run("show", given)
    assert done.exit_code == 2


def test_failures_without_a_launch_do_not_pile_up(
    book: LaunchBook, database: Database
) -> None:
    with database.tx() as tx:
        tx.execute(
            "INSERT INTO launch_failure (id, at, code) SELECT 'old-' || n, "
            "%s - n * interval '1 second', 'L1' FROM generate_series(1, 2500) AS g(n)",
            (NOW,),
        )
    book.insert_failure("newest", "L1", None, "", NOW + timedelta(minutes=1))
    with database.tx() as tx:
        kept = list_failures(tx, 5000)
    assert len(kept) == MOST_FAILURES
    assert kept[0].id == "newest"


def test_a_launch_is_told_by_ids_and_codes_alone(book: LaunchBook) -> None:
    launch = book.get(GOOD)
    assert launch is not None
    named = [{"role": "launch", "reference": "Encounter/e1"}]
    known = {"tenant": "t-7", "intent": "summary", "fhir_context": named}
    book.update(
        replace(
            launch,
            patient="Patient/rosa",
            user_name="Dr. Abena Osei",
            user_reference="Practitioner/osei",
            sealed=b"sealed-token",
            context=known,
        )
    )
    told = orjson.loads(run("show", GOOD, "--json").output)
    assert told["context"] == known
    assert told["patient"] == "Patient/rosa"
    for words in (("show", GOOD), ("show", GOOD, "--json"), ("list",)):
        output = run(*words).output
        for hidden in ("Abena", "sealed-token", "cookie_hash"):
            assert hidden not in output
