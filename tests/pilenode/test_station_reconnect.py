"""Promises of the pauses: a fleet comes back as planned, trouble makes them longer, a lost link costs seconds."""

from __future__ import annotations

import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilenode.station.reconnect import Ending, Turn, after, first

BASE_S, CAP_S = 2.0, 900.0


def following(ending: Ending, last: Turn, chance: float, spread_s: float = 10.0) -> Turn:
    """Return the next attempt with the default base and cap."""
    return after(ending, last, base_s=BASE_S, cap_s=CAP_S, spread_s=spread_s, chance=chance)


@pytest.mark.parametrize("chance", [0.0, 0.5, 1.0])
def test_after_a_start_somebody_may_be_waiting(chance: float) -> None:
    """The first attempt comes within the base, and what fails after it is spread."""
    turn = first(BASE_S, chance)
    assert turn == Turn(chance * BASE_S, own=False)
    assert following(Ending.FAILED, turn, 0.5) == Turn(5.0, 1)


@pytest.mark.parametrize(("spread_s", "longest_s"), [(0.0, 2.0), (2.0, 2.0), (60.0, 60.0)])
def test_the_loss_of_a_good_connection_is_spread(spread_s: float, longest_s: float) -> None:
    """The first pause is anything up to the spread, and the doubling begins anew."""
    for chance in (0.0, 0.5, 1.0):
        assert following(Ending.STOOD, Turn(900.0, 7, own=False), chance, spread_s) == Turn(chance * longest_s)


@pytest.mark.parametrize("chance", [0.0, 0.5, 1.0])
def test_attempts_that_fail_wait_longer_and_longer_and_keep_their_time(chance: float) -> None:
    """From the spread up to the cap, doubled each time, and the same for everybody."""
    turn, pauses = following(Ending.STOOD, Turn(0.0), chance), []
    for _ in range(10):
        turn = following(Ending.FAILED, turn, chance)
        pauses.append(turn.pause_s)
    assert pauses == [10.0, 10.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 900.0, 900.0]
    assert following(Ending.FAILED, Turn(900.0, 1_000_000), chance).pause_s == 900.0


def test_a_spread_above_the_cap_stays_the_spread() -> None:
    """A small cap does not make a large fleet come at once."""
    turn = after(Ending.FAILED, Turn(0.0), base_s=BASE_S, cap_s=5.0, spread_s=60.0, chance=0.5)
    assert turn.pause_s == 60.0


@pytest.mark.parametrize(("chance", "pause_s"), [(0.0, 0.0), (0.5, 8.0), (1.0, 16.0)])
def test_what_breaks_soon_is_spread_over_the_doubled_pause(chance: float, pause_s: float) -> None:
    """What broke it broke all at once: nobody keeps a time."""
    assert following(Ending.BROKE, Turn(10.0, 2), chance) == Turn(pause_s, 3)


@given(st.integers(0, 40), st.floats(0, 1), st.booleans())
def test_without_a_way_out_the_next_attempt_is_soon(attempt: int, chance: float, own: bool) -> None:  # noqa: FBT001
    """While this machine has no link or no route it looks again within 1.5 s, for ever, and never in a tight loop."""
    turn = following(Ending.NO_WAY_OUT, Turn(1.0, attempt, own), chance)
    assert 0.2 <= turn.pause_s <= 1.5
    assert (turn.attempt, turn.own) == (attempt, False)


def test_what_fails_after_a_way_out_is_spread_anew() -> None:
    """A mast that comes back lets a thousand cabinets try within a second; they do not come together again."""
    turn = following(Ending.NO_WAY_OUT, Turn(3.0), 0.5)
    assert following(Ending.FAILED, turn, 0.25) == Turn(2.5, 1)


@pytest.mark.parametrize("spread_s", [10.0, 30.0, 60.0])
@pytest.mark.parametrize("away_s", [0.0, 5.0, 20.0, 100.0, 700.0])
def test_a_fleet_comes_back_as_planned(spread_s: float, away_s: float) -> None:
    """However long the broker was away, no second sees more than 1.2 times the plan, and nobody waits for ever."""
    nodes, chances = 20_000, random.Random(1)  # noqa: S311 - nothing secret
    came: Counter[int] = Counter()
    for _ in range(nodes):
        turn, at_s = following(Ending.STOOD, Turn(0.0), chances.random(), spread_s), 0.0
        while (at_s := at_s + turn.pause_s) < away_s:
            turn = following(Ending.FAILED, turn, chances.random(), spread_s)
        came[int(at_s)] += 1
    assert max(came.values()) <= 1.2 * nodes / spread_s
    assert max(came) <= 2.5 * away_s + spread_s + 1
