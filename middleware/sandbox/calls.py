"""One FHIR interaction as a value, and what came of it, for HTTP and Bundles alike.

It may not know Flask; fhir.py and bundle.py make Calls and write Answers.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from middleware.sandbox.access import NO_CATEGORY, Grant
from middleware.sandbox.outcome import FhirFault
from middleware.sandbox.paging import Pages
from middleware.sandbox.search import View
from middleware.sandbox.state import Change, Resource

Check = Callable[[Resource], None]


@dataclass(frozen=True)
class Call:
    """One interaction: method, path segments, decoded query, parsed body, headers.

    `lenient` passes over unknown search parameters; `url` is the self link.
    """

    method: str
    path: tuple[str, ...]
    query: tuple[tuple[str, str], ...] = ()
    body: Any = None
    if_match: str | None = None
    if_none_match: str | None = None
    if_none_exist: str | None = None
    if_modified_since: str | None = None
    lenient: bool = False
    url: str = ""


@dataclass(frozen=True)
class Answer:
    """The status, the body and the version that an interaction came to.

    `located` asks for a Location header: a version was created.
    """

    status: int
    body: Resource | None = None
    change: Change | None = None
    located: bool = False


@dataclass(frozen=True)
class Site:
    """What the whole server shares: its base URL, zone, pages and extra checks.

    `now` answers the simulated instant that writes are stamped with. `checks`
    refuse a resource before it is written, with a FhirFault.
    """

    base: str
    zone: ZoneInfo
    pages: Pages
    checks: list[Check]
    now: Callable[[], datetime]


@dataclass(frozen=True)
class Session:
    """One reader or writer at work: the site, a view, and what the grant allows.

    A grant of None is the EHR itself, which may do everything.
    """

    site: Site
    view: View
    grant: Grant | None

    def require(
        self, interaction: str, type_: str, categories: frozenset[str] = NO_CATEGORY
    ) -> None:
        """Refuse with 403 unless the grant allows the interaction on the type."""
        if self.grant and not self.grant.permits(interaction, type_, categories):
            raise _forbidden(interaction, type_)

    def admit(self, interaction: str, resource: Resource) -> None:
        """Refuse with 403 unless the grant allows it on this very resource."""
        if not self.admits(interaction, resource):
            raise _forbidden(interaction, resource["resourceType"])

    def admits(self, interaction: str, resource: Resource) -> bool:
        """Tell whether the grant allows the interaction on this very resource."""
        return self.grant is None or self.grant.admits(interaction, resource)

    def is_unbounded(self, interaction: str, type_: str) -> bool:
        """Tell whether the grant allows it on every resource of the type."""
        grant = self.grant
        if grant is None:
            return True
        if not grant.permits(interaction, type_):
            return False
        return grant.confined_to(interaction, type_) is None

    def visible(self, type_: str, found: list[Resource]) -> list[Resource]:
        """Answer those of a search's results that the grant lets be seen."""
        if self.is_unbounded("s", type_):
            return found
        return [resource for resource in found if self.admits("s", resource)]

    @property
    def owner(self) -> str | None:
        """Answer the client that pages are kept for."""
        return self.grant.client_id if self.grant else None


WORDS = {"c": "create", "r": "read", "u": "update", "d": "delete", "s": "search"}


def _forbidden(interaction: str, type_: str) -> FhirFault:
    word = WORDS[interaction]
    return FhirFault(
        403,
        f"The access token's scopes do not allow to {word} this {type_}.",
        headers={"WWW-Authenticate": 'Bearer realm="fhir", error="insufficient_scope"'},
    )
