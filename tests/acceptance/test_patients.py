"""What ends between two messages, and nobody tells of, ends what is planned in a minute.

The worker's own turns do it: polls of the other types come once an hour here, and the
EHR notifies of nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.acceptance.line import Line, stay, vera
from tests.pace import Pace

MINUTE = 60.0

pytestmark = pytest.mark.usefixtures("own_logging")


@pytest.fixture
def planned(database_url: str, tmp_path: Path) -> Iterator[Line]:
    """Vera went home an hour ago; her check-in is planned for tomorrow."""
    line = Line(database_url, tmp_path)
    line.ehr.send_update(stay(datetime.now(UTC) - timedelta(hours=1)))
    line.start_worker()
    line.wait_for("the plan", lambda: line.nudge_state() == "planned: due")
    yield line
    line.close()


def test_a_death_on_the_record_cancels_within_a_minute(planned: Line) -> None:
    with Pace() as granted:
        planned.ehr.send_update(vera() | {"deceasedDateTime": "2020-01-01"})
        planned.wait_for(
            "the end", lambda: planned.nudge_state() == "cancelled: deceased"
        )
    assert granted.seconds < MINUTE
    waiting = "SELECT count(*) AS n FROM nudge WHERE state IN ('planned', 'held')"
    assert planned.count(waiting) == 0
    assert planned.texts() == []
