"""What the services answer a good call: the card, when there is none, and feedback."""

import threading
from dataclasses import replace

import pytest
from flask import Flask

from middleware.storage import cds, retention
from smart_app.cds.blueprint import create_cds
from tests.unit.smart_app.acts import agree, plan
from tests.unit.smart_app.cds.conftest import STAY, Calls, later, make_ports


def test_discovery_lists_two_services_to_everybody(calls: Calls):
    answer = calls.send("/cds-services", method="GET")
    assert answer.status == 200
    assert {(item["id"], item["hook"]) for item in answer.body["services"]} == {
        ("carecue-patient-view", "patient-view"),
        ("carecue-encounter-discharge", "encounter-discharge"),
    }


def test_discovery_asks_for_what_the_ehr_has_at_hand(calls: Calls):
    listed = calls.send("/cds-services", method="GET").body["services"]
    asked = {item["hook"]: item["prefetch"] for item in listed}
    assert asked == {
        "patient-view": {"patient": "Patient/{{context.patientId}}"},
        "encounter-discharge": {
            "patient": "Patient/{{context.patientId}}",
            "encounter": "Encounter/{{context.encounterId}}",
        },
    }


def test_a_stay_that_was_sent_along_is_not_read_again(calls: Calls):
    calls.ehr.resources.pop("Encounter/stay-1")
    assert calls.discharge(fhirAuthorization=calls.grant()).status == 412
    answer = calls.discharge(
        fhirAuthorization=calls.grant(), prefetch={"encounter": STAY, "patient": None}
    )
    assert answer.card["links"]
    assert calls.ehr.log.count("GET /fhir/Encounter/stay-1") == 1


@pytest.mark.parametrize(
    "sent",
    [
        {"encounter": {**STAY, "id": "stay-2"}},
        {"encounter": {"resourceType": "OperationOutcome", "issue": []}},
        {"encounter": [STAY]},
        "nothing",
    ],
)
def test_what_was_sent_along_and_is_not_what_was_asked_for_is_passed_over(
    calls: Calls, sent
):
    calls.ehr.resources.pop("Encounter/stay-1")
    answer = calls.discharge(fhirAuthorization=calls.grant(), prefetch=sent)
    assert answer.status == 412


def test_a_stay_of_another_patient_that_was_sent_along_is_refused(calls: Calls):
    calls.ehr.resources.pop("Encounter/stay-1")
    other = {**STAY, "subject": {"reference": "Patient/karl"}}
    answer = calls.discharge(
        fhirAuthorization=calls.grant(), prefetch={"encounter": other}
    )
    assert answer.status == 412
    assert "is not this patient's" in answer.words


def test_a_patient_that_was_sent_along_permits_no_more_than_the_token(calls: Calls):
    calls.ehr.accepted = "Bearer backend-1"
    rosa = calls.ehr.resources["Patient/rosa"]
    body = calls.request(fhirAuthorization=calls.grant(), prefetch={"patient": rosa})
    assert calls.call(body).status == 412


def test_card_says_the_verdict_and_links_to_the_launch(calls: Calls):
    card = calls.call(calls.request(fhirAuthorization=calls.grant())).card
    assert card["summary"] == "No permission recorded: Ask Rosa first."
    assert card["indicator"] == "warning"
    assert card["source"] == {"label": "CareCue"}
    assert card["links"] == [
        {"label": "Open CareCue", "url": f"{calls.url}/smart/launch", "type": "smart"}
    ]
    assert "No message is planned." in card["detail"]


def test_what_asks_nothing_is_shown_to_a_user_once(calls: Calls):
    agree(calls.rig)
    body = calls.request(fhirAuthorization=calls.grant())
    first = calls.call(body).card
    assert first["summary"].startswith("Messages on: Text Rosa in Spanish, 9 AM")
    assert first["indicator"] == "info"
    assert calls.call(body).body == {"cards": []}
    other = calls.request(
        context={"userId": "Practitioner/lee"}, fhirAuthorization=calls.grant()
    )
    assert calls.call(other).card["summary"] == first["summary"]
    later(calls.rig, days=30)
    assert calls.call(body).card["summary"] == first["summary"]


def test_what_says_something_new_is_shown_again(calls: Calls):
    agree(calls.rig)
    body = calls.request(fhirAuthorization=calls.grant())
    assert calls.call(body).card["indicator"] == "info"
    agree(calls.rig, permit=False)
    calls.ehr.resources["Patient/rosa"]["telecom"].pop()
    assert calls.call(body).card["summary"].startswith("Stopped by patient:")


