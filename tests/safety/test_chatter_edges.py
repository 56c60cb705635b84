"""Poor contact: what is forgotten, what fades, and readings at the limits of their time."""

from __future__ import annotations

from dataclasses import replace

import pytest

from safety.chatter import Chatter, observe
from safety.circuit import Circuit
from safety.limits import PortLimits
from safety.reading import MeterReading

LIMITS = PortLimits()
ON = Circuit(closed_s=100.0, opened_s=None, fed_s=90.0, neighbours_v=220.0, neighbours_a=0.0)
HELD = Chatter(closed_s=100.0, level_w=400.0, held_s=110.0, broke_s=111.0, breaks_s=(102.0,))


def read(memory: Chatter, taken_s: float, watts: float, volts: float = 220.0) -> Chatter:
    """Return the memory with one more reading."""
    return observe(memory, MeterReading(taken_s, volts, watts / 220.0, watts), LIMITS, ON)


def test_a_reading_of_the_moment_of_closing_says_nothing() -> None:
    """It was begun before."""
    assert read(Chatter(), 100.0, 400.0) == Chatter(closed_s=100.0)
    assert read(Chatter(), 100.1, 400.0) == Chatter(closed_s=100.0, level_w=400.0, held_s=100.1)


def test_a_sag_of_the_mains_forgets_the_load() -> None:
    """What comes back after it is a new level; breaks that ended before it stay."""
    assert read(HELD, 112.0, 0.0, volts=100.0) == Chatter(closed_s=100.0, breaks_s=(102.0,))


def test_the_level_fades_by_the_time_since_it_was_held() -> None:
    """A tenth in two seconds; more power than that is the new level."""
    faded = read(replace(HELD, broke_s=None), 112.0, 300.0)
    assert faded.level_w == pytest.approx(360.0)
    assert (faded.held_s, faded.breaks_s) == (112.0, (102.0,))
    assert read(replace(HELD, broke_s=None), 112.0, 380.0).level_w == 380.0


@pytest.mark.parametrize(("taken_s", "breaks"), [(117.0, (102.0, 111.0)), (117.1, (102.0,))])
def test_what_comes_back_within_seven_seconds_ends_a_break(taken_s: float, breaks: tuple[float, ...]) -> None:
    """Later it is another load."""
    after = read(HELD, taken_s, 400.0)
    assert (after.breaks_s, after.broke_s, after.level_w) == (breaks, None, 400.0)
