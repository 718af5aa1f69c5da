"""What suits one EHR: its dialect, its topics, and where polling begins."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mappings.dialects.dialect import Dialect, TopicRule
from mappings.dialects.registry import choose_dialect
from mappings.endpoint import Endpoint
from mappings.errors import FhirError
from mappings.event import FOCUS_TYPES
from middleware.fhir.bounded import make_session
from middleware.fhir.discovery import fetch_capabilities
from middleware.fhir.reach import endpoint_reach
from middleware.ports import FhirApi
from middleware.stages.reconcile import fetch_beginning
from middleware.storage import inbox
from middleware.wiring.pipeline import fhir_factory
from middleware.wiring.runtime import Runtime
from subscriptions.topics import QUERIES, read_topics
from subscriptions.wanting import Wanted, Wish, choose_wanted


@dataclass(frozen=True)
class Choice:
    """What suits one endpoint, and what that was chosen from."""

    dialect: Dialect
    version: str
    topics: tuple[TopicRule, ...]
    wanted: tuple[Wanted, ...]


def begin_polling(runtime: Runtime, endpoint: Endpoint) -> None:
    """Note where the server stands, for each type that is not polled yet.

    Done before subscribing, so that nothing falls between the two. Raises FhirError.
    """
    api = fhir_factory(runtime)(endpoint)
    for resource_type in FOCUS_TYPES:
        with runtime.database.tx() as tx:
            known = inbox.read_cursor(tx, endpoint.id, resource_type)
        if known is not None:
            continue
        since, now = fetch_beginning(api, resource_type), runtime.clock.now()
        with runtime.database.tx() as tx:
            inbox.advance_cursor(tx, endpoint.id, resource_type, since, now)


def choose_subscriptions(
    runtime: Runtime, endpoint: Endpoint, wish: Wish, types: Sequence[str]
) -> Choice:
    """Choose what suits the server best, from what it says about itself.

    Raises FhirError, and BadInputError for a profile that names no known server.
    """
    ca_file = endpoint.profile.get("ca_file")
    with make_session(endpoint_reach(endpoint), ca_file=ca_file) as session:
        statement = fetch_capabilities(
            endpoint.fhir_base, clock=runtime.clock, session=session
        )
    dialect = choose_dialect(endpoint.profile, statement)
    version = str(statement.get("fhirVersion") or "4.0.1")
    topics = read_topics(statement, _fetch_topics(fhir_factory(runtime)(endpoint)))
    unsupported = endpoint.profile.get("unsupported", ())
    kinds = [kind for kind in types if kind not in unsupported]
    wanted = choose_wanted(dialect, version, topics, kinds, endpoint.profile, wish)
    return Choice(dialect, version, topics, wanted)


def _fetch_topics(api: FhirApi) -> list[dict[str, object]]:
    found: list[dict[str, object]] = []
    for query in QUERIES:
        try:
            found += api.fetch_search(query).resources
        except FhirError:
            # Not every server has the type; what it publishes elsewhere counts.
            continue
    return found
