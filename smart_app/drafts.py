"""Input whose session ended before it was saved: kept ten minutes, sealed, for its author.

It is offered again to the same user of the same EHR about the same patient, and to
nobody else; it is gone once that form is saved, discarded, or after its time. Of several
forms each is kept, and the newest is offered first.
"""

from __future__ import annotations

import hmac
import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from flask import Request

from mappings.errors import LaunchError, StorageError
from middleware.desk.editing.drafts import LIFE, DraftRow
from middleware.desk.editing.fields import Fields
from middleware.desk.launches import LOCKED, OPEN, Launch
from middleware.desk.viewer import mark
from smart_app.cookies import cookie_name, csrf_token
from smart_app.own_forms import is_own
from smart_app.ports import SmartPorts
from smart_app.session import Session, find_launch

KEPT = mark(
    "Your chart session ended before this was saved. Open this app again from the "
    "chart: what you filled in is kept for 10 minutes, for you and this patient only."
)
LARGEST = 16_384  # bytes of all that was filled in
# What is filled in; a button alone (undo, resume, discard) has nothing to go on with.
FORMS = re.compile(r"(preferences/[^/]+|answers|pause|messages/[^/]+/(move|skip))\Z")
# How the form was named and what it was made from stay with it: it goes on as the same.
NOT_KEPT = ("csrf", "patient", "seen", "save", "back")


@dataclass(frozen=True)
class Draft:
    """What was filled in: ``path`` is the form's, below the launch's."""

    id: str
    path: str
    fields: Fields
    until: datetime

    @property
    def form(self) -> tuple[str, ...]:
        """Return which form it is: of the answers, each topic and person has its own."""
        return _form_of(self.path, self.fields)


def keep_draft(ports: SmartPorts, request: Request, lid: str) -> bool:
    """Keep what a form of an ended session says; False where it is not its own form."""
    path = _form_path(request, lid)
    if not FORMS.match(path):
        return False
    try:
        launch = find_launch(ports, request, lid)
    except LaunchError:
        return False
    if launch.stage not in (OPEN, LOCKED) or not _is_of(ports, request, launch):
        return False
    fields = {
        name: values
        for name, values in request.form.to_dict(flat=False).items()
        if name not in NOT_KEPT
    }
    clear = orjson.dumps({**_whose(launch), "path": path, "fields": fields})
    if len(clear) > LARGEST:
        return False
    now, form = ports.clock.now(), _form_of(path, fields)
    row = DraftRow(
        id=ports.ids.new(),
        **_whose(launch),
        sealed=ports.sealer.seal(clear),
        created_at=now,
        expires_at=now + LIFE,
    )
    ports.drafts.insert(
        row, [one.id for one in _list_drafts(ports, launch) if one.form == form]
    )
    return True


def find_draft(ports: SmartPorts, session: Session) -> Draft | None:
    """Return what this user had filled in last about this patient, if it is kept."""
    return next(iter(_list_drafts(ports, session.launch)), None)


def drop_draft(ports: SmartPorts, session: Session, draft_id: str) -> None:
    """Remove one thing that this user had filled in about this patient."""
    mine = [one.id for one in _list_drafts(ports, session.launch)]
    ports.drafts.delete([one for one in mine if one == draft_id])


def settle_draft(ports: SmartPorts, session: Session, request: Request) -> None:
    """Remove what was filled in of the form that was saved now; another's stays."""
    path = _form_path(request, session.launch.id)
    form = _form_of(path, request.form.to_dict(flat=False))
    kept = _list_drafts(ports, session.launch)
    ports.drafts.delete([one.id for one in kept if one.form == form])


def _list_drafts(ports: SmartPorts, launch: Launch) -> list[Draft]:
    """Return what a launch's user has kept about its patient, newest first."""
    whose = _whose(launch)
    rows = ports.drafts.find_all(
        whose["endpoint_id"],
        whose["user_reference"],
        whose["patient"],
        ports.clock.now(),
    )
    found = [(row, _unseal(ports, row.sealed)) for row in rows]
    return [
        Draft(row.id, value["path"], value["fields"], row.expires_at)
        for row, value in found
        if all(value.get(name) == mine for name, mine in whose.items())
    ]


def _unseal(ports: SmartPorts, sealed: bytes) -> dict[str, Any]:
    try:
        value: dict[str, Any] = orjson.loads(ports.sealer.open(sealed))
    except StorageError:
        return {}
    return value


def _form_of(path: str, fields: Fields) -> tuple[str, ...]:
    about = ("topic", "person") if path == "answers" else ()
    return (path, *("".join(fields.get(name, ())) for name in about))


def _form_path(request: Request, lid: str) -> str:
    return request.path.removeprefix(f"/l/{lid}/")


def _whose(launch: Launch) -> dict[str, str]:
    """Return the EHR, the user by every name that is known, and the patient."""
    return {
        "endpoint_id": launch.endpoint_id,
        "user_reference": launch.user,
        "patient": launch.patient or "",
    }


def _is_of(ports: SmartPorts, request: Request, launch: Launch) -> bool:
    """Tell whether our own page of this launch and patient sent the form."""
    secret = request.cookies.get(cookie_name(launch.id), "")
    brought = request.form.get("csrf", "").encode()
    own = hmac.compare_digest(brought, csrf_token(launch, secret).encode())
    about = launch.patient is not None and request.form.get("patient") == launch.patient
    return is_own(ports, request) and own and about
