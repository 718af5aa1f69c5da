from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from mappings.delivery import DeliveryState, Message, Receipt
from mappings.errors import ChannelError
from middleware.channels.sms import SmsChannel
from middleware.ports import transaction_scope
from tests.unit.fhir.scripted import Asked, Reply, Script, serve

SINCE = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
MESSAGE = Message(
    delivery_id="d-1",
    channel="sms",
    address="+12025550101",
    text="Your visit is on Monday.",
    subject="",
    language="en",
    status_url="http://127.0.0.1:8080/channels/sms/status",
)


@pytest.fixture
def script() -> Iterator[Script]:
    with serve() as scripted:
        yield scripted


def channel(script: Script, allowed: bool = True) -> SmsChannel:
    return SmsChannel(
        script.base.removesuffix("/fhir"),
        "AC1",
        "TOKEN",
        "+12025550100",
        allowed=lambda _: allowed,
        timeout=(1.0, 1.0),
    )


def refused(status: int, code: int) -> Reply:
    return Reply(status, {"code": code, "message": "+12025550101", "status": status})


def test_send_posts_the_form_once(script: Script) -> None:
    script.then(Reply(201, {"sid": "SM1", "status": "queued"}))
    assert channel(script).send(MESSAGE) == Receipt("SM1", DeliveryState.SENT)
    asked = script.asked[0]
    assert asked.path == "/2010-04-01/Accounts/AC1/Messages.json"
    assert asked.headers["Authorization"] == "Basic QUMxOlRPS0VO"
    assert parse_qs(asked.body.decode()) == {
        "To": ["+12025550101"],
        "From": ["+12025550100"],
        "Body": ["Your visit is on Monday."],
        "StatusCallback": ["http://127.0.0.1:8080/channels/sms/status?delivery=d-1"],
    }


def test_send_to_an_address_that_is_not_allowed_sends_nothing(script: Script) -> None:
    with pytest.raises(ChannelError) as caught:
        channel(script, allowed=False).send(MESSAGE)
    assert (caught.value.reason, caught.value.permanent) == ("not-allow-listed", True)
    assert script.lines == []


def test_send_inside_a_transaction_is_a_programming_error(script: Script) -> None:
    with transaction_scope(), pytest.raises(RuntimeError):
        channel(script).send(MESSAGE)
    assert script.lines == []


@pytest.mark.parametrize(
    ("reply", "reason", "permanent", "maybe_sent"),
    [
        (refused(400, 21211), "address-invalid", True, False),
        (refused(400, 21614), "address-invalid", True, False),
        (refused(400, 21610), "opted-out", True, False),
        (refused(400, 21612), "address-unreachable", True, False),
        (refused(400, 30003), "address-unreachable", True, False),
        (refused(400, 30005), "address-unreachable", True, False),
        (refused(400, 30006), "address-unreachable", True, False),
        (refused(400, 21617), "provider-refused", True, False),
        (refused(429, 20429), "channel-down", False, False),
        (refused(401, 20003), "channel-down", False, False),
        (refused(400, 21606), "channel-down", False, False),
        (refused(503, 20500), "channel-down", False, False),
        (Reply(500), "delivery-unknown", False, True),
        (Reply(503, b"<html>"), "channel-down", False, False),
        (Reply(502, b"<html>"), "delivery-unknown", False, True),
        (Reply(504), "delivery-unknown", False, True),
        (Reply(302, None, {"Location": "/x"}), "provider-refused", True, False),
        (Reply(201, b"<html>"), "delivery-unknown", False, True),
        (Reply(201, {"status": "queued"}), "delivery-unknown", False, True),
        (
            Reply(201, {"sid": "S", "status": "failed", "error_code": 30006}),
            "address-unreachable",
            True,
            False,
        ),
        (Reply(raw=lambda _: None), "delivery-unknown", False, True),
    ],
)
def test_send_refused_is_translated(
    script: Script, reply: Reply, reason: str, permanent: bool, maybe_sent: bool
) -> None:
    script.then(reply)
    with pytest.raises(ChannelError) as caught:
        channel(script).send(MESSAGE)
    error = caught.value
    assert (error.reason, error.permanent, error.maybe_sent) == (
        reason,
        permanent,
        maybe_sent,
    )
    assert "555" not in str(error)
    assert len(script.asked) == 1


