"""The relay rule between closings and openings, on memories made by hand."""

from __future__ import annotations

from dataclasses import replace

from safety.circuit import Circuit
from safety.limits import PortLimits
from safety.reading import MeterReading
from safety.switching import Switching, follow, observe

LIMITS = PortLimits()
OPEN = Circuit(closed_s=None, opened_s=200.0, fed_s=90.0, neighbours_v=220.0, neighbours_a=0.0)
CLOSED = Circuit(closed_s=100.0, opened_s=None, fed_s=90.0, neighbours_v=220.0, neighbours_a=0.0)
BEFORE = Switching(3, 3, None, 50.0, lived=True, drew=True, loaded=True, empty_starts=1, proved_s=7.0)
IDLE = MeterReading(140.0, 220.0, 0.0, 0.0)


def test_a_closing_begins_anew() -> None:
    """Only empty starts and the last proof are of more than one closing."""
    assert follow(BEFORE, LIMITS, CLOSED) == Switching(closed_s=100.0, empty_starts=1, proved_s=7.0)


def test_an_opening_forgets_what_was_counted_while_closed() -> None:
    """The load before it is kept: it is what the opening must end."""
    memory = replace(BEFORE, closed_s=100.0)
    assert follow(memory, LIMITS, OPEN) == replace(memory, closed_s=None, live_count=0, dead_count=0)


def test_an_empty_start_is_one_that_never_drew_and_was_watched() -> None:
    """A load that came and went is no empty start."""
    empty = Switching(closed_s=100.0, watched_s=30.0)
    assert follow(empty, LIMITS, OPEN).empty_starts == 1
    assert follow(replace(empty, drew=True), LIMITS, OPEN).empty_starts == 0
    assert follow(replace(empty, watched_s=29.9), LIMITS, OPEN).empty_starts == 0


def test_a_reading_of_the_moment_of_closing_says_nothing() -> None:
    """It was begun before."""
    memory = follow(BEFORE, LIMITS, CLOSED)
    assert observe(memory, replace(IDLE, taken_s=100.0), LIMITS, CLOSED) == memory
    assert observe(memory, replace(IDLE, taken_s=100.1), LIMITS, CLOSED) != memory


def test_what_drew_once_has_drawn() -> None:
    """A load is remembered for its closing, the last reading for its opening; it ends the count of empty starts."""
    memory = replace(follow(BEFORE, LIMITS, CLOSED), empty_starts=2)
    drawing = observe(memory, replace(IDLE, power_w=10.0), LIMITS, CLOSED)
    assert (drawing.drew, drawing.loaded, drawing.empty_starts, drawing.dead_count) == (True, True, 0, 0)
    after = observe(drawing, replace(IDLE, taken_s=141.0), LIMITS, CLOSED)
    assert (after.drew, after.loaded, after.watched_s) == (True, False, 41.0)
    again = observe(after, replace(IDLE, taken_s=142.0, power_w=10.0), LIMITS, CLOSED)
    assert again.drew
    idle = observe(memory, IDLE, LIMITS, CLOSED)
    assert (idle.drew, idle.loaded, idle.empty_starts) == (False, False, 2)
    assert not observe(idle, replace(IDLE, taken_s=141.0), LIMITS, CLOSED).drew


def test_voltage_ends_the_count_of_readings_without_it() -> None:
    """Nothing is left of it."""
    memory = replace(follow(BEFORE, LIMITS, CLOSED), dead_count=1)
    assert observe(memory, IDLE, LIMITS, CLOSED).dead_count == 0
