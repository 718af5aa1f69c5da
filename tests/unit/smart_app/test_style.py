"""The EHR's style: strict, clamped, readable, and a stylesheet of our own."""

import json
import re
import threading
from pathlib import Path

import pytest

from middleware.desk.look import LOOK
from smart_app import themes
from smart_app.style import LIGHT, contrast, read_colour, write_theme

HOSTILE = [
    "red;}body{display:none",
    "url(https://evil.example.org/x)",
    "expression(alert(1))",
    "#fff}*{color:red",
    "rgb(1,2,3);",
    "</style><script>",
    "var(--ink)",
    "calc(1px)",
    "\\65 xpression",
    7,
    None,
    ["#fff"],
]
MEMBERS = (
    "color_background",
    "color_text",
    "color_highlight",
    "color_error",
    "color_success",
    "dim_font_size",
    "dim_border_radius",
    "font_family_body",
)


def test_our_light_tokens_are_those_of_the_look() -> None:
    text = Path(LOOK).read_text("utf-8")
    first = text.split(":root {", 1)[1].split("}", 1)[0]
    known = dict(re.findall(r"--([a-z0-9-]+): (#[0-9a-f]{6});", first))
    assert known == LIGHT


def test_our_own_colours_are_readable_by_the_same_measure() -> None:
    theme = write_theme({"color_background": "#fff", "color_text": "#14201f"})
    assert theme.left_out == ()


@pytest.mark.parametrize("member", MEMBERS)
@pytest.mark.parametrize("value", HOSTILE)
def test_nothing_but_checked_values_gets_into_the_sheet(member, value) -> None:
    theme = write_theme({member: value})
    assert theme.css == ""
    assert theme.left_out == (member,)


@pytest.mark.parametrize("name", ["a{b", "x;y", "url(x)", 'a"b', "", "x" * 400, "9x"])
def test_a_name_of_a_font_is_letters(name) -> None:
    assert write_theme({"font_family_body": f"Arial, {name}"}).css == ""


def test_fonts_are_quoted_and_end_in_ours() -> None:
    css = write_theme({"font_family_body": "'Segoe UI', Geneva, sans-serif"}).css
    assert '--font:"Segoe UI","Geneva",sans-serif,system-ui,sans-serif' in css


@pytest.mark.parametrize(
    ("value", "pixels"),
    [("13px", 14.86), ("4px", 14.86), ("18px", 20.57), ("99px", 20.57), ("16", 18.29)],
)
def test_a_size_of_text_is_clamped(value, pixels) -> None:
    assert f"font-size:{pixels:.2f}px" in write_theme({"dim_font_size": value}).css


@pytest.mark.parametrize(
    ("value", "radius"), [("0px", "0"), ("4px", "4"), ("99px", "10")]
)
def test_a_radius_is_clamped(value, radius) -> None:
    assert f"--r:{radius}px" in write_theme({"dim_border_radius": value}).css


@pytest.mark.parametrize(
    ("style", "left_out"),
    [
        ({"color_highlight": "#69b5ce"}, ("color_highlight",)),
        ({"color_text": "#999999"}, ("color_text",)),
        ({"color_background": "#202020"}, ("color_background",)),
        ({"color_success": "#498e49"}, ("color_success",)),
        ({"color_highlight": "#0b5394", "color_error": "#9e2d2d"}, ()),
        ({"color_background": "#fdfdfd", "color_text": "rgb(1, 2, 3)"}, ()),
    ],
)
def test_what_would_be_hard_to_read_is_left_out(style, left_out) -> None:
    assert write_theme(style).left_out == left_out


def test_every_taken_over_pair_is_readable() -> None:
    css = write_theme({"color_background": "#f7f7ff", "color_highlight": "#5b2a86"}).css
    tokens = dict(re.findall(r"--([a-z0-9-]+):(#[0-9a-f]{6})", css))
    assert contrast(tokens["accent"], tokens["sheet"]) >= 4.5
    assert contrast(tokens["accent-ink"], tokens["accent"]) >= 4.5
    assert contrast(tokens["line-2"], tokens["sheet"]) >= 3
    assert tokens["accent"] == "#5b2a86"


