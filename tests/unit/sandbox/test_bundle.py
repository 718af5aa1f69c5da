"""Batch and transaction Bundles: order, references, atomicity."""

import base64

import pytest

from tests.unit.sandbox.fhir_rig import BASE, Fhir, diagnostics, encounter, patient

P = "urn:uuid:11111111-1111-4111-8111-111111111111"
E = "urn:uuid:22222222-2222-4222-8222-222222222222"


@pytest.fixture
def fhir():
    with Fhir() as server:
        server.put(patient())
        yield server


def entry(method: str, url: str, resource=None, full_url: str | None = None, **more):
    made = {"request": {"method": method, "url": url, **more}}
    if resource is not None:
        made["resource"] = resource
    if full_url is not None:
        made["fullUrl"] = full_url
    return made


def bundle(kind: str, *entries):
    return {"resourceType": "Bundle", "type": kind, "entry": list(entries)}


def without_id(resource):
    return {name: value for name, value in resource.items() if name != "id"}


def statuses(answer):
    assert answer.status_code == 200, answer.text
    return [entry["response"]["status"] for entry in answer.json["entry"]]


def test_transaction_resolves_urn_references_in_any_order(fhir):
    answer = fhir.send(
        "POST",
        "",
        bundle(
            "transaction",
            entry(
                "POST",
                "Encounter",
                without_id(encounter("x", subject={"reference": P})),
                E,
            ),
            entry("POST", "Patient", {"resourceType": "Patient"}, P),
            entry(
                "POST",
                "Observation",
                {
                    "resourceType": "Observation",
                    "status": "final",
                    "code": {"text": "x"},
                    "subject": {"reference": P},
                    "encounter": {"reference": E},
                },
            ),
        ),
    )
    assert statuses(answer) == ["201 Created"] * 3
    assert answer.json["type"] == "transaction-response"
    places = [e["response"]["location"] for e in answer.json["entry"]]
    ids = [place.removeprefix(BASE).split("/")[2] for place in places]
    observation = fhir.get(f"/Observation/{ids[2]}").json
    assert observation["subject"]["reference"] == f"Patient/{ids[1]}"
    assert observation["encounter"]["reference"] == f"Encounter/{ids[0]}"
    assert fhir.found(f"/Encounter?patient={ids[1]}") == [ids[0]]


def test_transaction_works_in_fhir_order_and_answers_in_its_own(fhir):
    fhir.put(encounter("old"))
    answer = fhir.send(
        "POST",
        "",
        bundle(
            "transaction",
            entry("GET", "Encounter?patient=rosa&_sort=_id"),
            entry("PUT", "Encounter/new", encounter("new")),
            entry("DELETE", "Encounter/old"),
        ),
    )
    assert statuses(answer) == ["200 OK", "201 Created", "204 No Content"]
    found = answer.json["entry"][0]["resource"]
    assert [e["resource"]["id"] for e in found["entry"]] == ["new"]


@pytest.mark.parametrize(
    ("bad", "status"),
    [
        (entry("PUT", "Encounter/e2", encounter("e2", "over")), 422),
        (
            entry("PUT", "Encounter/e2", encounter("e2", subject={"reference": E})),
            422,
        ),
        (entry("PUT", "Patient/rosa", patient(), ifMatch='W/"7"'), 412),
        (entry("GET", "Encounter/none"), 404),
        (entry("DELETE", "Patient/rosa"), 409),
        (entry("GET", "Encounter?colour=red"), 400),
        (entry("POST", "Nonsense", patient()), 404),
        (entry("PUT", "http://elsewhere.example/Patient/rosa", patient()), 400),
    ],
)
def test_any_failure_commits_nothing(fhir, bad, status):
    good = entry("PUT", "Encounter/e1", encounter("e1"))
    answer = fhir.send("POST", "", bundle("transaction", good, bad))
    assert answer.status_code == status
    assert answer.json["resourceType"] == "OperationOutcome"
    assert fhir.get("/Encounter/e1").status_code == 404
    assert len(fhir.store.log()) == 1


def test_transaction_failure_names_its_entry(fhir):
    bad = entry("PUT", "Encounter/e2", encounter("e2", "over"))
    answer = fhir.send("POST", "", bundle("transaction", bad))
    assert diagnostics(answer).startswith("Bundle.entry[0]: Encounter.status")


def test_conditional_create_in_a_transaction_points_at_what_exists(fhir):
    fhir.put(patient("known", identifier=[{"system": "urn:m", "value": "1"}]))
    made = bundle(
        "transaction",
        entry(
            "POST",
            "Patient",
            {
                "resourceType": "Patient",
                "identifier": [{"system": "urn:m", "value": "1"}],
            },
            P,
            ifNoneExist="identifier=urn:m|1",
        ),
        entry(
            "POST", "Encounter", without_id(encounter("x", subject={"reference": P}))
        ),
    )
    answer = fhir.send("POST", "", made)
    assert statuses(answer) == ["200 OK", "201 Created"]
    assert len(fhir.found("/Encounter?patient=known")) == 1
    assert len(fhir.found("/Patient?identifier=urn:m|1")) == 1


