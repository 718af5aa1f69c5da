"""Consent for one contact point and topic: deny wins, unknown is not yes.

An answer belongs to the contact point: a STOP from a phone silences it for every
patient on it. A general yes never lifts a particular no, and a weaker voice never
lifts a stronger one's no.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from mappings.nudge import Fact, Outcome, Verdict
from mappings.preference import ConsentRecord, EngagementProfile, OwnRecord, Who
from middleware.decisions.evidence import consent_fact

STRENGTH = {Who.PATIENT: 3, Who.STAFF: 2, Who.CHART: 1, Who.SITE: 0}
FREE_CHANNELS = frozenset({"screen"})


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


def choose_permission(
    records: Iterable[ConsentRecord],
    patient: str,
    channel: str,
    address: str,
    topic: str,
) -> Permission:
    """Weigh every answer about one contact point; ``address`` as in the profile."""
    if channel in FREE_CHANNELS:
        return Permission("")
    relevant = [
        item
        for item in records
        if item.system == channel
        and item.value in (address, "*")
        and item.topic in ("*", topic)
    ]
    own = [item for item in relevant if item.who is not Who.CHART]
    chart = [item for item in relevant if item.who is Who.CHART]
    denials = [item for item in (_standing_denial(own, patient),) if item]
    denials += [item for item in chart if not item.permit][:1]
    if denials:
        return Permission("opted-out", tuple(denials))
    permits = [
        item for item in relevant if item.permit and item.patient in (patient, None)
    ]
    if not any(item.patient == patient for item in permits):
        return Permission("no-consent")
    newest = max(permits, key=lambda item: (item.recorded_at, item.id))
    return Permission("", (newest,))


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
    for denial in sorted(standing, key=lambda item: item.recorded_at, reverse=True):
        lifted = any(
            answer.permit
            and answer.recorded_at > denial.recorded_at
            and STRENGTH[answer.who] >= STRENGTH[denial.who]
            for answer in answers
        )
        if not lifted:
            return denial
    return None


def permits(
    profile: EngagementProfile,
    own: OwnRecord,
    channel: str,
    address: str,
    topic: str,
) -> Verdict | None:
    """Return the verdict that forbids this contact, or None when it is permitted."""
    del own  # the profile was compiled from it
    found = choose_permission(
        profile.consents, profile.patient, channel, address, topic
    )
    if found.allowed:
        return None
    return Verdict(Outcome.HOLD, found.reason, consent_facts(profile, found))


def consent_facts(
    profile: EngagementProfile, permission: Permission
) -> tuple[Fact, ...]:
    """Name the answers that a permission rests on."""
    versions: dict[str, str | None] = profile.detail.get("versions", {})
    return tuple(
        consent_fact(item, versions.get(item.id)) for item in permission.records
    )