def test_send_with_retry_after_says_when(script: Script) -> None:
    script.then(Reply(429, {"code": 20429}, {"Retry-After": "7"}))
    with pytest.raises(ChannelError) as caught:
        channel(script).send(MESSAGE)
    assert caught.value.retry_after == 7.0


def test_send_without_an_answer_may_have_been_sent(script: Script) -> None:
    script.then(Reply(raw=lambda _: script.released.wait(5) and None))
    with pytest.raises(ChannelError) as caught:
        channel(script).send(MESSAGE)
    assert (caught.value.reason, caught.value.maybe_sent) == ("delivery-unknown", True)


def test_send_without_a_connection_was_not_sent() -> None:
    nobody = SmsChannel("http://127.0.0.1:1", "A", "T", "+1", allowed=lambda _: True)
    with pytest.raises(ChannelError) as caught:
        nobody.send(MESSAGE)
    assert (caught.value.reason, caught.value.maybe_sent) == ("channel-down", False)


def item(**changes: Any) -> dict[str, Any]:
    return {
        "sid": "SM1",
        "to": MESSAGE.address,
        "body": MESSAGE.text,
        "status": "sent",
        "date_created": "Mon, 02 Mar 2026 09:00:01 +0000",
        **changes,
    }


def test_find_asks_for_the_day_and_matches_the_message(script: Script) -> None:
    script.then(Reply(200, {"messages": [item(body="other"), item()]}))
    found = channel(script).find(MESSAGE, SINCE)
    assert found == Receipt("SM1", DeliveryState.SENT)
    asked = parse_qs(urlsplit(script.asked[0].path).query)
    assert asked == {
        "To": ["+12025550101"],
        "DateSent>": ["2026-03-02"],
        "PageSize": ["200"],
    }


@pytest.mark.parametrize(
    "other",
    [
        item(body="another text"),
        item(to="+12025550102"),
        item(date_created="Mon, 02 Mar 2026 08:00:00 +0000"),
        item(status_callback="http://x/status?delivery=d-2"),
    ],
)
def test_find_of_another_message_is_none(script: Script, other: dict[str, Any]) -> None:
    script.then(Reply(200, {"messages": [other]}))
    assert channel(script).find(MESSAGE, SINCE) is None


def test_find_by_the_delivery_id_needs_no_date(script: Script) -> None:
    callback = "http://x/status?delivery=d-1"
    known = item(status_callback=callback, status="delivered", date_created="")
    script.then(Reply(200, {"messages": [known]}))
    found = channel(script).find(MESSAGE, SINCE)
    assert found == Receipt("SM1", DeliveryState.DELIVERED)


def test_find_follows_pages(script: Script) -> None:
    def answer(asked: Asked) -> Reply:
        if "Page=1" in asked.path:
            return Reply(200, {"messages": [item()], "next_page_uri": None})
        path = "/2010-04-01/Accounts/AC1/Messages.json?Page=1"
        return Reply(200, {"messages": [], "next_page_uri": path})

    script.answer = answer
    assert channel(script).find(MESSAGE, SINCE) == Receipt("SM1", DeliveryState.SENT)


@pytest.mark.parametrize(
    "reply",
    [
        Reply(500),
        Reply(200, b"<html>"),
        Reply(200, {"messages": [], "next_page_uri": "https://evil.example/x"}),
        Reply(200, {"messages": [], "next_page_uri": "/again"}),
        Reply(raw=lambda _: None),
    ],
)
def test_find_that_cannot_ask_is_an_error(script: Script, reply: Reply) -> None:
    script.then(reply)
    with pytest.raises(ChannelError) as caught:
        channel(script).find(MESSAGE, SINCE)
    assert (caught.value.reason, caught.value.permanent) == ("delivery-unknown", False)


def test_find_of_a_message_that_failed_says_why(script: Script) -> None:
    script.then(
        Reply(200, {"messages": [item(status="undelivered", error_code=30003)]})
    )
    with pytest.raises(ChannelError) as caught:
        channel(script).find(MESSAGE, SINCE)
    assert (caught.value.reason, caught.value.permanent) == (
        "address-unreachable",
        True,
    )


def test_send_logs_neither_text_nor_token(
    script: Script, caplog: pytest.LogCaptureFixture
) -> None:
    script.then(Reply(201, {"sid": "SM1", "status": "queued"}))
    with caplog.at_level(logging.DEBUG):
        channel(script).send(MESSAGE)
    assert "555" not in caplog.text
    assert "TOKEN" not in caplog.text
    assert "visit" not in caplog.text
