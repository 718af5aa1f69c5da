"""What the console says of numbering, troubles and what push delivers."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from mappings.event import FOCUS_TYPES
from middleware.storage import conditions
from middleware.storage.completeness import Share
from middleware.storage.subscriptions import insert_subscription
from middleware.web.endpoint_row import subscription_word
from middleware.web.subscription_row import (
    NUMBERS,
    TROUBLES,
    list_pushed_types,
    say_numbers,
    say_share,
    say_trouble,
)
from middleware.web.words import ARRIVALS
from subscriptions.numbering import Mode, Numbering
from subscriptions.recovery import Condition, Trouble
from tests.conftest import NOW
from tests.unit.storage.seeds import SUBSCRIPTION
from tests.unit.web.pages import heading, read_chart, text_of
from tests.unit.web.prometheus import scrape, total

CONDITION = Condition("active", Numbering(), NOW - timedelta(minutes=9))


def troubled(trouble: Trouble, **changes) -> Condition:
    noticed = NOW - timedelta(minutes=5)
    return replace(CONDITION, trouble=trouble, trouble_at=noticed, **changes)


def test_every_mode_and_trouble_has_its_words() -> None:
    assert set(NUMBERS) == set(Mode)
    assert set(TROUBLES) == set(Trouble)


@pytest.mark.parametrize("trouble", Trouble)
def test_a_trouble_says_what_is_safe_and_what_to_do(trouble: Trouble) -> None:
    open_one = say_trouble(troubled(trouble), NOW)
    assert open_one == (
        f"{TROUBLES[trouble]}, 5 min ago. What it may have missed is being read again; "
        "nothing to do."
    )
    done = say_trouble(troubled(trouble, recovered_at=NOW), NOW)
    assert "Everything was read again 0 s ago" in (done or "")
    failed = say_trouble(troubled(trouble, error="the search failed"), NOW)
    assert "the search failed. It is tried again every minute" in (failed or "")


@pytest.mark.parametrize("source", ["push", "poll", "recovery", "empty"])
def test_every_source_of_an_event_has_its_words(source: str) -> None:
    assert ARRIVALS[source]


def test_a_subscription_of_no_single_type_may_push_all() -> None:
    visits = replace(SUBSCRIPTION, resource_type="Appointment")
    whole = replace(SUBSCRIPTION, resource_type="*")
    assert list_pushed_types([visits]) == {"Appointment"}
    assert list_pushed_types([visits, whole]) == set(FOCUS_TYPES)
    assert list_pushed_types([]) == frozenset()


def test_no_trouble_says_nothing() -> None:
    assert say_trouble(CONDITION, NOW) is None


@pytest.mark.parametrize(
    ("form", "mode", "number", "said"),
    [
        ("criteria", Mode.UNKNOWN, None, "Not numbered, so numbers show no gap."),
        ("backport", Mode.UNKNOWN, None, "None yet."),
        ("backport", Mode.ZERO, None, "Always numbered zero, so numbers show no gap."),
        (
            "r5",
            Mode.MONOTONIC,
            7,
            "7 events. Numbered on and on, so a gap is seen.",
        ),
    ],
)
def test_numbers_are_one_sentence_on_what_they_show(form, mode, number, said) -> None:
    row = replace(SUBSCRIPTION, form=form, last_number=number)
    assert say_numbers(row, replace(CONDITION, numbering=Numbering(mode))) == said


def test_a_subscription_that_is_only_asked_for_is_not_called_active() -> None:
    heard = replace(SUBSCRIPTION, status="requested", last_seen_at=NOW)
    assert subscription_word(heard) == ("info", "Asked for, not active yet")
    assert subscription_word(replace(heard, status="active")) == ("ok", "Active")


@pytest.mark.parametrize(
    ("share", "subscribed", "said"),
    [
        (Share(0, 0), False, ("off", "Polling only")),
        (Share(0, 0), True, ("info", "Nothing to compare yet")),
        (Share(4, 0), True, ("info", "0% of 4 changes")),
        (Share(5, 0), True, ("warn", "Polling only: none of 5 changes pushed")),
        (Share(1000, 999), True, ("ok", "99% of 1,000 changes")),
        (Share(1, 1), True, ("ok", "100% of 1 change")),
        (Share(10, 9), True, ("info", "90% of 10 changes")),
    ],
)
def test_a_share_is_said_in_words(share, subscribed, said) -> None:
    assert say_share(share, subscribed=subscribed) == said


def subscribe(console, **changes) -> None:
    """Let North have a subscription in this condition, heard a minute ago."""
    now = console.world.clock.now()
    values = {**vars(SUBSCRIPTION), "endpoint_id": "north", "status": "active"}
    row = type(SUBSCRIPTION)(**{**values, "last_seen_at": now - timedelta(minutes=1)})
    with console.world.database.tx() as tx:
        insert_subscription(tx, row)
        known = conditions.lock_watched(tx, row.id)
        assert known is not None
        conditions.put_condition(tx, row.id, replace(known.condition, **changes))


def found(console, versions: int, pushed: int, kind: str = "Encounter") -> None:
    day = console.world.clock.now().date()
    with console.world.database.tx() as tx:
        tx.execute(
            "INSERT INTO completeness VALUES ('north', %s, %s, %s, %s)",
            (kind, day, versions, pushed),
        )


def test_the_overview_shows_numbering_trouble_and_share(console) -> None:
    console.tick()
    read_chart(console)
    now = console.world.clock.now()
    subscribe(
        console,
        numbering=Numbering(Mode.MONOTONIC, 7),
        trouble=Trouble.GAP,
        trouble_at=now,
    )
    found(console, 200, 196)
    found(console, 50, 0, "CarePlan")
    console.login()
    page = text_of(console.get())
    assert "Numbered on and on, so a gap is seen." in page
    assert "Numbers are missing, 0 s ago." in page
    assert "98% of 200 changes" in page
    series = scrape(console)
    labels = {"endpoint": "north", "type": "Encounter"}
    assert total(series, "push_completeness", **labels) == 0.98
    named = [dict(labels)["type"] for name, labels in series if "completeness" in name]
    assert named == ["Encounter"]
    labels = {"endpoint": "north", "trouble": "gap"}
    assert total(series, "subscription_troubles", **labels) == 1


def test_an_endpoint_that_pushes_nothing_is_said_to_be_polled_only(console) -> None:
    console.tick()
    read_chart(console)
    subscribe(console)
    found(console, 40, 0)
    console.login()
    page = text_of(console.get())
    assert heading(console) == (
        "North pushes nothing though it is subscribed to: it is polled only."
    )
    assert "Healthy, polling only" in page


def test_what_could_not_be_read_again_is_a_problem_with_its_reason(console) -> None:
    console.tick()
    read_chart(console)
    now = console.world.clock.now()
    subscribe(console, trouble=Trouble.RESET, trouble_at=now, error="answered 503")
    console.login()
    assert heading(console) == (
        "What 1 subscription of North may have missed could not be read again yet."
    )
    assert "answered 503. It is tried again every minute" in text_of(console.get())
