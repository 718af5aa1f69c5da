"""The documentation names every setting, command, option of state and reason."""

import re
import tomllib
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import click
import pytest

from mappings.content import load_shipped
from mappings.endpoint import AppClient
from mappings.endpoint_file import read_endpoint_file
from mappings.event import NOTES, EventKind
from mappings.nudge import REASONS
from middleware.cli.main import main
from middleware.decisions.prefetch import data_queries
from middleware.desk.charting import personal_queries
from middleware.desk.permitted import type_of
from middleware.fhir.checking.steps import DIAGNOSES
from middleware.settings import Settings
from middleware.web.words import EVENTS
from smart_app.failures import STEPS
from smart_app.scopes import list_scopes

ROOT = Path(__file__).parent.parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
TEXT = "\n".join(page.read_text() for page in PAGES)


def commands(command: click.Command, name: str) -> Iterator[tuple[str, click.Command]]:
    if isinstance(command, click.Group):
        context = click.Context(command)
        for part in command.list_commands(context):
            inner = command.get_command(context, part)
            assert inner is not None
            yield from commands(inner, f"{name} {part}")
    else:
        yield name, command


COMMANDS = dict(commands(main, "carecue"))


@pytest.mark.parametrize("name", sorted(Settings.model_fields))
def test_setting_is_documented_with_its_description(name: str) -> None:
    description = Settings.model_fields[name].description
    rows = [line for line in TEXT.splitlines() if f"`CARECUE_{name.upper()}`" in line]

    assert any(line.endswith(f"| {description} |") for line in rows)


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_command_is_documented_and_has_an_example(name: str) -> None:
    help_text = COMMANDS[name].help or ""

    assert name in TEXT
    assert "Example" in help_text
    assert name in help_text


@pytest.mark.parametrize("code", sorted(REASONS))
def test_reason_is_documented_with_its_sentence(code: str) -> None:
    assert f"| `{code}` | {REASONS[code].sentence} |" in TEXT


@pytest.mark.parametrize("code", sorted(DIAGNOSES))
def test_diagnosis_is_documented_with_its_cause(code: str) -> None:
    meant = DIAGNOSES[code]

    assert f"| `{code}` | {meant.outcome.value} | {meant.cause} |" in TEXT


@pytest.mark.parametrize("kind", list(EventKind))
def test_kind_of_event_is_documented_with_its_words(kind: EventKind) -> None:
    assert f"| `{kind.value}` | {EVENTS[kind]} | " in TEXT


@pytest.mark.parametrize("plan", sorted(plan.id for plan in load_shipped().plans))
def test_plan_is_documented(plan: str) -> None:
    assert f"| `{plan}` | " in (ROOT / "docs" / "plans.md").read_text()


@pytest.mark.parametrize("note", sorted(NOTES))
def test_note_on_what_led_to_no_event_is_documented(note: str) -> None:
    assert f"| `{note}` | {NOTES[note]} |" in TEXT


def test_example_of_an_endpoint_can_be_read() -> None:
    page = (ROOT / "docs" / "operations.md").read_text()
    example = page.split("```toml\n")[1].split("```")[0]

    endpoint = read_endpoint_file(example)

    assert endpoint.id == "northside"
    assert set(tomllib.loads(example)) == {
        "id",
        "name",
        "kind",
        "fhir_base",
        "allow_list",
        "backend",
        "app",
        "cds",
        "site",
        "profile",
    }


def test_scopes_to_register_the_app_with_are_those_that_it_asks_for() -> None:
    page = (ROOT / "docs" / "smart-app.md").read_text()
    listed = page.split("```\nopenid ")[1].split("```")[0].split()
    patient = "Patient/0"
    read = (*data_queries(load_shipped(), patient), *personal_queries(patient))

    assert {"openid", *listed} == set(list_scopes(map(type_of, read)).split())


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_to_files_of_the_project_are_whole(page: Path) -> None:
    targets = [part.split(")")[0] for part in page.read_text().split("](")[1:]]
    local = [target.partition("#")[0] for target in targets if "://" not in target]

    assert [name for name in local if name and not (page.parent / name).exists()] == []


def test_decisions_have_numbers_of_their_own_and_carry_them_in_their_headings() -> None:
    pages = sorted((ROOT / "docs" / "adr").glob("*.md"))
    numbers = [page.name[:4] for page in pages]

    assert len(set(numbers)) == len(numbers)
    assert [
        page.name
        for page, number in zip(pages, numbers, strict=True)
        if not page.read_text().startswith(f"# {number}: ")
    ] == []


SAFETY = (ROOT / "docs" / "safety.md").read_text()
SHOWN = re.findall(r"`([a-z/_]+\.py)::(test_\w+)`", SAFETY)


def test_every_safety_rule_has_its_line_and_its_test() -> None:
    numbers = re.findall(r"^\| (\d+) \|", SAFETY, flags=re.MULTILINE)
    assert numbers == [str(number) for number in range(1, 27)]
    lines = [line for line in SAFETY.splitlines() if re.match(r"\| \d+ \|", line)]
    assert [line for line in lines if "::test_" not in line] == []


@pytest.mark.parametrize(("file", "name"), SHOWN, ids=[name for _, name in SHOWN])
def test_what_shows_a_safety_rule_is_there(file: str, name: str) -> None:
    assert f"def {name}(" in (ROOT / "tests" / file).read_text()


@pytest.mark.parametrize("letter", sorted(STEPS))
def test_step_of_a_launch_is_documented(letter: str) -> None:
    assert f"| `{letter}` | {STEPS[letter]} |" in TEXT


@pytest.mark.parametrize("name", [item.name for item in fields(AppClient)])
def test_field_of_the_app_is_documented(name: str) -> None:
    assert f"`{name}`" in TEXT
