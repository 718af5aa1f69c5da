"""What the audit says in words: every act has its own, and no number is told."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from mappings import audited
from mappings.audited import (
    ACTIONS,
    VIEWED,
    VIEWS,
    Audited,
    name_subject,
    say_action,
    say_subject,
    say_who,
)

ROOT = Path(__file__).parents[3]
# Who writes an entry, and which of its arguments is the act.
WRITERS = {"insert_audit": 2, "_audit": 2, "_note": 2, "write_audit": 3}
DERIVED = {"plan-on", "plan-off", "preference-saved", "consent-saved"}


def entry(action: str = VIEWED, **changes: Any) -> Audited:
    given = {
        "id": 1,
        "at": datetime(2026, 11, 20, tzinfo=UTC),
        "who": "Practitioner/osei",
        "action": action,
        "endpoint_id": "north",
        "patient": "Patient/rosa",
        "subject": None,
        "detail": {},
    }
    return Audited(**{**given, **changes})


def written() -> Iterator[str]:
    """Find what is written into the audit, wherever that is."""
    for folder in ("middleware", "smart_app"):
        for path in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                yield from _acts(node)


def _acts(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Call):
        name = getattr(node.func, "attr", getattr(node.func, "id", ""))
        place = WRITERS.get(name)
        if place is not None and len(node.args) > place:
            yield from _texts(node.args[place])
        yield from (
            text
            for word in node.keywords
            if word.arg == "action"
            for text in _texts(word.value)
            if "-" in text
        )
    if isinstance(node, ast.Assign):
        names = [getattr(target, "id", "") for target in node.targets]
        if names == ["action"]:
            yield from (text for text in _texts(node.value) if "-" in text)


def _texts(node: ast.expr) -> Iterator[str]:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    if isinstance(node, ast.IfExp):
        yield from (*_texts(node.body), *_texts(node.orelse))
    if isinstance(node, ast.Name):
        value = getattr(audited, node.id, None)
        yield from [value] if isinstance(value, str) else []


def test_every_act_has_words() -> None:
    found = set(written()) | DERIVED | {VIEWED}
    assert len(found) > 40
    assert found == set(ACTIONS)


def test_every_view_has_words() -> None:
    """A view is named by the route of the app that shows it."""
    routes = {path.stem: path.read_text() for path in (ROOT / "smart_app").glob("*.py")}
    for name in set(VIEWS) - {"opening"}:
        told = (f"def {name}(", f'"{name}"')
        assert any(word in text for text in routes.values() for word in told), name


def test_a_look_says_at_what_and_who_it_was() -> None:
    look = entry(detail={"view": "summary", "by": "Dr. Osei"})
    assert say_action(look) == "Saw the chart: the sheet for the patient"
    assert say_who(look) == "Dr. Osei (Practitioner/osei)"
    assert say_action(entry(detail={"view": "new-one"})) == "Saw the chart: new-one"
    assert say_action(entry("some-act")) == "Some act"
    assert say_who(entry("patients-searched", detail={"by": ["mrn"]})) == (
        "Practitioner/osei"
    )


def test_a_number_is_not_told() -> None:
    told = entry("preference-saved", subject="telecom:sms:+14155550142")
    assert name_subject(told) == "telecom:sms"
    assert say_subject(told) == "a phone number"
    mail = entry("preference-saved", subject="telecom:email:rosa@example.org")
    assert say_subject(mail) == "an email address"
    assert say_subject(entry(subject="launch-1")) == "launch-1"
    assert say_subject(entry()) == ""
