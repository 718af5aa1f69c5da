"""A merged person's chart holds what still names the old record, once each."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import Any

import pytest

from mappings.chart import Chart, read_chart
from middleware.stages.charts import MOST_RECORDS, fetch_replaced
from middleware.stages.merging import fetch_surviving
from middleware.storage import gate
from tests.stages.twins import RO, RO_NUMBER, merge
from tests.stages.world import (
    CHECK_IN,
    ENDPOINT,
    LIBRARY,
    ROSA,
    START,
    World,
    appointment,
    encounter,
    patient,
)

EVERY_WAY = pytest.mark.parametrize("how", ["replaced-by", "replaces", "both"])


def consent(person: str, kind: str, **changes: Any) -> dict[str, Any]:
    """What the chart says about texts to one record."""
    mode = "http://terminology.hl7.org/CodeSystem/v3-ParticipationMode"
    return {
        "resourceType": "Consent",
        "id": f"consent-{kind}",
        "status": "active",
        "patient": {"reference": person},
        "dateTime": "2026-11-01T10:00:00-06:00",
        "provision": {
            "type": kind,
            "code": [{"coding": [{"system": mode, "code": "SMSWRIT"}]}],
        },
    } | changes


def told(world: World, how: str) -> World:
    """A discharge, then a merge that the EHR tells of."""
    world.discharge()
    world.run()
    merge(world, how)
    with world.database.tx() as tx:
        gate.lock_patient(tx, ENDPOINT.id, RO)  # whoever was locked is known
    for name in (ROSA, RO):
        world.notify(name)
        world.run()
    return world


def chart_of(world: World, name: str, **more: Any) -> Chart:
    return fetch_surviving(world.fhir, LIBRARY, name, START, **more).chart


def names(chart: Chart, kind: str) -> list[str]:
    return [resource["id"] for resource in chart.of(kind)]


@EVERY_WAY
def test_a_denial_in_the_chart_of_the_old_record_counts(twin: World, how: str) -> None:
    twin.fhir.put(consent(ROSA, "deny"))
    told(twin, how).go(CHECK_IN)
    assert twin.sms.sent == []
    assert twin.state() == "held: opted-out"


def test_a_permission_in_the_chart_of_the_old_record_stays_behind(
    twin: World,
) -> None:
    with twin.database.tx() as tx:
        tx.execute("DELETE FROM consent WHERE patient = %s", (RO,))
    twin.fhir.put(consent(ROSA, "permit"))
    told(twin, "both").go(CHECK_IN)
    assert twin.sms.sent == []
    assert twin.state() == "held: no-consent"


@EVERY_WAY
def test_a_stay_that_goes_on_under_the_old_record_holds_the_other(
    twin: World, how: str
) -> None:
    told(twin, how)
    again = {"start": "2026-11-21T08:00:00-06:00"}
    twin.fhir.put(encounter(id="again", status="in-progress", period=again))
    twin.go(CHECK_IN)
    assert twin.sms.sent == []
    assert twin.nudge()["reason"] in ("readmitted", "in-hospital")


@EVERY_WAY
def test_a_visit_under_the_old_record_counts_once(twin: World, how: str) -> None:
    twin.fhir.put(appointment())
    both = [{"actor": {"reference": name}, "status": "accepted"} for name in (ROSA, RO)]
    twin.fhir.put(appointment(id="both", participant=both))
    twin.fhir.put(appointment(id="new", participant=both[1:]))
    merge(twin, how)
    chart = chart_of(twin, RO, older=[ROSA])
    assert sorted(names(chart, "Appointment")) == ["both", "new", "visit"]
    stored = Counter(resource["id"] for resource in chart.resources)
    assert set(stored.values()) == {1}
    assert names(read_chart(chart.as_json()), "Appointment") == names(
        chart, "Appointment"
    )


def test_what_names_somebody_else_is_left_out_as_before(twin: World) -> None:
    twin.fhir.put(appointment())
    merge(twin)
    other = patient(id="rosy")
    twin.fhir.put(other)
    stray = [{"actor": {"reference": "Patient/rosy"}, "status": "accepted"}]
    twin.fhir.put(appointment(id="stray", participant=stray))
    assert names(chart_of(twin, ROSA), "Appointment") == ["visit"]


def test_a_record_that_stands_for_itself_again_is_not_read_into_the_other(
    twin: World,
) -> None:
    told(twin, "both")
    twin.fhir.put(consent(ROSA, "deny"))
    twin.fhir.change(RO, link=...)
    twin.fhir.change(ROSA, active=True, link=...)
    chart = chart_of(twin, RO, older=[ROSA])
    assert (chart.replaced, names(chart, "Consent")) == ((), [])
    twin.go(CHECK_IN)
    assert [message.address for message in twin.sms.sent] == [RO_NUMBER]


@pytest.mark.parametrize(("code", "lacks"), [("not-found", False), ("timeout", True)])
def test_an_old_record_that_is_gone_lacks_nothing_and_a_fault_does(
    twin: World, code: str, lacks: bool
) -> None:
    twin.fhir.fault = lambda verb, what: (
        code if verb == "part" and ROSA in what else None
    )
    chart = chart_of(twin, RO, older=[ROSA])
    assert ("Consent" in chart.incomplete) is lacks
    assert chart.replaced == (ROSA,)


def test_of_too_many_records_a_person_must_think(twin: World) -> None:
    chart = chart_of(twin, RO)
    many = [f"Patient/p{number}" for number in range(MOST_RECORDS + 1)]
    whole = fetch_replaced(twin.fhir, LIBRARY, chart, told=many[1:], known=())
    assert whole.incomplete == ()
    part = fetch_replaced(twin.fhir, LIBRARY, chart, told=many, known=())
    assert set(part.incomplete) == {"Condition", "Consent", "Encounter"}


def test_an_unmerged_chart_is_read_with_one_batch(twin: World) -> None:
    reads: list[str] = []
    twin.fhir.on_read = reads.append
    chart_of(twin, RO)
    assert len(reads) == 1


def test_a_focus_that_names_the_old_record_finds_the_rest_of_the_person(
    twin: World,
) -> None:
    """The merge is known; a later discharge is written into the old record."""
    told(twin, "both")
    twin.go(CHECK_IN)
    twin.fhir.put(consent(ROSA, "deny"))
    twin.clock.instant += timedelta(days=8)
    later = {"start": "2026-11-28T10:00:00-06:00", "end": "2026-11-29T10:00:00-06:00"}
    twin.fhir.put(encounter(id="second", status="in-progress", period=later))
    twin.fhir.put(encounter(id="second", period=later))
    twin.notify("Encounter/second")
    twin.run()
    said = {
        row["reason"]
        for row in twin.rows("SELECT reason FROM nudge WHERE state = 'held'")
    }
    assert "opted-out" in said
