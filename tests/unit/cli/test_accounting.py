"""`carecue patient audit`: who saw and changed what of one patient, for their asking."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import click.testing
import orjson
import pytest
from fhir.resources.R4B import get_fhir_model_class

from mappings.audited import SEARCHED
from middleware.cli.main import main
from middleware.storage import endpoints, gate
from middleware.storage.audit import Viewing, insert_audit, insert_viewing
from middleware.storage.database import Database
from tests.stages.world import ENDPOINT

NOW = datetime(2026, 11, 20, 23, 0, tzinfo=UTC)
OSEI, ROSA = "Practitioner/osei", "Patient/rosa"


@pytest.fixture(autouse=True)
def audited(
    database: Database,
    database_url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CARECUE_DATABASE_URL", database_url)
    monkeypatch.setenv("CARECUE_HOME", str(tmp_path / "home"))
    with database.tx() as tx:
        endpoints.insert_endpoint(tx, ENDPOINT, NOW)
        for patient in (ROSA, "Patient/older", "Patient/tom"):
            gate.lock_patient(tx, ENDPOINT.id, patient)
            insert_viewing(tx, _look(patient))
        tx.execute(
            "UPDATE patient_lock SET merged_into = %s WHERE patient = 'Patient/older'",
            (ROSA,),
        )
        insert_audit(
            tx,
            OSEI,
            "preference-saved",
            NOW + timedelta(hours=1),
            endpoint_id=ENDPOINT.id,
            patient=ROSA,
            subject="why",
            detail={"value": "she sleeps badly"},
        )
        insert_audit(
            tx,
            "Practitioner/lee",
            SEARCHED,
            NOW + timedelta(hours=2),
            endpoint_id=ENDPOINT.id,
            subject="launch-2",
            detail={"by": ["mrn"], "count": 2, "patients": [ROSA, "Patient/tom"]},
        )


def _look(patient: str) -> Viewing:
    detail = {"view": "page", "read": {"Patient": 1, "Appointment": 2}}
    return Viewing(NOW, OSEI, ENDPOINT.id, patient, f"launch of {patient}", detail)


def run(*words: str) -> click.testing.Result:
    named = ("--patient", ROSA, "--endpoint", ENDPOINT.id)
    return click.testing.CliRunner().invoke(main, ["patient", "audit", *named, *words])


def test_everybody_who_saw_or_changed_something_is_listed_in_order() -> None:
    lines = run().output.splitlines()
    assert [line.split("  ")[2] for line in lines] == [
        "Saw the chart: the whole page",
        "Saw the chart: the whole page",
        "Saved a preference",
        "Searched for patients",
    ]
    assert "the whole page  Patient 1, Appointment 2" in lines[0]
    assert "launch of Patient/older" in lines[1], "a merged record is the same person"
    assert "Practitioner/lee" in lines[3]
    asked = "Asked who saw and changed what"
    assert asked in run().output, "asking is audited itself"


def test_no_word_of_a_chart_and_nobody_else_is_in_it() -> None:
    for words in ((), ("--json",), ("--fhir", "R4"), ("--fhir", "R5")):
        output = run(*words).output
        assert OSEI in output
        assert "sleeps badly" not in output
        assert "Patient/tom" not in output


def test_it_is_a_bundle_of_audit_events() -> None:
    bundle = orjson.loads(run("--fhir", "R4").output)
    get_fhir_model_class("Bundle").model_validate(bundle)
    events = [entry["resource"] for entry in bundle["entry"]]
    assert [event["resourceType"] for event in events] == ["AuditEvent"] * 4
    whom = [event["entity"][0]["what"]["reference"] for event in events]
    assert whom == [ROSA, "Patient/older", ROSA, ROSA]


def test_since_leaves_out_what_was_before() -> None:
    told = orjson.loads(run("--since", "2026-11-20T23:30:00Z", "--json").output)
    actions = [entry["action"] for entry in told["entries"]]
    assert actions == ["preference-saved", "patients-searched"]
    wrong = run("--since", "yesterday")
    assert wrong.exit_code == 2
    assert "is not an instant" in wrong.output
