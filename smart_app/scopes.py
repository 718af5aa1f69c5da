"""The scopes that the app asks for, and which of its features a grant leaves on.

Both come from one table, so that nothing is asked for without a use. Granted scopes
come back in many spellings; nothing here gives power, it only names what is missing.
Source: SMART App Launch 2.2, scopes and launch context.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from mappings.scopes import Grant, read_grant, read_scope, write_resource_scope
from middleware.desk.viewer import mark

IDENTITY = ("openid", "fhirUser")


@dataclass(frozen=True)
class Feature:
    """Something the app does, and the least that it needs: letters for one type.

    ``level`` is patient for the chart and user for what is about staff.
    """

    name: str
    title: str
    type: str
    letters: str = "rs"
    level: str = "patient"

    def scope(self, style: str = "v2", level: str | None = None) -> str:
        """Return the feature's minimal scope, as an administrator would add it."""
        return write_resource_scope(
            level or self.level, self.type, self.letters, style=style
        )


FEATURES = (
    Feature("identity", mark("Name, numbers and language from the chart"), "Patient"),
    Feature("visits", mark("Reminders of visits"), "Appointment"),
    Feature("stays", mark("Messages after a hospital stay"), "Encounter"),
    Feature("care-plans", mark("Steps of care plans"), "CarePlan"),
    Feature("messages", mark("Messages that others sent"), "Communication"),
    Feature("problems", mark("Problems that hold a message"), "Condition"),
    Feature("consents", mark("Consents in the chart"), "Consent"),
    Feature("reports", mark("Reports that end a reminder"), "DiagnosticReport"),
    Feature("flags", mark("Flags such as confidential contact"), "Flag"),
    Feature("goals", mark("The patient's goals"), "Goal"),
    Feature("vaccines", mark("Reminders of vaccines"), "Immunization"),
    Feature("dispensed", mark("Medicines that were collected"), "MedicationDispense"),
    Feature("medicines", mark("Reminders of medicines"), "MedicationRequest"),
    Feature("results", mark("Results, and what matters to the patient"), "Observation"),
    Feature("procedures", mark("Procedures that end a reminder"), "Procedure"),
    Feature("carers", mark("Family and carers"), "RelatedPerson"),
    Feature("risks", mark("Risk scores"), "RiskAssessment"),
    Feature("orders", mark("Orders that a message is about"), "ServiceRequest"),
    Feature("tasks", mark("Tasks for staff"), "Task"),
    Feature("user", mark("Your own name"), "Practitioner", "r", "user"),
    Feature("user-role", mark("Your role"), "PractitionerRole", "r", "user"),
)
ROLES = Feature("user-roles", mark("Your roles here"), "PractitionerRole", "rs", "user")


@dataclass(frozen=True)
class Asking:
    """How a server wants to be asked.

    ``style`` is v2, or v1 where it knows no other. ``level`` is user where the server
    has no patient in context. ``refresh`` is the scope that it offers for refresh
    tokens; ``granular`` are parts that it offers of types of which it does not offer
    the whole. ``roles`` adds the search for the user's roles.
    """

    style: str = "v2"
    level: str = "patient"
    refresh: str = ""
    granular: tuple[str, ...] = ()
    roles: bool = False


@dataclass(frozen=True)
class Withheld:
    """A feature that is off, or partly so, and the scope that turns it on."""

    feature: str
    title: str
    scope: str
    partly: bool = False


@dataclass(frozen=True)
class Examined:
    """What a grant comes to: features that are on, and those that are not."""

    features: frozenset[str]
    withheld: tuple[Withheld, ...]


def choose_asking(
    capabilities: Sequence[str],
    offered: Sequence[str],
    *,
    style: str | None = None,
    roles: bool = False,
    picks: bool = False,
) -> Asking:
    """Choose how to ask, from a server's capabilities and ``scopes_supported``.

    ``style`` overrides what they say; ``picks`` asks for every patient that the user
    may see, because the choice is made here.
    """
    known = set(capabilities)
    old = "permission-v1" in known and "permission-v2" not in known
    refresh = next(
        (
            f"{kind}_access"
            for kind in ("online", "offline")
            if f"permission-{kind}" in known or f"{kind}_access" in offered
        ),
        "",
    )
    return Asking(
        style=style or ("v1" if old else "v2"),
        level="user" if picks else "patient",
        refresh=refresh,
        granular=_only_parts(offered),
        roles=roles,
    )


