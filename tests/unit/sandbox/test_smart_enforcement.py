"""Tokens from the authorization server, at the door of the FHIR server."""

import pytest

from tests.unit.sandbox.smart_rig import APP, BACKEND, Rig

VISIT = {
    "resourceType": "Appointment",
    "status": "booked",
    "start": "2026-11-27T16:00:00Z",
    "end": "2026-11-27T16:30:00Z",
}


def visit_of(patient: str) -> dict:
    actor = {"reference": f"Patient/{patient}"}
    return {**VISIT, "participant": [{"actor": actor, "status": "accepted"}]}


@pytest.fixture
def rig() -> Rig:
    rig = Rig()
    scope = APP["scope"].replace("patient/*.rs user/Appointment.cruds", "")
    rig.register(APP, scope=f"{scope} patient/*.cruds user/Practitioner.rs")
    rig.register(BACKEND)
    for patient in ("rosa", "tom"):
        rig.store.create("Appointment", visit_of(patient), f"visit-{patient}")
    return rig


def bearer(token: str) -> dict[str, str]:
    return {
        "Authorization": f"Bearer {token}",
        "Content-Type": "application/fhir+json",
    }


def user(rig: Rig, scope: str = "launch patient/*.cruds") -> dict[str, str]:
    return bearer(rig.exchange(rig.code(scope=scope)).json["access_token"])


def test_fhir_without_a_token_is_refused_with_a_challenge(rig: Rig):
    answer = rig.http.get("/fhir/Patient/rosa")
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == 'Bearer realm="fhir"'
    assert answer.json["issue"][0]["code"] == "login"
    assert rig.http.get("/fhir/metadata").status_code == 200


def test_patient_scope_reads_one_patient(rig: Rig):
    headers = user(rig)
    assert rig.http.get("/fhir/Patient/rosa", headers=headers).status_code == 200
    assert rig.http.get("/fhir/Patient/tom", headers=headers).status_code in (403, 404)
    for query in ("", "?patient=Patient/rosa", "?_id=visit-rosa,visit-tom"):
        found = rig.http.get(f"/fhir/Appointment{query}", headers=headers).json
        assert [e["resource"]["id"] for e in found["entry"]] == ["visit-rosa"]
    answer = rig.http.get("/fhir/Appointment?patient=Patient/tom", headers=headers)
    assert answer.status_code == 403 or "entry" not in answer.json
    answer = rig.http.get("/fhir/Practitioner/osei", headers=headers)
    assert answer.status_code == 200


def test_patient_scope_writes_one_patient(rig: Rig):
    headers = user(rig)
    mine = {**visit_of("rosa"), "id": "visit-rosa", "status": "cancelled"}
    path = "/fhir/Appointment/visit-rosa"
    assert rig.http.put(path, json=mine, headers=headers).status_code == 200
    stolen = {**visit_of("tom"), "id": "visit-rosa"}
    assert rig.http.put(path, json=stolen, headers=headers).status_code == 403
    taken = {**visit_of("rosa"), "id": "visit-tom"}
    path = "/fhir/Appointment/visit-tom"
    assert rig.http.put(path, json=taken, headers=headers).status_code == 403
    foreign = visit_of("tom")
    answer = rig.http.post("/fhir/Appointment", json=foreign, headers=headers)
    assert answer.status_code == 403
    assert rig.store.get("Appointment", "visit-tom")["status"] == "booked"


def test_scope_of_another_type_or_interaction_is_refused(rig: Rig):
    headers = user(rig, "launch patient/Appointment.rs user/Practitioner.rs")
    assert rig.http.get("/fhir/Patient/rosa", headers=headers).status_code == 403
    mine = {**visit_of("rosa"), "id": "visit-rosa"}
    path = "/fhir/Appointment/visit-rosa"
    assert rig.http.put(path, json=mine, headers=headers).status_code == 403
    assert rig.http.delete(path, headers=headers).status_code == 403
    found = rig.http.get("/fhir/Practitioner", headers=headers).json
    assert found["total"] == 2


def test_backend_service_reads_everybody_and_writes_as_registered(rig: Rig):
    scope = "system/*.read system/Communication.c"
    headers = bearer(rig.backend(scope).json["access_token"])
    assert rig.http.get("/fhir/Patient", headers=headers).json["total"] == 2
    sent = {
        "resourceType": "Communication",
        "status": "completed",
        "subject": {"reference": "Patient/rosa"},
    }
    answer = rig.http.post("/fhir/Communication", json=sent, headers=headers)
    assert answer.status_code == 201
    answer = rig.http.post("/fhir/Appointment", json=visit_of("rosa"), headers=headers)
    assert answer.status_code == 403


def test_revoked_token_is_refused_at_once(rig: Rig):
    headers = user(rig)
    rig.app.extensions["access"].tokens.revoke_all()
    answer = rig.http.get("/fhir/Patient/rosa", headers=headers)
    assert answer.status_code == 401
    assert 'error="invalid_token"' in answer.headers["WWW-Authenticate"]
