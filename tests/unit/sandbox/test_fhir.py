"""The FHIR server's single interactions over HTTP, and what it refuses."""

import threading

import pytest

from tests.unit.sandbox.fhir_rig import BASE, Fhir, diagnostics, encounter, patient


@pytest.fixture
def fhir():
    with Fhir() as server:
        server.put(patient())
        yield server


def test_create_answers_201_with_location_etag_and_last_modified(fhir):
    answer = fhir.post({"resourceType": "Patient", "active": True})
    id_ = answer.json["id"]
    assert answer.status_code == 201
    assert answer.headers["Location"] == f"{BASE}/Patient/{id_}/_history/1"
    assert answer.headers["ETag"] == 'W/"1"'
    assert answer.headers["Last-Modified"].endswith("GMT")
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.mimetype == "application/fhir+json"
    assert fhir.get(f"/Patient/{id_}").json == answer.json


def test_read_with_the_current_version_answers_304_without_a_body(fhir):
    answer = fhir.get("/Patient/rosa", If_None_Match='W/"1"')
    assert (answer.status_code, answer.data) == (304, b"")
    fhir.put(patient(active=True))
    assert fhir.get("/Patient/rosa", If_None_Match='W/"1"').status_code == 200


def test_vread_answers_each_version_and_404_for_none(fhir):
    fhir.put(patient(active=True))
    assert "active" not in fhir.get("/Patient/rosa/_history/1").json
    assert fhir.get("/Patient/rosa/_history/2").json["active"] is True
    assert fhir.get("/Patient/rosa/_history/3").status_code == 404


def test_update_creates_then_updates(fhir):
    assert fhir.put(patient("tom")).status_code == 201
    answer = fhir.put(patient("tom", active=True))
    assert (answer.status_code, answer.headers["ETag"]) == (200, 'W/"2"')


def test_update_with_a_stale_if_match_is_412_and_changes_nothing(fhir):
    fhir.put(patient(active=True), If_Match='W/"1"')
    answer = fhir.put(patient(active=False), If_Match='W/"1"')
    assert answer.status_code == 412
    assert fhir.get("/Patient/rosa").json["active"] is True
    missing = fhir.put(patient("nobody"), If_Match='W/"1"')
    assert missing.status_code == 412


def test_update_if_none_match_star_only_creates(fhir):
    assert fhir.put(patient(), If_None_Match="*").status_code == 412
    assert fhir.put(patient("new"), If_None_Match="*").status_code == 201


def test_update_with_another_id_than_the_url_is_400(fhir):
    answer = fhir.send("PUT", "/Patient/rosa", patient("tom"))
    assert answer.status_code == 400


def test_if_none_exist_creates_once_and_refuses_an_ambiguous_condition(fhir):
    note = {
        "resourceType": "Basic",
        "identifier": [{"system": "urn:x", "value": "k1"}],
        "code": {"text": "x"},
    }
    first = fhir.post(note, If_None_Exist="identifier=urn:x|k1")
    second = fhir.post(note, If_None_Exist="identifier=urn:x|k1")
    assert (first.status_code, second.status_code) == (201, 200)
    assert second.json["id"] == first.json["id"]
    assert second.headers["Location"] == first.headers["Location"]
    fhir.post(note)
    third = fhir.post(note, If_None_Exist="identifier=urn:x|k1")
    assert third.status_code == 412
    assert len(fhir.found("/Basic?identifier=urn:x|k1")) == 2


def test_conditional_update_and_delete_act_on_the_only_match(fhir):
    fhir.put(patient(identifier=[{"system": "urn:m", "value": "7"}]))
    changed = patient(identifier=[{"system": "urn:m", "value": "7"}], active=True)
    answer = fhir.send("PUT", "/Patient?identifier=urn:m|7", changed)
    assert (answer.status_code, answer.json["id"]) == (200, "rosa")
    assert fhir.send("DELETE", "/Patient?identifier=urn:m|7").status_code == 204
    assert fhir.get("/Patient/rosa").status_code == 410


