"""What was put into the Patient and is taken back; what an EHR took and does not keep."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from fhir.resources.R4B import get_fhir_model_class

from mappings.errors import FhirError
from mappings.preference import PreferenceRecord, Who
from middleware.stages.writing_back import save_preference
from middleware.storage.rows import revive_rows
from tests.stages.points import AUTHOR, declare, said, say, tasks, telecom
from tests.stages.world import ENDPOINT, NUMBER, ROSA, World


def answer(
    world: World, value: Any, seen: Any, who: Who = Who.PATIENT, name: str = "language"
) -> None:
    """Somebody answers in view of the chart ``seen``; nothing is written yet."""
    now = world.clock.now()
    world.clock.instant += timedelta(seconds=2)
    record = PreferenceRecord(name, value, who, "told staff", now, "Dr. Osei")
    with world.database.tx() as tx:
        save_preference(
            world.context, tx, ENDPOINT, ROSA, record, author=AUTHOR, seen=seen
        )


def spoken(world: World) -> list[Any]:
    listed: list[Any] = world.fhir.fetch(ROSA)["communication"]
    return listed


def codes(world: World) -> list[str]:
    return [
        item["language"]["coding"][0]["code"]
        for item in spoken(world)
        if item.get("preferred")
    ]


@pytest.mark.parametrize("late", [True, False])
def test_an_undo_after_the_chart_took_it_puts_the_chart_back(
    world: World, *, late: bool
) -> None:
    """Also where the page was read before our change had arrived."""
    declare(world, "read", "patch")
    first = world.fhir.fetch(ROSA)
    answer(world, "vi", first)
    world.run()
    assert codes(world) == ["vi"]
    answer(world, None, first if late else world.fhir.fetch(ROSA))
    world.run()
    assert spoken(world) == first["communication"]
    assert world.fhir.list_created("QuestionnaireResponse") == []


def test_an_undo_leaves_what_somebody_else_said_since(world: World) -> None:
    declare(world, "read", "patch")
    first = world.fhir.fetch(ROSA)
    answer(world, "vi", first)
    world.run()
    korean = [{"language": {"coding": [{"code": "ko"}]}, "preferred": True}]
    world.fhir.change(ROSA, communication=korean)
    answer(world, None, first)
    world.run()
    assert spoken(world) == korean


def test_an_element_that_was_not_there_is_gone_again(world: World) -> None:
    world.fhir.change(ROSA, communication=...)
    declare(world, "read", "patch")
    first = world.fhir.fetch(ROSA)
    answer(world, "vi", first)
    world.run()
    assert codes(world) == ["vi"]
    answer(world, None, first)
    world.run()
    assert "communication" not in world.fhir.fetch(ROSA)


def test_the_last_of_quick_answers_is_what_the_chart_says(world: World) -> None:
    """Two autosaves of one form: the second was made before the first had arrived."""
    declare(world, "read", "patch")
    first = world.fhir.fetch(ROSA)
    answer(world, "vi", first)
    answer(world, "es", first)
    world.run()
    assert codes(world) == ["es"]
    assert world.fhir.ways == ["json"]
    answer(world, "ko", first)
    world.run()
    assert codes(world) == ["ko"]


def test_an_answer_that_was_taken_back_at_once_never_reaches_the_chart(
    world: World,
) -> None:
    declare(world, "read", "patch")
    first = world.fhir.fetch(ROSA)
    answer(world, "vi", first)
    answer(world, None, first)
    world.run()
    assert spoken(world) == first["communication"]
    assert world.fhir.ways == []


def test_another_voice_is_not_overtaken(world: World) -> None:
    declare(world, "read", "patch")
    first = world.fhir.fetch(ROSA)
    answer(world, "vi", first)
    answer(world, "es", first, Who.STAFF)
    world.run()
    # Both are told, in their order; which one counts here is decided by who said it.
    assert world.fhir.ways == ["json", "json"]


def test_what_was_saved_with_it_is_put_back_too(world: World) -> None:
    declare(world, "read", "update", formats="none")
    first = world.fhir.fetch(ROSA)
    now = world.clock.now()
    for name, value in (("language", "vi"), ("interpreter", True)):
        world.clock.instant = now
        answer(world, value, first, name=name)
    world.run()
    assert world.fhir.ways == ["update"]
    assert "extension" in world.fhir.fetch(ROSA)
    for name in ("language", "interpreter"):
        answer(world, None, first, name=name)
    world.run()
    after = world.fhir.fetch(ROSA)
    assert "extension" not in after
    assert after["communication"] == first["communication"]


@pytest.mark.parametrize("formats", ["json", "fhirpath", "none"])
def test_a_change_that_is_answered_well_and_not_kept_is_not_said_to_be_in_the_chart(
    world: World, formats: str
) -> None:
    """200 with the number as it was, or 202 for later: staff see to it until it is there."""
    declare(world, "read", "patch", "update", formats=formats)
    entry = telecom(world)[NUMBER]
    keep = world.fhir.put

    def ignore(resource: Any, at: Any = None) -> str:
        return keep({**resource, "telecom": world.fhir.fetch(ROSA)["telecom"]}, at)

    world.fhir.put = ignore  # type: ignore[method-assign]
    say(world, said(world, NUMBER, "wrong"))
    world.run()
    assert telecom(world)[NUMBER] == entry
    assert tasks(world) == ["requested"]
    assert len(world.fhir.list_created("QuestionnaireResponse")) == 1
    assert world.one("SELECT in_chart_at IS NULL FROM preference")


def test_what_was_given_up_is_asked_of_staff_and_ends_when_it_is_written(
    world: World,
) -> None:
    """The token was good at the save and at no time after it."""
    declare(world, "read", "patch")
    away = FhirError("No access token", status=401)
    say(world, said(world, NUMBER, "wrong"))
    world.fhir.fault = lambda verb, _: away if verb in ("read", "create") else None
    for _ in range(12):
        world.wait(hours=7)
    assert {"dead"} == {
        row["state"]
        for row in world.rows("SELECT state FROM outbox WHERE key LIKE %s", "%.rosa")
    }
    assert tasks(world) == ["requested"]
    world.fhir.fault = lambda verb, what: None
    with world.database.tx() as tx:
        revive_rows(tx, "outbox", world.clock.now())
    world.run()
    assert telecom(world)[NUMBER]["use"] == "old"
    assert tasks(world) == ["completed"]


def takes(world: World, *interactions: str) -> None:
    """The EHR creates these, and changes them where ``interactions`` say so."""
    codes = [{"code": code} for code in ("create", *interactions)]
    listed = [
        {"type": kind, "interaction": codes}
        for kind in ("Observation", "QuestionnaireResponse", "Provenance")
    ]
    statement = {"fhirVersion": "4.0.1", "rest": [{"resource": listed}]}
    world.context = replace(world.context, capabilities=lambda _: statement)


@pytest.mark.parametrize(
    ("name", "value", "kind"),
    [
        ("modality", "telehealth", "Observation"),
        ("max_per_week", 1, "QuestionnaireResponse"),
    ],
)
def test_what_was_created_is_marked_as_an_error_when_it_is_taken_back(
    world: World, name: str, value: Any, kind: str
) -> None:
    takes(world, "update")
    seen = world.fhir.fetch(ROSA)
    answer(world, value, seen, name=name)
    world.run()
    answer(world, None, seen, name=name)
    world.run()
    (found,) = world.fhir.list_created(kind)
    assert found["status"] == "entered-in-error"
    get_fhir_model_class(kind).model_validate(found)
    new, changed = world.fhir.list_created("Provenance")
    assert new["target"] == changed["target"]
    told = [item["activity"]["coding"][0]["code"] for item in (new, changed)]
    assert told == ["CREATE", "UPDATE"]


def test_where_nothing_may_be_changed_taking_back_is_told_as_an_answer(
    world: World,
) -> None:
    takes(world)
    seen = world.fhir.fetch(ROSA)
    for value in (1, None):
        answer(world, value, seen, name="max_per_week")
        world.run()
    told = [
        {item["linkId"]: item["answer"][0]["valueString"] for item in found["item"]}
        for found in world.fhir.list_created("QuestionnaireResponse")
    ]
    assert [item["value"] for item in told] == ["1", "taken back"]


def test_what_may_still_arrive_is_waited_for_before_it_is_taken_back(
    world: World,
) -> None:
    takes(world, "update")
    faults = iter([FhirError("down", status=503)])
    world.fhir.fault = lambda verb, kind: (
        next(faults, None) if (verb, kind) == ("created", "Observation") else None
    )
    seen = world.fhir.fetch(ROSA)
    for value in ("telehealth", None):
        answer(world, value, seen, name="modality")
    world.run()
    world.wait(minutes=5)
    world.wait(minutes=5)
    (found,) = world.fhir.list_created("Observation")
    assert found["status"] == "entered-in-error"
    states = {row["state"] for row in world.rows("SELECT DISTINCT state FROM outbox")}
    assert states == {"done"}


def test_what_never_arrived_is_not_taken_back_there(world: World) -> None:
    takes(world, "update")
    refused = FhirError("answered 403", status=403)
    world.fhir.fault = lambda verb, _: refused if verb == "create" else None
    seen = world.fhir.fetch(ROSA)
    answer(world, "telehealth", seen, name="modality")
    world.run()
    world.fhir.fault = lambda verb, what: None
    answer(world, None, seen, name="modality")
    world.run()
    assert world.fhir.created == []


def test_a_pause_that_ends_was_no_error(world: World) -> None:
    takes(world, "update")
    seen = world.fhir.fetch(ROSA)
    for value in ({"until": None, "why": ""}, None):
        answer(world, value, seen, name="pause")
        world.run()
    found = world.fhir.list_created("QuestionnaireResponse")
    assert [item["status"] for item in found] == ["completed", "completed"]
