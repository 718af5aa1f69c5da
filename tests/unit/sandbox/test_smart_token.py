"""The token endpoint: codes, refreshing, backend services, client proofs."""

import base64
from datetime import timedelta
from pathlib import Path

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet, RSAKey

from tests.unit.sandbox.smart_rig import (
    APP,
    BACKEND,
    CALLBACK,
    EC,
    FHIR,
    RSA,
    SECRET,
    TOKEN,
    Rig,
    error_of,
)

INVALID_GRANT = (400, "invalid_grant")
INVALID_CLIENT = (401, "invalid_client")


@pytest.fixture
def rig() -> Rig:
    rig = Rig()
    rig.register(APP)
    rig.register(BACKEND)
    return rig


def basic(client_id: str, secret: str) -> dict[str, str]:
    pair = base64.b64encode(f"{client_id}:{secret}".encode()).decode()
    return {"Authorization": f"Basic {pair}"}


def test_id_token_is_signed_and_says_who(rig: Rig):
    raw = rig.exchange(rig.code()).json["id_token"]
    keys = KeySet.import_key_set(rig.http.get("/oauth/jwks").json)
    token = jwt.decode(raw, keys, algorithms=["RS256"])
    claims = token.claims
    assert claims["iss"] == FHIR
    assert claims["aud"] == "app"
    assert claims["nonce"] == "n0nce"
    assert claims["fhirUser"] == f"{FHIR}/Practitioner/osei"
    assert claims["exp"] - claims["iat"] == 600
    assert claims["iat"] == pytest.approx(rig.clock.now().timestamp(), abs=5)
    assert len(claims["sub"]) == 32


def test_id_token_only_with_openid(rig: Rig):
    body = rig.exchange(rig.code(scope="launch patient/*.rs")).json
    assert "id_token" not in body
    assert "refresh_token" not in body


@pytest.mark.parametrize(
    "changes",
    [
        {"redirect_uri": None},
        {"redirect_uri": f"{CALLBACK}/"},
        {"code_verifier": None},
        {"code_verifier": "w" * 64},
        {"code_verifier": "short"},
    ],
)
def test_code_with_a_wrong_part_is_refused_and_spent(rig: Rig, changes):
    code = rig.code()
    assert error_of(rig.exchange(code, **changes)) == INVALID_GRANT
    assert error_of(rig.exchange(code)) == INVALID_GRANT


def test_code_ends_after_sixty_seconds(rig: Rig):
    code = rig.code()
    rig.clock.advance(timedelta(seconds=60))
    assert error_of(rig.exchange(code)) == INVALID_GRANT


def test_code_of_another_client_is_refused(rig: Rig):
    rig.register(APP, client_id="other")
    answer = rig.exchange(rig.code(), proof=rig.proof("other"))
    assert error_of(answer) == INVALID_GRANT


def test_code_used_again_revokes_its_tokens(rig: Rig):
    code = rig.code()
    first = rig.exchange(code).json
    assert rig.grant(first["access_token"]) is not None
    assert error_of(rig.exchange(code)) == INVALID_GRANT
    assert rig.grant(first["access_token"]) is None
    assert error_of(rig.refresh(first["refresh_token"])) == INVALID_GRANT


def test_refresh_rotates_and_keeps_the_context(rig: Rig):
    first = rig.exchange(rig.code()).json
    second = rig.refresh(first["refresh_token"]).json
    assert second["patient"] == "rosa"
    assert second["scope"] == first["scope"]
    assert second["refresh_token"] != first["refresh_token"]
    assert second["access_token"] != first["access_token"]
    third = rig.refresh(second["refresh_token"], scope="patient/Patient.r").json
    assert third["scope"] == "patient/Patient.r"
    fourth = rig.refresh(third["refresh_token"])
    assert fourth.json["scope"] == first["scope"]


def test_refresh_with_an_old_token_ends_the_family(rig: Rig):
    first = rig.exchange(rig.code()).json
    second = rig.refresh(first["refresh_token"]).json
    assert error_of(rig.refresh(first["refresh_token"])) == INVALID_GRANT
    assert error_of(rig.refresh(second["refresh_token"])) == INVALID_GRANT
    assert rig.grant(second["access_token"]) is None


def test_refresh_with_wider_scope_is_refused(rig: Rig):
    first = rig.exchange(rig.code()).json
    answer = rig.refresh(first["refresh_token"], scope="patient/*.cruds")
    assert error_of(answer) == (400, "invalid_scope")
    assert rig.refresh(first["refresh_token"]).status_code == 200


def test_refresh_by_another_client_is_refused_and_harmless(rig: Rig):
    rig.register(APP, client_id="other")
    first = rig.exchange(rig.code()).json
    form = {"grant_type": "refresh_token", "refresh_token": first["refresh_token"]}
    assert error_of(rig.token({**form, **rig.proof("other")})) == INVALID_GRANT
    assert rig.refresh(first["refresh_token"]).status_code == 200


