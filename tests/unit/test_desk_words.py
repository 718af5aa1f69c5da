"""The words of the desk: days, spans, sources, findings and the verdict sentence."""

from dataclasses import replace
from datetime import date, timedelta

import pytest

from mappings.endpoint import EndpointKind
from mappings.nudge import REASONS, Fact, Verdict
from mappings.plan import Wording
from mappings.preference import (
    OwnRecord,
    SentMessage,
    Switch,
    Who,
)
from middleware.decisions.fatigue import COMING
from middleware.decisions.windows import CONTACT_WINDOW
from middleware.desk import formats
from middleware.desk.evidence import write_facts
from middleware.desk.flags import write_conflicts
from middleware.desk.histories import write_finding, write_history, write_lede
from middleware.desk.page import write_page
from middleware.desk.preferring import write_hours, write_topics
from middleware.desk.reasons import write_reason
from middleware.desk.sentences import choose_answer
from middleware.desk.versions import preference_version
from middleware.desk.viewer import viewer_of
from middleware.desk.weeks import write_week
from tests.unit.desk_views import (
    ENDPOINT,
    ENGLISH,
    LIBRARY,
    NOW,
    consent,
    preference,
    sent,
    view,
)


def sentence(one):
    answer = choose_answer(one, "")
    return answer.tag.text, f"{answer.sentence} {answer.hours}".strip()


def test_sentence_when_on():
    assert sentence(view()) == ("Messages on", "Text Rosa in Spanish, 9 AM to 8 PM.")


PAUSE = {"until": "2026-11-27T00:00:00-08:00", "why": "In hospital"}
STATES = [
    ({"patient": {"deceasedBoolean": True}}, "Deceased"),
    ({"patient": {"active": False}}, "Record inactive"),
    (
        {
            "patient": {
                "link": [{"type": "replaced-by", "other": {"reference": "Patient/2"}}]
            }
        },
        "Record merged",
    ),
    ({"restore_unchecked": True}, "Messages on hold"),
    ({"switches": (Switch("all", "*", "Storm"),)}, "Messages on hold"),
    ({"preferences": (preference("pause", PAUSE),)}, "Paused until Thu, Nov 26"),
    ({"preferences": (preference("pause", {"until": None}),)}, "Paused"),
    ({"consents": (consent(False),)}, "Stopped by patient"),
    ({"consents": (consent(False, who=Who.STAFF),)}, "Stopped by staff"),
    ({"replies_waiting": 1}, "A reply waits"),
    ({"incomplete": ("Consent",)}, "Chart incomplete"),
    ({"patient": {"birthDate": "2010-01-01"}}, "Under 18"),
    ({"patient": {"birthDate": None}}, "Birth date not recorded"),
    ({"patient": {"telecom": []}}, "No number or address"),
    ({"consents": ()}, "No permission recorded"),
    ({"patient": {"communication": []}}, "Language not recorded"),
    (
        {"endpoint": replace(ENDPOINT, kind=EndpointKind.TEST)},
        "Not reachable from here",
    ),
]


@pytest.mark.parametrize(("changes", "chip"), STATES)
def test_each_state_has_its_own_chip(changes, chip):
    assert sentence(view(**changes))[0] == chip


# what is missing, and the form in which it is recorded
STEPS = [
    ({"consents": ()}, "answer"),
    ({"patient": {"telecom": []}}, "telecom"),
    ({"patient": {"communication": []}}, "language"),
    ({"patient": {"birthDate": "2010-01-01"}}, ""),
    ({"consents": (consent(False),)}, ""),
    ({}, ""),
]


@pytest.mark.parametrize(("changes", "step"), STEPS)
def test_what_is_missing_names_where_it_is_recorded(changes, step):
    assert choose_answer(view(**changes), "").step == step


@pytest.mark.parametrize(
    ("language", "reviewer", "chip"),
    [
        ("es", "Lucía Ferrer", "Messages on"),
        ("es", None, "No wording approved"),
        ("vi", "Lan Tran", "No wording approved"),
    ],
)
def test_no_language_is_promised_that_nobody_approved(language, reviewer, chip):
    wording = Wording("one", "sms", language, "", "Text", reviewer)
    one = replace(view(), library=replace(LIBRARY, wordings=(wording,)))
    assert sentence(one)[0] == chip
    if reviewer is None:
        assert sentence(one)[1] == "CareCue cannot write in Spanish yet."


def test_minor_is_not_said_twice():
    answer = choose_answer(view(patient={"birthDate": "2010-01-01"}), "")
    assert answer.sentence == "A person decides whom to reach for Rosa."
    assert answer.lede == "Rosa is under 18: nothing goes out by itself."


def test_one_difference_says_what_is_in_force():
    one = preference("language", "en")
    assert write_conflicts(view(preferences=(one,))) == (
        "Answers differ on language. In force: English.",
    )


def test_confidential_contact_is_the_only_way_shown_as_used():
    place = {"system": "sms", "value": "+14155550142", "note": ""}
    page = write_page(view(preferences=(preference("confidential", place),)))
    assert page.answer.sentence == "Text Rosa in Spanish"
    used = [row.address for row in page.channels if not row.off]
    assert used == ["(415) 555-0142"]


