"""A patient's forecast: the chart as the EHR has it now, and what our store knows."""

from __future__ import annotations

from datetime import datetime

from mappings.endpoint import Endpoint
from mappings.errors import BadInputError
from mappings.reference import reference_of
from middleware.decisions.forecast import Coming, World, forecast
from middleware.stages.merging import fetch_surviving
from middleware.stages.people import own_record
from middleware.storage import endpoints, nudges, people
from middleware.storage.connecting import Tx
from middleware.wiring.pipeline import fhir_factory, library_factory
from middleware.wiring.runtime import Runtime


def forecast_patient(
    runtime: Runtime, patient: str, endpoint_name: str | None, until: datetime
) -> tuple[Coming, ...]:
    """Return what ``Patient/id`` will be sent until then, in its order.

    Raises BadInputError for a patient that no endpoint, or more than one, knows.
    """
    now = runtime.clock.now()
    with runtime.database.tx() as tx:
        endpoint = _endpoint(tx, patient, endpoint_name)
    library = library_factory(runtime)(endpoint)
    api = fhir_factory(runtime)(endpoint)
    chart = fetch_surviving(api, library, patient, now).chart
    patient = reference_of(chart.patient)
    with runtime.database.tx() as tx:
        own = own_record(tx, endpoint.id, patient, chart, now)
        planned = nudges.list_open_nudges(tx, endpoint.id, patient)
    world = World(chart, library, endpoint)
    return tuple(forecast(world, own, planned, now, until))


def _endpoint(tx: Tx, patient: str, name: str | None) -> Endpoint:
    found = {
        item.id: item
        for item in endpoints.list_endpoints(tx)
        if name in (None, item.id, item.name)
    }
    if name is not None and not found:
        raise BadInputError(f"No endpoint is called {name!r}.")
    if name is None and len(found) > 1:
        known = people.list_homes(tx, patient)
        found = {key: item for key, item in found.items() if key in known}
    if len(found) != 1:
        raise BadInputError(
            f"{len(found)} endpoints know {patient}; name one with --endpoint."
        )
    return next(iter(found.values()))
