"""Granted scopes against needed ones, in every spelling that servers use.

Pure. Source: SMART App Launch 2.2, scopes (v1 ``.read``, v2 ``.cruds``, granular
``?param=value``, wildcards).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from mappings.scopes import read_grant
from middleware.fhir.checking.finding import Seen
from middleware.fhir.checking.talk import Needs, Talk

_LETTERS = {"c": "create", "r": "read", "u": "update", "d": "delete", "s": "search"}
_WRITES = {
    "Communication": "what was sent is not written into the chart",
    "CommunicationRequest": "what is planned is not written into the chart",
    "Task": "staff find their tasks in `carecue task list` only",
    "Subscription": "changes are found by polling only",
}


@dataclass(frozen=True)
class Granted:
    """Letters by type for our own context; ``limited`` types were narrowed."""

    letters: Mapping[str, frozenset[str]]
    limited: frozenset[str]
    others: frozenset[str]

    def allows(self, name: str, letters: str) -> bool:
        """Tell whether every letter is granted for a type, by name or wildcard."""
        have = self.letters.get(name, frozenset()) | self.letters.get("*", frozenset())
        return set(letters) <= have


def read_granted(text: str) -> Granted:
    """Read a scope string; ``others`` are contexts that a backend has no use for."""
    letters: dict[str, set[str]] = {}
    limited: set[str] = set()
    others: set[str] = set()
    for scope in read_grant(text).scopes:
        if scope.level != "system":
            others.add(scope.level)
            continue
        letters.setdefault(scope.type, set()).update(scope.letters)
        if scope.part:
            limited.add(scope.type)
    whole = {name: frozenset(found) for name, found in letters.items()}
    return Granted(whole, frozenset(limited), frozenset(others))


def check_scopes(talk: Talk) -> Seen:
    """Compare what the token may do with what we need."""
    if talk.token is None:
        return Seen("skipped", "this server is asked without a token")
    asked = f"POST {talk.endpoint.backend.token_url}"
    if talk.granted is None:
        seen = judge_scopes(talk.endpoint.backend.scope, talk.needs, asked)
        if seen.code != "ok":
            return seen
        return Seen("scope-unsaid", "a token without a scope member", asked)
    return judge_scopes(talk.granted, talk.needs, asked)


def judge_scopes(text: str, needs: Needs, asked: str) -> Seen:
    """Say what is missing, the gravest first, and what is lost with it."""
    granted = read_granted(text)
    missing = [name for name in needs.reads if not granted.allows(name, "rs")]
    unwritten = [
        name
        for name, letters in needs.writes.items()
        if not granted.allows(name, letters)
    ]
    if not granted.letters and granted.others:
        told = (
            f"scopes for {' and '.join(sorted(granted.others))} only, none for system"
        )
        return Seen("scope-context", told, asked, _facts(missing, unwritten, needs))
    facts = _facts(missing, unwritten, needs)
    told = _tell(missing, unwritten, needs)
    if needs.safety & set(missing):
        return Seen("scope-missing-safety", told, asked, facts)
    if missing or unwritten:
        return Seen("scope-less", told, asked, facts)
    limited = sorted(granted.limited & {*needs.reads, *needs.writes})
    if limited:
        told = f"only a part of {', '.join(limited)} is granted"
        return Seen("scope-limited", told, asked, facts)
    return Seen("ok", f"all that is needed of {len(needs.reads)} types is granted")


def _tell(missing: Iterable[str], unwritten: Iterable[str], needs: Needs) -> str:
    parts = [f"no reading of {name} ({needs.reads[name]})" for name in missing]
    parts += [
        f"no {_spell(needs.writes[name])} of {name} ({_WRITES[name]})"
        for name in unwritten
    ]
    return "; ".join(parts)


def _spell(letters: str) -> str:
    return ", ".join(_LETTERS[letter] for letter in letters)


def _facts(
    missing: Iterable[str], unwritten: Iterable[str], needs: Needs
) -> dict[str, str]:
    wanted = [f"system/{name}.rs" for name in missing]
    wanted += [f"system/{name}.{needs.writes[name]}" for name in unwritten]
    return {"scopes": " ".join(wanted)}