def test_pause_sentence_names_the_last_day_and_who():
    answer = choose_answer(view(preferences=(preference("pause", PAUSE),)), "")
    assert f"{answer.sentence} {answer.hours}" == (
        "Messages to Rosa are paused until Thu, Nov 26."
    )
    assert answer.lede == (
        "In hospital. Staff, in the chart, recorded by Dr. Osei, Nov 18."
    )


def test_pause_that_is_over_does_not_count():
    over = {"until": "2026-11-18T08:00:00-08:00", "why": ""}
    assert sentence(view(preferences=(preference("pause", over),)))[0] == "Messages on"


def test_topics_show_the_answer_that_counts():
    answers = (consent(), consent(False, topic="preventive", days=2))
    rows = write_topics(view(consents=answers))
    assert [(row.name, row.tag.text) for row in rows] == [
        ("Appointments", "Yes"),
        ("Screening and prevention", "No"),
    ]
    assert rows[1].note == "Rosa, by text, Nov 16"


def test_hours_name_sundays_and_days_without_messages():
    hours = write_hours(view(), None)
    assert (hours.text, hours.less) == ("9 AM to 8 PM", "On Sunday noon to 6 PM.")


def test_hours_name_a_day_on_which_the_site_sends_nothing():
    known = view()
    site = replace(known.endpoint.site, sunday_window=(0, 0))
    closed = replace(known, endpoint=replace(known.endpoint, site=site))
    hours = write_hours(closed, None)
    assert hours.text == "9 AM to 8 PM, never Sunday"
    assert hours.less == "On Sunday nothing is sent."


def test_a_sentence_ends_once():
    spanish = viewer_of("es-US")
    hours = write_hours(replace(view(), viewer=spanish), None)
    assert hours.first_text == "9 a.m."
    assert hours.less == "El domingo: mediodía a 6 p.m."
    assert spanish.say("It was already sent at %(when)s.", when="hoy, 8 p.m.") == (
        "Ya se envió: hoy, 8 p.m."
    )


def test_finding_needs_five_messages():
    assert write_finding(view()) == "No messages yet"
    assert write_finding(view(sent=[sent(1, 5)])) == "Too early to tell (1 message)"
    many = [sent(day, 30 if day < 6 else None) for day in range(1, 8)]
    assert write_finding(view(sent=many)) == "Rosa answers texts, 5 of 7."
    assert write_lede(view(sent=many)) == "Rosa usually answers a text within an hour."
    assert write_lede(view(sent=many[:4])) == ""


def test_usual_is_what_three_in_four_answers_kept():
    spans = (10, 10, 25, 70, 110, 150)
    slow = [sent(day, span) for day, span in enumerate(spans, 1)]
    assert write_lede(view(sent=slow)) == "Rosa usually answers a text within 2 hours."
    assert [tally.usual for tally in write_history(view(sent=slow)).tallies] == [
        "within 1 h 50 min"
    ]


def test_failed_messages_are_rows_but_no_dots():
    history = write_history(view(sent=[sent(1, state="failed"), sent(2)]))
    assert len(history.dots) == 1
    assert [row.tag.text for row in history.rows] == ["Failed", "No answer"]


def test_week_is_full_until_the_oldest_leaves_it():
    messages = tuple(
        SentMessage(NOW - timedelta(days=day), "preventive", "sms") for day in (1, 2, 5)
    )
    fact = write_week(replace(view(), own=OwnRecord(sent=messages)))
    assert (fact.value, fact.note) == ("3 of 3", "Full until Fri, Nov 20")
    assert fact.pips == (True, True, True)


@pytest.mark.parametrize("count", [0, 1, 2])
def test_a_week_of_no_messages_at_all_is_said_whatever_went_out(count):
    limit = {"url": "maxPerWeek", "valueInteger": 0}
    none = {"extension": [{"url": CONTACT_WINDOW, "extension": [limit]}]}
    messages = tuple(
        SentMessage(NOW - timedelta(days=day + 1), "preventive", "sms")
        for day in range(count)
    )
    one = view(patient=none)
    fact = write_week(replace(one, own=replace(one.own, sent=messages)))
    assert (fact.value, fact.note) == (f"{count} of 0", "0 more allowed in 7 days")


def test_facts_are_said_in_words():
    facts = (
        Fact("Appointment/a", "1", "start", "2026-11-25T18:00:00Z"),
        Fact("Appointment/a", "1", "status", "booked"),
        Fact("Patient/rosa", "1", "Patient.communication[0].language", "es"),
        Fact("Patient/rosa", "1", "deceasedBoolean", "True"),
        Fact("Patient/rosa", "1", "deceased", "not recorded"),
        Fact("Consent/c", "1", "provision[sms, *]", "permit, 2026-05-06, on paper"),
    )
    assert write_facts(view(), facts) == (
        "Appointment begins Wed, Nov 25, 10:00 AM",
        "Appointment: status booked",
        "Language: Spanish",
        "A death is recorded",
        "No death is recorded",
        "Agreed to being contacted: on paper",
    )


