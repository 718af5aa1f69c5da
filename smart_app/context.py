"""What a launch is told beside patient and encounter, as far as it can be believed.

Members are bounded and of plain text; one that is not what it should be is left out,
for none of them is needed. Source: SMART App Launch 2.2, launch context.
"""

from __future__ import annotations

from typing import Any

MOST_ITEMS = 20
LONGEST = 300
ITEM = ("reference", "canonical", "type", "role")


def read_context(answer: dict[str, Any]) -> dict[str, Any]:
    """Return intent, tenant, fhirContext and the style's URL, where they are usable."""
    found: dict[str, Any] = {
        name: value
        for name in ("intent", "tenant")
        if (value := _text(answer.get(name))) is not None
    }
    items = answer.get("fhirContext")
    if isinstance(items, list):
        read = [_item(item) for item in items[:MOST_ITEMS]]
        found["fhir_context"] = [item for item in read if item]
    style = _text(answer.get("smart_style_url"))
    if style is not None:
        found["style_url"] = style
    return found


def _item(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        return {}
    item: dict[str, Any] = {
        name: text for name in ITEM if (text := _text(value.get(name))) is not None
    }
    identifier = value.get("identifier")
    if isinstance(identifier, dict):
        named = {
            name: text
            for name in ("system", "value")
            if (text := _text(identifier.get(name))) is not None
        }
        if named:
            item["identifier"] = named
    if not {"reference", "canonical", "identifier"} & set(item):
        return {}
    # SMART App Launch 2.2: an item without a role was launched with.
    return {"role": "launch", **item}


def _text(value: Any) -> str | None:
    usable = isinstance(value, str) and 0 < len(value) <= LONGEST
    return value if usable and value.isprintable() else None