def test_online_refresh_ends_before_offline_refresh(rig: Rig):
    online = rig.exchange(rig.code()).json["refresh_token"]
    scope = "launch offline_access patient/*.rs"
    offline = rig.exchange(rig.code(scope=scope)).json["refresh_token"]
    rig.clock.advance(timedelta(hours=12))
    assert error_of(rig.refresh(online)) == INVALID_GRANT
    assert rig.refresh(offline).status_code == 200


def test_backend_service_gets_a_short_token_without_refresh(rig: Rig):
    body = rig.backend("system/Patient.rs system/Communication.c").json
    token = body.pop("access_token")
    assert body == {
        "token_type": "Bearer",
        "expires_in": 300,
        "scope": "system/Patient.rs system/Communication.c",
    }
    assert rig.grant(token).user is None
    rig.clock.advance(timedelta(seconds=300))
    assert rig.grant(token) is None


@pytest.mark.parametrize(
    ("scope", "error"),
    [
        (None, "invalid_request"),
        ("system/Patient.cruds", "invalid_scope"),
        ("system/Communication.u", "invalid_scope"),
        ("user/Patient.r", "invalid_scope"),
        ("nonsense", "invalid_scope"),
    ],
)
def test_backend_service_gets_no_more_than_registered(rig: Rig, scope, error):
    assert error_of(rig.backend(scope)) == (400, error)


def test_backend_service_may_not_use_another_grant(rig: Rig):
    form = {"grant_type": "refresh_token", "refresh_token": "x"}
    answer = rig.token({**form, **rig.proof("backend")})
    assert error_of(answer) == (400, "unauthorized_client")
    answer = rig.token({"grant_type": "password", **rig.proof("backend")})
    assert error_of(answer) == (400, "unsupported_grant_type")


def test_assertion_signed_with_es384_is_accepted(rig: Rig):
    assert rig.backend(key=EC).status_code == 200


@pytest.mark.parametrize(
    "change",
    [
        {"header": {"typ": None}},
        {"header": {"typ": "at+jwt"}},
        {"header": {"kid": None}},
        {"header": {"kid": "unknown"}},
        {"header": {"alg": "RS256"}},
        {"header": {"jku": "http://127.0.0.1:1/jwks"}},
        {"key": RSAKey.generate_key(2048, {"kid": "rsa-1"})},
        {"key": ECKey.generate_key("P-384", {"kid": "ec-1"})},
        {"iss": "app"},
        {"iss": None},
        {"sub": "app"},
        {"aud": FHIR},
        {"aud": [TOKEN]},
        {"aud": f"{TOKEN}/"},
        {"aud": None},
        {"exp": None},
        {"exp": "soon"},
        {"jti": None},
        {"jti": ""},
        {"nbf": 99999999999},
    ],
)
def test_assertion_with_a_wrong_part_is_refused(rig: Rig, change):
    assert error_of(rig.backend(**change)) == INVALID_CLIENT


@pytest.mark.parametrize(("ahead", "status"), [(-10, 401), (299, 200), (320, 401)])
def test_assertion_lives_five_minutes_at_most(rig: Rig, ahead, status):
    exp = int(rig.clock.now().timestamp()) + ahead
    assert rig.backend(exp=exp).status_code == status


def test_assertion_works_once(rig: Rig):
    assert rig.backend(jti="same").status_code == 200
    assert error_of(rig.backend(jti="same")) == INVALID_CLIENT
    assert rig.exchange(rig.code(), proof=rig.proof(jti="same")).status_code == 200


def test_assertion_unsigned_is_refused(rig: Rig):
    header, claims, _ = rig.assertion("backend").split(".")
    none = base64.urlsafe_b64encode(b'{"typ":"JWT","alg":"none","kid":"rsa-1"}')
    for raw in (f"{none.decode().rstrip('=')}.{claims}.", f"{header}.{claims}.", "x"):
        proof = {**rig.proof("backend"), "client_assertion": raw}
        form = {"grant_type": "client_credentials", "scope": "system/*.rs", **proof}
        assert error_of(rig.token(form)) == INVALID_CLIENT


def test_public_client_needs_pkce_and_nothing_else(rig: Rig):
    rig.register(APP, token_endpoint_auth_method="none", jwks=None)
    code = rig.code()
    assert rig.exchange(code, proof={"client_id": "app"}).status_code == 200
    answer = rig.exchange(rig.code(), proof={}, client_id=None)
    assert error_of(answer) == INVALID_CLIENT


