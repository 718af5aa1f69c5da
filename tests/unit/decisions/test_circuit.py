"""A circuit shuts after faults in a row, lets one probe through, and opens again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from middleware.decisions.circuit import (
    FAULTS,
    FIRST_SHUT,
    LONGEST_SHUT,
    PROBE,
    Circuit,
    after_answer,
    after_fault,
    let_through,
)

NOW = datetime(2026, 11, 16, 15, 0, tzinfo=UTC)


def shut(at: datetime = NOW) -> Circuit:
    circuit = Circuit()
    for number in range(FAULTS):
        circuit = after_fault(circuit, at, f"somebody {number}")
    return circuit


def test_faults_in_a_row_shut_it() -> None:
    circuit = Circuit()
    for number in range(FAULTS - 1):
        circuit = after_fault(circuit, NOW, f"somebody {number}")
        assert let_through(circuit, NOW) == (circuit, None)
    circuit = after_fault(circuit, NOW, "another")
    assert let_through(circuit, NOW)[1] == NOW + FIRST_SHUT


def test_one_who_always_fails_shuts_it_for_nobody() -> None:
    circuit = Circuit()
    for _ in range(100):
        circuit = after_fault(circuit, NOW, "the same")
    assert let_through(circuit, NOW)[1] is None


def test_an_answer_between_begins_anew() -> None:
    circuit = Circuit()
    for number in range(FAULTS - 1):
        circuit = after_fault(circuit, NOW, f"somebody {number}")
    circuit = after_fault(after_answer(), NOW, "another")
    assert not circuit.is_shut(NOW)


def test_faults_of_those_on_their_way_do_not_lengthen_it() -> None:
    circuit = shut()
    for _ in range(20):
        assert after_fault(circuit, NOW + timedelta(seconds=5), "late") == circuit


def test_one_probe_is_let_through_and_the_others_wait_for_it() -> None:
    later = NOW + FIRST_SHUT
    circuit, until = let_through(shut(), later)
    assert until is None
    assert let_through(circuit, later)[1] == later + PROBE
    assert let_through(after_answer(), later)[1] is None


def test_a_probe_that_never_tells_is_followed_by_another() -> None:
    later = NOW + FIRST_SHUT
    circuit, _ = let_through(shut(), later)
    again, until = let_through(circuit, later + PROBE)
    assert until is None
    assert again.is_shut(later + PROBE)


def test_each_failed_probe_doubles_the_wait_up_to_the_longest() -> None:
    circuit, now = shut(), NOW
    waits = []
    for _ in range(40):
        assert circuit.shut_until is not None
        waits.append(circuit.shut_until - now)
        now = circuit.shut_until
        circuit, until = let_through(circuit, now)
        assert until is None
        circuit = after_fault(circuit, now, "probe")
    assert waits[:3] == [FIRST_SHUT, FIRST_SHUT * 2, FIRST_SHUT * 4]
    assert waits[-1] == LONGEST_SHUT


@pytest.mark.parametrize("number", range(FAULTS))
def test_a_probe_about_somebody_who_failed_before_counts_too(number: int) -> None:
    circuit, _ = let_through(shut(), NOW + FIRST_SHUT)
    failed = after_fault(circuit, NOW + FIRST_SHUT, f"somebody {number}")
    assert failed.shut_until == NOW + FIRST_SHUT * 3
    assert not failed.probing


@pytest.mark.parametrize(("asked", "wait"), [(120.0, 120.0), (86_400.0, 900.0)])
def test_what_the_other_side_asks_for_is_kept_within_reason(
    asked: float, wait: float
) -> None:
    circuit = shut()
    assert circuit.shut_until is not None
    circuit, _ = let_through(circuit, circuit.shut_until)
    now = NOW + timedelta(minutes=5)
    assert after_fault(circuit, now, "probe", asked).shut_until == now + timedelta(
        seconds=wait
    )
