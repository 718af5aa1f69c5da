"""The language of the page is the viewer's, and stays with the launch."""

from tests.unit.smart_app.acts import OURS, agree, plan, words

SPANISH = {"Accept-Language": "fr;q=0.5, es-MX;q=0.9, en;q=0.7"}


def test_page_is_said_in_the_language_that_the_browser_asks_for(rig):
    agree(rig)
    plan(rig)
    html = rig.http.get(rig.open(), headers=SPANISH).text
    assert '<html lang="es-MX" dir="ltr">' in html
    text = words(html)
    assert "Escriba un SMS a Rosa en español, de 9 a.m. a 8 p.m. " in text
    assert "Nacimiento: 3 feb 1968" in text
    assert "58 años, mujer" in text
    assert "Próximos mensajes" in text


def test_chosen_language_stays_with_its_launch(rig):
    path = rig.open()
    form = rig.form(path, language="es")
    answer = rig.http.post(f"{path}language", data=form, headers=OURS)
    assert (answer.status_code, answer.location) == (303, path)
    assert '<html lang="es-US"' in rig.http.get(path).text
    assert '<html lang="en-US"' in rig.http.get(rig.open()).text


def test_language_that_we_have_not_changes_nothing(rig):
    path = rig.open()
    form = rig.form(path, language="tlh")
    rig.http.post(f"{path}language", data=form, headers=OURS)
    assert '<html lang="en-US"' in rig.http.get(path).text


def test_language_is_set_by_our_own_form_only(rig):
    path = rig.open()
    answer = rig.http.post(f"{path}language", data={"language": "es"}, headers=OURS)
    assert answer.status_code == 403


def test_notices_are_said_in_the_viewers_language(rig):
    answer = rig.http.get("/l/unknown/", headers=SPANISH)
    assert '<html lang="es-MX" dir="ltr">' in answer.text
    assert "Esto no se puede abrir aquí" in answer.text


def test_forms_are_said_in_the_viewers_language(rig):
    agree(rig)
    nudge = plan(rig)
    path = rig.open()
    for part, said in (
        ("pause", "Bereavement or crisis"),
        ("preferences/channels", "Who said so?"),
        (f"messages/{nudge.id}/skip", "It is already done"),
        (f"messages/{nudge.id}", "Keep as planned"),
    ):
        assert said in words(rig.http.get(f"{path}{part}").text)
        assert said not in words(rig.http.get(f"{path}{part}", headers=SPANISH).text)


def test_step_is_said_in_the_viewers_language(rig):
    agree(rig)
    nudge = plan(rig)
    path = rig.open()
    html = rig.http.get(path, headers=SPANISH).text
    assert "Rosa tiene cita el 21 nov, 7:00 a.m.: se le recuerda. Se detiene" in words(
        html
    )
    assert "<h3 hx-ignore>Su cita</h3>" in html
    assert "Your visit" not in html
    for part in (f"messages/{nudge.id}", f"messages/{nudge.id}/skip"):
        said = rig.http.get(f"{path}{part}", headers=SPANISH).text
        assert "A visit is booked" not in said
        assert "Your visit" not in said
    english = rig.http.get(path, headers={"Accept-Language": "en"}).text
    assert "A visit is booked. Stops if the visit is cancelled." in words(english)


def test_step_without_translation_is_marked_as_english(rig):
    agree(rig)
    plan(rig, plan="https://site.example.org/fhir/PlanDefinition/own")
    html = rig.http.get(rig.open(), headers=SPANISH).text
    assert '<h3 hx-ignore lang="en">Your visit</h3>' in html
    assert '<span lang="en">A visit is booked. Stops if' in html
