"""The EHR is down, slow of mind or wrong at each stage: nothing is lost or guessed."""

from __future__ import annotations

from datetime import timedelta

import pytest

from mappings.errors import AuthorizationError, FhirError
from tests.stages.world import (
    CHECK_IN,
    DOWN,
    MAIL,
    ROSA,
    START,
    World,
    appointment,
    encounter,
    patient,
)

UNAVAILABLE = FhirError("answered 503", status=503)
NO_TOKEN = AuthorizationError("no token was given; it may be tried again")


def inbox(world: World) -> list[tuple[str, int]]:
    rows = world.rows("SELECT state, attempts FROM inbox ORDER BY id")
    return [(row["state"], row["attempts"]) for row in rows]


@pytest.mark.parametrize("error", [DOWN, UNAVAILABLE, NO_TOKEN])
def test_history_cannot_be_read_then_it_can(world: World, error: Exception) -> None:
    world.discharge()
    world.fhir.fault = lambda verb, what: error if "_history" in what else None
    world.run()
    assert inbox(world) == [("waiting", 1)]
    world.fhir.fault = lambda verb, what: None
    world.wait(minutes=1)
    assert inbox(world) == [("done", 1)]
    assert world.state() == "planned: due"


@pytest.mark.parametrize("error", [DOWN, UNAVAILABLE, NO_TOKEN])
def test_the_chart_cannot_be_read_then_it_can(world: World, error: Exception) -> None:
    world.discharge()
    world.fhir.fault = lambda verb, what: error if ROSA in what else None
    world.run()
    assert inbox(world) == [("waiting", 1)]
    assert world.rows("SELECT 1 FROM focus_state") == []
    world.fhir.fault = lambda verb, what: None
    world.wait(minutes=1)
    assert world.state() == "planned: due"


@pytest.mark.parametrize("part", ["transient", "throttled"])
def test_one_history_in_the_batch_fails_and_no_version_is_passed_over(
    world: World, part: str
) -> None:
    """The current version alone would hide what came before it."""
    world.discharge()
    world.fhir.fault = lambda verb, what: (
        part if verb == "part" and "_history" in what else None
    )
    world.run()
    assert inbox(world) == [("waiting", 1)]
    world.fhir.fault = lambda verb, what: None
    world.wait(minutes=1)
    kinds = world.rows("SELECT kind FROM event ORDER BY seq")
    assert [row["kind"] for row in kinds] == [
        "encounter-admitted",
        "encounter-discharged",
    ]


def test_a_history_that_never_comes_is_done_without(world: World) -> None:
    world.discharge()
    world.fhir.fault = lambda verb, what: (
        "transient" if verb == "part" and "_history" in what else None
    )
    for _ in range(8):
        world.wait(hours=1)
    assert inbox(world)[0][0] == "done"
    assert world.nudge()["state"] in ("planned", "sent")


@pytest.mark.parametrize("part", ["not-found", "forbidden"])
def test_a_server_without_histories_shows_the_present(world: World, part: str) -> None:
    world.discharge()
    world.fhir.fault = lambda verb, what: (
        part if verb == "part" and "_history" in what else None
    )
    world.run()
    assert world.state() == "planned: due"


@pytest.mark.requirement("hl7.fhir.uv.subscriptions_1.1.0@17")
def test_the_ehr_is_away_for_days_and_the_poll_finds_it_all(world: World) -> None:
    world.discharge()
    world.fhir.fault = lambda verb, what: DOWN
    for _ in range(20):
        world.poll()
        world.wait(hours=6)
    assert inbox(world)[0][0] == "dead"
    assert world.rows("SELECT 1 FROM inbox WHERE error IS NULL") == []
    world.fhir.fault = lambda verb, what: None
    world.poll()
    world.run()
    kinds = [row["kind"] for row in world.rows("SELECT kind FROM event ORDER BY seq")]
    assert kinds == ["encounter-admitted", "encounter-discharged"]


