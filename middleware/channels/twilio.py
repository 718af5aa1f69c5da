"""Twilio's codes and states in our words: pure, and the only place that knows them.

Source: Twilio REST API 2010-04-01, Message resource and error dictionary.
"""

from __future__ import annotations

from mappings.delivery import DeliveryState
from mappings.errors import ChannelError

_INVALID = {21211, 21214, 21217, 21265, 21401, 21421, 21604, 21614}
_OPTED_OUT = {21610, 30021}
_UNREACHABLE = {21408, 21612, 30003, 30004, 30005, 30006, 30024}
_TOO_MANY = {14107, 20429, 21611, 30001, 30022}
_OURS = {20001, 20003, 20004, 20005, 21603, 21606, 21608, 21659, 30002, 63038}

STATES: dict[str, DeliveryState] = {
    "accepted": DeliveryState.SENT,
    "scheduled": DeliveryState.SENT,
    "queued": DeliveryState.SENT,
    "sending": DeliveryState.SENT,
    "sent": DeliveryState.SENT,
    "delivered": DeliveryState.DELIVERED,
    "read": DeliveryState.DELIVERED,
    "undelivered": DeliveryState.FAILED,
    "failed": DeliveryState.FAILED,
    "canceled": DeliveryState.FAILED,
}


def read_reason(code: int | None) -> str:
    """Return the reason (``mappings.nudge.REASONS``) of an error code."""
    if code in _INVALID:
        return "address-invalid"
    if code in _OPTED_OUT:
        return "opted-out"
    if code in _UNREACHABLE:
        return "address-unreachable"
    if code in _TOO_MANY or code in _OURS:
        return "channel-down"
    return "provider-refused"


def make_refusal(
    status: int, code: int | None, retry_after: float | None
) -> ChannelError:
    """Return the error of a request that the provider answered and did not take.

    A 500, or a gateway's 502 or 504, without the provider's own code says nothing about
    what happened behind it: the message may have been taken.
    """
    known = f"error {code}" if code is not None else "no error code"
    said = f"The SMS provider answered {status} with {known}"
    if code is None and status in {500, 502, 504}:
        return ChannelError(
            f"{said}; whether it took the message is not known; ask it before sending "
            "again",
            reason="delivery-unknown",
            maybe_sent=True,
        )
    if status >= 500 or status in {408, 429}:
        return ChannelError(
            f"{said}; the message was not taken and may be sent again",
            reason="channel-down",
            retry_after=retry_after,
        )
    reason = read_reason(code)
    if reason == "channel-down" or status in {401, 403}:
        return ChannelError(
            f"{said}; the message was not taken; check the account, token and number "
            "in the settings",
            reason="channel-down",
            retry_after=retry_after,
        )
    return ChannelError(
        f"{said}; the message was not taken; sending it again will not help",
        reason=reason,
        permanent=True,
    )
