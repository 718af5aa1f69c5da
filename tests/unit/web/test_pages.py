"""What the console's pages say, and what they keep to themselves."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from mappings.endpoint import AppClient, BackendClient
from mappings.nudge import REASONS, Outcome
from mappings.plan import Plan
from middleware.storage import endpoints, inbox, marks, schedule
from middleware.storage.audit import insert_audit
from middleware.storage.circuits import set_circuit
from middleware.storage.controls import insert_control
from middleware.storage.subscriptions import insert_subscription
from middleware.storage.tasks import insert_task
from middleware.web.advice import _TABLE
from subscriptions.memory import Memory, dump_memory
from subscriptions.wanting import Wanted, Way, dump_wanted
from tests.stages.world import CHECK_IN, ENDPOINT, NUMBER, ROSA, encounter
from tests.unit.storage.seeds import SUBSCRIPTION
from tests.unit.web.conftest import Console
from tests.unit.web.pages import heading, read_chart, text_of

SECRETS = ("Rosa", "Delgado", NUMBER, "1958", "rosa@example.org", "Northside Clinic: ")


def play(console: Console) -> str:
    """Discharge Rosa, send the check-in and return the event's id."""
    console.world.discharge()
    console.world.run()
    console.world.go(CHECK_IN)
    console.world.run()
    console.login()
    return str(
        console.world.one("SELECT id FROM event WHERE kind = 'encounter-discharged'")
    )


def test_healthy_overview_says_so(console):
    console.tick()
    read_chart(console)
    console.login()

    assert heading(console).startswith("The endpoint is healthy.")
    assert "All healthy" in console.get()


def test_what_names_nobody_is_counted_with_its_reason(console):
    world = console.world
    people = [{"subject": ...}, {"subject": {"reference": "Group/7"}}, {"period": ...}]
    for number, changes in enumerate(people):
        stay = encounter(id=f"s{number}", **changes)
        world.notify(world.fhir.put(stay))
        world.notify(f"Encounter/s{number}")
    past = {"start": "2016-01-01", "end": "2016-01-05"}
    world.notify(world.fhir.put(encounter(id="old", period=past)))
    world.run()
    console.tick()
    read_chart(console)
    console.login()

    said = text_of(console.get())
    assert "In the last week North told of 2 resources without a patient." in said
    assert "North told of 1 resource that had ended, without a date" in said
    passed = "2 names no patient, 1 time unknown, 1 too long ago"
    assert f"Passed over in a week {passed}" in said
    world.clock.instant += timedelta(days=8)
    assert "Passed over in a week nothing" in text_of(console.get())


def test_silent_worker_comes_first(console):
    read_chart(console, "answered 500")
    console.login()

    assert heading(console) == "No worker is running, so no message goes out."
    assert "North cannot be read." in console.get()


def test_the_first_poll_that_fails_is_told_with_its_remedy(console):
    console.tick()
    world = console.world
    with world.database.tx() as tx:
        tx.execute("DELETE FROM poll_cursor")
        fault = "its host name is not known here (DNS). Compare it."
        inbox.note_fault(tx, "north", "CarePlan", fault, world.clock.now())
    console.login()
    assert heading(console) == "North cannot be read."
    page = text_of(console.get())
    assert f"Last try 0 s ago: {fault}" in page
    assert "Not read yet" not in page


def test_an_ehr_of_the_app_alone_is_no_fault(console):
    console.tick()
    world = console.world
    with world.database.tx() as tx:
        tx.execute("DELETE FROM poll_cursor")
        inbox.note_fault(tx, "north", "CarePlan", "refused", world.clock.now())
        alone = replace(ENDPOINT, app=AppClient("carecue"), backend=BackendClient())
        endpoints.update_endpoint(tx, alone)
    console.login()
    page = text_of(console.get())
    assert "cannot be read" not in page
    assert "App only" in page
    assert "Not read: no [backend]" in page


