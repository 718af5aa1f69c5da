"""What somebody is told who registers an EHR wrongly."""

from __future__ import annotations

from pathlib import Path

import click.testing
import pytest

from middleware.cli.main import main
from middleware.storage.database import Database

NORTH = """
id = "{id}"
name = "Northside"
fhir_base = "https://ehr.example.org/fhir"
[site]
name = "Northside Clinic"
phone = "+14155550100"
booking_url = "northside.example.org/book"
zone = "America/Los_Angeles"
"""


@pytest.fixture(autouse=True)
def _here(
    database_url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    own_logging: None,
) -> None:
    monkeypatch.setenv("CARECUE_DATABASE_URL", database_url)
    monkeypatch.setenv("CARECUE_HOME", str(tmp_path / "home"))


def add(folder: Path, text: str) -> click.testing.Result:
    file = folder / "endpoint.toml"
    file.write_text(text)
    return click.testing.CliRunner().invoke(main, ["endpoint", "add", str(file)])


def test_what_a_file_lacks_is_told_by_its_names(tmp_path: Path) -> None:
    lacking = NORTH.format(id="north").replace('zone = "America/Los_Angeles"\n', "")
    done = add(tmp_path, lacking.replace('phone = "+14155550100"\n', ""))
    assert done.exit_code == 2
    assert "[site] is not complete: it needs phone, zone." in done.output
    assert "__init__" not in done.output


def test_a_second_endpoint_for_one_server_is_refused_by_the_name_of_the_first(
    tmp_path: Path, database: Database
) -> None:
    assert add(tmp_path, NORTH.format(id="north")).exit_code == 0
    done = add(tmp_path, NORTH.format(id="south"))
    assert done.exit_code == 2
    assert "The endpoint north has this fhir_base already" in done.output
    assert add(tmp_path, NORTH.format(id="north")).exit_code == 0
    with database.tx() as tx:
        rows = tx.execute("SELECT id FROM endpoint").fetchall()
    assert [row["id"] for row in rows] == ["north"]
