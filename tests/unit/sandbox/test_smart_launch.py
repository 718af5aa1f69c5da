"""Authorization: launches from a chart, standalone ones, and refusals."""

import pytest

from tests.unit.sandbox.smart_rig import (
    APP,
    CALLBACK,
    CHALLENGE,
    FHIR,
    Rig,
    error_of,
    sent_back,
)


@pytest.fixture
def rig() -> Rig:
    rig = Rig()
    rig.register(APP)
    return rig


def test_ehr_launch_answers_context_and_identity(rig: Rig):
    answer = rig.authorize(launch=rig.launch(encounter="stay"))
    back = sent_back(answer)
    assert sorted(back) == ["code", "iss", "state"]
    assert (back["state"], back["iss"]) == ("st4te", FHIR)
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    token = rig.exchange(back["code"])
    assert token.status_code == 200
    assert token.headers["Cache-Control"] == "no-store"
    body = token.json
    del body["access_token"], body["id_token"], body["refresh_token"]
    assert body == {
        "token_type": "Bearer",
        "expires_in": 600,
        "scope": "openid fhirUser launch online_access patient/*.rs",
        "patient": "rosa",
        "encounter": "stay",
        "need_patient_banner": False,
        "smart_style_url": "http://127.0.0.1:8090/ehr/smart-style.json",
    }


def test_authorize_by_post_works_alike(rig: Rig):
    back = sent_back(rig.authorize(method="POST", launch=rig.launch()))
    assert rig.exchange(back["code"]).json["patient"] == "rosa"


def test_launch_works_once(rig: Rig):
    launch = rig.launch()
    assert "code" in sent_back(rig.authorize(launch=launch))
    assert sent_back(rig.authorize(launch=launch))["error"] == "invalid_request"


def test_launch_ends_after_five_minutes(rig: Rig):
    from datetime import timedelta

    launch = rig.launch()
    rig.clock.advance(timedelta(minutes=5))
    assert sent_back(rig.authorize(launch=launch))["error"] == "invalid_request"


def test_launch_of_another_app_is_refused(rig: Rig):
    launch = rig.launch("other")
    assert sent_back(rig.authorize(launch=launch))["error"] == "invalid_request"


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"response_type": None}, "unsupported_response_type"),
        ({"state": None}, "invalid_request"),
        ({"aud": None}, "invalid_request"),
        ({"aud": f"{FHIR}/"}, "invalid_request"),
        ({"aud": FHIR.upper()}, "invalid_request"),
        ({"code_challenge": None}, "invalid_request"),
        ({"code_challenge": "short"}, "invalid_request"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"code_challenge_method": None}, "invalid_request"),
        ({"scope": None}, "invalid_scope"),
        ({"scope": "patient/*.rs"}, "invalid_request"),
        ({"scope": "launch patient/*.cruds"}, "invalid_scope"),
        ({"scope": "launch patient/Patient.sr"}, "invalid_scope"),
        ({"scope": "launch system/*.rs"}, "invalid_scope"),
        ({"launch": None}, "invalid_request"),
        ({"launch": "guessed"}, "invalid_request"),
        ({"nonce": "n" * 5000}, "invalid_request"),
    ],
)
def test_authorize_tells_the_app_what_is_wrong(rig: Rig, changes, error):
    back = sent_back(rig.authorize(**{"launch": rig.launch(), **changes}))
    assert back["error"] == error
    assert back["iss"] == FHIR
    assert back.get("state") == (None if "state" in changes else "st4te")
    assert "code" not in back


@pytest.mark.parametrize(
    "changes",
    [
        {"client_id": None},
        {"client_id": "<script>alert(1)</script>"},
        {"redirect_uri": None},
        {"redirect_uri": f"{CALLBACK}/"},
        {"redirect_uri": f"{CALLBACK}?x=1"},
        {"redirect_uri": "http://localhost:8091/elsewhere"},
    ],
)
def test_authorize_never_sends_to_an_unknown_address(rig: Rig, changes):
    answer = rig.authorize(**{"launch": rig.launch(), **changes})
    assert answer.status_code == 400
    assert "Location" not in answer.headers
    assert "<script>alert" not in answer.text
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]


def test_authorize_refuses_repeated_parameters(rig: Rig):
    query = [("client_id", "app"), ("client_id", "app"), ("redirect_uri", CALLBACK)]
    answer = rig.http.get("/oauth/authorize", query_string=query)
    assert answer.status_code == 400


def test_authorize_refuses_a_client_of_another_grant(rig: Rig):
    rig.register(APP, grant_types=["refresh_token"])
    back = sent_back(rig.authorize(launch=rig.launch()))
    assert back["error"] == "unauthorized_client"


