"""What the forms of the desk say of what holds before anybody changes it."""

from mappings.preference import PreferenceRecord, Who
from middleware.desk.editing.group_views import write_group_form
from middleware.desk.editing.offering_ways import offer_people
from middleware.desk.editing.questions import Asked, write_answer_form
from tests.unit.desk_views import NOW, view

DAUGHTER = {
    "resourceType": "RelatedPerson",
    "id": "ines",
    "active": True,
    "patient": {"reference": "Patient/rosa"},
    "relationship": [{"text": "daughter"}],
    "name": [{"text": "Inés Delgado"}],
    "telecom": [{"system": "phone", "use": "mobile", "value": "+14155550143"}],
}
INES = "RelatedPerson/ines"
WORDS = "I can’t lose another Saturday."
GOAL = {
    "resourceType": "Goal",
    "id": "own",
    "lifecycleStatus": "active",
    "subject": {"reference": "Patient/rosa"},
    "expressedBy": {"reference": "Patient/rosa"},
    "startDate": "2026-10-14",
    "description": {"text": WORDS},
}
WHOLE = (DAUGHTER, GOAL)


def test_who_is_written_to_is_the_patient_where_nobody_said_otherwise():
    rosa, ines = offer_people(view(resources=WHOLE))
    assert (rosa.label, rosa.value) == ("Rosa", ("1",))
    assert (ines.label, ines.value) == ("Inés Delgado", ("",))


def test_who_is_written_to_is_as_it_was_said():
    order = ["RelatedPerson/ines", "Patient/rosa"]
    said = PreferenceRecord("recipients", order, Who.PATIENT, "in the chart", NOW)
    fields = offer_people(view(resources=WHOLE, preferences=(said,)))
    assert [field.value for field in fields] == [("2",), ("1",)]


def test_words_of_the_chart_stand_above_the_form_for_words():
    form = write_group_form(view(resources=WHOLE), "words")
    assert form.present == f"“{WORDS}”"
    assert form.source == "Rosa, a goal in the chart, Oct 14"
    assert write_group_form(view(), "words").present == "Not recorded"


def test_question_about_everything_is_a_question():
    asked = [
        write_answer_form(view(resources=WHOLE), Asked("*", who)) for who in ("", INES)
    ]
    assert [form.fields[0].value for form in asked] == [
        ("May Northside send you messages?",),
        ("May Northside tell Inés Delgado about your care?",),
    ]
    assert asked[1].title == "New answer: may Inés Delgado be told?"
