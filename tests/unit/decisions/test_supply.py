"""Days covered by dispensed medicine, and the day on which a supply ends."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from middleware.decisions.dated import supply_end
from middleware.decisions.supply import days_supplied, proportion_covered

NOW = datetime(2026, 11, 20, 18, tzinfo=UTC)
ZONE = "America/Chicago"


def fill(days_ago: int, supply: object = 30, **changes: Any) -> dict[str, Any]:
    handed = (NOW - timedelta(days=days_ago)).date().isoformat()
    values: dict[str, Any] = {
        "resourceType": "MedicationDispense",
        "status": "completed",
        "whenHandedOver": handed,
        "daysSupply": {"value": supply, "code": "d"},
    }
    return values | changes


@pytest.mark.parametrize(
    ("fills", "expected"),
    [
        ([fill(days) for days in (180, 150, 120, 90, 60, 30)], 1.0),
        ([fill(180, 90), fill(90, 90)], 1.0),
        ([fill(180), fill(90)], 60 / 180),
        ([fill(120), fill(60)], 60 / 120),
        # Early: the second begins when the first is used up.
        ([fill(100), fill(90)], 60 / 100),
        # Two on one day last twice as long, and tell of one fill alone.
        ([fill(100), fill(100)], None),
        ([fill(100), fill(100), fill(40)], 90 / 100),
        # What reaches beyond today does not count.
        ([fill(100), fill(10, 90)], 40 / 100),
        ([fill(100)], None),
        ([], None),
        # The first fill lies within the last 91 days.
        ([fill(90), fill(30)], None),
        ([fill(91), fill(30)], 60 / 91),
        # Before the period.
        ([fill(200), fill(181), fill(100)], None),
        ([fill(100), fill(40, status="cancelled")], None),
        ([fill(100), fill(40, None)], None),
        ([fill(100), fill(40, whenHandedOver="soon")], None),
    ],
)
def test_proportion_of_days_covered(
    fills: list[dict[str, Any]], expected: float | None
) -> None:
    assert proportion_covered(fills, 180, NOW) == pytest.approx(expected)


@given(
    st.lists(
        st.tuples(st.integers(-10, 200), st.integers(0, 120)), min_size=0, max_size=12
    )
)
def test_it_is_a_share_and_one_more_fill_never_lowers_it(
    fills: list[tuple[int, int]],
) -> None:
    listed = [fill(days, supply) for days, supply in fills]
    found = proportion_covered(listed, 180, NOW)
    assert found is None or 0 <= found <= 1
    if found is not None:
        first = max(days for days, supply in fills if 0 <= days <= 180 and supply)
        more = proportion_covered([*listed, fill(first // 2, 30)], 180, NOW)
        assert more is not None
        assert more >= found


@pytest.mark.parametrize(
    ("quantity", "expected"),
    [
        ({"value": 30}, 30),
        ({"value": 30, "unit": "days"}, 30),
        ({"value": 4, "code": "wk"}, 28),
        ({"value": 2, "code": "[pt_us]"}, 0),
        ({"value": True}, 0),
        ({"value": "30"}, 0),
        ({"value": -5, "code": "d"}, 0),
        (None, 0),
        ("30", 0),
    ],
)
def test_days_supplied(quantity: object, expected: int) -> None:
    assert days_supplied({"daysSupply": quantity}) == expected


def test_a_supply_ends_its_days_after_it_was_handed_over() -> None:
    late = fill(0, whenHandedOver="2026-11-01T03:00:00Z")
    assert supply_end(late, ZONE) == date(2026, 11, 30), "in Chicago it was October"
    assert supply_end(fill(0, status="in-progress"), ZONE) is None
    assert supply_end(fill(0, 0), ZONE) is None
    assert supply_end({"status": "completed"}, ZONE) is None
