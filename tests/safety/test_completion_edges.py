"""What the completion rules hand on from block to block."""

from __future__ import annotations

import pytest

from safety.completion import CompletionLimits, Sample, advance, begin

LIMITS = CompletionLimits()


@pytest.mark.parametrize(("last_w", "factor"), [(0.6, 0.8), (0.61, 0.5)])
def test_the_power_factor_before_a_plug_went_is_that_of_a_load(last_w: float, factor: float) -> None:
    """The last reading of a block says nothing about the charger when nothing is drawn in it."""
    state, _ = advance(begin(0.0), Sample(0.0, 230.0, 0.5, 92.0, 0.8), LIMITS)
    for second in range(1, 61):
        state, _ = advance(state, Sample(float(second), 230.0, 0.5, 92.0, 0.8), LIMITS)
    assert state.factor == 0.8
    for second in range(61, 120):
        state, _ = advance(state, Sample(float(second), 230.0, 0.5, 92.0, 0.5), LIMITS)
    assert state.factor == 0.8
    state, _ = advance(state, Sample(120.0, 230.0, 0.5, last_w, 0.5), LIMITS)
    assert state.past.count == 2
    assert state.factor == factor


def test_seconds_around_a_reading_without_supply_are_not_known() -> None:
    """Neither those before it nor those after it, however short the outage."""
    state = begin(0.0)
    for t_s, volts in ((1.0, 230.0), (2.0, 230.0), (3.0, 20.0), (4.0, 230.0), (5.0, 230.0)):
        state, _ = advance(state, Sample(t_s, volts, 0.5, 92.0, 0.8), LIMITS)
    assert state.open.filled_s == 3.0
    assert state.open.disturbed


def test_before_the_first_block_no_power_factor_is_known() -> None:
    """Nothing that comes back in the first minute is compared with one."""
    assert begin(0.0).factor == 0.0
