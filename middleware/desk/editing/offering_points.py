"""Numbers and addresses: what their form offers, and reading it back. Pure.

An entry is corrected by what takes its place; it is never taken out. What is new is typed
twice and means nothing until somebody at it permitted messages.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from mappings.errors import BadInputError
from mappings.recipient import may_exist, read_email, read_phone
from mappings.telecom import (
    CURRENT,
    OLD,
    OUT,
    WRONG,
    Point,
    name_point,
    read_point_name,
)
from middleware.desk.editing.fields import Field, Fields, read_one, read_text
from middleware.desk.editing.point_statements import (
    Statement,
    key_of,
    make_statement,
    names_of,
    standing_of,
)
from middleware.desk.editing.points import read_day
from middleware.desk.formats import write_address
from middleware.desk.stating import USES
from middleware.desk.values import Choice
from middleware.desk.views import View

PHONE_USES = ("mobile", "home", "work", "temp")
EMAIL_USES = ("home", "work", "temp")


def offer_points(view: View) -> tuple[Field, ...]:
    """Offer each number and address as it stands, and a new one."""
    names = names_of(view)
    listed = [field for name in names for field in _offer(view, name, len(names))]
    return (*listed, *_offer_new(view, names))


def read_points(view: View, given: Fields) -> dict[str, Any]:
    """Read what was changed; BadInputError where nothing was, or it cannot be."""
    names = names_of(view)
    found: dict[str, Any] = {}
    for name in names:
        wanted = _read(view, name, given, len(names))
        if wanted is not None:
            found[name] = wanted
    # What was said of a number is not unsaid by what takes its place.
    ended = {name: item for name, item in found.items() if item["state"] in OUT}
    found |= _read_new(view, given, names) | ended
    if not found:
        raise BadInputError(view.say("Nothing was changed, so nothing was saved."))
    _check_ranks(view, names, found)
    return found


def stands_as_said(view: View, given: Fields, saved: Collection[str]) -> bool:
    """Tell whether all that a form says of points holds; ``saved`` came from it.

    What it added is on the list by now, and what that took the place of is out of use.
    BadInputError where it says nothing of one that came since.
    """
    names, added = names_of(view), _added(given)
    instead = "".join(given.get("instead", ()))
    ended = {name for name in saved if key_of(name) == instead}
    if added and not (added in saved and _is_as_added(view, added, given)):
        return False
    told = "".join(given.get(f"state-{instead}", ()))
    states = [(standing_of(view, name) or {}).get("state") for name in ended]
    if states != [told if told in OUT else OLD] * bool(instead):
        return False
    rest = [name for name in names if name not in {added, *ended}]
    return all(_read(view, name, given, len(names)) is None for name in rest)


def _added(given: Fields) -> str:
    """Return the name of the point that a form adds; empty for none."""
    one, two = (_parse("".join(given.get(name, ()))) for name in ("number", "again"))
    return name_point(one) if one and one == two else ""


def _is_as_added(view: View, name: str, given: Fields) -> bool:
    now = standing_of(view, name) or {}
    use, whose = ("".join(given.get(item, ())) for item in ("use", "whose"))
    wanted = (CURRENT, _use_of(read_point_name(name), use), whose == "shared")
    return wanted == (now.get("state"), now.get("use"), bool(now.get("shared")))


def _use_of(point: Point, chosen: str) -> str:
    return "" if point[0] == "email" and chosen == "mobile" else chosen


# --- what is there -----------------------------------------------------------------


def _offer(view: View, name: str, count: int) -> tuple[Field, ...]:
    said, key = standing_of(view, name) or {}, key_of(name)
    place = write_address(read_point_name(name)[1])
    states = (
        Choice(CURRENT, view.say("In use")),
        Choice(OLD, view.say("Used no more")),
        Choice(WRONG, view.say("Not %(given)s’s: wrong", given=view.given)),
    )
    return (
        Field("head", "", place, ()),
        Field("one", f"state-{key}", view.say("It is"), (said["state"],), states),
        _use_field(view, f"use-{key}", read_point_name(name), str(said["use"])),
        _rank_field(view, f"rank-{key}", said.get("rank"), count),
        Field(
            "day", f"end-{key}", view.say("Until"), (str(said.get("end") or "")[:10],)
        ),
    )


def _use_field(view: View, name: str, point: Point, present: str) -> Field:
    uses = EMAIL_USES if point[0] == "email" else PHONE_USES
    choices = [Choice("", view.say("Not stated"))]
    choices += [Choice(use, view.say(USES[use])) for use in uses]
    if present and present not in uses:
        choices.append(Choice(present, view.say(USES.get(present, present))))
    return Field("one", name, view.say("Use"), (present,), tuple(choices))


def _rank_field(view: View, name: str, present: object, count: int) -> Field:
    numbers = sorted({*range(1, count + 2), *([present] if _is_rank(present) else [])})
    choices = [Choice("", view.say("No order"))]
    choices += [Choice(str(n), view.say("Number %(n)s", n=n)) for n in numbers]
    value = str(present) if _is_rank(present) else ""
    return Field("one", name, view.say("Order"), (value,), tuple(choices))


def _is_rank(value: object) -> bool:
    return isinstance(value, int) and value > 0


def _read(view: View, name: str, given: Fields, count: int) -> Statement | None:
    """Return what is said of a point now; None where nothing was changed."""
    now = standing_of(view, name) or {}
    fields = _offer(view, name, count)
    state, use, rank = (read_one(view, field, given) for field in fields[1:4])
    end = _read_end(view, fields[4].name, given)
    if state in OUT:
        if state == now["state"]:
            return None
        kept = {"use": now["use"], "rank": None, "start": now.get("start") or ""}
        wanted = {"state": state, **kept, "end": view.today.isoformat()}
        return make_statement(view, name, wanted)
    if now["state"] in OUT:
        # It ended when it was said to have; used anew it has no end but a new one.
        end = "" if end == str(now.get("end") or "")[:10] else end
    told = (state, use, rank, end)
    if told == tuple(field.value[0] for field in fields[1:]):
        return None
    wanted = {
        "state": state,
        "use": use,
        "rank": int(rank) if rank else None,
        "start": now.get("start") or "",
        "end": end,
        "shared": bool(now.get("shared")),
        **({"since": now["since"]} if "since" in now else {}),
    }
    return make_statement(view, name, wanted, fresh=now["state"] in OUT)


def _read_end(view: View, name: str, given: Fields) -> str:
    text = read_text(view, name, given)
    day = read_day(text)
    if text and (day is None or day.isoformat() != text):
        raise BadInputError(view.say("Write the day as year-month-day."))
    return text


# --- what is new -------------------------------------------------------------------


def _offer_new(view: View, names: list[str]) -> tuple[Field, ...]:
    uses = tuple(Choice(use, view.say(USES[use])) for use in PHONE_USES)
    whose = (
        Choice("alone", view.say("%(given)s’s alone", given=view.given)),
        Choice("shared", view.say("Shared with somebody else")),
    )
    places = [Choice("", view.say("Nothing: it is one more"))]
    places += [
        Choice(key_of(name), write_address(read_point_name(name)[1]))
        for name in names
        if (standing_of(view, name) or {}).get("state") == CURRENT
    ]
    return (
        Field("head", "", view.say("Add a number or an email address"), ()),
        Field("line", "number", view.say("Number or email address"), ("",)),
        Field("line", "again", view.say("Once more, as it was read back"), ("",)),
        Field("one", "use", view.say("Use"), ("mobile",), uses),
        Field("one", "whose", view.say("Whose it is"), ("alone",), whose),
        Field(
            "one", "instead", view.say("It takes the place of"), ("",), tuple(places)
        ),
    )


def _read_new(view: View, given: Fields, names: list[str]) -> dict[str, Any]:
    _, number, again, use, whose, instead = _offer_new(view, names)
    text = read_text(view, number.name, given)
    repeated = read_text(view, again.name, given)
    if not text and not repeated:
        return {}
    point = _read_place(view, text)
    if _parse(repeated) != point:
        raise BadInputError(
            view.say("The two are not the same. Read it back and write it twice.")
        )
    name = name_point(point)
    now = standing_of(view, name)
    if now is not None and now["state"] == CURRENT:
        raise BadInputError(view.say("It is on the list already."))
    kind = read_one(view, use, given)
    replaced = next(
        (n for n in names if key_of(n) == read_one(view, instead, given)), ""
    )
    old = standing_of(view, replaced) or {}
    wanted = {
        "state": CURRENT,
        "use": _use_of(point, kind),
        "rank": old.get("rank"),
        "start": view.today.isoformat(),
        "end": "",
        "shared": read_one(view, whose, given) == "shared",
    }
    found = {name: make_statement(view, name, wanted, fresh=True)}
    if replaced:
        ended = {"state": OLD, "use": old["use"], "rank": None, "start": old["start"]}
        ended["end"] = view.today.isoformat()
        found[replaced] = make_statement(view, replaced, ended)
    return found


def _read_place(view: View, text: str) -> Point:
    point = _parse(text)
    if point is None:
        raise BadInputError(view.say("Write a whole phone number or email address."))
    return point


def _parse(text: str) -> Point | None:
    """Return (channel, value) of what was typed; a number has to be one that can exist."""
    if "@" in text:
        address = read_email(text)
        return ("email", address) if address else None
    number = read_phone(text)
    return ("sms", number) if number and may_exist(number) else None


def _check_ranks(view: View, names: list[str], found: Mapping[str, Any]) -> None:
    """Refuse the same place in the order for two, where the order was changed."""
    after = {name: standing_of(view, name) or {} for name in names} | dict(found)
    used = [item["rank"] for item in after.values() if item["state"] == CURRENT]
    ranks = [rank for rank in used if rank]
    changed = any(
        item["rank"] and item["rank"] != (item["before"] or {}).get("rank")
        for item in found.values()
    )
    if changed and len(set(ranks)) < len(ranks):
        raise BadInputError(view.say("Give each number and address its own place."))
