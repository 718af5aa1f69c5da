"""Two people, two windows, two saves on their way: nothing is lost or overwritten unseen."""

from datetime import timedelta

import pytest

from mappings.nudge import NudgeState
from mappings.preference import Who
from middleware.desk.editing.groups import GROUPS
from middleware.storage import nudges
from tests.unit.smart_app.acts import (
    OURS,
    PARTIAL,
    acts,
    agree,
    hidden,
    own,
    plan,
    say,
    words,
)

MOVE, SKIP = "messages/nudge-1/move", "messages/nudge-1/skip"
PAUSE = {"until": "open", "why": "crisis"}
LATER = {"day": "2026-11-18", "time": "15:30", "why": "asked"}
ANSWER = {
    "question": "May we write to you?",
    "point": "sms:+14155550142",
    "how": "in-person",
    "said_by": "Patient/rosa",
}
# A form, what one fills in, what another fills in, and how both read side by side.
FORMS = {
    "pause": ("pause", PAUSE, {"until": "2026-11-23", "why": "hospital"}),
    "move": (MOVE, LATER, {**LATER, "time": "16:45", "why": "fits"}),
    "skip": (SKIP, {"why": "done"}, {"why": "wrong"}),
    "group": (
        "preferences/channels",
        {"ways": "email", "who": "patient"},
        {"ways": "email,sms", "who": "patient"},
    ),
    "answer": ("answers", {**ANSWER, "answer": "no"}, {**ANSWER, "answer": "yes"}),
}
BOTH = {
    "pause": (
        "Paused until someone turns them back on. Bereavement or crisis.",
        "Paused until the end of Mon, Nov 23. In hospital.",
    ),
    "move": ("Wed, Nov 18, 3:30 PM", "Move it to Wed, Nov 18, 4:45 PM"),
    "skip": (
        "Skipped: It is already done",
        "Skip it: The reason given is wrong",
    ),
    "group": ("Email only", "Email, then text"),
    "answer": (
        "No, Everything, Text to (415) 555-0142 Rosa, in person.",
        "Yes, Everything, Text to (415) 555-0142",
    ),
}


@pytest.fixture
def mine(rig):
    """Return the page of Dr. Abena Osei."""
    agree(rig)
    plan(rig)
    return rig.open_page()


@pytest.fixture
def theirs(rig, mine):
    """Return the page of another person who has the same name, and the same chart."""
    return open_as(rig, "user-2", "Practitioner/other")


def open_as(rig, subject, reference):
    name = rig.ehr.resources["Practitioner/osei"]["name"]
    rig.ehr.resources[reference] = {
        "resourceType": "Practitioner",
        "id": reference.partition("/")[2],
        "name": name,
    }
    rig.ehr.claims = {"sub": subject, "fhirUser": reference}
    path = rig.open_page()
    rig.ehr.claims = {}
    return path


def fill(rig, path, part, **values):
    """Open a form and fill it in; return what would be sent."""
    html = rig.http.get(path + part).text
    form = html.split(f'action="{path}{part}"')[1].split("</form>")[0]
    return {**hidden(form), **values}


def send(rig, path, part, data, headers=OURS):
    return rig.http.post(path + part, data=data, headers=headers)


def stored(rig):
    with rig.database.tx() as tx:
        return nudges.get_nudge(tx, "nudge-1")


def outcome(rig):
    """Return all that counts of what may have been changed."""
    nudge = stored(rig)
    said = [(item.name, item.value) for item in own(rig).preferences]
    said += sorted((item.id, item.permit) for item in own(rig).consents)
    return said, nudge.due_at, nudge.state, nudge.detail


@pytest.mark.parametrize("kind", sorted(FORMS))
def test_both_are_shown_with_who_and_when(rig, mine, theirs, kind):
    part, first, second = FORMS[kind]
    data = fill(rig, mine, part, **second)
    assert send(rig, theirs, part, fill(rig, theirs, part, **first)).status_code == 303
    before = outcome(rig)
    rig.clock.instant += timedelta(minutes=5)
    answer = send(rig, mine, part, data)
    assert answer.status_code == 409
    text = words(answer.text)
    stands, tried = BOTH[kind]
    assert f"Stands now {stands}" in text
    assert "Recorded by Dr. Abena Osei, 7:00 AM" in text
    assert f"Yours, not saved {tried} Save mine over it" in text
    assert "Keep theirs" in text
    assert outcome(rig) == before


