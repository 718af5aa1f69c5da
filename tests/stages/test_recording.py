"""What is written down by hand counts at once, and never for another's patient."""

from __future__ import annotations

from typing import Any

import pytest

from mappings.errors import BadInputError, CareCueError
from mappings.preference import ConsentRecord, PreferenceRecord, Who
from middleware.stages.recording import check_people, record_consent, record_preference
from tests.stages.world import CHECK_IN, DOWN, ENDPOINT, MAIL, NUMBER, ROSA, World

ANA = "RelatedPerson/ana"


def ana(patient: str = ROSA) -> dict[str, Any]:
    return {
        "resourceType": "RelatedPerson",
        "id": "ana",
        "active": True,
        "patient": {"reference": patient},
    }


def answer(world: World, **changes: Any) -> ConsentRecord:
    values: dict[str, Any] = {
        "id": world.context.ids.new(),
        "endpoint_id": ENDPOINT.id,
        "patient": ROSA,
        "system": "sms",
        "value": NUMBER,
        "topic": "*",
        "permit": True,
        "who": Who.PATIENT,
        "how": "by phone",
        "recorded_at": world.clock.now(),
        "recorded_by": "A. Mehta",
    }
    return ConsentRecord(**(values | changes))


def say(world: World, name: str, value: Any, who: Who = Who.PATIENT) -> None:
    said = PreferenceRecord(name, value, who, "by phone", world.clock.now(), "A. Mehta")
    record_preference(world.context, ENDPOINT, ROSA, said, "A. Mehta")


def test_a_denial_a_second_before_wins_and_is_audited(world: World) -> None:
    world.discharge()
    world.run()
    world.clock.instant = CHECK_IN
    record_consent(
        world.context, ENDPOINT, ROSA, answer(world, permit=False), "A. Mehta"
    )
    world.run()
    assert world.sms.sent == []
    assert world.state() == "held: opted-out"
    (entry,) = world.rows("SELECT * FROM audit WHERE action = 'consent-saved'")
    assert (entry["who"], entry["patient"]) == ("A. Mehta", ROSA)
    assert entry["detail"]["how"] == "by phone"
    (told,) = world.fhir.list_created("Consent")
    assert told["provision"]["type"] == "deny"


def test_a_permission_lets_what_was_held_go(world: World) -> None:
    with world.database.tx() as tx:
        tx.execute("DELETE FROM consent")
    world.discharge()
    world.go(CHECK_IN)
    assert world.state() == "held: no-consent"
    record_consent(world.context, ENDPOINT, ROSA, answer(world), "A. Mehta")
    world.run()
    assert world.state() == "sent: due"


@pytest.mark.parametrize(
    ("value", "state", "sent"),
    [
        ({"system": None, "value": "", "note": ""}, "held: confidential", []),
        ({"system": "email", "value": MAIL, "note": ""}, "sent: due", [MAIL]),
    ],
)
def test_one_way_to_be_reached_stands_above_all(
    world: World, value: Any, state: str, sent: list[str]
) -> None:
    world.permit(system="email", value=MAIL)
    world.discharge()
    world.run()
    say(world, "confidential", value)
    world.go(CHECK_IN)
    assert world.state() == state
    assert [item.address for item in world.email.sent] == sent
    assert world.sms.sent == []


@pytest.mark.parametrize(
    ("reference", "patient", "refused"),
    [
        (ANA, ROSA, None),
        (ANA, "Patient/else", "stands beside another patient"),
        ("RelatedPerson/nobody", ROSA, "knows no RelatedPerson/nobody"),
    ],
)
def test_nobody_is_recorded_whom_the_chart_does_not_name(
    world: World, reference: str, patient: str, refused: str | None
) -> None:
    world.fhir.put(ana(patient))
    if refused is None:
        check_people(world.context, ENDPOINT, ROSA, [reference], sure=True)
        return
    with pytest.raises(BadInputError, match=refused):
        check_people(world.context, ENDPOINT, ROSA, [reference], sure=False)


def test_a_denial_does_not_wait_for_an_ehr_that_is_down(world: World) -> None:
    world.fhir.fault = lambda verb, what: DOWN
    check_people(world.context, ENDPOINT, ROSA, [], sure=False)
    with pytest.raises(CareCueError, match="could not be asked"):
        check_people(world.context, ENDPOINT, ROSA, [], sure=True)
