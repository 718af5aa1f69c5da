"""What tests read off the console's pages."""

from __future__ import annotations

import re

from middleware.storage import inbox
from tests.unit.web.conftest import Console


def text_of(html: str) -> str:
    body = html.partition("<main")[2]
    words = re.sub(r"<[^>]+>", " ", body)
    return " ".join(words.replace("&#39;", "'").replace("&quot;", '"').split())


def heading(console: Console) -> str:
    found = re.search(r"<h1[^>]*>(.*?)</h1>", console.get(), re.DOTALL)
    assert found
    return " ".join(re.sub(r"<[^>]+>", " ", found.group(1)).split())


def read_chart(console: Console, error: str | None = None) -> None:
    """Let every resource type be polled, with or without a fault."""
    now = console.world.clock.now()
    with console.world.database.tx() as tx:
        for name in ("Encounter", "Appointment", "CarePlan"):
            inbox.advance_cursor(tx, "north", name, now, now)
            if error:
                inbox.note_fault(tx, "north", name, error, now)
