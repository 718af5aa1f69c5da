"""SMART scopes as values: versions 1 and 2, granular parts, and what covers what.

Pure. Servers spell what they grant in many ways: old and new words mixed, in any case,
twice, for ``user`` where ``patient`` was asked. Source: SMART App Launch 2.2, scopes
and launch context.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

_SCOPE = re.compile(
    r"(patient|user|system)/([A-Za-z]+|\*)\.([a-z*]+)(\?\S*)?", re.IGNORECASE
)
_OLD = {"read": "rs", "write": "cud", "*": "cruds"}
LETTERS = "cruds"


@dataclass(frozen=True)
class Scope:
    """One resource scope: for whom, which type, which of c r u d s, which part."""

    level: str
    type: str
    letters: frozenset[str]
    part: str = ""

    def covers(self, other: Scope) -> bool:
        """Tell whether this scope alone gives all of another, of any level."""
        return (
            self.type in ("*", other.type)
            and self.part in ("", other.part)
            and other.letters <= self.letters
        )


def read_scope(word: str) -> Scope | None:
    """Read one word; None for one that is no resource scope."""
    match = _SCOPE.fullmatch(word)
    if match is None:
        return None
    level, name, power, part = match.groups()
    letters = _OLD.get(power.lower(), power.lower())
    return Scope(level.lower(), name, frozenset(letters), (part or "").lstrip("?"))


def write_resource_scope(
    level: str, name: str, letters: str, *, style: str = "v2"
) -> str:
    """Write one scope in version 2 or, where a server knows no other, version 1."""
    if style == "v2":
        return f"{level}/{name}.{letters}"
    reads, writes = bool(set(letters) & set("rs")), bool(set(letters) & set("cud"))
    power = "*" if reads and writes else "write" if writes else "read"
    return f"{level}/{name}.{power}"


@dataclass(frozen=True)
class Grant:
    """Everything that a server granted; ``words`` are those without a resource."""

    scopes: tuple[Scope, ...]
    words: frozenset[str]

    def allows(
        self, levels: Iterable[str], name: str, letters: str, part: str = ""
    ) -> bool:
        """Tell whether every letter is granted for the whole of a type, or of a part."""
        have = {
            letter
            for scope in self._about(levels, name)
            if scope.part in ("", part)
            for letter in scope.letters
        }
        return set(letters) <= have

    def reaches(self, levels: Iterable[str], name: str, letters: str) -> bool:
        """Tell whether every letter is granted for a type, if only for parts of it."""
        have = {
            letter for scope in self._about(levels, name) for letter in scope.letters
        }
        return set(letters) <= have

    def narrows(self, levels: Iterable[str], name: str, letters: str) -> bool:
        """Tell whether the letters are granted, but for a part of a type only."""
        return self.reaches(levels, name, letters) and not self.allows(
            levels, name, letters
        )

    def exceeds(self, other: Grant) -> tuple[str, ...]:
        """Return the types of which this grant gives more than another one did."""
        return tuple(
            dict.fromkeys(
                scope.type
                for scope in self.scopes
                if not other.allows(
                    [scope.level], scope.type, "".join(scope.letters), scope.part
                )
            )
        )

    def _about(self, levels: Iterable[str], name: str) -> list[Scope]:
        wanted = set(levels)
        return [
            scope
            for scope in self.scopes
            if scope.level in wanted
            and (scope.type == "*" or scope.type.lower() == name.lower())
        ]


def read_grant(text: str) -> Grant:
    """Read a scope parameter; words given twice, in whatever case, count once."""
    scopes: dict[Scope, None] = {}
    words: set[str] = set()
    for word in text.split():
        scope = read_scope(word)
        if scope is None:
            words.add(word)
        else:
            scopes[scope] = None
    return Grant(tuple(scopes), frozenset(words))
