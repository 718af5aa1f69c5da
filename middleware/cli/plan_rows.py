"""What a list of plans says of each: its period, its status, who approved its words."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any

from mappings.content_merge import Placed, read_placed
from mappings.endpoint import Site
from mappings.plan import Library, Plan
from middleware.decisions.matching import days_left, is_ending, is_off

Row = dict[str, Any]


def list_rows(content: tuple[Placed, ...], site: Site, now: datetime) -> list[Row]:
    """Return a row for each plan in force, the most urgent first, then the others."""
    library = read_placed(content, site.reviewers)
    placed = {item.url: item for item in content}
    rows = [_row(plan, placed[plan.url], library, site, now) for plan in library.plans]
    active = {plan.url for plan in library.plans}
    return rows + [_quiet_row(item) for item in content if _is_quiet(item, active)]


def _is_quiet(item: Placed, active: set[str]) -> bool:
    kind = item.resource.get("resourceType")
    return kind == "PlanDefinition" and item.url not in active


def _quiet_row(item: Placed) -> Row:
    resource = item.resource
    return {
        "id": resource["id"],
        "version": resource["version"],
        "title": str(resource.get("title") or resource["id"]),
        "status": resource["status"],
        "source": item.place,
        "warning": "",
    }


def _row(plan: Plan, item: Placed, library: Library, site: Site, now: datetime) -> Row:
    return {
        "id": plan.id,
        "version": plan.version,
        "title": plan.title,
        "topic": plan.topic,
        "triggers": list(plan.triggers),
        "actions": [action.id for action in plan.actions],
        "status": "on" if _is_on(plan, site, now) else "off",
        "default_on": plan.default_on,
        "effective_start": plan.effective_start,
        "effective_end": plan.effective_end,
        "warning": _warning(plan, site, now),
        "reviewed": dict(_reviewed(plan, library)),
        "source": item.place,
    }


def _is_on(plan: Plan, site: Site, now: datetime) -> bool:
    asked = bool({plan.id, plan.url} & set(site.plans_on))
    return (plan.default_on or asked) and not is_off(plan, site, now)


def _warning(plan: Plan, site: Site, now: datetime) -> str:
    if not is_ending(plan, site.zone, now):
        return ""
    left = days_left(plan, site.zone, now) or 0
    if left <= 0:
        return f"its content lapsed on {plan.effective_end}: it sends nothing"
    return f"its content lapses in {left} days, after {plan.effective_end}: review it"


def _reviewed(plan: Plan, library: Library) -> Iterator[tuple[str, bool]]:
    """Yield each language, and whether everything that the plan says in it is approved."""
    steps = {item.definition for item in plan.actions if item.kind == "message"}
    mine = [item for item in library.wordings if item.definition in steps]
    for language in dict.fromkeys(item.language for item in mine):
        same = [item for item in mine if item.language == language]
        whole = {item.definition for item in same} == steps
        yield language, whole and all(item.reviewer for item in same)


def write_lines(rows: Iterable[Row]) -> Iterator[str]:
    """Yield the rows as lines that a person reads."""
    for row in rows:
        if "topic" not in row:
            yield f"{row['id']} {row['version']}  {row['title']}  {row['status']}"
            continue
        period = f"{row['effective_start'] or '…'} to {row['effective_end'] or '…'}"
        yield (
            f"{row['id']} {row['version']}  {row['title']}  ({row['topic']})  "
            f"{row['status']}, {period}, {row['source']}"
        )
        if row["warning"]:
            yield f"  ! {row['warning']}"
        words = (
            f"{name} {'approved' if done else 'waits for a reviewer'}"
            for name, done in row["reviewed"].items()
        )
        yield f"  words: {', '.join(words) or 'none'}"
        yield from (f"  step: {action}" for action in row["actions"])
