"""The steps of a check in their order, and which of them an earlier one rules out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from mappings.errors import CareCueError
from middleware.fhir.checking import (
    app,
    documents,
    push,
    reach,
    reading,
    scopes,
    searching,
    smart,
    token,
)
from middleware.fhir.checking.diagnoses_app import APP
from middleware.fhir.checking.diagnoses_cds import CDS
from middleware.fhir.checking.diagnoses_documents import DOCUMENTS
from middleware.fhir.checking.diagnoses_push import PUSH
from middleware.fhir.checking.diagnoses_reach import REACH
from middleware.fhir.checking.diagnoses_token import GRANTED, TOKEN
from middleware.fhir.checking.diagnoses_use import READING, SEARCHING
from middleware.fhir.checking.finding import (
    APP_ALONE,
    CDS_STEP,
    Diagnosis,
    Finding,
    Outcome,
    Seen,
    make_finding,
)
from middleware.fhir.checking.talk import Talk

DIAGNOSES: Mapping[str, Diagnosis] = (
    REACH | DOCUMENTS | APP | CDS | TOKEN | GRANTED | READING | SEARCHING | PUSH
)


@dataclass(frozen=True)
class Step:
    """One step; ``needs`` are the steps without which it would tell nothing."""

    name: str
    run: Callable[[Talk], Seen]
    needs: tuple[str, ...] = ()


STEPS = (
    Step("resolve", reach.check_name),
    Step("connect", reach.check_port, ("resolve",)),
    Step("TLS", reach.check_tls, ("connect",)),
    Step("CapabilityStatement", documents.check_capabilities, ("TLS",)),
    Step("clock", documents.check_clock, ("TLS",)),
    Step(
        "smart-configuration",
        smart.check_configuration,
        ("TLS", "CapabilityStatement"),
    ),
    Step("app sign-in", app.check_sign_in, ("TLS", "CapabilityStatement")),
    Step("app identity", app.check_identity, ("TLS", "CapabilityStatement")),
    Step("app scopes", app.check_asking, ("TLS", "CapabilityStatement")),
    Step("app frame", app.check_frame, ("TLS", "CapabilityStatement")),
    Step("app deviations", app.check_deviations, ("CapabilityStatement",)),
    Step("token", token.check_token, ("TLS",)),
    Step("scopes", scopes.check_scopes, ("token",)),
    Step("read", reading.check_read, ("CapabilityStatement", "token")),
    Step("search by time", searching.check_time, ("read",)),
    Step("sorting", searching.check_sort, ("read",)),
    Step("paging", searching.check_paging, ("read",)),
    Step("search by patient", searching.check_patient, ("read",)),
    Step("history", searching.check_history, ("read",)),
    Step("batch", searching.check_batch, ("read",)),
    Step("conditional create", searching.check_conditional, ("CapabilityStatement",)),
    Step("subscriptions", push.check_forms, ("CapabilityStatement", "token")),
)


def _run(step: Step, talk: Talk) -> Seen:
    try:
        return step.run(talk)
    except CareCueError as error:
        return Seen("setting-wrong", error.message)


def run_steps(
    talk: Talk, tell: Callable[[str], None], steps: Sequence[Step] = STEPS
) -> Iterator[Finding]:
    """Run the steps in order; ``tell`` hears the name of each before it runs."""
    broken: dict[str, str] = {}
    alone = False
    for step in steps:
        cause = next((broken[name] for name in step.needs if name in broken), None)
        if alone and step.name != CDS_STEP:
            seen = Seen("skipped", "not tried, because no events are to be read")
        elif cause is not None:
            broken[step.name] = cause
            seen = Seen("skipped", f"not tried, because {cause} failed")
        else:
            tell(step.name)
            seen = _run(step, talk)
        found = make_finding(
            step.name, seen, DIAGNOSES, talk.endpoint, talk.clock.now()
        )
        if found.outcome is Outcome.FAILED and seen.halts:
            broken[step.name] = step.name
        # What comes after reading is about events.
        alone = alone or seen.code == APP_ALONE
        yield found
