"""How complete a section is: none is never said for what was not permitted or failed."""

from dataclasses import replace

import pytest

from middleware.desk.completeness import (
    know_coming,
    know_preferences,
    know_words,
)
from middleware.desk.gaps import write_gaps
from middleware.desk.page import write_page
from tests.unit.desk_views import NOW, view

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
    (gap,) = write_gaps(one)
    assert gap.startswith("The EHR did not give this app: consents and goals.")
    assert write_gaps(view()) == ()


def test_visits_that_were_not_permitted_are_not_known():
    visits = write_page(replace(view(), withheld=frozenset({"Appointment"}))).facts[3]
    assert (visits.value, visits.note) == ("Not known", "Visits are not permitted")


def test_what_carecue_checked_itself_is_no_warning_of_its_own():
    one = view(incomplete=("Flag",), refused=("Flag",))
    nudge = (None, None)
    (told,) = write_gaps(replace(one, planned=(nudge,), checked_at=NOW))
    assert told.startswith("The EHR did not give this app: flags.")
    assert told.endswith(
        "CareCue checked the coming messages on the whole chart at 12:41 PM Central."
    )
