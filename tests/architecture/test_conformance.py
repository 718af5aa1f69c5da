"""docs/conformance.md says which published requirement is verified by which test.

It is made from the markers: CARECUE_WRITE_DOCS=1 writes it anew.
"""

import ast
import os
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
PAGE = ROOT / "docs" / "conformance.md"
HEAD = """# Conformance

Each published requirement that a test verifies, by the identifiers of the Inferno test
kits (specification, version, number). Made from the tests' markers.

| requirement | verified by |
|---|---|
"""


def _markers() -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef):
                for name in _requirements(node):
                    place = f"{path.relative_to(ROOT).as_posix()}::{node.name}"
                    found.setdefault(name, set()).add(place)
    return found


def _requirements(node: ast.FunctionDef) -> list[str]:
    return [
        call.args[0].value
        for call in node.decorator_list
        if isinstance(call, ast.Call)
        and ast.unparse(call.func) == "pytest.mark.requirement"
        and isinstance(call.args[0], ast.Constant)
    ]


def _order(name: str) -> tuple[str, int]:
    specification, _, number = name.partition("@")
    return specification, int(number)


def _page() -> str:
    rows = [
        f"| {name} | {'<br>'.join(f'`{place}`' for place in sorted(places))} |\n"
        for name, places in sorted(_markers().items(), key=lambda row: _order(row[0]))
    ]
    return HEAD + "".join(rows)


def test_conformance_page_is_current() -> None:
    if os.environ.get("CARECUE_WRITE_DOCS") == "1":
        PAGE.write_text(_page())

    assert PAGE.read_text() == _page()
