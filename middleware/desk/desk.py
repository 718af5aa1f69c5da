"""The desk as one object: what the SMART app and the console may see and change.

It composes; reading, wording and saving live beside it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import date, datetime

from mappings.endpoint import Endpoint
from mappings.resource import Resource
from middleware.decisions.prefetch import data_queries
from middleware.desk import auditing
from middleware.desk.charting import Within, personal_queries
from middleware.desk.editing import edits
from middleware.desk.editing.answering import save_answer
from middleware.desk.editing.fields import Fields
from middleware.desk.editing.group_views import (
    Clash,
    GroupForm,
    GroupView,
    is_filled_in,
    refill_group_form,
    write_clash,
    write_group,
    write_group_form,
)
from middleware.desk.editing.groups import GROUPS
from middleware.desk.editing.moving import (
    MoveForm,
    read_moment,
    save_move,
    write_move_form,
)
from middleware.desk.editing.preferences import save_group, undo_group
from middleware.desk.editing.questions import (
    Answer,
    AnswerForm,
    Asked,
    PersonRow,
    find_asked,
    list_people,
    read_answer,
    write_answer_form,
)
from middleware.desk.histories import write_history
from middleware.desk.last import Last, identify, keep_last, write_last
from middleware.desk.launches import LastAnswer, Launch
from middleware.desk.page import write_page, write_pause_effect
from middleware.desk.patients import (
    Found,
    PatientRow,
    find_patients,
    read_patient_row,
)
from middleware.desk.preferring import write_hours
from middleware.desk.previews import write_preview
from middleware.desk.summary import Summary, write_summary
from middleware.desk.users import read_user_name
from middleware.desk.values import Actor, Identity, Page, Preview
from middleware.desk.viewer import Viewer
from middleware.desk.views import View, read_view, refresh_view
from middleware.ports import FhirApi
from middleware.stages.context import StageContext
from middleware.storage.audit import Viewing, insert_viewing


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
        self,
        endpoint: Endpoint,
        api: FhirApi,
        patient: str,
        viewer: Viewer,
        withheld: Collection[str] = (),
        within: Within | None = None,
    ) -> View:
        """Read one patient (``Patient/id``) through a person's own token.

        ``viewer`` is who the page is written for; ``withheld`` are FHIR types that the
        launch was not given; ``within`` bounds what is asked. Raises FhirError when the
        patient itself cannot be read.
        """
        return read_view(
            self._context, endpoint, api, patient, viewer, withheld, within
        )

    def write_page(self, view: View) -> Page:
        """Return what the page shows."""
        return write_page(view)

    def write_summary(self, view: View) -> Summary | None:
        """Return the sheet that the patient takes home; None for a closed record."""
        return write_summary(view)

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

    def write_groups(self, view: View, actor: Actor) -> dict[str, GroupView]:
        """Return the groups of preferences as they are shown, by name."""
        return {name: write_group(view, name, actor) for name in GROUPS}

    def write_group(self, view: View, name: str, actor: Actor) -> GroupView:
        """Return one group as it is shown."""
        return write_group(view, name, actor)

    def write_group_form(self, view: View, name: str) -> GroupForm:
        """Return a group's form, filled in with what holds."""
        return write_group_form(view, name)

    def refill_group_form(
        self, view: View, name: str, given: Fields, who: str
    ) -> GroupForm:
        """Return a group's form as somebody had filled it in."""
        return refill_group_form(view, name, given, who)

    def is_filled_in(self, view: View, name: str, given: Fields, who: str) -> bool:
        """Tell whether a group's form, saved as it is changed, says anything new."""
        return is_filled_in(view, name, given, who)

    def write_clash(self, view: View, name: str, given: Fields) -> Clash:
        """Return both values where a group was changed elsewhere."""
        return write_clash(view, name, given)

    def save_group(
        self,
        view: View,
        actor: Actor,
        name: str,
        *,
        given: Fields,
        who: str,
        version: str,
    ) -> None:
        """Record a group. Raises as :func:`middleware.desk.editing.preferences.save_group`."""
        save_group(
            self._context, view, actor, name, given=given, who=who, version=version
        )

    def undo_group(self, view: View, actor: Actor, name: str, version: str) -> None:
        """Put back what stood before the last save of a group."""
        undo_group(self._context, view, actor, name, version)

    def refresh_view(self, view: View) -> View:
        """Return the view after a save."""
        return refresh_view(self._context, view)

    def write_move_form(self, view: View, nudge_id: str) -> MoveForm | None:
        """Return the form that moves a message; None when it is not open here."""
        return write_move_form(view, nudge_id, write_hours(view, None).text)

    def read_moment(self, view: View, day: str, time: str) -> datetime:
        """Return when the patient's clock shows this. Raises BadInputError."""
        return read_moment(view, day, time)

    def save_move(
        self,
        view: View,
        actor: Actor,
        nudge_id: str,
        moment: datetime | None,
        *,
        why: str,
        version: str,
    ) -> None:
        """Move a message. Raises as :func:`middleware.desk.editing.moving.save_move`."""
        save_move(
            self._context, view, actor, nudge_id, moment, why=why, version=version
        )

    def find_asked(self, view: View, topic: str, person: str) -> Asked | None:
        """Return what an answer is about; None for a topic or person not there."""
        return find_asked(view, topic, person)

    def list_people(self, view: View) -> tuple[PersonRow, ...]:
        """Return who stands beside the patient, and whether they may be told."""
        return list_people(view)

    def write_answer_form(self, view: View, asked: Asked) -> AnswerForm:
        """Return the form that records a new answer."""
        return write_answer_form(view, asked)

    def read_answer(self, view: View, asked: Asked, given: Fields) -> Answer:
        """Read an answer. Raises BadInputError."""
        return read_answer(view, asked, given)

    def save_answer(
        self, view: View, actor: Actor, answer: Answer, version: str
    ) -> None:
        """Record an answer. Raises as :func:`middleware.desk.editing.answering.save_answer`."""
        save_answer(self._context, view, actor, answer, version)

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

    def read_user_name(self, api: FhirApi, reference: str) -> str | None:
        """Return the practitioner's name, where the EHR lets this token read it."""
        return read_user_name(api, reference)

    def _now(self) -> datetime:
        return self._context.clock.now()

    def _viewing(self, view: View, launch: Launch, name: str) -> Viewing:
        return auditing.view_chart(launch, view, name, self._now())
