"""Exact limits of the energy register's rule: every comparison from both sides, with sums that are exact."""

from __future__ import annotations

from dataclasses import replace

import pytest

from safety.energy_register import Known, Register, observe, stands
from safety.limits import PortLimits
from safety.reading import MeterReading

LIMITS = PortLimits()
#: A register that has agreed with its power, last read at 90 s; nothing flows from here on.
KNOWN = Known(first_wh=1000.0, high_wh=1000.0, high_most_wh=100.0, mark_wh=1000.0, mark_least_wh=80.0, agreed=True)
MEMORY = Register(at_s=100.0, power_w=0.0, least_wh=80.0, most_wh=100.0, read_s=90.0, known=KNOWN)


def reads(energy_wh: float, memory: Register = MEMORY) -> Register:
    """Return the memory after a register value at 100 s."""
    after = observe(memory, MeterReading(100.0, 220.0, 0.0, 0.0, None, energy_wh, 100.0), LIMITS)
    assert after is not None
    return after


@pytest.mark.parametrize(
    ("change", "sums_wh", "energy_wh", "contradicts"),
    [
        # two steps of 10 Wh below the highest value
        ({}, (80.0, 100.0), 980.0, False),
        ({}, (80.0, 100.0), 979.9, True),
        # what can have flowed since the highest value, and two steps
        ({}, (80.0, 100.0), 1020.0, False),
        ({}, (80.0, 100.0), 1020.1, True),
        ({}, (80.0, 130.0), 1050.0, False),
        ({}, (80.0, 130.0), 1050.1, True),
        # what can have flowed since the first value, and two steps
        ({"first_wh": 890.0}, (80.0, 130.0), 1040.0, False),
        ({"first_wh": 890.0}, (80.0, 130.0), 1040.1, True),
        # a tenth of what was due since it last moved, once 30 Wh are due
        ({}, (109.9, 130.0), 1000.0, False),
        ({}, (110.0, 130.0), 1000.0, True),
        ({}, (110.0, 130.0), 1002.9, True),
        ({}, (110.0, 130.0), 1003.0, False),
        ({"mark_wh": 995.0}, (110.0, 130.0), 998.0, False),
        ({"mark_wh": 995.0}, (110.0, 130.0), 997.9, True),
    ],
)
def test_what_contradicts_the_power(
    change: dict[str, float], sums_wh: tuple[float, float], energy_wh: float, *, contradicts: bool
) -> None:
    """Run back, jumped, run away, stood still: at the limit a value is believed, beyond it not."""
    known = replace(KNOWN, **change)  # type: ignore[arg-type] # numbers only
    after = reads(energy_wh, replace(MEMORY, least_wh=sums_wh[0], most_wh=sums_wh[1], known=known))
    assert (after.contradictions, after.since_s) == ((1, 100.0) if contradicts else (0, None))


def test_a_contradiction_is_counted_from_its_first_value_and_teaches_nothing() -> None:
    """The clock of the accusation is not set back by the next one, and one good value ends it."""
    first = reads(500.0)
    assert (first.contradictions, first.since_s, first.known) == (1, 100.0, KNOWN)
    second = observe(first, MeterReading(101.0, 220.0, 0.0, 0.0, None, 500.0, 101.0), LIMITS)
    assert second is not None
    assert (second.contradictions, second.since_s, second.known, second.read_s) == (2, 100.0, KNOWN, 101.0)
    third = observe(second, MeterReading(102.0, 220.0, 0.0, 0.0, None, 1000.0, 102.0), LIMITS)
    assert third is not None
    assert (third.contradictions, third.since_s) == (0, None)


def test_a_first_value_that_nothing_has_agreed_with_is_replaced() -> None:
    """The newer of two that contradict each other is the next to be held against."""
    alone = replace(MEMORY, known=replace(KNOWN, agreed=False))
    assert reads(500.0, alone).known == Known(400.0, 500.0, 100.0, 500.0, 80.0, agreed=False)
    assert reads(1000.0, alone).known == KNOWN


def test_the_first_value_is_known_with_the_sums_of_its_moment() -> None:
    """It may come long after the sums began; what flowed until then is no part of what must follow."""
    assert reads(1000.0, replace(MEMORY, known=None)).known == Known(900.0, 1000.0, 100.0, 1000.0, 80.0)
    late = MeterReading(100.0, 220.0, 17.0, 3600.0, None, 1000.0, 100.5)
    after = observe(replace(MEMORY, known=None, power_w=3600.0), late, LIMITS)
    assert after is not None
    assert after.known is not None
    most_wh = 100.0 + (1.2 * 3600.0 + 10.0) * 0.5 / 3600.0
    assert after.known.high_most_wh == pytest.approx(most_wh)
    assert after.known.first_wh == pytest.approx(1000.0 - most_wh)
    assert after.known.mark_least_wh == pytest.approx(80.5)