def test_what_asks_comes_each_time_until_it_is_overridden(calls: Calls):
    body = calls.request(fhirAuthorization=calls.grant())
    calls.call(body)
    card = calls.call(body).card
    told = {"card": card["uuid"], "outcome": "overridden"}
    assert calls.feedback(told).status == 200
    assert calls.call(body).body == {"cards": []}
    later(calls.rig, days=7)
    assert calls.call(body).card["summary"] == card["summary"]


@pytest.mark.parametrize("change", [{"deceasedBoolean": True}, {"active": False}])
def test_a_record_that_says_enough_itself_has_no_card(calls: Calls, change):
    calls.ehr.resources["Patient/rosa"].update(change)
    body = calls.request(fhirAuthorization=calls.grant())
    assert calls.call(body).body == {"cards": []}


@pytest.mark.parametrize("user", ["Patient/rosa", "RelatedPerson/maria"])
def test_patients_and_relatives_get_no_card(calls: Calls, user):
    body = calls.request(context={"userId": user}, fhirAuthorization=calls.grant())
    assert calls.call(body).body == {"cards": []}
    assert "GET /fhir/Patient/rosa" not in calls.ehr.log


def test_card_is_in_the_language_that_is_asked_for(calls: Calls):
    token = calls.sign(calls.claims())
    headers = {"Authorization": f"Bearer {token}", "Accept-Language": "es"}
    body = calls.request(fhirAuthorization=calls.grant())
    card = calls.send("/cds-services/carecue-patient-view", body, headers).card
    assert "No hay ningún mensaje previsto." in card["detail"]


def speak_english(calls: Calls):
    spoken = {"language": {"coding": [{"code": "en"}]}}
    calls.ehr.resources["Patient/rosa"]["communication"] = [spoken]


def test_discharge_says_what_follows_and_why(calls: Calls):
    agree(calls.rig)
    speak_english(calls)
    card = calls.discharge(fhirAuthorization=calls.grant()).card
    assert card["indicator"] == "info"
    assert card["summary"] == (
        "After discharge: 2 messages to Rosa, first Check in after the stay, Tue, "
        "Nov 17, 9:00 AM."
    )
    assert (
        "- **Check in after the stay**, Tue, Nov 17, 9:00 AM (Text, English). Left "
        "hospital Nov 16, going home. Asks how Rosa is."
    ) in card["detail"]
    assert calls.ehr.resources["Encounter/stay-1"]["status"] == "in-progress"


def test_discharge_says_why_nothing_follows(calls: Calls):
    card = calls.discharge(fhirAuthorization=calls.grant()).card
    assert card["indicator"] == "warning"
    assert card["summary"] == (
        "After discharge, messages to Rosa wait: No permission is recorded for this "
        "way of contact."
    )
    assert (
        "- **Check in after the stay**, **Book the follow-up visit**: Held. No "
        "permission is recorded for this way of contact."
    ) in card["detail"]
    again = calls.discharge(fhirAuthorization=calls.grant()).card
    assert again["summary"] == card["summary"]


def test_discharge_names_what_is_not_sent_and_why(calls: Calls):
    agree(calls.rig)
    speak_english(calls)
    plan(calls.rig)
    detail = calls.discharge(fhirAuthorization=calls.grant()).card["detail"]
    assert (
        "**Book the follow-up visit**, **Book by phone**: Not sent. A follow-up visit "
        "is already booked."
    ) in detail


def test_card_says_what_ends_the_next_message_in_one_sentence(calls: Calls):
    agree(calls.rig)
    plan(calls.rig, plan="urn:gone")
    detail = calls.call(calls.request(fhirAuthorization=calls.grant())).card["detail"]
    assert "Will be cancelled. The plan is switched off.\n" in f"{detail}\n"


def test_patient_view_reads_little_of_the_chart(calls: Calls):
    calls.call(calls.request(fhirAuthorization=calls.grant()))
    read = [line for line in calls.ehr.log if line.startswith("GET /fhir/")]
    assert len(read) <= 10
    assert "GET /fhir/DiagnosticReport" not in read


def test_discharge_without_a_disposition_says_what_it_waits_for(calls: Calls):
    agree(calls.rig)
    stay = {name: value for name, value in STAY.items() if name != "hospitalization"}
    calls.ehr.resources["Encounter/stay-1"] = stay
    speak_english(calls)
    card = calls.discharge(fhirAuthorization=calls.grant()).card
    assert card["indicator"] == "warning"
    assert card["summary"] == (
        "Record where Rosa goes after discharge: messages wait for it."
    )
    assert "If Rosa goes home:\n\n- **Check in after the stay**, Tue" in card["detail"]


def test_missing_disposition_is_not_asked_for_where_nothing_would_follow(calls: Calls):
    stay = {name: value for name, value in STAY.items() if name != "hospitalization"}
    calls.ehr.resources["Encounter/stay-1"] = stay
    card = calls.discharge(fhirAuthorization=calls.grant()).card
    assert "No permission is recorded" in card["summary"]


