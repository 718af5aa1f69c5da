"""A database that was restored: it notices, holds everything, and learns again.

The EHR, the phones and the mailboxes are the sandbox's, over HTTP and SMTP; the backup
is a true copy of the database.
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from middleware.cli.demo_connect import SMS_FROM, SMS_SID, connect_sandbox
from middleware.fhir.client import FhirClient
from middleware.ports import RandomIds
from middleware.sandbox.app import Options
from middleware.sandbox.server import Running
from middleware.sealing import Sealer
from middleware.settings import Settings
from middleware.stages.reconcile import poll_endpoints
from middleware.storage import audit, records, restoring, tasks
from middleware.storage.database import Database
from middleware.storage.jobs import Wakes
from middleware.storage.shards import hold, list_idle_due
from middleware.wiring.pipeline import STEPS, stage_context
from middleware.wiring.restoring import (
    check_generation,
    check_restore,
    mark_restore,
    note_generation,
)
from middleware.wiring.runtime import Runtime
from middleware.wiring.sandbox_control import SandboxControl
from middleware.wiring.story import read_story, send_step

STORY = read_story("thirty-days")
STEPS_BY_ID = {step.id: step for step in STORY.steps}
DANA = "+14155550155"


class MovedClock:
    """Stands wherever it was put last."""

    def __init__(self, moment: datetime) -> None:
        self.moment = moment

    def now(self) -> datetime:
        return self.moment


class Clinic:
    """A sandbox EHR with its phones, and our product on one database or another."""

    def __init__(self, sandbox: Running, url: str, home) -> None:
        self.control = SandboxControl(sandbox.base_url)
        self.clock = MovedClock(STORY.start.astimezone(UTC))
        self.url = url
        self.settings = Settings(
            home=home,
            database_url=url,
            sms_base_url=sandbox.base_url,
            sms_account_sid=SMS_SID,
            sms_auth_token="token",
            sms_from_number=SMS_FROM,
            smtp_host="127.0.0.1",
            smtp_port=sandbox.smtp_port,
            smtp_from="Northside Clinic <reminders@northside.example.org>",
            smtp_security="none",
        )

    @contextmanager
    def running(self, url: str) -> Iterator[Runtime]:
        database, wakes = Database(url, pool_size=4), Wakes(url)
        try:
            yield Runtime(
                self.settings,
                database,
                wakes,
                self.clock,
                RandomIds(),
                Sealer([b"k" * 32]),
            )
        finally:
            wakes.close()
            database.close()

    def move(self, offset: str) -> None:
        self.clock.moment = STORY.instant(offset).astimezone(UTC)
        self.control.set_clock(self.clock.moment)

    def happen(self, runtime: Runtime, step_id: str) -> None:
        step = STEPS_BY_ID[step_id]
        self.clock.moment = step.at.astimezone(UTC)
        self.control.set_clock(self.clock.moment)
        base = f"{self.control.base_url}/fhir"
        send_step(step, FhirClient(base, self.control.staff_token, clock=self.clock))
        self.work(runtime)

    def work(self, runtime: Runtime, *, without: str = "") -> None:
        """Do what a worker would: poll, then drain until nothing is due."""
        context = stage_context(runtime)
        poll_endpoints(context)
        while True:
            now = self.clock.now()
            with runtime.database.tx() as tx:
                due = [item for item in list_idle_due(tx, now) if item[0] != without]
            if not due:
                return
            for stage, shard in due:
                with hold(runtime.database, stage, shard) as held:
                    STEPS[stage](context, {shard: held.epoch}, now)

    def sent(self) -> Counter[tuple[str, str]]:
        """Return what left us: (number or address, text), with how often."""
        found = self.control.messages()
        texts = [
            (item["to"], item["body"])
            for item in found["sms"]
            if item["direction"] != "inbound"
        ]
        mails = [(str(item["to"]), item["text"]) for item in found["email"]]
        return Counter([*texts, *mails])


@pytest.fixture
def clinic(database_url, tmp_path) -> Iterator[Clinic]:
    zone = ZoneInfo("America/Los_Angeles")
    options = Options(start=STORY.start, site_zone=zone, smtp_port=0)
    with Running(options) as sandbox:
        made = Clinic(sandbox, database_url, tmp_path / "home")
        with made.running(database_url) as runtime:
            connect_sandbox(runtime, made.control, "America/Los_Angeles", "token")
            note_generation(runtime)
            made.happen(runtime, "01-linda")
            made.happen(runtime, "04-dana")
            made.happen(runtime, "12-james")
        yield made


@pytest.fixture
def restored_url(clinic, database_url, databases) -> Iterator[str]:
    """The backup, taken before anything was sent."""
    url = databases.copy(database_url)
    yield url
    databases.give_back(url)


def forgotten(clinic: Clinic, url: str, *, without: str = "") -> Counter:
    """Let happen what the backup does not know; return what was sent."""
    with clinic.running(url) as runtime:
        note_generation(runtime)
        clinic.move("+2d 10:06")
        clinic.work(runtime, without=without)
        clinic.control.reply(DANA, "STOP")
        clinic.happen(runtime, "20-rosa") if not without else None
    return clinic.sent()


def states(runtime: Runtime, patient: str) -> dict[tuple[str, str], tuple[str, str]]:
    with runtime.database.tx() as tx:
        found = tx.execute(
            "SELECT plan, action, state, reason FROM nudge WHERE patient = %s",
            (f"Patient/{patient}",),
        ).fetchall()
    return {
        (row["plan"].rpartition("/")[2], row["action"]): (row["state"], row["reason"])
        for row in found
    }


def test_restored_copy_is_noticed_held_and_reconciled(
    clinic, database_url, restored_url
):
    sent = forgotten(clinic, database_url)
    assert sum(sent.values()) == 3

    with clinic.running(restored_url) as runtime:
        assert check_generation(runtime) is True
        clinic.work(runtime, without="resolve")
        assert clinic.sent() == sent

        early = check_restore(runtime, "admin", patience=0)
        assert (early.complete, len(early.faults)) == (False, 1)
        with runtime.database.tx() as tx:
            own = records.read_own(
                tx, "sandbox", "Patient/dana", [("sms", DANA)], clinic.clock.now()
            )
        assert own.restore_unchecked is True
        denials = [item.value for item in own.consents if not item.permit]
        assert denials == [DANA]

        clinic.work(runtime)
        last = check_restore(runtime, "admin", patience=0)
        assert (last.complete, last.faults) == (True, ())
        assert states(runtime, "linda")["appointment-reminder", "three-days"] == (
            "sent",
            "due",
        )
        assert states(runtime, "james")["post-discharge", "check-in"] == ("sent", "due")

        again = check_restore(runtime, "admin", patience=0)
        assert (again.complete, again.marked) == (True, False)
        clinic.work(runtime)
        assert clinic.sent() == sent
        clinic.move("+4d 10:06")
        clinic.work(runtime)
        later = clinic.sent() - sent
        assert sorted(later.values()) == [1, 1]
        assert states(runtime, "linda")["appointment-reminder", "one-day"] == (
            "sent",
            "due",
        )


def test_what_only_the_provider_knows_is_matched_and_an_email_goes_to_a_person(
    clinic, database_url, restored_url
):
    sent = forgotten(clinic, database_url, without="record")

    with clinic.running(restored_url) as runtime:
        mark_restore(runtime, "admin", since=STORY.start.astimezone(UTC))
        clinic.work(runtime)
        found = check_restore(runtime, "admin", patience=0)

        assert (found.complete, found.faults) == (True, ())
        assert found.counts["communications_read"] == 0
        assert found.counts["deliveries_from_provider"] == 2
        assert found.counts["left_to_people"] == 1
        assert states(runtime, "linda")["appointment-reminder", "three-days"] == (
            "sent",
            "due",
        )
        assert states(runtime, "james")["post-discharge", "check-in"] == (
            "failed",
            "delivery-unknown",
        )
        with runtime.database.tx() as tx:
            waiting = tasks.list_open_tasks(tx, patient="Patient/james")
            own = records.read_own(
                tx,
                "sandbox",
                "Patient/linda",
                [],
                clinic.clock.now() - timedelta(days=7),
            )
        reasons = [item.reason for item in waiting]
        assert reasons.count("delivery-unknown") == 1
        assert len(own.sent) == 1
        clinic.work(runtime)
        assert clinic.sent() == sent


def test_unreachable_provider_leaves_everything_held(
    clinic, database_url, restored_url
):
    with clinic.running(restored_url) as runtime:
        mark_restore(runtime, "admin")
        clinic.control.call("PUT", "/sandbox/sms", {"auth_token": "another"})
        found = check_restore(runtime, "admin", patience=0)
        with runtime.database.tx() as tx:
            mark = restoring.read_restore_mark(tx)
            entry = audit.list_audit(tx, limit=1)[0]

    assert found.complete is False
    assert found.faults[0].startswith("SMS provider: ")
    assert mark is not None
    assert (entry.action, entry.detail["complete"]) == ("restore-check", False)
    assert "All messages stay held" in found.sentences()[-1]


def test_database_behind_the_file_is_noticed_once(clinic, database_url):
    with clinic.running(database_url) as runtime:
        number = note_generation(runtime)
        with runtime.database.tx() as tx:
            known = restoring.read_generation(tx)
            old = restoring.Generation(
                number - 1, known.at, known.lineage, known.incarnation
            )
            restoring.put_generation(tx, old)
        assert check_generation(runtime) is True
        assert check_generation(runtime) is False
        assert note_generation(runtime) == number + 2


def test_database_in_step_with_the_file_is_not_held(clinic, database_url):
    with clinic.running(database_url) as runtime:
        first = note_generation(runtime)
        assert note_generation(runtime) == first + 1
        assert check_generation(runtime) is False
        with runtime.database.tx() as tx:
            assert restoring.read_restore_mark(tx) is None
