"""The launch: what is asked, what is believed, and who gets in."""

import html
from base64 import urlsafe_b64encode
from dataclasses import replace
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import pytest

from mappings.dialects.registry import DIALECTS
from mappings.errors import FhirError
from mappings.secret import Secret
from middleware.storage.audit import list_audit
from middleware.storage.launches import LaunchRow, find_by_prefix, get_launch
from middleware.wiring.launching import discover, fetch_keys
from smart_app.cds.calls import Call
from smart_app.discovery import Discovery
from smart_app.failures import as_failure, explain_outcome
from smart_app.kept import unseal
from smart_app.refresh import Bearers
from smart_app.tokens import read_access, read_renewed
from tests.unit.smart_app.conftest import FRAME, PUBLIC
from tests.unit.smart_app.ehr import NEXT_KEY, STRANGER


def only_launch(tx) -> LaunchRow:
    (row,) = tx.execute("SELECT id FROM launch").fetchall()
    found = get_launch(tx, row["id"])
    assert found is not None
    return found


def test_launch_asks_the_server_as_smart_wants(rig):
    answer = rig.http.get(
        "/smart/launch", query_string={"iss": rig.ehr.base, "launch": "a/b+c="}
    )
    query = {k: v[0] for k, v in parse_qs(urlsplit(answer.location).query).items()}
    assert answer.status_code == 303
    assert query["aud"] == rig.ehr.base
    assert query["launch"] == "a/b+c="
    assert query["redirect_uri"] == f"{PUBLIC}/smart/callback"
    assert query["code_challenge_method"] == "S256"
    assert query["scope"].split()[:3] == ["launch", "openid", "fhirUser"]
    assert "patient/Appointment.rs" in query["scope"].split()
    assert len(query["state"]) >= 43
    assert not {"prompt", "max_age", "next"} & set(query)


def test_standalone_asks_for_a_patient_and_sends_no_launch(rig):
    answer = rig.http.get("/smart/standalone", query_string={"iss": rig.ehr.base})
    query = parse_qs(urlsplit(answer.location).query)
    assert "launch" not in query
    assert query["scope"][0].split()[0] == "launch/patient"


def test_cookie_is_of_this_launch_and_partitioned(rig):
    answer = rig.http.get(
        "/smart/launch", query_string={"iss": rig.ehr.base, "launch": "x"}
    )
    with rig.database.tx() as tx:
        launch = only_launch(tx)
    name, *attributes = answer.headers["Set-Cookie"].split("; ")
    assert name.startswith(f"__Host-s_{launch.id}=")
    assert set(attributes) >= {
        "Secure",
        "HttpOnly",
        "SameSite=None",
        "Partitioned",
        "Path=/",
    }
    assert not any(part.startswith("Domain") for part in attributes)


@pytest.mark.parametrize(
    "change",
    [
        lambda base: base + "//",
        lambda base: base.upper(),
        lambda base: base.replace("127.0.0.1", "localhost"),
        lambda base: base.replace("://", "://x@"),
        lambda base: base.replace("fhir", "%66hir"),
        lambda base: "http://169.254.169.254/latest",
        lambda base: "file:///etc/passwd",
        lambda base: "",
    ],
)
def test_unknown_iss_is_refused_without_any_request(rig, change):
    answer = rig.http.get(
        "/smart/launch", query_string={"iss": change(rig.ehr.base), "launch": "x"}
    )
    assert answer.status_code == 403
    assert "not connected to CareCue" in answer.text
    assert rig.ehr.log == []


@pytest.mark.parametrize("launch", ["", "a\r\nb", "x" * 9000, "<script>alert(1)"])
def test_bad_launch_is_refused_and_not_reflected(rig, launch):
    query = {"iss": rig.ehr.base, "launch": launch}
    if launch.startswith("<"):
        query["launch"] = launch + "\x00"
    answer = rig.http.get("/smart/launch", query_string=query)
    assert answer.status_code == 400
    assert "<script>alert" not in answer.text
    assert rig.ehr.log == []


