"""The table of channels: a new one is a module, a line here and its test."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from mappings.delivery import Message
from middleware.channels.allowing import Allowed
from middleware.channels.email import EmailChannel
from middleware.channels.screen import ScreenChannel
from middleware.channels.sms import SmsChannel
from middleware.ports import Channel, Clock
from middleware.settings import Settings


@dataclass(frozen=True)
class ChannelParts:
    """What a channel is made of; ``unsubscribe`` gives an e-mail's one-click URL."""

    settings: Settings
    clock: Clock
    allowed: Allowed
    unsubscribe: Callable[[Message], str | None] | None = None


def _make_sms(parts: ChannelParts) -> Channel | None:
    settings = parts.settings
    if not settings.sms_base_url:
        return None
    return SmsChannel(
        settings.sms_base_url,
        settings.sms_account_sid,
        settings.sms_auth_token.reveal(),
        settings.sms_from_number,
        allowed=parts.allowed,
    )


def _make_email(parts: ChannelParts) -> Channel | None:
    settings = parts.settings
    if not settings.smtp_host:
        return None
    return EmailChannel(
        settings.smtp_host,
        settings.smtp_port,
        settings.smtp_from,
        clock=parts.clock,
        allowed=parts.allowed,
        security=settings.smtp_security,
        user=settings.smtp_user,
        password=settings.smtp_password.reveal(),
        unsubscribe=parts.unsubscribe,
    )


def _make_screen(parts: ChannelParts) -> Channel | None:
    return ScreenChannel(allowed=parts.allowed)


CHANNELS: dict[str, Callable[[ChannelParts], Channel | None]] = {
    "sms": _make_sms,
    "email": _make_email,
    "screen": _make_screen,
}


def open_channels(parts: ChannelParts) -> dict[str, Channel]:
    """Make every channel that the settings configure, by name."""
    made = {name: make(parts) for name, make in CHANNELS.items()}
    return {name: channel for name, channel in made.items() if channel is not None}
