"""Finding the scale of a power that sources disagree on: by a real load, exactly one candidate, or not at all."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.scales import APART, NOTHING_W, TELLING_W, TOLERANCE, fitting, negligible_w

JSY1031 = (0.01, 0.1, 0.0001)


@pytest.mark.parametrize(
    ("raw", "expected_w", "scale"),
    [
        (9039.0, 903.6, 0.1),  # the vendor's example of a JSY1031
        (90_390.0, 903.6, 0.01),
        (9_039_000.0, 903.6, 0.0001),
        (100.0, 10.0, 0.1),
        (100.0, 9.99, None),  # too small a load
        (125.0, 10.0, 0.1),  # 25 % too much
        (125.1, 10.0, None),
        (75.0, 10.0, 0.1),
        (74.9, 10.0, None),
        (0.0, 900.0, None),
        (300.0, 90.0, None),  # between two candidates
        (math.nan, 900.0, None),
        (9039.0, math.nan, None),
        (9039.0, math.inf, None),
    ],
)
def test_a_scale_fits_or_does_not(raw: float, expected_w: float, scale: float | None) -> None:
    """Exactly one candidate within 25 % of V·I·PF, at 10 W and more."""
    assert (TELLING_W, TOLERANCE) == (10.0, 0.25)
    assert fitting(raw, JSY1031, expected_w) == scale


def test_two_candidates_that_both_fit_decide_nothing() -> None:
    """Which of them is right would be a guess."""
    assert fitting(100.0, (1.0, 1.2), 110.0) is None


@pytest.mark.parametrize(("raw", "power_w"), [(0.0, 0.0), (9.0, 0.9), (10.0, None), (-9.0, -0.9), (-10.0, None)])
def test_what_every_scale_calls_nothing_is_nothing(raw: float, power_w: float | None) -> None:
    """Below 1 W by the largest scale the scale does not matter; from there on it does."""
    assert NOTHING_W == 1.0
    assert negligible_w(raw, JSY1031) == (None if power_w is None else pytest.approx(power_w))


@given(raw=st.floats(0.1, 1e9), low=st.floats(1e-4, 1e3), factor=st.floats(APART, 1e4), expected_w=st.floats(0, 3e4))
def test_candidates_far_enough_apart_never_both_fit(raw: float, low: float, factor: float, expected_w: float) -> None:
    """The rule of the profile (each twice the next smaller) makes "exactly one" the same as "one"."""
    fits = [scale for scale in (low, low * factor) if fitting(raw, (scale,), expected_w) is not None]
    assert len(fits) <= 1