def test_repeated_parameter_is_refused(rig):
    answer = rig.http.get(f"/smart/launch?iss={rig.ehr.base}&launch=a&launch=b")
    assert answer.status_code == 400


@pytest.mark.parametrize(
    "spoilt",
    [
        {"token_endpoint": "http://evil.example.org/token"},
        {"authorization_endpoint": "http://127.0.0.1.evil.example.org/a"},
        {"jwks_uri": "http://localhost:1/jwks"},
        {"token_endpoint": None},
        {"token_endpoint": "http://evil.example.org/\x00"},
        {"jwks_uri": "http://evil.example.org/\ud800"},
    ],
)
def test_foreign_or_missing_endpoint_is_refused(rig, spoilt):
    rig.ehr.configuration = spoilt
    answer = rig.http.get(
        "/smart/launch", query_string={"iss": rig.ehr.base, "launch": "x"}
    )
    assert answer.status_code == 502
    assert "Set-Cookie" not in answer.headers


def test_callback_opens_a_clean_page_of_the_launch(rig):
    answer = rig.launch(need_patient_banner="false", encounter="e1")
    with rig.database.tx() as tx:
        launch = only_launch(tx)
        (entry,) = list_audit(tx)
    assert answer.status_code == 303
    assert answer.location == f"/l/{launch.id}/"
    assert (launch.patient, launch.encounter) == ("Patient/rosa", "Encounter/e1")
    assert launch.user_reference == "Practitioner/osei"
    assert launch.need_patient_banner is False
    assert launch.state_hash is None
    assert b"at-1" not in launch.sealed
    assert (entry.who, entry.action) == ("Practitioner/osei", "launch-opened")


def test_public_client_names_itself(rig):
    rig.app(authentication="none")
    assert rig.launch().status_code == 303
    assert rig.ehr.forms[0]["client_id"] == "carecue-app"


def test_secret_client_uses_basic(rig):
    rig.ehr.secret = "correct horse battery"
    rig.app(authentication="client_secret_basic")
    assert rig.launch().status_code == 303


def test_assertion_client_signs_a_fresh_assertion_each_time(rig):
    assert rig.launch().status_code == 303
    assert rig.launch().status_code == 303
    assert len(rig.ehr.jtis) == 2


def test_every_launch_is_a_new_one(rig):
    first, second = rig.open(), rig.open()
    assert first != second
    assert rig.http.get(first).status_code == 200
    assert rig.http.get(second).status_code == 200


def start(rig):
    first = rig.http.get(
        "/smart/launch", query_string={"iss": rig.ehr.base, "launch": "x"}
    )
    return rig.ehr.approve(first.location), rig.ehr.state(first.location)


def test_callback_with_unknown_state_asks_nothing(rig):
    answer = rig.http.get("/smart/callback?code=c&state=<script>")
    assert answer.status_code == 400
    assert "<script>" not in answer.text.replace('<script src="', "")
    assert rig.ehr.log == []


def test_callback_in_another_browser_is_refused(rig):
    code, state = start(rig)
    other = rig.http.application.test_client()
    answer = other.get(f"/smart/callback?code={code}&state={state}")
    assert answer.status_code == 403
    assert rig.ehr.forms == []


def test_callback_works_once(rig):
    code, state = start(rig)
    url = f"/smart/callback?code={code}&state={state}"
    assert rig.http.get(url).status_code == 303
    assert rig.http.get(url).status_code == 400
    assert len(rig.ehr.forms) == 1


def test_callback_after_ten_minutes_is_refused(rig):
    code, state = start(rig)
    rig.clock.instant += timedelta(minutes=10)
    answer = rig.http.get(f"/smart/callback?code={code}&state={state}")
    assert answer.status_code == 400
    assert rig.ehr.forms == []


def test_callback_of_another_issuer_is_refused(rig):
    code, state = start(rig)
    answer = rig.http.get(
        f"/smart/callback?code={code}&state={state}&iss=https://evil.example.org"
    )
    assert answer.status_code == 400
    assert rig.ehr.forms == []


def test_callback_with_two_codes_is_refused(rig):
    code, state = start(rig)
    answer = rig.http.get(f"/smart/callback?code={code}&code=x&state={state}")
    assert answer.status_code == 400
    assert rig.ehr.forms == []


