"""A record that took the place of another: what was answered there, read as well.

The gate reads all of an old record; the page its answers and flags, with the person's own
token, after the chart and in one go. What the EHR does not give of it is no "none".
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mappings.chart import Chart
from mappings.errors import FhirError
from mappings.merge import replaced_records
from mappings.plan import Library
from mappings.reference import reference_of
from middleware.desk.permitted import Permitted
from middleware.ports import FhirApi
from middleware.stages.charts import fetch_replaced

# What may say no, or name the one place to be reached.
ANSWERS = frozenset({"Consent", "Flag"})
# Of three records for each of the two, and the record itself.
MOST_OLD = 3


def list_old(api: FhirApi, chart: Chart, known: Sequence[str]) -> tuple[str, ...]:
    """Return the records that a chart's took the place of, by its word and by ours."""
    patient = reference_of(chart.patient)
    told = replaced_records(chart.patient, api.base_url)
    return tuple(name for name in dict.fromkeys((*told, *known)) if name != patient)


def may_ask(permitted: Permitted | None, old: Sequence[str]) -> bool:
    """Tell whether the launch's scopes let the answers of old records be asked for."""
    return bool(old) and (
        permitted is None
        or all(permitted.allows(f"{kind}?patient={old[0]}") for kind in ANSWERS)
    )


def read_old(
    api: FhirApi, library: Library, chart: Chart, known: Sequence[str]
) -> Chart:
    """Return a chart with what was answered on the records that it took the place of.

    As it was where nothing of that is given: the page then says that there may be some.
    Where a part is, or the EHR does not answer at all, the rest is not known; FhirError
    where the session with the EHR is over.
    """
    told = replaced_records(chart.patient, api.base_url)
    which: Any = {"told": told, "known": known, "only": ANSWERS, "most": MOST_OLD}
    try:
        found = fetch_replaced(api, library, chart, **which)
    except FhirError as error:
        if error.status == 401:  # the session is over
            raise
        unknown = tuple(sorted({*chart.incomplete, *ANSWERS}))
        return chart.with_resources(chart.resources, incomplete=unknown)
    if len(found.resources) == len(chart.resources):
        return chart
    # Where a part of the answers is shown, the rest is missed; where none is, told of.
    missed = ANSWERS & {*found.incomplete}
    unknown = tuple(sorted({*chart.incomplete, *missed}))
    return found.with_resources(found.resources, incomplete=unknown)
