"""One patient's data: handed out whole, erased but for denials, forgotten with time."""

import os
from dataclasses import replace
from datetime import timedelta

import orjson
import pytest
from click.testing import CliRunner

from mappings.delivery import DeliveryState
from mappings.preference import ConsentRecord, Who
from middleware.cli.main import main
from middleware.sealing import Sealer, create_key_file, read_keys
from middleware.storage import (
    audit,
    deliveries,
    drafts,
    events,
    inbound,
    inbox,
    launches,
    nudges,
    outbox,
    people,
    preferences,
    records,
    retention,
    sealed,
    stewarding,
    subscriptions,
    tasks,
    timeline,
)
from middleware.storage.marks import put_mark, read_mark
from tests.conftest import NOW
from tests.unit.storage.seeds import DELIVERY, NUDGE, PATIENT, SHARD, item, seed

OTHER = "Patient/other"
NUMBER = "+15550101"
STOP = ConsentRecord(
    id="c-stop",
    endpoint_id="e1",
    patient=None,
    system="sms",
    value=NUMBER,
    topic="*",
    permit=False,
    who=Who.PATIENT,
    how="reply STOP",
    recorded_at=NOW,
)
SECRETS = ("Rosa Vega", "Hola", NUMBER, "me duele", "rosa@example.org", "rash")


def fill(tx):
    """Store something of every kind for one patient."""
    seed(tx, nudge=True)
    deliveries.insert_delivery(
        tx, replace(DELIVERY, state=DeliveryState.DELIVERED, provider_id="SM1"), "t"
    )
    people.lock_people(tx, "e1", {PATIENT: "Rosa Vega"}, NOW)
    inbound.insert_inbound(
        tx,
        key="sms:SM9:reply",
        channel="sms",
        source="reply",
        address=NUMBER,
        body="me duele",
        detail={},
        received_at=NOW,
        shard=3,
    )
    preferences.insert_consent(tx, STOP)
    preferences.insert_consent(
        tx, replace(STOP, id="c-yes", patient=PATIENT, permit=True)
    )
    preferences.insert_preference(
        tx,
        id="p1",
        endpoint_id="e1",
        patient=PATIENT,
        name="pause",
        value={"until": "2026-12-01T00:00:00Z", "why": "rash"},
        who=Who.STAFF,
        how="app",
        recorded_by="Dr. Test",
        recorded_at=NOW,
    )
    outbox.insert_outbox(
        tx,
        id="o1",
        key="e1|Communication|d1",
        endpoint_id="e1",
        patient=PATIENT,
        shard=SHARD,
        resource={"resourceType": "Communication", "payload": "Hola"},
        due_at=NOW,
    )
    tasks.insert_task(
        tx,
        id="t1",
        endpoint_id="e1",
        patient=PATIENT,
        nudge_id=None,
        priority="stat",
        reason="reply",
        text="me duele",
        now=NOW,
    )


def everything(tx):
    """Return all rows of the tables that may speak of a patient, as one text."""
    tables = ("event", "nudge", "delivery", "outbox", "inbound", "preference")
    tables += ("consent", "staff_task", "decision", "patient_lock", "notification")
    parts = []
    for name in tables:
        for row in tx.execute(f"SELECT * FROM {name}"):
            values = [
                v.decode() if isinstance(v, bytes) else str(v) for v in row.values()
            ]
            parts.append(" ".join(values))
    return "\n".join(parts)


def test_export_has_every_kind_with_charts_summarised(database):
    with database.tx() as tx:
        fill(tx)
        found = stewarding.export_patient(tx, "e1", PATIENT)

    assert found["name"] == "Rosa Vega"
    assert found["contact_points"] == [{"system": "sms", "value": NUMBER}]
    assert found["events"][0]["chart"]["resources"] == {"Encounter": 1}
    counts = {
        name: len(value) for name, value in found.items() if value and name != "name"
    }
    assert counts == {
        "contact_points": 1,
        "events": 1,
        "preferences": 1,
        "consents": 2,
        "nudges": 1,
        "deliveries": 1,
        "inbound": 1,
        "written_to_ehr": 1,
        "tasks": 1,
        "reviews": 1,
    }
    assert b'"body":"Hola"' in orjson.dumps(found)


def test_export_of_another_patient_is_empty(database):
    with database.tx() as tx:
        fill(tx)
        found = stewarding.export_patient(tx, "e1", OTHER)

    assert {name: value for name, value in found.items() if value} == {}


