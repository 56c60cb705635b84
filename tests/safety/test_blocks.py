"""Readings become one-minute blocks on a clock that runs only while something is known."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from safety.blocks import Block, OpenBlock, add, average, interval_s, lost, thinned
from safety.completion_limits import CompletionLimits

LIMITS = CompletionLimits(block_s=60.0, gap_s=15.0)


def mean(watts: tuple[float, ...]) -> float:
    """Return the mean alone."""
    return average(watts)[0]


@pytest.mark.parametrize(
    ("last_s", "t_s", "known_s"),
    [
        (None, 10.0, 0.0),
        (10.0, 10.0, 0.0),
        (10.0, 9.0, 0.0),
        (10.0, 10.5, 0.5),
        (10.0, 25.0, 15.0),
        (10.0, 25.01, 0.0),
    ],
)
def test_only_intervals_between_close_readings_are_known(last_s: float | None, t_s: float, known_s: float) -> None:
    """An outage, a silence of the meter and a clock that stands still or goes back add nothing to any timer."""
    assert interval_s(OpenBlock(last_s=last_s), t_s, LIMITS) == known_s


def test_a_reading_without_supply_stops_the_clock_and_marks_the_block() -> None:
    """What was known before an outage is kept; the block remembers that it was disturbed."""
    block = OpenBlock(5.0, 30.0, (100.0, 101.0), disturbed=False)
    out = lost(block)
    assert out == OpenBlock(None, 30.0, (100.0, 101.0), disturbed=True)
    assert lost(out) is out


def test_a_block_is_complete_when_it_is_full_and_not_before() -> None:
    """59.9 known seconds are no block, 60 are one; the rest is carried over and readings begin anew."""
    block, complete = add(OpenBlock(40.0, 50.0, (10.0, 20.0, 30.0)), 49.9, 40.0, 9.9, LIMITS)
    assert (complete, block.watts, block.filled_s) == ((), (10.0, 20.0, 30.0, 40.0), 59.9)
    block, complete = add(OpenBlock(40.0, 50.0, (10.0, 20.0, 30.0)), 50.0, 40.0, 10.0, LIMITS)
    assert complete == (Block(25.0, pulsed=True),)
    assert block == OpenBlock(50.0, 0.0, (), disturbed=False)
    block, complete = add(OpenBlock(40.0, 55.0, (10.0, 10.0)), 50.0, 10.0, 10.0, LIMITS)
    assert len(complete) == 1
    assert block.filled_s == 5.0


def test_readings_further_apart_than_a_block_make_several() -> None:
    """A rig that replays 300 times as fast as life is read less than once a block and loses no time."""
    limits = CompletionLimits().scaled(300)
    block, complete = add(OpenBlock(1.0, 0.1, (10.0, 12.0)), 1.45, 14.0, 0.45, limits)
    assert complete == (Block(12.0, disturbed=False), Block(14.0, disturbed=False))
    assert block.filled_s == pytest.approx(0.15)


def test_a_gap_marks_the_block_it_lies_in_and_no_other() -> None:
    """``disturbed`` says that part of a block is not known."""
    block, _ = add(OpenBlock(10.0, 20.0, (5.0,)), 99.0, 5.0, 0.0, LIMITS)
    assert block.disturbed
    assert block.filled_s == 20.0
    block, complete = add(OpenBlock(99.0, 55.0, (5.0,), disturbed=True), 104.0, 5.0, 5.0, LIMITS)
    assert complete[0].disturbed
    assert not block.disturbed
    same_moment, _ = add(OpenBlock(10.0, 20.0, (5.0,)), 10.0, 5.0, 0.0, LIMITS)
    first, _ = add(OpenBlock(), 10.0, 5.0, 0.0, LIMITS)
    assert not same_moment.disturbed
    assert not first.disturbed


@pytest.mark.parametrize(
    ("watts", "expected"),
    [
        ((7.0,), 7.0),
        ((7.0, 9.0), 8.0),
        ((100.0, 100.0, 9000.0), 100.0),
        ((0.0, 100.0, 100.0), 100.0),
        ((90.0, 100.0, 110.0, 120.0), 105.0),
        ((50.0, 100.0, 101.0, 102.0, 103.0, 104.0, 105.0, 106.0, 107.0, 108.0, 109.0, 200.0), 104.5),
        ((0.0, *(100.0,) * 18, 9000.0), 100.0),
        ((0.0, 0.0, *(100.0,) * 16, 9000.0, 9000.0), 100.0),
        ((0.0, 0.0, *(100.0,) * 16, 9000.0, 9000.0, 100.0), 100.0),
    ],
)
def test_wild_and_zero_readings_fall_out_of_a_level_block(watts: tuple[float, ...], expected: float) -> None:
    """A tenth at each end, at least one reading, is trimmed where three or more were taken."""
    assert mean(watts) == pytest.approx(expected)
    assert mean(tuple(reversed(watts))) == pytest.approx(expected)


def test_pulses_are_averaged_whole() -> None:
    """Where readings spread over 30 % the plain mean holds, else a pulse charger would look full or never full."""
    assert mean((0.0, 0.0, 0.0, 170.0, 0.0)) == 0.0  # one reading in five: taken for wild
    assert mean((0.0, 0.0, 0.0, 170.0, 170.0)) == pytest.approx(68.0)
    level = (85.0, 86.0, 100.0, 115.0, 116.0)  # 86 to 115: 29 W of 100.3
    spread = (84.0, 85.0, 100.0, 116.0, 120.0)  # 85 to 116: 31 W of 100.3
    assert mean(level) == pytest.approx(301 / 3)
    assert mean(spread) == pytest.approx(101.0)
    assert mean((0.0, 85.0, 100.0, 115.0, 120.0)) == 100.0  # exactly 30 % is level
    assert mean((0.0, 84.0, 100.0, 116.0, 120.0)) == 84.0


def test_a_block_tells_that_it_holds_pulses() -> None:
    """Shapes are not judged over pulses; a wild reading is none."""
    assert average((100.0, 100.0, 100.0, 9000.0)) == (100.0, False)
    assert average((0.0, 0.0, 170.0, 170.0, 170.0)) == (102.0, True)
    assert average((0.0, 170.0)) == (85.0, False)  # too few to tell
    _, complete = add(OpenBlock(50.0, 50.0, (0.0, 0.0, 170.0, 170.0)), 60.0, 170.0, 10.0, LIMITS)
    assert complete == (Block(102.0, pulsed=True),)


def test_one_wild_reading_among_pulses_falls_out() -> None:
    """Only a single highest reading above twice the next one is the meter's fault."""
    pulses = (0.0, 0.0, 170.0, 170.0, 0.0, 170.0)
    assert mean((*pulses, 9000.0)) == pytest.approx(mean(pulses))
    assert mean((*pulses, 340.0)) == pytest.approx(850 / 7)
    assert mean((*pulses, 341.0)) == pytest.approx(mean(pulses))


