"""Whose a resource is where references are absolute: our server's, or a stranger's.

A server that writes its own base, or one that the profile lists, says the same as by
``Type/id``. Any other base is another server, whatever id it has there.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from mappings.chart import Chart
from middleware.clock import FixedClock
from middleware.fhir.client import FhirClient
from middleware.stages.charts import fetch_chart
from tests.stages.world import LIBRARY, ROSA, START
from tests.unit.fhir.scripted import QUICK, Asked, Reply, Script, bundle, serve

ALIAS = "http://ehr.internal:8080/fhir/"
FAR = "https://elsewhere.example/fhir"


@pytest.fixture
def script() -> Iterator[Script]:
    with serve() as scripted:
        yield scripted


def read(script: Script, *resources: dict[str, Any]) -> Chart:
    """Read Rosa's chart from a server that sends these, each by a search of its type."""

    def answer(asked: Asked) -> Reply:
        path, _, query = asked.path.removeprefix("/fhir/").partition("?")
        if asked.method != "GET":
            return Reply(404)
        if not query:
            return Reply(200, {"resourceType": "Patient", "id": "rosa"})
        return Reply(200, bundle(*(r for r in resources if r["resourceType"] == path)))

    script.answer = answer
    client = FhirClient(
        script.base,
        lambda: None,
        clock=FixedClock(START),
        limits=QUICK,
        aliases=(ALIAS,),
    )
    try:
        return fetch_chart(client, LIBRARY, ROSA, START)
    finally:
        client.close()


def flag(reference: str, name: str = "f") -> dict[str, Any]:
    return {"resourceType": "Flag", "id": name, "subject": {"reference": reference}}


@pytest.mark.parametrize(
    "written",
    [
        "Patient/rosa",
        "{base}/Patient/rosa",
        "{base}/Patient/rosa/_history/3",
        "http://ehr.internal:8080/fhir/Patient/rosa",
        "https://EHR.internal:8080/fhir/Patient/rosa",
    ],
)
def test_a_base_that_means_this_server_changes_nothing(
    script: Script, written: str
) -> None:
    chart = read(script, flag(written.format(base=script.base)))
    assert [item["id"] for item in chart.of("Flag")] == ["f"]
    assert (chart.strangers, chart.incomplete) == ((), ())


@pytest.mark.parametrize(
    "written",
    [
        f"{FAR}/Patient/karl",
        "{base}x/Patient/karl",
        "{base}/inner/Patient/karl",
        f"{FAR}/Group/everybody",
    ],
)
def test_who_has_another_id_elsewhere_is_a_stranger(
    script: Script, written: str
) -> None:
    chart = read(script, flag(written.format(base=script.base)))
    assert chart.of("Flag") == ()
    assert (chart.strangers, chart.incomplete) == (("Flag/f",), ())


@pytest.mark.parametrize(
    "written", [f"{FAR}/Patient/rosa", f"{FAR}/Patient/rosa/_history/1"]
)
def test_the_same_id_elsewhere_is_left_out_and_its_type_is_not_known(
    script: Script, written: str
) -> None:
    """It may be this patient under a base that nobody wrote down: then it may say no."""
    chart = read(script, flag(written), flag("Patient/rosa", "own"))
    assert [item["id"] for item in chart.of("Flag")] == ["own"]
    assert (chart.strangers, chart.incomplete) == (("Flag/f",), ("Flag",))


def test_what_names_this_patient_and_another_servers_is_theirs_too(
    script: Script,
) -> None:
    people = [{"actor": {"reference": f"{at}Patient/rosa"}} for at in (f"{FAR}/", "")]
    visit = {"resourceType": "Appointment", "id": "v", "participant": people}
    chart = read(script, visit)
    assert [item["id"] for item in chart.of("Appointment")] == ["v"]
    assert (chart.strangers, chart.incomplete) == ((), ())
