"""Thresholds of the protective rules. A limit that contradicts another cannot be constructed.

Every default names where it comes from. Protective limits and convenience limits never share a number:
what ends a session normally lives in ``completion.CompletionLimits``.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise


def _ordered(**values: float) -> None:
    names = list(values)
    for low, high in pairwise(names):
        if not values[low] < values[high]:
            raise ValueError(f"{low} = {values[low]} must be below {high} = {values[high]}")


def _positive(**values: float) -> None:
    for name, value in values.items():
        if not value > 0:
            raise ValueError(f"{name} = {value} must be above 0")


@dataclass(frozen=True, slots=True)
class PortLimits:
    """Limits of one port.

    Over-current is two-staged: ``over_current_fast_ratio`` times the limit in two consecutive samples, or
    ``over_current_slow_ratio`` times the limit for ``over_current_slow_s`` (requirements SAF-3). The same
    ratios and times apply to power. Temperatures: field practice 65/80 °C, clear at 55 (SAF-4).
    """

    current_limit_a: float = 6.0
    power_limit_w: float = 1000.0
    over_current_slow_ratio: float = 1.1
    over_current_slow_s: float = 5.0
    over_current_fast_ratio: float = 1.5
    fast_samples: int = 2
    temperature_clear_c: float = 55.0
    temperature_warn_c: float = 65.0
    temperature_inhibit_c: float = 70.0
    temperature_trip_c: float = 80.0
    temperature_trip_s: float = 10.0
    meter_max_age_s: float = 3.0
    probe_max_age_s: float = 60.0

    def __post_init__(self) -> None:
        _positive(
            current_limit_a=self.current_limit_a,
            power_limit_w=self.power_limit_w,
            over_current_slow_s=self.over_current_slow_s,
            fast_samples=self.fast_samples,
            meter_max_age_s=self.meter_max_age_s,
            probe_max_age_s=self.probe_max_age_s,
        )
        if self.temperature_trip_s < 0:
            raise ValueError(f"temperature_trip_s = {self.temperature_trip_s} must not be negative")
        _ordered(
            one=1.0,
            over_current_slow_ratio=self.over_current_slow_ratio,
            over_current_fast_ratio=self.over_current_fast_ratio,
        )
        _ordered(
            temperature_clear_c=self.temperature_clear_c,
            temperature_warn_c=self.temperature_warn_c,
            temperature_inhibit_c=self.temperature_inhibit_c,
            temperature_trip_c=self.temperature_trip_c,
        )


@dataclass(frozen=True, slots=True)
class CabinetLimits:
    """Limits of the whole cabinet.

    ``close_stagger_s`` separates two closings (requirements 5.2: never two relays in one inrush).
    ``contactor_settle_s`` is the wait between the master contactor and the first port relay, so that the
    contactor closes without load; ``contactor_hold_s`` keeps it closed after the last port opened.
    """

    lease_max_s: float = 60.0
    close_stagger_s: float = 0.2
    contactor_settle_s: float = 0.2
    contactor_hold_s: float = 5.0

    def __post_init__(self) -> None:
        _positive(
            lease_max_s=self.lease_max_s,
            close_stagger_s=self.close_stagger_s,
            contactor_settle_s=self.contactor_settle_s,
            contactor_hold_s=self.contactor_hold_s,
        )