def test_a_fault_of_one_focus_leaves_the_others_alone(world: World) -> None:
    """Same shard, same batch: only the broken one waits."""
    world.fhir.put(encounter())
    world.fhir.put(appointment())
    for name in ("Encounter/stay", "Appointment/visit"):
        world.notify(name)
    with world.database.tx() as tx:
        tx.execute("UPDATE inbox SET shard = 3")
    world.fhir.fault = lambda verb, what: (
        NO_TOKEN if verb == "batch" and what.startswith(f"{ROSA} Encounter/") else None
    )
    world.run()
    assert inbox(world) == [("waiting", 1), ("done", 0)]


def test_a_patient_nobody_knows_is_a_dead_letter_with_its_reason(world: World) -> None:
    world.discharge()
    world.fhir.remove(ROSA)
    world.run()
    (row,) = world.rows("SELECT state, error FROM inbox")
    assert row["state"] == "dead"
    assert "patient of this event could not be read" in row["error"]
    assert world.rows("SELECT 1 FROM nudge") == []


def test_another_patient_than_was_asked_for_is_never_used(world: World) -> None:
    world.discharge()
    world.fhir.versions[ROSA][-1]["id"] = "somebody-else"
    world.run()
    (row,) = world.rows("SELECT state, error FROM inbox")
    assert row["state"] == "dead"
    assert "another patient" in row["error"]


def test_a_patient_replaced_before_the_send_is_never_written_to(world: World) -> None:
    world.discharge()
    world.run()
    world.fhir.versions[ROSA][-1]["id"] = "somebody-else"
    world.go(CHECK_IN)
    assert world.sms.sent == []
    assert world.nudge()["state"] == "held"


def test_a_focus_that_is_not_there_is_a_dead_letter_with_its_reason(
    world: World,
) -> None:
    world.notify("Encounter/none")
    world.run()
    (row,) = world.rows("SELECT state, error FROM inbox")
    assert row["state"] == "dead"
    assert "404" in row["error"]


def test_a_focus_without_a_patient_says_so(world: World) -> None:
    world.notify(world.fhir.put(encounter(subject=...)))
    world.run()
    (row,) = world.rows("SELECT state, note FROM inbox")
    assert row == {"state": "done", "note": "names-no-patient"}


def test_down_at_the_send_is_held_and_goes_out_within_its_window(world: World) -> None:
    world.discharge()
    world.run()
    world.fhir.fault = lambda verb, what: DOWN
    world.go(CHECK_IN)
    assert world.state() == "held: ehr-unreachable"
    world.wait(minutes=30)
    assert world.sms.sent == []
    world.fhir.fault = lambda verb, what: None
    world.wait(minutes=10)
    assert len(world.sms.sent) == 1
    assert world.reasons() == [
        "decide send due",
        "deliver hold ehr-unreachable",
        "deliver send due",
    ]


def test_down_until_the_window_is_over_is_cancelled_and_says_why(world: World) -> None:
    world.discharge()
    world.run()
    world.fhir.fault = lambda verb, what: DOWN
    world.clock.instant = CHECK_IN
    while world.nudge()["state"] in ("planned", "held"):
        world.wait(hours=2)
    assert world.state() == "cancelled: window-passed"
    assert world.nudge()["detail"] == {"held_for": "ehr-unreachable"}
    world.fhir.fault = lambda verb, what: None
    world.wait(hours=10)
    assert world.sms.sent == []


@pytest.mark.parametrize("kind", ["Consent", "Encounter", "Condition"])
def test_a_part_that_safety_needs_is_missing_at_the_send(
    world: World, kind: str
) -> None:
    world.discharge()
    world.run()
    world.fhir.fault = lambda verb, what: (
        "transient" if verb == "part" and what.startswith(f"{kind}?") else None
    )
    world.go(CHECK_IN)
    assert world.sms.sent == []
    assert world.nudge()["state"] == "held"
    world.fhir.fault = lambda verb, what: None
    for _ in range(8):
        world.wait(hours=3)
    assert len(world.sms.sent) == 1


def test_the_focus_was_deleted_before_the_send(world: World) -> None:
    name = world.discharge()
    world.run()
    world.fhir.remove(name)
    world.go(CHECK_IN)
    assert world.sms.sent == []
    assert world.nudge()["state"] in ("cancelled", "held")