def test_facts_without_words_are_left_to_the_ledger():
    facts = (
        Fact("Encounter/e", "1", "class.coding.code", "IMP"),
        Fact("Patient/rosa", "1", "Patient.telecom", "no usable one"),
        Fact("RelatedPerson/i", "1", "RelatedPerson.relationship", "carer"),
        Fact("Nudge/next", None, "dueAt", "2026-11-25T18:00Z"),
        Fact("Task/t", "1", "status", "requested"),
    )
    spanish = replace(view(), viewer=viewer_of("es"))
    assert write_facts(spanish, facts) == (
        "En la historia clínica no hay ningún número ni dirección que sirva",
        "Familiar o cuidador: persona cuidadora",
        "El próximo mensaje sale el mié, 25 de nov, 10:00 a.m.",
        "Tarea: estado solicitado",
    )


@pytest.mark.parametrize(
    ("reason", "detail", "said"),
    [
        ("opted-out", "", "The patient said no to this way of contact or topic."),
        ("limit-reached", COMING, "It waits: a more urgent message goes first."),
        (
            "switched-off",
            "email",
            "A hold set by a person covers this message. It covers this way: Email.",
        ),
        (
            "data-missing",
            "not read: Encounter, Flag",
            "The chart lacks what this plan needs to know. "  # noqa: ISC004
            "Not read: hospital stays and visits and flags.",
        ),
        ("plan-unknown", "unknown: x", REASONS["plan-unknown"].sentence),
    ],
)
def test_reason_is_said_whole_and_only_in_words(reason, detail, said):
    verdict = Verdict(REASONS[reason].outcome, reason, detail=detail)
    assert write_reason(view(), verdict) == said


def test_patients_words_come_from_a_goal_they_expressed_themselves():
    goal = {
        "resourceType": "Goal",
        "id": "g",
        "lifecycleStatus": "active",
        "description": {"text": "Dance again"},
        "expressedBy": {"reference": "Patient/rosa"},
    }
    assert write_page(view(resources=[goal])).words.text == "Dance again"
    staff = {**goal, "expressedBy": {"reference": "Practitioner/osei"}}
    assert write_page(view(resources=[staff])).words is None


def test_version_changes_with_the_newest_record():
    first = OwnRecord(preferences=(preference("pause", PAUSE, 9),))
    both = OwnRecord(preferences=(*first.preferences, preference("pause", None, 1)))
    marks = {preference_version(own, "pause") for own in (OwnRecord(), first, both)}
    assert len(marks) == 3
    assert preference_version(OwnRecord(), "pause") == "0"


@pytest.mark.parametrize(
    ("minutes", "text"),
    [
        (0.2, "1 minute"),
        (9, "9 minutes"),
        (72, "1 h 12 min"),
        (60, "1 h"),
        (3000, "2 days"),
    ],
)
def test_spans(minutes, text):
    assert formats.write_span(ENGLISH, timedelta(minutes=minutes)) == text


@pytest.mark.parametrize(
    ("born", "age"),
    [
        ("1968-02-03", "58 years"),
        ("1968-11-19", "57 years"),
        ("2026-01-20", "9 months"),
        ("1968", ""),
        (None, ""),
        ("2027-01-01", ""),
    ],
)
def test_ages(born, age):
    assert formats.write_age(ENGLISH, born, date(2026, 11, 18)) == age


@pytest.mark.parametrize(
    ("hour", "text"),
    [(0, "midnight"), (9, "9 AM"), (12, "noon"), (20, "8 PM"), (24, "midnight")],
)
def test_hours_of_the_day(hour, text):
    assert formats.write_hour(ENGLISH, hour) == text


@pytest.mark.parametrize(
    ("zone", "name"),
    [
        ("America/Los_Angeles", "Pacific"),
        ("America/New_York", "Eastern"),
        ("Europe/Berlin", "Central European"),
    ],
)
def test_zones(zone, name):
    assert formats.zone_name(ENGLISH, zone, NOW) == name


ODD = ["walk", 1, ["walk"], [{"text": "walk"}], None]


@pytest.mark.parametrize("odd", ODD)
def test_a_part_of_the_chart_that_is_no_fhir_breaks_no_page(odd):
    mine = {"reference": "Patient/rosa"}
    goal = {
        "resourceType": "Goal",
        "id": "g1",
        "lifecycleStatus": "active",
        "expressedBy": mine,
        "description": odd,
    }
    seen = {
        "resourceType": "Observation",
        "id": "o1",
        "code": {"coding": [{"system": "http://loinc.org", "code": "95541-9"}]},
        "valueCodeableConcept": odd,
    }
    coded = {**seen, "id": "o2", "valueCodeableConcept": {"coding": [odd]}}
    page = write_page(view(resources=[goal, seen, coded]))
    assert page.words is None
    assert page.answer.tag.text == "Messages on"
