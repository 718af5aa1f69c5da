"""Consent for one contact point and topic: deny wins, unknown is not yes.

An answer belongs to the contact point: a STOP from a phone silences it for every
patient on it. A general yes never lifts a particular no, and a weaker voice never
lifts a stronger one's no. Somebody beside the patient needs two answers: that they may
be told, and that they may be reached at this place.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import date

from mappings.consent import EPOCH
from mappings.nudge import Fact
from mappings.preference import STRENGTH, ConsentRecord, EngagementProfile, Who
from middleware.decisions.evidence import consent_fact

FREE_CHANNELS = frozenset({"screen"})
# What we concluded ourselves is never a yes.
PERMITTING = frozenset({Who.PATIENT, Who.STAFF, Who.CHART})


@dataclass(frozen=True)
class Asked:
    """What a permission is asked for.

    ``actor`` is the RelatedPerson who would be told, None for the patient;
    ``guardian`` True where the law lets them be told. A yes from before ``since`` (the
    patient's 18th birthday, once it has passed) counts no more.
    """

    patient: str
    channel: str
    address: str
    topic: str
    actor: str | None = None
    guardian: bool = False
    since: date | None = None


@dataclass(frozen=True)
class Permission:
    """Whether one contact point may be used for a topic, and who said so.

    ``reason`` is empty, no-consent or opted-out.
    """

    reason: str
    records: tuple[ConsentRecord, ...] = ()

    @property
    def allowed(self) -> bool:
        """Tell whether it may be used."""
        return not self.reason


def choose_permission(records: Iterable[ConsentRecord], asked: Asked) -> Permission:
    """Weigh every answer about one contact point."""
    if asked.channel in FREE_CHANNELS:
        return Permission("")
    relevant = [item for item in records if _concerns(item, asked)]
    here = [item for item in relevant if item.actor is None]
    them = [item for item in relevant if item.actor is not None]
    denials = [
        item
        for group in (here, them)
        for item in (_denial(group, asked.patient),)
        if item is not None
    ]
    if denials:
        return Permission("opted-out", tuple(denials))
    if asked.actor is None:
        return _of_patient(here, asked)
    return _of_another(here, them, asked)


def find_refusal(
    records: Iterable[ConsentRecord],
    patient: str,
    points: Collection[tuple[str, str]],
    topic: str,
) -> ConsentRecord | None:
    """Return the patient's own standing no to a topic, at whatever address it was said.

    Who said no to being written to is not written to through somebody else. ``points``
    are the (channel, value) that are the patient's.
    """
    said = [
        item
        for item in records
        if item.actor is None
        and item.topic in ("*", topic)
        and (
            item.patient == patient
            or (item.patient is None and (item.system, item.value) in points)
        )
    ]
    for point in sorted({(item.system, item.value) for item in said}):
        found = _denial([i for i in said if (i.system, i.value) == point], patient)
        if found is not None:
            return found
    return None


def _concerns(item: ConsentRecord, asked: Asked) -> bool:
    if item.topic not in ("*", asked.topic) or item.actor not in (None, asked.actor):
        return False
    at_all = item.actor is not None and item.system == "*"
    return at_all or (
        item.system == asked.channel and item.value in (asked.address, "*")
    )


def _denial(records: Sequence[ConsentRecord], patient: str) -> ConsentRecord | None:
    own = [item for item in records if item.who is not Who.CHART]
    found = _standing_denial(own, patient)
    chart = [item for item in records if item.who is Who.CHART and not item.permit]
    return found or min(chart, key=lambda item: item.id, default=None)


def _of_patient(here: Sequence[ConsentRecord], asked: Asked) -> Permission:
    permits = [
        item
        for item in here
        if _permits(item, asked.since, undated=True)
        and item.patient in (asked.patient, None)
    ]
    if not any(item.patient == asked.patient for item in permits):
        return Permission("no-consent")
    return Permission("", (_newest(permits),))


def _of_another(
    here: Sequence[ConsentRecord], them: Sequence[ConsentRecord], asked: Asked
) -> Permission:
    """Ask for both: that the person may be told, and that this place may be used."""
    told = [
        item
        for item in them
        if _permits(item, asked.since) and item.patient == asked.patient
    ]
    if not told and not asked.guardian:
        return Permission("no-consent")
    reached = [item for item in told if item.system == asked.channel]
    reached += [
        item
        for item in here
        if _permits(item, asked.since)
        and item.patient == asked.patient
        and (item.value == asked.address or asked.guardian)
    ]
    if not reached:
        return Permission("no-consent")
    chosen = [_newest(reached), *([_newest(told)] if told else [])]
    return Permission("", tuple(dict.fromkeys(chosen)))


def _permits(item: ConsentRecord, since: date | None, *, undated: bool = False) -> bool:
    if not item.permit or item.who not in PERMITTING:
        return False
    if since is None or (undated and item.recorded_at == EPOCH):
        return True
    return item.recorded_at.date() >= since


def _newest(records: Sequence[ConsentRecord]) -> ConsentRecord:
    return max(records, key=lambda item: (item.recorded_at, item.id))


def _standing_denial(
    records: Sequence[ConsentRecord], patient: str
) -> ConsentRecord | None:
    """Return the denial that still stands, whoever of the number's people made it."""
    mine = [item for item in records if item.patient in (patient, None)]
    general = _unlifted([item for item in mine if item.topic == "*"], mine)
    particular = [item for item in mine if item.topic != "*"]
    found = general or _unlifted(particular, particular)
    if found is not None:
        return found
    everywhere = [item for item in records if item.topic == "*"]
    others = {item.patient for item in everywhere} - {patient, None}
    for person in sorted(name for name in others if name is not None):
        said = [item for item in everywhere if item.patient == person]
        lifting = [item for item in everywhere if item.patient in (person, None)]
        found = _unlifted(said, lifting)
        if found is not None:
            return found
    return None


def _unlifted(
    denials: Sequence[ConsentRecord], answers: Sequence[ConsentRecord]
) -> ConsentRecord | None:
    """Return the newest denial that no later answer of equal weight has lifted."""
    standing = [item for item in denials if not item.permit]
    newest_first = sorted(
        standing, key=lambda item: (item.recorded_at, item.id), reverse=True
    )
    for denial in newest_first:
        lifted = any(
            answer.permit
            and answer.recorded_at > denial.recorded_at
            and STRENGTH[answer.who] >= STRENGTH[denial.who]
            for answer in answers
        )
        if not lifted:
            return denial
    return None


def consent_facts(
    profile: EngagementProfile, permission: Permission
) -> tuple[Fact, ...]:
    """Name the answers that a permission rests on."""
    versions: dict[str, str | None] = profile.detail.get("versions", {})
    return tuple(
        consent_fact(item, versions.get(item.id)) for item in permission.records
    )
