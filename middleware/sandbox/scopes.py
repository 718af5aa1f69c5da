"""SMART scopes: the grammars of versions 1 and 2, and what covers what.

It may not know tokens, clients or HTTP: text in, values out.
Source: https://hl7.org/fhir/smart-app-launch/STU2.2/scopes-and-launch-context.html
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

LITERALS = frozenset(
    {
        "openid",
        "fhirUser",
        "profile",
        "launch",
        "launch/patient",
        "launch/encounter",
        "online_access",
        "offline_access",
    }
)
VERSION_1 = {"read": "rs", "write": "cud", "*": "cruds"}
RESOURCE_SCOPE = re.compile(
    r"(?P<level>patient|user|system)/(?P<type>\*|[A-Z][A-Za-z]{1,63})\."
    r"(?:(?P<v1>read|write|\*)|(?P<v2>(?=[cruds])c?r?u?d?s?)(?:\?(?P<query>\S+))?)"
)
CATEGORY = re.compile(r"category=(?P<token>[^\s&=|]*\|[^\s&=|]+)")


@dataclass(frozen=True)
class Scope:
    """One resource scope: who, which type, which of c r u d s, which part.

    `category` is the token `system|code` of a granular scope; None means the
    whole type. A granular part of another shape is kept as the empty token,
    which no resource has, so that it grants nothing.
    """

    level: str
    resource_type: str
    interactions: frozenset[str]
    category: str | None = None

    def names(self, resource_type: str) -> bool:
        """Tell whether this scope is about a resource type."""
        return self.resource_type in ("*", resource_type)


def parse_scope(text: str) -> Scope | None:
    """Answer the resource scope that a word says; None when it is another word."""
    match = RESOURCE_SCOPE.fullmatch(text)
    if match is None:
        return None
    letters = VERSION_1[match["v1"]] if match["v1"] else match["v2"]
    category = None
    if match["query"] is not None:
        granular = CATEGORY.fullmatch(match["query"])
        category = granular["token"] if granular else ""
    return Scope(match["level"], match["type"], frozenset(letters), category)


def parse_scopes(text: str) -> tuple[str, ...]:
    """Answer the words of a scope parameter, each once, in their order.

    ValueError names the first word that is in neither grammar.
    """
    words = tuple(dict.fromkeys(text.split()))
    for word in words:
        if word not in LITERALS and parse_scope(word) is None:
            raise ValueError(f"{word!r} is not a scope of SMART 1 or 2")
    return words


def covers(granted: Iterable[str], wanted: str) -> bool:
    """Tell whether granted words give everything that a wanted word asks for."""
    words = frozenset(granted)
    if wanted in words:
        return True
    scope = parse_scope(wanted)
    if scope is None:
        return False
    given: frozenset[str] = frozenset()
    for word in words:
        other = parse_scope(word)
        if other is None or other.level != scope.level:
            continue
        if other.resource_type not in ("*", scope.resource_type):
            continue
        if other.category in (None, scope.category):
            given |= other.interactions
    return scope.interactions <= given


def find_uncovered(granted: Iterable[str], wanted: Iterable[str]) -> list[str]:
    """Answer the wanted words that granted ones do not cover, in their order."""
    words = frozenset(granted)
    return [word for word in wanted if not covers(words, word)]
