"""A number corrected here, on its way into the EHR's Patient; and what STOP means then."""

from __future__ import annotations

from datetime import timedelta

import pytest
from fhir.resources.R4B import get_fhir_model_class

from mappings.errors import FhirError
from mappings.patching import list_ways, write_fhirpath_patch
from mappings.preference import PreferenceRecord, Who
from mappings.telecom import amend_telecom
from middleware.stages.writing_back import save_preference
from middleware.storage import settling
from tests.stages.points import NEW, declare, said, say, tasks, telecom
from tests.stages.world import CHECK_IN, ENDPOINT, NUMBER, ROSA, World


@pytest.mark.parametrize(
    ("interactions", "formats", "way"),
    [
        (("read", "update"), "none", "update"),
        (("read", "patch", "update"), "json", "json"),
        (("read", "patch"), "none", "json"),
        (("read", "patch"), "fhirpath", "fhirpath"),
    ],
)
def test_a_correction_goes_into_the_patient_as_the_ehr_declares(
    world: World, interactions: tuple[str, ...], formats: str, way: str
) -> None:
    declare(world, *interactions, formats=formats)
    before = telecom(world)
    say(world, said(world, NUMBER, "old"))
    say(world, said(world, NEW, "current", end="", start="2026-11-23"))
    world.run()
    after = telecom(world)
    assert (after[NUMBER]["use"], after[NUMBER]["period"]["end"]) == (
        "old",
        "2026-11-23",
    )
    assert after[NEW] == {
        "system": "phone",
        "value": NEW,
        "use": "mobile",
        "period": {"start": "2026-11-23"},
    }
    # Nothing is taken out, and nothing else is touched.
    others = set(before) - {NUMBER}
    assert {name: after[name] for name in others} == {n: before[n] for n in others}
    # Saved together it is one version.
    assert world.fhir.ways == [way]
    assert tasks(world) == []
    assert world.fhir.list_created("QuestionnaireResponse") == []
    marks = world.rows("SELECT in_chart_at FROM preference")
    assert all(row["in_chart_at"] is not None for row in marks)
    get_fhir_model_class("Patient").model_validate(world.fhir.fetch(ROSA))


def test_where_the_ehr_takes_no_change_staff_are_asked_and_it_counts_here(
    world: World,
) -> None:
    declare(world, "read")
    world.discharge()
    world.run()
    say(world, said(world, NUMBER, "wrong"))
    world.run()
    assert tasks(world) == ["requested"]
    (task,) = [
        item
        for item in world.fhir.list_created("Task")
        if item["code"]["coding"][0]["code"] == "chart-differs"
    ]
    assert task["for"] == {"reference": ROSA}
    assert NUMBER in task["description"]
    assert len(world.fhir.list_created("QuestionnaireResponse")) == 1
    world.go(CHECK_IN)
    assert world.sms.sent == []
    assert world.state().startswith("held")
    # What is said of it next takes the question back; the chart says so already.
    world.wait(minutes=1)
    say(world, said(world, NUMBER, "current", end="", rank=1))
    world.run()
    assert tasks(world) == ["withdrawn"]


@pytest.mark.parametrize("status", [403, 405, 415, 422])
def test_a_patch_that_is_refused_gives_way_to_an_update(
    world: World, status: int
) -> None:
    declare(world, "read", "patch", "update")
    world.fhir.fault = lambda verb, _: (
        FhirError(f"answered {status}", status=status) if verb == "patch" else None
    )
    say(world, said(world, NUMBER, "wrong"))
    world.run()
    assert telecom(world)[NUMBER]["use"] == "old"
    assert world.fhir.ways == ["update"]


def test_what_the_front_desk_changed_meanwhile_is_not_overwritten(world: World) -> None:
    declare(world, "read", "patch")
    statement = said(world, NUMBER, "current", use="work", end="")
    say(world, statement)
    entry = {**telecom(world)[NUMBER], "use": "home", "rank": 3}
    world.fhir.change(ROSA, telecom=[entry])
    world.run()
    assert world.fhir.fetch(ROSA)["telecom"] == [entry]
    assert tasks(world) == ["requested"]


def test_a_version_that_was_forestalled_is_read_and_tried_again(world: World) -> None:
    declare(world, "read", "patch")
    faults = iter([FhirError("answered 412", status=412)])
    world.fhir.fault = lambda verb, _: next(faults, None) if verb == "patch" else None
    say(world, said(world, NUMBER, "wrong"))
    world.fhir.change(ROSA, gender="other")
    world.run()
    world.wait(hours=1)
    after = world.fhir.fetch(ROSA)
    assert after["gender"] == "other"
    assert telecom(world)[NUMBER]["use"] == "old"
    assert tasks(world) == []


