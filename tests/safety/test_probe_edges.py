"""Exact limits of what is believed of a probe."""

from __future__ import annotations

import pytest

from safety.limits import PortLimits
from safety.probe import Felt, feel
from safety.reading import ProbeReading

LIMITS = PortLimits()


def felt(*readings: tuple[float, float]) -> Felt:
    """Return the memory after readings of (seconds, °C)."""
    memory = Felt()
    for taken_s, celsius in readings:
        memory = feel(memory, ProbeReading(taken_s, celsius), LIMITS, LIMITS.temperature_rise_k_per_min)
    return memory


@pytest.mark.parametrize(
    ("before_c", "value_c", "believed"),
    [(30.0, 50.0, True), (30.0, 50.5, False), (50.0, 30.0, True), (50.0, 29.5, False), (80.0, 85.0, True)],
)
def test_a_step_of_exactly_the_limit_is_no_jump(before_c: float, value_c: float, *, believed: bool) -> None:
    """20 K, or 5 K from the power-on value, in either direction."""
    memory = felt((0.0, before_c), (2.0, value_c))
    assert (memory.doubt is None) is believed


@pytest.mark.parametrize(
    ("before_c", "jump_c", "back_c", "counted"),
    [
        (30.0, 60.0, 40.0, True),  # back by 20 K: the jump was true, and so is the fall
        (30.0, 60.0, 39.5, False),
        (60.0, 30.0, 50.0, True),
        (60.0, 30.0, 50.5, False),
        (75.0, 85.0, 80.0, True),  # the power-on value, back by 5 K
        (75.0, 85.0, 79.5, False),
    ],
)
def test_a_way_back_of_exactly_the_limit_contradicts_nothing(
    before_c: float, jump_c: float, back_c: float, *, counted: bool
) -> None:
    """What counted stands in the samples that the rate of rise is computed from, when they are far enough apart."""
    memory = felt((0.0, before_c), (12.0, jump_c), (24.0, back_c))
    assert ((12.0, jump_c) in memory.rise.samples) is counted
