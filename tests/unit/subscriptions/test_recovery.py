"""What is done about a trouble, and when it is over."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from subscriptions.numbering import WINDOW, Hole, Mode, Numbering, Told
from subscriptions.recovery import (
    MOST_EVENTS,
    RETRY,
    Answers,
    Condition,
    Trouble,
    choose_range,
    count_told,
    end_recovery,
    find_trouble,
    is_due,
    needs_recovery,
    note_sign,
    note_status,
    read_standing,
    write_range,
)
from tests.unit.subscriptions.wire import bundle, r4_status, r5_status

NOW = datetime(2026, 11, 16, 15, 0, tzinfo=UTC)
HOUR, WEEK = timedelta(hours=1), timedelta(days=7)


def ago(seconds: float) -> datetime:
    return NOW - timedelta(seconds=seconds)


def standing(*holes: Hole, **changes: Any) -> Condition:
    numbering = Numbering(Mode.MONOTONIC, 9, ago(60), holes)
    known = Condition("active", numbering, last_sign=ago(5), heartbeat=300)
    return replace(known, **changes)


GAP = Hole(3, 4, ago(11))
TAIL = Hole(9, 9, ago(11), tail=True)


@pytest.mark.parametrize(
    ("known", "trouble"),
    [
        (standing(), None),
        (standing(Hole(3, 4, ago(9))), None),
        (standing(GAP), Trouble.GAP),
        (standing(TAIL), Trouble.TAIL_LOSS),
        (standing(TAIL, GAP), Trouble.GAP),
        (standing(last_sign=ago(480)), None),
        (standing(last_sign=ago(481)), Trouble.SILENT),
        (standing(GAP, last_sign=ago(481)), Trouble.SILENT),
        (standing(last_sign=ago(481), recovered_at=ago(100)), None),
        (standing(last_sign=ago(481), status="requested"), None),
        (standing(last_sign=ago(90_000), heartbeat=None), None),
    ],
)
def test_troubles_are_noticed(known: Condition, trouble: Trouble | None) -> None:
    found = find_trouble(known, NOW)
    assert found.trouble is trouble
    assert needs_recovery(found) is (trouble is not None)


def test_a_reset_is_noticed_at_once() -> None:
    known = standing()
    numbering = replace(known.numbering, reset_at=NOW)
    found = find_trouble(replace(known, numbering=numbering), NOW)
    assert (found.trouble, found.trouble_at) == (Trouble.RESET, NOW)


def test_a_new_trouble_beside_one_that_was_recovered_from_is_recovered_from() -> None:
    known = standing(trouble=Trouble.ERROR, trouble_at=ago(50), recovered_at=ago(50))
    assert not needs_recovery(known)
    found = find_trouble(replace(known, numbering=standing(GAP).numbering), NOW)
    assert (found.trouble, found.trouble_at) == (Trouble.ERROR, NOW)
    assert is_due(found, NOW)


@pytest.mark.requirement("hl7.fhir.uv.subscriptions_1.1.0@81")
@pytest.mark.parametrize("status", ["error", "off"])
def test_a_status_that_is_told_is_a_trouble_once(status: str) -> None:
    found = note_status(standing(), status, NOW)
    assert (found.status, found.trouble, found.trouble_at) == (status, status, NOW)
    later = note_status(found, status, NOW + HOUR)
    assert later.trouble_at == NOW
    assert note_status(found, "weird", NOW) == found


@pytest.mark.requirement("hl7.fhir.uv.subscriptions_1.1.0@82")
@pytest.mark.parametrize("trouble", [Trouble.ERROR, Trouble.OFF])
def test_what_was_switched_off_is_recovered_and_waits_for_re_activation(
    trouble: Trouble,
) -> None:
    known = standing(GAP, trouble=trouble, trouble_at=NOW, status=trouble.value)
    assert is_due(known, NOW)
    ended = end_recovery(known, Answers(trouble.value), NOW)
    assert (ended.trouble, ended.recovered_at) == (trouble, NOW)
    assert ended.numbering.holes == ()
    assert not needs_recovery(ended)


def test_a_server_that_mends_itself_needs_no_re_activation() -> None:
    known = standing(trouble=Trouble.ERROR, trouble_at=NOW, status="error")
    assert note_status(known, "active", NOW + HOUR).trouble is Trouble.ERROR
    assert end_recovery(known, Answers("active"), NOW).trouble is None
    recovered = end_recovery(known, Answers(), NOW)
    assert recovered.trouble is Trouble.ERROR
    assert note_status(recovered, "active", ago(1)).trouble is Trouble.ERROR
    assert note_status(recovered, "active", NOW + HOUR).trouble is None


@pytest.mark.parametrize("trouble", [Trouble.GAP, Trouble.RESET, Trouble.TAIL_LOSS])
def test_what_needs_no_re_activation_is_over_when_it_was_read(trouble: Trouble) -> None:
    known = standing(GAP, trouble=trouble, trouble_at=NOW)
    ended = end_recovery(known, Answers(), NOW)
    assert (ended.trouble, ended.trouble_at, ended.recovered_at) == (None, None, NOW)


def test_numbers_that_were_answered_close_only_their_holes() -> None:
    open_hole = Hole(7, 7, ago(1))
    known = standing(GAP, open_hole, trouble=Trouble.GAP, trouble_at=NOW)
    ended = end_recovery(known, Answers(within=(3, 4)), NOW)
    assert ended.numbering.holes == (open_hole,)
    assert ended.trouble is None


def test_a_recovery_that_fails_is_tried_again_later() -> None:
    known = standing(GAP, trouble=Trouble.GAP, trouble_at=NOW)
    failed = end_recovery(known, Answers(fault="the search failed"), NOW)
    assert (failed.trouble, failed.error) == (Trouble.GAP, "the search failed")
    assert failed.numbering.holes == (GAP,)
    assert not is_due(failed, NOW + RETRY - timedelta(seconds=1))
    assert is_due(failed, NOW + RETRY)
    assert end_recovery(failed, Answers(), NOW + RETRY).error is None


@pytest.mark.parametrize(
    ("status", "trouble"),
    [
        ("active", None),
        ("error", Trouble.ERROR),
        ("off", Trouble.OFF),
        ("requested", Trouble.SILENT),
        (None, Trouble.SILENT),
    ],
)
def test_silence_ends_by_what_the_server_says(
    status: str | None, trouble: Trouble | None
) -> None:
    known = find_trouble(standing(last_sign=ago(481)), NOW)
    ended = end_recovery(known, Answers(status), NOW)
    assert (ended.trouble, ended.recovered_at) == (trouble, NOW)
    assert not needs_recovery(ended)


def test_a_second_silence_in_a_row_waits_for_re_activation_though_active() -> None:
    first = find_trouble(standing(last_sign=ago(481)), NOW)
    first = end_recovery(first, Answers("active"), NOW)
    assert find_trouble(first, NOW + timedelta(seconds=480)).trouble is None
    again = NOW + timedelta(seconds=481)
    second = end_recovery(find_trouble(first, again), Answers("active"), again)
    assert (second.trouble, second.recovered_at) == (Trouble.SILENT, again)
    heard = note_sign(second, again + HOUR)
    assert (heard.trouble, heard.last_sign) == (None, again + HOUR)


def test_a_sign_does_not_end_what_was_not_read_again() -> None:
    known = find_trouble(standing(last_sign=ago(481)), NOW)
    assert note_sign(known, NOW).trouble is Trouble.SILENT


def heard(*weeks: int) -> frozenset[datetime]:
    """Notifications from 8 to 18 o'clock on that day of the week, some weeks ago."""
    day = NOW.replace(hour=0)
    return frozenset(
        day - WEEK * week + HOUR * hour for week in weeks for hour in range(8, 18)
    )