def test_callback_error_is_named_and_nothing_else_of_it(rig):
    _, state = start(rig)
    answer = rig.http.get(
        f"/smart/callback?error=access_denied&error_description=<img>&state={state}"
    )
    assert answer.status_code == 403
    assert "access_denied" in answer.text
    assert "<img" not in answer.text
    assert rig.ehr.forms == []


@pytest.mark.parametrize(
    ("spoilt", "code"),
    [
        ({"patient": None}, "T3"),
        ({"patient": "../Patient/tom"}, "T3"),
        ({"id_token": None}, "T4"),
        ({"access_token": None}, "T2"),
        ({"token_type": "mac"}, "T2"),
    ],
)
def test_token_response_that_lacks_something_is_refused(rig, spoilt, code):
    rig.ehr.answer = spoilt
    answer = rig.launch()
    assert answer.status_code == 502
    assert f">{code}<" in answer.text


@pytest.mark.parametrize("odd", ["\x00", "patient/\ud800.rs", "\x1b[2J"])
def test_a_scope_that_nobody_can_read_is_no_scope(rig, odd):
    good = "launch openid fhirUser patient/Patient.rs"
    rig.ehr.answer = {"scope": f"{good} {odd}"}
    assert rig.launch().status_code == 303
    with rig.database.tx() as tx:
        assert only_launch(tx).scope == good


@pytest.mark.parametrize("odd", ["a\x00", "\x1b[2Jroot", "a\nb"])
def test_a_user_whose_name_a_screen_would_obey_is_refused(rig, odd):
    rig.ehr.claims = {"sub": odd}
    answer = rig.launch()
    assert answer.status_code == 502
    assert ">T5<" in answer.text
    with rig.database.tx() as tx:
        assert str(only_launch(tx).steps[-1]["found"]).isprintable()


@pytest.mark.parametrize(
    ("expires", "seconds", "deviation"),
    [
        (3600, 3600, None),
        ("3600", 3600, None),
        (3600.9, 3600, None),
        (None, 300, "expires_in"),
        ("soon", 300, "expires_in soon"),
        ("PT1H", 300, "expires_in PT1H"),
        (-1, 300, "expires_in -1"),
        (0, 300, "expires_in 0"),
        (True, 300, "expires_in True"),
        ([3600], 300, "expires_in [3600]"),
        pytest.param(10**400, 300, f"expires_in 1{'0' * 199}…", id="endless"),
    ],
)
def test_a_life_that_is_not_said_is_short_and_noted(rig, expires, seconds, deviation):
    rig.ehr.answer = {"expires_in": expires}
    assert rig.launch().status_code == 303
    with rig.database.tx() as tx:
        (step,) = [s for s in only_launch(tx).steps if s["step"] == "token"]
    assert (step["seconds"], step.get("deviation")) == (seconds, deviation)


@pytest.mark.parametrize("written", ["rosa", "Patient/rosa", "{base}/Patient/rosa"])
def test_a_patient_may_be_named_by_a_reference_of_this_server(rig, written):
    rig.ehr.answer = {
        "patient": written.format(base=rig.ehr.base),
        "encounter": written.format(base=rig.ehr.base).replace("Patient", "Encounter"),
    }
    assert rig.launch().status_code == 303
    with rig.database.tx() as tx:
        launch = only_launch(tx)
    assert (launch.patient, launch.encounter) == ("Patient/rosa", "Encounter/rosa")


@pytest.mark.parametrize(
    "written",
    [
        "https://other.example/fhir/Patient/rosa",
        "{base}x/Patient/rosa",
        "{base}/rosa",
        "{base}//Patient/rosa",
        "Patient/rosa/_history/1",
        "Patient/Patient/rosa",
        "/Patient/rosa",
        "Practitioner/rosa",
        "patient/rosa",
        "Patient/",
        "Patient/rosa ",
        ["Patient/rosa"],
        {"reference": "Patient/rosa"},
    ],
)
def test_a_patient_who_is_named_otherwise_is_nobody(rig, written):
    base = rig.ehr.base
    told = written.format(base=base) if isinstance(written, str) else written
    rig.ehr.answer = {"patient": told}
    answer = rig.launch()
    assert (answer.status_code, ">T3<" in answer.text) == (502, True)


