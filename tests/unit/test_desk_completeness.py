"""How complete a section is: none is never said for what was not permitted or failed."""

from dataclasses import replace
from types import SimpleNamespace

import pytest

from mappings.endpoint import AppClient
from mappings.nudge import REASONS, Verdict
from middleware.desk.completeness import (
    know_coming,
    know_preferences,
    know_words,
)
from middleware.desk.gaps import write_gaps
from middleware.desk.last import answer_so_far
from middleware.desk.page import write_page
from middleware.desk.sentences import choose_answer
from middleware.desk.summary import write_summary
from tests.unit.desk_views import ENDPOINT, LIBRARY, NOW, preference, view

FLAG = {"resourceType": "Flag", "id": "f", "subject": {"reference": "Patient/rosa"}}
GOAL = {"resourceType": "Goal", "id": "g", "description": {"text": "Walk"}}


def lines(known):
    return [*known.lines]


def test_shown_and_none_recorded_are_told_apart():
    known = know_preferences(view(resources=[FLAG]))
    assert known.summary == "Chart: asked 3, shown 1, none recorded 2"
    assert lines(known) == [
        "Shown from the chart: flags 1.",
        "None recorded: consents, family and carers.",
    ]
    assert not known.missing


@pytest.mark.parametrize(
    ("changes", "line", "count"),
    [
        ({"incomplete": ("Flag",)}, "Could not be read: flags.", "failed 1"),
        (
            {"incomplete": ("Flag",), "refused": ("Flag",)},
            "Not permitted: flags.",
            "not permitted 1",
        ),
    ],
)
def test_what_was_not_given_is_never_called_none(changes, line, count):
    known = know_preferences(view(**changes))
    assert line in known.lines
    assert count in known.summary
    assert "flags" not in "".join(one for one in known.lines if "None" in one)
    assert known.missing


def test_scope_that_was_not_granted_is_not_permitted():
    known = know_words(replace(view(), withheld=frozenset({"Goal"})))
    assert "Not permitted: goals." in known.lines
    assert known.missing


def test_what_the_chart_says_is_not_known_is_said_so():
    absent = {**FLAG, "dataAbsentReason": {"text": "unknown"}}
    known = know_preferences(view(resources=[absent]))
    assert "Not known, says the chart: flags." in known.lines


def test_what_no_plan_asks_for_is_not_said_to_be_none():
    one = view()
    assert "Task" not in know_coming(one).summary
    asked = know_coming(one)
    assert asked.summary == "Chart: asked 2, shown 0, none recorded 2"


def test_words_count_only_what_the_patient_stated():
    blood = {
        "resourceType": "Observation",
        "id": "o",
        "code": {"coding": [{"code": "4548-4"}]},
        "subject": {"reference": "Patient/rosa"},
    }
    known = know_words(view(resources=[GOAL, blood]))
    assert known.lines == (
        "Shown from the chart: goals 1.",
        "None recorded: stated preferences.",
    )


def test_gap_names_what_was_withheld_and_what_failed():
    one = replace(view(incomplete=("Consent",)), withheld=frozenset({"Goal"}))
    assert write_gaps(one) == (
        (
            "The EHR did not give this app: goals. It is missing here. Which messages are "
            "due, CareCue decides with its own access to the chart."
        ),
        (
            "Could not be read just now: consents. It is missing here, and a message that "
            "needs it is held until it can be read."
        ),
    )
    assert write_gaps(view()) == ()


def test_visits_that_were_not_permitted_are_not_known():
    visits = write_page(replace(view(), withheld=frozenset({"Appointment"}))).facts[3]
    assert (visits.value, visits.note) == ("Not known", "Visits are not permitted")


def planned(*reasons):
    """Return planned messages with what was decided on each."""
    verdicts = [Verdict(REASONS[reason].outcome, reason) for reason in reasons]
    return tuple((None, SimpleNamespace(verdict=verdict)) for verdict in verdicts)


WITHHELD = {"incomplete": ("Flag",), "refused": ("Flag",)}
VISITS = replace(
    LIBRARY,
    plans=(replace(LIBRARY.plans[0], data=("Appointment?patient={patient}",)),),
)


@pytest.mark.parametrize(
    ("reasons", "told"),
    [
        (
            ("due", "paused"),
            (
                "No coming message is held for it: CareCue checked them with its own access "
                "to the chart at 12:41 PM Central."
            ),
        ),
        (
            ("due", "data-missing"),
            (
                "1 coming message is held: with its own access, at 12:41 PM Central, CareCue "
                "did not find what it needs either."
            ),
        ),
        (
            ("ehr-unreachable", "plan-unknown"),
            (
                "2 coming messages are held: with its own access, at 12:41 PM Central, "
                "CareCue did not find what they need either."
            ),
        ),
        (
            (),
            "Which messages are due, CareCue decides with its own access to the chart.",
        ),
    ],
)
def test_gap_says_whether_a_message_waits_for_what_this_page_was_not_given(
    reasons, told
):
    one = replace(view(**WITHHELD), planned=planned(*reasons), checked_at=NOW)
    assert write_gaps(one) == (
        f"The EHR did not give this app: flags. It is missing here. {told}",
    )


def test_gap_promises_no_other_access_where_only_the_app_is_connected():
    alone = replace(ENDPOINT, app=AppClient(client_id="carecue"))
    assert write_gaps(view(endpoint=alone, **WITHHELD)) == (
        "The EHR did not give this app: flags. It is missing here.",
    )


@pytest.mark.parametrize(
    ("reasons", "held"),
    [
        (("data-missing",), True),
        (("ehr-unreachable", "plan-unknown"), True),
        (("data-missing", "due"), False),
        (("data-missing", "limit-reached"), False),
        ((), False),
    ],
)
@pytest.mark.parametrize("lacks", [{"incomplete": ("Appointment",)}, {}])
def test_verdict_promises_nothing_where_all_that_is_planned_waits_for_the_chart(
    reasons, held, lacks
):
    one = replace(view(**lacks), library=VISITS, planned=planned(*reasons))
    answer = choose_answer(one, "")
    assert answer.sends is not (held and bool(lacks))
    if answer.sends:
        assert answer.tag.text == "Messages on"
        return
    assert answer.tag.text == "Messages held"
    assert answer.sentence == "No message to Rosa can go out now."
    assert answer.lede.endswith(
        "Not read: visits. Once that is read: Text Rosa in Spanish, 9 AM to 8 PM."
    )


def test_graver_states_are_said_where_nothing_can_go_either():
    pause = preference("pause", {"until": None, "why": "asked"})
    one = view(incomplete=("Appointment",), preferences=(pause,))
    one = replace(one, library=VISITS, planned=planned("data-missing"))
    assert choose_answer(one, "").tag.text == "Paused"


def test_nothing_is_promised_while_all_that_is_planned_waits_for_what_is_being_read():
    one = view(incomplete=("Appointment",))
    one = replace(one, library=VISITS, planned=planned("data-missing"))
    reading = replace(one, unread=frozenset({"Goal"}))
    assert answer_so_far(reading).tag.text == "Being checked"
    may_go = replace(reading, planned=planned("data-missing", "due"))
    assert answer_so_far(may_go).tag.text == "Messages on"


def test_sheet_for_the_patient_says_what_holds_for_them_and_not_what_waits():
    one = replace(view(incomplete=("Appointment",)), library=VISITS)
    held = replace(one, planned=planned("data-missing"))
    assert choose_answer(held, "").tag.text == "Messages held"
    assert write_summary(held, held.viewer).how == write_summary(one, one.viewer).how
