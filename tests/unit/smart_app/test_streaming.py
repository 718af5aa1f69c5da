"""The page in two pieces: what leaves at once, what takes its place, and what it asks."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from flask import Flask

from mappings.preference import ConsentRecord, Who
from middleware.desk.desk import Desk
from middleware.storage import preferences
from middleware.storage.marks import RESTORE_UNCHECKED, put_mark
from middleware.storage.merging import merge_patients
from middleware.storage.switches import set_switch
from middleware.storage.tasks import insert_task
from smart_app.app import create_blueprint
from smart_app.streaming import BEAT
from tests.unit.smart_app.acts import agree, pieces, plan, words

SAID = "Text Rosa in Spanish, 9 AM to 8 PM."


def pieces_of(answer):
    """Yield the pieces of an answer that is being read, one at a time."""
    coming = (piece.decode() for piece in answer.iter_encoded())
    return (piece for piece in coming if piece != BEAT)


def pieces_in_turn(rig, path: str) -> tuple[str, ...]:
    """Return the pieces where what turns no verdict waits until it was said."""
    rig.ehr.late = {"Communication", "Goal", "Observation"}
    rig.ehr.slow.clear()
    coming = pieces_of(rig.http.get(path, buffered=False))
    before = [next(coming) for _ in range(3)]
    rig.ehr.slow.set()
    return (*before, *coming)


def test_first_piece_names_the_patient_before_the_chart_is_read(rig):
    path = rig.open()
    rig.ehr.log.clear()
    answer = rig.http.get(path, buffered=False)
    first = next(answer.iter_encoded()).decode()
    assert rig.ehr.log == []
    assert "Rosa Delgado" in first
    assert "Born Feb 3, 1968" in first
    assert "The chart is being read" in words(first)
    assert "</body>" not in first
    answer.close()


def test_what_was_last_said_is_shown_with_its_time_while_the_chart_is_read(rig):
    agree(rig)
    rig.clock.instant += timedelta(minutes=1)
    first, _ = pieces(rig, rig.open())
    assert SAID not in words(first)
    rig.clock.instant += timedelta(minutes=20)
    first, rest = pieces(rig, rig.open())
    assert SAID in words(first)
    assert "As of 7:01 AM. The chart is being checked." in words(first)
    assert SAID in words(rest)
    assert rest.startswith('<div class="fresh" hidden></div>')


def test_pieces_make_one_page(rig):
    agree(rig)
    plan(rig)
    whole = "".join(pieces(rig, rig.open()))
    for once in (
        "<!doctype html>",
        "<head>",
        "<body",
        "</body>",
        "</html>",
        'id="main"',
    ):
        assert whole.count(once) == 1, once


def test_nothing_that_was_said_before_a_new_answer_is_shown(rig):
    agree(rig)
    rig.clock.instant += timedelta(minutes=1)
    rig.http.get(rig.open())
    rig.clock.instant += timedelta(minutes=1)
    agree(rig, permit=False)
    rig.clock.instant += timedelta(minutes=1)
    first, _ = pieces(rig, rig.open())
    assert SAID not in words(first)


def test_what_was_said_to_one_reader_is_not_shown_to_another(rig):
    agree(rig)
    rig.clock.instant += timedelta(minutes=1)
    rig.http.get(rig.open())
    rig.ehr.claims = {"fhirUser": "Practitioner/lind"}
    first, rest = pieces(rig, rig.open())
    assert SAID not in words(first)
    assert SAID in words(rest)


def test_nothing_that_was_said_before_a_switch_was_set_is_shown(rig):
    agree(rig)
    rig.clock.instant += timedelta(minutes=1)
    rig.http.get(rig.open())
    with rig.database.tx() as tx:
        set_switch(
            tx,
            id="s1",
            scope="all",
            target="*",
            reason="drill",
            set_by="op",
            now=rig.clock.instant,
        )
    first, rest = pieces(rig, rig.open())
    assert SAID not in words(first)
    assert "on hold" in words(rest)


def bounce(rig):
    with rig.database.tx() as tx:
        preferences.mark_bad_address(
            tx, "sms", "+14155550142", "address-unreachable", rig.clock.now()
        )


def stop(rig, system="sms", value="+14155550142"):
    """Somebody at a number says no; no chart was ever read for a message there."""
    with rig.database.tx() as tx:
        preferences.insert_consent(
            tx,
            ConsentRecord(
                id="stop",
                endpoint_id="southside",
                patient=None,
                system=system,
                value=value,
                topic="*",
                permit=False,
                who=Who.PATIENT,
                how="reply STOP",
                recorded_at=rig.clock.now(),
            ),
        )


def stop_at_mothers(rig):
    stop(rig, value="+14155550155")


def deny_on_the_old_record(rig):
    """The record was merged into this one before; a no to it comes only now."""
    with rig.database.tx() as tx:
        tx.execute(
            "INSERT INTO consent (id, endpoint_id, patient, system, value, topic, "
            "permit, who, how, recorded_at) VALUES ('old', 'northside', "
            "'Patient/rosa-old', 'email', 'x@example.org', '*', false, 'patient', "
            "'by phone', %s)",
            (rig.clock.now(),),
        )


def merge_away(rig):
    with rig.database.tx() as tx:
        merge_patients(tx, "northside", "Patient/rosa", "Patient/new", rig.clock.now())


def ask_for_a_person(rig):
    with rig.database.tx() as tx:
        insert_task(
            tx,
            id="t1",
            endpoint_id="northside",
            patient="Patient/rosa",
            nudge_id=None,
            priority="stat",
            reason="reply-needs-person",
            text="pain",
            now=rig.clock.now(),
        )


def restore(rig):
    with rig.database.tx() as tx:
        put_mark(tx, RESTORE_UNCHECKED, "2026-11-16")


@pytest.mark.parametrize(
    "change",
    [
        bounce,
        stop,
        stop_at_mothers,
        deny_on_the_old_record,
        merge_away,
        ask_for_a_person,
        restore,
    ],
)
def test_nothing_is_shown_once_a_place_a_merge_or_a_task_may_say_otherwise(rig, change):
    rig.ehr.resources["RelatedPerson/ana"] = {
        "resourceType": "RelatedPerson",
        "id": "ana",
        "active": True,
        "patient": {"reference": "Patient/rosa"},
        "telecom": [{"system": "sms", "value": "+14155550155"}],
    }
    agree(rig)
    with rig.database.tx() as tx:
        merge_patients(
            tx, "northside", "Patient/rosa-old", "Patient/rosa", rig.clock.now()
        )
    rig.clock.instant += timedelta(minutes=1)
    rig.http.get(rig.open())
    first, *_ = pieces(rig, rig.open())
    assert SAID in words(first)
    rig.clock.instant += timedelta(minutes=1)
    change(rig)
    first, *_ = pieces(rig, rig.open())
    assert SAID not in words(first)
    assert "The chart is being read" in words(first)


def test_what_is_learnt_of_somebody_elses_number_hides_nothing(rig):
    agree(rig)
    rig.clock.instant += timedelta(minutes=1)
    rig.http.get(rig.open())
    stop(rig, value="+14155550999")
    first, _ = pieces(rig, rig.open())
    assert SAID in words(first)


def test_what_was_said_is_not_shown_after_a_month_or_in_another_language(rig):
    agree(rig)
    rig.clock.instant += timedelta(minutes=1)
    rig.http.get(rig.open())
    first, _ = pieces(rig, rig.open(), **{"Accept-Language": "es-MX"})
    assert "Se está leyendo la historia clínica" in words(first)
    assert "SMS" not in words(first)
    rig.clock.instant += timedelta(days=31)
    first, _ = pieces(rig, rig.open())
    assert SAID not in words(first)


def test_chart_that_cannot_be_read_takes_the_place_of_what_was_said(rig):
    agree(rig)
    rig.clock.instant += timedelta(minutes=1)
    rig.http.get(rig.open())
    path = rig.open()
    rig.ehr.resources.pop("Patient/rosa")
    first, rest = pieces(rig, path)
    assert SAID in words(first)
    assert rest.startswith('<div class="fresh" hidden></div>')
    assert "The chart could not be read." in words(rest)
    assert SAID not in words(rest)
    assert "</html>" in rest


def test_another_patient_after_the_first_piece_empties_the_page(rig):
    agree(rig)
    path = rig.open()
    rig.ehr.resources["Patient/rosa"] = {**rig.ehr.resources["Patient/rosa"], "id": "x"}
    _, rest = pieces(rig, path)
    assert "Rosa" not in words(rest)
    assert "another record than the open chart" in words(rest)


def test_page_that_a_form_comes_back_to_is_whole_for_htmx(rig):
    agree(rig)
    [whole] = pieces(rig, rig.open(), **{"HX-Request": "true"})
    assert SAID in words(whole)
    path = rig.open()
    rig.ehr.resources.pop("Patient/rosa")
    answer = rig.http.get(path, headers={"HX-Request": "true"})
    assert answer.status_code == 502


def test_proxies_are_told_to_pass_each_piece_on(rig):
    answer = rig.http.get(rig.open())
    assert answer.headers["X-Accel-Buffering"] == "no"
    assert "Content-Length" not in answer.headers


@pytest.mark.parametrize(
    ("batches", "expected"),
    [(True, SAID), (False, "Language to write in: Spanish. Hours: 9 AM to 8 PM.")],
)
def test_at_most_six_requests_from_the_callback_to_what_the_chart_says(
    rig, batches, expected
):
    agree(rig)
    plan(rig)
    rig.ehr.batches = batches
    for _ in range(2):
        rig.ehr.log.clear()
        answer = rig.http.get(rig.open(), buffered=False)
        coming = pieces_of(answer)
        next(coming)
        said = next(coming)
        asked = [line for line in rig.ehr.log if is_fhir(line)]
        assert len(asked) <= 6, asked
        assert expected in words(said)
        assert batches or "GET /fhir/Flag" in asked
        answer.close()


def is_fhir(line: str) -> bool:
    return " /fhir" in line and "smart-configuration" not in line


def test_without_batches_the_page_completes_itself(rig):
    agree(rig)
    plan(rig)
    rig.http.get(rig.open())
    rig.ehr.batches = False
    rig.clock.instant += timedelta(seconds=30)
    path = rig.open()
    rig.ehr.log.clear()
    first, known, so_far, rest = pieces_in_turn(rig, path)
    for piece in (known, so_far):
        assert piece.startswith('<div class="fresh" hidden></div>')
        assert "Rosa Delgado" in piece
        for word in ("<form", "<!doctype", "</body>", ' id="'):
            assert word not in piece.partition("<main")[2], word
        assert "Follow-up with Dr. Osei" not in piece
    assert "Wait before you write to Rosa." in words(known)
    assert "not yet compared with those of family and carers" in words(known)
    assert "visits, messages, goals, results, and family and carers" in words(known)
    assert SAID not in words(known)
    assert SAID in words(so_far)
    assert "Still being read: messages, goals" in words(so_far)
    assert rest.startswith('<div class="fresh" hidden></div>')
    assert "Follow-up with Dr. Osei" in rest
    for word in ("Not asked", "Still being read", "did not give"):
        assert word not in words(rest)
    assert len(rig.ehr.log) == len(set(rig.ehr.log)), "something was asked twice"
    assert f"{first}{known}{so_far}{rest}".count("</html>") == 1


def test_what_fails_after_the_first_words_of_the_chart_takes_their_place(rig):
    agree(rig)
    rig.http.get(rig.open())
    rig.ehr.batches, rig.ehr.late = False, {"Goal"}
    rig.ehr.slow.clear()
    answer = rig.http.get(rig.open(), buffered=False)
    coming = pieces_of(answer)
    next(coming)
    assert "Wait before you write to Rosa." in words(next(coming))
    assert SAID in words(next(coming))
    rig.ehr.broken.add("Goal")
    rig.ehr.slow.set()
    rest = next(coming)
    assert "Not permitted: goals" in words(rest)
    assert list(coming) == []
    answer.close()


def test_minor_is_not_judged_before_it_is_known_who_stands_beside(rig):
    agree(rig)
    rig.http.get(rig.open())
    rig.ehr.resources["Patient/rosa"]["birthDate"] = "2015-02-03"
    rig.ehr.batches = False
    _, known, so_far, rest = pieces_in_turn(rig, rig.open())
    assert "Under 18" in words(known)
    assert "A person decides" not in words(known)
    assert "A person decides whom to reach" in words(so_far)
    assert "A person decides whom to reach" in words(rest)


@pytest.mark.parametrize(
    ("kind", "changes"),
    [
        ("Appointment", {"cancelationReason": {"coding": [{"code": "pat-dec"}]}}),
        ("Flag", {"status": "active", "code": {"text": "Confidential communication"}}),
    ],
)
def test_no_verdict_is_shown_that_what_is_read_after_it_lifts(rig, kind, changes):
    agree(rig)
    plan(rig)
    rig.http.get(rig.open())
    rig.ehr.batches = False
    rig.ehr.resources[f"{kind}/x"] = {
        "resourceType": kind,
        "id": "x",
        "status": "cancelled",
        "subject": {"reference": "Patient/rosa"},
        "participant": [{"actor": {"reference": "Patient/rosa"}}],
        **changes,
    }
    _, *early, rest = pieces_in_turn(rig, rig.open())
    assert SAID not in words(rest)
    assert len(early) == 2
    for piece in early:
        assert SAID not in words(piece)


def test_yes_that_was_last_said_is_not_shown_as_one_that_holds(rig):
    agree(rig)
    rig.clock.instant += timedelta(minutes=1)
    rig.http.get(rig.open())
    first, rest = pieces(rig, rig.open())
    assert SAID in words(first)
    assert "Being checked" in words(first)
    assert "Messages on" not in words(first)
    assert "Messages on" in words(rest)


def test_chart_without_its_flags_says_that_it_cannot_tell(rig):
    agree(rig)
    rig.ehr.broken.add("Flag")
    assert "The chart could not be read in full." in words(
        rig.http.get(rig.open()).text
    )


def test_name_of_who_is_signed_in_is_read_once(rig):
    rig.ehr.batches = False
    for count in (1, 1, 2):
        path = rig.open()
        rig.http.get(path)
        rig.http.get(path)
        launch = rig.ports.launches.get(path.split("/")[2])
        assert launch.user_name == "Dr. Abena Osei"
        assert rig.ehr.log.count("GET /fhir/Practitioner/osei") == count
        rig.clock.instant += timedelta(days=20)


class Broken(Desk):
    """A desk with a fault that nobody foresaw."""

    def write_page(self, view):
        raise KeyError(view.patient)


def test_fault_that_nobody_foresaw_takes_the_place_of_what_was_said(rig):
    agree(rig)
    rig.http.get(rig.open())
    path = rig.open()
    rig.ports = replace(rig.ports, desk=Broken(rig.ports.desk._context))
    app = Flask("broken")
    app.register_blueprint(create_blueprint(rig.ports))
    rig.http.application = app
    first, rest = pieces(rig, path)
    assert SAID in words(first)
    assert "Something of CareCue is not working. Nothing was sent" in words(rest)
    assert "rosa" not in words(rest)
    assert "</html>" in rest
    answer = rig.http.get(f"{path}pause")
    assert answer.status_code == 500
    assert "Something of CareCue is not working. Nothing was sent" in words(answer.text)
    assert answer.headers["Cache-Control"] == "no-store"


def test_visit_whose_status_is_no_word_is_left_out(rig):
    agree(rig)
    plan(rig)
    rig.ehr.resources["Appointment/a1"]["status"] = [{"booked": True}]
    path = rig.open()
    assert SAID in words(rig.http.get(path).text)
    assert rig.http.get(f"{path}summary").status_code == 200


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("Patient/rosa", {"gender": [["female"]]}),
        ("Patient/rosa", {"birthDate": [{}]}),
        ("Appointment/a1", {"start": "0001-01-01"}),
    ],
)
def test_what_a_chart_says_in_an_odd_way_does_not_break_the_page(rig, name, changes):
    agree(rig)
    plan(rig)
    rig.ehr.resources[name] |= changes
    path = rig.open()
    text = words(rig.http.get(path).text)
    assert "Coming up" in text
    assert "Something of CareCue is not working" not in text
    assert rig.http.get(f"{path}preferences/words").status_code == 200
