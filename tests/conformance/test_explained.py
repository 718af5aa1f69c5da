"""A launch that fails says what did not fit: on its page, and by its id to the operator."""

from __future__ import annotations

import html
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from flask import Response

from tests.conformance.charts import JAMES, write_fhir
from tests.conformance.clinic import Clinic, code_of
from tests.conformance.hostile import CONFIGURATION, HostileEhr

FORBIDDEN = {
    "resourceType": "OperationOutcome",
    "issue": [
        {"severity": "error", "code": "forbidden", "diagnostics": "Rosa is secret"}
    ],
}
Bend = Callable[[HostileEhr], None]


def answers(**members: Any) -> Bend:
    """Lay members over the token response."""
    return lambda ehr: ehr.habits.answer.update(members)


def claims(**members: Any) -> Bend:
    """Lay members over the claims of the id_token."""
    return lambda ehr: ehr.habits.claims.update(members)


def reads(body: dict[str, Any], status: int) -> Bend:
    """Answer the read of the patient."""
    return lambda ehr: ehr.habits.instead.update(
        {"/fhir/Patient/rosa": partial(write_fhir, body, status)}
    )


def exchanges(body: str, status: int, kind: str) -> Bend:
    """Answer the exchange of the code."""
    view = partial(Response, body, status, {"Location": "/login"}, content_type=kind)
    return lambda ehr: ehr.habits.instead.update({"/token": view})


def signs_with_another(ehr: HostileEhr) -> None:
    ehr.habits.published = []


def does_not_echo(ehr: HostileEhr) -> None:
    ehr.habits.echoes_nonce = False


AFTER: list[tuple[str, Bend, str, str]] = [
    ("iss", claims(iss="https://ehr.example/auth"), "T5", "https://ehr.example/auth"),
    ("aud", claims(aud="another-app"), "T5", "id_token: aud another-app"),
    ("exp", claims(exp=1000), "T5", "id_token: exp 1000"),
    ("nonce", does_not_echo, "T5", "id_token: nonce"),
    ("another nonce", claims(nonce="n-7"), "T5", "id_token: nonce"),
    ("signature", signs_with_another, "T5", "id_token: signature"),
    ("no id_token", answers(id_token=None), "T4", "id_token"),
    ("patient", answers(patient="a b"), "T3", "patient a b"),
    ("token_type", answers(token_type="mac"), "T2", "token_type mac"),
    ("no token", answers(access_token=None), "T2", "access_token"),
    ("redirect", exchanges("", 302, "text/html"), "T1", "HTTP 302, text/html"),
    ("login page", exchanges("<p>", 200, "text/html; a=b"), "T1", "200, text/html"),
    ("broken page", exchanges("<p>", 500, "text/html"), "T1", "HTTP 500"),
    ("user", claims(fhirUser="Device/7"), "U1", "fhirUser Device/7"),
    ("forbidden", reads(FORBIDDEN, 403), "E4", "HTTP 403 (forbidden)"),
    ("another", reads(JAMES, 200), "E3", "another record than the open chart's"),
]


@pytest.mark.parametrize(
    ("bend", "code", "told"),
    [case[1:] for case in AFTER],
    ids=[case[0] for case in AFTER],
)
def test_what_did_not_fit_after_the_sign_in_is_told_to_both(
    clinic: Clinic, bend: Bend, code: str, told: str
) -> None:
    bend(clinic.ehr)
    answer = clinic.launch()
    assert code_of(answer) == code
    assert told in html.unescape(answer.text)
    (row,) = clinic.rows("SELECT id, stage, steps FROM launch")
    assert row["stage"] == "failed"
    assert row["id"][:8] in answer.text
    last = row["steps"][-1]
    assert last["code"] == code
    assert told in (last.get("found") or last.get("said") or told)
    assert "secret" not in answer.text + str(row["steps"])
    assert "n-7" not in answer.text + str(row["steps"])


BEFORE: list[tuple[str, dict[str, Any] | int, str, str]] = [
    ("an error", 500, "D1", "smart-configuration: 500"),
    ("no token endpoint", {"token_endpoint": None}, "D2", "token_endpoint"),
    ("no issuer", {"issuer": None}, "D2", "issuer"),
    (
        "another host",
        {"token_endpoint": "https://login.example/token"},
        "D3",
        "token_endpoint https://login.example/token",
    ),
    ("not https", {"token_endpoint": "ftp://x/token"}, "D1", "token_endpoint ftp://x"),
]


@pytest.mark.parametrize(
    ("document", "code", "told"),
    [case[1:] for case in BEFORE],
    ids=[case[0] for case in BEFORE],
)
def test_what_did_not_fit_before_the_sign_in_is_told_to_both(
    clinic: Clinic, document: dict[str, Any] | int, code: str, told: str
) -> None:
    if isinstance(document, int):
        clinic.ehr.habits.instead[CONFIGURATION] = partial(Response, "", document)
    else:
        clinic.ehr.habits.document = document
    answer = clinic.begin()
    assert code_of(answer) == code
    assert told in html.unescape(answer.text)
    (row,) = clinic.rows("SELECT * FROM launch_failure")
    assert row["id"][:8] in answer.text
    assert (row["code"], row["endpoint_id"]) == (code, "northside")
    assert told in row["detail"]["found"]


def test_of_an_ehr_that_is_not_registered_nothing_is_kept_or_repeated(
    clinic: Clinic,
) -> None:
    asked = {"iss": "https://stranger.example/fhir", "launch": "x"}
    answer = clinic.browser.get("/smart/launch", query_string=asked)
    assert code_of(answer) == "L1"
    assert "stranger" not in answer.text
    (row,) = clinic.rows("SELECT * FROM launch_failure")
    assert (row["endpoint_id"], row["detail"]) == (None, {"found": ""})


def test_a_base_that_ends_in_a_slash_is_sent_back_with_it(clinic: Clinic) -> None:
    clinic.ehr.base += "/"
    page = clinic.browser.get(clinic.open())
    assert page.status_code == 200
    assert "Delgado" in page.text


def test_a_byte_order_mark_before_an_answer_is_passed_over(clinic: Clinic) -> None:
    def mark(answer: Response) -> Response:
        if answer.content_type.startswith("application/"):
            answer.set_data(b"\xef\xbb\xbf" + answer.get_data())
        return answer

    clinic.ehr._server.app.after_request_funcs.setdefault(None, []).append(mark)
    page = clinic.browser.get(clinic.open())
    assert "Delgado" in page.text
    assert "could not be read" not in page.text


@pytest.mark.parametrize(
    ("aliases", "status"),
    [
        (["http://ehr.internal:8080/fhir/"], 303),
        (["http://ehr.internal"], 403),
        ([], 403),
    ],
)
def test_a_user_under_a_base_that_the_site_named_is_one_of_this_ehr(
    clinic: Clinic, aliases: list[str], status: int
) -> None:
    clinic.connect(profile={"aliases": aliases})
    named = "http://ehr.internal:8080/fhir/Practitioner/osei"
    clinic.ehr.habits.claims["fhirUser"] = named
    answer = clinic.launch()
    assert answer.status_code == status
    assert status == 303 or code_of(answer) == "U1"