def standalone(rig: Rig, scope: str = "openid fhirUser launch/patient patient/*.rs"):
    page = rig.authorize(scope=scope)
    assert page.status_code == 200
    return page


def pending(page) -> str:
    return page.text.partition('name="pending" value="')[2].partition('"')[0]


def test_standalone_launch_asks_for_user_and_patient(rig: Rig):
    page = standalone(rig)
    assert "Dr. Abena Osei" in page.text
    assert (
        "form-action 'self' http://localhost:8091"
        in (page.headers["Content-Security-Policy"])
    )
    assert "frame-ancestors 'none'" in page.headers["Content-Security-Policy"]
    form = {"pending": pending(page), "user": "Practitioner/lind"}
    page = rig.http.post("/oauth/login", data=form)
    assert "Delgado, Rosa" in page.text
    form = {"pending": pending(page), "patient": "tom", "decision": "allow"}
    body = rig.exchange(sent_back(rig.http.post("/oauth/allow", data=form))["code"])
    assert (body.json["patient"], body.json["need_patient_banner"]) == ("tom", True)
    assert "refresh_token" not in body.json
    assert rig.grant(body.json["access_token"]).user == "Practitioner/lind"


def test_standalone_launch_works_once_per_page(rig: Rig):
    form = {"pending": pending(standalone(rig)), "user": "Practitioner/lind"}
    assert rig.http.post("/oauth/login", data=form).status_code == 200
    assert rig.http.post("/oauth/login", data=form).status_code == 400


def test_standalone_launch_does_not_skip_the_log_in(rig: Rig):
    form = {"pending": pending(standalone(rig)), "patient": "tom", "decision": "allow"}
    assert rig.http.post("/oauth/allow", data=form).status_code == 400


def test_standalone_launch_denied_tells_the_app(rig: Rig):
    form = {"pending": pending(standalone(rig)), "user": "Practitioner/lind"}
    page = rig.http.post("/oauth/login", data=form)
    form = {"pending": pending(page), "decision": "deny"}
    back = sent_back(rig.http.post("/oauth/allow", data=form))
    assert (back["error"], back["state"]) == ("access_denied", "st4te")


def test_standalone_launch_by_a_patient_reaches_only_that_patient(rig: Rig):
    page = standalone(rig)
    form = {"pending": pending(page), "user": "Patient/rosa"}
    page = rig.http.post("/oauth/login", data=form)
    assert "Webb, Tom" not in page.text
    form = {"pending": pending(page), "patient": "tom", "decision": "allow"}
    page = rig.http.post("/oauth/allow", data=form)
    assert page.status_code == 200  # asked again: that patient is not theirs
    form = {"pending": pending(page), "patient": "rosa", "decision": "allow"}
    token = rig.exchange(sent_back(rig.http.post("/oauth/allow", data=form))["code"])
    grant = rig.grant(token.json["access_token"])
    assert (grant.user, grant.patient) == ("Patient/rosa", "rosa")


def test_standalone_launch_without_patient_scopes_has_no_patient(rig: Rig):
    page = standalone(rig, "openid fhirUser user/Appointment.rs")
    form = {"pending": pending(page), "user": "Practitioner/lind"}
    page = rig.http.post("/oauth/login", data=form)
    assert "For which patient" not in page.text
    form = {"pending": pending(page), "decision": "allow"}
    token = rig.exchange(sent_back(rig.http.post("/oauth/allow", data=form))["code"])
    assert "patient" not in token.json


def test_discovery_needs_no_token_and_names_every_endpoint(rig: Rig):
    found = rig.http.get("/fhir/.well-known/smart-configuration").json
    assert found["issuer"] == FHIR
    assert found["token_endpoint"] == "http://127.0.0.1:8090/oauth/token"
    assert found["code_challenge_methods_supported"] == ["S256"]
    assert found["token_endpoint_auth_signing_alg_values_supported"] == [
        "RS384",
        "ES384",
    ]
    openid = rig.http.get("/fhir/.well-known/openid-configuration").json
    assert openid["issuer"] == FHIR
    jwks = rig.http.get("/oauth/jwks")
    assert sorted(jwks.json["keys"][0]) == ["alg", "e", "kid", "kty", "n", "use"]
    assert jwks.headers["Cache-Control"] == "public, max-age=300"


def test_code_of_plain_challenge_cannot_be_made(rig: Rig):
    back = sent_back(rig.authorize(launch=rig.launch(), code_challenge_method="plain"))
    assert back["error"] == "invalid_request"
    assert error_of(rig.exchange("guessed", code_verifier=CHALLENGE)) == (
        400,
        "invalid_grant",
    )
