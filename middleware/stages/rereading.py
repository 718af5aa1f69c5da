"""Reading a chart again just before a message goes, unless its EHR is known to be away.

An EHR that failed to answer several times in a row is left alone for a while: the
patients of other EHRs must not wait for its time-outs.
"""

from __future__ import annotations

from datetime import datetime

from mappings.endpoint import Endpoint
from mappings.errors import CareCueError, FhirError
from mappings.nudge import Nudge
from middleware.stages.charts import is_silent
from middleware.stages.context import StageContext
from middleware.stages.merging import Reading, fetch_surviving
from middleware.storage.circuits import ehr_lane
from middleware.storage.merging import list_same


def read_again(
    context: StageContext, endpoint: Endpoint, nudge: Nudge, now: datetime
) -> Reading:
    """Read the chart, of the record that lives on, and the focus; raises CareCueError.

    Where the EHR is not asked, the error's ``retry_after`` says when it may be.
    """
    lane = ehr_lane(endpoint.id)
    until = context.lanes.admit(lane, now)
    if until is not None:
        raise FhirError(
            "The EHR did not answer several times in a row, so it was not asked; "
            "nothing was sent; it is asked again by itself",
            retry_after=(until - now).total_seconds(),
        )
    with context.database.tx() as tx:
        older = list_same(tx, endpoint.id, [nudge.patient]).get(nudge.patient, ())
    try:
        api, library = context.fhir(endpoint), context.library(endpoint)
        found = fetch_surviving(
            api, library, nudge.patient, now, focus=nudge.focus, older=older
        )
    except CareCueError as error:
        silent = is_silent(error)
        context.lanes.note(lane, now, about=nudge.patient, fault=silent)
        raise
    context.lanes.note(lane, now, about=nudge.patient, fault=False)
    return found
