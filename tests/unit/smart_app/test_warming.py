"""What a new process has made before the first person comes, seen by its causes."""

import sys
from collections.abc import Iterator

import pytest

from middleware.desk import viewer
from middleware.wiring.contents import Contents
from middleware.wiring.warming import warm
from tests.unit.smart_app.acts import serve_afresh, words

WATCHED = (".html", ".po", ".json", ".py")
_seen: list[str] | None = None


def _watch(event: str, arguments: tuple) -> None:
    if _seen is None:
        return
    name = arguments[1] if event == "compile" else arguments[0]
    if event in ("open", "compile") and str(name).endswith(WATCHED):
        _seen.append(f"{event} {name}")


sys.addaudithook(_watch)


@pytest.fixture
def seen() -> Iterator[list[str]]:
    """Every file of ours that is read or compiled."""
    global _seen  # noqa: PLW0603 -- an audit hook stays for ever
    _seen = []
    yield _seen
    _seen = None


@pytest.mark.parametrize("language", ["en-US", "es-MX"])
def test_the_first_launch_reads_and_compiles_nothing(rig, seen, language):
    viewer.viewer_of.cache_clear()
    viewer._translations.cache_clear()
    library = Contents(rig.database, rig.clock, None).library
    app = serve_afresh(rig, library)
    asked = []
    warm(app, rig.ports.desk._context, lambda: asked.append("keys"))
    assert asked == ["keys"]
    assert any(one.endswith(("page.html", "<template>")) for one in seen)
    assert any(one.endswith("es.po") for one in seen)
    seen.clear()
    page = rig.http.get(rig.open(), headers={"Accept-Language": language}).text
    assert "Rosa Delgado" in words(page)
    assert seen == []
