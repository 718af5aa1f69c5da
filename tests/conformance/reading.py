"""The page of a chart, and what it says of what is missing."""

from __future__ import annotations

import re
from typing import Any

from middleware.desk.completeness import PLAIN
from tests.conformance.clinic import Clinic


def condition(number: int, patient: str = "rosa", **more: Any) -> dict[str, Any]:
    """Return a problem in somebody's chart."""
    return {
        "resourceType": "Condition",
        "id": f"c{number}",
        "subject": {"reference": f"Patient/{patient}"},
        "code": {"text": f"Problem {number}"},
        **more,
    }


def show(clinic: Clinic) -> str:
    """Open the page and return its text."""
    page = clinic.browser.get(clinic.open())
    assert page.status_code == 200
    assert "Delgado" in page.text
    return page.text


# How a page begins to say what it has not got: refused, or not read.
MISSING = "(?:did not give|Could not be read just now)"


def names_as_missing(page: str, kind: str = "Condition") -> bool:
    """Tell whether a page says that a part of the chart is not all there."""
    return bool(re.search(f"{MISSING}[^.]*{PLAIN[kind]}", page))


def is_stopped(clinic: Clinic, opened: str, *names: str) -> bool:
    """Tell whether nothing of a chart is shown: no page, no verdict, none of ``names``.

    What left before the chart was read is hidden by what came after; to htmx, which
    waits for all, the answer is a failure.
    """
    streamed = clinic.browser.get(opened)
    shell, _, rest = streamed.text.rpartition('<div class="fresh" hidden></div>')
    waited = clinic.browser.get(opened, headers={"HX-Request": "true"})
    return (
        '<span class="num">E' in rest
        and 'id="h-notice"' in rest
        and 'id="main"' not in streamed.text
        and "<form" not in streamed.text
        and "As of" not in shell
        and waited.status_code == 502
        and not [name for name in names if name in rest or name in waited.text]
    )
