"""The chart was changed after an answer was saved: both are shown, one click chooses."""

import pytest

from mappings.amending import mark_elements
from mappings.answers import read_preference
from mappings.chart import Chart
from mappings.preference import Who
from middleware.decisions.preference import compile_profile
from tests.unit.smart_app.acts import OURS, PARTIAL, acts, agree, hidden, own, words

KOREAN = [{"language": {"coding": [{"code": "ko"}]}, "preferred": True}]


def save(rig, path, who):
    html = rig.http.get(f"{path}preferences/language").text
    data = {**hidden(html), "language": "vi", "who": who}
    answer = rig.http.post(f"{path}preferences/language", data=data, headers=OURS)
    assert answer.status_code == 303


def forestall(rig):
    """Somebody changed the chart; what was saved went there in a form beside it."""
    patient = rig.ehr.resources["Patient/rosa"]
    meta = {"versionId": "2", "lastUpdated": "2026-11-16T14:59:00Z"}
    changed = {**patient, "communication": KOREAN, "meta": meta}
    rig.ehr.resources["Patient/rosa"] = changed
    with rig.database.tx() as tx:
        tx.execute(
            "UPDATE outbox SET state = 'done', server_reference = "
            "'QuestionnaireResponse/1' WHERE key LIKE '%|answer|%'"
        )


def shown(rig, path):
    html = rig.http.get(path).text
    return html.split('id="g-language"')[1].split('id="g-')[0]


def press(rig, path, keep, headers=OURS, html=""):
    html = html or shown(rig, path)
    data = hidden(html.rpartition('/settle/ours"')[2].split("</form>")[0])
    where = f"{path}preferences/language/settle/{keep}"
    return rig.http.post(where, data=data, headers=headers)


def language(rig):
    patient = rig.ehr.resources["Patient/rosa"]

    chart = Chart(patient, (), rig.clock.now())
    profile = compile_profile(chart, own(rig), rig.endpoints[0], rig.clock.now())
    return profile.language.value, [item.name for item in profile.conflicts]


@pytest.fixture
def path(rig):
    agree(rig)
    return rig.open_page()


@pytest.mark.parametrize(
    ("who", "chart"), [("patient", "Rosa says: keep the chart’s"), ("staff", "Keep")]
)
def test_both_are_shown_with_who_and_when_and_a_button_each(rig, path, who, chart):
    save(rig, path, who)
    forestall(rig)
    text = words(shown(rig, path))
    assert "recorded by Dr. Abena Osei" in text
    assert "Vietnamese" in text
    assert "From the chart" in text
    assert "Korean" in text
    assert "Chart changed 6:59 AM." in text
    assert "Write ours into the chart" in text
    assert chart in text


@pytest.mark.parametrize("who", ["patient", "staff"])
def test_ours_is_written_over_what_the_chart_says_now(rig, path, who):
    save(rig, path, who)
    forestall(rig)
    assert press(rig, path, "ours").status_code == 303
    assert language(rig)[0] == "vi"
    with rig.database.tx() as tx:
        row = tx.execute(
            "SELECT resource FROM outbox WHERE state = 'waiting' AND resource ->> "
            "'resourceType' = 'QuestionnaireResponse'"
        ).fetchone()
    name, value, seen = read_preference(row["resource"])
    patient = rig.ehr.resources["Patient/rosa"]
    assert (name, value, seen) == ("language", "vi", mark_elements(patient, name))


@pytest.mark.parametrize("who", ["patient", "staff"])
def test_the_charts_is_kept_by_one_click(rig, path, who):
    save(rig, path, who)
    forestall(rig)
    assert press(rig, path, "chart").status_code == 303
    assert language(rig) == ("ko", [])
    newest = own(rig).preferences[-1]
    expected = (Who.PATIENT, "ko") if who == "patient" else (Who.STAFF, None)
    assert (newest.who, newest.value) == expected
    with rig.database.tx() as tx:
        entry = acts(tx)[0]
    assert (entry.action, entry.detail["before"]) == ("preference-settled", "vi")
    assert "/settle/" not in shown(rig, path)


def test_another_change_in_between_is_shown_before_anything_is_saved(rig, path):
    save(rig, path, "patient")
    forestall(rig)
    html = shown(rig, path)
    other = [{"language": {"coding": [{"code": "fr"}]}, "preferred": True}]
    patient = rig.ehr.resources["Patient/rosa"]
    rig.ehr.resources["Patient/rosa"] = {**patient, "communication": other}
    before = own(rig).preferences
    answer = press(rig, path, "chart", PARTIAL, html)
    assert answer.status_code == 409
    assert "Yours, not saved French Save mine over it" in words(answer.text)
    assert len(own(rig).preferences) == len(before)


@pytest.mark.parametrize("keep", ["ours", "chart"])
def test_where_both_agree_there_is_nothing_to_choose(rig, path, keep):
    save(rig, path, "patient")
    html = rig.http.get(f"{path}preferences/language").text
    where = f"{path}preferences/language/settle/{keep}"
    chart = [{"language": {"coding": [{"code": "vi"}]}, "preferred": True}]
    rig.ehr.resources["Patient/rosa"]["communication"] = chart
    html = rig.http.get(f"{path}preferences/language").text
    answer = rig.http.post(where, data=hidden(html), headers=OURS)
    assert answer.status_code == 422
    assert "The chart says the same by now." in words(answer.text)


def test_there_is_no_third_way(rig, path):
    html = rig.http.get(f"{path}preferences/language").text
    where = f"{path}preferences/language/settle/neither"
    assert rig.http.post(where, data=hidden(html), headers=OURS).status_code == 404
