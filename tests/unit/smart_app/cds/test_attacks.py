"""What nobody may do to the CDS Hooks services: each refusal over real HTTP and keys."""

import base64
import hmac
import http.client
import json
import threading
from dataclasses import replace
from urllib.parse import urlsplit

import pytest
from joserfc.jwk import ECKey
from werkzeug.serving import make_server

from middleware.desk.cards import inert, write_summary
from smart_app.cds.answering import FORCED_AFTER_SECONDS
from tests.unit.smart_app.cds.conftest import ORIGIN, Calls
from tests.unit.smart_app.ehr import KEY, NEXT_KEY, STRANGER


def encode(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def refused(calls: Calls, token, status=401, body=None):
    """Check that a call with this JWT is refused and causes no read of the chart."""
    calls.ehr.log.clear()
    answer = calls.call(body, token=token)
    assert answer.status == status, answer.raw
    assert answer.body["resourceType"] == "OperationOutcome"
    assert not [line for line in calls.ehr.log if "/fhir" in line]
    return answer.words


@pytest.mark.parametrize("alg", ["ES384", "RS384", "RS256", "ES256"])
def test_each_allowed_algorithm_gets_in(calls: Calls, alg):
    key = {"ES384": NEXT_KEY, "ES256": ECKey.generate_key("P-256", {"kid": "p256"})}
    used = key.get(alg, KEY)
    calls.ehr.published = [KEY, used]
    token = calls.sign(calls.claims(), key=used, alg=alg)
    assert calls.call(token=token, body=granted(calls)).status == 200


def granted(calls: Calls, **changes):
    return calls.request(**{"fhirAuthorization": calls.grant(), **changes})


def test_without_a_jwt_nobody_gets_in(calls: Calls):
    answer = calls.send("/cds-services/carecue-patient-view", granted(calls))
    assert answer.status == 401
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert refused(calls, "not.a.jwt")
    assert refused(calls, "a" * 9000)


def test_alg_none_is_refused(calls: Calls):
    claims = encode(json.dumps(calls.claims()).encode())
    for name in ("none", "None", "NONE"):
        head = encode(json.dumps({"alg": name, "kid": "as-1"}).encode())
        token = f"{head}.{claims}."
        assert "its alg" in refused(calls, token)


def test_hmac_with_the_public_key_is_refused(calls: Calls):
    for alg, digest in (("HS256", "sha256"), ("HS384", "sha384")):
        parts = [{"alg": alg, "kid": "as-1", "typ": "JWT"}, calls.claims()]
        text = ".".join(encode(json.dumps(part).encode()) for part in parts)
        made = hmac.digest(KEY.as_pem(private=False), text.encode(), digest)
        assert "its alg" in refused(calls, f"{text}.{encode(made)}")


def test_key_of_a_stranger_with_the_same_kid_is_refused(calls: Calls):
    token = calls.sign(calls.claims(), key=STRANGER)
    assert "fits its signature" in refused(calls, token)


def test_key_inside_the_jwt_is_never_looked_at(calls: Calls):
    own = ECKey.generate_key("P-256", {"kid": "mine"})
    public = own.as_dict(private=False)
    token = calls.sign(calls.claims(), key=own, alg="ES256", jwk=public)
    assert "no registered key" in refused(calls, token)


def test_jwt_needs_a_kid(calls: Calls):
    assert "kid" in refused(calls, calls.sign(calls.claims(), kid=None))


def test_changed_claims_are_refused(calls: Calls):
    head, _, signature = calls.sign(calls.claims()).split(".")
    forged = encode(json.dumps(calls.claims(sub="x")).encode())
    refused(calls, f"{head}.{forged}.{signature}")


@pytest.mark.parametrize(
    "changes",
    [
        {"aud": "https://other.example.org/cds-services/carecue-patient-view"},
        {"aud": None},
        {"iss": "https://stranger.example.org"},
        {"iss": None},
        {"jti": None},
        {"jti": "x" * 256},
        {"jti": 7},
        {"exp": None},
        {"iat": None},
    ],
)
def test_claim_that_is_missing_or_wrong_is_refused(calls: Calls, changes):
    refused(calls, calls.sign(calls.claims(**changes)))


def test_audience_is_this_very_service(calls: Calls):
    for service in ("carecue-encounter-discharge", "carecue-patient-view/", ""):
        refused(calls, calls.sign(calls.claims(service)))
    url = f"{calls.url}/cds-services/carecue-patient-view"
    listed = calls.sign(calls.claims(aud=["https://else.example.org", url]))
    assert calls.call(granted(calls), token=listed).status == 200


@pytest.mark.parametrize(
    ("issued", "expires"), [(-400, -60), (0, 3600), (-3600, 60), (120, 300)]
)
def test_time_of_the_jwt_is_five_minutes_at_most(calls: Calls, issued, expires):
    now = int(calls.rig.clock.now().timestamp())
    claims = calls.claims(iat=now + issued, exp=now + expires)
    refused(calls, calls.sign(claims))


def test_clocks_may_differ_by_half_a_minute(calls: Calls):
    now = int(calls.rig.clock.now().timestamp())
    token = calls.sign(calls.claims(iat=now + 20, exp=now + 320))
    assert calls.call(granted(calls), token=token).status == 200


def test_jwt_is_used_once(calls: Calls):
    token = calls.sign(calls.claims())
    assert calls.call(granted(calls), token=token).status == 200
    assert "used before" in refused(calls, token, body=granted(calls))
    resigned = calls.sign(calls.claims(jti="one"))
    calls.call(granted(calls), token=resigned)
    refused(calls, calls.sign(calls.claims(jti="one")), body=granted(calls))


def test_jwt_is_used_once_by_calls_at_the_same_time(calls: Calls):
    token, statuses = calls.sign(calls.claims()), []
    calls.call(granted(calls))
    threads = [
        threading.Thread(
            target=lambda: statuses.append(
                calls.call(granted(calls), token=token).status
            )
        )
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(statuses) == [200, 401, 401, 401]


def test_foreign_jku_is_refused_and_never_asked(calls: Calls):
    asked = []

    def serve(environ, start):
        asked.append(environ["PATH_INFO"])
        start("200 OK", [("Content-Type", "application/json")])
        public = STRANGER.as_dict(private=False)
        return [json.dumps({"keys": [public]}).encode()]

    server = make_server("127.0.0.1", 0, serve)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    url = f"http://127.0.0.1:{server.server_port}/jwks"
    words = refused(calls, calls.sign(calls.claims(), key=STRANGER, jku=url))
    calls.caller(key_urls=(*calls.rig.endpoints[0].cds.key_urls, url))
    again = calls.call(
        granted(calls), token=calls.sign(calls.claims(), key=STRANGER, jku=url)
    )
    server.shutdown()
    thread.join()
    server.server_close()
    assert "jku" in words
    assert asked == ["/jwks"]
    assert again.status == 200


@pytest.mark.parametrize("place", ["#x", "?a=1", "/../jwks"])
def test_jku_is_compared_letter_for_letter(calls: Calls, place):
    jku = calls.rig.endpoints[0].cds.key_urls[0] + place
    refused(calls, calls.sign(calls.claims(), jku=jku))


def test_keys_are_asked_for_anew_once_when_one_is_unknown(calls: Calls):
    assert calls.call(granted(calls)).status == 200
    calls.ehr.published = [KEY, NEXT_KEY]
    token = calls.sign(calls.claims(), key=NEXT_KEY, alg="ES384")
    assert calls.call(granted(calls), token=token).status == 200
    assert calls.ehr.log.count("GET /jwks") == 2
    assert FORCED_AFTER_SECONDS >= 30
    for _ in range(3):
        refused(calls, calls.sign(calls.claims(), key=STRANGER, kid="unknown"))
        assert "GET /jwks" not in calls.ehr.log


def test_keys_behind_a_redirect_are_not_fetched(calls: Calls):
    url = f"{calls.ehr.origin}/gone"
    calls.caller(key_urls=(url,))
    assert "could not be fetched" in refused(calls, calls.sign(calls.claims()), 503)


def test_tenant_that_is_not_listed_is_refused(calls: Calls):
    calls.caller(tenants=("north",))
    refused(calls, calls.sign(calls.claims()))
    refused(calls, calls.sign(calls.claims(tenant="south")))
    token = calls.sign(calls.claims(tenant="north"))
    assert calls.call(granted(calls), token=token).status == 200


@pytest.mark.parametrize(
    "server",
    [
        "http://127.0.0.1:1/fhir",
        "http://169.254.169.254/latest",
        "https://evil.example.org/fhir",
        7,
        None,
    ],
)
def test_fhir_server_elsewhere_is_refused_and_gets_no_token(calls: Calls, server):
    body = granted(calls, fhirServer=server)
    words = refused(calls, calls.sign(calls.claims()), 403, body)
    assert "no token was sent" in words


def test_fhir_server_of_another_endpoint_is_refused(calls: Calls):
    other = replace(
        calls.rig.endpoints[0],
        id="south",
        fhir_base="http://127.0.0.1:1/fhir",
        cds=replace(calls.rig.endpoints[0].cds, issuers=("https://south.example.org",)),
    )
    calls.rig.endpoints.append(other)
    body = granted(calls, fhirServer=other.fhir_base)
    refused(calls, calls.sign(calls.claims()), 403, body)


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"patient": "karl"}, 403),
        ({"subject": "another-client"}, 403),
        ({"subject": None}, 403),
        ({"scope": "patient/Observation.rs"}, 412),
        ({"scope": "system/*.rs"}, 412),
        ({"scope": None}, 412),
        ({"access_token": ""}, 400),
        ({"access_token": "a\r\nX-Evil: 1"}, 400),
        ({"token_type": "mac"}, 400),
    ],
)
def test_authorization_that_is_not_for_this_is_not_used(calls: Calls, changes, status):
    body = granted(calls, fhirAuthorization=calls.grant(**changes))
    refused(calls, calls.sign(calls.claims()), status, body)


