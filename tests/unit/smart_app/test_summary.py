"""The sheet that a patient takes home: whose words, what it says and what it never says."""

import re
from dataclasses import replace

import pytest

from tests.unit.smart_app.acts import agree, plan, words


def speak(rig, code):
    spoken = [{"language": {"coding": [{"code": code}]}, "preferred": True}]
    rig.ehr.resources["Patient/rosa"]["communication"] = spoken


def sheet(rig, **headers):
    answer = rig.http.get(f"{rig.open()}summary", headers=headers)
    assert answer.status_code == 200
    return answer.text


def take(html):
    return html[html.index('<main class="take"') : html.index("</main>")]


def test_sheet_is_in_the_patients_language_whoever_prints_it(rig):
    agree(rig)
    plan(rig)
    html = sheet(rig, **{"Accept-Language": "en"})
    said = words(take(html))
    assert 'lang="es-US" dir="ltr"' in take(html)
    assert '<html lang="en-US"' in html
    assert "Mensajes de Northside Clinic" in said
    assert "mensaje de texto, al número que termina en 0142" in said
    assert "Escribimos de 9 a.m. a 8 p.m., en español." in said.replace("\u00a0", " ")
    assert "Su cita" in said
    assert "Un mensaje sobre una cita" in said
    assert "(415) 555-0100" in said
    assert "take-note" not in html
    assert "Print for" in html


def test_sheet_in_english(rig):
    agree(rig)
    speak(rig, "en")
    html = sheet(rig)
    said = words(take(html))
    assert "We write to you by text message, to the number that ends in 0142." in said
    assert "We write between 9 AM and 8 PM, in English." in said
    assert "At most 3 messages a week." in said
    assert "Reply STOP to any message, and we stop." in said
    assert "In an emergency, call 911." in said
    assert "Nothing is planned." in said
    assert "Read this sheet in" not in html


@pytest.mark.parametrize(
    ("code", "opening", "stop"),
    [
        ("vi", 'lang="vi" dir="ltr"', "Xin trả lời STOP"),
        ("zh-CN", 'lang="zh-Hans" dir="ltr"', "回复 STOP"),
        ("ar", 'lang="ar" dir="rtl"', "بكلمة STOP"),
    ],
)
def test_sheet_of_a_translation_that_nobody_approved(rig, code, opening, stop):
    agree(rig)
    plan(rig)
    speak(rig, code)
    html = sheet(rig)
    said = take(html)
    assert opening in said
    assert stop in said
    assert not re.search(r"\b(We|messages?|Reply|call)\b", words(said))
    around = words(html.replace(said, ""))
    assert "Nobody has approved" in around
    assert "Reply STOP to any message" in around, "staff read it in their language"
    site = replace(rig.endpoints[0].site, reviewers={code[:2]: "Dr. Lan, 2026-10-02"})
    rig.endpoints[0] = replace(rig.endpoints[0], site=site)
    html = sheet(rig)
    assert "reviewed by Dr. Lan" in html.replace(take(html), "")
    assert "Nobody has approved" not in html


def test_sheet_in_another_language_is_a_link_away(rig):
    speak(rig, "vi")
    path = rig.open()
    html = rig.http.get(f"{path}summary").text
    offered = re.findall(
        r'summary\?in=([\w-]+)" lang="\1"( aria-current="true")?', html
    )
    assert [tag for tag, _ in offered] == ["en", "es", "vi", "zh-Hans", "ar"]
    assert [tag for tag, now in offered if now] == ["vi"]
    chosen = rig.http.get(f"{path}summary?in=ar").text
    assert 'lang="ar" dir="rtl"' in take(chosen)
    unknown = rig.http.get(f"{path}summary?in=%22%3Cb%3E").text
    assert 'lang="vi" dir="ltr"' in take(unknown)


@pytest.mark.parametrize(
    ("code", "named"),
    [("so", "Somali / Soomaali"), ("zh-TW", "Traditional Chinese / 繁體中文")],
)
def test_sheet_without_a_translation_says_to_use_an_interpreter(rig, code, named):
    agree(rig)
    speak(rig, code)
    html = sheet(rig)
    said = words(take(html))
    assert "We do not have messages in your language yet" in said
    assert f"No reviewed translation into {named} exists." in said
    assert "go through it with an interpreter" in said
    assert "Messages from Northside Clinic" in said
    assert 'lang="en-US" dir="ltr"' in take(html)


def test_sheet_without_a_language_says_so(rig):
    rig.ehr.resources["Patient/rosa"]["communication"] = []
    assert "does not say which language" in words(take(sheet(rig)))


def test_sheet_names_no_diagnosis_and_no_whole_number(rig):
    agree(rig)
    plan(rig, title="Your colonoscopy")
    rig.ehr.resources["Appointment/a1"]["description"] = "Oncology follow-up"
    said = take(sheet(rig))
    for revealing in ("colonoscopy", "Oncology", "5550142", "rosa@example.org"):
        assert revealing not in said


def test_sheet_after_a_stop_or_without_a_way(rig):
    assert "Díganos, por favor, si podemos" in words(take(sheet(rig)))
    agree(rig)
    agree(rig, permit=False)
    rig.ehr.resources["Patient/rosa"]["telecom"].pop()
    assert "Usted dijo que no quería mensajes" in words(take(sheet(rig)))


@pytest.mark.parametrize("change", [{"deceasedBoolean": True}, {"active": False}])
def test_closed_record_has_no_sheet_and_no_link_to_it(rig, change):
    rig.ehr.resources["Patient/rosa"].update(change)
    path = rig.open()
    sent_on = rig.http.get(f"{path}summary")
    assert (sent_on.status_code, sent_on.location) == (303, path)
    assert "summary" not in re.findall(r'href="[^"]*/(\w+)"', rig.http.get(path).text)


def test_page_links_to_the_sheet(rig):
    path = rig.open()
    assert f'href="{path}summary"' in rig.http.get(path).text


def test_sheet_belongs_to_its_launch_alone(rig):
    path = rig.open()
    rig.http.delete_cookie(f"__Host-s_{path.split('/')[2]}")
    answer = rig.http.get(f"{path}summary")
    assert answer.status_code == 403
    assert "Rosa" not in answer.text


def test_hostile_name_is_inert_and_cut(rig):
    name = "<b hx-get=/x>" + "Rosa" * 40
    rig.ehr.resources["Patient/rosa"]["name"] = [{"text": name}]
    said = take(sheet(rig))
    assert "<b hx-get" not in said
    assert "RosaRosa…" in said or "…" in said