@pytest.mark.parametrize("kind", sorted(FORMS))
def test_one_click_saves_mine_over_theirs(rig, mine, theirs, kind):
    part, first, second = FORMS[kind]
    data = fill(rig, mine, part, **second)
    send(rig, theirs, part, fill(rig, theirs, part, **first))
    kept = outcome(rig)
    rig.clock.instant += timedelta(minutes=5)
    html = send(rig, mine, part, data).text
    again = send(rig, mine, part, {**data, **pressed(html, mine + part)})
    assert again.status_code == 303, words(again.text)
    assert outcome(rig) != kept


def pressed(html, action):
    """Return what the button beside my value sends: the form as the page filled it in."""
    form = html.split(f'action="{action}"')[1].split("</form>")[0]
    assert "Save mine over it</button>" in form
    return hidden(form)


@pytest.mark.parametrize("kind", sorted(FORMS))
def test_a_third_change_in_between_is_shown_again(rig, mine, theirs, kind):
    part, first, second = FORMS[kind]
    data = fill(rig, mine, part, **second)
    send(rig, theirs, part, fill(rig, theirs, part, **first))
    rig.clock.instant += timedelta(minutes=5)
    html = send(rig, mine, part, data).text
    rig.clock.instant += timedelta(minutes=5)
    if kind == "skip":  # what is skipped is skipped again only over what was seen
        with rig.database.tx() as tx:
            nudge = nudges.get_nudge(tx, "nudge-1")
            note = {**nudge.detail["skipped"], "at": rig.clock.now().isoformat()}
            nudges.note_nudge(tx, nudge, nudge.due_at, skipped=note)
    else:
        other = {**first, "time": "12:15"} if kind == "move" else first
        changed = {**other, "until": "2026-12-14"} if kind == "pause" else other
        changed = {**changed, "ways": "sms"} if kind == "group" else changed
        sent = fill(rig, theirs, part, **changed)
        assert send(rig, theirs, part, sent).status_code == 303
    again = send(rig, mine, part, {**data, **pressed(html, mine + part)})
    assert again.status_code == 409


@pytest.mark.parametrize("kind", sorted(FORMS))
def test_a_form_that_is_sent_twice_is_no_clash_with_oneself(rig, mine, kind):
    part, first, _ = FORMS[kind]
    data = fill(rig, mine, part, **first)
    assert send(rig, mine, part, data).status_code == 303
    before = outcome(rig)
    rig.clock.instant += timedelta(seconds=1)
    again = send(rig, mine, part, data)
    assert again.status_code == 303, words(again.text)
    assert outcome(rig) == before


@pytest.mark.parametrize("kind", sorted(FORMS))
def test_a_form_that_is_filled_in_anew_is_never_taken_for_the_first_one(
    rig, mine, kind
):
    """The answer to the first was lost on its way, or the browser went back to it."""
    part, first, second = FORMS[kind]
    data = fill(rig, mine, part)
    assert send(rig, mine, part, {**data, **first}).status_code == 303
    before = outcome(rig)
    rig.clock.instant += timedelta(seconds=20)
    answer = send(rig, mine, part, {**data, **second})
    assert answer.status_code == 409
    assert outcome(rig) == before
    again = {**data, **second, **pressed(answer.text, mine + part)}
    assert send(rig, mine, part, again).status_code == 303
    assert outcome(rig) != before


def test_a_move_that_somebody_skipped_since_is_no_repeated_one(rig, mine, theirs):
    data = fill(rig, mine, MOVE, **LATER)
    assert send(rig, mine, MOVE, data).status_code == 303
    skip = fill(rig, theirs, SKIP, why="done")
    assert send(rig, theirs, SKIP, skip).status_code == 303
    assert send(rig, mine, MOVE, data).status_code == 409
    assert stored(rig).state is NudgeState.SKIPPED


