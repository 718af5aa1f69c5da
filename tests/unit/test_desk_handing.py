"""The sheet for the patient: every state of it in every language that it comes in."""

import re
from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace

import pytest

from mappings.content import load_shipped
from mappings.nudge import Outcome, Verdict
from mappings.plan import Wording
from middleware.decisions.candidate import Candidate
from middleware.desk.handing import write_handing
from middleware.desk.viewer import HANDED, ISOLATE, POP, viewer_of
from tests.unit.desk_views import ENDPOINT, LIBRARY, NOW, consent, preference, view

OWN = ("vi", "zh-Hans", "ar")
NO_WAY = {"patient": {"telecom": []}, "consents": ()}
STATES = {
    "on": {},
    "by email": {
        "patient": {"telecom": [{"system": "email", "value": "rosa@example.org"}]},
        "consents": (replace(consent(), system="email", value="rosa@example.org"),),
    },
    "at noon": {"preferences": (preference("window", [12, 24]),)},
    "paused": {"preferences": (preference("pause", {"until": None, "why": ""}),)},
    "paused until": {
        "preferences": (
            preference("pause", {"until": "2026-12-01T08:00:00+00:00", "why": ""}),
        )
    },
    "stopped": {"consents": (consent(permit=False),)},
    "no way": NO_WAY,
    "nameless": {"patient": {"name": []}},
    "rare": {"preferences": (preference("max_per_week", 1),)},
    "twice": {"preferences": (preference("max_per_week", 2),)},
    "often": {"preferences": (preference("max_per_week", 12),)},
}
VISIT = {
    "resourceType": "Appointment",
    "id": "a1",
    "status": "booked",
    "start": "2026-11-23T17:00:00Z",
    "participant": [{"actor": {"reference": "Patient/rosa"}}],
}
# What may stand in Latin letters on any sheet: names, the keyword, the end of an address.
LATIN = {"STOP", "email", "Northside", "Rosa", "Delgado"}


def seen(code, reviewers=None, worded=True, **changes):
    """Return the view of a patient who speaks ``code``, with words that may be sent."""
    spoken = [{"language": {"coding": [{"system": "urn:ietf:bcp:47", "code": code}]}}]
    patient = {"communication": spoken, **changes.pop("patient", {})}
    site = replace(ENDPOINT.site, reviewers=reviewers or {})
    found = view(patient, endpoint=replace(ENDPOINT, site=site), **changes)
    wordings = [Wording("w", "sms", tag, "", "…", "Dr. Ferrer") for tag in HANDED]
    return replace(found, library=replace(LIBRARY, wordings=wordings * worded))


def coming(found, topics):
    """Add a message of each topic, an hour apart, that will go."""
    rows = []
    for hours, topic in enumerate(topics):
        candidate = Candidate(
            key=topic,
            plan=LIBRARY.plans[0],
            action=None,
            focus="",
            occasion="",
            recipient="",
            verdict=Verdict(Outcome.SEND, "due"),
            due_at=NOW + timedelta(days=1, hours=hours),
            expires_at=NOW + timedelta(days=2),
        )
        rows.append((SimpleNamespace(topic=topic), candidate))
    return replace(found, planned=tuple(rows))


def said(sheet):
    """Return every sentence of a sheet."""
    rows = [part for row in sheet.coming for part in row]
    titles = (sheet.title, sheet.coming_title, sheet.change_title, sheet.changes_title)
    lists = (*sheet.how, *rows, *sheet.change, *sheet.changes)
    return " ".join((sheet.name, *titles, *lists, sheet.made))


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("code", OWN)
def test_no_state_is_left_in_english(code, state):
    found = coming(seen(code, **STATES[state]), ("appointment", "discharge", "survey"))
    sheet = write_handing(found).sheet
    latin = set(re.findall(r"\b[A-Za-z]{3,}\b", said(sheet)))
    if code == "vi":
        english = write_handing(found, "en").sheet
        latin &= set(re.findall(r"\b[A-Za-z]{3,}\b", said(english)))
    assert latin <= LATIN
    assert sheet.viewer.direction == ("rtl" if code == "ar" else "ltr")
    assert "%(" not in said(sheet)


@pytest.mark.parametrize("state", STATES)
def test_every_language_says_as_many_things(state):
    counts = set()
    for code in HANDED:
        sheet = write_handing(seen(code, resources=[VISIT], **STATES[state])).sheet
        counts.add((len(sheet.how), len(sheet.coming), len(sheet.change)))
    assert len(counts) == 1


