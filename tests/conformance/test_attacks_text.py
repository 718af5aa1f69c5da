"""Attacks by text: what stands in a chart is shown as text, everywhere."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import Any

import pytest

from middleware.desk.editing.groups import GROUPS
from tests.conformance.charts import OSEI, ROSA
from tests.conformance.clinic import Clinic
from tests.unit.smart_app.acts import insert_planned
from tests.unit.smart_app.conftest import make_nudge

HOSTILE = (
    "<img src=x onerror=alert(1)>",
    "<script>alert(1)</script>",
    '"><svg onload=alert(1)><a href="javascript:alert(1)">x</a>',
    '<b hx-get="/l/x/" hx-trigger="load" data-hx-post="/x">x</b>',
    "<style>*{display:none}</style><link rel=stylesheet href=//evil.example>",
    "</template></dialog></main></body><iframe src=//evil.example></iframe>",
    "{{ 7*7 }}{% raw %}%(name)s%s{0}",
    "<!--><form action=//evil.example><input name=csrf><button>x",
    "' onmouseover='alert(1)",
    "&lt;img src=x onerror=alert(1)&gt;",
    "a\x00b\x1b[31m\r\nSet-Cookie: a=b",
)
OURS = re.compile(
    "html|head|meta|title|link|script|body|svg|symbol|path|circle|use|rect|line|g|text|"
    "main|section|header|footer|nav|aside|div|span|p|a|h[1-4]|ul|ol|li|dl|dt|dd|table|"
    "thead|tbody|tr|th|td|caption|b|i|em|strong|small|s|time|bdi|blockquote|form|input|"
    "button|label|fieldset|legend|select|option|textarea|details|summary|dialog|template|"
    "figure|figcaption|output|br|hr|polyline|polygon|desc|defs"
)


# Where a refusal is said: below the form that was sent.
SAID = re.compile(r"target:#said-[0-9a-f-]{36} swap:innerHTML")


class Reader(HTMLParser):
    """Collects elements, and whatever in them is not of our own making."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.odd: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        for name, value in attrs:
            where = value or ""
            if name.startswith("on") or name in {"style", "srcdoc", "http-equiv"}:
                self.odd.append(f"{tag} {name}={where}")
            if name.startswith("hx-status:") and SAID.fullmatch(where):
                continue
            leads = name in {"href", "src", "action", "formaction"} or "hx-" in name
            if leads and (":" in where or where.startswith(("//", "\\"))):
                self.odd.append(f"{tag} {name}={where}")

    def handle_data(self, data: str) -> None:
        self.text += data


def spoil(clinic: Clinic, text: str) -> None:
    """Put a text wherever a chart holds one."""
    clinic.ehr.charts.put(*spoiled(text))


def spoiled(text: str) -> list[dict[str, Any]]:
    """Return resources that hold a text wherever they hold one."""
    coding = {"system": text, "code": text, "display": text}
    concept = {"coding": [coding], "text": text}
    narrative = {"status": "generated", "div": f"<div>{text}</div>"}
    mine = {"reference": "Patient/rosa", "display": text}
    return [
        {
            **ROSA,
            "name": [{"given": [text], "family": text, "text": text, "use": "usual"}],
            "identifier": [{"type": {"coding": [{"code": "MR"}]}, "value": text}],
            "text": narrative,
            "telecom": [
                {"system": "phone", "value": text},
                {"system": "email", "value": f"{text}@example.org"},
                {"system": "url", "value": f"javascript:{text}"},
            ],
            "address": [{"state": text, "postalCode": text, "line": [text]}],
            "communication": [{"language": concept, "preferred": True}],
            "contact": [{"name": {"text": text}, "relationship": [concept]}],
            "photo": [{"contentType": text, "url": text, "title": text}],
        },
        {**OSEI, "name": [{"text": text}]},
        {
            "resourceType": "Goal",
            "id": "g1",
            "lifecycleStatus": "active",
            "subject": mine,
            "expressedBy": mine,
            "description": concept,
            "text": narrative,
        },
        {
            "resourceType": "Appointment",
            "id": "a1",
            "status": "booked",
            "start": "2026-11-20T15:00:00Z",
            "description": text,
            "serviceType": [concept],
            "participant": [{"actor": mine}, {"actor": {"display": text}}],
        },
        {
            "resourceType": "RelatedPerson",
            "id": "r1",
            "patient": mine,
            "name": [{"text": text}],
            "relationship": [concept],
            "telecom": [{"system": "phone", "value": text}],
        },
        {
            "resourceType": "Consent",
            "id": "k1",
            "status": "active",
            "patient": mine,
            "scope": concept,
            "category": [concept],
            "sourceAttachment": {
                "contentType": "text/html",
                "title": text,
                "url": text,
            },
        },
        {
            "resourceType": "Observation",
            "id": "o1",
            "status": "final",
            "code": {"coding": [{"system": "http://loinc.org", "code": "95541-9"}]},
            "subject": mine,
            "valueString": text,
        },
    ]


