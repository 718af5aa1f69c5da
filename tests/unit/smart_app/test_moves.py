"""A coming message moved by hand: inside its window and hours, kept, and put back."""

import re
from dataclasses import replace
from datetime import timedelta

import pytest

from mappings.delivery import Delivery, DeliveryState
from mappings.nudge import NudgeState
from mappings.secret import Secret
from middleware.desk.editing.fields import Sent
from middleware.desk.editing.messages import write_mark
from middleware.desk.values import Actor
from middleware.desk.viewer import viewer_of
from middleware.storage import deliveries, nudges
from smart_app.opening import Bearer
from tests.unit.smart_app.acts import OURS, acts, agree, field, hidden, plan, say, words

# The rig's clock stands at 7:00 on Monday, Nov 16, in Los Angeles; the message is due
# on Wednesday at 9:00 at the earliest, and of no use from Thursday at 7:00 on.
MOVE = "messages/nudge-1/move"


def move(rig, path, **changes):
    html = rig.http.get(path + MOVE).text
    version = field(html, "version")
    values = {"day": "2026-11-18", "time": "15:30", "why": "asked", "version": version}
    data = rig.form(path + MOVE, **{**values, **changes})
    return rig.http.post(path + MOVE, data=data, headers=OURS)


def stored(rig):
    with rig.database.tx() as tx:
        return nudges.get_nudge(tx, "nudge-1")


@pytest.fixture
def path(rig):
    agree(rig)
    plan(rig)
    return rig.open_page()


def test_a_move_is_kept_shown_and_audited(rig, path):
    before = stored(rig).due_at
    answer = move(rig, path)
    assert answer.status_code == 303, answer.text
    nudge = stored(rig)
    assert nudge.due_at.isoformat() == "2026-11-18T23:30:00+00:00"
    assert nudge.moved_to == nudge.due_at
    assert nudge.state is NudgeState.PLANNED
    text = words(rig.http.get(answer.location).text)
    assert "Moved by Dr. Abena Osei from Wed, Nov 18, 7:00 AM." in text
    assert "3:30 PM" in text
    with rig.database.tx() as tx:
        newest = acts(tx)[0]
    assert (newest.action, newest.subject) == ("nudge-moved", "nudge-1")
    assert newest.detail == {
        "from": before.isoformat(),
        "to": nudge.due_at.isoformat(),
        "why": "The patient asked",
        "by": "Dr. Abena Osei",
    }


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"time": "08:30"}, "allows. The next allowed time is Wed, Nov 18, 9:00 AM."),
        ({"time": "22:00"}, "That is outside the hours that Rosa allows."),
        ({"day": "2026-11-20"}, "too early or too late. It can go from Wed, Nov 18"),
        ({"day": "2026-11-17"}, "too early or too late."),
        ({"day": "2026-11-15"}, "That time has passed."),
        ({"day": "tomorrow"}, "Choose a day and a time."),
        ({"why": ""}, "Choose why it is moved."),
    ],
)
def test_a_move_that_cannot_be_says_why_and_keeps_the_input(rig, path, changes, reason):
    before = stored(rig)
    answer = move(rig, path, **changes)
    assert answer.status_code == 422
    assert reason in words(answer.text)
    assert f'value="{changes.get("time", "15:30")}"' in answer.text
    assert stored(rig) == before


@pytest.mark.parametrize("act", ["move", "skip"])
def test_a_step_of_staff_is_no_message_that_can_be_changed(rig, act):
    agree(rig)
    page = rig.open_page()
    plan(rig, detail={"kind": "task"})
    before = stored(rig)
    assert before.is_task
    due = {"version": before.due_at.isoformat(), "day": "2026-11-18", "time": "15:30"}
    why = {"move": "asked", "skip": "done"}[act]
    form = rig.form(f"{page}pause", why=why, **due)
    where = f"{page}messages/nudge-1/{act}"
    assert rig.http.post(where, data=form, headers=OURS).status_code == 404
    assert stored(rig) == before


def test_a_move_made_of_an_old_time_is_shown_again(rig, path):
    answer = move(rig, path, version="2026-11-01T00:00:00+00:00")
    assert answer.status_code == 409
    assert 'value="15:30"' in answer.text


def test_a_message_that_went_out_meanwhile_is_not_moved(rig, path):
    html = rig.http.get(path + MOVE).text
    version = field(html, "version")
    data = rig.form(path + MOVE, day="2026-11-18", time="15:30", why="asked")
    with rig.database.tx() as tx:
        nudges.set_nudge(tx, "nudge-1", NudgeState.SENDING, "due", rig.clock.now())
    answer = rig.http.post(path + MOVE, data={**data, "version": version}, headers=OURS)
    assert answer.status_code == 409
    assert "It is being sent now." in words(answer.text)


