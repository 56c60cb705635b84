"""Promises of the pauses: spread over a fleet, growing under trouble, short while nothing leaves the machine."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilenode.station.reconnect import Ending, after, pause_s


@pytest.mark.parametrize(
    ("attempt", "longest_s"), [(0, 2.0), (1, 4.0), (2, 8.0), (8, 512.0), (9, 900.0), (1_000_000, 900.0)]
)
def test_pause_is_full_jitter_below_a_cap(attempt: int, longest_s: float) -> None:
    """The pause is anything from none to the doubled base, and to the cap at most."""
    assert pause_s(attempt, 2.0, 900.0, 0.0) == 0.0
    assert pause_s(attempt, 2.0, 900.0, 1.0) == longest_s
    assert pause_s(attempt, 2.0, 900.0, 0.5) == longest_s / 2


def pause(ending: Ending, attempt: int, chance: float, spread_s: float = 60.0) -> tuple[float, int]:
    """Return pause and next attempt with the default base and cap."""
    return after(ending, attempt, base_s=2.0, cap_s=900.0, spread_s=spread_s, chance=chance)


def test_attempts_that_fail_wait_longer_and_longer() -> None:
    """Each failed attempt doubles the longest pause."""
    attempt, longest = 0, []
    for _ in range(10):
        longest_s, attempt = pause(Ending.FAILED, attempt, 1.0)
        longest.append(longest_s)
    assert longest == [4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 900.0, 900.0]


@pytest.mark.parametrize(("spread_s", "longest_s"), [(0.0, 2.0), (60.0, 60.0)])
def test_a_fleet_that_lost_its_broker_comes_back_spread(spread_s: float, longest_s: float) -> None:
    """After a connection that stood the first pause is anything up to the spread, and the doubling begins anew."""
    assert pause(Ending.STOOD, 7, 1.0, spread_s) == (longest_s, 0)
    assert pause(Ending.STOOD, 7, 0.0, spread_s) == (0.0, 0)


@given(st.integers(0, 40), st.floats(0, 1))
def test_without_a_way_out_the_next_attempt_is_soon(attempt: int, chance: float) -> None:
    """While this machine has no link or no route it looks again within 1.5 s, for ever, and never in a tight loop."""
    pause_s, following = pause(Ending.NO_WAY_OUT, attempt, chance)
    assert 0.2 <= pause_s <= 1.5
    assert following == attempt