@pytest.mark.parametrize(
    "claims",
    [
        {"iss": "https://evil.example.org"},
        {"aud": "another-client"},
        {"aud": ["another-client"]},
        {"aud": ["carecue-app", "another-client"]},
        {"aud": "another-client", "azp": "carecue-app"},
        {"nonce": "other"},
        {"nonce": None},
        {"exp": 1},
        {"sub": None},
        {"iat": None},
    ],
)
def test_id_token_with_a_wrong_claim_is_refused(rig, claims):
    rig.ehr.claims = claims
    answer = rig.launch()
    assert answer.status_code == 502
    assert ">T5<" in answer.text


def test_nonce_may_be_missing_where_the_profile_says_so(rig):
    rig.app(nonce_echoed=False)
    rig.ehr.claims = {"nonce": None}
    assert rig.launch().status_code == 303
    rig.ehr.claims = {"nonce": "other"}
    assert rig.launch().status_code == 502


@pytest.mark.parametrize("algorithm", ["none", "HS256"])
def test_id_token_with_a_weak_algorithm_is_refused(rig, algorithm):
    rig.ehr.algorithm = algorithm
    assert rig.launch().status_code == 502


def test_id_token_signed_by_a_stranger_is_refused(rig):
    rig.ehr.key = STRANGER
    assert rig.launch().status_code == 502


def test_rotated_keys_are_fetched_again(rig):
    assert rig.launch().status_code == 303
    rig.ehr.key, rig.ehr.algorithm = NEXT_KEY, "ES384"
    rig.ehr.published = [NEXT_KEY]
    assert rig.launch().status_code == 303
    assert rig.ehr.log.count("GET /jwks") == 2


@pytest.mark.parametrize(
    "user",
    [
        "Patient/rosa",
        "RelatedPerson/r1",
        "https://evil.example.org/fhir/Practitioner/osei",
        "Practitioner/../Patient/rosa",
        None,
        "",
    ],
)
def test_only_a_practitioner_gets_in(rig, user):
    rig.ehr.claims = {"fhirUser": user}
    answer = rig.launch()
    assert answer.status_code == 403
    assert "Only a practitioner" in answer.text


def test_absolute_user_under_the_base_gets_in(rig):
    rig.ehr.claims = {"fhirUser": f"{rig.ehr.base}/PractitionerRole/r7"}
    assert rig.launch().status_code == 303


def test_record_of_another_id_stops_the_launch(rig):
    rig.ehr.resources["Patient/rosa"]["id"] = "tom"
    answer = rig.launch()
    assert answer.status_code == 502
    assert "another record than the open chart" in html.unescape(answer.text)


@pytest.mark.parametrize("encoded", [False, True])
def test_a_secret_is_joined_as_it_is_or_as_forms_are_encoded(rig, encoded):
    rig.app(authentication="client_secret_basic")
    rig.ehr.secret, rig.ehr.encoded = "correct+horse/battery: 100%", encoded
    assert rig.launch().status_code == (502 if encoded else 303)
    profile(rig, secret_encoded=encoded)
    assert rig.launch().status_code == 303


def test_launch_failures_keep_no_secret(rig):
    rig.ehr.token_status = 500
    rig.launch()
    with rig.database.tx() as tx:
        launch = only_launch(tx)
    assert (launch.stage, launch.error) == ("failed", "T1")
    assert not {"verifier", "nonce", "asked"} & set(unseal(rig.ports, launch))


def test_notices_may_be_framed_by_registered_ehrs_and_our_own_page_alone(rig):
    answer = rig.http.get("/smart/launch?iss=nowhere&launch=x")
    policy = answer.headers["Content-Security-Policy"]
    assert policy.endswith(f"frame-ancestors {FRAME} {PUBLIC}")
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["Referrer-Policy"] == "no-referrer"


