"""Engagement preferences of one patient, each with who said it, how and when.

Deny wins; the patient's own answer beats staff, chart and learned values; unknown is
not yes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum
from typing import Any, Generic, TypeVar

from mappings.places import ContactPoints, Designated

T = TypeVar("T")


class Who(StrEnum):
    """Who said it, strongest first; LEARNED is what we concluded ourselves."""

    PATIENT = "patient"
    STAFF = "staff"
    CHART = "chart"
    LEARNED = "learned"
    SITE = "site"


STRENGTH: dict[Who, int] = {
    Who.PATIENT: 4,
    Who.STAFF: 3,
    Who.CHART: 2,
    Who.LEARNED: 1,
    Who.SITE: 0,
}


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
    """A usable contact point for one channel, best first in a profile.

    ``purposes`` are the topics that the chart names it for (contactpoint-purpose),
    ``start`` when its period began, as text.
    """

    channel: str
    value: str
    rank: int
    use: str | None
    reference: str
    path: str
    purposes: frozenset[str] = frozenset()
    start: str = ""


@dataclass(frozen=True)
class Contact:
    """Somebody beside the patient (a RelatedPerson that is active today).

    ``kinds`` are parent, guardian, proxy, carer, emergency or other; what each may be
    told is decided elsewhere.
    """

    reference: str
    name: str
    kinds: frozenset[str]
    addresses: tuple[Address, ...]
    language: Sourced[str] | None
    zones: tuple[str, ...] = ()
    version: str | None = None


@dataclass(frozen=True)
class Conflict:
    """Two voices that disagree; ``holds`` is in force and may be narrower than either."""

    name: str
    first: Sourced[Any]
    second: Sourced[Any]
    holds: Any


@dataclass(frozen=True)
class ConsentRecord:
    """One answer about being contacted (a row of ``consent``; never edited).

    It belongs to the contact point (``system`` sms, email or phone, ``value`` E.164
    or lower-case address); ``topic`` "*" covers all. ``permit`` False is a denial.
    ``actor`` (``RelatedPerson/id``) is set where it is about telling that person; then
    ``system`` "*" is about whether they may be told at all. ``asked`` is the question in
    its words, ``said_by`` who answered for the patient; empty where unknown.
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
    actor: str | None = None
    asked: str = ""
    said_by: str = ""


@dataclass(frozen=True)
class PreferenceRecord:
    """One recorded preference (a row of ``preference``); the newest of a name counts.

    Names and values: ``channels`` list of channel names in order, and the same for one
    topic as ``channels:<topic>`` or for what cannot wait as ``channels:urgent``;
    ``language`` BCP-47; ``window`` [first, last] local hours (8.5 is 08:30); ``days``
    weekdays, Monday 0; ``zone`` IANA name; ``interpreter`` whether one is needed;
    ``pause`` {"until": ISO or null, "why": text} or null when resumed; ``max_per_week``
    integer; ``matters`` {"text", "language"}; ``modality`` how the patient likes to be
    seen; ``accessibility`` list of needs; ``recipients`` list of ``Patient/id`` and
    ``RelatedPerson/id`` in order; ``confidential`` {"system", "value", "note"} or null
    when taken back; ``telecom:<channel>:<address>`` what was said of one number
    (:mod:`mappings.telecom`); ``pregnancy-loss`` true when a reply told of one; ``confirmed``
    list of names that the patient said still hold ("*" for all).
    ``saved_by`` is who saved it on a page (``issuer|subject|reference``), in which
    ``form``, changed ``turn`` times by then. ``in_chart_at`` is when the EHR's Patient
    came to say it.
    """

    name: str
    value: Any
    who: Who
    how: str
    recorded_at: datetime
    recorded_by: str | None = None
    saved_by: str = ""
    form: str = ""
    turn: int = 0
    in_chart_at: datetime | None = None