@pytest.mark.parametrize(
    ("weeks", "last", "trouble"),
    [
        ((1, 2, 3, 4), NOW.replace(hour=11, minute=59), Trouble.SILENT),
        ((1, 3, 4), NOW.replace(hour=11, minute=59), Trouble.SILENT),
        ((1, 2), NOW.replace(hour=11, minute=59), None),
        ((1, 2, 3, 4), NOW.replace(hour=12, minute=1), None),
        ((1, 2, 3, 4), NOW.replace(hour=3) - HOUR * 24, Trouble.SILENT),
    ],
)
def test_without_heartbeat_silence_is_measured_in_usual_hours(
    weeks: tuple[int, ...], last: datetime, trouble: Trouble | None
) -> None:
    known = standing(heartbeat=None, last_sign=last)
    assert find_trouble(known, NOW, heard(*weeks)).trouble is trouble


def test_a_night_is_no_silence() -> None:
    known = standing(heartbeat=None, last_sign=NOW.replace(hour=17, minute=59))
    morning = NOW.replace(hour=8) + HOUR * 24
    assert find_trouble(known, morning, heard(1, 2, 3, 4)).trouble is None


def test_the_range_covers_all_due_holes() -> None:
    known = standing(GAP, TAIL, Hole(20, 21, ago(1)))
    assert choose_range(known, NOW) == (3, 9)
    assert choose_range(standing(), NOW) is None
    assert choose_range(standing(Hole(1, MOST_EVENTS + 1, ago(11))), NOW) is None
    zero = replace(known, numbering=replace(known.numbering, mode=Mode.ZERO))
    assert choose_range(zero, NOW) is None
    assert choose_range(known, NOW - WINDOW) is None


