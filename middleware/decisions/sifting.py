"""FHIRPath's ``where``, ``exists`` and ``|``: what the engine does, each thing done once.

The engine evaluates a criterion twice for each item and counts what a union cannot hold.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fhirpathpy.engine.invocations import combining, invocation_registry
from fhirpathpy.engine.nodes import ResourceNode
from fhirpathpy.engine.util import flatten


def _where(context: dict[str, Any], data: Any, holds: Callable[[Any], Any]) -> Any:
    kept = []
    for index, item in enumerate(data if isinstance(data, list) else ()):
        context["$index"] = index
        found = holds(item)
        if len(found) > 0 and found[0]:
            kept.append(item)
    return flatten(kept)


def _exists(
    context: dict[str, Any], data: Any, holds: Callable[[Any], Any] | None = None
) -> bool:
    found = data if holds is None else _where(context, data, holds)
    return not (isinstance(found, list) and not found)


def _union(context: dict[str, Any], one: list[Any], other: list[Any]) -> Any:
    found = one + other
    if all(type(item) is str for item in found):
        return list(dict.fromkeys(found))
    if len(found) == 1 and type(found[0]) is dict:
        return found
    if len(found) == 1 and isinstance(found[0], ResourceNode):
        return [ResourceNode.create_node(found[0].data)]
    return combining.union_op(context, one, other)


_REGISTRY: Any = invocation_registry
SIFTING: dict[str, dict[str, Any]] = {
    name: {**_REGISTRY[name], "fn": function}
    for name, function in (("where", _where), ("exists", _exists), ("|", _union))
}
