"""Which meter is read next."""

from __future__ import annotations

import pytest

from pilenode.guard.schedule import Turn, choose, energy_due, pause_s


def test_every_meter_gets_its_turn_in_order() -> None:
    """Nobody is starved: the one that waited longest is next, a new one first of all."""
    turns = [Turn(1, tried_s=3.0), Turn(2, tried_s=1.0), Turn(3, tried_s=2.0)]
    assert choose(turns, 10.0) == turns[1]
    assert choose([*turns, Turn(4)], 10.0) == Turn(4)


@pytest.mark.parametrize(
    ("failures", "pause"), [(0, 0.0), (1, 0.0), (2, 0.0), (3, 0.5), (4, 1.0), (6, 4.0), (7, 5.0), (5000, 5.0)]
)
def test_a_dead_meter_is_tried_less_often_but_for_ever(failures: int, pause: float) -> None:
    """Two lost frames are noise; from the third failure on the pause doubles up to 5 s."""
    assert pause_s(failures) == pause


@pytest.mark.parametrize(("waited_s", "port"), [(0.49, None), (0.5, 1)])
def test_a_meter_in_its_pause_is_left_alone(waited_s: float, port: int | None) -> None:
    """A pause is kept to the end and not longer."""
    turn = choose([Turn(1, tried_s=100.0, failures=3)], 100.0 + waited_s)
    assert (turn.port if turn else None) == port


def test_a_dead_meter_does_not_push_a_live_one_away() -> None:
    """While one meter is in its pause the others go on."""
    dead, alive = Turn(1, tried_s=0.0, failures=9), Turn(2, tried_s=3.0)
    assert choose([dead, alive], 4.9) == alive


@pytest.mark.parametrize(
    ("age_s", "live", "wanted", "due"),
    [
        (None, False, False, True),
        (0.0, False, True, True),
        (0.99, True, False, False),
        (1.0, True, False, True),
        (9.99, False, False, False),
        (10.0, False, False, True),
    ],
)
def test_the_energy_register_rides_along(age_s: float | None, *, live: bool, wanted: bool, due: bool) -> None:
    """Often while somebody pays, seldom while nobody does, at once when a session has just ended."""
    turn = Turn(1, tried_s=0.0, energy_s=None if age_s is None else 100.0 - age_s)
    assert energy_due(turn, 100.0, live=live, wanted=wanted) is due
