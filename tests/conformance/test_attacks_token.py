"""Attacks on the exchange of the code and on the renewal of what came of it."""

from __future__ import annotations

import io
import logging
import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from flask import Response

from mappings.scopes import read_grant
from middleware.desk.completeness import PLAIN
from middleware.log import configure_logging
from smart_app.scopes import examine
from tests.conformance.clinic import (
    Clinic,
    code_of,
    near_the_end,
    renewing,
    secrets_of,
    types_asked,
)

HTML = Response("<!doctype html><title>Sign in</title>", content_type="text/html")


@pytest.mark.attack(23)
def test_a_token_that_is_none_opens_nothing(clinic: Clinic) -> None:
    answers: tuple[dict[str, Any], ...] = (
        {"token_type": "mac"},
        {"token_type": "DPoP"},
        {"token_type": None},
        {"token_type": ["Bearer"]},
        {"access_token": None},
        {"access_token": ""},
        {"access_token": 7},
        {"access_token": "a\r\nX-Evil: 1"},
        {"access_token": "é"},
    )
    for answer in answers:
        clinic.ehr.habits.answer = answer
        given = clinic.launch()
        assert (given.status_code, code_of(given)) == (502, "T2"), answer
    assert clinic.rows("SELECT id FROM launch WHERE stage = 'open'") == []


@pytest.mark.attack(23)
def test_an_answer_that_is_none_is_a_page(clinic: Clinic) -> None:
    views: tuple[Callable[[], Any], ...] = (
        lambda: HTML,
        lambda: ("{}", 500),
        lambda: ("", 200),
        lambda: ("null", 200),
        lambda: ("[]", 200),
        lambda: ('{"access_token": "at-1"', 200),
        lambda: ({"error": "<script>alert(1)</script>"}, 400),
        lambda: ({"error": {"code": 7}}, 401),
        lambda: Response("", 302, {"Location": "http://localhost:1/token"}),
        lambda: (b"\xff\xfe{}", 200),
    )
    for number, view in enumerate(views):
        clinic.ehr.habits.instead["/token"] = view
        given = clinic.launch()
        assert (given.status_code, code_of(given)[0]) == (502, "T"), number
        assert "<script>alert" not in given.text
    assert clinic.rows("SELECT id FROM launch WHERE stage = 'open'") == []


@pytest.mark.attack(23)
def test_a_life_of_any_kind_is_survived_and_never_long(clinic: Clinic) -> None:
    hour, minutes = 3600, 300
    cases: tuple[tuple[object, int], ...] = (
        ("3600", hour),
        (3600, hour),
        ("٣٦٠٠", hour),
        (-5, minutes),
        ("-5", minutes),
        (None, minutes),
        (True, minutes),
        (0.5, minutes),
        ([], minutes),
        (10**12, minutes),
        ("soon", minutes),
        ("1e9", minutes),
        ("nan", minutes),
    )
    for value, seconds in cases:
        clinic.ehr.habits.life = value
        opened = clinic.open()
        left = clinic.browser.get(f"{opened}session").get_json()["ends_in"]
        assert left == seconds, value
        clinic.clock.instant += timedelta(seconds=seconds - 1)
        clinic.browser.get(f"{opened}session?keep=1")
        clinic.clock.instant += timedelta(seconds=1)
        assert clinic.browser.get(opened).status_code == 401, value


@pytest.mark.attack(24)
def test_a_scope_gives_no_more_than_it_says(clinic: Clinic) -> None:
    types = ("Appointment", "Condition", "Patient")
    cases = (
        ("launch openid fhirUser patient/Patient.rs", {"identity"}),
        ("PATIENT/Patient.Read patient/Patient.read", {"identity"}),
        ("user/Patient.rs user/Condition.Read user/Condition.read", None),
        ("patient/*.rs patient/*.cruds system/*.*", None),
        (
            "patient/Patient.r patient/Condition.r patient/Condition.s",
            {"problems"},
        ),
        ("user/Patient.r patient/Condition.c patient/Conditions.rs", set()),
        ("patient/Condition", set()),
        ("system/Condition.rs system/Patient.rs", set()),
        ("x" * 10_000, set()),
    )
    for scope, wanted in cases:
        clinic.ehr.habits.scope = scope
        before = len(clinic.ehr.heard)
        answer = clinic.launch()
        if read_grant(scope).reaches(("patient", "user"), "Patient", "r"):
            page = clinic.browser.get(answer.location)
            assert page.status_code == 200, scope
        else:
            # Not even the patient: nothing is asked for, and nothing opened.
            assert (answer.status_code, code_of(answer)) == (403, "T6"), scope
        asked = types_asked(clinic.ehr.heard[before:])
        assert asked <= types_granted(scope), scope
        examined = examine(scope, types)
        if wanted is not None:
            assert examined.features & {"identity", "visits", "problems"} == wanted
        for withheld in examined.withheld:
            assert withheld.scope.endswith((".rs", ".r"))
        # Whatever was granted, nothing but this chart is read, and nothing written.
        clinic.ehr.habits.scope = None
    used = [one for one in clinic.ehr.used() if one.path.startswith("/fhir")]
    assert {one.method for one in used} <= {"GET", "POST"}
    assert not [one for one in used if one.method == "POST" and one.path != "/fhir"]
    people = {value for one in used for value in one.query.get("patient", [])}
    assert people <= {"Patient/rosa"}


