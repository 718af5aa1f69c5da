"""What the SMART app stands on: the desk, the launches, and a bounded way to each EHR.

Every request that a launch causes has the same bounds: no redirect, an answer limited
in size and time, and addresses that the endpoint may reach.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from mappings.dialects.registry import app_ways
from mappings.endpoint import Endpoint
from mappings.secret import Secret
from middleware.desk.desk import Desk
from middleware.desk.editing.drafts import DraftBook
from middleware.desk.launches import LaunchBook
from middleware.desk.sign_in_frames import FrameBook
from middleware.fhir import discovery
from middleware.fhir.abilities import Abilities
from middleware.fhir.auth import bound_token_session
from middleware.fhir.bounded import make_session
from middleware.fhir.client import FhirClient
from middleware.fhir.discovery import fetch_key_set, fetch_smart_configuration
from middleware.fhir.framing import fetch_framing
from middleware.fhir.reach import Reach, endpoint_reach
from middleware.fhir.transport import Limits
from middleware.ports import FhirApi, Patience
from middleware.stages.context import StageContext
from middleware.storage import endpoints
from middleware.wiring.runtime import Runtime
from middleware.wiring.signing import KeyRing
from smart_app.ports import Bearing, SmartPorts

# One read of a person's, whole: also of an EHR that drips its answer.
READ_SECONDS = 15.0
# The first launch from an EHR's frame waits for no more.
LOOK_SECONDS = 2.0
# Where an EHR takes no batches, a person waits for two rounds of reads, not for four.
WORKERS = 16


def make_smart_ports(
    runtime: Runtime, context: StageContext, keys: KeyRing
) -> SmartPorts:
    """Return everything outside the app's own room."""

    def known() -> list[Endpoint]:
        with runtime.database.tx() as tx:
            return endpoints.list_endpoints(tx)

    def client_secret(endpoint_id: str) -> Secret | None:
        with runtime.database.tx() as tx:
            endpoint = endpoints.get_endpoint(tx, endpoint_id)
        sealed = endpoint.profile.get("app_secret") if endpoint else None
        if not sealed:
            return None
        return Secret(runtime.sealer.open(bytes.fromhex(sealed)).decode())

    return SmartPorts(
        endpoints=known,
        launches=LaunchBook(runtime.database),
        frames=FrameBook(runtime.database),
        clock=runtime.clock,
        ids=runtime.ids,
        sealer=runtime.sealer,
        fhir=_person_clients(runtime),
        discover=discover,
        fetch_keys=fetch_keys,
        fetch_style=fetch_style,
        look_at_sign_in=looks_from(runtime.settings.public_url),
        bound=bound_exchange,
        signing_key=lambda algorithm: keys().signing_key(algorithm),
        client_secret=client_secret,
        desk=Desk(context),
        drafts=DraftBook(runtime.database),
        public_url=runtime.settings.public_url,
    )


def discover(endpoint: Endpoint) -> Any:
    """Fetch the SMART configuration of an endpoint."""
    return fetch_smart_configuration(
        endpoint.fhir_base,
        hosts=endpoint.profile.get("authorization_hosts", ()),
        at_root=app_ways(endpoint.profile).root_configuration,
        private_network=endpoint.profile.get("private_network") is True,
        ca_file=endpoint.profile.get("ca_file"),
    )


def fetch_keys(endpoint: Endpoint, url: str) -> Any:
    """Fetch the key set of an endpoint's authorization server."""
    return fetch_key_set(
        url,
        private_network=endpoint.profile.get("private_network") is True,
        ca_file=endpoint.profile.get("ca_file"),
    )


def fetch_style(endpoint: Endpoint, url: str) -> Any:
    """Fetch an endpoint's SMART style."""
    return discovery.fetch_style(
        url,
        private_network=endpoint.profile.get("private_network") is True,
        ca_file=endpoint.profile.get("ca_file"),
    )


def looks_from(
    public_url: str, seconds: float = LOOK_SECONDS
) -> Callable[[Endpoint, str], str | None]:
    """Return what looks at sign-in pages, for an app at this address of ours."""

    def look(endpoint: Endpoint, url: str) -> str | None:
        seen = fetch_framing(endpoint, url, public_url, seconds=seconds)
        return None if seen is None else seen.refusal

    return look


def bound_exchange(session: Any, endpoint: Endpoint, url: str) -> None:
    """Give a session that exchanges a code at ``url`` the bounds of a token request."""
    bound_token_session(
        session,
        url,
        private_network=endpoint.profile.get("private_network") is True,
        ca_file=endpoint.profile.get("ca_file"),
    )


def _person_clients(
    runtime: Runtime,
) -> Callable[[Endpoint, Bearing, Patience | None], FhirApi]:
    """Return what makes clients of signed-in people.

    Connections to one EHR are shared: they keep no cookie, and each request brings its
    own token. What one learns that the server cannot do, all of its clients know.
    """

    @functools.lru_cache(maxsize=64)
    def connect(base: str, reach: Reach, ca_file: str | None) -> Any:  # noqa: ARG001 -- one for each EHR
        return make_session(reach, seconds=READ_SECONDS, ca_file=ca_file, pool=32)

    @functools.lru_cache(maxsize=64)
    def learn(base: str) -> Abilities:  # noqa: ARG001 -- one for each EHR
        return Abilities()

    def make(endpoint: Endpoint, bearer: Bearing, patience: Patience | None) -> FhirApi:
        base, ca_file = endpoint.fhir_base, endpoint.profile.get("ca_file")
        return FhirClient(
            base,
            bearer.token,
            clock=runtime.clock,
            session=connect(base, endpoint_reach(endpoint), ca_file),
            forget=bearer.forget,
            abilities=learn(base),
            limits=Limits(workers=WORKERS, patience=patience),
            aliases=endpoint.profile.get("aliases", ()),
        )

    return make