def test_another_button_of_a_page_is_another_form(rig, mine):
    part = narrower(rig, mine, seconds=5)
    undo = hidden_of(rig, mine, "preferences/limit/undo")
    back = hidden_of(rig, mine, part)
    back = {**back, "form_id": undo["form_id"]}
    assert send(rig, mine, "preferences/limit/undo", undo).status_code == 303
    rig.clock.instant += timedelta(seconds=1)
    assert send(rig, mine, part, back).status_code == 409


@pytest.mark.parametrize("kind", sorted(FORMS))
def test_two_windows_of_one_person_are_two_forms(rig, mine, kind):
    part, first, second = FORMS[kind]
    one, other = (fill(rig, mine, part, **values) for values in (first, second))
    assert send(rig, mine, part, one).status_code == 303
    rig.clock.instant += timedelta(seconds=1)
    assert send(rig, mine, part, other).status_code == 409


def test_turning_on_is_shown_beside_a_pause_that_came_meanwhile(rig, mine, theirs):
    send(rig, mine, "pause", fill(rig, mine, "pause", **PAUSE))
    rig.clock.instant += timedelta(minutes=1)
    data = hidden_of(rig, mine, "resume")
    changed = fill(rig, theirs, "pause", until="2026-11-23", why="hospital")
    assert send(rig, theirs, "pause", changed).status_code == 303
    rig.clock.instant += timedelta(minutes=1)
    answer = send(rig, mine, "resume", data)
    assert answer.status_code == 409
    text = words(answer.text)
    assert "Stands now Paused until the end of Mon, Nov 23. In hospital." in text
    assert "Yours, not saved Messages are on" in text
    again = send(rig, mine, "resume", pressed(answer.text, mine + "resume"))
    assert again.status_code == 303
    assert own(rig).preferences[-1].value is None


def hidden_of(rig, path, action):
    html = rig.http.get(path).text
    return hidden(html.split(f'action="{path}{action}"')[1].split("</form>")[0])


def test_skipping_is_shown_beside_a_move(rig, mine, theirs):
    data = fill(rig, mine, SKIP, why="done")
    send(rig, theirs, MOVE, fill(rig, theirs, MOVE, **LATER))
    answer = send(rig, mine, SKIP, data)
    assert answer.status_code == 409
    assert "Stands now Wed, Nov 18, 3:30 PM Recorded by" in words(answer.text)
    over = {**data, **pressed(answer.text, mine + SKIP)}
    assert send(rig, mine, SKIP, over).status_code == 303
    assert stored(rig).state is NudgeState.SKIPPED


def test_a_move_over_a_skip_plans_the_message_again(rig, mine, theirs):
    data = fill(rig, mine, MOVE, **LATER)
    send(rig, theirs, SKIP, fill(rig, theirs, SKIP, why="done"))
    answer = send(rig, mine, MOVE, data)
    assert answer.status_code == 409
    assert "Stands now Skipped: It is already done" in words(answer.text)
    over = {**data, **pressed(answer.text, mine + MOVE)}
    assert send(rig, mine, MOVE, over).status_code == 303
    nudge = stored(rig)
    assert nudge.state is NudgeState.PLANNED
    assert nudge.due_at == nudge.moved_to
    assert "skipped" not in nudge.detail


def test_putting_back_is_shown_beside_another_move(rig, mine, theirs):
    send(rig, mine, MOVE, fill(rig, mine, MOVE, **LATER))
    data = fill(rig, mine, MOVE, back="1")
    send(rig, theirs, MOVE, fill(rig, theirs, MOVE, **{**LATER, "time": "12:15"}))
    answer = send(rig, mine, MOVE, data)
    assert answer.status_code == 409
    assert "Yours, not saved Back to its own time" in words(answer.text)
    assert '<button class="btn main" name="back" value="1"' in answer.text
    over = {**data, **pressed(answer.text, mine + MOVE)}
    assert send(rig, mine, MOVE, over).status_code == 303
    assert stored(rig).moved_to is None


def test_putting_back_twice_is_no_clash(rig, mine):
    send(rig, mine, MOVE, fill(rig, mine, MOVE, **LATER))
    data = fill(rig, mine, MOVE, back="1")
    for _ in range(2):
        rig.clock.instant += timedelta(seconds=1)
        answer = send(rig, mine, MOVE, data)
        assert answer.status_code == 303
        assert answer.location.endswith("?saved=back")
    assert stored(rig).moved_to is None