def test_delete_then_read_is_410_and_the_history_says_so(fhir):
    assert fhir.send("DELETE", "/Patient/rosa").status_code == 204
    assert fhir.get("/Patient/rosa").status_code == 410
    assert fhir.get("/Patient/rosa/_history/2").status_code == 410
    entries = fhir.get("/Patient/rosa/_history").json["entry"]
    assert [e["request"]["method"] for e in entries] == ["DELETE", "POST"]
    assert "resource" not in entries[0]
    assert fhir.send("DELETE", "/Patient/rosa").status_code == 204
    assert fhir.get("/Patient/nobody").status_code == 404


def test_delete_of_what_others_refer_to_is_409(fhir):
    fhir.put(encounter("e1"))
    answer = fhir.send("DELETE", "/Patient/rosa")
    assert answer.status_code == 409
    assert "Encounter/e1" in diagnostics(answer)
    fhir.send("DELETE", "/Encounter/e1")
    assert fhir.send("DELETE", "/Patient/rosa").status_code == 204


def test_json_patch_changes_elements_and_checks_the_result(fhir):
    fhir.put(encounter("e1"))
    kind = "application/json-patch+json"
    patch = [
        {"op": "test", "path": "/status", "value": "in-progress"},
        {"op": "replace", "path": "/status", "value": "finished"},
        {"op": "add", "path": "/type", "value": [{"text": "ward"}]},
        {"op": "add", "path": "/type/-", "value": {"text": "day"}},
        {"op": "remove", "path": "/type/0"},
    ]
    answer = fhir.send("PATCH", "/Encounter/e1", patch, Content_Type=kind)
    assert answer.status_code == 200
    assert answer.json["status"] == "finished"
    assert answer.json["type"] == [{"text": "day"}]
    again = fhir.send("PATCH", "/Encounter/e1", patch, Content_Type=kind)
    assert again.status_code == 422
    wrong = [{"op": "replace", "path": "/status", "value": "over"}]
    refused = fhir.send("PATCH", "/Encounter/e1", wrong, Content_Type=kind)
    assert refused.status_code == 422
    assert fhir.get("/Encounter/e1").headers["ETag"] == 'W/"2"'
    other = fhir.send("PATCH", "/Encounter/e1", patch)
    assert other.status_code == 415
    nobody = fhir.send("PATCH", "/Encounter/none", patch, Content_Type=kind)
    assert nobody.status_code == 404


def test_prefer_minimal_leaves_the_body_out(fhir):
    answer = fhir.put(patient(active=True), Prefer="return=minimal")
    assert (answer.status_code, answer.data) == (200, b"")
    assert answer.headers["ETag"] == 'W/"2"'


@pytest.mark.parametrize(
    ("resource", "status", "words"),
    [
        (encounter("e", "over"), 422, "Encounter.status"),
        (encounter("e", colour="red"), 422, "'colour'"),
        ({"resourceType": "Encounter", "id": "e", "status": "planned"}, 422, "class"),
        (encounter("e", period={"start": "yesterday"}), 422, "period.start"),
        (encounter("e", type={"text": "no list"}), 422, "list"),
        (encounter("e", type=[]), 422, "list"),
        (encounter("e", length={"value": "3"}), 422, "length.value"),
        (encounter("e", subject={"reference": "Patient/no"}), 422, "not here"),
        (encounter("e", subject={"reference": "Patient/"}), 422, "Type/id"),
        (encounter("e", subject={"reference": "urn:uuid:1"}), 422, "no entry"),
        (encounter("e", subject={"reference": "#p"}), 422, "contained"),
        (encounter("e", priority=None), 422, "priority"),
        ({**encounter("e"), "resourceType": "Patient"}, 422, "Patient"),
        ({"id": "e"}, 422, "resourceType"),
        ([], 400, "JSON object"),
    ],
)
def test_what_is_not_r4_is_refused(fhir, resource, status, words):
    answer = fhir.send("PUT", "/Encounter/e", resource)
    assert answer.status_code == status
    assert words in diagnostics(answer)
    assert fhir.get("/Encounter/e").status_code == 404