def test_erase_leaves_no_word_of_the_patient_but_the_denial(database):
    with database.tx() as tx:
        fill(tx)
        counts = stewarding.erase_patient(tx, "e1", PATIENT, "admin", NOW)
        text = everything(tx)

    assert counts["denials_kept"] == 1
    assert [word for word in SECRETS if word in text] == [NUMBER]
    with database.tx() as tx:
        own = records.read_own(tx, "e1", PATIENT, [("sms", NUMBER)], NOW)
        nudge = nudges.get_nudge(tx, "n1")
        known = deliveries.find_delivery(tx, "sms", "SM1")
    assert [item.permit for item in own.consents] == [False]
    assert [item.value for item in own.preferences] == [
        {"until": "2026-12-01T00:00:00Z"}
    ]
    assert (nudge.state, nudge.reason) == ("skipped", "skipped-by-staff")
    assert (known.id, known.text, known.address) == ("d1", "", "")


def keep_delivery(tx, body, focus=None, state="accepted"):
    """Store one raw delivery; with the inbox row of its focus, where it has one."""
    row = tx.execute(
        "INSERT INTO notification (subscription_id, received_at, method, path, headers, "
        "body, state) VALUES ('s1', %s, 'POST', '/hooks/k', '{}', %s, %s) RETURNING id",
        (NOW, body, state),
    ).fetchone()
    if focus:
        tx.execute(
            "INSERT INTO inbox (key, endpoint_id, notification_id, source, focus, shard, "
            "received_at, due_at, note) VALUES (%s, 'e1', %s, 'push', %s, 0, %s, %s, "
            "'too-long-ago')",
            (focus, row["id"], focus, NOW, NOW),
        )


def test_erase_empties_deliveries_that_led_to_no_event_or_were_set_aside(database):
    with database.tx() as tx:
        fill(tx)
        tx.execute(
            "INSERT INTO focus_state VALUES ('e1', 'Encounter/old', '1', 'finished', "
            "'f', %s, %s)",
            (NOW, PATIENT),
        )
        keep_delivery(tx, b"old stay", "Encounter/old")
        keep_delivery(tx, b"the record itself", PATIENT)
        keep_delivery(
            tx, b'{"reference": "%s"} aside' % PATIENT.encode(), None, "quarantined"
        )
        keep_delivery(tx, b'{"reference": "%s2"} other' % PATIENT.encode())
        counts = stewarding.erase_patient(tx, "e1", PATIENT, "admin", NOW)
        left = tx.execute("SELECT body FROM notification WHERE body <> ''").fetchall()

    assert counts["notifications"] == 3
    assert [bytes(row["body"]).split()[-1] for row in left] == [b"other"]


def test_erase_forgets_a_number_but_not_that_it_is_wrong(database):
    with database.tx() as tx:
        fill(tx)
        tx.execute(
            "INSERT INTO contact_point (system, value) VALUES ('sms', %s) "
            "ON CONFLICT DO NOTHING",
            (NUMBER,),
        )
        erased = stewarding.erase_patient(tx, "e1", PATIENT, "admin", NOW)
        rows = tx.execute("SELECT value FROM contact_point").fetchall()
        fill_again = ("sms", NUMBER, "wrong-number", NOW)
        tx.execute("INSERT INTO contact_point VALUES (%s, %s, %s, %s)", fill_again)
        stewarding.erase_patient(tx, "e1", PATIENT, "admin", NOW)
        kept = tx.execute("SELECT bad_reason FROM contact_point").fetchall()

    assert (erased["numbers"], rows) == (1, [])
    assert [row["bad_reason"] for row in kept] == ["wrong-number"]


def test_export_says_into_which_record_it_was_merged(database):
    with database.tx() as tx:
        fill(tx)
        tx.execute("UPDATE patient_lock SET merged_into = %s", (OTHER,))
        found = stewarding.export_patient(tx, "e1", PATIENT)

    assert found["merged_into"] == OTHER


def test_erase_keeps_replies_from_a_number_that_others_share(database):
    with database.tx() as tx:
        fill(tx)
        preferences.insert_consent(
            tx, replace(STOP, id="c-other", patient=OTHER, permit=True)
        )
        counts = stewarding.erase_patient(tx, "e1", PATIENT, "admin", NOW)
        left = tx.execute("SELECT body FROM inbound").fetchall()

    assert (counts["replies"], counts["numbers_shared"]) == (0, 1)
    assert [row["body"] for row in left] == ["me duele"]