def test_discharge_of_another_patients_stay_is_refused(calls: Calls):
    other = {**STAY, "subject": {"reference": "Patient/karl"}}
    calls.ehr.resources["Encounter/stay-1"] = other
    answer = calls.discharge(fhirAuthorization=calls.grant())
    assert answer.status == 412
    assert "not this patient's" in answer.words


def test_token_of_the_call_is_used_there_and_kept_nowhere(calls: Calls):
    calls.ehr.accepted = "Bearer secret-token-7"
    grant = calls.grant(access_token="secret-token-7")
    assert calls.call(calls.request(fhirAuthorization=grant)).status == 200
    assert set(calls.ehr.bearers) == {None, "Bearer secret-token-7"}
    with calls.rig.database.tx() as tx:
        tables = tx.execute(
            "SELECT table_name AS name FROM information_schema.tables "
            "WHERE table_schema = 'public'"
        ).fetchall()
        rows = [
            str(tx.execute(f'SELECT * FROM "{table["name"]}"').fetchall())
            for table in tables
        ]
    assert "secret-token-7" not in "".join(rows)


def test_without_a_token_our_own_backend_reads(calls: Calls):
    calls.ehr.accepted = "Bearer backend-1"
    assert calls.call(calls.request()).card["summary"].endswith("Ask Rosa first.")
    assert set(calls.ehr.bearers) == {None, "Bearer backend-1"}


def test_token_is_not_used_where_we_have_no_client(calls: Calls):
    calls.caller(client_id=None)
    calls.ehr.accepted = "Bearer backend-1"
    assert calls.call(calls.request(fhirAuthorization=calls.grant())).status == 200
    assert "Bearer at-1" not in calls.ehr.bearers


def test_what_the_ehr_does_not_permit_is_412_and_not_read_otherwise(calls: Calls):
    calls.ehr.accepted = "Bearer backend-1"
    answer = calls.call(calls.request(fhirAuthorization=calls.grant()))
    assert answer.status == 412
    assert "Bearer backend-1" not in calls.ehr.bearers


def test_slow_ehr_gets_an_empty_answer_in_time(calls: Calls):
    ports = replace(make_ports(calls.rig, calls.url), seconds=0.05)
    app = Flask("quick")
    app.register_blueprint(create_cds(ports))
    calls.ehr.held = threading.Event()
    token = calls.sign(calls.claims())
    answer = app.test_client().post(
        "/cds-services/carecue-patient-view",
        json=calls.request(fhirAuthorization=calls.grant()),
        headers={"Authorization": f"Bearer {token}"},
    )
    calls.ehr.held.set()
    assert (answer.status_code, answer.json) == (200, {"cards": []})
    assert calls.audited("cds-card") == []


def test_cards_and_feedback_are_audited_without_comment(calls: Calls):
    card = calls.call(calls.request(fhirAuthorization=calls.grant())).card
    reason = {"reason": {"code": "not-relevant"}, "userComment": "Rosa is in Mexico"}
    told = {"card": card["uuid"], "outcome": "accepted", "overrideReason": reason}
    assert calls.feedback(told).status == 200
    (shown,) = calls.audited("cds-card")
    assert (shown.who, shown.patient) == ("Practitioner/osei", "Patient/rosa")
    (back,) = calls.audited("cds-feedback")
    assert back.subject == shown.subject == card["uuid"]
    assert back.detail == {"outcome": "accepted", "reason": "not-relevant"}


def test_feedback_on_a_card_that_was_never_made_is_404(calls: Calls):
    answer = calls.feedback({"card": "7f3c", "outcome": "accepted"})
    assert answer.status == 404
    assert calls.audited("cds-feedback") == []


@pytest.mark.parametrize(
    "told",
    [
        {"outcome": "accepted"},
        {"card": "c1", "outcome": "liked"},
        {"card": "../x", "outcome": "accepted"},
    ],
)
def test_feedback_that_is_not_understood_is_refused(calls: Calls, told):
    assert calls.feedback(told).status == 400
    assert calls.feedback().status == 400


def test_cards_and_used_tokens_are_forgotten(calls: Calls):
    calls.call(calls.request(fhirAuthorization=calls.grant()))
    later(calls.rig, days=31)
    now = calls.rig.clock.now()
    with calls.rig.database.tx() as tx:
        assert retention.purge(tx, now)["cards"] == 1
        left = tx.execute("SELECT count(*) AS n FROM cds_token").fetchone()
        seen = ("northside", "Patient/rosa", "Practitioner/osei")
        assert left["n"] == 0
        assert cds.find_last_card(tx, *seen, "carecue-patient-view") is None
