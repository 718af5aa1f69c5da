"""Whether references lead somewhere: on write, and when something is deleted.

It reads a transaction before its commit; it may not change anything.
"""

import re
from collections.abc import Callable

from middleware.sandbox.models import resource_types
from middleware.sandbox.outcome import FhirFault
from middleware.sandbox.search import View
from middleware.sandbox.state import Change, Resource, references_in, targets_of

_LOCAL = re.compile(
    r"([A-Z][A-Za-z]+)/([A-Za-z0-9\-.]{1,64})(?:/_history/[A-Za-z0-9\-.]{1,64})?"
)


def check_integrity(view: View, changes: list[Change]) -> None:
    """Refuse changes that would leave a local reference without its target.

    FhirFault 422 names the element; 409 names who still refers to what is deleted.
    Absolute references to elsewhere are not followed.
    """
    for change in changes:
        latest = view.latest(change.type, change.id)
        if latest is not change:
            continue
        if change.resource is None:
            _check_unreferenced(view, change)
        else:
            _check_references(view, change.resource)


def _check_references(view: View, resource: Resource) -> None:
    contained = {f"#{inner.get('id')}" for inner in resource.get("contained", [])}
    for path, reference in references_in(resource):
        where = f"{resource['resourceType']}.{path}.reference"
        if reference.startswith("#"):
            if reference not in contained and reference != "#":
                raise FhirFault(422, f"{where} names nothing contained.", "not-found")
        elif "://" not in reference:
            _check_reference(view, reference, where)


def _check_reference(view: View, reference: str, where: str) -> None:
    if reference.startswith("urn:"):
        raise FhirFault(422, f"{where} names no entry of this Bundle.", "not-found")
    match = _LOCAL.fullmatch(reference)
    type_, id_ = match.groups() if match else ("", "")
    if type_ not in resource_types():
        raise FhirFault(422, f"{where} is not Type/id of an R4 type.", "value", where)
    if view.get(type_, id_) is None:
        raise FhirFault(
            422, f"{where} names a {type_} that is not here.", "not-found", where
        )


def _check_unreferenced(view: View, change: Change) -> None:
    target = f"{change.type}/{change.id}"
    for type_ in view.types():
        for resource in view.candidates(type_, target):
            if (type_, resource["id"]) != (change.type, change.id):
                raise FhirFault(
                    409,
                    f"{type_}/{resource['id']} still refers to {target}; nothing was "
                    "deleted; remove that reference first.",
                )


def localize(resource: Resource, base: str) -> None:
    """Make absolute references to this very server relative, in place."""
    if any(target.startswith(f"{base}/") for target in targets_of(resource)):
        rewrite(resource, lambda text: text.removeprefix(f"{base}/"))


def rewrite(node: object, change: Callable[[str], str]) -> None:
    """Replace every literal reference inside a JSON value, in place."""
    if isinstance(node, dict):
        reference = node.get("reference")
        if isinstance(reference, str):
            node["reference"] = change(reference)
        for inner in node.values():
            rewrite(inner, change)
    elif isinstance(node, list):
        for inner in node:
            rewrite(inner, change)
