"""The table of dialects, and which one an endpoint speaks.

Pure. A new server is one module here and one word in the table.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from mappings.dialects import (
    aidbox,
    athena,
    azure,
    candle,
    epic,
    firely,
    google,
    hapi,
    inferno,
    launcher,
    meditech,
    medplum,
    oracle,
    sandbox,
    standard,
    uscore,
)
from mappings.dialects.app_ways import AppWays
from mappings.dialects.dialect import Dialect, TopicRule
from mappings.errors import BadInputError

_MODULES = (
    hapi,
    medplum,
    aidbox,
    athena,
    candle,
    firely,
    azure,
    google,
    epic,
    oracle,
    inferno,
    launcher,
    meditech,
    sandbox,
    uscore,
    standard,
)
DIALECTS: dict[str, Dialect] = {
    module.DIALECT.name: module.DIALECT for module in _MODULES
}
KNOWN_TOPICS: dict[str, TopicRule] = {
    rule.canonical: rule for dialect in DIALECTS.values() for rule in dialect.rules
}


def choose_dialect(
    profile: Mapping[str, Any], statement: Mapping[str, Any] | None = None
) -> Dialect:
    """Return the dialect that a profile names as ``server``, else the suggested one.

    BadInputError for a name that is none.
    """
    name = profile.get("server")
    if name is None:
        return suggest_dialect(statement or {})
    if name not in DIALECTS:
        raise BadInputError(
            f"[profile] server {name!r} is not known; nothing was changed; use one of "
            f"{', '.join(sorted(DIALECTS))}."
        )
    return DIALECTS[str(name)]


def app_ways(profile: Mapping[str, Any]) -> AppWays:
    """Return what is special about launches from the server that a profile names.

    The profile's own ``scope_style``, ``authorize_post`` and ``authorize_in_window``
    go before. BadInputError for a server that is not known.
    """
    ways = choose_dialect(profile).app if "server" in profile else AppWays()
    window = profile.get("authorize_in_window")
    return replace(
        ways,
        scope_style=profile.get("scope_style", ways.scope_style),
        authorize_post=profile.get("authorize_post", ways.authorize_post),
        framed=ways.framed if window is None else not window,
    )


def suggest_dialect(statement: Mapping[str, Any]) -> Dialect:
    """Return the dialect that a CapabilityStatement's own words suggest."""
    software = statement.get("software")
    implementation = statement.get("implementation")
    words = " ".join(
        str(part.get(key) or "")
        for part, key in (
            (software if isinstance(software, Mapping) else {}, "name"),
            (statement, "publisher"),
            (statement, "name"),
            (
                implementation if isinstance(implementation, Mapping) else {},
                "description",
            ),
        )
    ).lower()
    for dialect in DIALECTS.values():
        if any(
            re.search(rf"\b{re.escape(word)}\b", words) for word in dialect.software
        ):
            return dialect
    return standard.DIALECT
