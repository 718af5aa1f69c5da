"""Which endpoint a focus belongs to, by the base that its reference lies under.

A focus is read only at an endpoint that is connected, under the base that was written
down there and with that endpoint's own credentials; a base that nobody allowed belongs
to none. Profile fields read here: ``aliases`` (other bases that mean this server) and
``focus_bases`` (bases of other endpoints that its notifications may tell of).
"""

from __future__ import annotations

from collections.abc import Mapping

from mappings.bases import read_base_key
from mappings.endpoint import Endpoint
from middleware.storage import endpoints
from middleware.storage.connecting import Tx
from subscriptions.notification import NotificationEvent


def list_homes(tx: Tx, endpoint: Endpoint) -> dict[str, str]:
    """List the bases that this endpoint's notifications may tell of, each with its id."""
    profile = endpoint.profile
    homes: dict[str, str] = {}
    if profile.get("focus_bases"):
        known = {
            read_base_key(other.fhir_base): other.id
            for other in endpoints.list_endpoints(tx)
        }
        allowed = {read_base_key(base) for base in profile["focus_bases"]}
        homes = {key: known[key] for key in allowed & set(known) if key is not None}
    for base in (*profile.get("aliases", ()), endpoint.fhir_base):
        key = read_base_key(base)
        if key is not None:
            homes[key] = endpoint.id
    return homes


def find_home(
    homes: Mapping[str, str], endpoint_id: str, event: NotificationEvent
) -> str | None:
    """Return the endpoint that an event's focus is read at; None when it is nobody's."""
    if event.focus_base is None:
        return endpoint_id
    key = read_base_key(event.focus_base)
    return homes.get(key) if key is not None else None


def write_held(events: int) -> str:
    """Return why a delivery is held of which some events are nobody's."""
    return (
        f"{events} of its events lie under a base that this endpoint does not allow; "
        "they were not read; add the base to focus_bases or aliases if it is right, "
        "then replay"
    )
