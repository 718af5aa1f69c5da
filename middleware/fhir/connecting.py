"""Makes the FHIR client of one endpoint, with its tokens and its profile's flags.

Profile flags read here: ``search_first`` (no conditional create), ``ca_file`` (PEM
bundle of the site's own authority), ``private_network`` (this machine and link-local
addresses may be reached), ``aliases`` (other bases that mean this server).
"""

from __future__ import annotations

from mappings.endpoint import Endpoint
from middleware.fhir.auth import BackendTokens
from middleware.fhir.bounded import make_session
from middleware.fhir.client import FhirClient
from middleware.fhir.keys import SigningKeys
from middleware.fhir.reach import endpoint_reach
from middleware.fhir.transport import Limits
from middleware.ports import Clock


def open_client(endpoint: Endpoint, keys: SigningKeys, clock: Clock) -> FhirClient:
    """Return a client for the endpoint's backend; keep one per endpoint."""
    ca_file = endpoint.profile.get("ca_file")
    reach = endpoint_reach(endpoint)
    tokens = BackendTokens(endpoint, keys, clock, ca_file=ca_file)
    limits = Limits()
    return FhirClient(
        endpoint.fhir_base,
        tokens.token,
        clock=clock,
        session=make_session(reach, pool=limits.workers, ca_file=ca_file),
        forget=tokens.forget,
        search_first=bool(endpoint.profile.get("search_first")),
        limits=limits,
        aliases=endpoint.profile.get("aliases", ()),
    )
