"""docs/conformance.md says which published requirement is verified by which test.

It is made from the markers: CARECUE_WRITE_DOCS=1 writes it anew. What stands below
its heading of long runs is written by whoever ran them, and kept.
"""

import ast
import os
from collections.abc import Iterator
from pathlib import Path

from tests.conformance.peers import PEERS
from tests.conformance.requirements import REQUIREMENTS, Requirement

ROOT = Path(__file__).parent.parent.parent
PAGE = ROOT / "docs" / "conformance.md"
NOT_YET = "not yet"
OURS = {"tests/unit/subscriptions/test_with_sandbox.py": "our sandbox, by HTTP"}
HEAD = """# Conformance

What is published about subscribers, and the test that shows that it is kept. Made from
the tests' markers. Identifiers are those of the Inferno test kits (specification,
version, number); a requirement that they do not number has a name.

## What Subscriptions R5 Backport asks of a client

"Inferno" is the test of its client suite, where it has one.

| requirement | verb | what it asks | Inferno | verified by |
|---|---|---|---|---|
"""
PEERS_HEAD = """
## Servers and their forms

*Live*: the server itself sent to our listener. *By emulation*: the test sends what the
server's code or documentation says that it sends, from its own headers to the rule by
which it judges our answer.

| server | form | result | verified by |
|---|---|---|---|
"""
OTHERS_HEAD = """
## Other requirements

| requirement | verified by |
|---|---|
"""
LONG_RUNS = "\n## Long runs\n"


def _marks(name: str) -> dict[tuple[str, ...], list[str]]:
    """Return the tests that bear a mark, by the mark's arguments."""
    found: dict[tuple[str, ...], list[str]] = {}
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        place = path.relative_to(ROOT).as_posix()
        for test, arguments in _marked(path, name):
            found.setdefault(arguments, []).append(f"{place}::{test}")
    return found


def _marked(path: Path, name: str) -> Iterator[tuple[str, tuple[str, ...]]]:
    for node in ast.walk(ast.parse(path.read_text())):
        if not isinstance(node, ast.FunctionDef):
            continue
        for call in node.decorator_list:
            if not isinstance(call, ast.Call):
                continue
            if ast.unparse(call.func) == f"pytest.mark.{name}":
                yield node.name, tuple(ast.literal_eval(word) for word in call.args)


def _list(places: list[str]) -> str:
    return "<br>".join(f"`{place}`" for place in sorted(places))


def _requirement(row: Requirement, places: list[str]) -> str:
    verified = _list(places) or row.instead or NOT_YET
    return f"| {row.id} | {row.verb} | {row.asks} | {row.inferno} | {verified} |\n"


def _peer(server: str, form: str, places: list[str]) -> str:
    results = {_result(place.partition("::")[0]) for place in places}
    shown = ", ".join(sorted(results, reverse=True)) or NOT_YET
    return f"| {server} | {form} | {shown} | {_list(places)} |\n"


def _result(path: str) -> str:
    return OURS.get(path) or ("live" if "/live/" in path else "by emulation")


def _order(name: str) -> tuple[str, int, str]:
    specification, _, number = name.partition("@")
    return specification, int(number) if number.isdigit() else 0, number


def _page() -> str:
    verified = {name: places for (name,), places in _marks("requirement").items()}
    peers = _marks("peer")
    listed = [_requirement(row, verified.pop(row.id, [])) for row in REQUIREMENTS]
    shown = [
        _peer(server, form, peers.get((server, form), [])) for server, form in PEERS
    ]
    others = [
        f"| {name} | {_list(verified[name])} |\n"
        for name in sorted(verified, key=_order)
    ]
    return "".join([HEAD, *listed, PEERS_HEAD, *shown, OTHERS_HEAD, *others])


def test_conformance_page_is_current() -> None:
    made, heading, runs = PAGE.read_text().partition(LONG_RUNS)
    if os.environ.get("CARECUE_WRITE_DOCS") == "1":
        made = _page()
        PAGE.write_text(made + heading + runs)

    assert made == _page()


def test_every_mark_names_a_row() -> None:
    specifications = {row.id.partition("@")[0] for row in REQUIREMENTS}
    known = {row.id for row in REQUIREMENTS}
    marked = {name for (name,) in _marks("requirement")}

    assert {n for n in marked if n.partition("@")[0] in specifications} <= known
    assert set(_marks("peer")) <= set(PEERS)