NARROW = {"scope": "launch openid fhirUser patient/Patient.rs patient/Consent.rs"}


@pytest.fixture
def narrow(rig):
    """Rosa's page, to whom her visits and problems are not shown."""
    agree(rig)
    plan(rig)
    rig.ehr.answer = NARROW
    return rig.open_page()


def standing(rig):
    nudge = stored(rig)
    return nudge.state.value, nudge.reason


def test_who_may_not_read_all_holds_no_message_by_saving(rig, narrow):
    limit = f"{narrow}preferences/limit"
    form = hidden(rig.http.get(limit).text) | {"limit": "2", "who": "patient"}
    assert rig.http.post(limit, data=form, headers=OURS).status_code == 303
    assert standing(rig) == ("planned", "due")
    assert move(rig, narrow).status_code == 303
    assert standing(rig) == ("planned", "due")
    assert stored(rig).due_at.isoformat() == "2026-11-18T23:30:00+00:00"
    assert "Text, Spanish" in words(rig.http.get(narrow).text)


@pytest.mark.parametrize(
    "reason", ["not-yet", "outside-hours", "same-topic", "limit-reached"]
)
def test_who_may_not_read_all_moves_what_its_old_time_holds(rig, narrow, reason):
    with rig.database.tx() as tx:
        nudges.set_nudge(tx, "nudge-1", NudgeState.HELD, reason, rig.clock.now())
    answer = move(rig, narrow)
    assert answer.status_code == 303, words(answer.text)
    assert standing(rig) == ("planned", "due")


def test_who_may_not_read_all_puts_a_skipped_message_back(rig, narrow):
    skip = f"{narrow}messages/nudge-1/skip"
    form = hidden(rig.http.get(skip).text) | {"why": "done"}
    assert rig.http.post(skip, data=form, headers=OURS).status_code == 303
    assert standing(rig)[0] == "skipped"
    values = {"day": "2026-11-18", "time": "15:30", "why": "asked"}
    data = rig.form(f"{narrow}pause", version=write_mark(stored(rig)), **values)
    answer = rig.http.post(narrow + MOVE, data=data, headers=OURS)
    assert answer.status_code == 303, words(answer.text)
    assert standing(rig) == ("planned", "due")


def test_who_may_not_read_all_pauses_a_message_and_lets_it_go_on(rig, narrow):
    pause = rig.form(f"{narrow}pause", until="open", why="asked", version="0")
    assert rig.http.post(f"{narrow}pause", data=pause, headers=OURS).status_code == 303
    assert standing(rig) == ("held", "paused")
    page = rig.http.get(narrow).text
    form = hidden(page.split(f'action="{narrow}resume"')[1].split("</form>")[0])
    assert rig.http.post(f"{narrow}resume", data=form, headers=OURS).status_code == 303
    assert standing(rig) == ("planned", "due")


def test_who_may_not_read_all_is_not_told_of_checks_that_nobody_made(rig, narrow):
    text = words(rig.http.get(f"{narrow}messages/nudge-1").text)
    assert "It stands as CareCue planned it." in text
    assert "Every check passes" not in text
    assert "Not passed" not in text


def test_what_a_person_changed_is_no_check_with_our_own_access(rig, narrow):
    backend = replace(rig.endpoints[0].backend, client_id="carecue-backend")
    rig.endpoints[0] = replace(rig.endpoints[0], backend=backend)
    told = "CareCue decides with its own access to the chart."
    assert told in words(rig.http.get(narrow).text)
    assert move(rig, narrow).status_code == 303
    assert told in words(rig.http.get(narrow).text)
    pause = rig.form(f"{narrow}pause", until="open", why="asked", version="0")
    assert rig.http.post(f"{narrow}pause", data=pause, headers=OURS).status_code == 303
    assert standing(rig) == ("held", "paused")
    text = words(rig.http.get(narrow).text)
    assert told in text
    assert "checked them" not in text


def test_a_pause_that_came_after_the_record_was_read_holds_what_is_moved(rig, path):
    endpoint, editor = rig.endpoints[0], rig.ports.desk.editor
    api = rig.ports.fhir(endpoint, Bearer(Secret("at-1")), None)
    about = (endpoint, api, "Patient/rosa", viewer_of("en-US"), None)
    *_, view = rig.ports.desk.read_views(*about)
    say(rig, "pause", {"until": None, "why": "The patient asked"})
    sent = Sent(Actor("Practitioner/osei", "Dr. Osei"), write_mark(stored(rig)))
    moment = stored(rig).due_at + timedelta(hours=6)
    editor.save_move(view, sent, "nudge-1", moment, "The patient asked")
    assert (standing(rig), stored(rig).due_at) == (("held", "paused"), moment)