@pytest.mark.parametrize(
    ("context", "changes"),
    [
        ({"patientId": "../Patient/karl"}, {}),
        ({"patientId": "Patient/rosa"}, {}),
        ({"patientId": ["rosa"]}, {}),
        ({"patientId": None}, {}),
        ({"userId": "osei"}, {}),
        ({"userId": "Practitioner/a?b=c"}, {}),
        ({"encounterId": "a/b"}, {}),
        ({}, {"hook": "encounter-discharge"}),
        ({}, {"hookInstance": "1"}),
        ({}, {"hookInstance": None}),
        ({}, {"context": None}),
    ],
)
def test_body_that_is_not_understood_is_refused(calls: Calls, context, changes):
    body = calls.request(context=context, fhirAuthorization=calls.grant())
    body.update(changes)
    refused(calls, calls.sign(calls.claims()), 400, body)


@pytest.mark.parametrize(
    "raw",
    [b"", b"[]", b"null", b"{", b"[" * 50_000, b'{"a":' * 50_000, b"\xff\xfe{}"],
)
def test_body_that_is_no_object_is_refused(calls: Calls, raw):
    refused(calls, calls.sign(calls.claims()), 400, raw)


def test_discharge_needs_an_encounter(calls: Calls):
    answer = calls.discharge(context={"encounterId": None})
    assert answer.status == 400
    assert "encounterId" in answer.words


