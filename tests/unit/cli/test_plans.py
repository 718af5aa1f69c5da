"""`carecue plan`: what is given is checked whole before anything changes."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click.testing
import orjson
import pytest

from mappings.content import shipped_resources
from mappings.endpoint import AppClient, BackendClient, Endpoint, EndpointKind, Site
from mappings.errors import ContentError
from mappings.plan import Library
from middleware.cli.main import main
from middleware.clock import FixedClock
from middleware.decisions.prefetch import data_queries
from middleware.storage import endpoints
from middleware.storage.database import Database
from middleware.wiring.contents import Contents

NOW = datetime(2026, 11, 20, 23, 0, tzinfo=UTC)
Run = Callable[..., click.testing.Result]
NORTH = Endpoint(
    id="north",
    name="North",
    kind=EndpointKind.SANDBOX,
    fhir_base="http://localhost/fhir",
    backend=BackendClient(),
    app=AppClient(),
    site=Site(
        name="Northside Clinic",
        phone="(312) 555-0100",
        booking_url="https://northside.example.org/b",
        zone="America/Chicago",
        reviewers={"es": "L. Ortiz"},
    ),
)


def shipped(name: str) -> dict[str, Any]:
    found = next(item for item in shipped_resources() if item["id"] == name)
    return copy.deepcopy(found)


def changed(name: str, version: str = "1.1.0", **changes: Any) -> dict[str, Any]:
    return {**shipped(name), "version": version, **changes}


@pytest.fixture
def run(
    database: Database,
    database_url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Run:
    monkeypatch.setenv("CARECUE_DATABASE_URL", database_url)
    monkeypatch.setenv("CARECUE_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("CARECUE_CONTENT_DIR", raising=False)
    (tmp_path / "home").mkdir()
    with database.tx() as tx:
        endpoints.insert_endpoint(tx, NORTH, NOW)

    def invoke(*arguments: str) -> click.testing.Result:
        return click.testing.CliRunner().invoke(main, ["plan", *arguments])

    return invoke


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "content"
    place.mkdir()
    return place


def put(folder: Path, resource: object, name: str = "one.json") -> Path:
    file = folder / name
    file.write_bytes(
        resource if isinstance(resource, bytes) else orjson.dumps(resource)
    )
    return file


def count(database: Database) -> int:
    with database.tx() as tx:
        row = tx.execute("SELECT count(*) AS n FROM content").fetchone()
    assert row is not None
    return int(row["n"])


def libraries(database: Database, folder: Path | None = None) -> Callable[..., Library]:
    contents = Contents(database, FixedClock(NOW), folder, look_seconds=0)
    return lambda endpoint=NORTH: contents.library(endpoint)


def titles(library: Library) -> dict[str, str]:
    return {plan.id: f"{plan.title} {plan.version}" for plan in library.plans}


# --- import -----------------------------------------------------------------------


def test_import_replaces_a_shipped_plan_by_a_higher_version(
    run: Run, folder: Path, database: Database
) -> None:
    library = libraries(database)
    before = library()
    assert titles(before)["no-show"].endswith("1.0.0")
    assert library() is before
    put(folder, changed("no-show", title="Missed visits"))
    done = run("import", str(folder), "--by", "Dr. L. Ferrer", "--json")
    assert orjson.loads(done.stdout) == {"imported": 1, "endpoint": None}
    assert titles(library())["no-show"] == "Missed visits 1.1.0"
    assert len(library().plans) == len(before.plans)
    with database.tx() as tx:
        stored = tx.execute("SELECT * FROM content").fetchall()
        audited = tx.execute("SELECT * FROM audit").fetchall()
    assert [(row["url"], row["version"], row["imported_by"]) for row in stored] == [
        (shipped("no-show")["url"], "1.1.0", "Dr. L. Ferrer")
    ]
    assert [(row["who"], row["action"]) for row in audited] == [
        ("Dr. L. Ferrer", "plan-import")
    ]


def test_nobody_asks_for_what_an_ehr_does_not_have(database: Database) -> None:
    library = libraries(database)
    kinds = {query.partition("?")[0] for query in data_queries(library(), "Patient/1")}
    lacking = replace(NORTH, profile={"unsupported": ["Flag", "RiskAssessment"]})
    fewer = {
        query.partition("?")[0] for query in data_queries(library(lacking), "Patient/1")
    }
    assert kinds - fewer == {"Flag", "RiskAssessment"}
    assert fewer < kinds
    again = {query.partition("?")[0] for query in data_queries(library(), "Patient/1")}
    assert again == kinds


def test_import_for_one_site_leaves_the_others_alone(
    run: Run, folder: Path, database: Database
) -> None:
    put(folder, changed("no-show", title="Missed visits"))
    assert run("import", str(folder), "--endpoint", "north").exit_code == 0
    library = libraries(database)
    south = Endpoint(
        **{**vars(NORTH), "id": "south", "fhir_base": "http://localhost/s"}
    )
    assert titles(library())["no-show"] == "Missed visits 1.1.0"
    assert titles(library(south))["no-show"].endswith("1.0.0")


def test_same_version_again_changes_nothing(
    run: Run, folder: Path, database: Database
) -> None:
    put(folder, changed("no-show"))
    assert "Imported 1 of 1" in run("import", str(folder)).stdout
    assert "Imported 0 of 1" in run("import", str(folder)).stdout
    assert count(database) == 1


def test_retired_version_takes_a_plan_out(
    run: Run, folder: Path, database: Database
) -> None:
    put(folder, changed("no-show", status="retired"))
    assert run("import", str(folder)).exit_code == 0
    assert "no-show" not in titles(libraries(database)())


def _broken_condition() -> dict[str, Any]:
    plan = changed("no-show")
    action = plan["action"][0]
    expression = {
        "name": "not-applicable",
        "description": "It breaks.",
        "language": "text/fhirpath",
        "expression": "%focus.noSuchFunction()",
    }
    action["condition"] = [{"kind": "applicability", "expression": expression}]
    return plan


def _unknown_definition() -> dict[str, Any]:
    plan = changed("no-show")
    step = plan["action"][0]["action"][0]
    step["definitionCanonical"] = "https://example.org/nothing"
    return plan


def _bad_wording() -> dict[str, Any]:
    message = changed("no-show-rebook")
    parts = message["extension"][0]["extension"]
    text = next(part for part in parts if part["url"] == "text")
    text["valueString"] = "Cancer clinic says hello"
    return message


def _bad_code() -> dict[str, Any]:
    values = changed("stool-blood-test")
    values["compose"]["include"] = [
        {"system": "http://loinc.org", "concept": [{"code": "29771-4"}]}
    ]
    return values


BAD = [
    (b"{", ("one.json", "line 1", "not JSON")),
    ({"a": 1}, ("one.json", "resourceType")),
    ({"resourceType": "Patient", "id": "p"}, ("one.json", "Patient/p", "none of")),
    ({"resourceType": "ValueSet", "id": "v"}, ("one.json", "ValueSet/v", "url")),
    (changed("no-show", "1.x"), ("one.json", "no-show", "version '1.x'")),
    (changed("no-show", "1.0.0", title="x"), ("one.json", "no-show", "not higher")),
    (changed("no-show", "0.9"), ("one.json", "no-show", "not higher than 1.0.0")),
    (changed("no-show", date="soon"), ("one.json", "PlanDefinition/no-show", "date")),
    (
        changed("no-show", action=[{"id": "x", "title": 5}]),
        ("one.json", "action[0].title"),
    ),
    (_broken_condition(), ("no-show", "gives no yes or no")),
    (_unknown_definition(), ("one.json", "no-show", "https://example.org/nothing")),
    (_bad_wording(), ("no-show-rebook", "sms")),
    (_bad_code(), ("ValueSet/stool-blood-test", "concept", "29771-4")),
    (changed("no-show", id="colorectal"), ("one.json", "colorectal", "id is that of")),
    (
        changed("no-show", lastReviewDate="2023-01-01"),
        ("PlanDefinition/no-show", "lastReviewDate", "24 months"),
    ),
]


@pytest.mark.parametrize(("resource", "words"), BAD, ids=[item[1][-1] for item in BAD])
def test_bad_content_is_named_and_changes_nothing(
    run: Run, folder: Path, database: Database, resource: object, words: tuple[str, ...]
) -> None:
    put(folder, changed("ed-followup", title="Fine"), "fine.json")
    put(folder, resource)
    done = run("import", str(folder))
    assert done.exit_code == 2
    (line,) = [item for item in done.stderr.splitlines() if item.startswith("carecue:")]
    assert [word for word in words if word not in line] == []
    assert count(database) == 0


def test_import_for_an_unknown_site_is_refused(run: Run, folder: Path) -> None:
    put(folder, changed("no-show"))
    done = run("import", str(folder), "--endpoint", "nowhere")
    assert (done.exit_code, "There is no endpoint nowhere" in done.stderr) == (2, True)


# --- list, export, check ----------------------------------------------------------


def test_list_tells_status_period_words_and_source(run: Run, folder: Path) -> None:
    soon = changed("no-show", effectivePeriod={"end": "2099-01-01"}, title="Mine")
    put(folder, soon)
    put(folder, changed("ed-followup", status="retired"), "two.json")
    assert run("import", str(folder), "--by", "me").exit_code == 0
    rows = orjson.loads(run("list", "--endpoint", "north", "--json").stdout)["plans"]
    found = {row["id"]: row for row in rows}
    mine = found["no-show"]
    assert (mine["status"], mine["version"], mine["source"]) == (
        "on",
        "1.1.0",
        "imported by me",
    )
    assert (mine["effective_end"], mine["warning"]) == ("2099-01-01", "")
    assert mine["reviewed"]["es"] is True
    assert found["ed-followup"]["status"] == "retired"
    everywhere = orjson.loads(run("list", "--json").stdout)["plans"]
    assert everywhere[0]["reviewed"] == {
        "en": True,
        "es": False,
        "vi": False,
        "zh-Hans": False,
        "ar": False,
    }


def test_list_tells_which_plans_wait_for_the_site(
    run: Run, folder: Path, database: Database
) -> None:
    plan = changed("no-show")
    url = "https://carecue.example.org/fhir/StructureDefinition/default-on"
    plan["extension"].append({"url": url, "valueBoolean": False})
    put(folder, plan)
    assert run("import", str(folder)).exit_code == 0

    def status() -> str:
        rows = orjson.loads(run("list", "--endpoint", "north", "--json").stdout)[
            "plans"
        ]
        return next(str(row["status"]) for row in rows if row["id"] == "no-show")

    assert status() == "off"
    site = Site(**{**vars(NORTH.site), "plans_on": ("no-show",)})
    with database.tx() as tx:
        endpoints.update_endpoint(tx, Endpoint(**{**vars(NORTH), "site": site}))
    assert status() == "on"


def test_export_can_be_imported_again(run: Run, tmp_path: Path) -> None:
    place = tmp_path / "out"
    written = orjson.loads(run("export", "--to", str(place), "--json").stdout)
    assert written == {"written": len(shipped_resources())}
    bundle = orjson.loads(run("export").stdout)
    assert len(bundle["entry"]) == len(shipped_resources())
    assert orjson.loads(run("import", str(place), "--json").stdout)["imported"] > 0


def test_check_finds_content_that_has_lapsed(run: Run) -> None:
    assert run("check").exit_code == 0
    late = run("check", "--now", "2028-01-02T00:00:00Z")
    assert late.exit_code == 1
    assert "PlanDefinition/no-show: effectivePeriod.end: 2027-12-31 has passed" in (
        late.stdout
    )


# --- the folder -------------------------------------------------------------------


def test_folder_is_used_and_a_change_is_noticed(
    database: Database, folder: Path
) -> None:
    library = libraries(database, folder)
    assert titles(library())["no-show"].endswith("1.0.0")
    put(folder, changed("no-show", title="Missed visits"))
    assert titles(library())["no-show"] == "Missed visits 1.1.0"
    put(folder, b"{")
    assert titles(library())["no-show"] == "Missed visits 1.1.0"


def test_process_that_never_read_good_content_says_so(
    database: Database, folder: Path
) -> None:
    put(folder, b"{")
    with pytest.raises(ContentError, match=r"one\.json: line 1"):
        libraries(database, folder)()


def test_plans_that_are_off_are_not_read_for(database: Database) -> None:
    site = Site(**{**vars(NORTH.site), "plans_off": ("colorectal",)})
    library = libraries(database)(Endpoint(**{**vars(NORTH), "site": site}))
    assert "colorectal" not in titles(library)
