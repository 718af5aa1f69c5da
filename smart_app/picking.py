"""Choosing the patient of a launch here, where the EHR has no picker of its own.

The patient is bound to the launch once. What is chosen has to be what was shown: the
record is read again, and its name and birth date are compared with the shown ones.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass

from flask import Request, Response

from mappings.endpoint import Endpoint
from mappings.errors import BadInputError, LaunchError
from mappings.reference import FHIR_ID
from middleware.desk.formats import write_born
from middleware.desk.launches import LOCKED, PICKING, Launch, note_step
from middleware.desk.page import SEXES
from middleware.desk.patients import Found, PatientRow
from middleware.desk.viewer import Viewer, mark, viewer_of
from middleware.ports import FhirApi
from smart_app.closing import ends_at
from smart_app.cookies import cookie_name, csrf_token
from smart_app.headers import write_policy
from smart_app.intents import find_place
from smart_app.kept import ENDED
from smart_app.own_forms import check_source
from smart_app.ports import SmartPorts
from smart_app.rendering import Pages
from smart_app.session import (
    asked_language,
    bearer_of,
    end_session,
    find_endpoint,
    find_launch,
    idle_until,
)

ASKED = ("name", "birth_date", "mrn")
NOT_OPEN = mark(
    "The patient of this window was chosen already, or nothing is to be chosen. "
    "Nothing was changed. Open this app again."
)
CHANGED = mark(
    "The record is no longer the one that was shown. Nothing was opened. Search again."
)


@dataclass(frozen=True)
class Choosing:
    """A launch whose patient is still to be chosen, and who chooses."""

    launch: Launch
    endpoint: Endpoint
    api: FhirApi
    csrf: str
    secret: str
    viewer: Viewer

    def describe(self, row: PatientRow) -> str:
        """Write birth date and sex in the words of the page that follows."""
        sex = SEXES.get(row.sex, "")
        born = write_born(self.viewer, row.birth_date)
        return ", ".join(filter(None, (born, sex and self.viewer.translate(sex))))

    def mark(self, row: PatientRow) -> str:
        """Return what proves that a row was shown to this browser as it is."""
        told = f"{self.launch.id}\n{row.id}\n{row.name}\n{row.birth_date}"
        key = self.secret.encode()
        return hmac.new(key, told.encode(), hashlib.sha256).hexdigest()


class Picking:
    """The patient picker, over the app's ports."""

    def __init__(self, ports: SmartPorts, pages: Pages) -> None:
        self._ports = ports
        self._pages = pages

    def ask(self, request: Request, lid: str) -> Response:
        """Answer the search form."""
        return self._show(self._enter(request, lid))

    def answer(self, request: Request, lid: str) -> Response:
        """Answer what a search found, or bind the patient that was chosen."""
        choosing = self._enter(request, lid)
        form = request.form
        check_source(self._ports, request, choosing.csrf)
        if "pick" in form:
            return self._bind(choosing, form["pick"], form.get("mark", ""))
        try:
            fields = {name: form.get(name, "") for name in ASKED}
            found = self._ports.desk.find_patients(
                choosing.api, choosing.launch, fields
            )
        except BadInputError as error:
            return self._show(choosing, request, error=error.message, status=422)
        return self._show(choosing, request, found=found)

    def _enter(self, request: Request, lid: str) -> Choosing:
        ports = self._ports
        launch = find_launch(ports, request, lid)
        if launch.stage != PICKING:
            raise LaunchError(NOT_OPEN, code="P1", status=409)
        endpoint = find_endpoint(ports, launch.endpoint_id)
        if ports.clock.now() >= min(launch.expires_at, idle_until(launch, endpoint)):
            end_session(ports, launch, LOCKED, "S2")
            raise LaunchError(ENDED, code="S2", status=401)
        secret = request.cookies[cookie_name(launch.id)]
        return Choosing(
            launch=launch,
            endpoint=endpoint,
            api=ports.fhir(endpoint, bearer_of(ports, launch), None),
            csrf=csrf_token(launch, secret),
            secret=secret,
            viewer=viewer_of(launch.language or asked_language(request)),
        )

    def _bind(self, choosing: Choosing, identifier: str, shown: str) -> Response:
        if not FHIR_ID.match(identifier):
            raise LaunchError(CHANGED, code="P2", status=409)
        row = self._ports.desk.read_patient(choosing.api, f"Patient/{identifier}")
        if row is None or not hmac.compare_digest(
            choosing.mark(row).encode(), shown.encode()
        ):
            raise LaunchError(CHANGED, code="P2", status=409)
        launch, now = choosing.launch, self._ports.clock.now()
        patient = f"Patient/{row.id}"
        note_step(launch, now, "opened", patient=patient)
        bound = self._ports.launches.bind_patient(launch, patient, now)
        if bound is None:
            raise LaunchError(NOT_OPEN, code="P1", status=409)
        return Response(status=303, headers={"Location": find_place(bound)})

    def _show(
        self,
        choosing: Choosing,
        request: Request | None = None,
        *,
        found: Found | None = None,
        error: str = "",
        status: int = 200,
    ) -> Response:
        typed = request.form if request else {}
        response = self._pages.show_alone(
            "smart/patient.html",
            choosing.viewer,
            write_policy(choosing.endpoint.app.frame_origins),
            status,
            choosing=choosing,
            found=found,
            error=error,
            typed={name: typed.get(name, "") for name in ASKED},
        )
        # Who was found leaves the screen when the server locks, also without a script.
        response.headers["Refresh"] = (
            f"{self._locks_in(choosing) + 1}; url=/l/{choosing.launch.id}/patient"
        )
        return response

    def _locks_in(self, choosing: Choosing) -> int:
        launch, now = choosing.launch, self._ports.clock.now()
        until = min(idle_until(launch, choosing.endpoint), ends_at(self._ports, launch))
        return max(int((until - now).total_seconds()), 0)
