from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from mappings.delivery import DeliveryState, Message, Receipt
from mappings.errors import ChannelError
from middleware.channels.registry import CHANNELS, ChannelParts, open_channels
from middleware.channels.screen import ScreenChannel
from middleware.clock import FixedClock
from middleware.settings import Settings

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
PARTS = ChannelParts(Settings(), FixedClock(NOW), lambda _: True)


def test_open_channels_makes_what_is_configured() -> None:
    assert sorted(open_channels(PARTS)) == ["screen"]
    settings = Settings(
        sms_base_url="http://127.0.0.1:1",
        smtp_host="127.0.0.1",
        smtp_from="care@clinic.example.org",
    )
    channels = open_channels(replace(PARTS, settings=settings))
    assert {name: channel.name for name, channel in channels.items()} == {
        name: name for name in CHANNELS
    }


def test_screen_accepts_and_finds() -> None:
    message = Message("d-1", "screen", "Patient/p1", "Text", "Subject", "en")
    channel = ScreenChannel(allowed=lambda _: True)
    receipt = Receipt("d-1", DeliveryState.DELIVERED)
    assert channel.send(message) == receipt
    assert channel.find(message, NOW) == receipt
    with pytest.raises(ChannelError):
        ScreenChannel(allowed=lambda _: False).send(message)
