"""A call without a card that might have had one: one line of the log, and a count."""

import re
import threading
from dataclasses import replace
from pathlib import Path
from typing import get_args

import pytest
from structlog.testing import capture_logs

from mappings.errors import CdsReason
from middleware.web.metrics import write_metrics
from smart_app.cds.calls import LARGEST
from tests.unit.smart_app.cds.conftest import (
    STAY,
    Calls,
    counted,
    granted,
    quick,
    signed,
)
from tests.unit.smart_app.ehr import STRANGER
from tests.unit.web.prometheus import read_exposition

HERE, NOWHERE = "northside", ""
VIEW = "carecue-patient-view"


def without_jwt(calls: Calls):
    calls.send(f"/cds-services/{VIEW}", calls.request())


def hmac_signed(calls: Calls):
    token = "eyJhbGciOiJIUzI1NiIsImtpZCI6ImEifQ.e30.AAAA"
    calls.call(token=token)


def replayed(calls: Calls):
    body, token = granted(calls), signed(calls)
    assert calls.call(body, token=token).status == 200
    calls.call(body, token=token)


def keys_away(calls: Calls):
    calls.caller(key_urls=(f"{calls.ehr.origin}/gone",))
    calls.call()


def stay_of_another(calls: Calls):
    other = {**STAY, "subject": {"reference": "Patient/karl"}}
    calls.ehr.resources["Encounter/stay-1"] = other
    calls.discharge(fhirAuthorization=calls.grant())


def not_permitted(calls: Calls):
    calls.ehr.accepted = "Bearer another"
    calls.call(granted(calls))


CASES = {
    "jwt-missing": (without_jwt, NOWHERE),
    "jwt-unreadable": (lambda calls: calls.call(token="no.jwt"), NOWHERE),
    "jwt-algorithm": (hmac_signed, NOWHERE),
    "issuer-unknown": (
        lambda calls: calls.call(token=signed(calls, iss="https://a.example.org")),
        NOWHERE,
    ),
    "key-url-unknown": (
        lambda calls: calls.call(
            token=calls.sign(calls.claims(), jku="https://a.example.org/jwks")
        ),
        NOWHERE,
    ),
    "keys-unreachable": (keys_away, HERE),
    "signature-wrong": (
        lambda calls: calls.call(token=calls.sign(calls.claims(), key=STRANGER)),
        HERE,
    ),
    "audience-wrong": (
        lambda calls: calls.call(token=signed(calls, aud="https://a.example.org")),
        HERE,
    ),
    "jwt-time": (lambda calls: calls.call(token=signed(calls, exp=1)), HERE),
    "jwt-claims": (lambda calls: calls.call(token=signed(calls, jti=None)), HERE),
    "jwt-replayed": (replayed, HERE),
    "body-wrong": (lambda calls: calls.call(calls.request(hook="order-sign")), HERE),
    "body-too-large": (lambda calls: calls.call(b"x" * (LARGEST + 1)), NOWHERE),
    "service-unknown": (lambda calls: calls.call(service="rosa-lopez"), NOWHERE),
    "server-unknown": (
        lambda calls: calls.call(calls.request(fhirServer="https://a.example.org")),
        HERE,
    ),
    "token-foreign": (lambda calls: calls.call(granted(calls, subject="x")), HERE),
    "not-permitted": (not_permitted, HERE),
    "stay-of-another": (stay_of_another, HERE),
    "card-unknown": (
        lambda calls: calls.feedback({"card": "7f3c", "outcome": "accepted"}),
        HERE,
    ),
}
# What takes a fault of ours, or of the EHR: each has a test of its own below.
OTHERS = {"chart-unread", "too-late", "too-busy", "broken"}


@pytest.mark.parametrize("reason", CASES)
def test_refused_call_is_logged_and_counted_by_reason(calls: Calls, reason):
    cause, endpoint = CASES[reason]
    with capture_logs() as logs:
        cause(calls)
    (line,) = [line for line in logs if "CDS Hooks" in line["event"]]
    asked = "carecue-encounter-discharge" if reason == "stay-of-another" else VIEW
    service = "" if reason == "service-unknown" else asked
    assert line == {
        "event": "a call of CDS Hooks got no card",
        "log_level": "warning",
        "reason": reason,
        "service": service,
        "endpoint_id": endpoint,
    }
    assert counted(calls) == {(endpoint, reason): 1}


def test_each_reason_is_tried_and_documented():
    assert {*CASES, *OTHERS} == set(get_args(CdsReason))
    guide = Path(__file__).parents[4] / "docs" / "operations.md"
    section = guide.read_text(encoding="utf-8").partition("got no card`")[2]
    table = section.partition("Logs are one JSON object")[0]
    assert set(get_args(CdsReason)) <= set(re.findall(r"`([a-z-]+)`", table))


def test_counts_are_a_counter_of_metrics(calls: Calls):
    for _ in range(2):
        calls.call(token=signed(calls, aud="https://a.example.org"))
    without_jwt(calls)
    with calls.rig.database.tx() as tx:
        text = write_metrics(tx, calls.rig.clock.now())
    assert "# TYPE carecue_cds_refused_total counter" in text
    name, found = "carecue_cds_refused_total", read_exposition(text)
    told = {labels: total for (key, labels), total in found.items() if key == name}
    assert told == {
        (("endpoint", ""), ("reason", "jwt-missing")): 1,
        (("endpoint", HERE), ("reason", "audience-wrong")): 2,
    }


def test_card_that_is_not_due_is_no_refusal(calls: Calls):
    calls.ehr.resources["Patient/rosa"]["active"] = False
    assert calls.call(granted(calls)).body == {"cards": []}
    assert counted(calls) == {}


def test_ehr_that_does_not_answer_is_counted(calls: Calls):
    nobody = "http://127.0.0.1:9/fhir"
    calls.rig.endpoints[0] = replace(calls.rig.endpoints[0], fhir_base=nobody)
    body = {**granted(calls), "fhirServer": nobody}
    assert calls.call(body).body == {"cards": []}
    assert counted(calls) == {(HERE, "chart-unread"): 1}


def test_call_that_takes_too_long_or_comes_at_once_is_counted(calls: Calls):
    send = quick(calls, seconds=0.05)
    calls.ehr.held = threading.Event()
    answers = [send() for _ in range(9)]
    calls.ehr.held.set()
    assert all(answer.json == {"cards": []} for answer in answers)
    found = counted(calls)
    assert {reason for _, reason in found} == {"too-late", "too-busy"}
    assert sum(found.values()) == 9


def test_fault_of_ours_is_counted_as_such(calls: Calls):
    with calls.rig.database.tx() as tx:
        tx.execute("DROP TABLE cds_token")
    assert quick(calls)().status_code == 503
    assert counted(calls) == {(HERE, "broken"): 1}


def test_call_is_refused_the_same_where_it_cannot_be_counted(calls: Calls):
    with calls.rig.database.tx() as tx:
        tx.execute("DROP TABLE cds_refusal")
    assert calls.send(f"/cds-services/{VIEW}", calls.request()).status == 401
