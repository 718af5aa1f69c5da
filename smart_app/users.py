"""Who is signed in, and whether they may change anything.

Only a practitioner of the launching EHR gets in. Who may look and change nothing is
the site's word; where it cannot be known whether it means this user, it does.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from mappings.endpoint import AppClient, Endpoint
from mappings.errors import FhirError, LaunchError
from mappings.reference import FHIR_ID
from mappings.resource import list_of
from mappings.scopes import Grant
from middleware.desk.viewer import mark
from middleware.ports import FhirApi
from smart_app.oauth import clean_text
from smart_app.scopes import allows_scope

MAY_ENTER = ("Practitioner", "PractitionerRole")
REFUSED = {
    "Patient": mark(
        "Only a practitioner of this EHR can open CareCue. You are signed in as a "
        "patient (Patient), so nothing was opened. Staff: ask the person who runs the "
        "EHR to link your account to a Practitioner."
    ),
    "RelatedPerson": mark(
        "Only a practitioner of this EHR can open CareCue. You are signed in as "
        "somebody beside a patient (RelatedPerson), so nothing was opened. Staff: ask "
        "the person who runs the EHR to link your account to a Practitioner."
    ),
    "Person": mark(
        "Only a practitioner of this EHR can open CareCue. You are signed in as a "
        "person without a role (Person), so nothing was opened. Staff: ask the person "
        "who runs the EHR to link your account to a Practitioner."
    ),
}
NO_EDIT = mark(
    "You can see everything here and change nothing: your role at this site is "
    "read-only. Ask the person who runs CareCue if that is wrong."
)
NO_SCOPE = mark(
    "You can see everything here and change nothing: the EHR did not give this app "
    "the scope that this site asks for before anything is changed."
)
NO_NAME = mark(
    "You can see everything here and change nothing: the EHR did not say who you "
    "are, only that you are signed in."
)


@dataclass(frozen=True)
class User:
    """Who the id_token says is signed in.

    ``reference`` is ``Practitioner/id`` or ``PractitionerRole/id``; None where the
    EHR names its users by ``sub`` alone and the site accepts that.
    """

    issuer: str
    subject: str
    reference: str | None


def read_user(claims: dict[str, Any], endpoint: Endpoint) -> User:
    """Return the user; LaunchError U1 for nobody known, U2 for who is no staff."""
    named = claims.get("fhirUser")
    text = named if isinstance(named, str) else ""
    home = next((b for b in endpoint.bases if text.startswith(f"{b.rstrip('/')}/")), "")
    reference = text.removeprefix(f"{home.rstrip('/')}/") if home else text
    kind, _, identifier = reference.partition("/")
    issuer, subject = str(claims["iss"]), str(claims["sub"])
    if kind in MAY_ENTER and FHIR_ID.match(identifier):
        return User(issuer, subject, reference)
    # On whichever base: where anybody may look, they may not.
    refused = next((name for name in REFUSED if f"/{name}/" in f"/{reference}/"), "")
    if refused:
        raise LaunchError(REFUSED[refused], code="U2", status=403)
    if endpoint.app.unknown_users:
        return User(issuer, subject, None)
    raise LaunchError(
        "Only a practitioner of this EHR can open CareCue. The EHR did not say "
        "that you are one. Nothing was opened. Ask the person who runs the EHR "
        "to link your account to a Practitioner or PractitionerRole.",
        code="U1",
        status=403,
        found=f"fhirUser {clean_text(text)}".strip(),
    )


def wants_roles(app: AppClient) -> bool:
    """Tell whether the site's list names roles, so that a user's have to be read."""
    return any(name != "*" and not _is_reference(name) for name in app.read_only)


def write_roles_query(reference: str) -> str:
    """Return what is asked for a user's roles: the one that signed in, or a search."""
    if reference.startswith("PractitionerRole/"):
        return reference
    return f"PractitionerRole?practitioner={reference}"


def fetch_roles(api: FhirApi, reference: str) -> list[str] | None:
    """Return the codes of a user's roles, ``code`` and ``system|code``; None unknown."""
    try:
        query = write_roles_query(reference)
        if query == reference:
            found: Iterable[dict[str, Any]] = [api.fetch(reference)]
        else:
            answer = api.fetch_search(query)
            if not answer.complete:
                return None
            found = answer.resources
    except FhirError:
        return None
    codings = [
        coding
        for role in found
        if role.get("resourceType") == "PractitionerRole"
        and role.get("active") is not False
        for concept in list_of(role.get("code"))
        if isinstance(concept, dict)
        for coding in list_of(concept.get("coding"))
        if isinstance(coding, dict)
    ]
    names = [str(coding.get("code") or "") for coding in codings]
    whole = [f"{coding.get('system')}|{coding.get('code')}" for coding in codings]
    return sorted({*names, *whole} - {""})


def find_read_only(
    app: AppClient,
    reference: str | None,
    roles: Iterable[str] | None,
    granted: Grant,
) -> str:
    """Return why a user may change nothing; an empty text for who may."""
    if reference is None:
        return NO_NAME
    listed = set(app.read_only)
    if "*" in listed or reference in listed:
        return NO_EDIT
    if wants_roles(app) and (roles is None or listed & set(roles)):
        return NO_EDIT
    if app.edit_scope and not allows_scope(granted, app.edit_scope):
        return NO_SCOPE
    return ""


def _is_reference(name: str) -> bool:
    kind, _, identifier = name.partition("/")
    return kind in MAY_ENTER and bool(FHIR_ID.match(identifier))
