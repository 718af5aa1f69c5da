"""The scenario that the sandbox plays, played by a real HAPI FHIR server."""

from datetime import timedelta
from pathlib import Path

import pytest

from middleware.wiring.story import SCENARIOS, Story, people_bundles, read_story
from tests.live import synthea
from tests.live.rig import Rig

pytestmark = pytest.mark.live

ROSA = "+14155550142"
PEOPLE = SCENARIOS.parent / "people"
AFTER_OUTAGE = "19-arthur"
WHILE_DEAF = "23-linda"


def test_whole_story_holds_against_hapi(hapi, database_url, tmp_path):
    story = read_story("thirty-days")
    with Rig(hapi.base_url, database_url, tmp_path, story).opened() as rig:
        rig.story = load(rig, story)
        rig.connect()
        for step in rig.story.steps:
            if step.id == AFTER_OUTAGE:
                lose_hapi(rig, hapi)
            rig.forward(step.at)
            if step.id == WHILE_DEAF:
                miss_a_push(rig, step)
            else:
                rig.send(step)
        rig.forward(rig.story.end)
        check(rig)


def load(rig: Rig, story: Story) -> Story:
    """Put the people there; where Synthea's are at hand, three of them as well."""
    for bundle in people_bundles(story, Path(PEOPLE)):
        synthea.load_bundle(rig.base, bundle)
    if synthea.FOLDER.is_dir():
        return synthea.join(story, rig.base, rig.ehr)
    return story


def lose_hapi(rig: Rig, hapi) -> None:
    """Kill the server when a message falls due: it waits, then goes out once."""
    due = rig.at("+1d 16:30")
    rig.forward(due - timedelta(minutes=1))
    hapi.kill()
    rig.clockwork.set(due + timedelta(seconds=1))
    rig.wait_for("the message to be held", lambda: check_in(rig) == HELD)
    assert rig.texts_to(ROSA) == []

    hapi.start()
    rig.forward(due + timedelta(minutes=10))
    assert check_in(rig) == [{"state": "sent", "reason": "due"}]
    assert len(rig.texts_to(ROSA)) == 1


HELD = [{"state": "held", "reason": "ehr-unreachable"}]


def check_in(rig: Rig) -> list[dict[str, str]]:
    """Return where Rosa's check-in stands."""
    return rig.rows(
        "SELECT state, reason FROM nudge WHERE patient = 'Patient/rosa' "
        "AND action = 'check-in'"
    )


def miss_a_push(rig: Rig, step) -> None:
    """Change something while our listener is down: the poll finds it."""
    rig.listener.stop()
    focus, _, version = rig.send(step).rpartition("/")
    rig.listener.start()
    assert rig.rows(
        "SELECT kind, source FROM event WHERE focus = %s AND focus_version = %s",
        focus,
        version,
    ) == [{"kind": "appointment-cancelled", "source": "poll"}]


def check(rig: Rig) -> None:
    """Compare phones, mailboxes, HAPI and database with what is expected."""
    result = rig.count()
    assert result.faults == ()
    assert (result.counts["lost"], result.counts["doubled"]) == (0, 0)
    wanted = rig.story.expect["messages"]
    assert result.counts["delivered"] == len(wanted)
    assert len(result.messages) == len(wanted)
    assert result.counts["communications_in_ehr"] == len(wanted)
