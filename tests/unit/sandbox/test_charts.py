"""Relative dates, the people, and directories of Bundles."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import orjson
import pytest

from middleware.sandbox.app import Options, create_app
from middleware.sandbox.charts import resolve_placeholders
from tests.unit.sandbox.fhir_rig import Fhir

CHICAGO = ZoneInfo("America/Chicago")
START = datetime(2026, 3, 6, 15, 20, 30, 400, tzinfo=UTC)


@pytest.mark.parametrize(
    ("written", "resolved"),
    [
        ("@{now}", "2026-03-06T09:20:30-06:00"),
        ("@{-2h}", "2026-03-06T07:20:30-06:00"),
        ("@{+90m}", "2026-03-06T10:50:30-06:00"),
        ("@{-1d}", "2026-03-05T09:20:30-06:00"),
        ("@{+3d}", "2026-03-09T09:20:30-05:00"),
        ("@{+72h}", "2026-03-09T10:20:30-05:00"),
        ("@{+3d 09:30}", "2026-03-09T09:30:00-05:00"),
        ("@{now 08:00}", "2026-03-06T08:00:00-06:00"),
        ("@{+1w 08:00}", "2026-03-13T08:00:00-05:00"),
        ("@{-400d date}", "2025-01-30"),
        ("@{now date}", "2026-03-06"),
        ("From @{now date} on", "From 2026-03-06 on"),
        ("me@example.org", "me@example.org"),
    ],
)
def test_placeholder_is_counted_from_the_start_in_the_site_zone(written, resolved):
    assert resolve_placeholders(written, START, CHICAGO) == resolved


def test_placeholders_are_resolved_everywhere_and_the_input_is_kept():
    value = {"a": ["@{now date}", 1, None, {"b": "@{-1d date}"}], "c": True}
    resolved = resolve_placeholders(value, START, CHICAGO)
    expected = {"a": ["2026-03-06", 1, None, {"b": "2026-03-05"}], "c": True}
    assert resolved == expected
    assert value["a"][0] == "@{now date}"


@pytest.mark.parametrize("text", ["@{soon}", "@{3d}", "@{+3d 9:30}", "@{+3y}", "@{}"])
def test_placeholder_of_no_known_form_is_refused_by_name(text):
    with pytest.raises(ValueError, match="is no relative date"):
        resolve_placeholders(text, START, CHICAGO)


def test_late_night_start_keeps_the_local_day():
    late = datetime(2026, 3, 7, 4, 0, tzinfo=UTC)
    assert resolve_placeholders("@{now date}", late, CHICAGO) == "2026-03-06"


def test_people_are_loaded_once_and_are_no_news(tmp_path):
    start = datetime(2026, 3, 2, 15, tzinfo=UTC)
    with Fhir(tmp_path, people=True, start=start) as server:
        people = server.get("/Patient?_summary=count").json["total"]
        newest = server.store.log()[-1].instant
        assert people >= 12
        assert newest < start
        count = len(server.store.log())
    with Fhir(tmp_path, people=True, start=start) as again:
        assert len(again.store.log()) == count


def write_bundle(folder: Path, name: str, *resources: dict) -> None:
    entries = [
        {
            "fullUrl": f"urn:uuid:{resource.pop('_urn')}",
            "resource": resource,
            "request": {"method": "POST", "url": resource["resourceType"]},
        }
        for resource in resources
    ]
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": entries}
    (folder / name).write_bytes(orjson.dumps(bundle))


def synthetic(folder: Path) -> None:
    write_bundle(
        folder,
        "Asa.json",
        {"_urn": "p", "resourceType": "Patient", "name": [{"family": "Berg"}]},
        {
            "_urn": "e",
            "resourceType": "Encounter",
            "status": "finished",
            "class": {"code": "AMB"},
            "subject": {"reference": "urn:uuid:p"},
            "serviceProvider": {
                "reference": "Organization?identifier=urn:site|1",
            },
        },
    )
    write_bundle(
        folder,
        "hospitalInformation1.json",
        {
            "_urn": "o",
            "resourceType": "Organization",
            "name": "Northside",
            "identifier": [{"system": "urn:site", "value": "1"}],
        },
    )


def test_directory_of_bundles_is_loaded_with_the_hospitals_first(tmp_path):
    folder, data = tmp_path / "synthea", tmp_path / "data"
    folder.mkdir()
    synthetic(folder)
    with Fhir(data, load_dir=folder) as server:
        (id_,) = server.found("/Patient?family=Berg")
        bundle = server.get(f"/Encounter?patient={id_}").json
        provider = bundle["entry"][0]["resource"]["serviceProvider"]["reference"]
        assert server.get(f"/{provider}").json["name"] == "Northside"
        count = len(server.store.log())
    with Fhir(data, load_dir=folder) as again:
        assert len(again.store.log()) == count


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b"{", "Bad.json was not loaded"),
        (b'{"resourceType":"Patient"}', "Bundle was addressed"),
    ],
)
def test_file_that_cannot_be_loaded_is_named(tmp_path, text, words):
    (tmp_path / "Bad.json").write_bytes(text)
    options = Options(base_url="http://127.0.0.1:1", people=False, load_dir=tmp_path)
    with pytest.raises(ValueError, match=words):
        create_app(options)


def test_empty_directory_is_refused(tmp_path):
    options = Options(base_url="http://127.0.0.1:1", people=False, load_dir=tmp_path)
    with pytest.raises(ValueError, match="holds no"):
        create_app(options)


def test_control_api_moves_the_clock_and_refuses_nonsense():
    with Fhir() as server:
        moved = server.http.post(
            "/sandbox/clock", json={"now": "2026-03-02T09:00:00-06:00"}
        )
        assert moved.json["now"].startswith("2026-03-02T15:00:0")
        before = server.clock.now()
        server.http.post("/sandbox/clock", json={"advance_seconds": 3600})
        assert server.clock.now() - before >= timedelta(hours=1)
        now = server.http.get("/sandbox/clock").json["now"]
        assert datetime.fromisoformat(now) >= before + timedelta(hours=1)
        for bad in (
            {"now": "2026-03-02T09:00:00"},
            {"now": "soon"},
            {"now": 5},
            {"advance_seconds": "1"},
            {"advance_seconds": True},
            {"advance_seconds": 10**18},
            {},
            [],
        ):
            assert server.http.post("/sandbox/clock", json=bad).status_code == 400
        assert server.http.get("/sandbox/health").json == {"status": "ok"}


def test_resources_are_stamped_with_simulated_time():
    with Fhir(start=datetime(2031, 5, 1, 12, tzinfo=UTC)) as server:
        answer = server.post({"resourceType": "Patient"})
        assert answer.json["meta"]["lastUpdated"].startswith("2031-05-01T12:00:0")
