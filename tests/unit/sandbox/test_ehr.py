"""The EHR's pages and what staff do on them by hand."""

from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit
from zoneinfo import ZoneInfo

import pytest

from middleware.sandbox.ehr_actions import choose_start
from middleware.sandbox.ehr_reading import (
    read_age,
    read_concept,
    read_initials,
    read_mrn,
    write_day,
    write_when,
)
from tests.unit.sandbox.smart_rig import APP, BASE, FHIR, LAUNCH_URI, Rig

START = datetime(2026, 11, 23, 16, 0, tzinfo=UTC)
HOME = {
    "system": "http://terminology.hl7.org/CodeSystem/discharge-disposition",
    "code": "home",
    "display": "Home",
}


@pytest.fixture
def rig() -> Rig:
    rig = Rig()
    rig.clock.set(START)
    rig.register(APP)
    return rig


def post(rig: Rig, path: str, origin: str | None = BASE, **form: str):
    headers = {"Origin": origin} if origin else {}
    return rig.http.post(f"/ehr/{path}", data=form, headers=headers)


def only(rig: Rig, type_: str) -> dict:
    (found,) = rig.store.candidates(type_)
    return found


def visit(rig: Rig, when: str = "in-4-days") -> str:
    answer = post(rig, "patient/rosa/book", when=when)
    assert answer.status_code == 303, answer.text
    return only(rig, "Appointment")["id"]


def frame_of(answer) -> tuple[str, dict[str, str]]:
    src = answer.text.partition(' src="http://localhost')[2].partition('"')[0]
    url = urlsplit("http://localhost" + src.replace("&amp;", "&"))
    query = {name: values[0] for name, values in parse_qs(url.query).items()}
    return url._replace(query="").geturl(), query


def test_patient_list_shows_who_is_here(rig: Rig):
    visit(rig)
    page = rig.http.get("/ehr/").text
    assert "Delgado, Rosa" in page
    assert "Feb 3, 1968" in page
    assert "4471" in page
    assert "Fri, Nov 27, 2026, 10:00 AM" in page
    assert page.index("Delgado, Rosa") < page.index("Webb, Tom")


def test_pages_are_closed_in(rig: Rig):
    for path in ("/ehr/", "/ehr/patient/rosa", "/ehr/patient/rosa/app/app"):
        answer = rig.http.get(path)
        policy = answer.headers["Content-Security-Policy"].split("; ")
        assert "script-src 'self'" in policy
        assert "style-src 'self'" in policy
        assert "frame-ancestors 'none'" in policy
        frames = "frame-src http://localhost:* http://127.0.0.1:*"
        assert (frames in policy) is path.endswith("/app")
        assert answer.headers["Cache-Control"] == "no-store"
        assert "style=" not in answer.text
        assert "<script>" not in answer.text


def test_names_are_escaped(rig: Rig):
    name = '<img src=x onerror="alert(1)">'
    patient = {"name": [{"family": name, "given": [name]}], "birthDate": name}
    rig.store.create("Patient", patient, "evil")
    rig.store.create(
        "Condition",
        {"subject": {"reference": "Patient/evil"}, "code": {"text": name}},
    )
    for path in ("/ehr/", "/ehr/patient/evil", "/ehr/patient/evil/app/app"):
        page = rig.http.get(path).text
        assert "<img" not in page
        assert "&lt;img" in page


def test_a_long_name_that_turns_its_direction_stays_in_its_place(rig: Rig):
    name = "\u202egnorts" + "x" * 5000
    rig.store.create("Patient", {"name": [{"text": name}]}, "odd")
    rig.store.create(
        "Condition", {"subject": {"reference": "Patient/odd"}, "code": {"text": name}}
    )
    for path in ("/ehr/", "/ehr/patient/odd", "/ehr/patient/odd/app/app"):
        page = rig.http.get(path).text
        assert "x" * 200 not in page
        assert "<bdi>\u202egnorts" in page
        assert page.count("\u202e") == page.count("<bdi>\u202e")


