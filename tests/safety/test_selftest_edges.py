"""Self tests: what a dataclass of any shape becomes, and exact limits of clock and loop rate."""

from __future__ import annotations

import struct
from dataclasses import astuple, fields, make_dataclass

import pytest

from safety.limits import PortLimits
from safety.selftest import Pace, Rate, Sequence, _chunks, _getter, paced, ticked
from safety.state import Contact

DOOR = Contact("door", "door_open", 0.5)
#: Computed with remainders and divisions in place of shifts and masks.
SIGNATURE = 0x15AF_012F_F343_6B5A


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
    assert Sequence(("inputs", "limits", "judge", "open", "close")).expected == SIGNATURE


def test_within_its_window_a_clock_is_not_judged() -> None:
    """Whatever the second one shows by then: single seconds of it say nothing."""
    begun = paced(Pace(), 1000.0, 500.0)
    assert paced(begun, 1059.9, 530.0) is begun
    assert paced(begun, 1060.0, 530.0).strikes == 1


@pytest.mark.parametrize(("window_s", "intervals"), [(0.1, 1), (0.4, 1), (1.0, 1), (2.0, 2), (3.0, 3)])
def test_a_window_has_one_interval_at_least(window_s: float, intervals: int) -> None:
    """However short it is."""
    assert Rate(period_s=1.0, window_s=window_s).intervals == intervals


def test_two_ticks_at_one_moment_are_not_judged_yet() -> None:
    """Too fast is only seen when the window is full."""
    assert ticked(ticked(Rate(), 10.0), 10.0).sound


@pytest.mark.parametrize(("period_s", "sound"), [(0.25, True), (0.24, False)])
def test_at_its_highest_rate_the_loop_is_sound(period_s: float, *, sound: bool) -> None:
    """Twice as fast as nominal is allowed here, and no more."""
    rate = Rate(period_s=0.5, window_s=2.0, high=2.0)
    for number in range(5):
        rate = ticked(rate, number * period_s)
    assert rate.sound is sound


def test_a_sequence_is_its_stages() -> None:
    """Equal ones are one key of a table, and what they are made of is nobody's business."""
    first, second = Sequence(("judge", "open")), Sequence(("judge", "open"))
    assert first == second
    assert len({first, second}) == 1
    assert "_tokens" not in repr(first)


def test_numbers_are_numbers_however_their_types_are_written() -> None:
    """A dataclass whose annotations are types and not words becomes the same bytes."""
    made = make_dataclass("Made", [("volts", float), ("count", int), ("name", str)])(1.5, 2, "a")
    assert b"".join(_chunks(made)) == struct.pack("!2d", 1.5, 2) + b"'a';"


def test_a_class_is_not_its_values() -> None:
    """Settings that hold a class by mistake are still told apart by it."""
    assert b"".join(_chunks(PortLimits)) == repr(PortLimits).encode() + b";"


def test_a_short_window_is_judged_like_a_long_one() -> None:
    """Both clocks ran for one second, which is the window here: they agree."""
    assert paced(paced(Pace(window_s=1.0), 1000.0, 500.0), 1001.0, 501.0).strikes == 0
