"""docs/attacks.md says which attack on the SMART client is made by which test.

It is made from the markers: CARECUE_WRITE_DOCS=1 writes it anew.
"""

import os

from tests.architecture.marks import ROOT, find_marks, write_places
from tests.conformance.attacks import ATTACKS

PAGE = ROOT / "docs" / "attacks.md"
HEAD = """# Attacks on the SMART client

Each row is an attack that an automated test makes, on the app or the backend client as
they ship, by a hostile EHR of our own ([tests/conformance/hostile.py](../tests/conformance/hostile.py))
or in a real Chromium with third-party cookies blocked. *Held* means that the test is in
the suite, which passes as a whole or fails.

| | attack | where | result | made by |
|---|---|---|---|---|
"""


def _where(places: list[str]) -> str:
    kinds = {
        "in a browser" if "tests/browser/" in place else "over HTTP" for place in places
    }
    return ", ".join(sorted(kinds, reverse=True))


def _page() -> str:
    made = {number: places for (number,), places in find_marks("attack").items()}
    rows = [
        f"| {number} | {text} | {_where(made.get(number, []))} | "
        f"{'held' if number in made else 'not yet'} | "
        f"{write_places(made.get(number, []))} |\n"
        for number, text in ATTACKS.items()
    ]
    return "".join([HEAD, *rows])


def test_attack_page_is_current() -> None:
    if os.environ.get("CARECUE_WRITE_DOCS") == "1":
        PAGE.write_text(_page())

    assert PAGE.read_text() == _page()


def test_each_of_the_seventy_five_attacks_is_made() -> None:
    made = {number for (number,) in find_marks("attack")}

    assert list(ATTACKS) == list(range(1, 76))
    assert made == set(ATTACKS)
