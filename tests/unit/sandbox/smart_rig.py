"""A sandbox with a clinic of two, and an app that talks to it as OAuth wants."""

import base64
import hashlib
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from joserfc import jwt
from joserfc.jwk import ECKey, RSAKey

from middleware.sandbox import access, clients, ehr, keys, smart
from middleware.sandbox.app import Options, create_app
from middleware.sandbox.launches import Launch

BASE = "http://127.0.0.1:8090"
FHIR = f"{BASE}/fhir"
TOKEN = f"{BASE}/oauth/token"
CALLBACK = "http://localhost:8091/smart/callback"
LAUNCH_URI = "http://localhost:8091/smart/launch"
VERIFIER = "v" * 64
CHALLENGE = (
    base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest())
    .rstrip(b"=")
    .decode()
)
RSA = RSAKey.generate_key(2048, {"kid": "rsa-1"})
EC = ECKey.generate_key("P-384", {"kid": "ec-1"})
ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
APP_SCOPES = (
    "openid fhirUser launch launch/patient launch/encounter online_access "
    "offline_access patient/*.rs user/Appointment.cruds"
)
APP = {
    "client_id": "app",
    "client_name": "CareCue",
    "grant_types": ["authorization_code", "refresh_token"],
    "token_endpoint_auth_method": "private_key_jwt",
    "jwks": {"keys": [RSA.as_dict(private=False), EC.as_dict(private=False)]},
    "redirect_uris": [CALLBACK],
    "launch_uri": LAUNCH_URI,
    "scope": APP_SCOPES,
}
BACKEND = {
    "client_id": "backend",
    "client_name": "CareCue engine",
    "grant_types": ["client_credentials"],
    "token_endpoint_auth_method": "private_key_jwt",
    "jwks": APP["jwks"],
    "scope": "system/*.read system/Communication.c",
}
SECRET = "a-secret-of-enough-length"
PEOPLE = [
    ("Organization", {"id": "org", "name": "Northside Clinic"}),
    (
        "Practitioner",
        {"id": "osei", "name": [{"text": "Dr. Abena Osei", "family": "Osei"}]},
    ),
    ("Practitioner", {"id": "lind", "name": [{"family": "Lind", "given": ["Per"]}]}),
    (
        "Patient",
        {
            "id": "rosa",
            "name": [{"family": "Delgado", "given": ["Rosa"]}],
            "birthDate": "1968-02-03",
            "gender": "female",
            "identifier": [{"type": {"coding": [{"code": "MR"}]}, "value": "4471"}],
        },
    ),
    ("Patient", {"id": "tom", "name": [{"family": "Webb", "given": ["Tom"]}]}),
]


class Rig:
    def __init__(self, data_dir: Path | None = None) -> None:
        options = Options(base_url=BASE, data_dir=data_dir, people=False)
        self.app = create_app(options)
        if "smart" not in self.app.extensions:
            for part in (access, keys, clients, smart, ehr):
                part.register(self.app)
        self.http = self.app.test_client()
        self.clock = self.app.extensions["clock"]
        self.store = self.app.extensions["store"]
        self.authority = self.app.extensions["smart"]
        if not self.store.candidates("Patient"):
            for type_, resource in PEOPLE:
                self.store.create(type_, resource, resource["id"])

    def close(self) -> None:
        self.app.extensions["journal"].close()

    def register(self, body: dict, **changes: object) -> dict:
        registration = {**body, **changes}
        registration = {k: v for k, v in registration.items() if v is not None}
        answer = self.http.put("/sandbox/clients", json=registration)
        assert answer.status_code in (200, 201), answer.json
        return registration

    def assertion(self, client_id: str, *, header: dict | None = None, **claims):
        now = int(self.clock.now().timestamp())
        key = claims.pop("key", RSA)
        all_claims = {
            "iss": client_id,
            "sub": client_id,
            "aud": TOKEN,
            "exp": now + 240,
            "jti": f"jti-{len(self.store.log())}-{self._count()}",
            **claims,
        }
        alg = "ES384" if isinstance(key, ECKey) else "RS384"
        all_header = {"typ": "JWT", "alg": alg, "kid": key.kid, **(header or {})}
        all_header = {k: v for k, v in all_header.items() if v is not None}
        all_claims = {k: v for k, v in all_claims.items() if v is not None}
        return jwt.encode(
            all_header,
            all_claims,
            key,
            algorithms=[all_header["alg"]],
            default_type=None,
        )

    _counted = 0

    def _count(self) -> int:
        self._counted += 1
        return self._counted

    def proof(self, client_id: str = "app", **claims: object) -> dict[str, str]:
        return {
            "client_assertion_type": ASSERTION_TYPE,
            "client_assertion": self.assertion(client_id, **claims),
        }

    def launch(self, client_id: str | None = "app", encounter: str | None = None):
        launch = Launch(client_id, "rosa", encounter, "Practitioner/osei")
        return self.authority.launches.put(launch)

    def authorize(self, *, method: str = "GET", **changes: object):
        params = {
            "response_type": "code",
            "client_id": "app",
            "redirect_uri": CALLBACK,
            "scope": "openid fhirUser launch online_access patient/*.rs",
            "state": "st4te",
            "aud": FHIR,
            "code_challenge": CHALLENGE,
            "code_challenge_method": "S256",
            "nonce": "n0nce",
            **changes,
        }
        params = {k: v for k, v in params.items() if v is not None}
        if method == "POST":
            return self.http.post("/oauth/authorize", data=params)
        return self.http.get("/oauth/authorize", query_string=params)

    def code(self, **changes: object) -> str:
        answer = self.authorize(**{"launch": self.launch(), **changes})
        return sent_back(answer)["code"]

    def exchange(self, code: str, proof: dict | None = None, **changes: object):
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": CALLBACK,
            "code_verifier": VERIFIER,
            **(self.proof() if proof is None else proof),
            **changes,
        }
        return self.token(form)

    def token(self, form: dict, **kwargs: object):
        form = {k: v for k, v in form.items() if v is not None}
        return self.http.post("/oauth/token", data=form, **kwargs)

    def refresh(self, token: str, **changes: object):
        form = {"grant_type": "refresh_token", "refresh_token": token, **changes}
        return self.token({**self.proof(), **form})

    def backend(self, scope: str | None = "system/*.rs", **claims: object):
        form = {"grant_type": "client_credentials", "scope": scope}
        return self.token({**form, **self.proof("backend", **claims)})

    def grant(self, token: str):
        return self.app.extensions["access"].tokens.lookup(token)


def sent_back(answer) -> dict[str, str]:
    assert answer.status_code == 303, answer.text
    url = urlsplit(answer.headers["Location"])
    assert url._replace(query="").geturl() == CALLBACK
    return {name: values[0] for name, values in parse_qs(url.query).items()}


def error_of(answer) -> tuple[int, str]:
    return answer.status_code, answer.json["error"]