def test_ten_readings_a_second_do_not_fill_memory() -> None:
    """At most 120 readings of a block are kept, spread evenly over it."""
    block, t_s = OpenBlock(last_s=0.0), 0.0
    most = 0
    for i in range(599):
        t_s = (i + 1) * 0.1
        block, complete = add(block, t_s, float(i), 0.1, LIMITS)
        assert not complete
        most = max(most, len(block.watts))
    assert 115 <= most <= 121
    assert block.watts[60] == pytest.approx(300, abs=10)


@pytest.mark.parametrize(
    ("before", "share", "kept"), [(0, 0.0, 1), (2, 2 / 120, 3), (2, 1.9 / 120, 2), (120, 1.0, 121), (121, 1.0, 121)]
)
def test_a_reading_ahead_of_its_share_is_left_out(before: int, share: float, kept: int) -> None:
    """The rule by which readings are thinned: no more than 120 times the share before this one."""
    assert len(thinned((1.0,) * before, 9.0, share)) == kept


@given(st.lists(st.floats(0, 4000), min_size=1, max_size=40))
def test_a_mean_lies_within_its_readings(watts: list[float]) -> None:
    """Trimming never invents power."""
    assert min(watts) - 1e-9 <= mean(tuple(watts)) <= max(watts) + 1e-9
