"""A FHIR server over real HTTP that keeps Subscriptions, as strict or odd as asked.

It is not the sandbox: here a test scripts every answer, and looks at every request.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable
from typing import Any

import orjson
from flask import Flask, Response, request
from werkzeug.serving import make_server

Resource = dict[str, Any]
JSON = "application/fhir+json"


def outcome(code: str, text: str = "") -> Resource:
    issue = {"severity": "error", "code": code, "diagnostics": text}
    return {"resourceType": "OperationOutcome", "issue": [issue]}


class SubscriptionServer:
    """``held`` has what is kept, by id; ``seen`` every request as (verb, path).

    ``refuse(verb, resource)`` may return (status, outcome); ``adjust`` changes what is
    stored; ``abilities`` are what it can do at all.
    """

    def __init__(self) -> None:
        self.held: dict[str, Resource] = {}
        self.seen: list[tuple[str, str]] = []
        self.headers: list[dict[str, str]] = []
        self.abilities = {"search", "search-url", "update", "delete"}
        self.refuse: Callable[[str, Resource], tuple[int, Resource] | None] = (
            lambda verb, resource: None
        )
        self.adjust: Callable[[Resource], Resource] = lambda resource: resource
        self.activating = True
        self._ids = itertools.count(1)
        app = Flask("scripted-fhir")
        routes = (
            ("/fhir/Subscription", ["GET", "POST"], self._type),
            ("/fhir/Subscription/<id_>", ["GET", "PUT", "DELETE"], self._instance),
        )
        for rule, methods, view in routes:
            app.add_url_rule(rule, rule, view, methods=methods)
        self.server = make_server("127.0.0.1", 0, app, threaded=True)
        self.base = f"http://127.0.0.1:{self.server.server_port}/fhir"
        self._thread = threading.Thread(target=self.server.serve_forever, args=(0.02,))
        self._thread.start()

    def stop(self) -> None:
        self.server.shutdown()
        self._thread.join()
        self.server.server_close()

    @property
    def only(self) -> Resource:
        """The one Subscription that is held."""
        (resource,) = self.held.values()
        return resource

    def activate(self) -> None:
        """What was asked for is now active."""
        for id_, resource in self.held.items():
            if resource["status"] == "requested":
                self.put(id_, status="active")

    def put(self, id_: str, **changes: Any) -> None:
        """Change it as the server, or somebody else, would; ``...`` takes away."""
        merged = {**self.held[id_], **changes}
        kept = {key: value for key, value in merged.items() if value is not ...}
        self._store(id_, kept)

    def verbs(self) -> list[str]:
        """The writes that came, in order."""
        return [verb for verb, _ in self.seen if verb != "GET"]

    def _store(self, id_: str, resource: Resource) -> Resource:
        version = int((self.held.get(id_) or {}).get("meta", {}).get("versionId", 0))
        meta = {**resource.get("meta", {}), "versionId": str(version + 1)}
        self.held[id_] = {**resource, "id": id_, "meta": meta}
        return self.held[id_]

    def _type(self) -> Response:
        self._note()
        if request.method == "POST":
            return self._create()
        if "search" not in self.abilities:
            return _answer(404, outcome("not-found"))
        url = request.args.get("url")
        if url is not None and "search-url" not in self.abilities:
            return _answer(400, outcome("not-supported", "unknown parameter url"))
        entries = [
            {"resource": item}
            for item in self.held.values()
            if url is None or _endpoint(item) == url
        ]
        bundle = {"resourceType": "Bundle", "type": "searchset", "entry": entries}
        return _answer(200, bundle)

    def _create(self) -> Response:
        resource = orjson.loads(request.get_data())
        refused = self.refuse("POST", resource)
        if refused is not None:
            return _answer(*refused)
        id_ = f"s{next(self._ids)}"
        stored = self._store(id_, self.adjust(resource))
        answer = _answer(201, stored)
        answer.headers["Location"] = f"{self.base}/Subscription/{id_}"
        return answer

    def _instance(self, id_: str) -> Response:
        self._note()
        if request.method != "GET":
            ability = {"PUT": "update", "DELETE": "delete"}[request.method]
            if ability not in self.abilities:
                return _answer(405, outcome("not-supported"))
        if id_ not in self.held:
            return _answer(404, outcome("not-found"))
        if request.method == "GET":
            return _answer(200, self.held[id_])
        if request.method == "PUT":
            resource = orjson.loads(request.get_data())
            refused = self.refuse("PUT", resource)
            if refused is not None:
                return _answer(*refused)
            held = f'W/"{self.held[id_]["meta"]["versionId"]}"'
            if request.headers.get("If-Match") != held:
                return _answer(412, outcome("conflict"))
            return _answer(200, self._store(id_, self.adjust(resource)))
        refused = self.refuse("DELETE", self.held[id_])
        if refused is not None:
            return _answer(*refused)
        del self.held[id_]
        return Response(status=204)

    def _note(self) -> None:
        self.seen.append((request.method, request.path))
        self.headers.append(dict(request.headers))


def _answer(status: int, body: Resource) -> Response:
    return Response(orjson.dumps(body), status, content_type=JSON)


def _endpoint(resource: Resource) -> str:
    return str(resource.get("endpoint") or resource["channel"]["endpoint"])
