"""What stands beside the verdict, and the verdict of confidential contact."""

import pytest

from mappings.preference import Who
from middleware.desk.flags import write_conflicts
from middleware.desk.page import write_page
from middleware.desk.sentences import choose_answer
from tests.unit.desk_views import consent, preference, view

PLACE = {"system": "sms", "value": "+14155550142", "note": "Not at home."}
ASKED = preference("confidential", PLACE, who=Who.PATIENT)
NEEDED = {
    "url": "http://hl7.org/fhir/StructureDefinition/patient-interpreterRequired",
    "valueBoolean": True,
}
PAUSE = preference("pause", {"until": None, "why": ""})


def said(one):
    answer = choose_answer(one, "")
    flags = [flag.text for flag in answer.flags]
    return answer.tag.text, f"{answer.sentence} {answer.hours}".strip(), flags


def test_confidential_contact_names_the_only_place():
    assert said(view(preferences=(ASKED,))) == (
        "Confidential contact",
        "Text Rosa in Spanish at (415) 555-0142 only.",
        [],
    )
    answer = choose_answer(view(preferences=(ASKED,)), "")
    assert (
        answer.lede == "Not at home. Rosa, in the chart, recorded by Dr. Osei, Nov 18."
    )


def test_confidential_contact_without_a_usable_place_is_left_to_staff():
    unusable = preference("confidential", {"system": "post", "value": "PO Box 7"})
    chip, sentence, _ = said(view(preferences=(unusable,)))
    assert chip == "Confidential contact"
    assert sentence == (
        "CareCue does not write to Rosa. Staff reach out in the way they asked for."
    )


@pytest.mark.parametrize(
    ("changes", "chip", "flags"),
    [
        ({"preferences": (ASKED, PAUSE)}, "Paused", ["Confidential contact"]),
        ({"patient": {"birthDate": "2014-01-01"}}, "Under 18", []),
        (
            {"patient": {"birthDate": "2014-01-01"}, "preferences": (PAUSE,)},
            "Paused",
            ["Under 18"],
        ),
        (
            {"patient": {"deceasedBoolean": True}, "preferences": (ASKED,)},
            "Deceased",
            ["Confidential contact"],
        ),
        (
            {"preferences": (preference("language", "en", who=Who.PATIENT),)},
            "Messages on",
            ["Answers differ"],
        ),
        (
            {"patient": {"extension": [NEEDED]}},
            "Messages on",
            ["Interpreter for visits"],
        ),
    ],
)
def test_flags_stand_beside_whatever_the_verdict_is(changes, chip, flags):
    found = said(view(**changes))
    assert (found[0], found[2]) == (chip, flags)


def test_conflict_is_named_and_its_rule_said():
    one = view(preferences=(preference("language", "en", who=Who.PATIENT),))
    (sentence,) = write_conflicts(one)
    assert sentence.startswith("Answers differ on language.")
    assert write_page(one).conflicts == (sentence,)
    assert write_conflicts(view()) == ()


def test_topics_that_speak_to_the_patient_are_near():
    refused = consent(False, topic="preventive", days=2)
    rows = write_page(view(consents=(consent(), refused))).topics
    assert [row.near for row in rows] == [False, True]


def test_goal_comes_with_the_translation_that_was_recorded():
    url = "http://hl7.org/fhir/StructureDefinition/translation"
    parts = [
        {"url": "lang", "valueCode": "en"},
        {"url": "content", "valueString": "Walk"},
    ]
    goal = {
        "resourceType": "Goal",
        "id": "g",
        "lifecycleStatus": "active",
        "language": "es",
        "description": {
            "text": "Caminar",
            "_text": {"extension": [{"url": url, "extension": parts}]},
        },
        "expressedBy": {"reference": "Patient/rosa"},
    }
    words = write_page(view(resources=[goal])).words
    assert (words.text, words.language) == ("Caminar", "es")
    assert (words.translation, words.reading) == ("Walk", "en")
