"""Exact limits of a rise, on samples that are put together by hand."""

from __future__ import annotations

import pytest

from safety.rise import Rise, _climbs, _slope, follow

MINUTES = tuple((60.0 * minute, celsius) for minute, celsius in enumerate((0.0, 1.0, 4.0, 20.0, 21.0)))


@pytest.mark.parametrize(
    ("count", "k_per_min"),
    [
        (2, 1.0),
        (3, 2.0),  # of 1, 2, 3
        (4, (3.0 + 20.0 / 3.0) / 2),  # of 1, 2, 3, 6.7, 9.5, 16
        (5, (5.25 + 20.0 / 3.0) / 2),  # of 1, 1, 2, 3, 5.25, 6.7, 6.7, 8.5, 9.5, 16
    ],
)
def test_the_slope_is_the_middle_of_all(count: int, k_per_min: float) -> None:
    """The median of the slopes between all pairs; of two middles their mean."""
    assert _slope(MINUTES[:count]) == pytest.approx(k_per_min)


@pytest.mark.parametrize(("step_k", "climbs"), [(2.5, True), (2.4, False)])
def test_a_step_agrees_with_a_quarter_of_the_rate(step_k: float, *, climbs: bool) -> None:
    """Two of four steps must agree: 2.5 K a minute for a rate of 10, and one step may not."""
    celsius = (0.0, step_k, 2 * step_k, 80.0, 160.0)
    samples = tuple((60.0 * minute, value) for minute, value in enumerate(celsius))
    assert _climbs(samples, 10.0, 240.0) is climbs


@pytest.mark.parametrize(("span_s", "climbs"), [(30.0, False), (60.0, True)])
def test_a_rise_must_cover_its_window_at_any_time_of_the_clock(span_s: float, *, climbs: bool) -> None:
    """Half a minute is no minute, also after a month."""
    samples = tuple((2.5e6 + span_s * part / 5, 20.0 + 10.0 * part) for part in range(6))
    assert _climbs(samples, 10.0, 60.0) is climbs


@pytest.mark.parametrize(("k_per_min", "rising"), [(5.0, False), (5.5, True)])
def test_a_rise_is_over_at_half_its_rate(k_per_min: float, *, rising: bool) -> None:
    """Above that it goes on, once it was found."""
    samples = tuple((60.0 * minute, k_per_min * minute) for minute in range(4))
    assert follow(Rise(samples, rising=True), 240.0, k_per_min * 4, 10.0, 180.0).rising is rising
    assert not follow(Rise(samples, rising=False), 240.0, k_per_min * 4, 10.0, 180.0).rising


@pytest.mark.parametrize(("after_s", "kept"), [(9.9, 1), (10.0, 2)])
def test_one_sample_is_kept_per_sixth_of_the_window(after_s: float, kept: int) -> None:
    """A probe that is read ten times a second fills no memory."""
    memory = follow(follow(Rise(), 1000.0, 20.0, 10.0, 60.0), 1000.0 + after_s, 20.0, 10.0, 60.0)
    assert len(memory.samples) == kept


def test_a_sample_that_comes_in_time_is_not_missed_by_a_rounding() -> None:
    """From 6.4 to 16.4 s are ten seconds, though their difference is a trifle less."""
    assert 16.4 - 6.4 < 10.0
    memory = follow(follow(Rise(), 6.4, 20.0, 10.0, 60.0), 16.4, 20.0, 10.0, 60.0)
    assert len(memory.samples) == 2
