"""What a check of a connection comes to: findings, their texts and the conclusion.

Pure. A step sees something (``Seen``); the table of diagnoses says what that means and
what to do; both make a ``Finding``, with a letter where the EHR's team has to act.
Nothing here may carry a token, a secret or anything of a patient.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum

from mappings.endpoint import Endpoint


class Outcome(StrEnum):
    """OK and WARN hold, FAILED does not, SKIPPED could not be tried."""

    OK = "ok"
    WARN = "warn"
    FAILED = "failed"
    SKIPPED = "skipped"


WHO = (
    "a backend service and SMART app that reads visits and care plans over FHIR R4 and "
    "reminds patients of what is due"
)

_LONGEST = 1500


@dataclass(frozen=True)
class Diagnosis:
    """What one code means.

    ``ask`` is what the EHR's team is asked for, empty where the fault is ours;
    ``expected`` names the section of the specification. ``todo`` and ``ask`` may name
    facts in braces.
    """

    outcome: Outcome
    cause: str
    safe: str
    todo: str
    ask: str = ""
    expected: str = ""


@dataclass(frozen=True)
class Seen:
    """What a step saw: a code of the table, ``ok`` or ``skipped``.

    ``asked`` is the method and URL without query and ids; ``facts`` fill the texts;
    ``halts`` False lets the later steps go on although this one failed.
    """

    code: str
    saw: str
    asked: str = ""
    facts: Mapping[str, str] = field(default_factory=dict)
    halts: bool = True


@dataclass(frozen=True)
class Finding:
    """One step with everything that a person needs; ``letter`` may be empty."""

    step: str
    outcome: Outcome
    code: str
    saw: str
    cause: str = ""
    safe: str = ""
    todo: str = ""
    letter: str = ""


def make_finding(
    step: str,
    seen: Seen,
    table: Mapping[str, Diagnosis],
    endpoint: Endpoint,
    now: datetime,
) -> Finding:
    """Put what was seen and what it means together."""
    facts = {name: _clean(value) for name, value in seen.facts.items()}
    seen = replace(seen, saw=_clean(seen.saw), facts=facts)
    if seen.code in (Outcome.OK, Outcome.SKIPPED):
        return Finding(step, Outcome(seen.code), seen.code, seen.saw)
    meant = table[seen.code]
    return Finding(
        step=step,
        outcome=meant.outcome,
        code=seen.code,
        saw=seen.saw,
        cause=meant.cause,
        safe=meant.safe,
        todo=meant.todo.format_map(seen.facts),
        letter=_write_letter(step, seen, meant, endpoint, now) if meant.ask else "",
    )


def _clean(text: str) -> str:
    """Take from a server's words what a terminal would obey, and any great length."""
    plain = "".join(char if char.isprintable() else "?" for char in text)
    return plain if len(plain) <= _LONGEST else f"{plain[:_LONGEST]}..."


def _write_letter(
    step: str, seen: Seen, meant: Diagnosis, endpoint: Endpoint, now: datetime
) -> str:
    lines = [
        f"To the integration team of {endpoint.name}",
        f"Subject: CareCue at {endpoint.site.name}: {step}",
        "",
        f"{endpoint.site.name} uses CareCue, {WHO}.",
        "Our check of the connection did not succeed.",
        "",
        f"FHIR base: {endpoint.fhir_base}",
        f"Our client id: {endpoint.backend.client_id or 'none yet'}",
        *([f"Our public keys: {seen.facts['jwks']}"] if "jwks" in seen.facts else []),
        f"Time: {now:%Y-%m-%d %H:%M:%S} UTC",
        f"What we did: {seen.asked or endpoint.fhir_base}",
        f"What we expected: {meant.expected}",
        f"What we saw: {seen.saw}",
        f"Likely cause: {meant.cause}",
        f"What we ask for: {meant.ask.format_map(seen.facts)}",
        "",
        "This text holds no password, token or patient data.",
    ]
    return "\n".join(lines)


# No [backend] is written: only the SMART app is wanted.
APP_ALONE = "app-alone"
PUSH_STEPS = frozenset({"subscriptions", "test notification"})
CDS_STEP = "CDS Hooks"


def conclude(endpoint: Endpoint, findings: Sequence[Finding]) -> str:
    """Return the whole check in one sentence."""
    failed = [item for item in findings if item.outcome is Outcome.FAILED]
    warned = [item.step for item in findings if item.outcome is Outcome.WARN]
    known = f" Good to know: {', '.join(warned)}." if warned else ""
    if not failed and any(item.code == APP_ALONE for item in findings):
        return (
            f"{endpoint.id} is ready for launches of the SMART app. No events are read "
            f"here, so no messages are planned: no [backend] is written.{known}"
        )
    if not failed:
        return f"{endpoint.id} can be used: no check failed.{known}"
    first = failed[0]
    others = [item.step for item in failed[1:]]
    also = f" Also failed: {', '.join(others)}." if others else ""
    if all(item.step == CDS_STEP for item in failed):
        return f"{endpoint.id} can be used, but its charts show no card: {first.cause}"
    if all(item.step in PUSH_STEPS | {CDS_STEP} for item in failed):
        pushed = next(item for item in failed if item.step in PUSH_STEPS)
        names = [item.step for item in failed if item is not pushed]
        also = f" Also failed: {', '.join(names)}." if names else ""
        return (
            f"{endpoint.id} can be used by polling, but notifications do not come: "
            f"{pushed.cause}{also}"
        )
    return f"{endpoint.id} is not ready: {first.step} failed. {first.cause}{also}"
