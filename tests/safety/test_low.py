"""Full by low power: how low, where from, how long."""

from __future__ import annotations

from dataclasses import replace

import pytest

from safety.blocks import Block
from safety.completion_limits import CompletionLimits
from safety.low import Low, NeverGoing, is_low, threshold_w, watch_low, watch_start
from safety.past import Past, remember
from safety.verdict import Verdict

LIMITS = CompletionLimits()
PLATEAU = (100.0,) * 10


def watch(*means_w: float, tapered: bool, limits: CompletionLimits = LIMITS) -> list[Verdict | None]:
    """Return the verdict after every block of a session."""
    past, low, verdicts = Past(), Low(), []
    for mean_w in means_w:
        past = remember(past, Block(mean_w, disturbed=False), limits, hold_plateau=False)
        low, verdict = watch_low(low, past, limits, tapered=tapered)
        verdicts.append(verdict)
    return verdicts


def blocks_until_full(*means_w: float, tapered: bool) -> int | None:
    """Return after how many blocks the session was full, None when it never was."""
    verdicts = watch(*means_w, tapered=tapered)
    return next((i + 1 for i, verdict in enumerate(verdicts) if verdict is not None), None)


@pytest.mark.parametrize(
    ("plateau_w", "expected_w"), [(20.0, 4.4), (50.0, 11.0), (54.6, 12.0), (90.0, 12.0), (100.0, 12.0), (800.0, 96.0)]
)
def test_low_is_relative_to_the_plateau(plateau_w: float, expected_w: float) -> None:
    """max(12 % of plateau, min(12 W, 22 % of plateau)): small chargers and large ones have their own threshold."""
    assert threshold_w(plateau_w, LIMITS) == pytest.approx(expected_w, rel=2e-3)


def test_nothing_is_low_before_there_is_a_plateau() -> None:
    """Little power just after the start proves nothing."""
    assert not is_low(Past(means_w=(0.0,)), LIMITS)
    assert not is_low(Past(means_w=(12.0,), plateau_w=100.0), LIMITS)
    assert is_low(Past(means_w=(11.9,), plateau_w=100.0), LIMITS)
    assert watch(*(50, 1) * 40, tapered=True) == [None] * 80


@pytest.mark.parametrize(
    ("level_w", "tapered", "needed"),
    [
        (29.0, True, 10),
        (29.0, False, 20),
        (30.0, True, 20),
        (30.0, False, 38),
        (62.0, True, 20),
        (62.0, False, 38),
        (62.5, True, 38),
        (100.0, True, 38),
        (100.0, False, 38),
    ],
)
def test_the_wait_depends_on_where_power_fell_from(level_w: float, tapered: bool, needed: int) -> None:  # noqa: FBT001
    """After a smooth taper 10 min are enough; after an abrupt fall it may be a pause of up to 35 min."""
    before = (*PLATEAU, *(level_w,) * 6, level_w / 2)  # the block in which it falls does not count
    assert blocks_until_full(*before, *(3.0,) * 60, tapered=tapered) == len(before) + needed


def test_the_level_is_that_of_three_blocks_before_the_fall() -> None:
    """The block in which power fell and what was before those three do not count."""
    before = (*PLATEAU, 70.0, 25.0, 25.0, 25.0, 12.5)
    assert blocks_until_full(*before, *(3.0,) * 60, tapered=True) == len(before) + 10
    before = (*PLATEAU, 70.0, 70.0, 25.0, 25.0, 12.5)
    assert blocks_until_full(*before, *(3.0,) * 60, tapered=True) == len(before) + 20


def test_with_a_short_plateau_there_may_be_nothing_to_look_back_on() -> None:
    """Then the plateau stands for the level."""
    limits = replace(LIMITS, plateau_s=120.0)
    verdicts = watch(100.0, 100.0, *(3.0,) * 60, tapered=True, limits=limits)
    assert [v is not None for v in verdicts].index(True) == 2 + 37


def test_just_after_the_start_the_plateau_stands_for_the_level() -> None:
    """Five blocks of plateau and then low: there are not enough blocks to look back on."""
    assert blocks_until_full(*(100.0,) * 5, *(3.0,) * 60, tapered=True) == 5 + 38
    assert blocks_until_full(*(100.0,) * 6, *(3.0,) * 60, tapered=True) == 6 + 38


@pytest.mark.parametrize(("bump", "count"), [(3, 10 + 3), (4, 4 + 4 + 10)])
def test_bursts_shorter_than_four_minutes_do_not_start_again(bump: int, count: int) -> None:
    """A top-off of three blocks is passed over, one of four starts the count again."""
    before = (*PLATEAU, *(25.0,) * 6)
    after = (*(2.0,) * 4, *(14.0,) * bump, *(2.0,) * 60)
    assert blocks_until_full(*before, *after, tapered=True) == len(before) + count


def test_after_a_short_burst_the_shorter_wait_is_kept() -> None:
    """A top-off ends abruptly, but the pack had tapered before; a long one is a charge of its own."""
    before = (*PLATEAU, *(25.0,) * 6, *(2.0,) * 5)
    assert blocks_until_full(*before, *(100.0,) * 20, *(2.0,) * 60, tapered=True) == len(before) + 20 + 10
    assert blocks_until_full(*before, *(100.0,) * 21, *(2.0,) * 60, tapered=True) == len(before) + 21 + 38


