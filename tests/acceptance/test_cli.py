"""The commands as an administrator meets them: examples, exit codes, one clear line."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import click
import orjson
import pytest
from click.testing import CliRunner, Result

from middleware.cli.main import main
from middleware.clock import FixedClock, SystemClock
from middleware.storage.circuits import set_circuit
from middleware.storage.clock import move_clock
from middleware.storage.database import Database
from middleware.storage.endpoints import list_endpoints
from tests.stages.world import CHECK_IN, World, encounter, patient


def commands(group: click.Group, *before: str) -> Iterator[tuple[str, ...]]:
    """Yield the path of every command."""
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        if isinstance(command, click.Group):
            yield from commands(command, *before, name)
        else:
            yield (*before, name)


pytestmark = pytest.mark.usefixtures("own_logging")


@pytest.fixture
def told(database: Database, clock: FixedClock, ids: Any) -> World:
    """Rosa was discharged and got her check-in."""
    world = World(database, clock, ids)
    world.discharge()
    return world.go(CHECK_IN)


def last_json(result: Result) -> Any:
    return orjson.loads(result.stdout.strip().splitlines()[-1])


def one_line(result: Result) -> str:
    """Return the one line that a refused command said."""
    (line,) = [text for text in result.stderr.splitlines() if not text.startswith("{")]
    return line


@pytest.mark.parametrize("path", list(commands(main)), ids=" ".join)
def test_every_command_has_an_example(path: tuple[str, ...]) -> None:
    result = CliRunner().invoke(main, [*path, "--help"])
    assert result.exit_code == 0
    assert f"carecue {' '.join(path)}" in result.output.partition("Example")[2]


def test_an_unknown_command_is_bad_input(carecue: Any) -> None:
    assert carecue("fly").exit_code == 2


def test_without_a_database_it_says_what_to_set(
    carecue: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CARECUE_DATABASE_URL")
    result = carecue("events", "list")
    assert result.exit_code == 2
    assert "CARECUE_DATABASE_URL" in one_line(result)


def test_a_bad_setting_is_named(carecue: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CARECUE_POLL_SECONDS", "often")
    result = carecue("events", "list")
    assert result.exit_code == 2
    assert "CARECUE_POLL_SECONDS" in one_line(result)


def test_a_database_that_is_away_is_one_line_and_not_bad_input(
    carecue: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CARECUE_DATABASE_URL", "postgresql://127.0.0.1:9/none")
    result = carecue("events", "list")
    assert result.exit_code == 1
    assert one_line(result).startswith("carecue: ")
    assert "Traceback" not in result.output


# --- decide ----------------------------------------------------------------------


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    file = tmp_path / "chart.json"
    entries = [{"resource": item} for item in (patient(), encounter())]
    file.write_bytes(orjson.dumps({"resourceType": "Bundle", "entry": entries}))
    return file


def decide(carecue: Any, bundle: Path, **changes: str) -> Result:
    given = {"focus": "Encounter/stay", "now": "2026-11-20T23:00:00+00:00"} | changes
    return carecue(
        "decide",
        "--bundle",
        str(bundle),
        "--focus",
        given["focus"],
        "--now",
        given["now"],
        "--json",
    )


def test_decide_over_a_small_bundle(carecue: Any, bundle: Path) -> None:
    result = decide(carecue, bundle)
    assert result.exit_code == 0
    found = {
        item["action"]: f"{item['outcome']} {item['reason']}"
        for item in last_json(result)["candidates"]
        if item["plan"] == "post-discharge"
    }
    assert found["check-in"] == "hold no-consent"
    assert found["contact-task"] == "task due"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"focus": "Encounter/none"}, "no Encounter/none"),
        ({"now": "yesterday"}, "ISO 8601"),
        ({"now": "2026-11-20T23:00:00"}, "time zone"),
    ],
)
def test_decide_refuses_what_it_cannot_use(
    carecue: Any, bundle: Path, changes: dict[str, str], said: str
) -> None:
    result = decide(carecue, bundle, **changes)
    assert result.exit_code == 2
    assert said in one_line(result)


@pytest.mark.parametrize(
    "text",
    [
        "not json",
        "[]",
        "{}",
        '{"entry": 7}',
        '{"entry": [7]}',
        '{"entry": [{"resource": 7}]}',
        '{"entry": [{"resource": {"id": "x"}}]}',
    ],
)
def test_decide_over_no_bundle_is_one_line(
    carecue: Any, tmp_path: Path, text: str
) -> None:
    file = tmp_path / "broken.json"
    file.write_text(text)
    result = decide(carecue, file)
    assert result.exit_code == 2
    assert one_line(result).startswith("carecue: ")


# --- plans -----------------------------------------------------------------------


def test_plans_are_listed_and_hold(carecue: Any) -> None:
    listed = carecue("plan", "list", "--json")
    assert listed.exit_code == 0
    assert {item["id"] for item in last_json(listed)["plans"]} >= {
        "appointment-reminder",
        "care-plan-activity",
        "colorectal",
        "ed-followup",
        "no-show",
        "post-discharge",
    }
    checked = carecue("plan", "check", "--json")
    assert (checked.exit_code, last_json(checked)) == (0, {"faults": []})


# --- holds -----------------------------------------------------------------------


def test_hold_and_release_are_audited(carecue: Any, told: World) -> None:
    held = carecue("hold", "--plan", "colorectal", "--reason", "under review")
    assert held.exit_code == 0
    assert told.rows("SELECT scope, target FROM switch WHERE released_at IS NULL") == [
        {"scope": "plan", "target": "colorectal"}
    ]
    let_go = carecue("release", "--plan", "colorectal", "--reason", "approved")
    assert let_go.exit_code == 0
    assert told.rows("SELECT 1 FROM switch WHERE released_at IS NULL") == []
    actions = [
        row["action"] for row in told.rows("SELECT action FROM audit ORDER BY id")
    ]
    assert actions == ["hold", "release"]


@pytest.mark.parametrize(
    "arguments",
    [
        ("hold", "--reason", "x"),
        ("hold", "--all", "--plan", "colorectal", "--reason", "x"),
        ("hold", "--all"),
        ("release", "--all", "--reason", "nothing is held"),
        ("hold", "--plan", "martian", "--reason", "there is no such plan"),
        ("hold", "--channel", "fax", "--reason", "there is no such channel"),
        ("hold", "--endpoint", "none", "--reason", "there is no such endpoint"),
    ],
)
def test_a_hold_that_says_nothing_changes_nothing(
    carecue: Any, told: World, arguments: tuple[str, ...]
) -> None:
    result = carecue(*arguments)
    assert result.exit_code == 2
    assert told.rows("SELECT 1 FROM switch") == []


# --- events and explanations -----------------------------------------------------


ABOUT = (
    "--endpoint=north",
    "--patient=Patient/rosa",
    "--said-by=patient",
    "--how=by phone",
    "--by=A. Mehta",
)


def test_what_was_said_is_written_down_and_audited(carecue: Any, told: World) -> None:
    """The EHR is away: a denial is recorded all the same, a permission is not."""
    at = "--at=sms:+13125550142"
    done = carecue("patient", "record", "consent", "--no", at, *ABOUT, "--json")
    assert done.exit_code == 0, done.stderr
    assert last_json(done) == {
        "recorded": True,
        "endpoint": "north",
        "patient": "Patient/rosa",
    }
    row = told.rows("SELECT * FROM consent WHERE permit = false")[0]
    assert (row["value"], row["who"], row["how"], row["recorded_by"]) == (
        "+13125550142",
        "patient",
        "by phone",
        "A. Mehta",
    )
    refused = carecue("patient", "record", "consent", "--yes", at, *ABOUT)
    assert refused.exit_code == 1
    assert "Nothing was recorded" in one_line(refused)
    done = carecue("patient", "record", "confidential", "--staff-only", *ABOUT)
    assert done.stdout == "Recorded of Patient/rosa, by A. Mehta.\n"
    done = carecue("patient", "record", "loss", "--told", *ABOUT)
    assert done.exit_code == 0
    saved = told.rows("SELECT name FROM preference ORDER BY name")
    assert [row["name"] for row in saved] == ["confidential", "pregnancy-loss"]
    entries = told.rows("SELECT action FROM audit WHERE who = 'A. Mehta'")
    assert len(entries) == 3


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("consent", "--no"), "Name the place with --at, or --proxy"),
        (("consent", "--no", "--at=fax:1"), "is no place like sms:"),
        (("consent", "--no", "--at=sms:12"), "is no place like sms:"),
        (("consent", "--no", "--at=sms:+13125550142", "--topic=x"), "no topic 'x'"),
        (("consent", "--no", "--proxy=Patient/9"), "neither the patient nor like"),
        (("confidential",), "Say one of --to, --staff-only and --none"),
        (("confidential", "--none", "--staff-only"), "Say one of"),
        (("recipients",), "Name the people in order, or --none"),
        (("recipients", "Patient/else"), "Patient/else is neither the patient"),
        (("loss", "--told", "--patient=rosa"), "must be a reference like Patient/123"),
        (("loss", "--told", "--endpoint=south"), "There is no endpoint 'south'"),
        (("loss", "--told", "--by= "), "--by must not be empty"),
    ],
)
def test_a_record_that_says_nothing_is_bad_input(
    carecue: Any, told: World, arguments: tuple[str, ...], said: str
) -> None:
    name, *rest = arguments
    result = carecue("patient", "record", name, *ABOUT, *rest)
    assert result.exit_code == 2
    assert said in one_line(result)
    assert told.one("SELECT count(*) FROM preference") == 0
    assert told.one("SELECT count(*) FROM consent WHERE NOT permit") == 0


def test_what_was_given_up_is_tried_again_once(carecue: Any, told: World) -> None:
    told.notify("Encounter/none")
    told.run()
    assert told.rows("SELECT focus FROM inbox WHERE state = 'dead'") == [
        {"focus": "Encounter/none"}
    ]
    result = carecue("events", "replay", "--by", "A. Mehta", "--json")
    counts = {"receive": 0, "resolve": 1, "decide": 0, "record": 0, "listen": 0}
    assert last_json(result) == {"replayed": counts}
    (row,) = told.rows("SELECT attempts FROM inbox WHERE state = 'waiting'")
    assert row == {"attempts": 0}
    (entry,) = told.rows("SELECT who, subject FROM audit WHERE action = 'replay'")
    assert entry == {"who": "A. Mehta", "subject": "resolve"}
    again = carecue("events", "replay", "--stage", "resolve", "--json")
    assert last_json(again) == {"replayed": {"resolve": 0}}


def test_events_are_listed_and_shown(carecue: Any, told: World) -> None:
    listed = last_json(carecue("events", "list", "--json"))["events"]
    assert [item["kind"] for item in listed] == [
        "encounter-discharged",
        "encounter-admitted",
    ]
    shown = carecue("events", "show", listed[0]["id"], "--json")
    assert shown.exit_code == 0
    steps = [item["step"] for item in last_json(shown)["timeline"]]
    assert steps
    assert told.one("SELECT count(*) FROM event") == len(listed)


@pytest.mark.parametrize("command", [("events", "show"), ("explain",)])
def test_an_unknown_id_is_bad_input(carecue: Any, command: tuple[str, ...]) -> None:
    result = carecue(*command, "nothing-of-ours")
    assert result.exit_code == 2
    assert one_line(result).startswith("carecue: ")


@pytest.mark.parametrize(
    "table",
    [
        "event WHERE kind = 'encounter-discharged'",
        "nudge WHERE action = 'check-in'",
        "delivery",
        "decision WHERE action = 'check-in' AND stage = 'deliver'",
    ],
)
def test_explain_tells_by_any_id(carecue: Any, told: World, table: str) -> None:
    identifier = told.one(f"SELECT id FROM {table} LIMIT 1")
    result = carecue("explain", identifier)
    assert result.exit_code == 0
    assert len(result.stdout.split()) > 5
    as_json = carecue("explain", identifier, "--json")
    assert as_json.exit_code == 0
    assert isinstance(last_json(as_json), dict)


# --- endpoints -------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "this is not TOML [",
        "",
        'id = "x"\n',
        'id = "x"\nname = "X"\nkind = "martian"\nfhir_base = "http://127.0.0.1/fhir"\n',
        'id = "x"\nname = "X"\nkind = "test"\nfhir_base = "ftp://127.0.0.1/fhir"\n',
        "id = 7\nname = 7\nkind = 7\nfhir_base = 7\n",
        "site = 7\n",
    ],
)
def test_a_bad_endpoint_file_is_one_clear_line(
    carecue: Any, tmp_path: Path, database: Database, text: str
) -> None:
    file = tmp_path / "endpoint.toml"
    file.write_text(text)
    result = carecue("endpoint", "add", str(file))
    assert result.exit_code == 2
    assert one_line(result).startswith("carecue: ")
    with database.tx() as tx:
        assert tx.execute("SELECT 1 FROM endpoint").fetchone() is None


def test_a_binary_endpoint_file_is_one_clear_line(carecue: Any, tmp_path: Path) -> None:
    file = tmp_path / "endpoint.toml"
    file.write_bytes(b"\xff\xfe\x00")
    result = carecue("endpoint", "add", str(file))
    assert result.exit_code == 2
    assert one_line(result).startswith("carecue: ")


@pytest.mark.parametrize("command", ["check", "subscribe"])
def test_an_unknown_endpoint_is_bad_input(carecue: Any, command: str) -> None:
    result = carecue("endpoint", command, "none")
    assert result.exit_code == 2
    assert "none" in one_line(result)


def test_an_endpoint_that_cannot_be_reached_is_a_check_that_did_not_hold(
    carecue: Any, told: World
) -> None:
    result = carecue("endpoint", "check", "north", "--json")
    assert result.exit_code == 1
    outcomes = [step["outcome"] for step in last_json(result)["steps"]]
    assert outcomes.count("failed") == 1
    assert {*outcomes} == {"ok", "failed", "skipped"}
    assert told.state() == "sent: due"


def test_endpoint_status_says_that_an_ehr_is_left_alone(
    carecue: Any, told: World
) -> None:
    now = SystemClock().now()
    later = now + timedelta(minutes=5)
    with told.database.tx() as tx:
        set_circuit(tx, "one", "EHR north", later, now)
        set_circuit(tx, "one", "sms", later, now)
    said = carecue("endpoint", "status", "north").stdout
    assert said.startswith("! north did not answer several times in a row")
    found = last_json(carecue("endpoint", "status", "north", "--json"))
    assert datetime.fromisoformat(found["left_alone_until"]) == later


def test_migrating_twice_changes_nothing(carecue: Any) -> None:
    result = carecue("migrate")
    assert result.exit_code == 0
    assert "0 applied" in result.stdout


def test_endpoint_add_refuses_a_real_ehr_where_the_clock_was_moved(
    carecue: Any, database: Database, tmp_path: Path
) -> None:
    file = tmp_path / "ehr.toml"
    file.write_text(
        'id = "north"\nname = "North"\nkind = "production"\n'
        'fhir_base = "https://ehr.example.org/fhir"\n'
        '[site]\nname = "North"\nphone = "555-0100"\nbooking_url = "n.example.org"\n'
        'zone = "America/Chicago"\n'
    )
    with database.tx() as tx:
        move_clock(tx, timedelta(days=3))

    result = carecue("endpoint", "add", str(file))

    assert result.exit_code == 2
    assert "clock" in one_line(result)
    with database.tx() as tx:
        assert list_endpoints(tx) == []