def test_different_groups_of_two_people_both_stick(rig, mine, theirs):
    one = fill(rig, mine, "preferences/limit", limit="1", who="patient")
    other = fill(rig, theirs, "preferences/visits", visits="phone", who="patient")
    assert send(rig, theirs, "preferences/visits", other).status_code == 303
    assert send(rig, mine, "preferences/limit", one).status_code == 303
    said = {item.name: item.value for item in own(rig).preferences}
    assert said == {"max_per_week": 1, "modality": "phone"}


@pytest.mark.parametrize("order", [(1, 2), (2, 1)])
def test_of_two_saves_of_one_form_the_one_typed_last_stands(rig, mine, order):
    part = "preferences/limit"
    data = fill(rig, mine, part, who="patient")
    for turn in order:
        sent = {**data, "limit": str(turn), "turn": str(turn)}
        answer = send(rig, mine, part, sent, PARTIAL)
        assert answer.status_code == 200
        assert "clash" not in answer.text
    assert [item.value for item in own(rig).preferences] == [2]


def test_another_person_between_two_saves_of_one_form_is_a_clash(rig, mine, theirs):
    part = "preferences/limit"
    data = fill(rig, mine, part, who="patient")
    send(rig, mine, part, {**data, "limit": "1", "turn": "1"}, PARTIAL)
    rig.clock.instant += timedelta(seconds=1)
    send(rig, theirs, part, fill(rig, theirs, part, limit="3", who="patient"))
    rig.clock.instant += timedelta(seconds=1)
    late = send(rig, mine, part, {**data, "limit": "2", "turn": "2"}, PARTIAL)
    assert late.status_code == 409
    assert own(rig).preferences[-1].value == 3


def test_undo_knows_its_author_by_more_than_the_name(rig, mine, theirs):
    part = "preferences/language"
    send(rig, mine, part, fill(rig, mine, part, language="vi", who="patient"))
    assert "/language/undo" in rig.http.get(mine).text
    assert "/language/undo" not in rig.http.get(theirs).text
    record = own(rig).preferences[0]
    assert record.saved_by == f"{rig.ehr.base}|user-1|Practitioner/osei"
    stolen = hidden_of(rig, mine, part + "/undo")
    ours = hidden_of(rig, theirs, "language")
    data = {**stolen, "csrf": ours["csrf"], "form_id": "other"}
    answer = send(rig, theirs, part + "/undo", data)
    assert answer.status_code == 422
    assert "too late to undo" in words(answer.text)


def test_undo_asks_before_it_takes_back_somebody_elses_later_answer(rig, mine, theirs):
    part = "preferences/limit"
    send(rig, mine, part, fill(rig, mine, part, limit="1", who="staff"))
    undo = hidden_of(rig, mine, part + "/undo")
    rig.clock.instant += timedelta(seconds=1)
    changed = fill(rig, theirs, part, limit="2", who="staff")
    assert send(rig, theirs, part, changed).status_code == 303
    rig.clock.instant += timedelta(seconds=1)
    answer = send(rig, mine, part + "/undo", undo, PARTIAL)
    assert answer.status_code == 409
    text = words(answer.text)
    assert "Stands now 2 messages a week" in text
    assert "Yours, not saved Not recorded" in text
    assert own(rig).preferences[-1].value == 2
    data = pressed(answer.text, f"{mine}{part}/undo")
    again = send(rig, mine, part + "/undo", data, PARTIAL)
    assert again.status_code == 200
    assert own(rig).preferences[-1].value is None


def narrower(rig, path, seconds=300):
    """Let staff ask for fewer messages than the patient does later."""
    part = "preferences/limit"
    send(rig, path, part, fill(rig, path, part, limit="1", who="staff"))
    rig.clock.instant += timedelta(minutes=5)
    send(rig, path, part, fill(rig, path, part, limit="3", who="patient"))
    rig.clock.instant += timedelta(seconds=seconds)
    return part + "/take-back"