def test_confidential_client_cannot_pass_as_public(rig: Rig):
    answer = rig.exchange(rig.code(), proof={"client_id": "app"})
    assert error_of(answer) == INVALID_CLIENT


def test_client_secret_is_accepted_over_basic_only(rig: Rig):
    method = "client_secret_basic"
    rig.register(
        APP, token_endpoint_auth_method=method, jwks=None, client_secret=SECRET
    )
    form = {"grant_type": "authorization_code", "redirect_uri": CALLBACK}
    form["code_verifier"] = "v" * 64
    good = rig.token({**form, "code": rig.code()}, headers=basic("app", SECRET))
    assert good.status_code == 200
    bad = rig.token({**form, "code": rig.code()}, headers=basic("app", "wrong"))
    assert error_of(bad) == INVALID_CLIENT
    assert bad.headers["WWW-Authenticate"].startswith("Basic ")
    posted = {"client_id": "app", "client_secret": SECRET}
    assert error_of(rig.exchange(rig.code(), proof=posted)) == INVALID_CLIENT
    both = rig.token(
        {**form, "code": rig.code(), **rig.proof()}, headers=basic("app", SECRET)
    )
    assert error_of(both) == (400, "invalid_request")


def test_token_request_is_one_plain_form(rig: Rig):
    answer = rig.http.post("/oauth/token", json={"grant_type": "x"})
    assert error_of(answer) == (400, "invalid_request")
    answer = rig.http.post("/oauth/token?code=x", data={"grant_type": "x"})
    assert error_of(answer) == (400, "invalid_request")
    answer = rig.http.post("/oauth/token", data={"grant_type": ["x", "y"]})
    assert error_of(answer) == (400, "invalid_request")
    assert rig.http.get("/oauth/token").status_code == 405


def test_introspection_says_what_a_token_is_worth(rig: Rig):
    token = rig.exchange(rig.code()).json["access_token"]
    answer = rig.http.post("/oauth/introspect", data={"token": token, **rig.proof()})
    body = answer.json
    assert body.pop("exp") > rig.clock.now().timestamp()
    assert len(body.pop("sub")) == 32
    assert body == {
        "active": True,
        "client_id": "app",
        "fhirUser": f"{FHIR}/Practitioner/osei",
        "iss": FHIR,
        "patient": "rosa",
        "scope": "fhirUser launch online_access openid patient/*.rs",
        "token_type": "Bearer",
    }
    bearer = {"Authorization": f"Bearer {token}"}
    answer = rig.http.post("/oauth/introspect", data={"token": "x"}, headers=bearer)
    assert answer.json == {"active": False}
    answer = rig.http.post("/oauth/introspect", data={"token": token})
    assert error_of(answer) == INVALID_CLIENT


def test_revocation_ends_a_token_of_the_caller_only(rig: Rig):
    body = rig.exchange(rig.code()).json
    token = body["access_token"]
    foreign = {"token": token, **rig.proof("backend")}
    assert rig.http.post("/oauth/revoke", data=foreign).status_code == 200
    assert rig.grant(token) is not None
    own = {"token": body["refresh_token"], **rig.proof()}
    assert rig.http.post("/oauth/revoke", data=own).status_code == 200
    assert rig.grant(token) is None
    assert error_of(rig.refresh(body["refresh_token"])) == INVALID_GRANT


def test_restart_finds_clients_tokens_and_key(tmp_path: Path):
    rig = Rig(tmp_path)
    rig.register(APP)
    body = rig.exchange(rig.code()).json
    jwks = rig.http.get("/oauth/jwks").json
    assert (tmp_path / "signing-key.json").stat().st_mode & 0o777 == 0o600
    rig.close()
    again = Rig(tmp_path)
    assert again.grant(body["access_token"]).patient == "rosa"
    assert again.refresh(body["refresh_token"]).json["patient"] == "rosa"
    assert again.http.get("/oauth/jwks").json == jwks
    again.close()
    journal = (tmp_path / "journal.jsonl").read_text()
    assert body["access_token"] not in journal
    assert body["refresh_token"] not in journal


def test_key_file_that_others_can_read_is_refused(tmp_path: Path):
    rig = Rig(tmp_path)
    rig.http.get("/oauth/jwks")
    rig.close()
    (tmp_path / "signing-key.json").chmod(0o644)
    again = Rig(tmp_path)
    with pytest.raises(PermissionError):
        again.authority.keys.jwks()
    again.close()


def test_rsa_key_signs_with_rs384_only(rig: Rig):
    raw = rig.assertion("backend", header={"alg": "RS512"}, key=RSA)
    form = {"grant_type": "client_credentials", "scope": "system/*.rs"}
    proof = {**rig.proof("backend"), "client_assertion": raw}
    assert error_of(rig.token({**form, **proof})) == INVALID_CLIENT
