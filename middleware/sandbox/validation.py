"""Whether a resource is R4: elements, types, cardinality, required codes.

It may not see the store; whether references lead somewhere is integrity.py's.
The models are fhirclient's (R4 4.0.1).
"""

import re
from collections.abc import Iterator
from itertools import islice
from typing import Any

from middleware.sandbox.models import (
    Element,
    codes_of,
    elements_of,
    model_of,
    resource_types,
)
from middleware.sandbox.outcome import FhirFault, printable

ID = re.compile(r"[A-Za-z0-9\-.]{1,64}")
NAMES = {str: "a string", int: "an integer", float: "a number", bool: "a boolean"}
_CODE = re.compile(r"\S+( \S+)*")
_MOST = 5
_DEEPEST = 60

Problem = tuple[str, str]


def check_resource(resource: Any, type_: str | None = None) -> None:
    """Refuse what is not an R4 resource (of this type): FhirFault 400 or 422.

    The diagnostics name the element and what is wrong, never its value.
    """
    if not isinstance(resource, dict):
        raise FhirFault(400, "The body is not a JSON object with a resourceType.")
    named = resource.get("resourceType")
    if not isinstance(named, str) or named not in resource_types():
        raise FhirFault(422, "resourceType names no FHIR R4 resource type.")
    if type_ is not None and named != type_:
        raise FhirFault(422, f"This is a {named}, but {type_} was addressed.")
    found = _object(resource, model_of(named), (named, ""), named)
    problems = list(islice(found, _MOST))
    if problems:
        sentences = "; ".join(f"{path}: {text}" for path, text in problems)
        raise FhirFault(422, sentences, code="structure", expression=problems[0][0])


def _object(
    value: dict[str, Any], model: Any, place: tuple[str, str], path: str
) -> Iterator[Problem]:
    if path.count(".") > _DEEPEST:
        yield path[:200], "this is nested too deeply"
        return
    if not value:
        yield path, "an object may not be empty"
    elements = elements_of(model)
    seen = set()
    for name, inner in value.items():
        element = elements.get(name.removeprefix("_"))
        if name == "resourceType" and "implicitRules" in elements:
            continue
        if element is None:
            yield path, f"{printable(name)} is no element of {model.__name__}"
            continue
        seen.add(element.choice or element.name)
        if name.startswith("_"):
            continue
        shown = inner
        if f"_{name}" in value and isinstance(inner, list):
            # A null keeps the place of an item that has only extensions.
            shown = [item for item in inner if item is not None] or [None]
        yield from _element(shown, element, model, place, f"{path}.{name}")
    for element in elements.values():
        slot = element.choice or element.name
        if element.required and slot not in seen:
            seen.add(slot)
            yield f"{path}.{slot}", "this required element is missing"


def _element(
    value: Any, element: Element, model: Any, place: tuple[str, str], path: str
) -> Iterator[Problem]:
    if element.many:
        if not isinstance(value, list) or not value:
            yield path, "this must be a list that is not empty"
            return
        for position, item in enumerate(value):
            yield from _one(item, element, model, place, f"{path}[{position}]")
    else:
        yield from _one(value, element, model, place, path)


def _one(
    value: Any, element: Element, model: Any, place: tuple[str, str], path: str
) -> Iterator[Problem]:
    kind = element.type
    if kind in NAMES:
        yield from _primitive(value, kind, element, place, path)
    elif not hasattr(kind, "elementProperties"):
        yield from _date(value, kind, path)
    elif not isinstance(value, dict):
        yield path, "this must be an object"
    elif kind.__name__ == "Resource":
        yield from _resource(value, path)
    else:
        owner, below = place
        own = kind.__module__ == model.__module__
        inner = (owner, f"{below}{element.name}.") if own else (kind.__name__, "")
        yield from _object(value, kind, inner, path)


def _resource(value: dict[str, Any], path: str) -> Iterator[Problem]:
    named = value.get("resourceType")
    if not isinstance(named, str) or named not in resource_types():
        yield f"{path}.resourceType", "this names no FHIR R4 resource type"
    else:
        yield from _object(value, model_of(named), (named, ""), path)


def _primitive(
    value: Any, kind: Any, element: Element, place: tuple[str, str], path: str
) -> Iterator[Problem]:
    right = isinstance(value, int | float if kind is float else kind)
    if isinstance(value, bool) and kind is not bool:
        right = False
    if not right:
        yield path, f"this must be {NAMES[kind]}"
    elif value == "":
        yield path, "a string may not be empty"
    elif kind is str:
        owner, below = place
        codes = codes_of(owner).get(f"{below}{element.name}")
        if codes is not None and value not in codes:
            yield path, "this code is not one of: " + ", ".join(sorted(codes))
        elif path.endswith((".reference", ".url")) and not _CODE.fullmatch(value):
            yield path, "this may not hold leading, trailing or double spaces"


def _date(value: Any, kind: Any, path: str) -> Iterator[Problem]:
    name = kind.__name__.removeprefix("FHIR")
    if not isinstance(value, str):
        yield path, f"this must be a FHIR {name} in text"
        return
    try:
        kind(value)
    except ValueError:
        yield path, f"this must be a FHIR {name}"
