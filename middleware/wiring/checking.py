"""A check of one endpoint: what we need of it, its steps, and the conclusion."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from mappings.endpoint import Endpoint
from mappings.event import FOCUS_TYPES
from mappings.plan import Library
from middleware.decisions.prefetch import SAFETY_TYPES, data_queries
from middleware.desk.sign_in_frames import FrameBook
from middleware.fhir.checking.exchange import Caller, Patience
from middleware.fhir.checking.finding import CDS_STEP, Finding, Outcome, conclude
from middleware.fhir.checking.steps import STEPS, Step, run_steps
from middleware.fhir.checking.talk import Needs, Talk
from middleware.fhir.reach import endpoint_reach
from middleware.wiring.cds_checking import CallsCheck
from middleware.wiring.pipeline import library_factory
from middleware.wiring.runtime import Runtime, signing_keys
from middleware.wiring.trial import WAIT, Trial

# SMART v2 letters of what is written: create, amend, and take away our Subscriptions.
WRITES = {
    "Communication": "cu",
    "CommunicationRequest": "c",
    "Task": "c",
    "Subscription": "crud",
}
_LOST = {
    "Patient": "every message is held",
    "Encounter": "every message is held; discharges are not seen",
    "Condition": "every message is held",
    "Consent": "every message is held",
    "Appointment": "bookings are not seen",
    "CarePlan": "care plans are not seen",
    "Task": "tasks that staff end in the EHR are not noticed",
    "Communication": "what others sent is not counted, nor read back after a restore",
    "RelatedPerson": "nobody but the patient is written to; minors are left to staff",
    "Flag": "requests for confidential communication are known by label alone",
}


@dataclass(frozen=True)
class Checked:
    """A whole check: ``holds`` is False when a step failed."""

    endpoint_id: str
    at: datetime
    conclusion: str
    findings: tuple[Finding, ...]

    @property
    def holds(self) -> bool:
        """Tell whether no step failed."""
        return all(item.outcome is not Outcome.FAILED for item in self.findings)


def check_endpoint(
    runtime: Runtime,
    endpoint: Endpoint,
    tell: Callable[[str], None],
    *,
    patience: Patience | None = None,
    wait: float = WAIT,
) -> Checked:
    """Try every step of the connection; nothing clinical is written.

    ``tell`` hears the name of each step; ``wait`` is seconds for a test notification.
    """
    patience = patience or Patience()
    ca_file = endpoint.profile.get("ca_file")
    talk = Talk(
        endpoint=endpoint,
        keys=signing_keys(runtime),
        clock=runtime.clock,
        needs=find_needs(endpoint, library_factory(runtime)(endpoint)),
        public_url=runtime.settings.public_url,
        caller=Caller(runtime.clock, patience, endpoint_reach(endpoint), ca_file),
        patience=patience,
        clock_moved=runtime.settings.movable_clock,
    )
    calls = Step(CDS_STEP, CallsCheck(runtime.database).run)
    trial = Step("test notification", Trial(runtime, wait).run, ("subscriptions",))
    try:
        findings = tuple(run_steps(talk, tell, (*STEPS, calls, trial)))
    finally:
        talk.caller.close()
    if talk.framing is not None:
        seen, now = talk.framing, runtime.clock.now()
        FrameBook(runtime.database).keep(endpoint.id, seen.refusal, now)
    return Checked(
        endpoint.id, runtime.clock.now(), conclude(endpoint, findings), findings
    )


def find_needs(endpoint: Endpoint, library: Library) -> Needs:
    """Return what the plans, polling and the records need, without the unsupported."""
    without = {str(name) for name in endpoint.profile.get("unsupported", ())}
    queries = data_queries(library, "Patient/0")
    names = {query.partition("?")[0].partition("/")[0] for query in queries}
    wanted = sorted({*names, *FOCUS_TYPES, "Communication"} - without)
    return Needs(
        reads={name: _LOST.get(name) or _plans(library, name) for name in wanted},
        safety=frozenset({"Patient", *SAFETY_TYPES} - without),
        focus=tuple(name for name in FOCUS_TYPES if name not in without),
        writes={name: word for name, word in WRITES.items() if name not in without},
    )


def _plans(library: Library, name: str) -> str:
    titles = [
        plan.title
        for plan in library.plans
        if any(query.startswith(f"{name}?") for query in plan.data)
    ]
    return f"without it: {', '.join(titles)}"
