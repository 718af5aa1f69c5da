"""JSON Patch on a resource. Pure: a document and operations in, a new document out.

Source: RFC 6902 and RFC 6901.
"""

from typing import Any

import orjson

from middleware.sandbox.outcome import FhirFault

OPERATIONS = {"add", "remove", "replace", "move", "copy", "test"}


def apply_patch(document: dict[str, Any], operations: Any) -> dict[str, Any]:
    """Answer the patched copy of a document.

    FhirFault 400 when the patch is no JSON Patch, 422 when it does not fit the
    document or one of its tests does not hold.
    """
    if not isinstance(operations, list) or not operations:
        raise FhirFault(400, "A JSON Patch is a list of operations.")
    patched: dict[str, Any] = orjson.loads(orjson.dumps(document))
    for operation in operations:
        if not isinstance(operation, dict) or operation.get("op") not in OPERATIONS:
            raise FhirFault(400, "Each operation has op: " + ", ".join(OPERATIONS))
        try:
            _apply(patched, operation)
        except (KeyError, IndexError, ValueError, TypeError) as error:
            raise FhirFault(
                422, "An operation does not fit the resource; nothing was changed."
            ) from error
    return patched


def _apply(document: Any, operation: dict[str, Any]) -> None:
    op, path = operation["op"], _pointer(operation["path"])
    if op == "test":
        if _read(document, path) != operation["value"]:
            raise FhirFault(422, "A test of the patch failed; nothing was changed.")
    elif op == "remove":
        _remove(document, path)
    elif op == "replace":
        _read(document, path)
        parent = _read(document, path[:-1])
        key = _index(parent, path[-1])
        parent[key] = operation["value"]
    elif op == "add":
        _add(document, path, operation["value"])
    else:
        source = _pointer(operation["from"])
        value = orjson.loads(orjson.dumps(_read(document, source)))
        if op == "move":
            _remove(document, source)
        _add(document, path, value)


def _pointer(text: str) -> list[str]:
    first, *parts = text.split("/")
    if first or not parts:
        raise ValueError("a JSON Pointer into a resource starts with /")
    return [part.replace("~1", "/").replace("~0", "~") for part in parts]


def _index(parent: Any, part: str) -> Any:
    if not isinstance(parent, list):
        return part
    if not part.isdecimal() or (len(part) > 1 and part.startswith("0")):
        raise ValueError("a list is addressed by a position")
    return int(part)


def _read(document: Any, path: list[str]) -> Any:
    node = document
    for part in path:
        node = node[_index(node, part)]
    return node


def _remove(document: Any, path: list[str]) -> None:
    parent = _read(document, path[:-1])
    del parent[_index(parent, path[-1])]


def _add(document: Any, path: list[str], value: Any) -> None:
    parent = _read(document, path[:-1])
    if not isinstance(parent, list):
        if not isinstance(parent, dict):
            raise TypeError("only an object or a list can be added to")
        parent[path[-1]] = value
        return
    position = len(parent) if path[-1] == "-" else _index(parent, path[-1])
    if position > len(parent):
        raise IndexError("beyond the end of the list")
    parent.insert(position, value)
