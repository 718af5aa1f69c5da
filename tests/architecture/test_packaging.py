"""The wheel holds exactly the four packages, typed and with their data."""

import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
PACKAGES = {"mappings", "middleware", "smart_app", "subscriptions"}
DATA = (
    "mappings/py.typed",
    "middleware/py.typed",
    "middleware/storage/migrations/0001_pre_first.sql",
    "middleware/sandbox/people/rosa.json",
    "middleware/sandbox/scenarios/thirty-days.json",
    "middleware/desk/locale/es.po",
    "middleware/desk/static/look.css",
    "smart_app/static/htmx-4.0.1.min.js",
    "smart_app/templates/smart/page.html",
    "middleware/web/static/console.css",
    "middleware/web/templates/console/overview.html",
)


@pytest.fixture(scope="module")
def names(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    folder = tmp_path_factory.mktemp("wheel")
    build = (
        "import sys; from hatchling.builders.wheel import WheelBuilder; "
        "print(next(WheelBuilder(sys.argv[1]).build(directory=sys.argv[2])))"
    )
    done = subprocess.run(
        [sys.executable, "-c", build, str(ROOT), str(folder)],
        capture_output=True,
        text=True,
        check=True,
    )
    with zipfile.ZipFile(done.stdout.strip().splitlines()[-1]) as wheel:
        return set(wheel.namelist())


def test_wheel_has_exactly_the_four_packages(names: set[str]) -> None:
    tops = {name.partition("/")[0] for name in names}

    assert {top for top in tops if not top.endswith(".dist-info")} == PACKAGES


def test_wheel_carries_the_data_files(names: set[str]) -> None:
    missing = [name for name in DATA if name not in names]

    assert missing == []
    assert any(name.startswith("mappings/library/") for name in names)
    assert any(name.startswith("smart_app/templates/") for name in names)
    assert not any(name.startswith("tests/") for name in names)


def test_lock_file_names_no_registry() -> None:
    text = (ROOT / "uv.lock").read_text()

    assert "://" not in text
    assert 'name = "carecue"' in text

    second = (ROOT / "tests" / "fhirpath" / "package-lock.json").read_text()
    assert "://" not in second
    assert "node_modules/fhirpath" in second

    third = (ROOT / "tests" / "browser" / "package-lock.json").read_text()
    assert "://" not in third
    assert "node_modules/axe-core" in third


def test_every_requirement_is_locked() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    locked = {
        package["name"]
        for package in tomllib.loads((ROOT / "uv.lock").read_text())["package"]
    }
    wanted = [*project["dependencies"], *project["optional-dependencies"]["test"]]
    names = {
        re.split(r"[<>=\[; ]", item, maxsplit=1)[0]
        .lower()
        .replace("_", "-")
        .replace(".", "-")
        for item in wanted
    }

    assert names - locked == set()
