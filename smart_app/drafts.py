"""Input whose session ended before it was saved: kept ten minutes, sealed, for its author.

It is offered again to the same user of the same EHR about the same patient, and to
nobody else; it is gone once something is saved, discarded, or after its time.
"""

from __future__ import annotations

import hmac
import re
from dataclasses import dataclass
from datetime import datetime

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
NOT_KEPT = ("csrf", "patient", "form_id", "turn", "seen", "save", "back")


@dataclass(frozen=True)
class Draft:
    """What was filled in: ``path`` is the form's, below the launch's."""

    path: str
    fields: Fields
    until: datetime


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
    now = ports.clock.now()
    ports.drafts.insert(
        DraftRow(
            id=ports.ids.new(),
            **_whose(launch),
            sealed=ports.sealer.seal(clear),
            created_at=now,
            expires_at=now + LIFE,
        )
    )
    return True


def find_draft(ports: SmartPorts, session: Session) -> Draft | None:
    """Return what this user had filled in about this patient, if it is kept."""
    whose = _whose(session.launch)
    row = ports.drafts.find(
        whose["endpoint_id"],
        whose["user_reference"],
        whose["patient"],
        ports.clock.now(),
    )
    if row is None:
        return None
    try:
        value = orjson.loads(ports.sealer.open(row.sealed))
    except StorageError:
        return None
    if any(value[name] != mine for name, mine in whose.items()):
        return None
    return Draft(value["path"], value["fields"], row.expires_at)


def drop_draft(ports: SmartPorts, session: Session) -> None:
    """Remove what this user had filled in about this patient."""
    whose = _whose(session.launch)
    ports.drafts.delete(whose["endpoint_id"], whose["user_reference"], whose["patient"])


def settle_draft(ports: SmartPorts, session: Session, request: Request) -> None:
    """Remove what was filled in of the form that was saved now; another's stays."""
    draft = find_draft(ports, session)
    if draft is not None and draft.path == _form_path(request, session.launch.id):
        drop_draft(ports, session)


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