def test_launch_makes_a_new_frame_each_time(rig: Rig):
    launches = set()
    for _ in range(2):
        answer = rig.http.get("/ehr/patient/rosa/app/app")
        assert (
            'sandbox="allow-scripts allow-forms allow-same-origin allow-popups '
            'allow-popups-to-escape-sandbox allow-modals allow-downloads"'
        ) in answer.text
        url, query = frame_of(answer)
        assert (url, query["iss"]) == (LAUNCH_URI, FHIR)
        launches.add(query["launch"])
    assert len(launches) == 2


def test_launch_carries_patient_stay_and_signed_in_user(rig: Rig):
    post(rig, "patient/rosa/admit")
    post(rig, "user", user="Practitioner/osei")
    _, query = frame_of(rig.http.get("/ehr/patient/rosa/app/app"))
    body = rig.exchange(rig.code(launch=query["launch"])).json
    assert body["patient"] == "rosa"
    assert body["encounter"] == only(rig, "Encounter")["id"]
    assert rig.grant(body["access_token"]).user == "Practitioner/osei"


def test_launch_of_what_is_not_there_is_refused(rig: Rig):
    assert rig.http.get("/ehr/patient/rosa/app/other").status_code == 404
    assert rig.http.get("/ehr/patient/nobody/app/app").status_code == 404
    assert rig.http.get("/ehr/patient/nobody").status_code == 404


def test_switching_user_takes_practitioners_only(rig: Rig):
    answer = post(rig, "user", user="Practitioner/osei", back="/ehr/patient/rosa")
    assert answer.headers["Location"] == "/ehr/patient/rosa"
    assert answer.headers["Set-Cookie"] == (
        "ehr_user=Practitioner/osei; HttpOnly; Path=/ehr; SameSite=Lax"
    )
    assert post(rig, "user", user="Patient/rosa").status_code == 400
    away = post(rig, "user", user="Practitioner/osei", back="//evil.example")
    assert away.headers["Location"] == "/ehr/"


def test_discharge_home_finishes_the_stay(rig: Rig):
    post(rig, "patient/rosa/admit")
    assert only(rig, "Encounter")["status"] == "in-progress"
    assert "Discharge home" in rig.http.get("/ehr/patient/rosa").text
    answer = post(rig, "patient/rosa/discharge")
    assert answer.headers["Location"] == "/ehr/patient/rosa?done=discharge"
    stay = only(rig, "Encounter")
    assert stay["status"] == "finished"
    assert stay["hospitalization"]["dischargeDisposition"]["coding"] == [HOME]
    assert stay["class"]["code"] == "IMP"
    assert stay["meta"]["versionId"] == "2"
    start, end = (datetime.fromisoformat(stay["period"][k]) for k in ("start", "end"))
    assert timedelta(days=2) <= end - start < timedelta(days=2, minutes=1)
    assert "Discharged home." in rig.http.get(answer.headers["Location"]).text


def test_discharge_without_a_stay_changes_nothing(rig: Rig):
    answer = post(rig, "patient/rosa/discharge")
    assert answer.status_code == 409
    assert "The patient is not in hospital." in answer.text
    assert rig.store.candidates("Encounter") == []


def test_admitting_twice_changes_nothing(rig: Rig):
    post(rig, "patient/rosa/admit")
    assert post(rig, "patient/rosa/admit").status_code == 409
    assert only(rig, "Encounter")["meta"]["versionId"] == "1"


def test_booked_visit_is_with_the_signed_in_user(rig: Rig):
    post(rig, "user", user="Practitioner/osei")
    visit(rig)
    booked = only(rig, "Appointment")
    assert booked["status"] == "booked"
    assert booked["start"] == "2026-11-27T10:00:00-06:00"
    assert [p["actor"]["reference"] for p in booked["participant"]] == [
        "Patient/rosa",
        "Practitioner/osei",
    ]
    assert post(rig, "patient/rosa/book", when="never").status_code == 409


