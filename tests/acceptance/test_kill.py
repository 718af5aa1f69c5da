"""kill -9 of the worker between any two steps: once, or unknown and a person asked."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from middleware.storage import gate
from tests.acceptance.line import NUMBER, PATIENT, Line

SMS = "/Messages.json"


pytestmark = pytest.mark.usefixtures("own_logging")


@pytest.fixture
def line(database_url: str, tmp_path: Path) -> Iterator[Line]:
    opened = Line(database_url, tmp_path)
    yield opened
    opened.close()


def kill_while_held(line: Line, method: str, path: str, *, after: bool) -> None:
    """Start a worker, kill it while the EHR or provider holds its request."""
    line.holding.arm(method, path, after=after)
    line.start_worker()
    line.wait_for_hold()
    line.kill()
    line.holding.let_go()


def finish(line: Line) -> None:
    """Let a new worker bring everything to its end; once is once."""
    line.start_worker()
    line.wait_for("the end of the record", line.recorded)
    assert line.nudge_state() == "sent: due"
    assert len(line.texts()) == 1
    assert line.in_ehr("Communication") == 1
    assert line.in_ehr("CommunicationRequest") == 1
    assert line.count("SELECT count(*) AS n FROM delivery") == 1
    unknown = "SELECT count(*) AS n FROM staff_task WHERE reason = 'delivery-unknown'"
    assert line.count(unknown) == 0


def test_killed_at_every_step_before_the_send(line: Line) -> None:
    kill_while_held(line, "GET", "/_history", after=False)
    assert line.count("SELECT count(*) AS n FROM inbox WHERE state = 'waiting'") > 0
    kill_while_held(line, "POST", "/fhir", after=True)  # the chart, for RESOLVE
    assert line.count("SELECT count(*) AS n FROM event") == 0
    with line.runtime.database.tx() as tx:  # DECIDE, before its commit
        gate.lock_patient(tx, line.endpoint.id, PATIENT)
        line.start_worker()
        line.wait_for_lock()
        assert line.count("SELECT count(*) AS n FROM event") > 0
        line.kill()
    assert line.count("SELECT count(*) AS n FROM nudge") == 0
    with line.runtime.database.tx() as tx:  # DELIVER, before the gate's commit
        gate.lock_contact_point(tx, "sms", NUMBER)
        line.start_worker()
        line.wait_for_lock()
        assert line.nudge_state() == "planned: due"
        line.kill()
    assert line.texts() == []
    kill_while_held(line, "POST", "/fhir", after=False)  # the chart, for DELIVER
    assert line.texts() == []
    finish(line)


def test_killed_while_the_provider_has_it_and_has_not_answered(line: Line) -> None:
    kill_while_held(line, "POST", SMS, after=True)
    assert len(line.texts()) == 1
    assert line.nudge_state() == "sending: due"
    finish(line)


def test_killed_before_the_provider_had_it(line: Line) -> None:
    kill_while_held(line, "POST", SMS, after=False)
    line.start_worker()
    line.wait_for(
        "the unknown delivery",
        lambda: line.nudge_state() == "failed: delivery-unknown",
    )
    asked = (
        "SELECT count(*) AS n FROM staff_task WHERE reason = 'delivery-unknown' "
        "AND priority = 'urgent' AND state = 'requested'"
    )
    assert line.count(asked) == 1
    line.wait_for("the Task in the EHR", lambda: line.in_ehr("Task") == 2)
    assert line.texts() == []
    unknown = "SELECT count(*) AS n FROM delivery WHERE state = 'unknown'"
    assert line.count(unknown) == 1


def test_killed_after_the_send_and_before_its_commit(line: Line) -> None:
    line.holding.arm("POST", SMS, after=True)
    line.start_worker()
    line.wait_for_hold()
    with line.runtime.database.tx() as tx:
        tx.execute("SELECT 1 FROM delivery FOR UPDATE")
        line.holding.let_go()
        line.wait_for_lock()
        line.kill()
    assert line.nudge_state() == "sending: due"
    finish(line)


def test_killed_while_the_record_is_written(line: Line) -> None:
    kill_while_held(line, "POST", "/fhir/CommunicationRequest", after=False)
    assert len(line.texts()) == 1
    kill_while_held(line, "POST", "/fhir/Communication", after=True)
    assert line.in_ehr("Communication") == 1
    finish(line)


@pytest.mark.parametrize("after", [True, False])
def test_killed_while_it_answers_a_reply(line: Line, after: bool) -> None:
    finish(line)
    line.kill()
    line.holding.arm("POST", SMS, after=after)
    line.reply("my chest hurts")
    line.start_worker()
    line.wait_for_hold()
    line.kill()
    line.holding.let_go()
    assert line.count("SELECT count(*) AS n FROM inbound WHERE state = 'waiting'") == 1
    line.start_worker()
    answered = (
        "SELECT count(*) AS n FROM delivery WHERE topic = 'reply' AND state <> 'unknown' "
        "AND state <> 'sending'"
    )
    line.wait_for("the answer", lambda: line.count(answered) == 1)
    texts = line.texts()
    assert len(texts) == 2
    assert sum("911" in str(text) for text in texts) >= 1
    waiting = (
        "SELECT count(*) AS n FROM inbound WHERE source = 'reply' AND state <> 'done'"
    )
    assert line.count(waiting) == 0


def test_two_workers_and_one_killed_send_once(line: Line) -> None:
    line.holding.arm("POST", "/fhir", after=True)
    line.start_worker()
    line.wait_for_hold()
    second = threading.Thread(target=finish, args=(line,))
    first = line.workers[-1]
    second.start()
    first.kill()
    first.wait()
    line.holding.let_go()
    second.join()
    assert len(line.texts()) == 1
