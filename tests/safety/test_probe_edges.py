"""Exact limits of what is believed of a probe."""

from __future__ import annotations

import math

import pytest

from safety.limits import PortLimits
from safety.probe import Felt, faulty, feel
from safety.reading import Missing, MissingReason, ProbeReading

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


def test_a_jump_that_was_contradicted_leaves_nothing_behind() -> None:
    """Neither the reading nor the moment at which it would have counted."""
    memory = felt((0.0, 30.0), (2.0, 90.0), (4.0, 30.0))
    assert (memory.doubt, memory.doubt_until_s) == (None, math.inf)


@pytest.mark.parametrize(("at_s", "until_s"), [(1002.0, 1012.0), (1017.0, 1051.0), (1030.0, 1090.0)])
def test_when_a_jump_upwards_counts_by_itself(at_s: float, until_s: float) -> None:
    """After 10 s or two paces of the probe, whatever the clock shows."""
    assert felt((1000.0, 30.0), (at_s, 90.0)).doubt_until_s == until_s


@pytest.mark.parametrize(("now", "faulty_now"), [(1060.0, False), (1060.1, True)])
def test_a_probe_that_was_never_read_has_the_time_of_an_old_one(now: float, *, faulty_now: bool) -> None:
    """From when it was first waited for."""
    assert faulty(Missing(MissingReason.NEVER_READ, 1000.0), LIMITS, now) is faulty_now
