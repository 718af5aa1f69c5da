"""Every way in which a launch fails is told to the operator with what to do about it."""

import re
from pathlib import Path

from mappings.errors import LaunchError
from smart_app.failures import NOT_SAVED, SESSION_ENDED, STEPS, TITLES, name_title
from smart_app.remedies import REMEDIES

ROOT = Path(__file__).parents[3]
CODE = re.compile(r'(?:code=|_refuse\(|_another\(|end_session\([^)]*)"([A-Z]\d)"')


def test_each_code_of_a_launch_has_its_remedy_and_no_other():
    used = {
        code
        for file in (ROOT / "smart_app").glob("*.py")
        for code in CODE.findall(file.read_text())
    }
    assert {"L1", "D3", "T5", "R2"} < used
    of_launches = {code for code in used if code[0] in "LDCTURE"}
    assert of_launches - {"E2"} <= set(REMEDIES)
    assert set(REMEDIES) <= used | {"R1"}
    assert {code[0] for code in REMEDIES} <= set(STEPS)


def test_the_operators_page_has_the_same_words():
    page = (ROOT / "docs/smart-app.md").read_text()
    for code, remedy in REMEDIES.items():
        assert f"| `{code}` | {remedy} |\n" in page


def test_every_failure_has_a_heading_that_says_what_failed():
    assert set(STEPS) <= set(TITLES)
    for code in {*REMEDIES, *(f"{step}1" for step in STEPS)}:
        for status in (400, 403, 404, 409, 500, 502):
            told = name_title(LaunchError("Why.", code=code, status=status))
            assert told == TITLES.get(code, TITLES[code[0]])
            failed = LaunchError("Why.", code=code, status=status)
            assert name_title(failed, saving=True) == NOT_SAVED
        ended = LaunchError("Why.", code=code, status=401)
        assert name_title(ended) == name_title(ended, saving=True) == SESSION_ENDED