def test_worst_problem_is_the_heading_and_the_others_follow(console):
    console.tick()
    read_chart(console, "answered 500")
    console.login()
    console.post("/console/hold", what="all:*", reason="storm")

    page = text_of(console.get())
    assert heading(console) == "North cannot be read."
    assert "2 problems" in page
    assert "A person holds everything, so no message goes out." in page


def test_what_is_left_alone_is_said(console):
    console.tick()
    read_chart(console)
    now = console.world.clock.now()
    with console.world.database.tx() as tx:
        for worker, name in (("one", "sms"), ("two", "sms"), ("one", "EHR north")):
            set_circuit(tx, worker, name, now + timedelta(seconds=30), now)
    console.login()

    page = text_of(console.get())
    assert heading(console) == "North did not answer several times in a row."
    assert "The channel sms failed several times in a row." in page
    assert "Channels and EHRs answer EHR north left alone, sms left alone" in page
    console.world.wait(minutes=2)
    console.tick()
    assert heading(console).startswith("The endpoint is healthy.")


def test_periodic_work_that_failed_is_said_in_a_sentence(console):
    console.tick()
    read_chart(console)
    now = console.world.clock.now()
    with console.world.database.tx() as tx:
        schedule.claim(tx, "patients", timedelta(seconds=20), now)
        schedule.note_result(tx, "patients", "FhirError")
    console.login()
    said = "The last turn of the periodic work “patients” failed."
    assert heading(console) == said
    page = text_of(console.get())
    assert (
        "It is tried again at its next turn. The workers’ log has the FhirError."
        in (page)
    )


def test_plan_that_retires_soon_is_said(console):
    console.world.clock.instant = datetime(2027, 12, 10, tzinfo=UTC)
    console.wall.instant = console.world.clock.instant
    console.tick()
    console.login()
    page = text_of(console.get())
    assert "The plan Visit reminders retires in 22 days" in page
    console.world.clock.instant = datetime(2028, 1, 2, tzinfo=UTC)
    assert "The plan Visit reminders has retired" in text_of(console.get())


def test_restored_database_is_said(console):
    console.tick()
    read_chart(console)
    with console.world.database.tx() as tx:
        marks.put_mark(tx, marks.RESTORE_UNCHECKED, "2026")
    console.login()

    assert heading(console) == "Everything is held: this database was restored."


def test_late_read_and_switched_off_push_are_said(console):
    read_chart(console)
    console.world.wait(minutes=16)
    console.tick()
    row = SUBSCRIPTION.__class__(
        **{**vars(SUBSCRIPTION), "endpoint_id": "north", "status": "off"}
    )
    with console.world.database.tx() as tx:
        insert_subscription(tx, row)
    console.login()

    assert heading(console) == "North was last read 16 min ago."
    assert "North has switched notifications off: 1 of 1 off." in console.get()


def test_what_is_done_about_a_subscription_is_said(console):
    row = SUBSCRIPTION.__class__(**{**vars(SUBSCRIPTION), "endpoint_id": "north"})
    said = "It could not be activated. It is asked back after a pause."
    memory = Memory(action="wait", reason=said, alert=True)
    wanted = dump_wanted(Wanted("Encounter", (Way("criteria"),)))
    with console.world.database.tx() as tx:
        insert_subscription(tx, row)
        now = console.world.clock.now()
        insert_control(tx, row.id, "", wanted, dump_memory(memory), now)
    console.login()

    page = text_of(console.get())
    assert f"North, Encounter: {said}" in page
    assert page.count(said) == 2


def test_type_that_was_read_longest_ago_is_what_counts(console):
    read_chart(console)
    console.world.wait(minutes=16)
    console.tick()
    now = console.world.clock.now()
    with console.world.database.tx() as tx:
        inbox.advance_cursor(tx, "north", "Encounter", now, now)
    console.login()

    assert heading(console) == "North was last read 16 min ago."
    assert "1 of 1, 16 min ago" not in text_of(console.get())