def test_a_moved_message_is_put_back(rig, path):
    move(rig, path)
    assert move(rig, path, back="1").status_code == 303
    nudge = stored(rig)
    assert nudge.moved_to is None
    # Its own time lay before the hours; it is planned for their beginning.
    assert nudge.due_at.isoformat() == "2026-11-18T17:00:00+00:00"


def test_a_pause_holds_a_moved_message_and_leaves_its_time(rig, path):
    move(rig, path)
    html = rig.http.get(path + "pause").text
    version = field(html, "version")
    data = rig.form(path + "pause", until="open", why="asked", version=version)
    rig.http.post(path + "pause", data=data, headers=OURS)
    nudge = stored(rig)
    assert (nudge.state, nudge.reason) == (NudgeState.HELD, "paused")
    assert nudge.due_at == nudge.moved_to
    assert rig.clock.now() < nudge.due_at - timedelta(days=2)


@pytest.mark.parametrize("day", ["0001-01-01", "9999-12-31"])
def test_a_day_at_the_end_of_time_is_refused(rig, path, day):
    answer = move(rig, path, day=day, time="23:59")
    assert answer.status_code == 422
    assert stored(rig).moved_to is None


def test_the_hour_that_comes_twice_is_asked_for(rig, path):
    answer = move(rig, path, day="2026-11-01", time="01:30")
    assert answer.status_code == 422
    text = words(answer.text)
    assert "choose which of the two times" in text
    assert "1:30 AM PDT, before it is set back" in text
    assert "1:30 AM PST, after it is set back" in text
    assert 'name="which" value="1"' in answer.text
    chosen = move(rig, path, day="2026-11-01", time="01:30", which="1")
    assert 'name="which" value="1" checked' in chosen.text
    assert "That time has passed." in words(chosen.text)


def hand_over(rig, state, ago=timedelta(minutes=30)):
    """Let the gate have let the message go half an hour ago."""
    at = rig.clock.now() - ago
    sent = Delivery(
        id="d1",
        nudge_id="nudge-1",
        endpoint_id="northside",
        patient="Patient/rosa",
        channel="sms",
        address="+14155550142",
        language="es",
        subject="",
        text="Hola",
        state=DeliveryState.SENDING,
        provider_id=None,
        sending_at=at,
    )
    with rig.database.tx() as tx:
        deliveries.insert_delivery(tx, sent, "appointments")
        nudges.set_nudge(tx, "nudge-1", state, "due", at)


@pytest.mark.parametrize("act", ["move", "skip"])
@pytest.mark.parametrize(
    ("state", "truth"),
    [
        (NudgeState.SENDING, "It is being sent since Mon, Nov 16, 6:30 AM"),
        (NudgeState.SENT, "It was already sent at Mon, Nov 16, 6:30 AM"),
    ],
)
def test_a_message_that_the_gate_let_go_says_when(rig, path, act, state, truth):
    part = f"messages/nudge-1/{act}"
    html = rig.http.get(path + part).text
    version = field(html, "version")
    values = {"day": "2026-11-18", "time": "15:30", "why": "other"}
    data = rig.form(path + part, version=version, **values)
    hand_over(rig, state)
    answer = rig.http.post(path + part, data=data, headers=OURS)
    assert answer.status_code == 409
    text = words(answer.text)
    assert truth in text
    assert "Yours, not done" in text
    assert "Save mine over it" not in text
    assert stored(rig).state is state
    opened = rig.http.get(path + part)
    assert truth in words(opened.text)


def test_a_cancelled_message_says_why(rig, path):
    with rig.database.tx() as tx:
        nudges.set_nudge(
            tx,
            "nudge-1",
            NudgeState.CANCELLED,
            "appointment-cancelled",
            rig.clock.now(),
        )
    text = words(rig.http.get(path + MOVE).text)
    assert "It was cancelled: The visit was cancelled." in text


def test_a_pause_says_what_had_gone_out_before_it(rig, path):
    html = rig.http.get(path + "pause").text
    values = dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', html))
    rig.clock.instant += timedelta(minutes=20)
    hand_over(rig, NudgeState.SENDING, ago=timedelta(minutes=10))
    data = {**values, "until": "open", "why": "asked"}
    answer = rig.http.post(path + "pause", data=data, headers=OURS)
    text = words(rig.http.get(answer.location).text)
    assert "paused from now on. One had already gone out at Mon, Nov 16, 7:10" in text
