"""The page of a chart, and what it says of what is missing."""

from __future__ import annotations

import re
from typing import Any

from werkzeug.test import TestResponse

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
    """Open the page, with the whole chart behind it, and return its text."""
    page = clinic.browser.get(f"{clinic.open()}?whole=1")
    assert page.status_code == 200
    assert "Delgado" in page.text
    return page.text


def names_as_missing(page: str, kind: str = "Condition") -> bool:
    """Tell whether a page says that a part of the chart is not all there."""
    return bool(re.search(f"did not give[^.]*{PLAIN[kind]}", page))


def is_stopped(answer: TestResponse) -> bool:
    """Tell whether a page says that the chart could not be read, or is none."""
    return answer.status_code == 502 or "could not be read" in answer.text