@pytest.mark.parametrize(
    ("type_", "more"),
    [
        ("Appointment", {"participant": [{"status": "accepted"}]}),
        ("CarePlan", {"intent": "plan", "subject": {"reference": "Patient/rosa"}}),
        ("Communication", {}),
        ("CommunicationRequest", {}),
        ("Task", {"intent": "order"}),
        ("Consent", {"scope": {"text": "x"}, "category": [{"text": "x"}]}),
        (
            "Subscription",
            {
                "reason": "x",
                "criteria": "Encounter?",
                "channel": {"type": "rest-hook", "endpoint": "http://127.0.0.1:9/"},
            },
        ),
    ],
)
def test_status_must_be_of_the_required_value_set(fhir, type_, more):
    answer = fhir.post({"resourceType": type_, "status": "nearly", **more})
    assert answer.status_code == 422
    assert diagnostics(answer).startswith(f"{type_}.status: this code is not one of")


def test_absolute_references_to_this_server_become_relative(fhir):
    subject = {"reference": f"{BASE}/Patient/rosa"}
    answer = fhir.put(encounter("e1", subject=subject))
    assert answer.json["subject"] == {"reference": "Patient/rosa"}
    assert fhir.found("/Encounter?patient=rosa") == ["e1"]


def test_contained_resources_are_checked_too(fhir):
    good = encounter(
        "e1",
        contained=[{"resourceType": "Location", "id": "l", "status": "active"}],
        location=[{"location": {"reference": "#l"}}],
    )
    assert fhir.put(good).status_code == 201
    good["contained"][0]["status"] = "open"
    assert fhir.put(good).status_code == 422


def test_malformed_json_unknown_type_and_wrong_media_types(fhir):
    assert fhir.send("POST", "/Patient", b"{").status_code == 400
    deep = b'{"resourceType":"Patient","extension":' + b"[" * 3000
    assert fhir.send("POST", "/Patient", deep).status_code == 400
    assert fhir.get("/Patiens/1").status_code == 404
    assert fhir.get("/Patient/rosa/$everything").status_code == 404
    text = fhir.send("POST", "/Patient", b"{}", Content_Type="text/plain")
    assert text.status_code == 415
    stu3 = "application/fhir+json; fhirVersion=3.0"
    old = fhir.send("POST", "/Patient", b"{}", Content_Type=stu3)
    assert old.status_code == 415
    xml = fhir.get("/Patient/rosa", Accept="application/fhir+xml")
    assert xml.status_code == 406
    assert fhir.get("/Patient/rosa?_format=xml").status_code == 406
    r4 = fhir.get("/Patient/rosa", Accept="application/fhir+json; fhirVersion=4.0")
    assert r4.status_code == 200


def test_extensions_nested_without_end_are_422(fhir):
    node: dict = {"url": "urn:x", "valueString": "x"}
    for _ in range(300):
        node = {"url": "urn:x", "extension": [node]}
    answer = fhir.post({"resourceType": "Patient", "extension": [node]})
    assert answer.status_code == 422


def test_null_in_a_list_is_refused_unless_it_keeps_an_extensions_place(fhir):
    bare = {"resourceType": "Patient", "name": [{"given": ["Rosa", None]}]}
    assert fhir.post(bare).status_code == 422
    said = {"extension": [{"url": "urn:x", "valueString": "unknown"}]}
    bare["name"][0]["_given"] = [None, said]
    made = fhir.post(bare)
    assert made.status_code == 201
    assert fhir.found("/Patient?given=rosa") == [made.json["id"]]


def test_body_over_five_megabytes_is_413(fhir):
    body = b'{"resourceType":"Patient","id":"' + b"x" * 5_000_001 + b'"}'
    answer = fhir.send("POST", "/Patient", body)
    assert answer.status_code == 413
    assert answer.json["resourceType"] == "OperationOutcome"