@pytest.mark.parametrize(
    ("code", "day", "hours", "zone"),
    [
        (
            "en",
            "Monday, November 23, 2026 at 9:00 AM",
            "between 9 AM and 8 PM",
            "Pacific",
        ),
        (
            "es",
            "lunes, 23 de noviembre de 2026, 9:00 a.m.",
            "de 9 a.m. a 8 p.m.",
            "Pacífico",
        ),
        (
            "vi",
            "Thứ Hai, 23 tháng 11, 2026, lúc 09:00",
            "từ 09:00 đến 20:00",
            "Thái Bình Dương",
        ),
        ("zh-CN", "2026年11月23日星期一 09:00", "在09:00至20:00之间", "北美太平洋"),
        (
            "ar",
            "الاثنين، 23 نوفمبر 2026، الساعة 9:00 ص",
            "من 9 ص إلى 8 م",
            "المحيط الهادي",
        ),
        (
            "ar-IQ",
            "الاثنين، 23 تشرين الثاني 2026، الساعة 9:00 ص",
            "من 9 ص إلى 8 م",
            "المحيط الهادي",
        ),
    ],
)
def test_days_hours_and_zone_are_the_languages_own(code, day, hours, zone):
    sheet = write_handing(seen(code, resources=[VISIT])).sheet
    plain = str.maketrans("\u00a0\u202f", "  ", ISOLATE + POP)
    assert sheet.coming[0][0].translate(plain) == day
    assert hours in sheet.how[1].translate(plain)
    assert zone in sheet.made
    assert not re.search(r"[٠-٩۰-۹]", said(sheet)), "digits as read in the US"


@pytest.mark.parametrize(
    ("limit", "text"),
    [
        (0, "لا رسائل في الأسبوع."),
        (1, "رسالة واحدة في الأسبوع على الأكثر."),
        (2, "رسالتان في الأسبوع على الأكثر."),
        (3, "3 رسائل في الأسبوع على الأكثر."),
        (11, "11 رسالة في الأسبوع على الأكثر."),
        (100, "100 رسالة في الأسبوع على الأكثر."),
    ],
)
def test_arabic_counts_in_six_ways(limit, text):
    found = seen("ar")
    number = replace(found.profile.max_per_week, value=limit)
    found = replace(found, profile=replace(found.profile, max_per_week=number))
    assert write_handing(found).sheet.how[2] == text


def test_phone_and_number_are_kept_in_their_order():
    sheet = write_handing(seen("ar")).sheet
    assert f"{ISOLATE}(415) 555-0100{POP}" in sheet.change[1]
    assert f"{ISOLATE}0142{POP}" in sheet.how[0]
    assert f"{ISOLATE}Northside{POP}" in sheet.title


@pytest.mark.parametrize(
    ("code", "reviewers", "review"),
    [
        ("vi", {"vi": "Dr. Lan"}, "Vietnamese reviewed by Dr. Lan, day not recorded."),
        (
            "zh",
            {"zh": "Dr. Wu, 2026-10-02"},
            "Simplified Chinese reviewed by Dr. Wu, Oct 2, 2026.",
        ),
        ("ar", {"ar": "L. Haddad, 2026-10-02"}, "Arabic reviewed by L. Haddad"),
        ("en", {}, "English wording as CareCue brings it."),
    ],
)
def test_who_approved_the_words_is_told_to_staff(code, reviewers, review):
    handing = write_handing(seen(code, reviewers))
    assert handing.approved
    assert handing.review.startswith(review)
    assert handing.review not in said(handing.sheet)


@pytest.mark.parametrize("code", ["es", *OWN])
def test_words_that_nobody_approved_say_so_to_staff_in_their_language(code):
    handing = write_handing(seen(code, {"fr": "Somebody else"}))
    assert not handing.approved
    assert "Nobody has approved" in handing.review
    spanish = replace(seen(code), viewer=viewer_of("es"))
    assert "Nadie ha aprobado" in write_handing(spanish).review


def test_the_reading_is_in_the_language_of_staff():
    found = seen("ar")
    assert "We write between" in said(write_handing(found).reading)
    spanish = write_handing(replace(found, viewer=viewer_of("es-US"))).reading
    assert "Escribimos de" in said(spanish)
    assert write_handing(seen("en")).reading is None


def test_another_language_is_chosen_for_whoever_reads_it():
    found = seen("vi")
    assert write_handing(found, "es").sheet.viewer.tag == "es-US"
    assert write_handing(found, "en").note == ""
    assert write_handing(found, "fr").language == "vi"
    somali = seen("so")
    assert write_handing(somali, "ar").note == ""
    assert "into Somali / Soomaali exists" in write_handing(somali, "en").note


def test_traditional_chinese_is_not_given_simplified():
    handing = write_handing(seen("zh-TW"))
    assert handing.language == "en"
    assert "into Traditional Chinese / 繁體中文 exists" in handing.note


def test_without_words_that_may_be_sent_nothing_is_promised():
    shipped = load_shipped({}).wordings
    assert any(item.language == "vi" and not item.reviewer for item in shipped)
    found = seen("vi", worded=False)
    unsigned = replace(found, library=replace(found.library, wordings=shipped))
    for one in (found, unsigned):
        (only,) = write_handing(one).sheet.how
        assert only.startswith("Chúng tôi chưa có tin nhắn bằng ngôn ngữ của quý vị")
