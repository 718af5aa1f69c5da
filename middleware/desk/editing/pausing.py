"""The pause of all messages to a patient, and its end."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta

from mappings.preference import Who
from middleware.desk.editing.fields import Sent
from middleware.desk.editing.saving import Said, save_said
from middleware.desk.views import View
from middleware.stages.context import StageContext


def save_pause(
    context: StageContext,
    view: View,
    sent: Sent,
    *,
    last: date | None,
    why: str,
) -> None:
    """Pause all messages to the end of the patient's day ``last``; None is open-ended.

    Raises ChangedElsewhereError.
    """
    until = None if last is None else end_of_day(last, view)
    value = {"until": until.isoformat() if until else None, "why": why}
    said = Said("pause", value, Who.STAFF)
    save_said(context, view, sent, [said], version=sent.version)


def save_resume(context: StageContext, view: View, sent: Sent) -> None:
    """End the pause now. Raises ChangedElsewhereError."""
    said = Said("pause", None, Who.STAFF)
    save_said(context, view, sent, [said], version=sent.version)


def end_of_day(last: date, view: View) -> datetime:
    """Return the midnight that ends a day of the patient's."""
    return datetime.combine(last + timedelta(days=1), time(), tzinfo=view.zone)
