"""Every default of the protective limits as the safety case states it, and every sign and order that is refused."""

from __future__ import annotations

from dataclasses import asdict, fields
from itertools import pairwise

import pytest

from safety.limits import CabinetLimits, PortLimits

PORT = {
    "current_limit_a": 6.0,
    "power_limit_w": 1000.0,
    "over_current_slow_ratio": 1.1,
    "over_current_slow_s": 5.0,
    "over_current_fast_ratio": 1.5,
    "fast_samples": 2,
    "fast_confirm_s": 0.5,
    "voltage_high_v": 260.0,
    "voltage_low_v": 176.0,
    "voltage_s": 5.0,
    "voltage_hysteresis_v": 5.0,
    "voltage_clear_s": 10.0,
    "supply_lost_v": 30.0,
    "supply_lost_s": 2.0,
    "temperature_clear_c": 55.0,
    "temperature_warn_c": 65.0,
    "temperature_inhibit_c": 70.0,
    "temperature_trip_c": 80.0,
    "temperature_trip_s": 10.0,
    "temperature_rise_k_per_min": 10.0,
    "temperature_rise_s": 60.0,
    "meter_max_age_s": 3.0,
    "probe_max_age_s": 60.0,
    "implausible_share": 0.1,
    "implausible_w": 10.0,
    "implausible_samples": 3,
    "implausible_s": 5.0,
    "meter_stuck_s": 60.0,
    "meter_frozen_s": 300.0,
    "energy_check_wh": 30.0,
    "time_scale": 1.0,
    "weld_current_a": 0.05,
    "weld_crosstalk": 0.015,
    "weld_settle_s": 2.0,
    "weld_samples": 2,
    "close_settle_s": 2.0,
    "meter_refresh_s": 1.0,
    "meter_behind_relay": False,
    "never_draws_starts": 3,
    "chatter_breaks": 6,
    "chatter_window_s": 60.0,
}
CABINET = {
    "lease_max_s": 60.0,
    "close_stagger_s": 0.2,
    "contactor_settle_s": 0.2,
    "contactor_hold_s": 5.0,
    "contactor_feedback_s": 1.0,
    "current_limit_a": 10.0,
    "shed_ratio": 1.1,
    "shed_s": 2.0,
    "start_reserve_a": 1.0,
    "start_reserve_s": 120.0,
    "inlet_max_age_s": 5.0,
    "temperature_clear_c": 50.0,
    "temperature_warn_c": 55.0,
    "temperature_inhibit_c": 60.0,
    "temperature_trip_c": 70.0,
    "temperature_trip_s": 10.0,
    "temperature_rise_k_per_min": 10.0,
    "temperature_rise_s": 60.0,
    "probe_max_age_s": 60.0,
    "probes_lost_s": 60.0,
}
#: Fields for which nothing is a sound value: no dwell, no reserve, a meter that is always up to date.
MAY_BE_ZERO = {"temperature_trip_s", "start_reserve_a", "meter_refresh_s"}
NUMBERS = [
    (kind, field.name)
    for kind in (PortLimits, CabinetLimits)
    for field in fields(kind)
    if field.name != "meter_behind_relay"
]


def made(kind: type[PortLimits | CabinetLimits], name: str, value: float) -> float:
    """Return a field of limits that were made with this value for it."""
    return float(getattr(kind(**{name: value}), name))  # type: ignore[arg-type] # some count


def test_the_shipped_values() -> None:
    """A default is a decision with a source: who changes one changes the safety case and this table."""
    assert asdict(PortLimits()) == PORT
    assert asdict(CabinetLimits()) == CABINET


@pytest.mark.parametrize(("kind", "name"), NUMBERS, ids=lambda value: getattr(value, "__name__", value))
def test_nothing_is_negative_and_only_a_dwell_or_a_reserve_may_be_zero(
    kind: type[PortLimits | CabinetLimits], name: str
) -> None:
    """A threshold of nothing would switch its rule off or on for ever; the words say what is allowed."""
    may_be_zero = name in MAY_BE_ZERO
    words = "must not be negative" if may_be_zero else "must be above 0"
    with pytest.raises(ValueError, match=f"{name} = -1 {words}"):
        made(kind, name, -1)
    if may_be_zero:
        assert made(kind, name, 0.0) == 0.0
    else:
        with pytest.raises(ValueError, match=f"{name} = 0.0 {words}"):
            made(kind, name, 0.0)


_TEMPERATURES = ("temperature_clear_c", "temperature_warn_c", "temperature_inhibit_c", "temperature_trip_c")


@pytest.mark.parametrize(
    ("kind", "low", "high"),
    [
        (PortLimits, "over_current_slow_ratio", "over_current_fast_ratio"),
        (PortLimits, "supply_lost_v", "voltage_low_v"),
        (PortLimits, "voltage_low_v", "voltage_high_v"),
        (PortLimits, "meter_stuck_s", "meter_frozen_s"),
        *((kind, *pair) for kind in (PortLimits, CabinetLimits) for pair in pairwise(_TEMPERATURES)),
    ],
)
def test_what_must_rise_rises(kind: type[PortLimits | CabinetLimits], low: str, high: str) -> None:
    """Two limits that are equal or the wrong way round are refused, by name; a little between them is enough."""
    value = getattr(kind(), high)
    for wrong in (value, value + 0.01):
        with pytest.raises(ValueError, match=f"{low} = .* must be below {high} = "):
            made(kind, low, wrong)
    assert made(kind, low, value - 0.01) == value - 0.01


@pytest.mark.parametrize(
    ("kind", "name"), [(PortLimits, "over_current_slow_ratio"), (CabinetLimits, "shed_ratio")], ids=["port", "cabinet"]
)
def test_a_ratio_is_above_one(kind: type[PortLimits | CabinetLimits], name: str) -> None:
    """What is allowed may not be too much at the same time."""
    for wrong in (0.99, 1.0):
        with pytest.raises(ValueError, match=f"one = 1.0 must be below {name} = "):
            made(kind, name, wrong)
    assert made(kind, name, 1.01) == 1.01


@pytest.mark.parametrize(("refresh_s", "after_s"), [(0.0, 2.0), (1.0, 2.0), (1.75, 2.0), (1.76, 2.01), (3.0, 3.25)])
def test_no_verdict_on_a_relay_before_its_meter_can_know(refresh_s: float, after_s: float) -> None:
    """The settling time, or the refresh of the meter and a quarter of a second for the contacts where that is more."""
    limits = PortLimits(meter_refresh_s=refresh_s)
    assert (limits.opened_after_s, limits.closed_after_s) == pytest.approx((after_s, after_s))
    assert PortLimits(weld_settle_s=4.0).opened_after_s == PortLimits(close_settle_s=4.0).closed_after_s == 4.0
