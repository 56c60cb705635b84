"""Heat at the socket of one port: warning, inhibit and trip temperatures, rate of rise, and the state of the probe.

The rate of rise is held against the load: a socket that warms fast while it carries current has a poor contact; the
same rise without a current comes from outside, and opening the relay would not end it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from safety import probe as probes
from safety.probe import Felt

if TYPE_CHECKING:
    from safety.limits import PortLimits
    from safety.reading import MeterReading, Missing, ProbeReading

#: From here a current can heat a contact, A; below lie float, standby and crosstalk (66 W at 220 V).
LOADED_A: Final = 0.3


@dataclass(frozen=True, slots=True)
class Heat:
    """Memory of the rules. ``loaded_s``: taken_s of the newest meter reading that showed a load."""

    felt: Felt = field(default_factory=Felt)
    loaded_s: float | None = None


def feel(memory: Heat, probe: ProbeReading | Missing | None, newest: MeterReading | None, limits: PortLimits) -> Heat:
    """Return the memory with what the probe says now; ``newest``: the newest meter reading, for the load.

    A rig that replays charges ``time_scale`` times as fast as life also warms its sockets as much faster.
    """
    felt = probes.feel(memory.felt, probe, limits, limits.temperature_rise_k_per_min * limits.time_scale)
    loaded = newest is not None and newest.current_a >= LOADED_A
    loaded_s = newest.taken_s if newest is not None and loaded else memory.loaded_s
    return Heat(felt, loaded_s)


def standing(memory: Heat, probe: ProbeReading | Missing | None, limits: PortLimits, now: float) -> tuple[str, ...]:
    """Return what stands.

    ``over_temperature``, ``temperature_rising`` or ``heat_without_load``, ``probe_fault``, ``temperature_high``,
    ``temperature_warning``, in this order.
    """
    warmth = probes.warmth(memory.felt, limits, now)
    rises = rising(memory)
    under_load = _under_load(memory)
    codes = {
        "over_temperature": warmth.over,
        "temperature_rising": rises and under_load,
        "heat_without_load": rises and not under_load,
        "probe_fault": probes.faulty(probe, limits, now),
        "temperature_high": warmth.high,
        "temperature_warning": warmth.warning,
    }
    return tuple(code for code, stands in codes.items() if stands)


def rising(memory: Heat) -> bool:
    """Return whether the temperature of this port rises fast, with or without a load."""
    return memory.felt.rise.rising


def _under_load(memory: Heat) -> bool:
    """Return whether there was a load at any time since the oldest sample that the rise is computed from."""
    began_s = memory.felt.rise.began_s
    return memory.loaded_s is not None and began_s is not None and memory.loaded_s >= began_s
