"""Readings refuse what is not a plausible number, and know their age."""

from __future__ import annotations

import math

import pytest

from safety.reading import MeterReading, ProbeReading

GOOD = {"taken_s": 10.0, "voltage_v": 220.0, "current_a": 1.0, "power_w": 200.0}


@pytest.mark.parametrize("field", ["voltage_v", "current_a", "power_w"])
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, -0.001, 1e9])
def test_a_value_that_is_not_plausible_is_no_reading(field: str, value: float) -> None:
    """NaN, infinities, negative and absurd values are refused, never turned into zero."""
    with pytest.raises(ValueError, match=field):
        MeterReading(**(GOOD | {field: value}))


@pytest.mark.parametrize(
    ("field", "value", "good"),
    [
        ("voltage_v", 300.0, True),
        ("voltage_v", 300.1, False),
        ("current_a", 100.0, True),
        ("current_a", 100.1, False),
        ("power_factor", 1.05, True),
        ("power_factor", 1.06, False),
    ],
)
def test_the_range_gates(field: str, value: float, *, good: bool) -> None:
    """The gates stand where requirements MET-4 puts them."""
    if good:
        assert getattr(MeterReading(**(GOOD | {field: value})), field) == value
    else:
        with pytest.raises(ValueError, match=field):
            MeterReading(**(GOOD | {field: value}))


@pytest.mark.parametrize("energy", [math.nan, math.inf, -1.0])
def test_a_register_that_is_not_a_counter_is_refused(energy: float) -> None:
    """Energy is a finite, non-negative count."""
    with pytest.raises(ValueError, match="energy_wh"):
        MeterReading(**GOOD, energy_wh=energy, energy_taken_s=10.0)


def test_energy_needs_its_own_time() -> None:
    """An energy register without the time it was read could be of any age."""
    with pytest.raises(ValueError, match="energy_taken_s"):
        MeterReading(**GOOD, energy_wh=1.0)


@pytest.mark.parametrize("celsius", [-55.1, 125.1, math.nan])
def test_a_temperature_outside_the_probe_is_refused(celsius: float) -> None:
    """A DS18B20 cannot say that."""
    with pytest.raises(ValueError, match="temperature_c"):
        ProbeReading(0.0, celsius)


@pytest.mark.parametrize(("now", "age"), [(10.0, 0.0), (12.5, 2.5), (9.0, 0.0)])
def test_age(now: float, age: float) -> None:
    """Age grows with the clock and is never negative."""
    assert MeterReading(**GOOD).age_s(now) == age
    assert ProbeReading(10.0, 20.0).age_s(now) == age