def test_empty_site_says_how_to_begin(console):
    with console.world.database.tx() as tx:
        tx.execute("TRUNCATE poll_cursor, subscription, endpoint CASCADE")
    console.login()

    assert heading(console) == "No EHR is connected yet."


def test_event_is_told_from_its_arrival_to_its_message(console):
    page = text_of(console.get(f"/console/events/{play(console)}"))

    words = ("Received", "Read chart", "Decided", "Due", "Checked", "Sent")
    places = [page.index(f" {word} ") for word in words]
    assert places == sorted(places)
    assert "Yes Check in after the stay After a hospital stay" in page
    assert "Check in after the stay, by text." in page


def test_times_are_in_the_sites_zone_by_name(console):
    page = console.get(f"/console/events/{play(console)}")

    assert "Nov 21, 2026, 4:30:00 PM CST" in page
    assert "America/Chicago" in page
    assert " UTC" not in page


def test_patients_are_shown_by_id_only(console):
    event = play(console)
    paths = ("", "/events", f"/events/{event}", "/attention", "/audit")

    pages = [text_of(console.get(f"/console{path}")) for path in paths]

    assert [word for page in pages for word in SECRETS if word in page] == []
    assert ROSA in pages[1]


def test_chart_is_shown_for_a_reason_that_is_audited(console):
    event = play(console)

    page = console.post(f"/console/events/{event}", 200, reason="complaint 12")

    assert "class.code" in page
    assert "IMP" in page
    row = console.world.rows("SELECT * FROM audit ORDER BY id DESC LIMIT 1")[0]
    assert (row["action"], row["patient"], row["who"]) == (
        "patient-data-shown",
        ROSA,
        "A. Mehta",
    )
    assert row["detail"] == {"reason": "complaint 12"}


@pytest.mark.parametrize("reason", ["", "   "])
def test_chart_stays_hidden_without_a_reason(console, reason):
    event = play(console)
    before = console.audited()

    page = console.post(f"/console/events/{event}", 200, reason=reason)

    assert "What the chart says is hidden" in page
    assert console.audited() == before


def test_task_keeps_the_patients_words_to_itself(console):
    play(console)
    console.world.reply("my chest hurts <b>badly</b>")
    console.world.run()

    page = console.get("/console/attention")

    assert "A reply from the patient waits for a person." in page
    assert "chest" not in page


def test_any_id_leads_to_its_event(console):
    event = play(console)
    ids = [
        console.world.one(f"SELECT id FROM {table} WHERE {where} LIMIT 1")
        for table, where in (
            ("event", "kind = 'encounter-discharged'"),
            ("nudge", "action = 'check-in'"),
            ("delivery", "nudge_id IS NOT NULL"),
            ("decision", "nudge_id IS NOT NULL"),
        )
    ]

    found = [console.client.get(f"/console/find?id={name}").location for name in ids]

    assert found == [f"/console/events/{event}"] * 4
    console.get("/console/find?id=nothing", 404)
    console.get("/console/events/nothing", 404)


def test_task_without_a_message_leads_to_its_patients_event(console):
    event = play(console)
    task = console.world.one("SELECT id FROM staff_task WHERE nudge_id IS NULL")

    answer = console.client.get("/console/find", query_string={"id": task})

    assert answer.location == f"/console/events/{event}"


