"""What a call says: the hook, whose chart, who looks, and a token that came along.

Pure. Every name is checked before it is used; what is not understood is refused in
words. Source: CDS Hooks 2.0, Calling a CDS Service; FHIR Authorization.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import orjson

from mappings.bases import read_base_keys
from mappings.endpoint import Endpoint
from mappings.errors import CdsError
from mappings.reference import FHIR_ID, bring_references_home
from mappings.resource import Resource, dict_of, list_of
from mappings.secret import Secret
from middleware.desk.cds import Feedback

USER = re.compile(
    r"(Practitioner|PractitionerRole|Patient|RelatedPerson)/[A-Za-z0-9\-.]{1,64}\Z"
)
TOKEN = re.compile(r"[\x21-\x7e]{1,8192}\Z")
READS_PATIENT = re.compile(r"(patient|user)/(Patient|\*)\.(read|\*|c?ru?d?s?)(\?.*)?\Z")
LARGEST = 256 * 1024
# What an EHR has at hand when it calls; the rest depends on each endpoint's plans.
PREFETCH = {
    "patient": "Patient/{{context.patientId}}",
    "encounter": "Encounter/{{context.encounterId}}",
}
MOST_FEEDBACK = 100
REASON_CODE = re.compile(r"[A-Za-z0-9\-.]{1,64}\Z")


@dataclass(frozen=True)
class Call:
    """A call that can be answered; references are ``Type/id``.

    ``token`` is the EHR's for this call alone, None without one that we may use.
    ``told`` are the resources that came along, by reference.
    """

    endpoint: Endpoint
    hook: str
    patient: str
    user: str
    encounter: str | None
    token: Secret | None = None
    told: Mapping[str, Resource] = field(repr=False, default_factory=dict)


def read_body(raw: bytes) -> dict[str, Any]:
    """Return the JSON object; CdsError (400) for anything else."""
    try:
        body = orjson.loads(raw)
    except ValueError:
        body = None
    if not isinstance(body, dict):
        raise _refuse("The body is not one JSON object of reasonable depth")
    return body


def read_call(
    body: dict[str, Any], hook: str, endpoints: Sequence[Endpoint], *, stay: bool
) -> Call:
    """Return what is asked; ``stay`` needs an encounterId. CdsError says what is wrong.

    ``endpoints`` are those that the caller speaks for: fhirServer names one of them.
    """
    if body.get("hook") != hook:
        raise _refuse(f"The body's hook is not {hook}")
    _check_instance(body.get("hookInstance"))
    context = dict_of(body.get("context"))
    patient, user = context.get("patientId"), context.get("userId")
    if not isinstance(patient, str) or not FHIR_ID.match(patient):
        raise _refuse("context.patientId is not the id of a Patient")
    if not isinstance(user, str) or not USER.match(user):
        raise _refuse("context.userId is not Type/id of a user")
    encounter = context.get("encounterId") or None
    if encounter is not None or stay:
        if not isinstance(encounter, str) or not FHIR_ID.match(encounter):
            raise _refuse("context.encounterId is not the id of an Encounter")
        encounter = f"Encounter/{encounter}"
    endpoint = _choose_endpoint(body, endpoints)
    return Call(
        endpoint=endpoint,
        hook=hook,
        patient=f"Patient/{patient}",
        user=user,
        encounter=encounter if stay else None,
        token=_read_token(body, endpoint, patient),
        told=_read_prefetch(
            body, endpoint, (f"Patient/{patient}", encounter if stay else None)
        ),
    )


def _read_prefetch(
    body: dict[str, Any], endpoint: Endpoint, wanted: Sequence[str | None]
) -> dict[str, Resource]:
    """Return what came along of what we asked for; anything else is passed over.

    Prefetched data may be missing, null or an error: it is then read as ever.
    """
    came = dict_of(body.get("prefetch"))
    bring_references_home(came, read_base_keys(endpoint.bases))
    items = [dict_of(came.get(name)) for name in PREFETCH]
    named = {f"{item.get('resourceType')}/{item.get('id')}": item for item in items}
    return {name: named[name] for name in wanted if name is not None and name in named}


def read_feedback(body: dict[str, Any]) -> tuple[Feedback, ...]:
    """Return what came of cards; a free comment is not read, it may tell of patients."""
    told = list_of(body.get("feedback"))
    if not told or len(told) > MOST_FEEDBACK:
        raise _refuse(f"feedback has to list 1 to {MOST_FEEDBACK} cards")
    return tuple(_read_one(dict_of(item)) for item in told)


def _read_one(item: dict[str, Any]) -> Feedback:
    card, outcome = item.get("card"), item.get("outcome")
    if not isinstance(card, str) or not FHIR_ID.match(card):
        raise _refuse("feedback.card is not the uuid of a card")
    if outcome not in ("accepted", "overridden"):
        raise _refuse("feedback.outcome is neither accepted nor overridden")
    reason = dict_of(dict_of(item.get("overrideReason")).get("reason")).get("code")
    known = isinstance(reason, str) and REASON_CODE.match(reason)
    return Feedback(card, outcome, str(reason) if known else "")


def _check_instance(value: object) -> None:
    try:
        UUID(str(value))
    except ValueError:
        raise _refuse("hookInstance is not a UUID") from None


def _choose_endpoint(body: dict[str, Any], endpoints: Sequence[Endpoint]) -> Endpoint:
    server = body.get("fhirServer")
    if server is None and len(endpoints) == 1 and body.get("fhirAuthorization") is None:
        return endpoints[0]
    named = server.rstrip("/") if isinstance(server, str) else ""
    for endpoint in endpoints:
        if endpoint.fhir_base == named:
            return endpoint
    raise CdsError(
        "fhirServer is not the FHIR base that is registered for the calling EHR. It "
        "was not asked and no token was sent there.",
        status=403,
        reason="server-unknown",
        code="forbidden",
    )


def _read_token(
    body: dict[str, Any], endpoint: Endpoint, patient: str
) -> Secret | None:
    grant = body.get("fhirAuthorization")
    if grant is None or endpoint.cds.client_id is None:
        return None
    granted = dict_of(grant)
    token, kind = granted.get("access_token"), granted.get("token_type")
    usable = isinstance(token, str) and TOKEN.match(token)
    if not usable or str(kind).lower() != "bearer":
        raise _refuse("fhirAuthorization has no usable Bearer access_token")
    if granted.get("subject") != endpoint.cds.client_id:
        raise _forbid("fhirAuthorization.subject is another client's than ours here")
    if "patient" in granted and granted["patient"] != patient:
        raise _forbid("fhirAuthorization.patient is another than context.patientId")
    scopes = str(granted.get("scope") or "").split()
    if not any(READS_PATIENT.match(scope) for scope in scopes):
        raise CdsError(
            "fhirAuthorization.scope does not let us read the Patient. No card was "
            "made; grant patient/*.rs or user/*.rs.",
            status=412,
            reason="not-permitted",
            code="security",
        )
    return Secret(str(token))


def _refuse(what: str) -> CdsError:
    words = f"{what}. No card was made; nothing was read."
    return CdsError(words, status=400, reason="body-wrong")


def _forbid(what: str) -> CdsError:
    words = f"{what}. The token was not used and no card was made."
    return CdsError(words, status=403, reason="token-foreign", code="forbidden")
