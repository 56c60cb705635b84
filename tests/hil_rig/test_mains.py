"""The wander of the mains is bounded, always moving, and the same every time."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hil_rig.mains import FLICKER_S, FLICKER_SHARE, WANDER_S, wander_v


@given(st.floats(0.0, 1e7), st.integers(-(2**63), 2**63 - 1))
def test_the_wander_is_bounded(elapsed_s: float, seed: int) -> None:
    """Never more than the slow part and the flicker together."""
    assert abs(wander_v(elapsed_s, 1.5, seed)) <= 1.5 * (1.0 + FLICKER_SHARE) + 1e-6


def test_the_same_seed_wanders_the_same_way() -> None:
    """A rig that is run twice sees the same mains; another seed sees others."""
    times_s = [i * 0.37 for i in range(200)]
    first = [wander_v(t, 1.5, 7) for t in times_s]
    assert first == [wander_v(t, 1.5, 7) for t in times_s]
    assert first != [wander_v(t, 1.5, 8) for t in times_s]


def test_the_flicker_is_even_and_the_slow_part_a_sine() -> None:
    """The mean over many periods is nothing; a quarter of a period after a zero stands the peak."""
    values = [wander_v((i + 0.5) * FLICKER_S, 1.5) for i in range(round(100 * WANDER_S / FLICKER_S))]
    assert sum(values) / len(values) == pytest.approx(0.0, abs=0.01)
    assert wander_v(WANDER_S / 4, 1.5) == pytest.approx(1.5, abs=0.2)
    assert wander_v(3 * WANDER_S / 4, 1.5) == pytest.approx(-1.5, abs=0.2)


def test_no_size_is_no_wander() -> None:
    """Switched off it is exactly nothing."""
    assert {wander_v(i * 0.1, 0.0) for i in range(100)} == {0.0}
