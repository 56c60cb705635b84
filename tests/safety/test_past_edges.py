"""Exact limits of steps and of the plateau."""

from __future__ import annotations

import pytest

from safety.blocks import Block
from safety.completion_limits import CompletionLimits
from safety.past import Past, remember

LIMITS = CompletionLimits()
CHARGED = Past(means_w=(100.0,) * 10, plateau_w=100.0, count=10, quiet=9)


def test_a_block_that_stands_out_upwards_is_no_plateau_yet() -> None:
    """Also by no more than 5 %; the next block that agrees with it is."""
    once = remember(CHARGED, Block(105.0), LIMITS, hold_plateau=False)
    assert (once.step, once.plateau_w) == (1.05, 100.0)
    twice = remember(once, Block(105.0), LIMITS, hold_plateau=False)
    assert (twice.step, twice.plateau_w) == (1.0, 102.0)


def test_a_plateau_may_be_as_low_as_it_likes() -> None:
    """Five blocks of 0.7 W agree; what they mean is the business of other rules."""
    past = Past()
    for _ in range(5):
        assert past.plateau_w is None
        past = remember(past, Block(0.7), LIMITS, hold_plateau=False)
    assert past.plateau_w == pytest.approx(0.7)


def test_powers_near_nothing_are_compared_as_half_a_watt() -> None:
    """Else the smallest stray current would be a step without end."""
    standby = Past(means_w=(0.1,) * 10, count=10, quiet=9)
    assert remember(standby, Block(1.75), LIMITS, hold_plateau=False).step == 3.5
    assert remember(standby, Block(0.4), LIMITS, hold_plateau=False).step == 1.0


def test_a_past_begins_empty() -> None:
    """No block, no plateau, no step."""
    assert Past() == Past((), None, 0, 0, 1.0, disturbed=False)
