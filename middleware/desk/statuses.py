"""The statuses of FHIR resources as people call them. Pure.

Source: FHIR R4 and R5, the required value sets of ``status`` and clinical status.
"""

from __future__ import annotations

from middleware.desk.viewer import mark

STATUSES = {
    "accepted": mark("accepted"),
    "active": mark("active"),
    "amended": mark("amended"),
    "arrived": mark("arrived"),
    "booked": mark("booked"),
    "cancelled": mark("cancelled"),
    "checked-in": mark("checked in"),
    "completed": mark("completed"),
    "corrected": mark("corrected"),
    "discharged": mark("discharged"),
    "discontinued": mark("discontinued"),
    "draft": mark("draft"),
    "entered-in-error": mark("entered in error"),
    "final": mark("final"),
    "finished": mark("finished"),
    "fulfilled": mark("fulfilled"),
    "inactive": mark("inactive"),
    "in-progress": mark("in progress"),
    "noshow": mark("did not come"),
    "not-done": mark("not done"),
    "on-hold": mark("on hold"),
    "onleave": mark("on leave"),
    "pending": mark("pending"),
    "planned": mark("planned"),
    "preliminary": mark("preliminary"),
    "preparation": mark("in preparation"),
    "proposed": mark("proposed"),
    "recurrence": mark("come back"),
    "registered": mark("registered"),
    "rejected": mark("rejected"),
    "relapse": mark("relapsed"),
    "remission": mark("in remission"),
    "requested": mark("requested"),
    "resolved": mark("resolved"),
    "revoked": mark("revoked"),
    "stopped": mark("stopped"),
    "triaged": mark("triaged"),
    "unknown": mark("unknown"),
    "waitlist": mark("on a waiting list"),
}
