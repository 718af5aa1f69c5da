"""What the tests of commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from middleware.cli.main import main


@pytest.fixture
def carecue(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Run a command against the test's database, as its environment says."""
    monkeypatch.setenv("CARECUE_DATABASE_URL", database_url)
    monkeypatch.setenv("CARECUE_HOME", str(tmp_path))

    def run(*arguments: str) -> Result:
        return CliRunner().invoke(main, list(arguments))

    return run
