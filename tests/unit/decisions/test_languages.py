"""Five languages: the right one or none, easy to read, revealing nothing."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mappings.content import load_shipped
from mappings.nudge import Outcome
from mappings.plan import NS, Library, Plan, Wording
from mappings.revealing import revealing_words
from middleware.decisions.checking import check_library
from middleware.decisions.languages import (
    MARK,
    TURN,
    language_tags,
    locale_of,
    without_marks,
)
from middleware.decisions.linting import count_segments, find_faults, is_gsm
from middleware.decisions.reading import (
    _sentences,
    reading_ease,
    reading_fault,
    reading_grade,
)
from middleware.decisions.wording import GENERIC, day_words, time_words, variables
from middleware.decisions.wording import write_words as write
from tests.unit.decisions.story import (
    DISCHARGED,
    LIBRARY,
    NUMBER,
    SITE,
    chart,
    decide,
    encounter,
    look_again,
    nudge_of,
    patient,
    reason_of,
)

LANGUAGES = ("en", "es", "vi", "zh-Hans", "ar")
EVERYBODY = dict.fromkeys(LANGUAGES, "A reader")
FIVE = load_shipped(EVERYBODY)
REVEALING = "a word may reveal a diagnosis, medicine, test or specialty"
MOMENT = datetime(2026, 11, 24, 20, 30, tzinfo=UTC)
CHECK_IN = f"{NS}/ActivityDefinition/post-discharge-check-in"
SAID = {
    "en": "{{ clinic }}: please call {{ phone }}. STOP to end",
    "es": "{{ clinic }}: llame al {{ phone }}. STOP para terminar",
    "vi": "{{ clinic }}: xin gọi {{ phone }}. STOP để dừng",
    "zh-Hans": "{{ clinic }}: 请拨打 {{ phone }}。回复STOP退订",
    "ar": "{{ clinic }}: اتصل على {{ phone }}. للإيقاف STOP",
}


def speaks(tag: str, system: str = "urn:ietf:bcp:47") -> dict[str, Any]:
    coding = {"system": system, "code": tag}
    return patient(
        communication=[{"language": {"coding": [coding]}, "preferred": True}]
    )


def worded(*tags: str, reviewed: bool = True) -> Library:
    """A library whose check-in has these languages."""
    kept = [item for item in LIBRARY.wordings if item.definition != CHECK_IN]
    mine = [
        Wording(CHECK_IN, "sms", tag, "", SAID[tag], "A reader" if reviewed else None)
        for tag in tags
    ]
    return replace(LIBRARY, wordings=(*kept, *mine))


def check_in(tag: str, library: Library) -> Any:
    read = chart(encounter(), person=speaks(tag))
    return decide(DISCHARGED, read, library=library)["post-discharge/check-in"]


@pytest.mark.parametrize(
    ("tag", "expected"),
    [
        ("zh", ("zh-Hans",)),
        ("zh-CN", ("zh-Hans",)),
        ("zh-Hans", ("zh-Hans",)),
        ("zh_Hans_CN", ("zh-Hans",)),
        ("ZH-hans", ("zh-Hans",)),
        ("zh-SG", ("zh-Hans",)),
        ("cmn", ("zh-Hans",)),
        ("zh-TW", ("zh-Hant",)),
        ("zh-HK", ("zh-Hant",)),
        ("zh-Hant-US", ("zh-Hant",)),
        ("yue", ("yue",)),
        ("es-MX", ("es-MX", "es")),
        ("spa", ("es",)),
        ("es-419", ("es-419", "es")),
        ("ar-EG", ("ar-EG", "ar")),
        ("vi", ("vi",)),
        ("vi-Hani", ("vi-Hani",)),
        ("", ("",)),
    ],
)
def test_tag_names_the_wordings_that_its_reader_can_read(
    tag: str, expected: tuple[str, ...]
) -> None:
    assert language_tags(tag) == expected


@pytest.mark.parametrize("tag", LANGUAGES)
def test_each_language_is_sent_reviewed_held_unreviewed_and_never_replaced(
    tag: str,
) -> None:
    right = check_in(tag, worded(*LANGUAGES))
    assert (reason_of(right), right.language) == ("send: due", tag)
    held = check_in(tag, worded(*LANGUAGES, reviewed=False))
    assert reason_of(held) == "hold: wording-not-reviewed"
    others = [item for item in LANGUAGES if item != tag]
    missing = check_in(tag, worded(*others))
    assert (reason_of(missing), missing.text) == ("hold: wording-missing", "")
    assert missing.task is not None
    assert "interpreter" in missing.task.text


@pytest.mark.parametrize(
    ("tag", "expected"),
    [
        ("zh-CN", "send: due"),
        ("zh-TW", "hold: wording-missing"),
        ("yue", "hold: wording-missing"),
        ("es-MX", "send: due"),
        ("ar-IQ", "send: due"),
        ("fr", "hold: wording-missing"),
    ],
)
def test_a_chart_s_tag_finds_its_wording_or_none(tag: str, expected: str) -> None:
    assert reason_of(check_in(tag, worded(*LANGUAGES))) == expected


@settings(max_examples=80, deadline=None)
@given(
    tag=st.sampled_from([*LANGUAGES, "es-MX", "zh-TW", "zh", "fr", "ht", "pt-BR", ""]),
    reviewed=st.sets(st.sampled_from(LANGUAGES)),
    there=st.sets(st.sampled_from(LANGUAGES)),
)
def test_nothing_goes_in_a_language_that_is_not_the_patients_and_reviewed(
    tag: str, reviewed: set[str], there: set[str]
) -> None:
    kept = [item for item in LIBRARY.wordings if item.definition != CHECK_IN]
    mine = [
        Wording(CHECK_IN, "sms", one, "", SAID[one], "A" if one in reviewed else None)
        for one in sorted(there)
    ]
    library = replace(LIBRARY, wordings=(*kept, *mine))
    found = check_in(tag, library)
    if found.verdict.outcome is Outcome.SEND:
        assert found.language in reviewed & there
        assert found.language in language_tags(tag)
    else:
        assert (found.text, found.verdict.outcome) == ("", Outcome.HOLD)


# --- days, times and direction -----------------------------------------------------


@pytest.mark.parametrize(
    ("tag", "day", "time"),
    [
        ("en", "Tue, Nov 24", "2:30 PM"),
        ("es", "mar, 24 de nov", "2:30 p.m."),
        ("vi", "Th 3, 24 thg 11", "14:30"),
        ("zh-CN", "11月24日周二", "14:30"),
        ("ar", "الثلاثاء، 24 نوفمبر", "2:30 م"),
        ("xx", "Tue, Nov 24", "2:30 PM"),
    ],
)
def test_days_and_times_are_written_as_the_language_does(
    tag: str, day: str, time: str
) -> None:
    local = MOMENT.replace(hour=14)
    assert (day_words(local.date(), tag), time_words(local, tag)) == (day, time)


def test_language_of_two_regions_is_that_of_the_united_states() -> None:
    assert str(locale_of("es-MX")) == "es_US"
    assert str(locale_of("zh-Hans-CN")) == "zh_Hans"


def test_arabic_keeps_its_direction_and_the_number_its_own() -> None:
    values = variables(SITE, "Rosa", "ar", None, "UTC")
    found = write(worded("ar"), CHECK_IN, "sms", "ar", values)
    assert found.reason == ""
    assert found.text.startswith(f"{MARK}{SITE.name}")
    assert f"{TURN}{SITE.phone}" in found.text
    assert without_marks(found.text).startswith(SITE.name)
    assert not is_gsm(found.text)
    assert len(found.text) == len(without_marks(found.text)) + 2


@pytest.mark.parametrize("tag", ["vi", "zh-Hans", "ar"])
def test_marks_and_letters_are_counted_as_sixteen_bits(tag: str) -> None:
    values = variables(SITE, "Rosa", tag, None, "UTC")
    text = write(worded(tag), CHECK_IN, "sms", tag, values).text
    filled = text + "字" * (70 - len(text))
    assert (count_segments(filled), count_segments(filled + "字")) == (1, 2)
    long = text + "字" * (134 - len(text))
    assert (count_segments(long), count_segments(long + "字")) == (2, 3)
    faults = find_faults(long + "字", channel="sms", clinic=SITE.name)
    assert faults == ("it needs more than 2 segments",)


# --- what may not be said ----------------------------------------------------------


@pytest.mark.parametrize(
    "words",
    [
        "your colonoscopy", "Cardiology called", "your test results", "flu shot",
        "su mamografía", "resultados", "la vacuna", "su diabetes", "PSIQUIATRÍA",
        "ung thư", "xét nghiệm", "khoa tâm thần", "tiểu đường", "CHÍCH NGỪA",
        "您的癌症", "化验结果", "糖尿病", "看心理医生", "接种疫苗",
        "السرطان", "نتيجة التحليل", "والسكري", "طبيب نفسي", "بالأشعة", "سَرَطان",
    ],
)  # fmt: skip
def test_words_that_reveal_are_found_in_every_language(words: str) -> None:
    found = find_faults(f"{SITE.name}: {words}. STOP", channel="sms", clinic=SITE.name)
    assert REVEALING in found


@pytest.mark.parametrize("tag", LANGUAGES)
def test_each_language_has_words_of_its_own_and_none_is_passed_over(tag: str) -> None:
    words = revealing_words()[tag]
    assert len(words) > 60
    for word in words:
        text = f"{SITE.name}: {word}. STOP"
        faults = find_faults(text, channel="sms", clinic=SITE.name, max_segments=9)
        assert REVEALING in faults, word


@pytest.mark.parametrize("tag", LANGUAGES)
def test_ordinary_words_reveal_nothing(tag: str) -> None:
    values = variables(SITE, "Rosa", tag, MOMENT, SITE.zone)
    assert write(worded(tag), CHECK_IN, "sms", tag, values).faults == ()


def test_stop_is_found_between_signs_and_not_inside_a_word() -> None:
    right = f"{SITE.name}: 回复STOP退订"
    assert find_faults(right, channel="sms", clinic=SITE.name) == ()
    wrong = f"{SITE.name}: UNSTOPPABLE"
    assert find_faults(wrong, channel="sms", clinic=SITE.name) == (
        "it does not say how to stop",
    )


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("see https://northside.example.org/b", ""),
        ("see https://other.example.org/b", "it has a link that was not given for it"),
        ("see other.example.org/p/t0k3n", "it has a link that was not given for it"),
        (
            "https://northside.example.org/b or https://northside.example.org/b",
            "it has more than one link",
        ),
        ("call 24/7", ""),
    ],
)
def test_only_the_link_that_was_given_and_only_once(text: str, fault: str) -> None:
    found = find_faults(
        f"{SITE.name}: {text}. STOP",
        channel="sms",
        clinic=SITE.name,
        links=(SITE.booking_url,),
    )
    assert found == ((fault,) if fault else ())


# --- easy to read ------------------------------------------------------------------


def test_grade_and_ease_are_those_of_the_formulas() -> None:
    """Twelve words with 15 beats, eight with 14, in two sentences, counted by hand."""
    english = _sentences(
        "The doctor will call you soon. Please answer when it rings today."
    )
    assert reading_grade(english) == pytest.approx(0.39 * 6 + 11.8 * 15 / 12 - 15.59)
    spanish = _sentences("La doctora le llama hoy. Por favor conteste.")
    assert reading_ease(spanish) == pytest.approx(206.84 - 60 * 14 / 8 - 1.02 * 4)


@pytest.mark.parametrize(
    ("tag", "text"),
    [
        ("en", "Comprehensive evaluation necessitates immediate authorization"),
        (
            "es",
            "La institucionalización administrativa requiere autorización inmediata",
        ),
        ("vi", " ".join(["xin"] * 29)),
        ("zh-Hans", "请" * 41),
        ("ar", " ".join(["اتصل"] * 23)),
    ],
)
def test_hard_words_and_long_sentences_are_faults(tag: str, text: str) -> None:
    assert reading_fault(text, tag) != ""
    assert reading_fault(SAID[tag], tag) == ""


def test_language_without_a_measure_has_no_fault() -> None:
    assert reading_fault("word " * 200, "ht") == ""


# --- the generic wording -----------------------------------------------------------


@pytest.mark.parametrize("channel", ["sms", "email", "screen"])
@pytest.mark.parametrize("tag", LANGUAGES)
def test_generic_message_says_who_and_how_and_nothing_else(
    tag: str, channel: str
) -> None:
    values = variables(SITE, "Rosa", tag, MOMENT, SITE.zone)
    found = write(FIVE, GENERIC, channel, tag, values)
    assert (found.reason, found.language) == ("", tag)
    assert "Rosa" not in f"{found.subject} {found.text}"
    assert SITE.phone in found.text


def generic(plan: Plan) -> Plan:
    return replace(plan, sensitive="generic")


def sensitive(code: str, library: Library, **labels: Any) -> Any:
    icd = "http://hl7.org/fhir/sid/icd-10-cm"
    reason = {"coding": [{"system": icd, "code": code}]}
    stay = encounter(reasonCode=[reason], **labels)
    return decide(DISCHARGED, chart(stay), library=library)["post-discharge/check-in"]


def test_sensitive_matter_goes_out_in_generic_words_where_the_plan_says_so() -> None:
    library = replace(FIVE, plans=tuple(map(generic, FIVE.plans)))
    found = sensitive("F33.1", library)
    assert reason_of(found) == "send: due"
    assert "you have a message" in found.text
    assert "stay" not in found.text
    again = look_again(nudge_of(found), chart(encounter()), library=library)
    assert reason_of(again) == "send: due"
    assert reason_of(sensitive("F33.1", FIVE)) == "hold: sensitive"


def test_what_the_law_or_danger_leaves_to_people_is_never_sent_generic() -> None:
    library = replace(FIVE, plans=tuple(map(generic, FIVE.plans)))
    assert reason_of(sensitive("F11.20", library)) == "hold: sensitive"
    act = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
    for code in ("SDV", "SUD"):
        meta = {"security": [{"system": act, "code": code}]}
        found = sensitive("J18.9", library, meta=meta)
        assert reason_of(found) == "hold: sensitive"


# --- at the gate -------------------------------------------------------------------


def test_chart_of_another_patient_is_never_written_to() -> None:
    found = decide(DISCHARGED, chart(encounter()))["post-discharge/check-in"]
    nudge = nudge_of(found, patient="Patient/somebody")
    held = look_again(nudge, chart(encounter()), at=found.due_at + timedelta(minutes=1))
    assert (reason_of(held), held.text) == ("hold: wrong-patient", "")
    assert held.task is not None


# --- plan check --------------------------------------------------------------------


def faults_of(library: Library) -> str:
    return "\n".join(check_library(library))


def test_check_finds_a_first_message_without_the_emergency_number() -> None:
    assert "it does not say to call 911 in an emergency" in faults_of(worded("en"))
    assert "911" not in faults_of(LIBRARY)


@pytest.mark.parametrize(
    ("text", "faulty"),
    [
        ("{{ clinic }}: a check-up is due. Call {{ phone }}. STOP", False),
        ("{{ clinic }}: how are you? Call {{ phone }}. STOP", True),
        ("{{ clinic }}: reply 1 if well, 2 if not. STOP", True),
        ("{{ clinic }}: 您好吗？STOP", True),
        ("{{ clinic }}: how are you? Not watched 24/7; emergency 911. STOP", False),
    ],
)
def test_about_a_long_illness_a_message_that_asks_names_the_emergency_number(
    text: str, faulty: bool
) -> None:
    wording = Wording(CHECK_IN, "sms", "en", "", text, "somebody")
    plans = tuple(replace(plan, topic="chronic-care") for plan in LIBRARY.plans)
    found = faults_of(replace(LIBRARY, plans=plans, wordings=(wording,)))
    assert ("it does not say to call 911" in found) is faulty


def test_check_finds_hard_words_and_plans_that_evade_the_limits() -> None:
    hard = Wording(
        CHECK_IN,
        "sms",
        "en",
        "",
        "{{ clinic }}: comprehensive evaluation necessitates immediate authorization. "
        "911. STOP",
        "somebody",
    )
    plans = tuple(replace(plan, counts=False) for plan in LIBRARY.plans)
    found = faults_of(replace(LIBRARY, plans=plans, wordings=(hard,)))
    assert "post-discharge-check-in, sms, en: it reads at grade" in found
    assert "only visit and safety messages are never held by the limits" in found


def test_number_of_another_adult_gets_no_name() -> None:
    """The minimum wording takes the place of one that says the given name."""
    from middleware.decisions.circumstance import Step, open_case
    from middleware.decisions.generic import choose_definition
    from middleware.decisions.routing import Route
    from tests.unit.decisions.story import NOW, endpoint, own

    case = open_case(chart(encounter()), own(), LIBRARY, endpoint(), NOW)
    plan = next(item for item in LIBRARY.plans if item.id == "appointment-reminder")
    action = next(item for item in plan.actions if item.id == "one-day")
    route = Route("sms", NUMBER, ())
    shared = replace(route, shared=True)
    alone = replace(route, confidential=True)
    step = Step(
        case=case,
        plan=plan,
        action=action,
        reference="Appointment/visit",
        focus=None,
        occasion="",
        recipient="Patient/rosa",
        event=NOW,
    )
    assert choose_definition(step, route, "en") == action.definition
    assert choose_definition(step, shared, "en") == GENERIC
    assert choose_definition(step, alone, "en") == GENERIC
    nameless = next(item for item in LIBRARY.plans if item.id == "post-discharge")
    first = next(item for item in nameless.actions if item.id == "check-in")
    same = replace(step, plan=nameless, action=first)
    assert choose_definition(same, shared, "en") == first.definition