def test_the_record_is_tried_again_until_it_stands_once(world: World) -> None:
    world.discharge()
    world.run()
    world.fhir.fault = lambda verb, what: DOWN if verb == "create" else None
    world.go(CHECK_IN)
    assert world.fhir.list_created("Communication") == []
    assert (
        world.rows("SELECT state FROM outbox WHERE attempts = 1")
        == [{"state": "waiting"}] * 2
    )
    # The answer is lost once: it was created, and we do not know.
    world.fhir.fault = lambda verb, what: DOWN if verb == "created" else None
    world.wait(minutes=1)
    world.fhir.fault = lambda verb, what: None
    world.wait(minutes=10)
    assert len(world.fhir.list_created("Communication")) == 1
    assert world.rows("SELECT 1 FROM outbox WHERE state <> 'done'") == []


def test_an_ehr_that_takes_no_communications_leaves_ours_as_the_record(
    world: World,
) -> None:
    world.discharge()
    world.run()
    refused = FhirError("answered 403", status=403, permanent=True)
    world.fhir.fault = lambda verb, what: refused if verb == "create" else None
    world.go(CHECK_IN)
    rows = world.rows(
        "SELECT state, error FROM outbox WHERE resource->>'resourceType' <> 'Task'"
    )
    assert rows == [{"state": "kept", "error": "answered 403"}] * 2
    assert world.state() == "sent: due"


def test_a_record_that_cannot_be_written_ends_as_a_dead_letter(world: World) -> None:
    world.discharge()
    world.run()
    world.fhir.fault = lambda verb, what: UNAVAILABLE if verb == "create" else None
    for _ in range(40):
        world.wait(hours=6)
    states = world.rows(
        "SELECT DISTINCT state FROM outbox WHERE resource->>'resourceType' "
        "= 'CommunicationRequest'"
    )
    assert [row["state"] for row in states] == ["dead"]


@pytest.mark.parametrize(
    ("changes", "reason", "task"),
    [
        ({"communication": ...}, "language-missing", ("language-missing", "routine")),
        (
            {"address": ..., "telecom": [{"system": "email", "value": MAIL}]},
            "zone-missing",
            None,
        ),
        ({"telecom": ...}, "no-address", None),
        (
            {
                "communication": [
                    {
                        "language": {
                            "coding": [{"system": "urn:ietf:bcp:47", "code": "fr"}]
                        }
                    }
                ]
            },
            "wording-missing",
            ("wording-missing", "routine"),
        ),
        (
            {
                "communication": [
                    {
                        "language": {
                            "coding": [{"system": "urn:ietf:bcp:47", "code": "vi"}]
                        }
                    }
                ]
            },
            "wording-not-reviewed",
            ("wording-not-reviewed", "routine"),
        ),
    ],
)
def test_what_the_chart_lacks_is_named_in_the_ledger(
    world: World, changes: dict[str, object], reason: str, task: tuple[str, str] | None
) -> None:
    world.permit(system="email", value=MAIL)
    world.fhir.put(patient(**changes))
    world.discharge()
    world.run()
    assert world.state() == f"held: {reason}"
    assert world.reasons() == [f"decide hold {reason}"]
    assert world.tasks() == ([task] if task else [])
    world.go(CHECK_IN)
    assert world.sms.sent == []


def test_no_consent_is_named_in_the_ledger(world: World) -> None:
    with world.database.tx() as tx:
        tx.execute("DELETE FROM consent")
    world.discharge()
    world.go(CHECK_IN)
    assert world.state() == "held: no-consent"
    assert world.sms.sent == []


def test_consent_taken_back_in_the_chart_before_the_send(world: World) -> None:
    world.discharge()
    world.run()
    world.permit(permit=False, recorded_at=START)
    world.go(CHECK_IN)
    assert world.state() == "held: opted-out"
    assert world.sms.sent == []


def test_an_unknown_disposition_is_held_and_asked_about_once(world: World) -> None:
    name = world.discharge(disposition="martian")
    world.run()
    assert world.state() == "held: disposition-unknown"
    assert world.tasks() == [("disposition-unknown", "urgent")]
    world.fhir.change(name, **encounter())
    world.notify(name)
    world.run()
    assert world.state() == "planned: due"
    world.go(CHECK_IN + timedelta(minutes=1))
    assert len(world.sms.sent) == 1
