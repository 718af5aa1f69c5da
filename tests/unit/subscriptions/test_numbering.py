"""Numbers over whole sequences of deliveries: what they show, and what they do not."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from subscriptions.numbering import (
    WINDOW,
    Hole,
    Mode,
    Numbering,
    Told,
    close_holes,
    count_delivery,
    list_due_holes,
)
from subscriptions.numbering_json import read_numbering, write_numbering
from subscriptions.parsing import parse_notification
from tests.unit.subscriptions.wire import (
    bundle,
    r4_event,
    r4_status,
    r5_event,
    r5_status,
)

AT = datetime(2026, 11, 16, 15, 0, tzinfo=UTC)
EVENT = "event-notification"


def later(seconds: float) -> datetime:
    return AT + timedelta(seconds=seconds)


def event(*numbers: int, count: int | None = None, digest: str = "", s: float = 0):
    """An event-notification; unless told otherwise no two are of the same events."""
    own = tuple(f"{digest}{number}" if digest else f"@{s}" for number in numbers)
    total = max(numbers, default=None) if count is None else count
    return Told(later(s), EVENT, total, numbers, own)


def other(kind: str, count: int | None = None, *numbers: int, s: float = 0) -> Told:
    return Told(later(s), kind, count, numbers, (f"{kind}@{s}",) * len(numbers))


def play(*told: Told, known: Numbering | None = None) -> Numbering:
    known = known or Numbering()
    for one in told:
        known = count_delivery(known, one)
    return known


def missing(known: Numbering) -> list[tuple[int, int, bool]]:
    return [(hole.first, hole.last, hole.tail) for hole in known.holes]


def test_numbers_in_order_leave_no_hole() -> None:
    known = play(other("handshake", 0), event(1), event(2), event(3, 4))
    assert (known.mode, known.highest, known.holes) == (Mode.MONOTONIC, 4, ())
    assert known.reset_at is None


@pytest.mark.requirement("hl7.fhir.uv.subscriptions_1.1.0@17")
def test_the_same_delivery_again_changes_nothing() -> None:
    known = play(event(1), event(2, digest="two"), event(3))
    assert play(event(2, digest="two", s=5), known=known) == known


def test_a_hole_that_is_filled_late_is_none() -> None:
    known = play(event(1), event(4, s=1), event(3, s=2))
    assert missing(known) == [(2, 2, False)]
    assert list_due_holes(known, later(1) + WINDOW - timedelta(seconds=1)) == ()
    known = play(event(2, s=3), known=known)
    assert (known.holes, known.reset_at, known.highest) == ((), None, 4)


def test_a_hole_that_is_never_filled_is_due_after_the_window() -> None:
    known = play(event(1), event(4, s=1))
    assert list_due_holes(known, later(1) + WINDOW) == (Hole(2, 3, later(1)),)


@pytest.mark.requirement("hl7.fhir.uv.subscriptions_1.1.0@17")
def test_the_first_number_heard_shows_what_came_before() -> None:
    assert missing(play(event(3))) == [(1, 2, False)]


def test_numbers_counted_slightly_out_of_order_are_no_gap_and_no_reset() -> None:
    known = play(event(2), event(1), event(5), event(3), event(4))
    assert (known.holes, known.highest, known.reset_at) == ((), 5, None)


def test_numbers_within_each_bundle_are_learned() -> None:
    known = play(event(1, 2, count=40), event(1, count=41, s=1), event(1, 2, 3, s=2))
    assert known.mode is Mode.RELATIVE
    assert known.holes == ()
    known = close_holes(known, later(3))
    known = play(event(1, s=4), event(1, 2, s=5), known=known)
    assert (known.mode, known.holes, known.reset_at) == (Mode.RELATIVE, (), None)


def test_numbers_that_were_taken_for_relative_are_read_again() -> None:
    known = close_holes(play(event(1), event(1, s=1), event(1, s=2)), later(3))
    known = play(event(2, s=4), known=known)
    assert (known.mode, known.reset_at) == (Mode.MONOTONIC, later(4))


def test_all_zero_is_learned_and_shows_no_gap() -> None:
    known = play(*(event(0, count=0, s=s) for s in range(5)))
    assert (known.mode, known.holes, known.reset_at) == (Mode.ZERO, (), None)
    known = play(event(1, s=6), event(3, s=7), known=known)
    assert (known.mode, missing(known)) == (Mode.MONOTONIC, [(2, 2, False)])


def test_zero_after_numbers_is_a_reason_to_read_again() -> None:
    known = play(event(1), event(2), event(0, count=0, s=9))
    assert (known.mode, known.reset_at) == (Mode.ZERO, later(9))


def test_no_numbers_are_learned_and_show_no_gap() -> None:
    known = play(other("resource"), other("ping"), Told(later(1), EVENT))
    assert (known.mode, known.holes, known.reset_at) == (Mode.ABSENT, (), None)


def test_numbers_that_begin_anew_are_a_reset_and_never_a_duplicate() -> None:
    known = play(event(1), event(2), event(3), event(1, s=60))
    assert (known.reset_at, known.highest) == (later(60), 1)
    known = play(event(2, s=61), known=known)
    assert (known.highest, known.holes) == (2, ())


def test_a_reset_is_seen_whatever_number_is_heard_first() -> None:
    known = play(*(event(n) for n in range(1, 9)), event(5, s=60))
    assert known.reset_at == later(60)
    assert missing(known) == [(1, 4, False)]


def test_a_reset_while_a_hole_is_open_forgets_the_old_numbers() -> None:
    known = play(event(1), event(5), event(1, s=1))
    assert (known.reset_at, known.highest, known.holes) == (later(1), 1, ())


def test_a_number_in_a_hole_after_a_restart_is_at_least_read_again_by_the_next() -> (
    None
):
    """Numbers 2 to 4 are open when the counter begins anew: 3 fills, 1 shows it."""
    known = play(event(1), event(5), event(3, s=1), event(1, s=2))
    assert known.reset_at == later(2)


def test_a_heartbeat_ahead_of_us_is_tail_loss() -> None:
    known = play(event(1), other("heartbeat", 3, s=1))
    assert missing(known) == [(2, 3, True)]
    known = play(event(3, s=2), event(2, s=3), event(4, s=4), known=known)
    assert (known.holes, known.highest) == ((), 4)


def test_a_first_heartbeat_with_a_count_is_tail_loss() -> None:
    assert missing(play(other("heartbeat", 2))) == [(1, 2, True)]


def test_a_heartbeat_that_repeats_the_last_event_counts_nothing() -> None:
    known = play(event(1), event(2), event(3))
    assert play(other("heartbeat", 3, 3, s=9), known=known) == known


def test_an_event_inside_a_heartbeat_is_heard() -> None:
    known = play(event(1), other("heartbeat", 2, 2, s=1), event(3, s=2))
    assert (known.holes, known.highest) == ((), 3)
    assert play(event(2, s=3), known=known).reset_at is None


def test_a_heartbeat_behind_us_is_a_reset_unless_it_was_overtaken() -> None:
    known = play(event(1), event(2), event(3))
    assert play(other("heartbeat", 2, s=2), known=known).reset_at is None
    assert play(other("heartbeat", 1, s=60), known=known).reset_at == later(60)
    assert play(other("heartbeat", 0, s=60), known=known) == known


@pytest.mark.parametrize("count", [0, 1, 2, 3])
def test_a_handshake_is_never_by_itself_a_reset(count: int) -> None:
    known = play(event(1), event(2), event(3))
    assert play(other("handshake", count, s=60), known=known) == known


def test_a_handshake_ahead_of_us_is_tail_loss() -> None:
    known = play(event(1), other("handshake", 4, s=60))
    assert missing(known) == [(2, 4, True)]


@pytest.mark.parametrize("kind", ["handshake", "heartbeat", "query-status"])
def test_what_is_no_event_does_not_increment(kind: str) -> None:
    known = play(event(1), other(kind, 1), other(kind, 1), event(2))
    assert (known.highest, known.holes, known.reset_at) == (2, (), None)


def test_an_answer_of_events_fills_holes() -> None:
    known = play(event(1), event(5, s=1), other("query-event", 5, 2, 3, s=30))
    assert missing(known) == [(4, 4, False)]
    assert play(event(2, s=40), known=known).reset_at is None


def test_what_was_read_again_and_then_comes_late_is_no_reset() -> None:
    known = close_holes(play(event(1), event(4)), later(20))
    late = play(event(2, s=30), event(3, s=31), known=known)
    assert (late.holes, late.reset_at, late.highest) == ((), None, 4)


def test_only_the_numbers_that_were_answered_are_closed() -> None:
    known = play(event(1), event(4), event(9, s=1))
    known = replace(known, reset_at=later(0))
    closed = close_holes(known, later(20), within=(2, 3))
    assert (missing(closed), closed.reset_at) == ([(5, 8, False)], later(0))
    assert close_holes(known, later(0.5)).reset_at is None
    assert missing(close_holes(known, later(0.5))) == [(5, 8, False)]


def test_a_batch_that_repeats_an_event_beside_new_ones_goes_on() -> None:
    known = play(event(1, digest="e"), event(2, digest="e"), event(2, 3, digest="e"))
    assert (known.highest, known.holes, known.reset_at) == (3, (), None)


def test_a_batch_with_another_event_of_a_known_number_reads_again() -> None:
    known = play(event(1), event(2), event(2, 3, s=1))
    assert (known.highest, known.holes, known.reset_at) == (3, (), later(1))


def test_without_digests_a_known_number_reads_again() -> None:
    known = play(Told(AT, EVENT, 1, (1,)), Told(later(1), EVENT, 1, (1,)))
    assert known.reset_at == later(1)


def test_unnumbered_events_follow_the_count() -> None:
    told = [Told(later(n), EVENT, n) for n in (1, 2)]
    known = play(*told, other("heartbeat", 2, s=3))
    assert (known.mode, known.holes) == (Mode.ABSENT, ())
    known = play(other("heartbeat", 3, s=4), known=known)
    assert missing(known) == [(3, 3, True)]
    assert play(Told(later(5), EVENT, 3), known=known).holes == ()


def test_too_many_holes_are_asked_for_together() -> None:
    known = play(*(event(n) for n in range(2, 300, 2)))
    assert len(known.holes) <= 50
    assert {n for h in known.holes for n in range(h.first, h.last + 1)} >= set(
        range(1, 300, 2)
    ) - {299}


def test_a_written_numbering_is_read_back() -> None:
    known = play(event(1), event(4), event(1, s=1), other("heartbeat", 9, s=2))
    text = orjson.dumps(write_numbering(known))
    assert read_numbering(orjson.loads(text), None) == known
    assert write_numbering(Numbering()) == {"mode": "unknown", "restarts": 0}
    assert read_numbering({}, 7) == Numbering(highest=7)


@pytest.mark.parametrize("written", [7, "7"])
def test_numbers_as_text_and_as_numbers_are_the_same(written: object) -> None:
    told = r5_status(EVENT, r5_event(written), eventsSinceSubscriptionStart=written)
    read = parse_notification("POST", "", {}, orjson.dumps(bundle(told)))
    numbers = tuple(one.number for one in read.events)
    assert (read.count, numbers) == (7, (7,))


def test_two_status_entries_bring_the_numbers_of_both() -> None:
    first, second = r4_status(EVENT, r4_event("7")), r4_status(EVENT, r4_event("8"))
    body = orjson.dumps(bundle(first, {"resource": second}))
    read = parse_notification("POST", "", {}, body)
    numbers = tuple(one.number or 0 for one in read.events)
    known = play(Told(AT, EVENT, read.count, numbers), known=Numbering(highest=6))
    assert (known.highest, known.holes) == (8, ())


@given(st.permutations(range(1, 9)), st.lists(st.integers(1, 8)), st.integers(0, 8))
def test_every_order_of_all_deliveries_leaves_nothing_open(
    order: list[int], repeated: list[int], heartbeat_after: int
) -> None:
    """However they come, and come again: all heard is nothing missing, no reset."""
    told = [event(n, digest=f"d{n}") for n in order]
    told.insert(
        heartbeat_after, other("heartbeat", max(order[:heartbeat_after] or [0]))
    )
    told += [event(n, digest=f"d{n}") for n in repeated]
    known = play(*told)
    assert (known.holes, known.highest, known.reset_at) == ((), 8, None)


@given(st.sets(st.integers(1, 20)), st.integers(0, 3))
def test_what_is_not_heard_is_open_or_told_by_the_count(
    dropped: set[int], behind: int
) -> None:
    heard = [n for n in range(1, 21) if n not in dropped]
    known = play(*(event(n) for n in heard), other("heartbeat", 20 + behind, s=30))
    open_numbers = {n for h in known.holes for n in range(h.first, h.last + 1)}
    assert open_numbers == dropped | set(range(21, 21 + behind))
    assert close_holes(known, later(60)).holes == ()


@given(
    st.lists(
        st.tuples(
            st.sampled_from([EVENT, "heartbeat", "handshake", "query-event", "ping"]),
            st.none() | st.integers(0, 30),
            st.lists(st.integers(0, 30), max_size=4),
        ),
        max_size=30,
    )
)
def test_no_sequence_breaks_it_and_all_of_it_can_be_read_again(told) -> None:
    known = Numbering()
    for second, (kind, count, numbers) in enumerate(told):
        known = count_delivery(
            known,
            Told(later(second), kind, count, tuple(numbers), (f"d{second}",) * 4),
        )
        assert all(1 <= hole.first <= hole.last for hole in known.holes)
        assert read_numbering(write_numbering(known), None) == known
    closed = close_holes(known, later(1000))
    assert (closed.holes, closed.reset_at) == ((), None)
