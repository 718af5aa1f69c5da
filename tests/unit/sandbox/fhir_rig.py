"""An empty sandbox and a client with the EHR's own token."""

from datetime import timedelta
from pathlib import Path
from typing import Any

from middleware.sandbox.app import Options, create_app

BASE = "http://127.0.0.1:8090/fhir"
JSON = "application/fhir+json"


class Fhir:
    def __init__(self, data_dir: Path | None = None, **options: Any) -> None:
        options = {"people": False, **options}
        self.app = create_app(
            Options(base_url=BASE.removesuffix("/fhir"), data_dir=data_dir, **options)
        )
        self.http = self.app.test_client()
        self.store = self.app.extensions["store"]
        self.clock = self.app.extensions["clock"]
        token = self.http.post("/sandbox/token").json["access_token"]
        self.headers = {"Authorization": f"Bearer {token}"}

    def __enter__(self):
        return self

    def __exit__(self, *_: object) -> None:
        self.app.extensions["journal"].close()

    def as_client(self, scopes: str, patient: str | None = None) -> dict[str, str]:
        tokens = self.app.extensions["access"].tokens
        token = tokens.issue(
            "other",
            frozenset(scopes.split()),
            lifetime=timedelta(hours=1),
            patient=patient,
        )
        return {"Authorization": f"Bearer {token}"}

    def send(self, method: str, path: str, body: Any = None, **headers: str):
        all_headers = {
            **self.headers,
            **{name.replace("_", "-"): value for name, value in headers.items()},
        }
        if body is not None:
            all_headers.setdefault("Content-Type", JSON)
            if isinstance(body, bytes):
                return self.http.open(
                    f"/fhir{path}", method=method, data=body, headers=all_headers
                )
            return self.http.open(
                f"/fhir{path}", method=method, json=body, headers=all_headers
            )
        return self.http.open(f"/fhir{path}", method=method, headers=all_headers)

    def get(self, path: str, **headers: str):
        return self.send("GET", path, **headers)

    def put(self, resource: dict[str, Any], **headers: str):
        path = f"/{resource['resourceType']}/{resource['id']}"
        return self.send("PUT", path, resource, **headers)

    def post(self, resource: dict[str, Any], **headers: str):
        return self.send("POST", f"/{resource['resourceType']}", resource, **headers)

    def found(self, path: str) -> list[str]:
        answer = self.get(path)
        assert answer.status_code == 200, answer.text
        return [
            entry["resource"]["id"]
            for entry in answer.json.get("entry", [])
            if entry["search"]["mode"] == "match"
        ]


def patient(id_: str = "rosa", **more: Any) -> dict[str, Any]:
    return {"resourceType": "Patient", "id": id_, **more}


def encounter(id_: str, status: str = "in-progress", **more: Any) -> dict[str, Any]:
    return {
        "resourceType": "Encounter",
        "id": id_,
        "status": status,
        "class": {
            "system": "http://terminology.hl7.org/CodeSystem/v3-ActCode",
            "code": "IMP",
        },
        "subject": {"reference": "Patient/rosa"},
        **more,
    }


def diagnostics(answer) -> str:
    assert answer.json["resourceType"] == "OperationOutcome"
    assert answer.mimetype == JSON
    return answer.json["issue"][0]["diagnostics"]
