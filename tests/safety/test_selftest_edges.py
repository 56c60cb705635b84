"""Self tests: what a dataclass of any shape becomes, and exact limits of clock and loop rate."""

from __future__ import annotations

import pytest

from safety.selftest import Pace, _getter, paced
from safety.state import Contact

DOOR = Contact("door", "door_open", 0.5)


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
