"""The page of a sign-in that failed, at an address that says nothing of it.

The callback's own address has the code and the state; both are spent, and neither stays
in the browser's history. What is shown is sealed to the launch, and only the browser that
began it may read it.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from flask import Request

from mappings.errors import LaunchError
from middleware.desk.launches import FAILED, Launch
from middleware.desk.viewer import mark
from smart_app.cookies import holds_cookie
from smart_app.kept import seal, unseal
from smart_app.ports import SmartPorts
from smart_app.session import find_endpoint

PLACE = "/smart/failed"
NO_PAGE = mark("There is no such page here. Nothing was changed.")
_SHOWN = ("code", "status", "said", "link", "found")


def seal_failure(ports: SmartPorts, launch: Launch, error: LaunchError) -> bytes:
    """Seal what the page of a failure shows; it is all that is kept with the launch."""
    shown: dict[str, Any] = {name: getattr(error, name) for name in _SHOWN}
    return seal(ports, launch.id, {**shown, "message": error.message})


def recall_failure(ports: SmartPorts, request: Request, launch_id: str) -> LaunchError:
    """Return a launch's failure; LaunchError N1 where there is none for this browser."""
    launch = ports.launches.get(launch_id)
    mine = launch is not None and holds_cookie(request, launch)
    if launch is None or not mine or launch.stage != FAILED or not launch.sealed:
        return LaunchError(NO_PAGE, code="N1", status=404)
    kept = unseal(ports, launch)
    shown = {name: kept[name] for name in _SHOWN}
    return LaunchError(kept["message"], **shown)


def write_standalone(ports: SmartPorts, launch: Launch) -> str:
    """Return where the same EHR is signed in to by itself, in a window of its own."""
    base = find_endpoint(ports, launch.endpoint_id).fhir_base
    return f"/smart/standalone?{urlencode({'iss': base})}"