@pytest.mark.requirement("hl7.fhir.uv.subscriptions_1.1.0@116")
def test_the_range_is_asked_for_in_text_with_content_as_a_code() -> None:
    assert write_range(3, 9) == [
        {"name": "eventsSinceNumber", "valueString": "3"},
        {"name": "eventsUntilNumber", "valueString": "9"},
        {"name": "content", "valueCode": "id-only"},
    ]


OTHER = {"subscription": {"reference": "https://ehr.example.org/fhir/Subscription/x"}}


@pytest.mark.parametrize(
    "answer",
    [
        bundle(r4_status("query-status"), kind="searchset"),
        bundle(r5_status("query-status"), kind="history"),
        r4_status("query-status"),
        bundle(
            {"resourceType": "OperationOutcome"},
            {"resource": r5_status("query-status", **OTHER)},
            {"resource": r5_status("query-status")},
        ),
        bundle(r4_status(subscription=("valueString", "Subscription/s1/_history/2"))),
        bundle(r4_status(subscription=("valueString", "s1"))),
    ],
)
def test_a_status_is_found_in_every_answer(answer: Any) -> None:
    found = read_standing(answer, "s1")
    assert found is not None
    assert (found.status, found.count) == ("active", 7)


@pytest.mark.parametrize(
    "answer",
    [
        {"resourceType": "OperationOutcome"},
        {"resourceType": "Bundle", "entry": ["x", {}]},
        bundle(r5_status(**OTHER), {"resource": r5_status(**OTHER)}),
        bundle(r5_status(eventsSinceSubscriptionStart="many")),
    ],
)
def test_no_status_is_found_where_there_is_none(answer: Any) -> None:
    assert read_standing(answer, "s1") is None


def other(*holes: Hole, **changes: Any) -> dict[str, Numbering]:
    """Another Subscription at the same hook."""
    return {"18": replace(Numbering(Mode.MONOTONIC, 9, ago(60), holes), **changes)}


@pytest.mark.parametrize(
    ("others", "trouble"),
    [
        (other(), None),
        (other(GAP), Trouble.GAP),
        (other(TAIL), Trouble.TAIL_LOSS),
        (other(reset_at=NOW), Trouble.RESET),
    ],
)
def test_what_another_subscription_missed_is_a_trouble(
    others: dict[str, Numbering], trouble: Trouble | None
) -> None:
    found = find_trouble(standing(others=others), NOW)
    assert found.trouble is trouble
    if trouble is None:
        return
    assert choose_range(found, NOW) is None
    ended = end_recovery(found, Answers(), NOW)
    assert (ended.trouble, ended.others["18"].holes) == (None, ())
    assert ended.others["18"].reset_at is None


def test_an_answer_by_number_closes_nothing_of_another() -> None:
    known = find_trouble(standing(GAP, others=other(Hole(3, 4, ago(1)))), NOW)
    assert choose_range(known, NOW) == (3, 4)
    ended = end_recovery(known, Answers(within=(3, 4)), NOW)
    assert ended.numbering.holes == ()
    assert ended.others["18"].holes == (Hole(3, 4, ago(1)),)


def test_a_name_that_changes_every_time_is_not_remembered_without_end() -> None:
    known = standing(own="17")
    for number in range(50):
        told = Told(ago(1), "event-notification", None, (1,), ("d",))
        known = count_told(known, f"n{number}", told)
    assert len(known.others) < 10
    assert known.own == "17"


def test_what_names_no_subscription_counts_for_our_own() -> None:
    known = count_told(
        standing(own="17"), None, Told(NOW, "event-notification", None, (10,), ("d",))
    )
    assert (known.numbering.highest, known.others) == (10, {})
