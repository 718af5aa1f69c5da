"""What a CapabilityStatement declares for a resource type, and beside it.

Source: FHIR R4 CapabilityStatement. Whatever is missing or misshapen is not declared.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mappings.resource import Resource, values_at


def list_rests(statement: Mapping[str, Any]) -> list[Resource]:
    """Return what it says of each RESTful end."""
    return [item for item in values_at(statement, "rest") if isinstance(item, dict)]


def list_declared(statement: Mapping[str, Any], name: str) -> list[Resource]:
    """Return all that it says of one resource type."""
    found = [
        item for rest in list_rests(statement) for item in values_at(rest, "resource")
    ]
    return [
        item for item in found if isinstance(item, dict) and item.get("type") == name
    ]


def find_declared(statement: Mapping[str, Any] | None, name: str) -> Resource | None:
    """Return the first that it says of one resource type."""
    return next(iter(list_declared(statement or {}, name)), None)


def read_interactions(declared: Mapping[str, Any]) -> set[str]:
    """Return the interactions that are declared for a type."""
    return {str(code) for code in values_at(declared, "interaction.code")}


def choose_release(statement: Mapping[str, Any]) -> str:
    """Return the release whose spelling a server takes: R4 (also for R4B) or R5."""
    return "R5" if str(statement.get("fhirVersion", "")).startswith("5.") else "R4"
