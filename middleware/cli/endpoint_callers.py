"""The options of `carecue endpoint add` that say who may call our CDS Hooks services."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from mappings.endpoint import CdsCaller

# Each is a field of [cds]; those with True may be given again and again.
_OPTIONS = (
    ("issuers", "--cds-issuer", "URL", True, "iss of the JWTs that the EHR signs."),
    ("key_urls", "--cds-keys", "URL", True, "Where the keys of those JWTs are: jku."),
    ("tenants", "--cds-tenant", "TEXT", True, "tenant that may call; else any."),
    ("client_id", "--cds-client-id", "TEXT", False, "fhirAuthorization.subject: ours."),
    ("origins", "--cds-origin", "URL", True, "Origin that calls from a browser."),
)


def with_callers(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options; it gets them as ``cds_`` and the field's name."""
    for name, option, kind, many, told in reversed(_OPTIONS):
        decorate = click.option(
            option,
            f"cds_{name}",
            metavar=kind,
            multiple=many,
            help=f"{told} In place of [cds] {name}.{' Repeatable.' if many else ''}",
        )
        command = decorate(command)
    return command


def read_callers(given: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of [cds] that were given as options, lists as in a file."""
    return {
        name.removeprefix("cds_"): list(value) if isinstance(value, tuple) else value
        for name, value in given.items()
        if value
    }


def write_callers(caller: CdsCaller) -> str:
    """Say in a line whose calls are believed; empty where nobody's are."""
    if not caller.issuers:
        return ""
    issuers, keys = ", ".join(caller.issuers), ", ".join(caller.key_urls)
    return f"CDS Hooks: calls of {issuers} are believed, with keys of {keys}."