def test_conditional_update_in_a_transaction_can_be_referred_to(fhir):
    who = {
        "resourceType": "Patient",
        "identifier": [{"system": "urn:m", "value": "2"}],
    }
    made = bundle(
        "transaction",
        entry("PUT", "Patient?identifier=urn:m|2", who, P),
        entry(
            "POST", "Encounter", without_id(encounter("x", subject={"reference": P}))
        ),
    )
    first = fhir.send("POST", "", made)
    second = fhir.send("POST", "", made)
    assert statuses(first) == ["201 Created", "201 Created"]
    assert statuses(second) == ["200 OK", "201 Created"]
    (id_,) = fhir.found("/Patient?identifier=urn:m|2")
    assert len(fhir.found(f"/Encounter?patient={id_}")) == 2


def test_conditional_reference_is_resolved_or_refused(fhir):
    fhir.put(patient("known", identifier=[{"system": "urn:m", "value": "1"}]))
    subject = {"reference": "Patient?identifier=urn:m|1"}
    made = entry("PUT", "Encounter/e1", encounter("e1", subject=subject))
    assert statuses(fhir.send("POST", "", bundle("transaction", made))) == [
        "201 Created"
    ]
    read = fhir.get("/Encounter/e1").json
    assert read["subject"]["reference"] == "Patient/known"
    subject = {"reference": "Patient?identifier=urn:m|none"}
    made = entry("PUT", "Encounter/e2", encounter("e2", subject=subject))
    assert fhir.send("POST", "", bundle("transaction", made)).status_code == 412


def test_transaction_refuses_the_same_resource_twice(fhir):
    made = entry("PUT", "Encounter/e1", encounter("e1"))
    answer = fhir.send("POST", "", bundle("transaction", made, made))
    assert answer.status_code == 400


def test_batch_answers_each_entry_alone(fhir):
    fhir.put(encounter("e1"))
    answer = fhir.send(
        "POST",
        "",
        bundle(
            "batch",
            entry("GET", "Encounter/e1"),
            entry("GET", "Encounter/none"),
            entry("GET", "Encounter?patient=rosa&_count=1"),
            entry("GET", "Encounter/e1/_history"),
            entry("GET", "Patient/rosa", ifNoneMatch='W/"1"'),
            entry("PUT", "Encounter/e2", encounter("e2")),
            entry("PUT", "Encounter/e3", encounter("e3", "over")),
            entry("GET", f"{BASE}/Encounter/e2"),
        ),
    )
    assert statuses(answer) == [
        "200 OK",
        "404 Not Found",
        "200 OK",
        "200 OK",
        "304 Not Modified",
        "201 Created",
        "422 Unprocessable Entity",
        "200 OK",
    ]
    entries = answer.json["entry"]
    assert entries[0]["resource"]["id"] == "e1"
    assert entries[0]["response"]["etag"] == 'W/"1"'
    assert entries[1]["response"]["outcome"]["issue"][0]["code"] == "not-found"
    assert entries[2]["resource"]["type"] == "searchset"
    assert entries[3]["resource"]["type"] == "history"
    assert "resource" not in entries[5]


def test_prefer_representation_puts_the_resources_in_the_answer(fhir):
    made = bundle("batch", entry("PUT", "Encounter/e2", encounter("e2")))
    answer = fhir.send("POST", "", made, Prefer="return=representation")
    assert answer.json["entry"][0]["resource"]["id"] == "e2"


def test_patch_in_a_bundle_comes_in_a_binary(fhir):
    patch = base64.b64encode(b'[{"op":"add","path":"/active","value":true}]').decode()
    binary = {
        "resourceType": "Binary",
        "contentType": "application/json-patch+json",
        "data": patch,
    }
    answer = fhir.send(
        "POST", "", bundle("transaction", entry("PATCH", "Patient/rosa", binary))
    )
    assert statuses(answer) == ["200 OK"]
    assert fhir.get("/Patient/rosa").json["active"] is True


def test_scopes_hold_for_each_entry(fhir):
    reader = fhir.as_client("system/Patient.rs")
    answer = fhir.send(
        "POST",
        "",
        bundle(
            "batch",
            entry("GET", "Patient/rosa"),
            entry("GET", "Encounter?patient=rosa"),
            entry("PUT", "Patient/rosa", patient(active=False)),
        ),
        **reader,
    )
    assert statuses(answer) == ["200 OK", "403 Forbidden", "403 Forbidden"]
    whole = bundle("transaction", entry("PUT", "Patient/rosa", patient()))
    assert fhir.send("POST", "", whole, **reader).status_code == 403


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (patient(), 422),
        ({"resourceType": "Bundle"}, 422),
        ({"resourceType": "Bundle", "type": "collection"}, 400),
        (bundle("batch", None), 422),
        (bundle("batch", {"resource": patient()}), 200),
        ({"resourceType": "Bundle", "type": "transaction"}, 200),
        ("text", 400),
    ],
)
def test_what_is_no_batch_or_transaction(fhir, body, status):
    answer = fhir.send("POST", "", body)
    assert answer.status_code == status
    if body == bundle("batch", {"resource": patient()}):
        assert statuses(answer) == ["400 Bad Request"]