def types_granted(scope: str) -> set[str]:
    """Return the types that a person would read in these words; all for a star."""
    found = re.findall(r"(?i)(?:patient|user)/(\w+|\*)\.(?:read|[cruds]*[rs])", scope)
    return {"Practitioner", *PLAIN, "Patient"} if "*" in found else set(found)


@pytest.mark.requirement("hl7.fhir.uv.smart-app-launch_2.2.0@147")
@pytest.mark.attack(24)
def test_what_was_not_granted_is_off_by_name(clinic: Clinic) -> None:
    clinic.ehr.habits.scope = "launch openid fhirUser patient/Patient.rs patient/Goal.r"
    narrow = clinic.browser.get(clinic.open()).text
    clinic.ehr.habits.scope = None
    whole = clinic.browser.get(clinic.open()).text

    for name in ("Condition", "Appointment", "Goal"):
        assert f"<code>patient/{name}.rs</code>" in narrow
        assert f"{PLAIN[name]} (scope patient/{name}.rs missing)" in narrow
        assert f"<code>patient/{name}.rs</code>" not in whole
    assert "<code>patient/Patient.rs</code>" not in narrow


@pytest.mark.attack(25)
def test_the_patient_is_named_unless_it_is_clear_that_the_ehr_does(
    clinic: Clinic,
) -> None:
    for said in (True, "true", None, "", 0, "no", False, "false"):
        clinic.ehr.habits.answer = {"need_patient_banner": said}
        opened = clinic.open()
        (row,) = clinic.rows(
            "SELECT need_patient_banner FROM launch WHERE id = %s", opened.split("/")[2]
        )
        shown = said is not False and said != "false"
        assert row["need_patient_banner"] is shown
        page = clinic.browser.get(opened).text
        assert ('class="banner alone"' in page) is shown, said
    # The strip stays in any case: what the EHR shows is not in this frame.
    page = clinic.browser.get(opened).text
    assert "Delgado" in page
    assert "4471-0926" in page


@pytest.mark.attack(26)
def test_a_launch_without_a_patient_is_refused(clinic: Clinic) -> None:
    for patient in (None, "", "../Patient/james", "a/b", 7, ["rosa"], "x" * 65, "é"):
        clinic.ehr.habits.context = {"patient": patient}
        answer = clinic.launch()
        assert (answer.status_code, code_of(answer)) == (502, "T3"), patient
    assert clinic.rows("SELECT id FROM launch WHERE stage = 'open'") == []


@pytest.mark.requirement("hl7.fhir.uv.smart-app-launch_2.2.0@8-90")
@pytest.mark.requirement("hl7.fhir.uv.smart-app-launch_2.2.0@5-7")
@pytest.mark.attack(31)
@pytest.mark.attack(32)
@pytest.mark.parametrize("method", ["private_key_jwt", "client_secret_basic"])
def test_secrets_stand_in_no_log_no_cookie_and_no_table(
    clinic: Clinic, caplog: pytest.LogCaptureFixture, method: str
) -> None:
    secret = "correct-horse-battery-staple"
    sealed = clinic.runtime.sealer.seal(secret.encode()).hex()
    clinic.connect(authentication=method, profile={"app_secret": sealed})
    if method == "client_secret_basic":
        clinic.ehr.habits.check_client = lambda form, headers: None
    proofs: list[str] = []
    clinic.ehr.habits.write_id_token = lambda claims: (
        proofs.append(clinic.ehr.sign(claims)) or proofs[-1]
    )
    own = io.StringIO()
    configure_logging("DEBUG", own)
    logging.getLogger().addHandler(caplog.handler)
    caplog.handler.setLevel(logging.DEBUG)

    opened = renewing(clinic)
    clinic.browser.get(opened)
    near_the_end(clinic)
    clinic.browser.get(opened)
    clinic.ehr.habits.instead["/token"] = lambda: ({"error": "invalid_grant"}, 400)
    clinic.launch()
    clinic.ehr.habits.instead["/token"] = lambda: ("<html>", 500)
    clinic.launch()
    del clinic.ehr.habits.instead["/token"]
    clinic.ehr.habits.claims = {"nonce": "another"}
    clinic.launch()

    secrets = [*secrets_of(clinic, clinic.ehr), *proofs, secret]
    assert {"POST /token", "GET /jwks"} <= set(clinic.ehr.lines())
    assert len(set(secrets)) > 20
    tables = clinic.rows("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
    kept = "".join(repr(clinic.rows(f"TABLE {row['tablename']}")) for row in tables)
    jar = repr([vars(cookie) for cookie in clinic.browser._cookies.values()])
    logged = own.getvalue() + caplog.text + repr([vars(one) for one in caplog.records])
    assert '"level":"debug"' in own.getvalue()
    for one in set(secrets):
        assert one not in logged
        assert one not in kept
        if one not in {cookie.value for cookie in clinic.browser._cookies.values()}:
            assert one not in jar
