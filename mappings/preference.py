"""Engagement preferences of one patient, each with who said it, how and when.

Deny wins; the patient's own answer beats staff, chart and learned values; unknown is
not yes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class Who(StrEnum):
    """Who said it, strongest first."""

    PATIENT = "patient"
    STAFF = "staff"
    CHART = "chart"
    SITE = "site"


@dataclass(frozen=True)
class Sourced(Generic[T]):
    """A value with its provenance; ``reference`` names the resource or own record."""

    value: T
    who: Who
    how: str
    when: datetime | None = None
    by: str | None = None
    reference: str | None = None


@dataclass(frozen=True)
class Address:
    """A usable contact point for one channel, best first in a profile."""

    channel: str
    value: str
    rank: int
    use: str | None
    reference: str
    path: str


@dataclass(frozen=True)
class ConsentRecord:
    """One answer about being contacted (a row of ``consent``; never edited).

    It belongs to the contact point (``system`` sms, email or phone, ``value`` E.164
    or lower-case address); ``topic`` "*" covers all. ``permit`` False is a denial.
    """

    id: str
    endpoint_id: str
    patient: str | None
    system: str
    value: str
    topic: str
    permit: bool
    who: Who
    how: str
    recorded_at: datetime
    recorded_by: str | None = None


@dataclass(frozen=True)
class PreferenceRecord:
    """One recorded preference (a row of ``preference``); the newest of a name counts.

    Names and values: ``channels`` list of channel names in order; ``language`` BCP-47;
    ``window`` [first, last] local hours; ``zone`` IANA name; ``pause`` {"until": ISO
    or null, "why": text} or null when resumed; ``max_per_week`` integer;
    ``matters`` {"text", "language"}.
    """

    name: str
    value: Any
    who: Who
    how: str
    recorded_at: datetime
    recorded_by: str | None = None


@dataclass(frozen=True)
class SentMessage:
    """A message that counts against the limits: ours, or a Communication in the EHR."""

    sent_at: datetime
    topic: str
    channel: str
    answered: bool = False


@dataclass(frozen=True)
class Switch:
    """A hold that a person set. ``scope`` plan, topic, endpoint, channel or all."""

    scope: str
    target: str
    reason: str


@dataclass(frozen=True)
class OwnRecord:
    """What our own store knows of one patient, read in one transaction.

    ``replaced`` are records (``Patient/id``) that were merged into this one.
    """

    preferences: tuple[PreferenceRecord, ...] = ()
    consents: tuple[ConsentRecord, ...] = ()
    sent: tuple[SentMessage, ...] = ()
    switches: tuple[Switch, ...] = ()
    replies_waiting: int = 0
    bad_addresses: frozenset[tuple[str, str]] = frozenset()
    restore_unchecked: bool = False
    replaced: tuple[str, ...] = ()


@dataclass(frozen=True)
class EngagementProfile:
    """What decides whom, how, when and in which language: compiled, never stored."""

    patient: str
    name: str
    given: str
    birth_date: str | None
    gender: str | None
    mrn: str | None
    deceased: bool
    active: bool
    test_patient: bool
    merged_into: str | None
    channels: Sourced[tuple[str, ...]]
    addresses: tuple[Address, ...]
    language: Sourced[str] | None
    zones: Sourced[tuple[str, ...]] | None
    window: Sourced[tuple[int, int]]
    max_per_week: Sourced[int]
    pause: Sourced[dict[str, Any]] | None
    consents: tuple[ConsentRecord, ...]
    matters: Sourced[dict[str, Any]] | None = None
    interpreter_needed: bool = False
    conflicts: tuple[str, ...] = ()
    detail: dict[str, Any] = field(default_factory=dict)
