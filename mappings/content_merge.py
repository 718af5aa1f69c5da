"""Content out of several places: what is shipped, and what a site added or replaced.

Of two resources of one canonical URL the higher version is in force; at the same
version the site's own. Errors name the place (a file), the resource and the element.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from mappings.content import read_library
from mappings.errors import ContentError
from mappings.plan import Library
from mappings.resource import Resource

TYPES = (
    "ActivityDefinition",
    "CodeSystem",
    "ConceptMap",
    "PlanDefinition",
    "Questionnaire",
    "ValueSet",
)
NEEDED = ("id", "url", "version", "status")


@dataclass(frozen=True)
class Placed:
    """One resource and the place it was read from: shipped, imported, or a file."""

    place: str
    resource: Resource

    @property
    def name(self) -> str:
        """Return ``Type/id``."""
        return f"{self.resource.get('resourceType')}/{self.resource.get('id')}"

    @property
    def url(self) -> str:
        """Return the canonical URL, without a version."""
        return str(self.resource.get("url"))


def check_placed(item: Placed) -> None:
    """Raise ContentError where a resource cannot be content at all."""
    if item.resource.get("resourceType") not in TYPES:
        kinds = ", ".join(TYPES)
        raise ContentError(f"{item.place}: {item.name} is none of {kinds}")
    for element in NEEDED:
        value = item.resource.get(element)
        if not isinstance(value, str) or not value:
            raise ContentError(f"{item.place}: {item.name}: {element} is missing")
    version_key(item)


def version_key(item: Placed) -> tuple[int, ...]:
    """Return a version such as 1.10.0 so that versions can be compared."""
    version = str(item.resource.get("version"))
    parts = version.split(".")
    if not all(part.isascii() and part.isdigit() for part in parts):
        raise ContentError(
            f"{item.place}: {item.name}: version {version!r} is not made of numbers "
            "and dots"
        )
    numbers = [int(part) for part in parts]
    while numbers and numbers[-1] == 0:
        numbers.pop()
    return tuple(numbers)


def merge_content(*layers: Iterable[Placed]) -> tuple[Placed, ...]:
    """Return what is in force; a later layer wins at the same version.

    Raises ContentError where two resources of one type share an id, or one layer holds
    a version twice.
    """
    found: dict[str, Placed] = {}
    for layer in layers:
        mine: dict[tuple[str, tuple[int, ...]], Placed] = {}
        for item in layer:
            check_placed(item)
            twin = mine.setdefault((item.url, version_key(item)), item)
            if twin is not item:
                raise ContentError(
                    f"{item.place}: {item.name}: url and version are those of "
                    f"{twin.place}"
                )
            known = found.get(item.url)
            if known is None or version_key(item) >= version_key(known):
                found[item.url] = item
    _check_ids(found.values())
    return tuple(found.values())


def _check_ids(content: Iterable[Placed]) -> None:
    known: dict[str, Placed] = {}
    for item in content:
        other = known.setdefault(item.name, item)
        if other is not item:
            raise ContentError(
                f"{item.place}: {item.name}: id is that of {other.url}, from "
                f"{other.place}; choose another"
            )


def require_newer(fresh: Iterable[Placed], present: Iterable[Placed]) -> None:
    """Raise ContentError for what would not replace what it has the URL of."""
    known = {item.url: item for item in present}
    for item in fresh:
        other = known.get(item.url)
        if other is None or item.resource == other.resource:
            continue
        if version_key(item) <= version_key(other):
            raise ContentError(
                f"{item.place}: {item.name}: version {item.resource['version']} is not "
                f"higher than {other.resource['version']}, which is in force; raise it"
            )


def read_placed(
    content: Sequence[Placed], reviewers: Mapping[str, str] | None = None
) -> Library:
    """Read a library as :func:`mappings.content.read_library`; errors name the place."""
    try:
        return read_library([item.resource for item in content], reviewers)
    except ContentError as error:
        raise ContentError(f"{_place_of(error.message, content)}{error}") from None


def _place_of(message: str, content: Iterable[Placed]) -> str:
    """Return the place of the resource that a message begins with."""
    for item in content:
        kind, identifier = item.resource["resourceType"], item.resource["id"]
        names = (f"{kind} {identifier}", f"{kind} {identifier},", item.url)
        begins = (name + end for name in names for end in (" ", ":", ","))
        if item.place != "shipped" and message.startswith(tuple(begins)):
            return f"{item.place}: "
    return ""