def test_a_narrower_answer_of_staff_is_taken_back(rig, mine):
    part = narrower(rig, mine)
    html = rig.http.get(mine).text
    assert "In force: 1 message a week." in words(html)
    assert "Take back what staff said : Weekly limit" in words(html)
    answer = send(rig, mine, part, hidden_of(rig, mine, part))
    assert answer.status_code == 303
    text = words(rig.http.get(answer.location).text)
    assert "Taken back. The other answer holds again." in text
    assert "3 messages a week" in text
    assert "In force: 1" not in text
    record = own(rig).preferences[-1]
    assert (record.who, record.value, record.how) == (Who.STAFF, None, "taken back")
    assert record.saved_by.endswith("|Practitioner/osei")
    with rig.database.tx() as tx:
        newest = acts(tx)[0]
    assert newest.action == "preference-taken-back"
    assert newest.detail["before"] == 1
    undo = hidden_of(rig, mine, "preferences/limit/undo")
    assert send(rig, mine, "preferences/limit/undo", undo).status_code == 303
    assert own(rig).preferences[-1].value == 1


def test_taking_back_is_shown_beside_a_later_answer(rig, mine, theirs):
    part = narrower(rig, mine)
    data = hidden_of(rig, mine, part)
    said = fill(rig, theirs, "preferences/limit", limit="2", who="patient")
    assert send(rig, theirs, "preferences/limit", said).status_code == 303
    answer = send(rig, mine, part, data, PARTIAL)
    assert answer.status_code == 409
    assert "Yours, not saved Take back what staff said" in words(answer.text)
    over = pressed(answer.text, mine + part)
    assert send(rig, mine, part, over, PARTIAL).status_code == 200


@pytest.mark.parametrize("name", sorted(GROUPS))
def test_there_is_nothing_to_take_back_where_staff_said_nothing(rig, mine, name):
    page = hidden_of(rig, mine, "language")
    form = fill(rig, mine, f"preferences/{name}")
    data = {**page, "version": form["version"]}
    answer = send(rig, mine, f"preferences/{name}/take-back", data)
    assert answer.status_code == 422
    assert "There is no answer of staff to take back." in words(answer.text)


def test_a_value_of_another_voice_is_shown_although_nobody_saved_it_here(rig, mine):
    part = "preferences/limit"
    data = fill(rig, mine, part, limit="1", who="staff")
    say(rig, "max_per_week", 2)
    answer = send(rig, mine, part, data)
    assert answer.status_code == 409
    assert "Stands now 2 messages a week Rosa, by text, Nov 16" in words(answer.text)


# A form that comes back filled in, and in which way another changes what it is about.
BACK = {
    "move": (MOVE, {**LATER, "why": ""}, LATER, "Choose why it is moved."),
    "skip": (SKIP, {"why": ""}, {"why": "wrong"}, "Choose why it is skipped."),
    "pause": ("pause", {**PAUSE, "why": ""}, PAUSE, "Choose why messages are paused."),
    "group": (
        "preferences/channels",
        {"ways": "email,sms"},
        {"ways": "email,sms", "who": "patient"},
        "Choose who said so.",
    ),
    "answer": (
        "answers",
        {**ANSWER, "answer": "yes", "question": ""},
        {**ANSWER, "answer": "yes"},
        "Write down what was asked",
    ),
}


def shown(rig, path, part, html):
    """Return what a page that came back would send."""
    return dict(hidden(html.split(f'action="{path}{part}"')[1].split("</form>")[0]))


@pytest.mark.parametrize("kind", sorted(BACK))
def test_a_form_that_comes_back_is_still_made_from_what_was_seen(
    rig, mine, theirs, kind
):
    part, wanting, whole, reason = BACK[kind]
    data = fill(rig, mine, part)
    changed = fill(rig, theirs, part, **FORMS[kind][1])
    assert send(rig, theirs, part, changed).status_code == 303
    before = outcome(rig)
    rig.clock.instant += timedelta(minutes=1)
    answer = send(rig, mine, part, {**data, **wanting})
    if answer.status_code == 422:
        assert reason in words(answer.text)
        data = {**data, **shown(rig, mine, part, answer.text)}
        answer = send(rig, mine, part, {**data, **whole})
    assert answer.status_code == 409
    assert "Stands now" in words(answer.text)
    assert outcome(rig) == before


