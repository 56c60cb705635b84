"""P against V·I·PF: limits, and what a wrong scale looks like."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.power_check import PowerVerdict, check_power
from safety.reading import MeterReading


def reading(power_w: float, expected_w: float, factor: float | None = 0.5) -> MeterReading:
    """Return a reading at 200 V whose V·I·PF (V·I without a factor) is ``expected_w``."""
    current_a = expected_w / 200 / (1.0 if factor is None else factor)
    return MeterReading(0.0, 200.0, current_a, power_w, factor)


@pytest.mark.parametrize(
    ("power_w", "expected_w", "verdict"),
    [
        (1050.0, 1000.0, PowerVerdict.GOOD),
        (1050.1, 1000.0, PowerVerdict.WRONG),
        (950.0, 1000.0, PowerVerdict.GOOD),
        (949.9, 1000.0, PowerVerdict.WRONG),
        (33.0, 30.0, PowerVerdict.GOOD),
        (33.1, 30.0, PowerVerdict.WRONG),
        (27.0, 30.0, PowerVerdict.GOOD),
        (26.9, 30.0, PowerVerdict.WRONG),
        (10.0, 9.0, PowerVerdict.GOOD),
        (9.9, 9.0, PowerVerdict.NO_LOAD),
        (0.0, 0.0, PowerVerdict.NO_LOAD),
        (0.0, 3.1, PowerVerdict.WRONG),
        (1.0, 1000.0, PowerVerdict.WRONG),
        (10_000.0, 1000.0, PowerVerdict.WRONG),
    ],
)
def test_five_per_cent_or_three_watts(power_w: float, expected_w: float, verdict: PowerVerdict) -> None:
    """MET-5 on its limits; a factor of ten or a thousand never passes, and rest proves nothing."""
    check = check_power([reading(power_w, expected_w)] * 3)
    assert check.verdict is verdict
    assert check.power_w == pytest.approx(power_w)
    assert check.expected_w == pytest.approx(expected_w)


@pytest.mark.parametrize(
    ("power_w", "verdict"),
    [
        (1050.0, PowerVerdict.GOOD),
        (1050.1, PowerVerdict.WRONG),
        (250.0, PowerVerdict.GOOD),
        (249.9, PowerVerdict.WRONG),
        (100.0, PowerVerdict.WRONG),
    ],
)
def test_without_a_power_factor_the_check_is_coarse(power_w: float, verdict: PowerVerdict) -> None:
    """From 0.3 to 1 times V·I, less or more the allowance: a tenth is found, and it is said to be coarse."""
    check = check_power([reading(power_w, 1000.0, None)] * 3)
    assert (check.verdict, check.coarse) == (verdict, True)


def test_the_mean_counts() -> None:
    """One reading that is off by more is no verdict: meters renew their registers one after the other."""
    assert check_power([reading(1100.0, 1000.0), reading(950.0, 1000.0), reading(1000.0, 1000.0)]).verdict == "good"


@pytest.mark.parametrize("count", [0, 1, 2])
def test_too_few_readings_prove_nothing(count: int) -> None:
    """Three at least."""
    assert check_power([reading(1000.0, 1000.0)] * count).verdict is PowerVerdict.TOO_FEW


@given(st.floats(20, 3000), st.sampled_from([0.001, 0.01, 0.1, 10.0]), st.sampled_from([0.5, 1.0, None]))
def test_a_wrong_scale_never_passes(expected_w: float, scale: float, factor: float | None) -> None:
    """Whatever the load from 20 W up, a power that is ten times off (or more) is never good."""
    assert check_power([reading(expected_w * scale, expected_w, factor)] * 3).verdict is not PowerVerdict.GOOD