def test_hostile_text_is_escaped_everywhere(console):
    evil = "<script>alert('x')</script>"
    event = play(console)
    with console.world.database.tx() as tx:
        tx.execute("UPDATE decision SET detail = %s, action = %s", (evil, evil))
        tx.execute("UPDATE event SET focus = %s, patient = %s", (evil, evil))
        tx.execute("UPDATE event SET error = %s WHERE id = %s", (evil, event))
        tx.execute(
            "UPDATE nudge SET title = %s, why = %s, state = 'held'", (evil, evil)
        )
        tx.execute("UPDATE endpoint SET name = %s", (evil,))
        insert_task(
            tx,
            id=f"t{evil}",
            endpoint_id="north",
            patient=evil,
            nudge_id=None,
            priority="stat",
            reason=evil,
            text=evil,
            now=console.world.clock.now(),
        )
    console.post("/console/hold", what="plan:colorectal", reason=evil)

    pages = [
        console.get(path)
        for path in ("/console", "/console/events", "/console/attention",
                     "/console/audit", f"/console/events/{event}")
    ]  # fmt: skip
    pages.append(console.post(f"/console/events/{event}", 200, reason=evil))

    assert [page for page in pages if "<script" in page] == []
    assert [("&lt;script&gt;" in page) for page in pages] == [True] * 6


def test_what_was_done_is_told_once(console):
    console.login()
    console.post("/console/hold", what="plan:colorectal", reason="wording")

    first, second = console.get(), console.get()

    assert "Held from now on: Plan: Colorectal screening due." in first
    assert "Held from now on" not in second


def test_text_in_an_address_is_never_shown(console):
    console.login()

    assert "Everything is fine" not in console.get("/console?said=Everything+is+fine")


def test_attention_is_by_cause_with_what_to_do(console):
    console.world.permit(permit=False)
    console.world.discharge()
    console.world.run()
    console.login()

    page = text_of(console.get("/console/attention"))

    held = page.partition("Held by a preference or limit")[2]
    assert "Respect it. Only the patient can say yes again." in held
    # What a preference holds is no warning.
    log = console.get("/console/events")
    assert "Held</span>" in log
    assert 'class="tag warn"' not in log


def test_every_holding_or_failing_reason_has_advice():
    wanted = {
        code
        for code, reason in REASONS.items()
        if reason.outcome in (Outcome.HOLD, Outcome.FAIL)
    }

    assert wanted | {"dead-letter", "quarantined"} == set(_TABLE)


def test_event_log_goes_on_page_by_page(console):
    play(console)
    with console.world.database.tx() as tx:
        tx.execute(
            "INSERT INTO event (id, key, endpoint_id, kind, patient, shard, focus, "
            "focus_version, occurred_at, received_at, source, due_at, state) "
            "SELECT 'x' || n, 'x' || n, 'north', 'encounter-admitted', 'Patient/x', 1, "
            "'Encounter/x', '1', now(), now(), 'poll', now(), 'done' "
            "FROM generate_series(1, 60) AS n"
        )
    first = console.get("/console/events")
    link = re.search(r'href="(/console/events\?before=\d+)"', first)
    assert link
    second = console.get(link.group(1))

    rows = [
        len(re.findall(r'<tr[^>]*>\s*<th scope="row"', page))
        for page in (first, second)
    ]
    total = console.world.one("SELECT count(*) FROM event")
    assert rows == [50, total - 50]


@pytest.mark.parametrize(
    "path", ["", "/events", "/attention", "/audit", "/nothing", "/login?token=t"]
)
def test_page_has_one_h1_landmarks_and_headed_tables(console, path):
    play(console)
    console.tick()

    html = console.client.get(f"/console{path}").text

    assert html.count("<h1") == 1
    assert html.count("<main") == 1
    assert '<html lang="en-US"' in html
    tables = re.findall(r"<table.*?</table>", html, re.DOTALL)
    assert [table for table in tables if '<th scope="col"' not in table] == []
    inputs = re.findall(r'<(?:input|select)(?![^>]*type="hidden")[^>]*>', html)
    bare = [tag for tag in inputs if "aria-label" not in tag]
    assert html.count("<label>") == len(bare)


def test_plan_without_words_is_named_by_its_id(console):
    event = play(console)
    with console.world.database.tx() as tx:
        tx.execute("UPDATE decision SET plan = 'urn:x/gone', action = 'away'")

    assert "away" in console.get(f"/console/events/{event}")
    assert all(isinstance(plan, Plan) for plan in console.ports.plans)


