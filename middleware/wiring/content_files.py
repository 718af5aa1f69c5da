"""Content in files: a folder of FHIR JSON, read and written."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import orjson

from mappings.content import shipped_resources
from mappings.content_merge import Placed, check_placed
from mappings.errors import BadInputError, ContentError
from mappings.resource import Resource, list_of

Signature = tuple[tuple[str, int, int], ...]


def shipped() -> tuple[Placed, ...]:
    """Return what the release brings."""
    return tuple(Placed("shipped", item) for item in shipped_resources())


def read_files(place: Path) -> tuple[Placed, ...]:
    """Read a JSON file, or all of a folder and its folders, in a stable order.

    A file holds one resource or a Bundle. Raises ContentError naming the file, and
    BadInputError when there is nothing of that name.
    """
    if not place.exists():
        raise BadInputError(f"There is no file or folder {place}.")
    found = tuple(item for file in _files(place) for item in _read(file))
    for item in found:
        check_placed(item)
    return found


def signature(folder: Path) -> Signature:
    """Return what changes when a file of a folder does: names, times and sizes.

    Raises ContentError where the folder is not there, or cannot be looked into.
    """
    try:
        stats = [(str(file), file.stat()) for file in _files(folder)]
    except OSError as error:
        raise ContentError(
            f"{folder}: it cannot be looked into ({error.strerror})"
        ) from None
    return tuple((name, stat.st_mtime_ns, stat.st_size) for name, stat in stats)


def write_files(folder: Path, content: Iterable[Placed]) -> int:
    """Write each resource to a file of its own; return how many."""
    count = 0
    for item in content:
        kind = str(item.resource["resourceType"])
        file = folder / kind / f"{item.resource['id']}.json"
        file.parent.mkdir(parents=True, exist_ok=True)
        written = orjson.dumps(item.resource, option=orjson.OPT_INDENT_2)
        file.write_bytes(written + b"\n")
        count += 1
    return count


def _files(place: Path) -> list[Path]:
    return sorted(place.rglob("*.json")) if place.is_dir() else [place]


def _read(file: Path) -> Iterator[Placed]:
    try:
        resource = orjson.loads(file.read_bytes())
    except OSError as error:
        raise ContentError(f"{file}: it cannot be read ({error.strerror})") from None
    except orjson.JSONDecodeError as error:
        line, column = error.lineno, error.colno
        raise ContentError(
            f"{file}: line {line}, column {column}: it is not JSON"
        ) from None
    if not isinstance(resource, dict) or not resource.get("resourceType"):
        raise ContentError(f"{file}: resourceType is missing: it is no FHIR resource")
    for item in _unpacked(resource):
        yield Placed(str(file), item)


def _unpacked(resource: Resource) -> Iterator[Resource]:
    if resource["resourceType"] != "Bundle":
        yield resource
        return
    for entry in list_of(resource.get("entry")):
        inner = entry.get("resource") if isinstance(entry, dict) else None
        if isinstance(inner, dict):
            yield inner
