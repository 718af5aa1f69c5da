"""What a browser loads: pinned to the byte, light, and from nowhere else."""

import gzip
import hashlib
import re
from datetime import timedelta
from pathlib import Path

import pytest

from middleware.desk.look import LOOK
from middleware.storage import nudges
from tests.unit.smart_app.acts import agree, plan
from tests.unit.smart_app.conftest import make_nudge

STATIC = Path(__file__).parents[3] / "smart_app" / "static"
HTMX = "a0abb04f2f45a1f89d1d4844023245537e5e6014c87b144553e0607b4cc32130"


def weigh(texts) -> int:
    """Return the bytes of texts as they travel, each compressed by itself."""
    return sum(len(gzip.compress(text, 9)) for text in texts)


def test_htmx_is_the_file_that_was_published():
    found = (STATIC / "htmx-4.0.1.min.js").read_bytes()
    assert hashlib.sha256(found).hexdigest() == HTMX


@pytest.mark.parametrize(("suffix", "limit"), [(".js", 16), (".css", 8)])
def test_what_a_page_loads_is_light(rig, suffix, limit):
    html = rig.http.get(rig.open()).text
    loaded = re.findall(rf'(?:src|href)="[^"]*/([^"/]*{re.escape(suffix)})\?v=', html)
    files = {file.name: file for file in (LOOK, *STATIC.iterdir())}
    every = [file for name, file in files.items() if name.endswith(suffix)]
    assert set(loaded) <= files.keys()
    assert len(loaded) > 1
    assert weigh(file.read_bytes() for file in every) <= limit * 1024


@pytest.mark.parametrize("name", ["htmx-4.0.1.min.js", "look.css"])
def test_files_travel_packed_where_the_browser_takes_that(rig, name):
    with rig.http.get(f"/smart/static/{name}") as plain:
        content, tag = plain.data, plain.headers["ETag"]
        assert "Content-Encoding" not in plain.headers
    packs = {"Accept-Encoding": "gzip, br"}
    with rig.http.get(f"/smart/static/{name}", headers=packs) as packed:
        assert packed.headers["Content-Encoding"] == "gzip"
        assert gzip.decompress(packed.data) == content
        assert int(packed.headers["Content-Length"]) == len(packed.data)
        assert "Accept-Encoding" in packed.headers["Vary"]
        assert packed.headers["ETag"] != tag
        known = {**packs, "If-None-Match": packed.headers["ETag"]}
    assert rig.http.get(f"/smart/static/{name}", headers=known).status_code == 304
    page = rig.http.get(rig.open(), headers=packs)
    assert "Content-Encoding" not in page.headers


def test_page_of_a_full_chart_is_light(rig):
    agree(rig)
    plan(rig)
    others = [
        make_nudge(
            rig.clock,
            id=f"other-{number}",
            key=f"other-{number}",
            due_at=rig.clock.now() + timedelta(days=2, hours=number),
        )
        for number in range(11)
    ]
    with rig.database.tx() as tx:
        nudges.upsert_nudges(tx, others, rig.clock.now())
    html = rig.http.get(rig.open()).text
    assert html.count('class="nudge"') == 12
    assert weigh([html.encode()]) <= 12 * 1024


def test_templates_use_nothing_of_htmx_that_needs_eval():
    for path in (STATIC.parent / "templates").rglob("*.html"):
        text = path.read_text("utf-8")
        assert not re.search(r"hx-on|js:|javascript:|hx-trigger=\"[^\"]*\[", text), path


def test_every_answer_about_a_patient_says_whose_it_is(rig):
    agree(rig)
    nudge = plan(rig)
    path = rig.open()
    page = rig.http.get(path)
    mark = re.search(r'data-chart="([0-9a-f]{16})"', page.text)[1]
    for part in ("", "pause", "preferences/channels", f"messages/{nudge.id}"):
        assert rig.http.get(f"{path}{part}").headers["CareCue-Chart"] == mark
    assert rig.http.get(rig.open()).headers["CareCue-Chart"] != mark


def test_fault_is_a_part_for_htmx_and_a_page_otherwise(rig):
    path = rig.open()
    whole = rig.http.get(f"{path}messages/none")
    assert whole.status_code == 404
    assert whole.text.startswith("<!doctype html>")
    part = rig.http.get(f"{path}messages/none", headers={"HX-Request": "true"})
    assert part.status_code == 404
    assert "<html" not in part.text
    assert "data-dialog-body" in part.text
    assert "There is no such page here." in part.text
    assert "CareCue-Chart" not in part.headers
