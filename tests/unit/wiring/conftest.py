from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from middleware.clock import FixedClock
from middleware.ports import RandomIds
from middleware.sealing import Sealer, create_key_file, read_keys
from middleware.settings import Settings
from middleware.storage.database import Database
from middleware.storage.jobs import Wakes
from middleware.wiring.runtime import Runtime


@pytest.fixture
def runtime(
    database: Database, database_url: str, clock: FixedClock, tmp_path: Path
) -> Iterator[Runtime]:
    path = tmp_path / "secret.key"
    create_key_file(path)
    opened = Runtime(
        settings=Settings(home=tmp_path, database_url=database_url),
        database=database,
        wakes=Wakes(database_url),
        clock=clock,
        ids=RandomIds(),
        sealer=Sealer(read_keys(path)),
    )
    yield opened
    opened.close()
