"""docs/conformance.md says which published requirement is verified by which test.

It is made from the markers: CARECUE_WRITE_DOCS=1 writes it anew. What stands below
its heading of long runs is written by whoever ran them, and kept.
"""

import os

from tests.architecture.marks import ROOT, find_marks, write_places
from tests.conformance.peers import PEERS
from tests.conformance.requirements import REQUIREMENTS, Requirement
from tests.conformance.smart_requirements import REQUIREMENTS as SMART

PAGE = ROOT / "docs" / "conformance.md"
NOT_YET = "not yet"
OURS = {"tests/unit/subscriptions/test_with_sandbox.py": "our sandbox, by HTTP"}
HEAD = """# Conformance

What is published about subscribers and SMART clients, and the test that shows that it is kept. Made from
the tests' markers. Identifiers are those of the Inferno test kits (specification,
version, number); a requirement that they do not number has a name.

## What Subscriptions R5 Backport asks of a client

"Inferno" is the test of its client suite, where it has one.

| requirement | verb | what it asks | Inferno | verified by |
|---|---|---|---|---|
"""
SMART_HEAD = """
## What SMART App Launch 2.2 asks of a client

Numbers are those of the Inferno test kit; a row may stand for several that say one
thing. "Inferno" is the check of its client suite that our tests make as it does, for
each kind of client: public, with a secret, with a key, backend. What is tried against
the client is in [attacks.md](attacks.md).

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


def _requirement(row: Requirement, places: list[str]) -> str:
    verified = write_places(places) or row.instead or NOT_YET
    return f"| {row.id} | {row.verb} | {row.asks} | {row.inferno} | {verified} |\n"


def _peer(server: str, form: str, places: list[str]) -> str:
    results = {_result(place.partition("::")[0]) for place in places}
    shown = ", ".join(sorted(results, reverse=True)) or NOT_YET
    return f"| {server} | {form} | {shown} | {write_places(places)} |\n"


def _result(path: str) -> str:
    return OURS.get(path) or ("live" if "/live/" in path else "by emulation")


def _order(name: str) -> tuple[str, int, str]:
    specification, _, number = name.partition("@")
    return specification, int(number) if number.isdigit() else 0, number


def _page() -> str:
    verified = {name: places for (name,), places in find_marks("requirement").items()}
    peers = find_marks("peer")
    listed = [_requirement(row, verified.pop(row.id, [])) for row in REQUIREMENTS]
    shown = [
        _peer(server, form, peers.get((server, form), [])) for server, form in PEERS
    ]
    smart = [_requirement(row, verified.pop(row.id, [])) for row in SMART]
    others = [
        f"| {name} | {write_places(verified[name])} |\n"
        for name in sorted(verified, key=_order)
    ]
    return "".join(
        [HEAD, *listed, SMART_HEAD, *smart, PEERS_HEAD, *shown, OTHERS_HEAD, *others]
    )


def test_conformance_page_is_current() -> None:
    made, heading, runs = PAGE.read_text().partition(LONG_RUNS)
    if os.environ.get("CARECUE_WRITE_DOCS") == "1":
        made = _page()
        PAGE.write_text(made + heading + runs)

    assert made == _page()


def test_every_mark_names_a_row() -> None:
    rows = (*REQUIREMENTS, *SMART)
    specifications = {row.id.partition("@")[0] for row in rows}
    known = {row.id for row in rows}
    marked = {name for (name,) in find_marks("requirement")}

    assert {n for n in marked if n.partition("@")[0] in specifications} <= known
    assert set(find_marks("peer")) <= set(PEERS)
