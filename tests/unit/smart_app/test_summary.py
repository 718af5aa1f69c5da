"""The sheet that a patient takes home: whose words, what it says and what it never says."""

import re

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
    assert "+14155550100" in said
    assert "take-note" not in html
    assert "Print for" in html


def test_sheet_in_english(rig):
    agree(rig)
    speak(rig, "en")
    said = words(take(sheet(rig)))
    assert "We write to you by text message, to the number that ends in 0142." in said
    assert "We write between 9 AM and 8 PM, in English." in said
    assert "At most 3 messages a week." in said
    assert "Answer STOP to any message, and we stop." in said
    assert "In an emergency, call 911." in said
    assert "Nothing is planned." in said


@pytest.mark.parametrize(
    ("code", "named"), [("vi", "Vietnamese / Tiếng Việt"), ("ar", "Arabic / العربية")]
)
def test_sheet_without_a_translation_says_to_use_an_interpreter(rig, code, named):
    agree(rig)
    speak(rig, code)
    said = words(take(sheet(rig)))
    assert "We send you no messages for now." in said
    assert f"No reviewed translation into {named} exists." in said
    assert "go through it with an interpreter" in said
    assert "Messages from Northside Clinic" in said


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
