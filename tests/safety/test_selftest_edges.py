"""Self tests: what a dataclass of any shape becomes, and exact limits of clock and loop rate."""

from __future__ import annotations

import struct
from dataclasses import astuple, fields

import pytest

from safety.limits import PortLimits
from safety.selftest import Pace, Rate, Sequence, _chunks, _getter, paced
from safety.state import Contact

DOOR = Contact("door", "door_open", 0.5)
#: Computed with remainders and divisions in place of shifts and masks.
SIGNATURE = 0x3A54_D648_9D01_67C6


def test_numbers_are_taken_as_a_tuple_however_many_there_are() -> None:
    """None, one, several: one alone is not taken for itself."""
    assert _getter([])(DOOR) == ()
    assert _getter(["debounce_s"])(DOOR) == (0.5,)
    assert _getter(["debounce_s", "debounce_s"])(DOOR) == (0.5, 0.5)


@pytest.mark.parametrize(("clock_s", "strikes"), [(44.9, 1), (45.0, 0), (75.0, 0), (75.1, 1)])
def test_at_its_share_the_clock_is_right(clock_s: float, strikes: int) -> None:
    """A quarter either way is allowed here, and a quarter is no more than that."""
    begun = paced(Pace(share=0.25), 1000.0, 500.0)
    assert paced(begun, 1000.0 + clock_s, 560.0).strikes == strikes


def test_the_shipped_figures() -> None:
    """A window of a minute and 5 %; twenty ticks a second, over two seconds, a fifth either way."""
    assert Pace() == Pace(60.0, 0.05, 0, None, 0.0)
    assert Rate() == Rate(0.05, 2.0, 0.8, 1.2, ())


def test_every_number_is_eight_bytes() -> None:
    """Floats, counts and switches alike, in the order of the fields: one piece, quick enough for every tick."""
    limits = PortLimits()
    assert b"".join(_chunks(limits)) == struct.pack(f"!{len(fields(limits))}d", *astuple(limits))


def test_the_signature_of_a_tick_is_the_same_everywhere() -> None:
    """64 bits that depend on the names of the stages alone: not on the process, the machine or the day."""
    assert Sequence(("judge", "open")).expected == SIGNATURE