@dataclass(frozen=True)
class SentMessage:
    """A message that counts against the limits; ``about`` ours: plan, focus, occasion."""

    sent_at: datetime
    topic: str
    channel: str
    answered: bool = False
    about: tuple[str, str, str] | None = None

    @property
    def plan(self) -> str:
        """Return the id of the plan that it came of; empty for another system's."""
        return self.about[0].rpartition("/")[2] if self.about else ""

    @property
    def occasion(self) -> str:
        """Return the occasion that it came of; empty where that is not known."""
        return self.about[2] if self.about else ""


@dataclass(frozen=True)
class Bearer:
    """Another patient who has a contact point too; ``adult_from`` is when they are 18."""

    system: str
    value: str
    endpoint_id: str
    adult_from: date | None


@dataclass(frozen=True)
class AskedTask:
    """What staff were asked, about which ``focus``, and whether they have done it."""

    reason: str
    focus: str
    done: bool


@dataclass(frozen=True)
class ComingMessage:
    """A planned message of ours, which takes its place in the limits when it is due.

    ``key`` is the nudge's; lower ``priority`` is more urgent.
    """

    key: str
    due_at: datetime
    topic: str
    priority: int


@dataclass(frozen=True)
class Switch:
    """A hold that a person set. ``scope`` plan, topic, endpoint, channel or all."""

    scope: str
    target: str
    reason: str


@dataclass(frozen=True)
class OwnRecord:
    """What our own store knows of one patient; ``replaced`` were merged into this one."""

    preferences: tuple[PreferenceRecord, ...] = ()
    consents: tuple[ConsentRecord, ...] = ()
    sent: tuple[SentMessage, ...] = ()
    switches: tuple[Switch, ...] = ()
    replies_waiting: int = 0
    bad_addresses: frozenset[tuple[str, str]] = frozenset()
    restore_unchecked: bool = False
    replaced: tuple[str, ...] = ()
    bearers: tuple[Bearer, ...] = ()
    asked: tuple[AskedTask, ...] = ()
    coming: tuple[ComingMessage, ...] = ()


@dataclass(frozen=True)
class EngagementProfile:
    """What decides whom, how, when and in which language: compiled, never stored.

    ``age`` is in whole years where the patient is. ``others`` are messages that others
    sent, as the EHR tells. ``shared`` are (channel, value) that another adult bears,
    ``guarded`` those of a parent or guardian, also of one who is that no more; every one
    may be where ``guards_known`` is False.
    ``confirmed`` says when the patient last stood by each preference.
    """

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
    window: Sourced[tuple[float, float]]
    max_per_week: Sourced[int]
    pause: Sourced[dict[str, Any]] | None
    consents: tuple[ConsentRecord, ...]
    age: int | None = None
    adult_from: date | None = None
    topic_channels: Mapping[str, Sourced[tuple[str, ...]]] = field(default_factory=dict)
    days: Sourced[tuple[int, ...]] | None = None
    matters: Sourced[dict[str, Any]] | None = None
    spoken: Sourced[str] | None = None
    interpreter: Sourced[bool] | None = None
    modality: Sourced[str] | None = None
    accessibility: tuple[Sourced[str], ...] = ()
    stated: tuple[Sourced[str], ...] = ()
    goals: tuple[Sourced[str], ...] = ()
    contacts: tuple[Contact, ...] = ()
    recipients: Sourced[tuple[str, ...]] | None = None
    confidential: Sourced[Designated] | None = None
    points: ContactPoints = field(default_factory=ContactPoints)
    guarded: frozenset[tuple[str, str]] = frozenset()
    guards_known: bool = True
    shared: frozenset[tuple[str, str]] = frozenset()
    others: tuple[SentMessage, ...] = ()
    confirmed: Mapping[str, datetime] = field(default_factory=dict)
    conflicts: tuple[Conflict, ...] = ()
    detail: dict[str, Any] = field(default_factory=dict)

    @property
    def interpreter_needed(self) -> bool:
        """Tell whether the patient needs an interpreter."""
        return self.interpreter is not None and self.interpreter.value

    @property
    def confirmed_at(self) -> datetime | None:
        """Return when the patient last said or confirmed anything of this."""
        return max(self.confirmed.values(), default=None)