def test_state_and_verifier_are_unpredictable(rig):
    states = {start(rig)[1] for _ in range(5)}
    assert len(states) == 5
    assert all(len(urlsafe_b64encode(item.encode())) > 43 for item in states)


def short_id(answer) -> str:
    return answer.text.split("launch <span")[1].split(">")[1][:8]


@pytest.mark.parametrize("word", ["server_error", "temporarily_unavailable"])
def test_a_sign_in_server_that_cannot_answer_now_refused_nobody(rig, word):
    _, state = start(rig)
    answer = rig.http.get(f"/smart/callback?error={word}&state={state}")
    assert (answer.status_code, ">C6<" in answer.text) == (503, True)
    assert "in a minute" in answer.text
    assert "did not let this app in" not in answer.text


def test_every_failure_page_shows_an_id_that_is_kept(rig):
    early = rig.http.get("/smart/launch?iss=nowhere&launch=x")
    _, state = start(rig)
    late = rig.http.get(f"/smart/callback?error=access_denied&state={state}")
    with rig.database.tx() as tx:
        (kept,) = find_by_prefix(tx, short_id(early))
        (row,) = find_by_prefix(tx, short_id(late))
    assert kept.code == "L1"
    assert "Step: Starting from the chart." in early.text
    assert row.error == "C4"
    assert row.steps[-1]["said"] == "access_denied"
    assert "Step: Coming back from the EHR&#39;s sign-in." in late.text


@pytest.mark.parametrize(
    ("fault", "code", "told", "next_"),
    [
        ((403, "forbidden"), "E4", "HTTP 403 (forbidden)", "Open it in the EHR first"),
        ((503, "transient"), "E1", "HTTP 503 (transient)", "Try again, or open this"),
        ((404, "<b>"), "E1", "HTTP 404", "Try again, or open this app"),
    ],
)
def test_a_chart_that_cannot_be_read_tells_what_the_ehr_said(
    rig, fault, code, told, next_
):
    rig.ehr.fault = fault
    answer = rig.launch()
    assert answer.status_code == 502
    assert f"The EHR said: <bdi>{told}</bdi>" in answer.text
    assert next_ in answer.text
    with rig.database.tx() as tx:
        (row,) = find_by_prefix(tx, short_id(answer))
    assert (row.error, row.steps[-1]["said"]) == (code, told)
    titles = {
        "E4": "The EHR does not let you read this chart here",
        "E1": "The chart cannot be shown",
    }
    assert f'<h1 id="h-notice">{titles[code]}</h1>' in answer.text


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"token_endpoint": "https://as.example.org/t"}, "as.example.org"),
        (
            {"authorization_endpoint": "http://ehr.example.org/a"},
            "http://ehr.example.org/a",
        ),
    ],
)
def test_a_sign_in_document_that_is_refused_is_told_with_its_fault(rig, change, told):
    rig.ehr.configuration = change
    query = {"iss": rig.ehr.base, "launch": "x"}
    answer = rig.http.get("/smart/launch", query_string=query)
    assert answer.status_code == 502
    found = answer.text.split("What was found: <bdi>")[1].split("</bdi>")[0]
    assert told in found
    assert next(iter(change)) in found


@pytest.mark.parametrize(
    ("permanent", "told"),
    [(False, "The EHR did not answer. Nothing was sent"), (True, "Try again, or open")],
)
def test_an_ehr_that_does_not_answer_is_told_as_such(permanent, told):
    fault = as_failure(FhirError("no answer in time", permanent=permanent))
    assert (fault.code, fault.status, fault.said) == ("E1", 502, "")
    assert told in fault.message


def test_an_open_page_that_cannot_be_read_is_found_by_its_id(rig):
    page = rig.open()
    rig.ehr.batches = False
    rig.ehr.fault = (403, "forbidden")
    answer = rig.http.get(f"{page}history")
    assert "HTTP 403 (forbidden)" in answer.text
    with rig.database.tx() as tx:
        (row,) = find_by_prefix(tx, short_id(answer))
    assert row.stage == "open"
    fault = row.context["last_fault"]
    assert (fault["code"], fault["said"]) == ("E4", "HTTP 403 (forbidden)")
    rig.ehr.fault = None
    assert "Rosa" in rig.http.get(page).text