def test_cards_stand_out_from_a_light_ground() -> None:
    css = write_theme({"color_background": "#edf2f7"}).css
    assert "--paper:#edf2f7;--sheet:#ffffff" in css


def test_a_users_own_contrast_goes_before() -> None:
    css = write_theme({"dim_border_radius": "4px"}).css
    assert css.startswith("@media screen and (forced-colors:none)")
    assert "prefers-contrast:no-preference" in css


@pytest.mark.parametrize(
    ("text", "colour"),
    [
        ("#ABC", "#aabbcc"),
        (" #a1b2c3 ", "#a1b2c3"),
        ("rgb(0, 10, 255)", "#000aff"),
        ("rgb(0,0,256)", None),
        ("#abcd", None),
        ("red", None),
    ],
)
def test_colours_are_hex_or_rgb(text, colour) -> None:
    assert read_colour(text) == colour


def test_contrast_is_wcags() -> None:
    assert contrast("#ffffff", "#000000") == pytest.approx(21)
    assert contrast("#69b5ce", "#ffffff") == pytest.approx(2.31, abs=0.01)


@pytest.fixture
def patient_pages(monkeypatch) -> None:
    """Let a page wait for the style however busy this machine is."""
    monkeypatch.setattr(themes, "WAIT_SECONDS", 20.0)


def themed(rig, url=None):
    page = rig.http.get(rig.open(smart_style_url=url or f"{rig.ehr.origin}/style"))
    assert page.status_code == 200
    found = re.search(r'href="(/l/[^"]+/theme-[0-9a-f]{16}\.css)"', page.text)
    return found and found[1]


def test_a_style_at_what_is_no_address_leaves_the_page_as_it_is(rig):
    assert themed(rig, "http://[no-address/style") is None


@pytest.mark.usefixtures("patient_pages")
def test_the_sheet_is_served_by_us_and_fetched_once(rig):
    rig.ehr.style = json.dumps({"dim_border_radius": "3px", "color_text": "#999999"})
    sheet = themed(rig)
    assert "GET /style" not in rig.ehr.log
    answer = rig.http.get(sheet)
    assert answer.mimetype == "text/css"
    assert "--r:3px" in answer.text
    assert "left out: color_text" in answer.text
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert "private" in answer.headers["Cache-Control"]
    rig.http.get(themed(rig))
    assert rig.ehr.log.count("GET /style") == 1


@pytest.mark.parametrize(
    "style",
    [
        "<html>",
        "[]",
        '{"dim_border_radius": "1px", "dim_border_radius": "2px"}',
        json.dumps({"dim_border_radius": "1px", "x": "y" * 17000}),
    ],
)
def test_a_style_that_is_none_leaves_ours(rig, style):
    rig.ehr.style = style
    answer = rig.http.get(themed(rig))
    assert (answer.status_code, answer.text) == (200, "")
    assert answer.headers["Cache-Control"] == "no-store"


def test_a_style_that_is_late_is_there_for_the_next_page(rig):
    rig.ehr.style = json.dumps({"dim_border_radius": "3px"})
    sheet = themed(rig)
    rig.ehr.slow.clear()
    late = rig.http.get(sheet)
    assert (late.status_code, late.text) == (200, "")
    assert late.headers["Cache-Control"] == "no-store"
    rig.ehr.slow.set()
    moment = threading.Event()
    for _ in range(1000):
        again = rig.http.get(sheet)
        if again.text or moment.wait(0.02):
            break
    assert "--r:3px" in again.text
    assert rig.ehr.log.count("GET /style") == 1


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.example.org/style",
        "http://127.0.0.1.evil.example.org/style",
        "javascript:alert(1)",
        "//evil.example.org/x",
        "file:///etc/passwd",
    ],
)
def test_a_style_elsewhere_is_never_asked_for(rig, url):
    assert themed(rig, url) is None


def test_a_sheet_is_its_browsers_and_its_launchs_alone(rig):
    sheet = themed(rig)
    assert rig.http.application.test_client().get(sheet).status_code == 403
    assert rig.http.get(re.sub("theme-....", "theme-0000", sheet)).status_code == 404