def test_a_choice_without_a_voice_is_still_made_from_what_was_seen(rig, mine, theirs):
    part = "preferences/limit"
    data = fill(rig, mine, part, limit="1", turn="1")
    other = fill(rig, theirs, part, limit="3", who="patient")
    assert send(rig, theirs, part, other).status_code == 303
    waits = send(rig, mine, part, data, PARTIAL)
    assert waits.status_code == 200
    assert "clash" not in waits.text
    sent = {**data, **shown(rig, mine, part, waits.text), "who": "patient"}
    assert sent["form_id"] == data["form_id"]
    rig.clock.instant += timedelta(seconds=5)
    answer = send(rig, mine, part, sent, PARTIAL)
    assert answer.status_code == 409
    assert "Stands now 3 messages a week" in words(answer.text)
    assert own(rig).preferences[-1].value == 3


def test_what_another_voice_says_alike_by_now_is_shown_and_not_passed_over(
    rig, mine, theirs
):
    part = "preferences/limit"
    data = fill(rig, mine, part, limit="1", who="patient", turn="1")
    other = fill(rig, theirs, part, limit="1", who="staff")
    assert send(rig, theirs, part, other).status_code == 303
    assert send(rig, mine, part, data, PARTIAL).status_code == 409


def test_a_form_that_came_back_goes_on_as_the_same(rig, mine):
    part = "preferences/limit"
    data = fill(rig, mine, part, who="patient")
    one = {**data, "limit": "1", "turn": "1"}
    assert send(rig, mine, part, one, PARTIAL).status_code == 200
    rig.clock.instant += timedelta(seconds=1)
    html = send(rig, mine, part, {**one, "who": "", "turn": "2"}, PARTIAL).text
    back = shown(rig, mine, part, html)
    assert back["turn"] == "2"
    sent = {**data, **back, "limit": "2", "who": "patient", "turn": "3"}
    rig.clock.instant += timedelta(seconds=1)
    assert send(rig, mine, part, sent, PARTIAL).status_code == 200
    assert [item.value for item in own(rig).preferences] == [2]


@pytest.mark.parametrize("kind", sorted(FORMS))
def test_a_draft_is_still_made_from_what_was_seen(rig, mine, theirs, kind):
    part, first, second = FORMS[kind]
    data = fill(rig, mine, part, **second)
    # A message that was skipped is over; one that was moved is not.
    where, what = (MOVE, LATER) if kind == "skip" else (part, first)
    rig.clock.instant += timedelta(minutes=1)
    assert send(rig, theirs, where, fill(rig, theirs, where, **what)).status_code == 303
    before = outcome(rig)
    rig.clock.instant += timedelta(minutes=30)
    assert send(rig, mine, part, data).status_code == 401
    again = rig.open_page()
    draft = shown(rig, again, part, rig.http.get(again + "draft").text)
    assert draft["version"] == data["version"]
    answer = send(rig, again, part, {**second, **draft})
    assert answer.status_code == 409
    assert "Stands now" in words(answer.text)
    assert outcome(rig) == before
    over = {**second, **draft, **pressed(answer.text, again + part)}
    assert send(rig, again, part, over).status_code == 303


@pytest.mark.parametrize("kind", sorted(FORMS))
def test_a_draft_of_what_was_saved_already_is_no_clash_with_oneself(rig, mine, kind):
    """The answer to the save was lost, and with it the session."""
    part, first, _ = FORMS[kind]
    data = fill(rig, mine, part, **first)
    assert send(rig, mine, part, data).status_code == 303
    before = outcome(rig)
    rig.clock.instant += timedelta(minutes=31)
    assert send(rig, mine, part, data).status_code == 401
    again = rig.open_page()
    html = rig.http.get(again + "draft").text
    if kind == "skip":  # there is nothing to change any more
        assert "Skipped: It is already done" in words(html)
        return
    draft = shown(rig, again, part, html)
    assert draft["form_id"] == data["form_id"]
    answer = send(rig, again, part, {**first, **draft})
    assert answer.status_code == 303, words(answer.text)
    assert outcome(rig) == before