def list_features(
    resource_types: Iterable[str], *, roles: bool = False
) -> tuple[Feature, ...]:
    """Return the features behind the types that a page reads, and the user's own."""
    types = {"Patient", "Practitioner", "PractitionerRole", *resource_types}
    known = [feature for feature in FEATURES if feature.type in types]
    named = {feature.type for feature in known}
    known += [Feature(name.lower(), name, name) for name in sorted(types - named)]
    return tuple(
        ROLES if roles and feature.type == ROLES.type else feature for feature in known
    )


def write_scope(
    resource_types: Iterable[str], *, standalone: bool, asking: Asking | None = None
) -> str:
    """Return the scope parameter, without doubles.

    EHR launch asks for ``launch``, standalone for ``launch/patient``; where the
    patient is picked here, neither has a use.
    """
    how = asking or Asking()
    picks = standalone and how.level == "user"
    context = [] if picks else ["launch/patient"] if standalone else ["launch"]
    refresh = [how.refresh] if how.refresh else []
    words = [
        word
        for feature in list_features(resource_types, roles=how.roles)
        for word in _words(feature, how)
    ]
    return " ".join(dict.fromkeys([*context, *IDENTITY, *refresh, *sorted(set(words))]))


def list_scopes(resource_types: Iterable[str]) -> str:
    """Return every scope that a registration should allow, for either launch."""
    types = tuple(resource_types)
    words = {
        word
        for refresh in ("online_access", "offline_access")
        for standalone in (False, True)
        for word in write_scope(
            types, standalone=standalone, asking=Asking(refresh=refresh, roles=True)
        ).split()
    }
    return " ".join(sorted(words))


def examine(
    granted: str, resource_types: Iterable[str], asking: Asking | None = None
) -> Examined:
    """Say which features a granted scope parameter leaves on.

    A ``user`` scope serves where a ``patient`` one was asked: the launch's patient is
    the only one whom the app reads.
    """
    how, grant = asking or Asking(), read_grant(granted)
    on: set[str] = set()
    withheld: list[Withheld] = []
    for feature in list_features(resource_types, roles=how.roles):
        levels = _levels(feature, how)
        if grant.allows(levels, feature.type, feature.letters):
            on.add(feature.name)
            continue
        partly = grant.narrows(levels, feature.type, feature.letters)
        if partly:
            on.add(feature.name)
        level = how.level if feature.level == "patient" else "user"
        scope = feature.scope(how.style, level)
        withheld.append(Withheld(feature.name, feature.title, scope, partly))
    return Examined(frozenset(on), tuple(withheld))


def allows_scope(granted: Grant, word: str) -> bool:
    """Tell whether a grant covers a scope that an administrator named."""
    scope = read_scope(word)
    if scope is None:
        return word in granted.words
    letters = "".join(scope.letters)
    return granted.allows([scope.level], scope.type, letters, scope.part)


def _only_parts(offered: Sequence[str]) -> tuple[str, ...]:
    """Return the granular scopes of types of which the whole is not offered."""
    grant = read_grant(" ".join(word for word in offered if "?" not in word))
    return tuple(
        word
        for word in offered
        if "?" in word
        and (scope := read_scope(word)) is not None
        and not grant.allows([scope.level], scope.type, "s")
    )


def _levels(feature: Feature, how: Asking) -> tuple[str, ...]:
    patient = feature.level == "patient" and how.level == "patient"
    return ("patient", "user") if patient else ("user",)


def _words(feature: Feature, how: Asking) -> list[str]:
    level = how.level if feature.level == "patient" else "user"
    parts = [
        word
        for word in how.granular
        if (scope := read_scope(word)) is not None
        and (scope.level, scope.type) == (level, feature.type)
        and set(feature.letters) & scope.letters
    ]
    return parts or [feature.scope(how.style, level)]
