"""Limits that contradict each other cannot exist."""

from __future__ import annotations

import pytest

from safety.limits import CabinetLimits, PortLimits


@pytest.mark.parametrize(
    "change",
    [
        {"current_limit_a": 0.0},
        {"power_limit_w": -1.0},
        {"over_current_slow_ratio": 1.0},
        {"over_current_slow_ratio": 1.5},
        {"over_current_fast_ratio": 1.1},
        {"over_current_slow_s": 0.0},
        {"fast_samples": 0},
        {"temperature_clear_c": 65.0},
        {"temperature_warn_c": 70.0},
        {"temperature_inhibit_c": 80.0},
        {"temperature_trip_s": -0.1},
        {"meter_max_age_s": 0.0},
        {"probe_max_age_s": 0.0},
    ],
)
def test_contradictions_are_refused(change: dict[str, float]) -> None:
    """Every ordering and every sign is checked when the limits are made."""
    with pytest.raises(ValueError, match=next(iter(change))):
        PortLimits(**change)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["lease_max_s", "close_stagger_s", "contactor_settle_s", "contactor_hold_s"])
def test_cabinet_times_are_positive(name: str) -> None:
    """A time of nothing would switch its rule off."""
    with pytest.raises(ValueError, match=name):
        CabinetLimits(**{name: 0.0})