@pytest.mark.parametrize(
    ("energy_wh", "known"),
    [
        (999.0, KNOWN),
        (1000.0, KNOWN),  # no new highest value: the sums go on from the old one
        (1000.9, replace(KNOWN, high_wh=1000.9, high_most_wh=130.0)),
        (1001.0, replace(KNOWN, high_wh=1001.0, high_most_wh=130.0, mark_wh=1001.0, mark_least_wh=90.0)),
    ],
)
def test_what_a_good_value_teaches(energy_wh: float, known: Known) -> None:
    """A higher one is the new highest; it is a mark when a tenth of what was due, here 10 Wh, was counted."""
    assert reads(energy_wh, replace(MEMORY, least_wh=90.0, most_wh=130.0)).known == known


@pytest.mark.parametrize(
    ("high_wh", "energy_wh", "begins_again"),
    [
        (9_999_990.0, 40.0, True),  # 10 Wh to the end, 30 that may have flowed, 20 of slack
        (9_999_990.0, 40.5, False),
        (10_000_030.0, 10.0, True),
        (10_000_030.0, 9.5, False),
    ],
)
def test_what_a_register_shows_after_its_end(high_wh: float, energy_wh: float, *, begins_again: bool) -> None:
    """As much as can have flowed, with two steps either way; then it is known anew."""
    before = replace(MEMORY, most_wh=130.0, known=replace(KNOWN, first_wh=high_wh, high_wh=high_wh))
    after = reads(energy_wh, before)
    fresh = Known(energy_wh - 130.0, energy_wh, 130.0, energy_wh, 80.0)
    assert (after.contradictions, after.known) == ((0, fresh) if begins_again else (1, before.known))


@pytest.mark.parametrize(
    ("contradictions", "for_s", "unread_wh", "unread_s", "accused"),
    [
        (2, 100.0, 0.0, 0.0, False),
        (3, 4.9, 0.0, 0.0, False),
        (3, 5.0, 0.0, 0.0, True),
        (3, 4.9, 30.0, 60.0, False),  # its values are heard, and not yet often enough
        (0, 0.0, 30.0, 60.0, True),
        (0, 0.0, 29.9, 60.0, False),
        (0, 0.0, 30.0, 59.9, False),
    ],
)
def test_when_a_register_is_accused(
    contradictions: int, for_s: float, unread_wh: float, unread_s: float, *, accused: bool
) -> None:
    """Three contradictions and 5 s, or a minute without a value in which 30 Wh have flowed."""
    memory = Register(
        at_s=100.0 + unread_s,
        power_w=0.0,
        least_wh=50.0 + unread_wh,
        most_wh=500.0,
        read_s=100.0,
        read_least_wh=50.0,
        known=KNOWN,
        contradictions=contradictions,
        since_s=200.0 if contradictions else None,
    )
    assert stands(memory, LIMITS, 200.0 + for_s) is accused


@pytest.mark.parametrize(("watts", "least_wh"), [(0.0, 0.0), (10.0, 0.0), (10.5, 10.5)])
def test_what_an_hour_adds_to_the_sums(watts: float, least_wh: float) -> None:
    """Nothing is due from 10 W down; at most 1.2 times the power and 10 W may be counted."""
    first = observe(None, MeterReading(0.0, 220.0, 0.0, watts, None, 1000.0, 0.0), LIMITS)
    after = observe(first, MeterReading(3600.0, 220.0, 0.0, watts, None, 1000.0, 0.0), LIMITS)
    assert after is not None
    assert (after.least_wh, after.most_wh) == pytest.approx((least_wh, 1.2 * watts + 10.0))


@pytest.mark.parametrize("taken_s", [100.0, None])
def test_a_reading_without_a_register_ends_the_comparison(taken_s: float | None) -> None:
    """A time without its value is as little as nothing."""
    assert observe(MEMORY, MeterReading(100.0, 220.0, 0.0, 0.0, None, None, taken_s), LIMITS) is None


def test_a_memory_begins_without_knowledge() -> None:
    """Nothing read, nothing known, nothing contradicted."""
    assert Register(1.0, 2.0, 3.0, 4.0, 5.0) == Register(1.0, 2.0, 3.0, 4.0, 5.0, 0.0, None, 0, None)
    assert Known(1.0, 2.0, 3.0, 4.0, 5.0) == Known(1.0, 2.0, 3.0, 4.0, 5.0, agreed=False)


@pytest.mark.parametrize("end_wh", [1e7, 1e8, 1e9, 2**32 / 10, 2**32 / 3.2, 2.0**32, 2.0**32 * 10])
def test_where_registers_end(end_wh: float) -> None:
    """Four, five and six digits of kWh, and 32 bits of every step in use: there and nowhere near."""
    for off_wh, begins_again in ((0.0, True), (-25.0, False), (25.0, False)):
        high_wh = end_wh + off_wh
        before = replace(MEMORY, known=replace(KNOWN, first_wh=high_wh, high_wh=high_wh))
        assert (reads(0.0, before).contradictions == 0) is begins_again
