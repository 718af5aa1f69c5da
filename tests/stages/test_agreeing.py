"""Tasks to correct a chart end once it says it; and one save is one version."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from mappings.errors import FhirError
from mappings.telecom import name_point, says
from middleware.stages.agreeing import BY, MOST, close_agreed
from tests.stages.points import NEW, declare, said, say, tasks, telecom
from tests.stages.world import MAIL, NUMBER, ROSA, World, patient

FIXED = {"system": "sms", "value": NUMBER, "use": "old"}


def ask(world: World, **changes: Any) -> None:
    """Rosa's number is wrong, and the EHR takes no change: staff are asked."""
    declare(world, "read")
    say(world, said(world, NUMBER, "wrong", **changes))
    world.run()
    assert tasks(world) == ["requested"]


def there(world: World) -> dict[str, Any]:
    """The Task that stands in the EHR."""
    (task,) = world.fhir.list_created("Task")
    return task


def test_a_corrected_chart_ends_the_task_here_and_in_the_ehr(world: World) -> None:
    ask(world)
    world.clock.instant += timedelta(minutes=1)
    assert close_agreed(world.context) == 0
    assert tasks(world) == ["requested"]
    world.fhir.change(ROSA, telecom=[FIXED])
    world.wait(minutes=10)
    assert close_agreed(world.context) == 1
    world.run()
    assert tasks(world) == ["completed"]
    task = there(world)
    assert (task["status"], task["statusReason"]["text"]) == (
        "completed",
        "The chart says it now.",
    )
    (row,) = world.rows("SELECT done_by FROM staff_task")
    assert row["done_by"] == BY
    (entry,) = world.rows("SELECT who, patient FROM audit WHERE action = 'task-ended'")
    assert entry == {"who": BY, "patient": ROSA}
    # From now on the chart is the truth of it.
    assert world.one("SELECT in_chart_at IS NOT NULL FROM preference")
    world.wait(minutes=10)
    assert close_agreed(world.context) == 0


def test_a_chart_that_cannot_be_read_leaves_the_task_open(world: World) -> None:
    ask(world)
    world.fhir.change(ROSA, telecom=[FIXED])
    faults: list[Any] = [
        lambda verb, _: FhirError("down", status=503) if verb == "batch" else None,
        lambda verb, _: "forbidden" if verb == "part" else None,
    ]
    for fault in faults:
        world.fhir.fault = fault
        assert close_agreed(world.context) == 0
        assert tasks(world) == ["requested"]
        world.wait(minutes=10)
    world.fhir.fault = lambda verb, what: None
    assert close_agreed(world.context) == 1


def test_each_is_compared_every_ten_minutes_and_no_sooner(world: World) -> None:
    ask(world)
    read: list[str] = []
    world.fhir.on_read = read.append
    for _ in range(3):
        close_agreed(world.context)
    assert read == [ROSA]
    world.wait(minutes=10)
    close_agreed(world.context)
    assert read == [ROSA, ROSA]
    assert MOST < 100


def test_the_record_that_lives_on_is_compared_after_a_merge(world: World) -> None:
    ask(world)
    world.fhir.put(patient(id="ro", telecom=[FIXED]))
    link = [{"other": {"reference": "Patient/ro"}, "type": "replaced-by"}]
    world.fhir.change(ROSA, active=False, link=link)
    assert close_agreed(world.context) == 1
    assert tasks(world) == ["completed"]


def test_a_later_write_that_arrives_ends_the_task_of_the_same_words(
    world: World,
) -> None:
    ask(world)
    declare(world, "read", "patch")
    world.wait(minutes=1)
    say(world, said(world, NUMBER, "old"))
    world.run()
    assert telecom(world)[NUMBER]["use"] == "old"
    assert tasks(world) == ["completed"]
    assert there(world)["status"] == "completed"


def test_other_words_take_the_question_back_and_say_why(world: World) -> None:
    ask(world)
    declare(world, "read", "patch")
    world.wait(minutes=1)
    say(world, said(world, NUMBER, "current", end="", use="home"))
    world.run()
    assert tasks(world) == ["withdrawn"]
    task = there(world)
    assert (task["status"], task["statusReason"]["text"]) == (
        "cancelled",
        "Something newer was said of it.",
    )


def test_staff_who_ended_it_in_the_ehr_first_are_not_written_over(world: World) -> None:
    ask(world)
    world.fhir.change(ROSA, telecom=[FIXED])
    with world.database.tx() as tx:
        tx.execute("UPDATE staff_task SET state = 'completed', done_by = 'staff'")
    assert close_agreed(world.context) == 0
    world.run()
    assert there(world)["status"] == "requested"


@pytest.mark.parametrize(
    ("entries", "changes", "agrees"),
    [
        ([], {"state": "wrong"}, True),
        ([FIXED], {"state": "old"}, True),
        ([{**FIXED, "use": "home"}], {"state": "old"}, False),
        ([FIXED, {**FIXED, "use": "home"}], {"state": "wrong"}, False),
        ([{**FIXED, "use": "mobile", "rank": 4}], {"state": "current"}, True),
        ([{**FIXED, "use": "home"}], {"state": "current"}, False),
        ([FIXED], {"state": "current"}, False),
        ([], {"state": "current"}, False),
        (
            [{**FIXED, "use": "mobile", "rank": 1}],
            {"state": "current", "rank": 2, "before": {"rank": 1}},
            False,
        ),
        (
            [{**FIXED, "use": "mobile", "rank": 2}],
            {"state": "current", "rank": 2, "before": {"rank": 1}},
            True,
        ),
    ],
)
def test_what_a_chart_has_to_say(
    entries: list[Any], changes: dict[str, Any], *, agrees: bool
) -> None:
    statement = {"use": "mobile", "rank": None, "end": "", "before": None, **changes}
    assert says(entries, name_point(("sms", NUMBER)), statement) is agrees


def test_two_saves_are_two_versions(world: World) -> None:
    declare(world, "read", "patch")
    say(world, said(world, NUMBER, "old"))
    world.clock.instant += timedelta(minutes=1)
    say(world, said(world, NEW, "current", end=""))
    world.run()
    assert world.fhir.ways == ["json", "json"]


def test_of_what_was_saved_together_only_what_others_left_alone_is_written(
    world: World,
) -> None:
    """The front desk moved the old number meanwhile; the new one is still added."""
    declare(world, "read", "patch")
    say(world, said(world, NUMBER, "current", use="work", end=""))
    say(world, said(world, NEW, "current", end=""))
    entry = {**telecom(world)[NUMBER], "use": "home"}
    world.fhir.change(ROSA, telecom=[entry, telecom(world)[MAIL]])
    world.run()
    after = telecom(world)
    assert after[NUMBER] == entry
    assert after[NEW]["use"] == "mobile"
    assert world.fhir.ways == ["json"]
    assert tasks(world) == ["requested"]


def test_what_was_said_before_a_merge_goes_into_the_record_that_lives_on(
    world: World,
) -> None:
    declare(world, "read", "patch")
    say(world, said(world, NEW, "current", end=""))
    world.fhir.put(patient(id="ro"))
    link = [{"other": {"reference": "Patient/ro"}, "type": "replaced-by"}]
    world.fhir.change(ROSA, active=False, link=link)
    world.run()
    assert NEW not in telecom(world)
    added = world.fhir.fetch("Patient/ro")["telecom"][-1]
    assert (added["value"], added["use"]) == (NEW, "mobile")
    kept = "SELECT server_reference FROM outbox WHERE key LIKE %s"
    assert world.one(kept, "%.rosa") == "Patient/ro"
