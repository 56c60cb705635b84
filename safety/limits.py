"""Thresholds of the protective rules. A limit that contradicts another cannot be constructed.

Every default names where it comes from. Protective limits and convenience limits never share a number:
what ends a session normally lives in ``completion.CompletionLimits``.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from itertools import pairwise

#: What a contact takes to move, seconds, beside the refresh of its meter: 100 ms for a large contactor, with a margin.
_LAG_S = 0.25
#: Fields that may be zero; every other one must be above it.
_MAY_BE_ZERO = frozenset({"temperature_trip_s", "start_reserve_a", "meter_refresh_s"})


def _ordered(**values: float) -> None:
    names = list(values)
    for low, high in pairwise(names):
        if not values[low] < values[high]:
            raise ValueError(f"{low} = {values[low]} must be below {high} = {values[high]}")


def _positive(limits: PortLimits | CabinetLimits) -> None:
    for field in fields(limits):
        value = getattr(limits, field.name)
        if isinstance(value, bool):
            continue
        if value < 0 or (value == 0 and field.name not in _MAY_BE_ZERO):
            word = "must not be negative" if field.name in _MAY_BE_ZERO else "must be above 0"
            raise ValueError(f"{field.name} = {value} {word}")


@dataclass(frozen=True, slots=True)
class PortLimits:
    """Limits of one port. Units are in the names; sources stand beside the defaults."""

    # Over-current: 1.1x for 5 s, falling inversely with the excess, and 1.5x in two samples (requirements SAF-3).
    # The same ratios and times apply to active power.
    current_limit_a: float = 6.0
    power_limit_w: float = 1000.0
    over_current_slow_ratio: float = 1.1
    over_current_slow_s: float = 5.0
    over_current_fast_ratio: float = 1.5
    fast_samples: int = 2
    #: A sample over the fast stage that no good sample contradicts within this time counts as confirmed by silence.
    fast_confirm_s: float = 0.5
    # Voltage: 160 to 260 V and 100 to 270 V are practice; 176 V is 220 V - 20 % (requirements 3.2, SAF-5).
    voltage_high_v: float = 260.0
    voltage_low_v: float = 176.0
    voltage_s: float = 5.0
    voltage_hysteresis_v: float = 5.0
    voltage_clear_s: float = 10.0
    supply_lost_v: float = 30.0
    supply_lost_s: float = 2.0
    # Temperature: field practice 65/80 °C, clear at 55 (requirements SAF-4).
    temperature_clear_c: float = 55.0
    temperature_warn_c: float = 65.0
    temperature_inhibit_c: float = 70.0
    temperature_trip_c: float = 80.0
    temperature_trip_s: float = 10.0
    #: A sound socket at 10 A warms by 8 K in its first minute at most (bench model); a glowing contact by tens.
    temperature_rise_k_per_min: float = 10.0
    temperature_rise_s: float = 60.0
    # Freshness: three scans or 5 s, whichever is larger, is the most that is known from practice (reliability 1.2).
    meter_max_age_s: float = 3.0
    probe_max_age_s: float = 60.0
    # Meter: |P - V·I·pf| <= 10 % + 10 W; identical V, I and P for 60 s is a warning, for 5 min a cut (reliability 1.2).
    implausible_share: float = 0.1
    implausible_w: float = 10.0
    implausible_samples: int = 3
    implausible_s: float = 5.0
    meter_stuck_s: float = 60.0
    meter_frozen_s: float = 300.0
    #: Energy that must have flowed before the register is held against it: three steps of the coarsest (10 Wh).
    energy_check_wh: float = 30.0
    #: How much faster than life a rig replays charges; energy registers then run ahead of the power. 1 in life.
    time_scale: float = 1.0
    # Relay: output voltage or current more than 50 mA, 2 s after opening (requirements SAF-9).
    weld_current_a: float = 0.05
    #: A meter may see this share of its neighbours' current (crosstalk of 0.5 to 1 % is known, and a margin).
    weld_crosstalk: float = 0.015
    weld_settle_s: float = 2.0
    weld_samples: int = 2
    close_settle_s: float = 2.0
    #: The meter renews its registers this often: what it says may be as old. 1 s where the maker says nothing.
    meter_refresh_s: float = 1.0
    #: The meter sits behind the relay, so that it shows no voltage while the relay is open.
    meter_behind_relay: bool = False
    #: Sessions in a row without any load after which socket, fuse or relay are suspected (field lessons: 3 to 4).
    never_draws_starts: int = 3
    # Poor contact: the current breaks off and comes back this often within the window.
    chatter_breaks: int = 6
    chatter_window_s: float = 60.0

    @property
    def opened_after_s(self) -> float:
        """Return how long after an opening a reading says something about it, seconds."""
        return max(self.weld_settle_s, self.meter_refresh_s + _LAG_S)

    @property
    def closed_after_s(self) -> float:
        """Return how long after a closing a reading says something about it, seconds."""
        return max(self.close_settle_s, self.meter_refresh_s + _LAG_S)

    def __post_init__(self) -> None:
        _positive(self)
        _ordered(
            one=1.0,
            over_current_slow_ratio=self.over_current_slow_ratio,
            over_current_fast_ratio=self.over_current_fast_ratio,
        )
        _ordered(
            supply_lost_v=self.supply_lost_v,
            voltage_low_v=self.voltage_low_v,
            voltage_high_v=self.voltage_high_v,
        )
        _ordered(
            temperature_clear_c=self.temperature_clear_c,
            temperature_warn_c=self.temperature_warn_c,
            temperature_inhibit_c=self.temperature_inhibit_c,
            temperature_trip_c=self.temperature_trip_c,
        )
        _ordered(meter_stuck_s=self.meter_stuck_s, meter_frozen_s=self.meter_frozen_s)


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
    #: The auxiliary contact must agree with the coil this long after a change.
    contactor_feedback_s: float = 1.0
    # Supply: what the installer gives; no default above 10 A (requirements 3.2). A new session is admitted while the
    # measured sum and the reserve of ports that have just started stay within it; shed above shed_ratio times it.
    current_limit_a: float = 10.0
    shed_ratio: float = 1.1
    shed_s: float = 2.0
    start_reserve_a: float = 1.0
    start_reserve_s: float = 120.0
    #: An inlet reading older than this counts for nothing: the ports' own sum stands alone.
    inlet_max_age_s: float = 5.0
    # Air inside the cabinet: below the socket's figures, because it warms late; clear is reachable at 40 °C outside.
    temperature_clear_c: float = 50.0
    temperature_warn_c: float = 55.0
    temperature_inhibit_c: float = 60.0
    temperature_trip_c: float = 70.0
    temperature_trip_s: float = 10.0
    #: As at the sockets: the air of a sound cabinet warms by a few K in an hour of sun.
    temperature_rise_k_per_min: float = 10.0
    temperature_rise_s: float = 60.0
    probe_max_age_s: float = 60.0
    #: No probe at all has a value for this long beyond its age limit: cut (requirements §7, 1: after 60 s).
    probes_lost_s: float = 60.0

    def __post_init__(self) -> None:
        _positive(self)
        _ordered(one=1.0, shed_ratio=self.shed_ratio)
        _ordered(
            temperature_clear_c=self.temperature_clear_c,
            temperature_warn_c=self.temperature_warn_c,
            temperature_inhibit_c=self.temperature_inhibit_c,
            temperature_trip_c=self.temperature_trip_c,
        )
