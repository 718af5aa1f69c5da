"""Attacks by the style that the EHR gives to the app."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from flask import Response

from smart_app.style import contrast
from tests.conformance.clinic import Clinic
from tests.conformance.hostile import HostileEhr, View

GOOD = {"color_background": "#ffffff", "color_text": "#101010", "dim_font_size": "14px"}
NAME = re.compile(r'<link rel="stylesheet" href="(/l/[^"]+)"')
VALUE = re.compile(r"#[0-9a-f]{6}|\d+(\.\d+)?(px|rem|em)?|light|[A-Za-z0-9 ,\"'_-]+")


def sheet(clinic: Clinic, style: Any, url: str | None = None) -> str:
    """Open a launch with a style; return the sheet that its page links to."""
    path = f"/styles/{len(clinic.ehr.heard)}.json"
    view: View = style if callable(style) else lambda: Response(json.dumps(style))
    clinic.ehr.habits.instead[path] = view
    where = url if url is not None else f"{clinic.ehr.root}{path}"
    clinic.ehr.habits.answer = {"smart_style_url": where}
    page = clinic.browser.get(clinic.open())
    assert page.status_code == 200
    assert where not in page.text
    assert (
        clinic.ehr.root
        not in page.headers["Content-Security-Policy"].partition("form-action")[0]
    )
    found = NAME.search(page.text)
    if found is None:
        return ""
    answer = clinic.browser.get(found[1])
    assert answer.status_code == 200
    assert answer.mimetype == "text/css"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert len(answer.data) < 8000
    return answer.text


def rules(css: str) -> str:
    """Return a sheet without its remarks."""
    return re.sub(r"/\*.*?\*/", "", css, flags=re.DOTALL).strip()


@pytest.mark.attack(66)
def test_a_style_of_another_host_is_not_fetched(
    clinic: Clinic, elsewhere: HostileEhr
) -> None:
    assert "#101010" in sheet(clinic, GOOD)
    root, port = clinic.ehr.root, elsewhere.root.rpartition(":")[2]
    for url in (
        f"{elsewhere.root}/style.json",
        f"//localhost:{port}/style.json",
        f"{root}@localhost:{port}/style.json",
        f"{root}.evil.example/style.json",
        "http://169.254.169.254/latest/meta-data",
        "file:///etc/passwd",
        "data:application/json,{}",
        "javascript:alert(1)",
    ):
        assert rules(sheet(clinic, GOOD, url)) == "", url
    assert elsewhere.heard == []


@pytest.mark.attack(66)
def test_a_style_that_is_none_leaves_ours(
    clinic: Clinic, elsewhere: HostileEhr
) -> None:
    there = {"Location": f"{elsewhere.root}/style.json"}
    views: tuple[View, ...] = (
        lambda: Response("", 302, there),
        lambda: Response("<html>", content_type="text/html"),
        lambda: Response(json.dumps({**GOOD, "x": "y" * 20_000})),
        lambda: Response('{"color_text": "#101010", "color_text": "#000000"}'),
        lambda: Response("[]"),
        lambda: Response("", 500),
        lambda: Response('{"color_text": "#101010"'),
    )
    for number, view in enumerate(views):
        assert rules(sheet(clinic, view)) == "", number
    assert elsewhere.heard == []


@pytest.mark.attack(66)
def test_nothing_but_checked_values_gets_into_the_sheet(clinic: Clinic) -> None:
    hostile = (
        "url(//evil.example/x)",
        "red;}body{display:none}",
        "#fff}*{background:url(//evil.example)",
        "expression(alert(1))",
        "javascript:alert(1)",
        "</style><script>alert(1)</script>",
        "*/@import url(//evil.example);/*",
        "var(--x)",
        "\\75rl(//evil.example)",
        "14px;position:fixed",
        "9999px",
        "-1px",
        "calc(1px*99)",
        "Arial, '; } x {",
        "a\nb",
        7,
        None,
        ["#fff"],
        {"a": 1},
    )
    names = (
        *GOOD,
        "color_highlight",
        "color_error",
        "color_success",
        "font_family_body",
    )
    names += ("font_family_heading", "dim_border_radius", "dim_spacing_size", "}*{x:y")
    for word in hostile:
        css = rules(sheet(clinic, dict.fromkeys(names, word)))
        for odd in (
            "evil",
            "url(",
            "import",
            "expression",
            "script",
            "position",
            "var(",
        ):
            assert odd not in css, word
        assert "display" not in css
        for value in re.findall(r":([^;{}]*)[;}]", css):
            assert VALUE.fullmatch(value.strip()), (word, value)
        assert css.count("{") == css.count("}")


@pytest.mark.attack(66)
def test_a_style_that_cannot_be_read_is_left_out(clinic: Clinic) -> None:
    for back, text in (
        ("#ffffff", "#eeeeee"),
        ("#000000", "#222222"),
        ("#ff0000", "#00ff00"),
        ("#777777", "#7a7a7a"),
    ):
        css = rules(sheet(clinic, {"color_background": back, "color_text": text}))
        tokens = dict(re.findall(r"--([a-z0-9-]+):(#[0-9a-f]{6})", css))
        if tokens:
            for ground in ("sheet", "paper"):
                assert contrast(tokens["ink"], tokens[ground]) >= 4.5, (back, text)