@pytest.mark.parametrize(
    "link", ["https://evil.example.org/help", "https://[evil.example.org/help"]
)
def test_the_ehrs_own_words_are_text_and_its_link_is_checked(rig, link):
    _, state = start(rig)
    query = {
        "state": state,
        "error": "access_denied",
        "error_description": "No <b>role</b>" + "x" * 500,
        "error_uri": link,
    }
    text = rig.http.get("/smart/callback", query_string=query).text
    assert "access_denied: No &lt;b&gt;role&lt;/b&gt;" in text
    assert "x" * 201 not in text
    assert "evil.example.org" not in text


def test_a_cookie_that_does_not_come_back_stops_no_other_browser(rig):
    code, state = start(rig)
    url = f"/smart/callback?code={code}&state={state}"
    stranger = rig.http.application.test_client().get(url)
    assert stranger.status_code == 403
    assert rig.http.get(url).status_code == 303


def test_a_server_that_names_itself_always_must_do_so(rig):
    rig.ehr.configuration = {"authorization_response_iss_parameter_supported": True}
    code, state = start(rig)
    answer = rig.http.get(f"/smart/callback?code={code}&state={state}")
    assert answer.status_code == 400
    assert ">C5<" in answer.text
    assert rig.ehr.forms == []
    code, state = start(rig)
    answer = rig.http.get(
        f"/smart/callback?code={code}&state={state}&iss={rig.ehr.base}"
    )
    assert answer.status_code == 303


@pytest.mark.requirement("hl7.fhir.uv.smart-app-launch_2.2.0@191")
def test_what_the_launch_was_told_is_kept_as_far_as_it_is_usable(rig):
    rig.open(
        intent="reconcile",
        tenant="t" * 301,
        fhirContext=[
            {"reference": "ImagingStudy/1"},
            {"reference": "Task/2", "role": "https://roles.example.org/x"},
            {"canonical": "http://q.example.org/Q|1", "type": "Questionnaire"},
            {"identifier": {"system": "urn:s", "value": "v", "period": {}}},
            {"role": "launch"},
            "nonsense",
        ],
    )
    with rig.database.tx() as tx:
        context = only_launch(tx).context
    assert context["intent"] == "reconcile"
    assert "tenant" not in context
    assert context["fhir_context"] == [
        {"role": "launch", "reference": "ImagingStudy/1"},
        {"role": "https://roles.example.org/x", "reference": "Task/2"},
        {
            "role": "launch",
            "canonical": "http://q.example.org/Q|1",
            "type": "Questionnaire",
        },
        {"role": "launch", "identifier": {"system": "urn:s", "value": "v"}},
    ]


@pytest.mark.parametrize(
    ("told", "shown"),
    [(True, True), ("true", True), (False, False), ("false", False), (None, True)],
)
def test_banner_is_left_out_only_where_that_is_said_clearly(rig, told, shown):
    rig.open(need_patient_banner=told)
    with rig.database.tx() as tx:
        assert only_launch(tx).need_patient_banner is shown


def test_the_way_of_a_launch_holds_no_secret(rig):
    rig.open()
    with rig.database.tx() as tx:
        launch = only_launch(tx)
    assert [step["step"] for step in launch.steps] == [
        "asked",
        "returned",
        "token",
        "signed in",
        "opened",
    ]
    told = repr(launch.steps)
    assert "at-1" not in told
    assert "code-0" not in told


def profile(rig, **changes):
    endpoint = rig.endpoints[0]
    rig.endpoints[0] = replace(endpoint, profile={**endpoint.profile, **changes})


def test_a_long_request_goes_by_post_where_that_is_offered(rig):
    rig.ehr.configuration = {"capabilities": ["launch-ehr", "authorize-post"]}
    launch = "x" * 2000
    answer = rig.http.get(
        "/smart/launch", query_string={"iss": rig.ehr.base, "launch": launch}
    )
    assert answer.status_code == 200
    assert f'<form method="post" action="{rig.ehr.origin}/authorize"' in answer.text
    assert f'name="launch" value="{launch}"' in answer.text
    assert 'name="code_challenge_method" value="S256"' in answer.text
    assert "Set-Cookie" in answer.headers
    policy = answer.headers["Content-Security-Policy"]
    assert f"form-action 'self' {rig.ehr.origin}" in policy


