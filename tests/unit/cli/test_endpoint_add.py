"""What somebody is told who registers an EHR wrongly."""

from __future__ import annotations

from pathlib import Path

import click.testing
import pytest

from mappings.endpoint import CdsCaller
from middleware.cli.main import main
from middleware.storage.database import Database
from middleware.storage.endpoints import get_endpoint

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


def add(folder: Path, text: str, *options: str) -> click.testing.Result:
    file = folder / "endpoint.toml"
    file.write_text(text)
    words = ["endpoint", "add", str(file), *options]
    return click.testing.CliRunner().invoke(main, words)


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


ISSUER, KEYS = "https://ehr.example.org/cds", "https://ehr.example.org/cds/jwks.json"
CALLER = ("--cds-issuer", ISSUER, "--cds-keys", KEYS)
TABLE = """
[cds]
issuers = ["https://old.example.org"]
key_urls = ["https://old.example.org/jwks.json"]
tenants = ["t-1"]
"""


def caller_of(database: Database) -> CdsCaller:
    with database.tx() as tx:
        found = get_endpoint(tx, "north")
    assert found is not None
    return found.cds


def test_who_may_call_is_said_beside_the_file(
    tmp_path: Path, database: Database
) -> None:
    more = ("--cds-tenant", "t-2", "--cds-client-id", "carecue-cds")
    origins = ("--cds-origin", "https://a.example.org", "--cds-origin", "https://b.org")
    done = add(tmp_path, NORTH.format(id="north"), *CALLER, *more, *origins)
    assert done.exit_code == 0, done.output
    assert f"calls of {ISSUER} are believed, with keys of {KEYS}" in done.output
    assert caller_of(database) == CdsCaller(
        issuers=(ISSUER,),
        key_urls=(KEYS,),
        tenants=("t-2",),
        client_id="carecue-cds",
        origins=("https://a.example.org", "https://b.org"),
    )


def test_what_is_said_beside_the_file_goes_before_it_until_it_is_added_again(
    tmp_path: Path, database: Database
) -> None:
    text = NORTH.format(id="north") + TABLE
    assert add(tmp_path, text, *CALLER).exit_code == 0
    assert caller_of(database) == CdsCaller((ISSUER,), (KEYS,), ("t-1",))
    assert add(tmp_path, text).exit_code == 0
    assert caller_of(database).issuers == ("https://old.example.org",)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--cds-issuer", ISSUER), "needs both issuers and key_urls"),
        (
            ("--cds-issuer", ISSUER, "--cds-keys", "http://ehr.example.org/k"),
            "must be an https URL",
        ),
        ((*CALLER, "--cds-origin", "https://a.example.org/"), "origins have no path"),
    ],
)
def test_a_caller_that_cannot_be_believed_is_refused(
    tmp_path: Path, database: Database, options: tuple[str, ...], told: str
) -> None:
    done = add(tmp_path, NORTH.format(id="north"), *options)
    assert done.exit_code == 2
    assert told in done.output
    with database.tx() as tx:
        assert get_endpoint(tx, "north") is None


def test_what_is_no_table_is_told_by_its_name(tmp_path: Path) -> None:
    done = add(tmp_path, 'cds = "x"' + NORTH.format(id="north"))
    assert done.exit_code == 2
    assert "needs a table for [cds]" in done.output
