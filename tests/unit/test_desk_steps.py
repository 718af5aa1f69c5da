"""A step of a plan in the viewer's language: fresh, planned, and in the history."""

from dataclasses import replace

import pytest

from mappings.event import EventKind
from middleware.desk.histories import write_history
from middleware.desk.steps import say_step, say_when
from middleware.desk.viewer import viewer_of
from tests.unit.decisions.story import (
    EVERYTHING,
    appointment,
    chart,
    decide,
    encounter,
    event,
    nudge_of,
    patient,
)
from tests.unit.desk_views import sent, view


def spanish(tag="es-US", **changes):
    library = changes.pop("library", EVERYTHING)
    return replace(view(**changes), viewer=viewer_of(tag), library=library)


def booked(**person):
    record = chart(appointment(), person=patient(**person))
    found = decide(event(EventKind.APPOINTMENT_BOOKED, "Appointment/visit"), record)
    return found["appointment-reminder/three-days"]


def said(one):
    return one.title, one.why, one.stops, one.language


@pytest.mark.parametrize(
    ("tag", "when"),
    [
        ("es-US", "2 dic, 9:30 a.m."),
        ("es-MX", "2 dic, 9:30 a.m."),
        ("es-ES", "2 dic, 9:30"),
    ],
)
def test_sentences_have_days_and_hours_of_the_viewers_region(tag, when):
    assert said(say_step(spanish(tag), booked())) == (
        "Recordatorio de cita, 3 días antes",
        f"Cita el {when}: se recuerda a Rosa tres días antes.",
        "Se detiene si la cita se cancela o cambia de fecha.",
        "",
    )


def test_english_is_what_is_stored():
    one = booked()
    shown = say_step(replace(spanish(), viewer=viewer_of("en-US")), one)
    assert said(shown) == (one.title, one.why, one.stops, "")
    assert one.why == "Visit on Dec 2 at 9:30 AM. Reminds Rosa three days before."


def test_somebody_without_a_name_is_this_person():
    shown = say_step(spanish(), booked(name=[]))
    assert shown.why.endswith("se recuerda a esta persona tres días antes.")


def test_step_of_a_stay_is_said_with_its_day():
    found = decide(
        event(EventKind.ENCOUNTER_DISCHARGED, "Encounter/stay"), chart(encounter())
    )
    one = found["post-discharge/check-in"]
    shown = say_step(spanish(), one)
    assert shown.why == (
        "Salió del hospital el 20 nov, hacia su casa. Pregunta cómo está Rosa."
    )
    assert shown.stops == "Se detiene si Rosa vuelve a ingresar."


def test_every_shipped_step_can_be_said():
    one = booked()
    places = replace(one.places, activity=one.places.event.date())
    for plan in EVERYTHING.plans:
        for action in plan.actions:
            fresh = replace(one, plan=plan, action=action, places=places)
            shown = say_step(spanish(), fresh)
            assert all((shown.title, shown.why, shown.stops)), (plan.id, action.id)
            assert shown.language == ""
            assert "{" not in f"{shown.title}{shown.why}{shown.stops}"


def test_what_is_not_wholly_translated_is_said_as_written_and_marked():
    one = booked()
    words = replace(one.action.translated["es"], stops_if="")
    for translated in ({}, {"es": words}):
        action = replace(one.action, translated=translated)
        shown = say_step(spanish(), replace(one, action=action))
        assert said(shown) == (one.title, one.why, one.stops, "en")


def test_plan_of_another_language_is_marked_with_it():
    one = booked()
    plan = replace(one.plan, language="fr")
    action = replace(one.action, translated={})
    assert say_step(spanish(), replace(one, plan=plan, action=action)).language == "fr"


def test_what_ended_is_said_in_the_viewers_language_too():
    one = booked()
    nudge = nudge_of(one, why=one.why, stops=one.stops)
    ended = replace(one, why="", stops="")
    assert say_step(spanish(), ended, nudge).why.startswith("Cita el 2 dic")
    english = replace(spanish(), viewer=viewer_of("en-US"))
    assert say_step(english, ended, nudge).why == nudge.why


def test_history_names_steps_that_the_library_still_has():
    url = next(p.url for p in EVERYTHING.plans if p.id == "appointment-reminder")
    known = replace(sent(3), plan=url, action="three-days")
    gone = replace(sent(4), plan=url, action="no-more")
    history = write_history(spanish(sent=(known, gone)))
    assert [(row.title, row.language) for row in history.rows] == [
        ("Recordatorio de cita, 3 días antes", ""),
        ("A title", "en"),
    ]
    english = replace(spanish(sent=(known, gone)), viewer=viewer_of("en-US"))
    assert [(row.title, row.language) for row in write_history(english).rows] == [
        ("A title", ""),
        ("A title", ""),
    ]


def test_a_step_of_staff_is_shown_with_its_close_of_business():
    night = {"start": "2026-11-17T10:00:00-06:00", "end": "2026-11-18T22:40:00-08:00"}
    late = encounter(period=night)
    found = decide(event(EventKind.ENCOUNTER_DISCHARGED, "Encounter/stay"), chart(late))
    step = found["post-discharge/book-call"]
    shown = say_when(view(), step)
    # Ten days after Wednesday night is Saturday night: the next close is Monday's.
    assert (
        step.due_at.astimezone(view().zone).isoformat() == "2026-11-28T22:40:00-08:00"
    )
    assert shown.iso == "2026-11-30T17:00-08:00"
