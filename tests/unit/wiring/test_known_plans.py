"""The console sees what was imported, and what is broken, without a start."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest

from mappings.content import shipped_resources
from mappings.errors import ContentError
from middleware.clock import FixedClock
from middleware.storage import content, schedule
from middleware.storage.database import Database
from middleware.storage.jobs import Wakes
from middleware.ticker import Periodic, Ticker
from middleware.wiring.known_plans import KnownPlans, Seen

NOW = datetime(2026, 11, 20, tzinfo=UTC)


def plan(version: str, title: str) -> dict[str, Any]:
    (found,) = (
        item
        for item in shipped_resources()
        if (item["resourceType"], item["id"]) == ("PlanDefinition", "no-show")
    )
    return {**found, "version": version, "title": title}


def title(seen: Seen) -> str:
    (found,) = (item.title for item in seen.plans if item.id == "no-show")
    return found


def known(database: Database, folder: Path | None = None) -> KnownPlans:
    return KnownPlans(database, folder, look_seconds=0)


def write(folder: Path, body: bytes) -> None:
    file = folder / "plan.json"
    file.write_bytes(body)
    # Some file systems tell times by the second.
    os.utime(file, ns=(len(body) * 10**9, len(body) * 10**9))


def test_an_imported_plan_is_seen_and_nothing_is_read_twice(database: Database) -> None:
    plans = known(database)
    before = plans.look()
    assert plans.look() is before
    with database.tx() as tx:
        content.insert_content(tx, "", [plan("1.1.0", "Missed visits")], NOW, "L")
    after = plans.look()
    assert title(after) == "Missed visits"
    assert after.fault == ""
    assert plans.look() is after


def test_a_broken_folder_is_told_and_what_was_read_stays(
    database: Database, tmp_path: Path
) -> None:
    write(tmp_path, orjson.dumps(plan("1.1.0", "Missed visits")))
    plans = known(database, tmp_path)
    assert title(plans.look()) == "Missed visits"
    write(tmp_path, b'{"resourceType":')
    broken = plans.look()
    assert title(broken) == "Missed visits"
    assert "plan.json: line 1" in broken.fault
    assert plans.look() == broken
    with pytest.raises(ContentError, match=r"plan\.json"):
        plans.check()
    write(tmp_path, orjson.dumps(plan("1.2.0", "Missed")))
    assert plans.look().fault == ""
    assert title(plans.look()) == "Missed"
    plans.check()


def test_a_folder_that_is_gone_is_told_from_the_first_look_on(
    database: Database, tmp_path: Path
) -> None:
    plans = known(database, tmp_path / "nowhere")
    seen = plans.look()
    assert len(seen.plans) > 50
    assert "nowhere: it cannot be looked into" in seen.fault
    assert plans.look() == seen
    (tmp_path / "nowhere").mkdir()
    assert plans.look().fault == ""


def test_the_console_hears_of_what_a_worker_cannot_use(
    database: Database, database_url: str, tmp_path: Path
) -> None:
    wakes = Wakes(database_url)
    write(tmp_path, b"{")
    work = Periodic(
        schedule.CONTENT, timedelta(seconds=10), known(database, tmp_path).check
    )
    ticker = Ticker(database, wakes, FixedClock(NOW), (work,))
    assert ticker.turn(work)
    wakes.close()
    with database.tx() as tx:
        errors = schedule.list_errors(tx)
    assert "plan.json" in errors[schedule.CONTENT]
