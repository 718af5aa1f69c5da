"""The place that a launch's ``intent`` asks for; the top of the page for any other.

An unknown intent is no fault (SMART App Launch 2.2): the EHR may say it to many apps.
"""

from __future__ import annotations

from middleware.desk.launches import Launch

# Behind ``/l/<launch>/``: a page of its own, or a part of the patient's page.
PLACES = {
    "summary": "summary",
    "history": "history",
    "messages": "#next",
    "order-review": "#next",
    "preferences": "#prefs",
    "reconcile": "#prefs",
    "consent": "#topics",
}


def find_place(launch: Launch) -> str:
    """Return the path at which an opened launch begins."""
    intent = launch.context.get("intent")
    return f"/l/{launch.id}/{PLACES.get(str(intent), '')}"
