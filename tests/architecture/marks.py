"""Which test bears which mark, read from the source."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent.parent


def find_marks(name: str) -> dict[tuple[Any, ...], list[str]]:
    """Return the tests that bear a mark, by the mark's arguments."""
    found: dict[tuple[Any, ...], list[str]] = {}
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        place = path.relative_to(ROOT).as_posix()
        for test, arguments in _marked(path, name):
            found.setdefault(arguments, []).append(f"{place}::{test}")
    return found


def write_places(places: list[str]) -> str:
    """Return tests as a cell of a table."""
    return "<br>".join(f"`{place}`" for place in sorted(places))


def _marked(path: Path, name: str) -> Iterator[tuple[str, tuple[Any, ...]]]:
    for node in ast.walk(ast.parse(path.read_text())):
        if not isinstance(node, ast.FunctionDef):
            continue
        for call in node.decorator_list:
            if not isinstance(call, ast.Call):
                continue
            if ast.unparse(call.func) == f"pytest.mark.{name}":
                yield node.name, tuple(ast.literal_eval(word) for word in call.args)
