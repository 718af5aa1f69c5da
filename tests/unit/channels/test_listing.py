"""What the SMS provider remembers: read to its end, or an error."""

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from mappings.delivery import DeliveryState
from mappings.errors import ChannelError
from middleware.channels.listing import Listed, ProviderText
from middleware.channels.sms import SmsChannel
from tests.unit.fhir.scripted import Reply, Script, serve

SINCE = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
OURS, THEIRS = "+12025550100", "+12025550101"


@pytest.fixture
def script() -> Iterator[Script]:
    with serve() as scripted:
        yield scripted


def channel(script: Script) -> SmsChannel:
    base = script.base.removesuffix("/fhir")
    return SmsChannel(
        base, "AC1", "TOKEN", OURS, allowed=lambda _: True, timeout=(1.0, 1.0)
    )


def record(sid: str, minute: int, **changes: object) -> dict[str, object]:
    return {
        "sid": sid,
        "direction": "outbound-api",
        "from": OURS,
        "to": THEIRS,
        "body": f"text {sid}",
        "status": "delivered",
        "date_created": f"Mon, 02 Mar 2026 10:{minute:02d}:00 +0000",
        **changes,
    }


def test_list_since_reads_all_pages_oldest_first_and_only_our_number(
    script: Script,
) -> None:
    reply = record("SM3", 9, direction="inbound", **{"from": THEIRS, "to": OURS})
    stranger = record("SM4", 5, **{"from": "+12025550109"})
    old = record("SM0", 0, date_created="Mon, 02 Mar 2026 08:00:00 +0000")
    script.then(
        Reply(
            200, {"messages": [reply, stranger], "next_page_uri": "/2010-04-01/more"}
        ),
        Reply(200, {"messages": [record("SM1", 1), old], "next_page_uri": None}),
    )

    sms = channel(script)
    found = sms.list_since(SINCE)

    assert isinstance(sms, Listed)
    assert [(item.provider_id, item.incoming, item.address) for item in found] == [
        ("SM1", False, THEIRS),
        ("SM3", True, THEIRS),
    ]
    assert found[0] == ProviderText(
        "SM1",
        False,
        THEIRS,
        "text SM1",
        datetime(2026, 3, 2, 10, 1, tzinfo=UTC),
        DeliveryState.DELIVERED,
    )
    assert (
        script.asked[0].path.partition("?")[2] == "DateSent%3E=2026-03-02&PageSize=500"
    )


@pytest.mark.parametrize(
    "broken",
    [
        Reply(200, {"messages": [], "next_page_uri": "https://other.example.org/x"}),
        Reply(500, {}),
        Reply(200, b"<html>"),
    ],
)
def test_list_since_that_cannot_end_raises(script: Script, broken: Reply) -> None:
    script.then(
        Reply(
            200,
            {"messages": [record("SM1", 1)], "next_page_uri": "/2010-04-01/more"},
        ),
        broken,
    )

    with pytest.raises(ChannelError):
        channel(script).list_since(SINCE)
