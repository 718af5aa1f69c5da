"""The desk as one object: what the SMART app and the console may see and change.

It composes; reading, wording and saving live beside it.
"""

from __future__ import annotations

from datetime import date

from mappings.endpoint import Endpoint
from mappings.errors import FhirError
from mappings.resource import list_of
from middleware.decisions.prefetch import data_queries
from middleware.desk import edits
from middleware.desk.launches import Launch
from middleware.desk.page import write_page, write_pause_effect
from middleware.desk.previews import write_preview
from middleware.desk.values import Actor, Page, Preview
from middleware.desk.viewer import Viewer
from middleware.desk.views import View, personal_queries, read_view
from middleware.ports import FhirApi
from middleware.stages.context import StageContext
from middleware.storage import audit


class Desk:
    """What people at a desk do with one patient, over the ports of the stages."""

    def __init__(self, context: StageContext) -> None:
        self._context = context

    def resource_types(self, endpoint: Endpoint) -> tuple[str, ...]:
        """Return the FHIR types that a page reads: what a launch has to ask for."""
        library = self._context.library(endpoint)
        queries = (*data_queries(library, "Patient/0"), *personal_queries("Patient/0"))
        names = {query.partition("?")[0].partition("/")[0] for query in queries}
        return tuple(sorted(names))

    def read_view(
        self, endpoint: Endpoint, api: FhirApi, patient: str, viewer: Viewer
    ) -> View:
        """Read one patient (``Patient/id``) through a person's own token.

        ``viewer`` is who the page is written for. Raises FhirError when the patient itself cannot be read.
        """
        return read_view(self._context, endpoint, api, patient, viewer)

    def write_page(self, view: View) -> Page:
        """Return what the page shows."""
        return write_page(view)

    def write_preview(self, view: View, nudge_id: str) -> Preview | None:
        """Return the text of one open message; None when there is no such one."""
        return write_preview(view, nudge_id)

    def write_pause_effect(self, view: View) -> str:
        """Return what a pause would hold."""
        return write_pause_effect(view)

    def save_pause(
        self, view: View, actor: Actor, *, last: date | None, why: str, version: str
    ) -> None:
        """Pause to the end of ``last``. Raises ChangedElsewhereError."""
        edits.save_pause(
            self._context, view, actor, last=last, why=why, version=version
        )

    def save_resume(self, view: View, actor: Actor, version: str) -> None:
        """End the pause. Raises ChangedElsewhereError."""
        edits.save_resume(self._context, view, actor, version)

    def save_channels(
        self,
        view: View,
        actor: Actor,
        *,
        order: tuple[str, ...],
        who: str,
        version: str,
    ) -> None:
        """Record the order of channels. Raises ChangedElsewhereError."""
        edits.save_channels(
            self._context, view, actor, order=order, who=who, version=version
        )

    def save_skip(self, view: View, actor: Actor, nudge_id: str, why: str) -> bool:
        """Skip an open message; False when it is not open any more."""
        return edits.save_skip(self._context, view, actor, nudge_id, why)

    def note_launch(self, launch: Launch) -> None:
        """Put an opened launch into the audit: who looked at whose chart, and when."""
        now = self._context.clock.now()
        with self._context.database.tx() as tx:
            audit.insert_audit(
                tx,
                launch.who,
                "launch-opened",
                now,
                endpoint_id=launch.endpoint_id,
                patient=launch.patient,
                subject=launch.id,
                detail={
                    "scope": launch.scope,
                    "encounter": launch.encounter,
                    "intent": launch.context.get("intent"),
                    "subject": launch.context.get("sub"),
                },
            )

    def read_user_name(self, api: FhirApi, reference: str) -> str | None:
        """Return the practitioner's name, where the EHR lets this token read it."""
        try:
            person = api.fetch(reference)
            if person.get("resourceType") == "PractitionerRole":
                who = str((person.get("practitioner") or {}).get("reference") or "")
                person = api.fetch(who) if who else person
        except FhirError:
            return None
        return _name(person)


def _name(person: dict[str, object]) -> str | None:
    for name in list_of(person.get("name")):
        if not isinstance(name, dict):
            continue
        parts = [*list_of(name.get("prefix")), *list_of(name.get("given"))]
        text = name.get("text") or " ".join(
            [*map(str, parts), str(name.get("family") or "")]
        )
        if str(text).strip():
            return str(text).strip()
    return None
