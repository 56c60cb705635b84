"""Samples and verdicts."""

from __future__ import annotations

import pytest

from safety.verdict import Sample, lasting


@pytest.mark.parametrize(
    ("volts", "amps", "watts", "reported", "factor"),
    [
        (230.0, 1.0, 138.0, None, 0.6),
        (230.0, 0.004, 0.46, None, 0.5),
        (230.0, 0.0, 0.0, None, 0.0),
        (0.0, 1.0, 0.0, None, 0.0),
        (230.0, 1.0, 138.0, 0.58, 0.58),
        (230.0, 1.0, 138.0, -0.58, 0.58),
    ],
)
def test_the_power_factor_is_the_meters_or_watts_over_volt_amperes(
    volts: float, amps: float, watts: float, reported: float | None, factor: float
) -> None:
    """A reversed clamp reports it negative; nothing drawn has none."""
    assert Sample(0.0, volts, amps, watts, reported).factor == pytest.approx(factor)


@pytest.mark.parametrize(
    ("seconds", "words"), [(3.0, "3.0 s"), (119.9, "119.9 s"), (120.0, "2.0 min"), (2280.0, "38.0 min")]
)
def test_durations_are_said_as_people_read_them(seconds: float, words: str) -> None:
    """A rig that runs 200 times as fast as life must not report 0 min."""
    assert lasting(seconds) == words
