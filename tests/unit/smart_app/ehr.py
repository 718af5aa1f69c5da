"""A small EHR for the app's tests: strict about what it gets, bent on request.

It answers SMART discovery, the authorization code exchange, the keys and a few FHIR
reads, on a free loopback port. What it says can be spoilt, one test at a time.
"""

import base64
import hashlib
import json
import ssl
import threading
from urllib.parse import parse_qs, quote_plus, urlsplit

from flask import Flask, Response, request
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet, OctKey, RSAKey
from werkzeug.serving import make_server

CLIENT = "carecue-app"
KEY = RSAKey.generate_key(2048, {"kid": "as-1"})
NEXT_KEY = ECKey.generate_key("P-384", {"kid": "as-2"})
STRANGER = RSAKey.generate_key(2048, {"kid": "as-1"})
OURS = ECKey.generate_key("P-384", {"kid": "ours-es384", "alg": "ES384"})
ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


class Ehr:
    def __init__(self, clock, context: ssl.SSLContext | None = None) -> None:
        self.clock = clock
        self.server = make_server(
            "127.0.0.1", 0, self._app(), threaded=True, ssl_context=context
        )
        scheme = "https" if context else "http"
        self.origin = f"{scheme}://127.0.0.1:{self.server.server_port}"
        self.base = f"{self.origin}/fhir"
        self.reset()
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.05,))
        self.thread.start()

    def reset(self) -> None:
        self.log: list[str] = []
        self.queries: list[str] = []
        self.bearers: list[str | None] = []
        self.held: threading.Event | None = None
        self.forms: list[dict] = []
        self.codes: dict[str, dict] = {}
        self.secret: str | None = None
        self.encoded = False
        self.configuration: dict = {}
        self.answer: dict = {}
        self.claims: dict = {}
        self.key = KEY
        self.published = [KEY]
        self.algorithm = "RS256"
        self.token_status = 200
        self.moved: str | None = None
        self.jtis: set[str] = set()
        self.broken: set[str] = set()
        self.apart: set[str] = set()  # records whose resources are theirs alone
        self.unanswered: tuple[str, int] | None = None  # batches that name it, and how
        self.fault: tuple[int, str] | None = None
        self.style = "{}"
        self.batches = True
        self.page_size = 1000
        self.accepted = "Bearer at-1"
        self.refresh: str | None = None
        self.rotates = True
        self.renewals: list[str] = []
        self.presence: list[str | None] = []
        self.renewal: dict = {}
        self.renewal_status = 200
        self.renewal_error: str | None = None
        self.renewal_claims: dict | None = None
        self.late: set[str] = set()
        self.slow = threading.Event()
        self.slow.set()
        self.revoked: list[dict] = []
        self.resources: dict[str, dict] = {
            "Patient/rosa": {
                "resourceType": "Patient",
                "id": "rosa",
                "meta": {"versionId": "1"},
                "name": [{"given": ["Rosa"], "family": "Delgado"}],
                "gender": "female",
                "birthDate": "1968-02-03",
                "identifier": [
                    {"type": {"coding": [{"code": "MR"}]}, "value": "4471-0926"}
                ],
                "telecom": [
                    {"system": "phone", "use": "mobile", "value": "+14155550142"},
                    {"system": "email", "value": "rosa@example.org"},
                ],
                "address": [{"state": "CA", "postalCode": "94110", "country": "US"}],
                "communication": [
                    {"language": {"coding": [{"code": "es"}]}, "preferred": True}
                ],
                "active": True,
            },
            "Practitioner/osei": {
                "resourceType": "Practitioner",
                "id": "osei",
                "name": [{"text": "Dr. Abena Osei"}],
            },
        }

    def stop(self) -> None:
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()

    def approve(self, location: str, **context) -> str:
        """Do what a person's browser does: follow to the AS, come back with a code."""
        query = {k: v[0] for k, v in parse_qs(urlsplit(location).query).items()}
        assert location.startswith(f"{self.origin}/authorize?"), location
        assert query["response_type"] == "code"
        assert query["client_id"] == CLIENT
        assert query["aud"] == self.base
        assert query["code_challenge_method"] == "S256"
        code = f"code-{len(self.codes)}"
        self.codes[code] = {**query, "context": {"patient": "rosa", **context}}
        return code

    def state(self, location: str) -> str:
        return parse_qs(urlsplit(location).query)["state"][0]

    def _app(self) -> Flask:
        app = Flask("ehr")

        @app.before_request
        def note():
            self.log.append(f"{request.method} {request.path}")
            self.bearers.append(request.headers.get("Authorization"))
            if self.held is not None:
                self.held.wait(10)

        @app.get("/fhir/.well-known/smart-configuration")
        def configuration():
            return {
                "issuer": self.base,
                "authorization_endpoint": f"{self.origin}/authorize",
                "token_endpoint": f"{self.origin}/token",
                "jwks_uri": f"{self.origin}/jwks",
                "capabilities": ["launch-ehr", "context-standalone-patient"],
                "grant_types_supported": ["authorization_code"],
                "code_challenge_methods_supported": ["S256"],
                **self.configuration,
            }

        @app.get("/style")
        def style():
            self.slow.wait(10)
            return Response(self.style, content_type="application/json")

        @app.get("/jwks")
        def keys():
            return KeySet(self.published).as_dict(private=False)

        app.post("/token")(self._token)

        @app.post("/revoke")
        def revoke():
            self._authenticate(request.form.to_dict())
            self.revoked.append(request.form.to_dict())
            return ""

        @app.get("/fhir/<kind>/<id_>")
        def read(kind, id_):
            self.queries.append(f"{kind}/{id_}")
            if request.headers.get("Authorization") != self.accepted:
                return _fhir(_outcome("login"), 401)
            if self.fault is not None:
                return _fhir(_outcome(self.fault[1]), self.fault[0])
            found = self.resources.get(f"{kind}/{id_}")
            return _fhir(found) if found else _fhir(_outcome("not-found"), 404)

        @app.get("/fhir/<kind>")
        def search(kind, patient=None):
            patient = patient or request.args.get("patient")
            if kind in self.late:
                self.slow.wait(10)
            named = f"patient={patient}" if patient in self.apart else ""
            self.queries.append(f"{kind}?{named}")
            if kind in self.broken:
                return _fhir(_outcome("forbidden"), 403)
            found = [
                {"resource": item, "search": {"mode": "match"}}
                for item in self.resources.values()
                if item["resourceType"] == kind and self._is_of(item, patient)
            ]
            page = int(request.args.get("page", 0))
            begin, end = page * self.page_size, (page + 1) * self.page_size
            bundle = {"resourceType": "Bundle", "type": "searchset"}
            if found[end:]:
                url = f"{self.base}/{kind}?page={page + 1}"
                bundle["link"] = [{"relation": "next", "url": url}]
            return _fhir({**bundle, "entry": found[begin:end]})

        @app.post("/fhir")
        def batch():
            if not self.batches:
                return _fhir(_outcome("not-supported"), 405)
            urls = [each["request"]["url"] for each in request.json["entry"]]
            if self.unanswered and any(self.unanswered[0] in url for url in urls):
                if self.unanswered[1] == 401:
                    self.accepted = "Bearer another"
                return _fhir(_outcome("transient"), self.unanswered[1])
            parts = [_part(url) for url in urls]
            bundle = {"resourceType": "Bundle", "type": "batch-response"}
            return _fhir({**bundle, "entry": parts})

        def _part(url: str) -> dict:
            path, query = url.partition("?")[0].split("/"), urlsplit(url).query
            whose = parse_qs(query).get("patient", [None])[0]
            answer = read(*path) if len(path) > 1 else search(*path, whose)
            status = str(answer.status_code)
            return {"resource": answer.json, "response": {"status": status}}

        return app

    def _is_of(self, item: dict, patient: str | None) -> bool:
        whose = (item.get("patient") or item.get("subject") or {}).get("reference")
        return whose == patient or not self.apart & {whose, patient}

    def _token(self):
        if self.moved is not None:
            return Response("", 307, {"Location": self.moved})
        form = request.form.to_dict()
        if form.get("grant_type") == "refresh_token":
            return self._renew(form)
        self.forms.append(form)
        grant = self.codes.pop(form.get("code", ""), None)
        if grant is None or self.token_status != 200:
            return {"error": "invalid_grant"}, self.token_status if grant else 400
        challenge = hashlib.sha256(form["code_verifier"].encode()).digest()
        expected = base64.urlsafe_b64encode(challenge).rstrip(b"=").decode()
        assert grant["code_challenge"] == expected
        assert form["redirect_uri"] == grant["redirect_uri"]
        self._authenticate(form)
        claims = self._claims(**{"nonce": grant["nonce"], **self.claims})
        answer = {
            "access_token": "at-1",
            "token_type": "Bearer",
            "expires_in": 3600,
            "scope": grant["scope"],
            "id_token": self._sign(claims),
            "refresh_token": self.refresh,
            **grant["context"],
            **self.answer,
        }
        return {name: value for name, value in answer.items() if value is not None}

    def _renew(self, form: dict):
        self.slow.wait(10)
        self._authenticate(form)
        self.renewals.append(form["refresh_token"])
        self.presence.append(form.get("active_at"))
        if self.renewal_status >= 500:
            return Response("<html>down</html>", self.renewal_status)
        if self.renewal_error is not None:
            return {"error": self.renewal_error}, 400
        if form["refresh_token"] != self.refresh or self.renewal_status != 200:
            return {"error": "invalid_grant"}, 400
        number = len(self.renewals) + 1
        self.accepted = f"Bearer at-{number}"
        answer = {
            "access_token": f"at-{number}",
            "token_type": "Bearer",
            "expires_in": 3600,
            **self.renewal,
        }
        if self.renewal_claims is not None:
            answer["id_token"] = self._sign(self._claims(**self.renewal_claims))
        if self.rotates:
            self.refresh = answer["refresh_token"] = f"rt-{number}"
        return answer

    def _claims(self, **changes) -> dict:
        now = int(self.clock.now().timestamp())
        claims = {
            "iss": self.base,
            "sub": "user-1",
            "aud": CLIENT,
            "iat": now,
            "exp": now + 300,
            "fhirUser": "Practitioner/osei",
            **changes,
        }
        return {name: value for name, value in claims.items() if value is not None}

    def _sign(self, claims: dict) -> str:
        if self.algorithm == "none":
            parts = [{"alg": "none", "typ": "JWT"}, claims]
            text = [
                base64.urlsafe_b64encode(json.dumps(part).encode())
                .rstrip(b"=")
                .decode()
                for part in parts
            ]
            return ".".join([*text, ""])
        key = self.key
        if self.algorithm == "HS256":
            key = OctKey.import_key(KEY.as_pem(private=False))
        header = {"alg": self.algorithm, "kid": self.key.kid}
        return jwt.encode(header, claims, key, algorithms=[self.algorithm])

    def _authenticate(self, form: dict) -> None:
        if self.secret is not None:
            assert request.authorization is not None
            assert request.authorization.username == CLIENT
            secret = quote_plus(self.secret) if self.encoded else self.secret
            assert request.authorization.password == secret
            assert "client_id" not in form
            return
        if form.get("client_assertion") is None:
            assert form["client_id"] == CLIENT
            return
        assert form["client_assertion_type"] == ASSERTION
        token = jwt.decode(form["client_assertion"], OURS, algorithms=["ES384"])
        assert token.header["typ"] == "JWT"
        assert token.header["kid"] == OURS.kid
        claims = token.claims
        assert (claims["iss"], claims["sub"]) == (CLIENT, CLIENT)
        assert claims["aud"] == f"{self.origin}/token"
        now = self.clock.now().timestamp()
        assert now < claims["exp"] <= now + 300
        assert claims["jti"] not in self.jtis
        self.jtis.add(claims["jti"])


def _fhir(resource: dict, status: int = 200) -> Response:
    body = json.dumps(resource)
    return Response(body, status, content_type="application/fhir+json")


def _outcome(code: str) -> dict:
    issue = {"severity": "error", "code": code}
    return {"resourceType": "OperationOutcome", "issue": [issue]}