def test_cancelled_visit_says_who_wanted_it(rig: Rig):
    id_ = visit(rig)
    assert post(rig, f"patient/rosa/visit/{id_}/cancel").status_code == 303
    cancelled = only(rig, "Appointment")
    assert cancelled["status"] == "cancelled"
    assert cancelled["cancelationReason"]["coding"][0]["code"] == "pat"
    assert post(rig, f"patient/rosa/visit/{id_}/cancel").status_code == 409


def test_no_show_only_after_the_visit_began(rig: Rig):
    id_ = visit(rig)
    assert post(rig, f"patient/rosa/visit/{id_}/no-show").status_code == 409
    rig.clock.advance(timedelta(days=5))
    assert post(rig, f"patient/rosa/visit/{id_}/no-show").status_code == 303
    assert only(rig, "Appointment")["status"] == "noshow"


def test_visit_of_another_chart_is_left_alone(rig: Rig):
    id_ = visit(rig)
    assert post(rig, f"patient/tom/visit/{id_}/cancel").status_code == 409
    assert only(rig, "Appointment")["status"] == "booked"


def test_nothing_is_done_to_a_patient_who_died(rig: Rig):
    rig.store.update("Patient", "tom", {"deceasedBoolean": True})
    assert post(rig, "patient/tom/admit").status_code == 409
    assert "Admit to hospital" not in rig.http.get("/ehr/patient/tom").text


@pytest.mark.parametrize("origin", ["http://localhost:8091", "null"])
def test_forms_of_other_sites_are_refused(rig: Rig, origin):
    assert post(rig, "patient/rosa/admit", origin=origin).status_code == 403
    assert rig.store.candidates("Encounter") == []


def test_style_is_plain_json(rig: Rig):
    style = rig.http.get("/ehr/smart-style.json").json
    assert style["color_text"] == "#17212b"
    assert set(map(type, style.values())) == {str}


def test_app_launch_url_stands_in_for_a_registration():
    from dataclasses import replace

    rig = Rig()
    options = rig.app.extensions["options"]
    rig.app.extensions["options"] = replace(options, app_launch_url=LAUNCH_URI)
    assert "Launch CareCue" in rig.http.get("/ehr/patient/rosa").text
    url, query = frame_of(rig.http.get("/ehr/patient/rosa/app/default"))
    assert (url, query["iss"]) == (LAUNCH_URI, FHIR)
    rig.register(APP)
    assert rig.http.get("/ehr/patient/rosa/app/default").status_code == 404
    assert rig.exchange(rig.code(launch=query["launch"])).json["patient"] == "rosa"


def test_words_of_dates_and_codes():
    zone = ZoneInfo("America/Chicago")
    assert write_when("2026-11-24T15:30:00Z", zone) == "Tue, Nov 24, 2026, 9:30 AM"
    assert write_when("2026-11-24", zone) == "Nov 24, 2026"
    assert write_when(None, zone) == ""
    assert write_day("2026-11-24T02:00:00Z", zone) == "Nov 23, 2026"
    assert read_age("1968-02-29", START.date()) == 58
    assert read_age("1968", START.date()) is None
    assert read_concept([{"coding": [{"code": "c"}, {"display": "d"}]}]) == "d"
    assert read_concept(None) == ""
    assert read_initials("Dr. Abena Osei, MD") == "AO"
    assert read_mrn({"identifier": [{"value": "1"}, {"value": "2"}]}) == "1"


def test_choose_start_keeps_the_clinics_hour_over_a_clock_change():
    zone = ZoneInfo("America/Chicago")
    before = datetime(2026, 10, 30, 15, 0, tzinfo=UTC)
    assert choose_start("in-4-days", before, zone).isoformat() == (
        "2026-11-03T10:00:00-06:00"
    )
    assert choose_start("half-hour-ago", before, zone).isoformat() == (
        "2026-10-30T09:30:00-05:00"
    )
