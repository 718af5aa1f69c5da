"""The desk as one object: what the SMART app and the console may see and change.

It composes; reading, wording and saving live beside it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime

from mappings.endpoint import Endpoint
from mappings.resource import Resource
from middleware.decisions.prefetch import data_queries
from middleware.desk import auditing
from middleware.desk.charting import Within, personal_queries
from middleware.desk.editing.editor import Editor
from middleware.desk.handing import Handing, write_handing
from middleware.desk.histories import write_history
from middleware.desk.last import Last, identify, keep_last, write_last
from middleware.desk.launches import LastAnswer, Launch
from middleware.desk.opened import NOTHING, Opened
from middleware.desk.page import write_page
from middleware.desk.patients import (
    Found,
    PatientRow,
    find_patients,
    read_patient_row,
)
from middleware.desk.permitted import Permitted
from middleware.desk.previews import write_preview
from middleware.desk.values import Identity, Page, Preview
from middleware.desk.viewer import Viewer
from middleware.desk.views import View, read_views
from middleware.ports import FhirApi
from middleware.stages.context import StageContext
from middleware.storage.audit import Viewing, insert_viewing


class Desk:
    """What people at a desk do with one patient, over the ports of the stages."""

    def __init__(self, context: StageContext) -> None:
        self._context = context
        self.editor = Editor(context)

    def resource_types(self, endpoint: Endpoint) -> tuple[str, ...]:
        """Return the FHIR types that a page reads: what a launch has to ask for."""
        library = self._context.library(endpoint)
        queries = (*data_queries(library, "Patient/0"), *personal_queries("Patient/0"))
        names = {query.partition("?")[0].partition("/")[0] for query in queries}
        return tuple(sorted(names))

    def read_views(
        self,
        endpoint: Endpoint,
        api: FhirApi,
        patient: str,
        viewer: Viewer,
        permitted: Permitted | None,
        within: Within | None = None,
        opened: Opened = NOTHING,
    ) -> Iterator[View]:
        """Read one patient through a person's token, as it comes; the last is whole."""
        about = (patient, viewer, permitted, within, opened)
        return read_views(self._context, endpoint, api, *about)

    def write_page(self, view: View) -> Page:
        """Return what the page shows."""
        return write_page(view)

    def write_handing(self, view: View, chosen: str) -> Handing | None:
        """Return the sheet that the patient takes home; None for a closed record."""
        return write_handing(view, chosen)

    def write_history(self, view: View) -> Page:
        """Return the page with every message of the window in its history."""
        return replace(write_page(view), history=write_history(view, None))

    def write_last(
        self, row: LastAnswer, endpoint: Endpoint, viewer: Viewer
    ) -> Last | None:
        """Return what the page last said of a patient; asks nobody."""
        return write_last(row, endpoint, viewer, self._now())

    def identify(
        self, person: Resource, endpoint: Endpoint, patient: str, viewer: Viewer
    ) -> Identity:
        """Return who a Patient is, as the page says it."""
        return identify(person, endpoint, patient, viewer, self._now())

    def note_page(self, view: View, page: Page, launch: Launch) -> None:
        """Audit that the page is seen; keep what it says for its reader's next time."""
        with self._context.database.tx() as tx:
            insert_viewing(tx, self._viewing(view, launch, "page"))
            keep_last(tx, view, page, launch.who)

    def note_view(self, view: View, launch: Launch, name: str) -> None:
        """Audit that a view of a patient is seen, and what was read for it."""
        with self._context.database.tx() as tx:
            insert_viewing(tx, self._viewing(view, launch, name))

    def write_preview(self, view: View, nudge_id: str) -> Preview | None:
        """Return the text of one open message; None when there is no such one."""
        return write_preview(view, nudge_id)

    def find_patients(
        self, api: FhirApi, launch: Launch, fields: Mapping[str, str]
    ) -> Found:
        """Search for patients to choose from, audited. Raises BadInputError or FhirError."""
        found = find_patients(api, **fields)
        with self._context.database.tx() as tx:
            auditing.note_search(tx, launch, fields, found, self._now())
        return found

    def read_patient(self, api: FhirApi, reference: str) -> PatientRow | None:
        """Return one patient as the search shows them; None for a closed record."""
        return read_patient_row(api.fetch(reference))

    def _now(self) -> datetime:
        return self._context.clock.now()

    def _viewing(self, view: View, launch: Launch, name: str) -> Viewing:
        return auditing.view_chart(launch, view, name, self._now())