def test_a_longer_wait_gives_way_to_a_shorter_one() -> None:
    """A pause out of constant current waits long; the taper after it does not inherit that."""
    start = (*PLATEAU, *(2.0,) * 20, *(25.0,) * 8)
    assert blocks_until_full(*start, *(2.0,) * 60, tapered=True) == len(start) + 10


@pytest.mark.parametrize(("burst_w", "full"), [(62.0, True), (62.5, False)])
def test_the_whole_stay_is_low(burst_w: float, full: bool) -> None:  # noqa: FBT001 - a table of facts
    """Ten blocks of 2 W and two of 62 W are 12 W on the mean, the threshold."""
    before = (*PLATEAU, *(25.0,) * 6)
    verdicts = watch(*before, *(2.0,) * 5, burst_w, burst_w, *(2.0,) * 5, tapered=True)
    assert (verdicts[-1] is not None) is full


def test_slow_pulses_are_not_low() -> None:
    """Two minutes on, two off: low most of the time, but not on the whole."""
    assert blocks_until_full(*PLATEAU, *(90.0, 90.0, 1.0, 1.0) * 60, tapered=True) is None
    assert blocks_until_full(*PLATEAU, *(25.0,) * 6, *(14.0, 1.0, 1.0, 1.0, 1.0) * 30, tapered=True) is not None


@pytest.mark.parametrize(("last_w", "count"), [(8.1, 10), (8.0, 11)])
def test_at_the_end_the_power_is_still(last_w: float, count: int) -> None:
    """Less than 2 % of plateau is lost over the last ten blocks, else it waits."""
    before = (*PLATEAU, *(25.0,) * 6)
    verdicts = watch(*before, 10.0, *(9.0,) * 8, last_w, *(last_w,) * 20, tapered=True)
    assert [v is not None for v in verdicts].index(True) + 1 == len(before) + count


@pytest.mark.parametrize(("loss_w", "count"), [(0.9, 10), (1.0, 11)])
def test_a_watt_is_always_still(loss_w: float, count: int) -> None:
    """For small chargers less than 1 W is nothing, whatever the share."""
    before = (*(30.0,) * 10, *(8.0,) * 6)
    assert blocks_until_full(*before, 5.0, *(5.0 - loss_w,) * 30, tapered=True) == len(before) + count


def test_it_does_not_wait_for_stillness_for_ever() -> None:
    """After 45 min it is full, however much is still being lost."""
    before = (*(1000.0,) * 10, *(200.0,) * 6)
    decay = [119.0 - 2.3 * i for i in range(50)]  # 20.7 W in ten blocks
    assert blocks_until_full(*before, *decay, tapered=True) == len(before) + 45


def test_the_detail_says_why() -> None:
    """Operators are asked why it stopped: level, time, where from, plateau."""
    (verdict,) = (v for v in watch(*PLATEAU, *(25.0,) * 6, 2.5, *(2.0,) * 9, tapered=True) if v)
    assert verdict == Verdict("full", "2.0 W for 10.0 min, down from 25 W, plateau 100 W")


def start(*means_w: float) -> int | None:
    """Return after how many blocks the charger was given up, None when it was not."""
    past, state = Past(), NeverGoing()
    for i, mean_w in enumerate(means_w):
        past = remember(past, Block(mean_w, disturbed=False), LIMITS, hold_plateau=False)
        state, verdict = watch_start(state, past, LIMITS)
        if verdict is not None:
            assert verdict.reason == "low_power"
            return i + 1
    return None


@pytest.mark.parametrize(
    ("means_w", "expected"),
    [
        ((2.0,) * 60, 45),
        ((17.9,) * 60, 45),
        ((18.0,) * 60, None),
        ((31.0,) * 10 + (3.0,) * 60, 55),
        ((32.0,) * 10 + (3.0,) * 60, None),
        ((12.0,) * 44 + (100.0,) * 100, None),
        ((12.0,) * 44 + (25.0,) + (12.0,) * 60, 44 + 1 + 45),
    ],
)
def test_a_charger_that_never_got_going(means_w: tuple[float, ...], expected: int | None) -> None:
    """Below 18 W for 45 min, and never at 32 W or more: precharge takes up to 40 min and 25 W."""
    assert start(*means_w) == expected


@pytest.mark.parametrize(
    ("first_w", "last_w", "expected"),
    [(10.0, 9.0, 45), (10.1, 9.0, 46), (15.0, 13.5, 45), (15.1, 13.5, 46), (3.0, 2.0, 45), (3.1, 2.0, 46)],
)
def test_a_small_charger_that_tapers_is_left_alone(first_w: float, last_w: float, expected: int) -> None:
    """Over the last 30 min power must be level within 10 % or 1 W."""
    assert start(*(first_w,) * 16, *(last_w,) * 60) == expected


def test_what_never_got_going_is_told_in_numbers() -> None:
    """Level, threshold and time."""
    past = remember(Past(means_w=(2.0,) * 29, count=44), Block(2.5, disturbed=False), LIMITS, hold_plateau=False)
    _, verdict = watch_start(NeverGoing(44), past, LIMITS)
    assert verdict == Verdict("low_power", "2.5 W, below 18 W for 45.0 min")
