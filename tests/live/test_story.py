"""The scenario that the sandbox plays, played by a real HAPI FHIR server."""

from collections import Counter
from datetime import timedelta
from pathlib import Path

import pytest

from middleware.stages.reconcile import OVERLAP, TICK
from middleware.wiring.story import (
    SCENARIOS,
    Step,
    Story,
    people_bundles,
    read_story,
)
from tests.live import synthea
from tests.live.rig import Rig

pytestmark = pytest.mark.live

ROSA = "+14155550142"
PEOPLE = SCENARIOS.parent / "people"
HELD = [{"state": "held", "reason": "ehr-unreachable"}]
AFTER_OUTAGE = "19-arthur"
WHILE_DEAF = "23-linda"


@pytest.mark.requirement("hl7.fhir.uv.subscriptions_1.1.0@17")
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
        check_messages(rig)
        check_records(rig)
        check_news(rig)


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
    read_until = [cursor.since for cursor in rig.cursors()]
    try:
        hapi.kill()
        rig.clockwork.set(due + timedelta(seconds=1))
        rig.wait_for("the message to be held", lambda: check_in(rig) == HELD)
        rig.wait_for("the poll to fail", lambda: all(c.error for c in rig.cursors()))
        assert rig.texts_to(ROSA) == []
        assert [cursor.since for cursor in rig.cursors()] == read_until
    finally:
        hapi.start()
    rig.forward(due + timedelta(minutes=10))
    assert check_in(rig) == [{"state": "sent", "reason": "due"}]
    assert len(rig.texts_to(ROSA)) == 1


def check_in(rig: Rig) -> list[dict[str, str]]:
    """Return where Rosa's check-in stands."""
    return rig.rows(
        "SELECT state, reason FROM nudge WHERE patient = 'Patient/rosa' "
        "AND action = 'check-in'"
    )


def miss_a_push(rig: Rig, step: Step) -> None:
    """Change something while our listener is down: the poll finds it."""
    rig.listener.stop()
    focus, _, version = rig.send(step).rpartition("/")
    rig.listener.start()
    assert rig.rows(
        "SELECT kind, source FROM event WHERE focus = %s AND focus_version = %s",
        focus,
        version,
    ) == [{"kind": "appointment-cancelled", "source": "poll"}]


def check_messages(rig: Rig) -> None:
    """Phones and mailboxes have what the scenario expects, and nothing twice."""
    result, wanted = rig.count(), rig.story.expect["messages"]
    assert result.faults == ()
    assert (result.counts["lost"], result.counts["doubled"]) == (0, 0)
    assert result.counts["delivered"] == len(wanted)
    said = rig.news().fetch_search("Communication?status=completed&_count=200")
    assert Counter(
        (item["subject"]["reference"], item["payload"][0]["contentString"])
        for item in said.resources
    ) == Counter((message[0], message[-1]) for message in result.messages)


def check_records(rig: Rig) -> None:
    """HAPI took everything that we had to record, each of it once."""
    assert rig.rows("SELECT key FROM outbox WHERE state <> 'done'") == []
    recorded = rig.rows("SELECT server_reference FROM outbox")
    for kind in ("CommunicationRequest", "Communication", "Task"):
        there = rig.news().fetch_search(f"{kind}?_count=200").resources
        names = {row["server_reference"] for row in recorded}
        assert {f"{kind}/{item['id']}" for item in there} == {
            name for name in names if name.startswith(f"{kind}/")
        }
    urgent = rig.ehr.fetch_search("Task?patient=Patient/victor&priority=stat")
    assert [task["status"] for task in urgent.resources] == ["requested"]


def check_news(rig: Rig) -> None:
    """Push carried its share, also after the outage, and no cursor ran ahead."""
    after = rig.at("+2d 00:00")
    pushed = rig.rows("SELECT count(*) AS n FROM event WHERE source = 'push'")
    assert pushed[0]["n"] > 0
    stored = rig.rows(
        "SELECT count(*) AS n FROM notification "
        "WHERE state = 'stored' AND received_at > %s",
        after,
    )
    assert stored[0]["n"] > 0
    assert rig.rows("SELECT id FROM notification WHERE state = 'quarantined'") == []
    assert rig.rows("SELECT key FROM inbox WHERE state <> 'done'") == []
    for cursor in rig.cursors():
        newest = rig.newest(cursor.resource_type)
        assert cursor.error is None
        assert cursor.since <= newest + OVERLAP + TICK