def test_wrong_method_is_405_and_says_what_is_allowed(fhir):
    answer = fhir.send("POST", "/Patient/rosa", patient())
    assert answer.status_code == 405
    assert answer.headers["Allow"] == "DELETE, GET, PATCH, PUT"


def test_names_from_outside_come_back_harmless(fhir):
    answer = fhir.get("/%3Cscript%3E")
    assert answer.status_code == 404
    assert "<" not in answer.text
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert "<" not in fhir.get("/Patient?%3Cb%3E=1").text


def test_metadata_needs_no_token_and_lists_what_is_served(fhir):
    answer = fhir.http.get("/fhir/metadata")
    rest = answer.json["rest"][0]
    types = {resource["type"]: resource for resource in rest["resource"]}
    assert answer.json["fhirVersion"] == "4.0.1"
    assert {"name": "sent", "type": "date"} in types["Communication"]["searchParam"]
    assert [i["code"] for i in rest["interaction"]] == [
        "transaction",
        "batch",
        "history-system",
    ]


def test_without_a_token_everything_else_is_401(fhir):
    for path in ("/Patient", "/Patient/rosa", "/_history", "/Nonsense"):
        answer = fhir.http.get(f"/fhir{path}")
        assert answer.status_code == 401
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")


def test_scopes_and_compartment_are_enforced(fhir):
    fhir.put(patient("tom"))
    fhir.put(encounter("e1"))
    fhir.put(encounter("e2", subject={"reference": "Patient/tom"}))
    mine = fhir.as_client("patient/Encounter.rs patient/Patient.r", "rosa")
    assert fhir.get("/Encounter/e1", **mine).status_code == 200
    assert fhir.get("/Encounter/e2", **mine).status_code == 403
    assert fhir.get("/Patient/tom", **mine).status_code == 403
    assert fhir.get("/Patient", **mine).status_code == 403
    assert fhir.put(encounter("e1", "finished"), **mine).status_code == 403
    seen = fhir.get("/Encounter", **mine).json
    assert [entry["resource"]["id"] for entry in seen["entry"]] == ["e1"]
    assert seen["total"] == 1
    included = fhir.get("/Encounter?_include=Encounter:patient", **mine).json
    assert [e["resource"]["id"] for e in included["entry"]] == ["e1", "rosa"]
    past = fhir.get("/_history", **mine).json
    assert [e["resource"]["id"] for e in past["entry"]] == ["e1", "rosa"]


def test_head_answers_like_get_without_a_body(fhir):
    answer = fhir.send("HEAD", "/Patient/rosa")
    assert (answer.status_code, answer.data) == (200, b"")
    assert answer.headers["ETag"] == 'W/"1"'


def test_writers_at_the_same_time_create_once_and_lose_no_update(fhir):
    note = {
        "resourceType": "Basic",
        "identifier": [{"system": "urn:x", "value": "k"}],
        "code": {"text": "x"},
    }
    fhir.put(patient("tally", multipleBirthInteger=0))
    statuses = []

    def write() -> None:
        made = fhir.post(note, If_None_Exist="identifier=urn:x|k").status_code
        while True:
            held = fhir.get("/Patient/tally")
            count = held.json["multipleBirthInteger"] + 1
            body = patient("tally", multipleBirthInteger=count)
            wrote = fhir.put(body, If_Match=held.headers["ETag"]).status_code
            if wrote == 200:
                break
            assert wrote == 412
        statuses.append(made)

    threads = [threading.Thread(target=write) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(statuses) == [200, 200, 200, 200, 200, 201]
    assert fhir.get("/Patient/tally").json["multipleBirthInteger"] == 6


def test_readers_do_not_wait_for_an_open_transaction(fhir):
    with fhir.store.transaction() as transaction:
        transaction.create("Patient", {}, "later")
        answers = []
        reader = threading.Thread(
            target=lambda: answers.append(fhir.get("/Patient?_id=rosa,later").json)
        )
        reader.start()
        reader.join(timeout=10)
        assert [answer["total"] for answer in answers] == [1]
    assert fhir.get("/Patient?_id=rosa,later").json["total"] == 2