def test_erase_leaves_another_patient_alone(database):
    with database.tx() as tx:
        fill(tx)
        before = everything(tx)
        stewarding.erase_patient(tx, "e1", OTHER, "admin", NOW)
        after = everything(tx)

    assert after.splitlines()[:5] == before.splitlines()[:5]


def test_second_erasure_finds_nothing_more(database):
    with database.tx() as tx:
        fill(tx)
        stewarding.erase_patient(tx, "e1", PATIENT, "admin", NOW)
        again = stewarding.erase_patient(tx, "e1", PATIENT, "admin", NOW)
        found = stewarding.export_patient(tx, "e1", PATIENT)

    assert (again["charts"], again["preferences"], again["name"]) == (0, 0, 0)
    assert found["events"][0]["chart"] is None


@pytest.mark.parametrize(("days", "emptied"), [(29, 0), (31, 1)])
def test_purge_empties_charts_of_finished_events_after_their_days(
    database, days, emptied
):
    with database.tx() as tx:
        seed(tx, nudge=False)
        events.finish_event(tx, ["ev1"], NOW)
        counts = retention.purge(tx, NOW + timedelta(days=days))
        again = retention.purge(tx, NOW + timedelta(days=days))
        _, chart = events.get_event(tx, "ev1")

    assert (counts["charts"], again["charts"]) == (emptied, 0)
    assert bool(chart.patient) is not bool(emptied)


def test_purge_keeps_a_chart_while_its_message_is_planned(database):
    with database.tx() as tx:
        seed(tx)
        events.finish_event(tx, ["ev1"], NOW)
        counts = retention.purge(tx, NOW + timedelta(days=400))

    assert counts["charts"] == 0


def test_purge_empties_what_was_said_after_a_year_and_keeps_that_it_was(database):
    with database.tx() as tx:
        fill(tx)
        tx.execute("UPDATE inbound SET state = 'done'")
        early = retention.purge(tx, NOW + timedelta(days=364))
        late = retention.purge(tx, NOW + timedelta(days=366))
        sent = deliveries.list_sent(tx, "e1", [PATIENT], NOW - timedelta(days=1))

    assert (early["replies"], early["texts"]) == (0, 0)
    assert (late["replies"], late["texts"]) == (1, 1)
    assert len(sent) == 1


def test_purge_empties_notification_bodies(database):
    with database.tx() as tx:
        seed(tx, nudge=False)
        tx.execute(
            "INSERT INTO notification (subscription_id, received_at, method, path, "
            "headers, body, state) VALUES ('s1', %s, 'POST', '/hooks/x', "
            "'{\"a\": \"b\"}', 'secret', 'done')",
            (NOW,),
        )
        counts = retention.purge(tx, NOW + timedelta(days=31))
        row = tx.execute("SELECT headers, body FROM notification").fetchone()

    assert counts["notifications"] == 1
    assert (row["headers"], bytes(row["body"])) == ({}, b"")


def test_purge_deletes_emptied_notifications_after_a_year(database):
    """The event that came of it still says when it came and how."""
    with database.tx() as tx:
        seed(tx, nudge=False)
        got = (
            "INSERT INTO notification (subscription_id, received_at, method, path, "
            "headers, body, state, form) VALUES ('s1', %s, 'POST', '/hooks/x', "
            "'{}', 'secret', %s, 'r5') RETURNING id"
        )
        row = tx.execute(got, (NOW, "done")).fetchone()
        tx.execute(got, (NOW, "quarantined"))
        inbox.insert_inbox(tx, [item(1, notification_id=row["id"])])
        tx.execute("UPDATE inbox SET state = 'done', done_at = %s", (NOW,))
        tx.execute("UPDATE event SET inbox_id = (SELECT id FROM inbox)")
        before = timeline.timeline(tx, "ev1")[0]
        early = retention.purge(tx, NOW + timedelta(days=364))
        late = retention.purge(tx, NOW + timedelta(days=366))
        left = tx.execute("SELECT count(*) AS total FROM notification").fetchone()
        after = timeline.timeline(tx, "ev1")[0]

    assert (early["notifications"], early["received"], late["received"]) == (2, 0, 2)
    assert left["total"] == 0
    assert (after.at, after.step) == (before.at, "received")


