"""Attacks on the proof of who is signed in."""

from __future__ import annotations

from typing import Any

import pytest

from tests.conformance.charts import OSEI
from tests.conformance.clinic import Clinic, assert_stranger, code_of
from tests.conformance.hostile import CLIENT, HostileEhr


@pytest.mark.requirement("hl7.fhir.uv.smart-app-launch_2.2.0@196-218")
@pytest.mark.attack(36)
def test_another_issuer_proves_nothing(clinic: Clinic, elsewhere: HostileEhr) -> None:
    others = (
        elsewhere.base,
        f"{clinic.ehr.issuer}/",
        clinic.ehr.issuer.upper(),
        "",
        None,
        [clinic.ehr.issuer],
        7,
    )
    for issuer in others:
        clinic.ehr.habits.claims = {"iss": issuer}
        assert_stranger(clinic)


@pytest.mark.attack(37)
def test_a_document_that_names_no_issuer_lets_nobody_be_it(clinic: Clinic) -> None:
    clinic.ehr.habits.document = {"issuer": None}
    answer = clinic.begin()
    assert (answer.status_code, code_of(answer)) == (502, "D2")

    clinic.connect(issuers=("https://as.example.org/oauth2",))
    for issuer in (clinic.ehr.base, "https://evil.example.org", None):
        clinic.ehr.habits.claims = {"iss": issuer}
        assert_stranger(clinic)
    clinic.ehr.habits.claims = {"iss": "https://as.example.org/oauth2"}
    assert clinic.launch().status_code == 303


@pytest.mark.requirement("hl7.fhir.uv.smart-app-launch_2.2.0@196-218")
@pytest.mark.attack(38)
@pytest.mark.attack(39)
@pytest.mark.attack(40)
def test_a_proof_for_somebody_else_is_not_for_us(clinic: Clinic) -> None:
    claims: tuple[dict[str, Any], ...] = (
        {"aud": "another-client"},
        {"aud": None},
        {"aud": ""},
        {"aud": f"{CLIENT} "},
        {"aud": {"client": CLIENT}},
        {"aud": "another-client", "azp": CLIENT},
        {"aud": ["another-client"], "azp": CLIENT},
        {"aud": [CLIENT, "another-client"]},
        {"aud": [CLIENT, "another-client"], "azp": "another-client"},
        {"aud": CLIENT, "azp": "another-client"},
        {"aud": [CLIENT], "azp": "another-client"},
        {"aud": []},
    )
    for bent in claims:
        clinic.ehr.habits.claims = bent
        assert_stranger(clinic)


@pytest.mark.attack(40)
def test_a_proof_for_us_in_a_list_is_for_us(clinic: Clinic) -> None:
    for bent in ({"aud": [CLIENT]}, {"aud": [CLIENT, "other"], "azp": CLIENT}):
        clinic.ehr.habits.claims = bent
        assert clinic.launch().status_code == 303


@pytest.mark.attack(41)
def test_a_proof_of_another_launch_is_not_of_this_one(clinic: Clinic) -> None:
    for nonce in ("another", "", None, 7, ["x"]):
        clinic.ehr.habits.claims = {"nonce": nonce}
        assert_stranger(clinic)


@pytest.mark.attack(41)
def test_where_nonces_are_not_echoed_a_wrong_one_is_still_wrong(clinic: Clinic) -> None:
    clinic.connect(nonce_echoed=False)
    clinic.ehr.habits.claims = {"nonce": "another"}
    assert_stranger(clinic)
    clinic.ehr.habits.claims = {"nonce": None}
    assert clinic.launch().status_code == 303


@pytest.mark.attack(42)
@pytest.mark.attack(43)
def test_a_proof_has_its_time(clinic: Clinic) -> None:
    now = int(clinic.clock.now().timestamp())
    claims: tuple[dict[str, Any], ...] = (
        {"exp": now - 60},
        {"exp": now - 31},
        {"exp": None},
        {"exp": "soon"},
        {"iat": now + 60},
        {"iat": now + 31},
        {"iat": None},
        {"iat": "now"},
        {"nbf": now + 60},
    )
    for bent in claims:
        clinic.ehr.habits.claims = bent
        assert_stranger(clinic)


@pytest.mark.attack(42)
@pytest.mark.attack(43)
def test_clocks_may_differ_by_half_a_minute(clinic: Clinic) -> None:
    now = int(clinic.clock.now().timestamp())
    for bent in ({"exp": now - 20}, {"iat": now + 20}, {"nbf": now + 20}):
        clinic.ehr.habits.claims = bent
        assert clinic.launch().status_code == 303


@pytest.mark.attack(48)
@pytest.mark.parametrize("allowed", [False, True])
def test_a_user_on_another_host_is_not_looked_up(
    clinic: Clinic, elsewhere: HostileEhr, allowed: bool
) -> None:
    if allowed:
        clinic.connect(profile={"authorization_hosts": ["localhost"]})
    users = (
        f"{elsewhere.base}/Practitioner/osei",
        f"{clinic.ehr.root}/other/Practitioner/osei",
        f"{clinic.ehr.base}.evil.example/Practitioner/osei",
        f"{clinic.ehr.base}/Practitioner/../Patient/rosa",
        f"{clinic.ehr.base}//Practitioner/osei",
        "//evil.example/Practitioner/osei",
        "Practitioner/osei?x=Patient",
        "Practitioner/osei#x",
        "urn:uuid:Practitioner/osei",
        "javascript:alert(1)//Practitioner/osei",
    )
    for user in users:
        clinic.ehr.habits.claims = {"fhirUser": user}
        answer = clinic.launch()
        code = "U2" if "/Patient/" in user else "U1"
        assert (answer.status_code, code_of(answer)) == (403, code), user
    assert elsewhere.heard == []
    assert [one.path for one in clinic.ehr.used() if not one.form] == []


@pytest.mark.attack(48)
def test_a_user_on_another_host_is_nobody_known_where_that_may_look(
    clinic: Clinic, elsewhere: HostileEhr
) -> None:
    clinic.connect(unknown_users=True)
    elsewhere.charts.put({**OSEI, "name": [{"text": "Dr. Eve"}]})
    for user in (f"{elsewhere.base}/Practitioner/osei", "//evil.example/x", None):
        clinic.ehr.habits.claims = {"fhirUser": user}
        opened = clinic.open()
        page = clinic.browser.get(opened).text
        assert "the EHR did not say who you are" in page
        assert "Dr. Eve" not in page
        assert "Dr. Abena Osei" not in page
        refused = clinic.browser.get(f"{opened}pause")
        assert refused.status_code == 403
        assert "the EHR did not say who you are" in refused.text
    assert elsewhere.heard == []
    assert not [one for one in clinic.ehr.heard if "Practitioner" in one.path]


@pytest.mark.attack(49)
def test_a_proof_that_is_none_is_a_page_and_no_crash(clinic: Clinic) -> None:
    for proof in (None, "", 7, [], {}, True, "a.b", "a.b.c.d.e", "..", "é.é.é"):
        clinic.ehr.habits.write_id_token = lambda claims, proof=proof: proof
        answer = clinic.launch()
        assert answer.status_code == 502, proof
        assert code_of(answer) in {"T4", "T5"}
    clinic.ehr.habits.write_id_token = lambda claims: clinic.ehr.sign(
        {"padding": "x" * 300_000, **claims}
    )
    answer = clinic.launch()
    assert (answer.status_code, code_of(answer)) == (502, "T1")
