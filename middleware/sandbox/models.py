"""The R4 definitions that the server holds resources against, loaded once.

Elements come from the R4 models of fhirclient, search parameters and required
codes from the two tables in `r4/`. It may not see the store or a request.
"""

import importlib
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

import orjson

WITHOUT_PARAMETERS = frozenset({"Binary"})
COMMON = {
    "_id": "token id",
    "_lastUpdated": "date meta.lastUpdated",
    "_profile": "uri meta.profile",
    "_security": "token meta.security",
    "_source": "uri meta.source",
    "_tag": "token meta.tag",
}

Segment = tuple[str, str, str]
Path = tuple[Segment, ...]


@dataclass(frozen=True)
class Parameter:
    """One search parameter: its kind, the elements it reads, its only target type."""

    name: str
    kind: str
    paths: tuple[Path, ...]
    only: str | None


@dataclass(frozen=True)
class Element:
    """One element of a model: JSON name, model or primitive, list, choice, required."""

    name: str
    type: Any
    many: bool
    choice: str | None
    required: bool


@cache
def resource_types() -> frozenset[str]:
    """Answer the names of the R4 resource types that can be stored."""
    return frozenset(_table("parameters.json")) | WITHOUT_PARAMETERS


@cache
def parameters_of(type_: str) -> dict[str, Parameter]:
    """Answer the search parameters of a type by name.

    Source: https://hl7.org/fhir/R4/searchparameter-registry.html
    """
    written = {**_table("parameters.json").get(type_, {}), **COMMON}
    return {name: _parameter(name, text) for name, text in written.items()}


@cache
def codes_of(type_: str) -> dict[str, frozenset[str]]:
    """Answer, for a type's code elements by path, the codes that R4 requires."""
    written = _table("codes.json").get(type_, {})
    return {path: frozenset(codes.split()) for path, codes in written.items()}


@cache
def model_of(type_: str) -> Any:
    """Answer fhirclient's R4 model class of a resource type."""
    module = importlib.import_module(f"fhirclient.models.{type_.lower()}")
    return getattr(module, type_)


@cache
def elements_of(model: Any) -> dict[str, Element]:
    """Answer the elements of a model class by JSON name."""
    return {
        name: Element(name, type_, many, choice, required)
        for _, name, type_, many, choice, required in model().elementProperties()
    }


@cache
def _table(name: str) -> dict[str, dict[str, str]]:
    file = resources.files("middleware.sandbox") / "r4" / name
    table: dict[str, Any] = orjson.loads(file.read_bytes())
    del table["_source"]
    return table


def _parameter(name: str, text: str) -> Parameter:
    kind, *paths = text.split()
    kind, _, only = kind.partition(">")
    return Parameter(name, kind, tuple(map(_path, paths)), only or None)


def _path(text: str) -> Path:
    segments = []
    for part in text.split("."):
        name, _, condition = part.partition("[")
        key, _, value = condition.rstrip("]").partition("=")
        segments.append((name, key, value))
    return tuple(segments)
