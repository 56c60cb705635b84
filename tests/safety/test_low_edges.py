"""Where the rules of low power begin."""

from __future__ import annotations

from dataclasses import replace

import pytest

from safety.completion_limits import CompletionLimits
from safety.low import Low, NeverGoing, watch_low, watch_start
from safety.past import Past

LIMITS = CompletionLimits()


def test_a_state_begins_empty() -> None:
    """No low block, no burst, no wait."""
    assert Low() == Low(0, 0, 0, 0.0, 0.0, 0, ())
    assert NeverGoing() == NeverGoing(0)


@pytest.mark.parametrize(("wait", "level_w"), [(10, 40.0), (38, 100.0)])
def test_after_a_top_off_the_shorter_wait_keeps_its_level(wait: int, level_w: float) -> None:
    """It ends abruptly, out of 100 W; where nothing shorter was known, that is the level it fell from."""
    before = Low(count=5, burst=4, wait=wait, level_w=40.0)
    past = Past(means_w=(*(100.0,) * 10, 5.0), plateau_w=100.0, count=11)
    after, _ = watch_low(before, past, LIMITS, tapered=True)
    assert (after.count, after.wait, after.level_w, after.burst) == (1, wait, level_w, 0)


def test_power_that_is_not_low_leaves_no_trace() -> None:
    """Bursts are counted within a stay at low power only."""
    past = Past(means_w=(100.0,) * 10, plateau_w=100.0, count=10)
    assert watch_low(Low(), past, LIMITS, tapered=False) == (Low(), None)


def test_a_low_block_ends_a_burst() -> None:
    """Three blocks of top-off, twice: neither was long enough to begin anew."""
    past = Past(means_w=(100.0, 5.0), plateau_w=100.0, count=20)
    after, _ = watch_low(Low(count=5, burst=3, wait=38, all_w=40.0, all_count=8), past, LIMITS, tapered=False)
    assert (after.count, after.burst) == (6, 0)


@pytest.mark.parametrize(("blocks", "level_w"), [(5, 100.0), (6, 60.0)])
def test_the_level_that_power_fell_from(blocks: int, level_w: float) -> None:
    """Three blocks before the two of the fall, where there is one more; else the plateau stands for it."""
    past = Past(means_w=(60.0,) * (blocks - 1) + (5.0,), plateau_w=100.0, count=blocks)
    after, _ = watch_low(Low(), past, LIMITS, tapered=True)
    assert after.level_w == level_w


def test_without_a_plateau_every_charger_has_yet_to_get_going() -> None:
    """However small the limit: no plateau is none of it."""
    limits = replace(LIMITS, idle_plateau_w=1.0, idle_w=0.5)
    assert watch_start(NeverGoing(), Past(means_w=(0.4,), count=1), limits)[0] == NeverGoing(1)
