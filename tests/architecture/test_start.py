"""A web process starts without the libraries that it never uses."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
UNUSED = ("fhir", "fhirclient", "fhirpathpy", "antlr4", "apscheduler", "aiosmtpd")
LOADED = """
import sys
import middleware.cli.service
import middleware.wiring.apps
print(*{name.partition(".")[0] for name in sys.modules})
"""


def test_serve_loads_no_resource_models_and_no_fhirpath() -> None:
    done = subprocess.run(
        [sys.executable, "-c", LOADED],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    loaded = set(done.stdout.split())
    assert "granian" in loaded
    assert loaded.isdisjoint(UNUSED)