def test_a_short_request_goes_by_redirect(rig):
    rig.ehr.configuration = {"capabilities": ["launch-ehr", "authorize-post"]}
    query = {"iss": rig.ehr.base, "launch": "x"}
    assert rig.http.get("/smart/launch", query_string=query).status_code == 303
    profile(rig, authorize_post=True)
    assert rig.http.get("/smart/launch", query_string=query).status_code == 200


def test_a_sign_in_that_refuses_frames_opens_in_a_window_by_a_click(rig):
    profile(rig, authorize_in_window=True)
    query = {"iss": rig.ehr.base, "launch": 'a"b'}
    framed = rig.http.get(
        "/smart/launch", query_string=query, headers={"Sec-Fetch-Dest": "iframe"}
    )
    assert framed.status_code == 200
    assert 'target="_blank"' in framed.text
    assert "launch=a%22b" in framed.text
    assert "Set-Cookie" not in framed.headers
    assert rig.ehr.log == []
    alone = rig.http.get(
        "/smart/launch", query_string=query, headers={"Sec-Fetch-Dest": "document"}
    )
    assert alone.status_code == 303


def test_a_known_kind_of_server_leaves_its_nonce_out(rig):
    profile(rig, server="inferno")
    rig.ehr.claims = {"nonce": None}
    assert rig.launch().status_code == 303
    rig.ehr.claims = {"nonce": "other"}
    assert rig.launch().status_code == 502


def test_issuers_of_a_known_kind_of_server_are_derived() -> None:
    epic, oracle = DIALECTS["epic"].app, DIALECTS["oracle"].app
    base = "https://ehr.example.org/proxy/api/FHIR/R4"
    assert epic.derive_issuers(base, None) == ("https://ehr.example.org/proxy/oauth2",)
    issuer = "https://as.example.org/tenants/T1"
    assert oracle.derive_issuers(base, issuer) == (f"{issuer}/oidc/idsps/T1/",)
    assert oracle.derive_issuers(base, None) == ()


def test_codes_of_a_known_kind_of_server_are_told_in_words(rig):
    coding = {"system": "urn:oid:1.2.840.114350", "code": "4130"}
    outcome = {
        "resourceType": "OperationOutcome",
        "issue": [{"code": "suppressed", "details": {"coding": [coding, 7]}}],
    }
    assert explain_outcome(rig.endpoints, outcome) == ""
    profile(rig, server="epic")
    assert "Break-the-Glass" in explain_outcome(rig.endpoints, outcome)
    assert explain_outcome(rig.endpoints, {"issue": [None, {"details": []}]}) == ""


def test_no_token_is_in_a_representation(rig, clock):
    names = ("access_token", "id_token", "refresh_token")
    answer = {name: f"hidden-{name}" for name in names} | {"token_type": "Bearer"}
    access = read_access({**answer, "patient": "rosa"}, clock.now(), base="")
    call = Call(rig.endpoints[0], "patient-view", "Patient/1", "Practitioner/1", None)
    rig.ehr.answer = {"access_token": "hidden-at"}
    rig.ehr.accepted, rig.ehr.refresh = "Bearer hidden-at", "hidden-rt"
    rig.open()
    with rig.database.tx() as tx:
        launch = only_launch(tx)
    bearer = Bearers(rig.ports, Discovery(discover, fetch_keys)).of(launch)
    shown = (
        access,
        read_renewed(answer, clock.now()),
        replace(
            call, token=Secret("hidden-call"), told={"Patient/1": {"id": "hidden-id"}}
        ),
        bearer,
        launch,
    )
    assert access.token == Secret("hidden-access_token")
    assert bearer.token() == Secret("hidden-at")
    assert [one for one in shown if "hidden" in repr(one)] == []