def test_reseal_replaces_every_sealed_value(database):
    with database.tx() as tx:
        seed(tx, nudge=False)
        tx.execute(
            "UPDATE endpoint SET record = jsonb_set(record, '{profile,app_secret}', "
            "'\"6f6c64\"')"
        )
        put_mark(tx, "signing-keys", b"old".hex())
        launches.insert_launch(
            tx,
            launches.LaunchRow(
                "l1",
                "e1",
                None,
                "h",
                b"old",
                None,
                None,
                None,
                None,
                None,
                None,
                "open",
                NOW,
                NOW,
            ),
        )
        drafts.insert_draft(
            tx,
            drafts.DraftRow(
                "d1",
                "e1",
                "Practitioner/1",
                "Patient/1",
                b"old",
                NOW,
                NOW + timedelta(hours=1),
            ),
        )
        counts = sealed.reseal(tx, lambda value: b"new:" + value)
        (draft,) = drafts.list_drafts(tx, "e1", "Practitioner/1", "Patient/1", NOW)
        hook = subscriptions.find_subscription(tx, "hook-1")
        launch = launches.get_launch(tx, "l1")
        keys = read_mark(tx, "signing-keys")
        row = tx.execute("SELECT record #>> '{profile,app_secret}' AS s FROM endpoint")
        secret = row.fetchone()["s"]

    assert counts == {
        "subscriptions": 1,
        "launches": 1,
        "drafts": 1,
        "signing_keys": 1,
        "app_secrets": 1,
    }
    assert bytes(hook.secrets) == b"new:sealed"
    assert bytes(launch.sealed) == b"new:old"
    assert draft.sealed == b"new:old"
    assert [bytes.fromhex(value) for value in (keys, secret)] == [b"new:old"] * 2


def test_audit_of_the_patient_survives_an_erasure(database):
    with database.tx() as tx:
        fill(tx)
        audit.insert_audit(tx, "a", "pause", NOW, endpoint_id="e1", patient=PATIENT)
        stewarding.erase_patient(tx, "e1", PATIENT, "admin", NOW)
        entries = audit.list_audit(tx, endpoint_id="e1", patient=PATIENT)

    assert [item.action for item in entries] == ["pause"]
    assert NUDGE.id == "n1"


@pytest.fixture
def environment(database_url, tmp_path, monkeypatch):
    for name in [name for name in os.environ if name.startswith("CARECUE_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("CARECUE_DATABASE_URL", database_url)
    monkeypatch.setenv("CARECUE_HOME", str(tmp_path))
    return tmp_path


def run(*arguments):
    return CliRunner().invoke(main, list(arguments))


def test_key_rotation_keeps_both_until_finished(environment, database):
    with database.tx() as tx:
        seed(tx, nudge=False)
    path = environment / "secret.key"
    create_key_file(path)
    old = read_keys(path)
    with database.tx() as tx:
        subscriptions.update_subscription(tx, "s1", secrets=Sealer(old).seal(b"hook"))

    begun = run("key", "rotate", "--json")
    both = read_keys(path)
    twice = run("key", "rotate")
    done = run("key", "rotate", "--finish", "--json")
    newest = read_keys(path)

    assert (begun.exit_code, len(both), both[1:]) == (0, 2, old)
    assert twice.exit_code == 2
    assert orjson.loads(done.output)["resealed"]["subscriptions"] == 1
    assert newest == both[:1]
    assert path.stat().st_mode & 0o777 == 0o600
    with database.tx() as tx:
        hook = subscriptions.find_subscription(tx, "hook-1")
    assert Sealer(newest).open(bytes(hook.secrets)) == b"hook"


def test_erase_command_refuses_without_yes_and_tells_what_is_kept(
    environment, database
):
    with database.tx() as tx:
        fill(tx)
        tx.execute("UPDATE delivery SET state = 'delivered'")
    order = ("patient", "erase", "--patient", PATIENT, "--endpoint", "e1")
    order += ("--reason", "asked for")

    refused = run(*order)
    done = run(*order, "--yes")
    wrong = run("patient", "export", "--patient", "rosa", "--endpoint", "e1")
    export = run("patient", "export", "--patient", PATIENT, "--endpoint", "e1")

    assert (refused.exit_code, done.exit_code, wrong.exit_code) == (2, 0, 2)
    assert "1 opt-outs with their numbers" in done.output
    found = orjson.loads(export.output)
    actions = [item["action"] for item in found["audit"]]
    assert actions == ["patient-erase", "patient-export"]