def test_two_zones_are_each_shown_in_their_own(console):
    event = play(console)
    with console.world.database.tx() as tx:
        known = endpoints.get_endpoint(tx, "north")
        assert known
        tx.execute(
            "UPDATE endpoint SET record = jsonb_set(record, '{site,zone}', "
            "'\"America/Sao_Paulo\"')"
        )

    assert " UTC-03" in console.get(f"/console/events/{event}")
    assert console.world.clock.now() - CHECK_IN < timedelta(hours=1)


def give_up(console: Console, event: str) -> None:
    """Let one row of each stage be given up, and one notification be set aside."""
    world = console.world
    with world.database.tx() as tx:
        insert_subscription(tx, replace(SUBSCRIPTION, endpoint_id="north"))
        tx.execute(
            "UPDATE event SET state = 'dead', error = 'no decision' WHERE id = %s",
            (event,),
        )
        tx.execute("UPDATE inbox SET state = 'dead', error = 'no chart'")
        tx.execute("UPDATE outbox SET state = 'dead', error = 'no record'")
        tx.execute(
            "INSERT INTO inbound (key, channel, source, address, body, received_at, "
            "shard, state, due_at, error) VALUES ('x', 'sms', 'reply', '+1', 'hola', "
            "%(now)s, 1, 'dead', %(now)s, 'no reply')",
            {"now": world.clock.now()},
        )
        tx.execute(
            "INSERT INTO notification (subscription_id, received_at, method, path, "
            "headers, body, state, error) SELECT id, %s, 'POST', '/', '{}', '', "
            "'quarantined', 'no topic' FROM subscription",
            (world.clock.now(),),
        )


def test_what_was_given_up_is_listed_with_its_error_and_how_it_is_tried_again(console):
    give_up(console, play(console))
    page = text_of(console.get("/console/attention"))
    for stage, words in (
        ("resolve", "Reading the chart was given up after several tries. no chart"),
        ("decide", "Deciding was given up after several tries. no decision"),
        ("record", "Writing to the EHR was given up after several tries. no record"),
        ("listen", "A reply or receipt was not worked on"),
    ):
        assert words in page
        assert f"carecue events replay --stage {stage}" in page
    assert "could not be read. no topic" in page
    assert "carecue events quarantined" in page
    assert "the EHR has not got it. Mend the cause" in page


def test_an_event_that_was_given_up_says_so(console):
    event = play(console)
    give_up(console, event)
    page = text_of(console.get(f"/console/events/{event}"))
    assert "Given up Deciding was given up after several tries: no decision" in page


def test_a_condition_that_is_not_met_contradicts_nothing(console):
    """The sentence of a condition says what has to be so."""
    event = play(console)
    with console.world.database.tx() as tx:
        tx.execute(
            "UPDATE decision SET outcome = 'cancel', reason = 'already-done', "
            "detail = 'not so: No other stay is planned already.'"
        )
    page = text_of(console.get(f"/console/events/{event}"))
    assert "Not so" not in page
    assert "A condition that is not met: No other stay is planned already." in page


def test_the_audit_speaks_and_names_no_number(console):
    event = play(console)
    with console.world.database.tx() as tx:
        for action, subject, detail in (
            ("preference-saved", f"telecom:sms:{NUMBER}", {"by": "Dr. Osei"}),
            ("hold", "plan:post-discharge", {"reason": "storm"}),
            ("task-withdrawn", event, {"reason": "readmitted"}),
        ):
            insert_audit(
                tx,
                "Practitioner/osei",
                action,
                console.world.clock.now(),
                subject=subject,
                detail=detail,
            )
    page = text_of(console.get("/console/audit"))
    said = "Dr. Osei (Practitioner/osei) Saved a preference a phone number"
    assert said in page
    assert "Held messages Plan: After a hospital stay storm" in page
    assert f"A task was taken back {event} The patient is in hospital again." in page
    assert NUMBER not in page
    assert not re.search(r"\b[a-z]+-(saved|withdrawn|login)\b", page)
