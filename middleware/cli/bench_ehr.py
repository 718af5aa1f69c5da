"""The benchmark's EHR: a small FHIR server of its own process, cheap and always right.

It answers what the engine asks with bytes that were made once: histories, reads,
searches and batches about patients that its numbers make up (:data:`MIX`). It keeps
nothing. It is part of the benchmark and of nothing else.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
from granian import Granian
from granian.constants import Interfaces

from middleware.cli.bench_bodies import MARK, MIX
from middleware.cli.parent import stop_with_parent

PREFIX = "/fhir"
_NUMBER = re.compile(r"\d{10}")
_HEADERS = [("Content-Type", "application/fhir+json")]
_ACT = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
_DISPOSITION = "http://terminology.hl7.org/CodeSystem/discharge-disposition"
_SUBJECT = {"reference": f"Patient/p{MARK}"}

Template = tuple[bytes, ...]
Application = Callable[..., Iterable[bytes]]
# By then what is planned for the day after a stay is due.
LATER = timedelta(hours=25)


class Charts:
    """The answers about every patient, as they are from ``now`` on."""

    def __init__(self, now: datetime) -> None:
        self._now = now
        stay, leave = self._stay("1"), self._stay("2")
        visit, plan = self._visit(), self._plan()
        self._reads = {
            "Patient": _cut(orjson.dumps(_PATIENT)),
            "Encounter": _cut(leave),
            "Appointment": _cut(visit),
            "CarePlan": _cut(plan),
        }
        self._histories = {
            "Encounter": _cut(_bundle("history", leave, stay)),
            "Appointment": _cut(_bundle("history", visit)),
            "CarePlan": _cut(_bundle("history", plan)),
        }
        problems = [orjson.dumps(_problem(index)) for index in range(5)]
        self._everybody = {"Condition": _cut(_bundle("searchset", *problems))}
        self._own = {
            name: _cut(_bundle("searchset", body))
            for name, body in (
                ("Encounter", leave),
                ("Appointment", visit),
                ("CarePlan", plan),
            )
        }
        self._nothing = _bundle("searchset")

    def answer(self, url: str) -> bytes:
        """Return the body for ``Type/id``, ``Type/id/_history`` or ``Type?query``."""
        path, _, query = url.partition("?")
        parts = path.split("/")
        found = _NUMBER.search(query or path)
        if found is None or "_lastUpdated" in query:
            return self._nothing
        number = found[0].encode()
        if len(parts) > 1:
            kept = self._histories if parts[-1] == "_history" else self._reads
            return number.join(kept[parts[0]])
        kind = MIX[int(number) % len(MIX)]
        searched = self._everybody.get(parts[0])
        if kind == parts[0]:
            searched = self._own[kind]
        return number.join(searched) if searched else self._nothing

    def _at(self, **since: float) -> str:
        moment = self._now + timedelta(**since)
        return moment.isoformat(timespec="seconds").replace("+00:00", "Z")

    def _meta(self, version: str, **since: float) -> dict[str, str]:
        return {"versionId": version, "lastUpdated": self._at(**since)}

    def _stay(self, version: str) -> bytes:
        """Return a stay of three days; in version 2 the patient went home."""
        home = {"coding": [{"system": _DISPOSITION, "code": "home", "display": "Home"}]}
        left = version == "2"
        stay = {
            "resourceType": "Encounter",
            "id": MARK,
            "meta": self._meta(version, hours=0 if left else -72),
            "status": "finished" if left else "in-progress",
            "class": {"system": _ACT, "code": "IMP", "display": "inpatient encounter"},
            "subject": _SUBJECT,
            "period": {"start": self._at(hours=-72)},
        }
        if left:
            stay["period"] = {"start": self._at(hours=-72), "end": self._at(minutes=-6)}
            stay["hospitalization"] = {"dischargeDisposition": home}
        return orjson.dumps(stay)

    def _visit(self) -> bytes:
        visit = {
            "resourceType": "Appointment",
            "id": MARK,
            "meta": self._meta("1", minutes=-1),
            "status": "booked",
            "description": "Follow-up visit",
            "created": self._at(minutes=-1),
            "start": self._at(days=10),
            "end": self._at(days=10, minutes=30),
            "participant": [{"actor": _SUBJECT, "status": "accepted"}],
        }
        return orjson.dumps(visit)

    def _plan(self) -> bytes:
        plan = {
            "resourceType": "CarePlan",
            "id": MARK,
            "meta": self._meta("1", minutes=-1),
            "status": "active",
            "intent": "plan",
            "subject": _SUBJECT,
            "period": {"start": self._at()[:10]},
            "activity": [
                {
                    "id": f"step{days}",
                    "detail": {
                        "status": "scheduled",
                        "description": "Blood pressure check",
                        "scheduledPeriod": {"end": self._at(days=days)[:10]},
                    },
                }
                for days in (7, 21)
            ],
        }
        return orjson.dumps(plan)


_PATIENT = {
    "resourceType": "Patient",
    "id": f"p{MARK}",
    "meta": {"versionId": "3", "lastUpdated": "2026-01-13T08:12:00.000Z"},
    "active": True,
    "name": [{"use": "official", "family": "Example", "given": ["Synthetic"]}],
    "telecom": [
        {"system": "email", "value": f"p{MARK}@bench.example.org", "use": "home"},
        {"system": "sms", "value": f"+1{MARK}", "use": "mobile"},
    ],
    "gender": "female",
    "birthDate": "1961-05-04",
    "address": [{"city": "Springfield", "state": "IL", "postalCode": "62701"}],
    "communication": [
        {
            "language": {"coding": [{"system": "urn:ietf:bcp:47", "code": "en"}]},
            "preferred": True,
        }
    ],
}


def _problem(index: int) -> dict[str, Any]:
    code = ("38341003", "44054006", "13645005", "195967001", "55822004")[index]
    return {
        "resourceType": "Condition",
        "id": f"c{index}-{MARK}",
        "meta": {"versionId": "1", "lastUpdated": "2026-01-13T08:12:00.000Z"},
        "clinicalStatus": {"coding": [{"code": "active"}]},
        "code": {"coding": [{"system": "http://snomed.info/sct", "code": code}]},
        "subject": _SUBJECT,
        "recordedDate": "2024-03-02",
    }


def _bundle(kind: str, *resources: bytes) -> bytes:
    entries = b",".join(
        b'{"resource":%s,"request":{"method":"PUT","url":"%s"},"response":{"status":"200"}}'
        % (resource, orjson.loads(resource)["resourceType"].encode())
        if kind == "history"
        else b'{"resource":%s,"search":{"mode":"match"}}' % resource
        for resource in resources
    )
    return b'{"resourceType":"Bundle","type":"%s","total":%d,"entry":[%s]}' % (
        kind.encode(),
        len(resources),
        entries,
    )


def _cut(body: bytes) -> Template:
    return tuple(body.split(MARK.encode()))


def make_application(since: timedelta = timedelta()) -> Application:
    """Make the WSGI application; what it tells of happens from so long ago on."""
    charts = Charts(datetime.now(UTC) - since)

    def application(environ: dict[str, Any], start: Callable[..., Any]) -> list[bytes]:
        path = environ["PATH_INFO"].removeprefix(PREFIX).strip("/")
        status, body = "200 OK", b""
        if environ["REQUEST_METHOD"] == "GET":
            query = environ.get("QUERY_STRING")
            body = charts.answer(f"{path}?{query}" if query else path)
        else:
            sent = environ["wsgi.input"].read()
            if path:
                status, body = "201 Created", _keep(sent)
            else:
                body = _answer_batch(charts, sent)
        start(status, [*_HEADERS, ("Content-Length", str(len(body)))])
        return [body]

    return application


def _answer_batch(charts: Charts, sent: bytes) -> bytes:
    entries = b",".join(
        b'{"resource":%s,"response":{"status":"200"}}'
        % charts.answer(entry["request"]["url"])
        for entry in orjson.loads(sent)["entry"]
    )
    return b'{"resourceType":"Bundle","type":"batch-response","entry":[%s]}' % entries


def _keep(sent: bytes) -> bytes:
    """Return a resource as a server that stored it would."""
    resource = orjson.loads(sent)
    return orjson.dumps({**resource, "id": "kept", "meta": {"versionId": "1"}})


def make_later_application() -> Application:
    """Make the WSGI application of an EHR whose stays ended a day ago."""
    return make_application(LATER)


def serve(port: int, *, later: bool = False) -> None:
    """Serve on this port of this machine until the process is ended."""
    stop_with_parent()
    factory = make_later_application if later else make_application
    Granian(
        f"{__name__}:{factory.__name__}",
        address="127.0.0.1",
        port=port,
        interface=Interfaces.WSGI,
        factory=True,
        workers=1,
        blocking_threads=2,
        log_enabled=False,
    ).serve()