def test_what_was_taken_back_before_it_was_written_never_reaches_the_chart(
    world: World,
) -> None:
    declare(world, "read", "patch")
    before = world.fhir.fetch(ROSA)
    say(world, said(world, NUMBER, "wrong"))
    world.clock.instant += timedelta(seconds=5)
    say(world, said(world, NUMBER, "current", end="", rank=1))
    world.run()
    assert world.fhir.fetch(ROSA)["telecom"] == before["telecom"]
    assert tasks(world) == []
    states = {row["state"] for row in world.rows("SELECT state FROM outbox")}
    assert states == {"done"}


def test_what_was_taken_back_in_the_same_breath_as_it_was_written_is_put_back(
    world: World,
) -> None:
    """The undo was made of the chart as it was before our own change arrived."""
    declare(world, "read", "patch")
    first, back = said(world, NUMBER, "wrong"), said(world, NUMBER, "current", end="")
    seen = world.fhir.fetch(ROSA)
    say(world, first)
    world.run()
    assert telecom(world)[NUMBER]["use"] == "old"
    record = PreferenceRecord(
        f"telecom:sms:{NUMBER}", back, Who.PATIENT, "told staff", world.clock.now()
    )
    with world.database.tx() as tx:
        save_preference(world.context, tx, ENDPOINT, ROSA, record, seen=seen)
    world.run()
    assert telecom(world)[NUMBER]["use"] == "mobile"
    assert tasks(world) == []


def test_a_wrong_number_is_out_at_the_gate_though_the_chart_shows_it(
    world: World,
) -> None:
    world.discharge()
    world.run()
    declare(world)
    say(world, said(world, NUMBER, "wrong"))
    world.fhir.change(
        ROSA, telecom=[{"system": "sms", "value": NUMBER, "use": "mobile", "rank": 1}]
    )
    world.go(CHECK_IN)
    assert world.sms.sent == []
    assert world.state() == "held: no-address"


def test_a_new_number_gets_nothing_until_somebody_at_it_said_yes(world: World) -> None:
    world.discharge()
    world.run()
    declare(world)
    since = world.clock.now().isoformat()
    say(world, said(world, NUMBER, "old"))
    say(world, said(world, NEW, "current", end="", since=since))
    world.go(CHECK_IN)
    assert world.sms.sent == []
    assert world.state() == "held: no-consent"
    world.permit(value=NEW, recorded_at=world.clock.now())
    with world.database.tx() as tx:
        settling.look_at(tx, ENDPOINT.id, ROSA, world.clock.now())
    world.wait(hours=1)
    assert [item.address for item in world.sms.sent] == [NEW]


def test_the_patches_say_what_the_update_says(world: World) -> None:
    before = world.fhir.fetch(ROSA)
    after = amend_telecom(before, f"telecom:sms:{NUMBER}", said(world, NUMBER, "old"))
    assert after is not None
    parameters = write_fhirpath_patch(before, after)
    assert parameters is not None
    get_fhir_model_class("Parameters").model_validate(parameters)
    assert write_fhirpath_patch(before, {**after, "gender": "other"}) is None
    assert list_ways(None, "Patient") == []


@pytest.mark.parametrize(("state", "held"), [("old", True), ("wrong", False)])
def test_a_stop_from_the_number_before_holds_the_new_one_until_it_is_asked_again(
    world: World, state: str, *, held: bool
) -> None:
    """Who still has the old number may be the patient; who has a wrong one is not."""
    world.discharge()
    world.run()
    declare(world)
    say(world, said(world, NUMBER, state))
    say(world, said(world, NEW, "current", end=""))
    world.permit(value=NEW, recorded_at=world.clock.now())
    world.clock.instant += timedelta(minutes=5)
    world.reply("STOP")
    world.run()
    world.sms.sent.clear()
    world.go(CHECK_IN)
    assert (world.state() == "held: opted-out") is held
    assert [item.address for item in world.sms.sent] == ([] if held else [NEW])
    if held:
        world.permit(value=NEW, recorded_at=world.clock.now(), who=Who.STAFF)
        with world.database.tx() as tx:
            settling.look_at(tx, ENDPOINT.id, ROSA, world.clock.now())
        world.wait(hours=1)
        assert [item.address for item in world.sms.sent] == [NEW]
