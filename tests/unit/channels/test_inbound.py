from __future__ import annotations

from email.message import EmailMessage

import pytest

from mappings.delivery import DeliveryState
from mappings.nudge import REASONS
from middleware.channels.inbound import (
    InboundMessage,
    StatusReport,
    parse_email_inbound,
    parse_twilio_inbound,
    parse_twilio_status,
)
from middleware.channels.signatures import (
    check_twilio_signature,
    write_twilio_signature,
)
from middleware.channels.twilio import read_reason

# The example of the provider's own documentation.
URL = "https://example.com/myapp.php?foo=1&bar=2"
FORM = {
    "CallSid": "CA1234567890ABCDE",
    "Caller": "+14158675310",
    "Digits": "1234",
    "From": "+14158675310",
    "To": "+18005551212",
}


def test_signature_of_the_documented_example() -> None:
    signature = write_twilio_signature(URL, FORM, "12345")
    assert signature == "L/OH5YylLD5NRKLltdqwSvS0BnU="
    assert check_twilio_signature(URL, FORM, signature, "12345")


@pytest.mark.parametrize(
    ("url", "form", "signature", "token"),
    [
        (URL + "3", FORM, "L/OH5YylLD5NRKLltdqwSvS0BnU=", "12345"),
        (URL, {**FORM, "Digits": "1"}, "L/OH5YylLD5NRKLltdqwSvS0BnU=", "12345"),
        (URL, FORM, "", "12345"),
        (URL, FORM, "é", "12345"),
        (URL, FORM, "L/OH5YylLD5NRKLltdqwSvS0BnU=", "other"),
    ],
)
def test_signature_of_anything_else_is_refused(
    url: str, form: dict[str, str], signature: str, token: str
) -> None:
    assert not check_twilio_signature(url, form, signature, token)


def test_signature_without_a_token_of_ours_is_refused() -> None:
    signature = write_twilio_signature(URL, FORM, "")
    assert not check_twilio_signature(URL, FORM, signature, "")


def test_parse_twilio_inbound() -> None:
    form = {"MessageSid": "SM1", "From": "+12025550101", "Body": " C \n"}
    assert parse_twilio_inbound(form) == InboundMessage("SM1", "+12025550101", " C \n")
    assert parse_twilio_inbound({}) == InboundMessage("", "", "")


def test_parse_twilio_status_delivered() -> None:
    form = {"MessageSid": "SM1", "MessageStatus": "delivered"}
    assert parse_twilio_status(form, {"delivery": "d-1"}) == StatusReport(
        "SM1", "delivered", DeliveryState.DELIVERED, "d-1"
    )


@pytest.mark.parametrize(
    ("code", "reason"),
    [("30003", "address-unreachable"), ("", "not-delivered"), ("x", "not-delivered")],
)
def test_parse_twilio_status_undelivered(code: str, reason: str) -> None:
    form = {"MessageSid": "SM1", "MessageStatus": "undelivered", "ErrorCode": code}
    report = parse_twilio_status(form)
    assert (report.state, report.reason) == (DeliveryState.FAILED, reason)


@pytest.mark.parametrize("code", [None, 21211, 21610, 30003, 20429, 1])
def test_every_reason_is_in_the_table(code: int | None) -> None:
    assert read_reason(code) in REASONS


def mail(text: str, **headers: str) -> bytes:
    made = EmailMessage()
    made["From"] = "Jane <jane@example.org>"
    made["Message-ID"] = "<r1@example.org>"
    made["In-Reply-To"] = "<d-1@clinic.example.org>"
    for name, value in headers.items():
        made[name.replace("_", "-")] = value
    made.set_content(text)
    return made.as_bytes()


def test_parse_email_inbound_takes_the_persons_own_words() -> None:
    raw = mail("STOP\n\nOn Mon, Clinic wrote:\n> Your visit\n")
    assert parse_email_inbound(raw) == InboundMessage(
        "<r1@example.org>", "jane@example.org", "STOP", "d-1"
    )


def test_parse_email_inbound_knows_an_automatic_answer() -> None:
    assert parse_email_inbound(mail("Away", Auto_Submitted="auto-replied")).automatic
    assert not parse_email_inbound(mail("Yes", Auto_Submitted="no")).automatic


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\x00\xff\xfe",
        b"From: =?utf-8?q?=\r\nMessage-ID: <\r\n\r\nx",
        b"Content-Type: multipart/mixed\r\n\r\nx",
        b"Content-Type: text/plain; charset=nonsense\r\n\r\n\xff",
        b"From: @@@\r\nIn-Reply-To: \r\n\r\n",
    ],
)
def test_parse_email_inbound_of_junk_is_automatic(raw: bytes) -> None:
    found = parse_email_inbound(raw)
    assert (found.address, found.automatic) == ("", True)