def test_body_of_ten_megabytes_is_refused(calls: Calls):
    parts = urlsplit(calls.url)
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=20)
    connection.putrequest("POST", "/cds-services/carecue-patient-view")
    connection.putheader("Authorization", f"Bearer {calls.sign(calls.claims())}")
    connection.putheader("Content-Length", str(10 * 1024 * 1024))
    connection.endheaders()
    answer = connection.getresponse()
    assert answer.status == 413
    assert "256 KiB" in json.loads(answer.read())["issue"][0]["diagnostics"]
    connection.close()


def test_unknown_service_is_404(calls: Calls):
    answer = calls.call(service="carecue-order-sign")
    assert answer.status == 404


def test_feedback_needs_a_jwt_of_its_own(calls: Calls):
    told = {"card": "c1", "outcome": "accepted"}
    path = "/cds-services/carecue-patient-view/feedback"
    assert calls.send(path, {"feedback": [told]}).status == 401
    answer = calls.feedback(told, aud="https://other.example.org")
    assert answer.status == 401


def test_only_origins_that_are_written_down_may_call_from_a_browser(calls: Calls):
    path = "/cds-services/carecue-patient-view"
    asked = {"Access-Control-Request-Method": "POST"}
    known = calls.send(path, headers={"Origin": ORIGIN, **asked}, method="OPTIONS")
    assert known.headers["Access-Control-Allow-Origin"] == ORIGIN
    assert "POST" in known.headers["Access-Control-Allow-Methods"]
    assert "Authorization" in known.headers["Access-Control-Allow-Headers"]
    assert known.headers["Vary"] == "Origin"
    assert "Access-Control-Allow-Credentials" not in known.headers
    for origin in ("https://evil.example.org", "null", f"{ORIGIN}.evil.org"):
        other = calls.send("/cds-services", headers={"Origin": origin}, method="GET")
        assert "Access-Control-Allow-Origin" not in other.headers


HOSTILE = "<img src=x onerror=alert(1)> [a](javascript:alert(1)) ![b](http://x) `c`"


def test_hostile_chart_text_is_inert_in_a_card(calls: Calls):
    name = {"given": [f"Rosa\n# {HOSTILE}\u202e www.evil.org"], "family": "D"}
    calls.ehr.resources["Patient/rosa"]["name"] = [name]
    card = calls.call(granted(calls)).card
    assert len(card["summary"]) < 140
    assert "<" not in card["summary"] + card["detail"]
    assert "\n" not in card["summary"]
    assert "\u202e" not in card["summary"]
    detail = calls.discharge(fhirAuthorization=calls.grant()).card["detail"]
    assert "<img" not in detail
    assert "](" not in detail.replace("\\](", "")


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("<b>x</b> & y", "&lt;b&gt;x&lt;/b&gt; &amp; y"),
        ("[a](b) ![c](d)", r"\[a\](b) \!\[c\](d)"),
        ("# a\n\n- b", r"\# a - b"),
        ("- a", r"\- a"),
        ("1. a", r"1\. a"),
        ("see https://x.org or www.x.org", r"see https\://x.org or www\.x.org"),
        ("a@b.org", r"a\@b.org"),
        ("*a* _b_ `c` ~d~ \\", r"\*a\* \_b\_ \`c\` \~d\~ \\"),
        ("a\u202eb\u2028c\x00d", "ab c d"),
    ],
)
def test_markdown_shows_a_text_as_it_is(text, written):
    assert inert(text) == written


def test_summary_is_cut_below_140_characters():
    assert len(write_summary("a " * 200)) < 140
    assert write_summary("a\nb <c>") == "a b ‹c›"