def read(clinic: Clinic, path: str) -> Reader:
    """Read a page of ours, and hold that it is one."""
    answer = clinic.browser.get(path)
    assert answer.status_code == 200, answer.text
    policy = answer.headers["Content-Security-Policy"]
    assert "script-src 'self'" in policy
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.content_type.startswith("text/html")
    reader = Reader()
    reader.feed(answer.text)
    return reader


def plan(clinic: Clinic, number: int, text: str) -> str:
    """Plan a message whose every sentence is a text; return its id."""
    name = f"m{number}"
    words = dict.fromkeys(("title", "why", "stops"), text.replace("\x00", ""))
    nudge = make_nudge(clinic.clock, id=name, key=name, event_id=name, **words)
    insert_planned(clinic.runtime.database, ROSA, nudge)
    return name


def pages(clinic: Clinic, opened: str, message: str) -> set[str]:
    """Return every address of a launch that answers a page."""
    found = {path for method, path in clinic.routes(opened) if method == "GET"}
    no_pages = ("session", "draft", "patient", "theme-channels.css")
    found -= {opened + name for name in no_pages}
    found |= {f"{opened}preferences/{name}" for name in GROUPS}
    return {path.replace("messages/x", f"messages/{message}") for path in found}


@pytest.mark.attack(59)
def test_text_of_a_chart_stays_text(clinic: Clinic) -> None:
    for number, text in enumerate(HOSTILE):
        spoil(clinic, text)
        message = plan(clinic, number, text)
        opened = clinic.open()
        # The page itself each time; all others with the worst of them.
        places = pages(clinic, opened, message) if number in {2, 3, 5} else {opened}
        assert len(places) > 12 or number not in {2, 3, 5}
        for place in places:
            reader = read(clinic, place)
            assert [tag for tag in reader.tags if not OURS.fullmatch(tag)] == [], text
            assert reader.odd == [], (place, text)
            assert "49" not in reader.text.replace("+1415555", "").split(), text


@pytest.mark.attack(59)
def test_text_that_turns_the_line_turns_no_other(clinic: Clinic) -> None:
    text = "Rosa\u202e\u202b\u2067\u200fevil\u0007\u009b31m"
    spoil(clinic, text)
    message = plan(clinic, 1, text)
    opened = clinic.open()
    for place in pages(clinic, opened, message):
        html = clinic.browser.get(place).text
        assert "Rosaevil31m" in html, place
        assert re.findall("[\u202a-\u202e\u2066\u2067\u200f\x07\x9b]", html) == [], (
            place
        )


@pytest.mark.attack(59)
def test_a_megabyte_of_text_is_cut(clinic: Clinic) -> None:
    long = "R" * 1_000_000
    goal = {
        "resourceType": "Goal",
        "id": "g1",
        "lifecycleStatus": "active",
        "subject": {"reference": "Patient/rosa"},
        "expressedBy": {"reference": "Patient/rosa"},
        "description": {"text": long},
    }
    for resource in (
        {**ROSA, "name": [{"given": [long], "family": "Delgado"}]},
        {**ROSA, "identifier": [{**ROSA["identifier"][0], "value": long}]},
        goal,
        {**OSEI, "name": [{"text": long}]},
    ):
        clinic.ehr.charts.put(ROSA, OSEI, resource)
        answer = clinic.browser.get(clinic.open())
        assert answer.status_code == 200
        assert len(answer.data) < 100_000, resource["resourceType"]
    for resource in spoiled("R" * 300_000):
        clinic.ehr.charts.resources.clear()
        clinic.ehr.charts.put(ROSA, OSEI, resource)
        opened = clinic.open()
        for place in ("", "summary", "history"):
            answer = clinic.browser.get(opened + place)
            assert answer.status_code == 200
            assert len(answer.data) < 200_000, (place, resource["resourceType"])


@pytest.mark.attack(60)
def test_nothing_of_the_app_is_a_spreadsheet_or_a_document(clinic: Clinic) -> None:
    for text in (
        '=HYPERLINK("http://evil.example")',
        "+1+1",
        "-2+3",
        "@SUM(A1)",
        "\t=1",
    ):
        spoil(clinic, text)
        opened = clinic.open()
        for asked in ("text/csv", "application/pdf", "application/vnd.ms-excel"):
            answer = clinic.browser.get(opened, headers={"Accept": asked})
            assert answer.content_type.startswith("text/html")
            assert "Content-Disposition" not in answer.headers
    names = {rule.endpoint for rule in clinic.app.url_map.iter_rules()}
    served: list[Any] = [
        rule.rule for rule in clinic.app.url_map.iter_rules() if "GET" in rule.methods
    ]
    assert names
    assert not [path for path in served if path.endswith((".csv", ".pdf", ".xlsx"))]
