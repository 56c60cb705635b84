"""One temperature probe, of a socket or of the cabinet's air: which of its readings are believed, and how warm it is.

A reading that jumps away from its predecessor waits for its successor: when that one is back, the jump was a fault
of the probe (a touched wire, a power-on value) and never counted; otherwise it counts from the moment it was taken.
A jump upwards that nothing contradicts counts by itself after a while: a probe that falls silent in a fire must not
cool it. A jump downwards never counts by itself.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final, NamedTuple

from safety.reading import Missing, MissingReason, ProbeReading
from safety.rise import Rise, follow

if TYPE_CHECKING:
    from safety.limits import CabinetLimits, PortLimits

#: More than this between two readings is a jump, K. Metal and plastic do not warm by so much within seconds and cool
#: again; a fire does warm them so fast, but goes on in one direction.
JUMP_K: Final = 20.0
#: Readings further apart than this are no neighbours, seconds: the slowest round over twenty probes takes 17 s.
NEIGHBOURS_S: Final = 30.0
#: What a DS18B20 holds at power-on (data sheet), and how near to it the reading before a real 85 °C is, K.
POWER_ON_C: Final = 85.0
NEARBY_K: Final = 5.0
#: A jump upwards counts by itself after this long, seconds, or after twice the probe's pace where that is more.
DOUBT_S: Final = 10.0
_PACES = 2.0


@dataclass(frozen=True, slots=True)
class Felt:
    """Memory of one probe.

    ``seen_s``: taken_s of the newest reading looked at. ``last``: the newest reading that is believed. ``doubt``: a
    jump that waits for its successor, and when it counts by itself. ``hot_since_s``: at or above the trip
    temperature. ``inhibited``: between inhibit and clear temperature.
    """

    seen_s: float | None = None
    last: ProbeReading | None = None
    doubt: ProbeReading | None = None
    doubt_until_s: float = math.inf
    hot_since_s: float | None = None
    inhibited: bool = False
    rise: Rise = field(default_factory=Rise)


class Warmth(NamedTuple):
    """How warm a probe is now."""

    over: bool
    high: bool
    warning: bool


def feel(
    memory: Felt,
    probe: ProbeReading | Missing | None,
    limits: PortLimits | CabinetLimits,
    rise_k_per_min: float,
) -> Felt:
    """Return the memory with what the probe says now; the same reading again, or none, changes nothing."""
    if not isinstance(probe, ProbeReading) or (memory.seen_s is not None and probe.taken_s <= memory.seen_s):
        return memory
    doubt = memory.doubt
    memory = replace(memory, seen_s=probe.taken_s, doubt=None, doubt_until_s=math.inf)
    if doubt is not None and not _returned(memory.last, doubt, probe):
        memory = _believe(memory, doubt, limits, rise_k_per_min)
    if _jumps(memory.last, probe):
        return replace(memory, doubt=probe, doubt_until_s=_doubt_until_s(memory.last, probe))
    return _believe(memory, probe, limits, rise_k_per_min)


def warmth(memory: Felt, limits: PortLimits | CabinetLimits, now: float) -> Warmth:
    """Return what the temperature calls for at ``now``; a silent probe is as warm as it was."""
    if memory.doubt is not None and now >= memory.doubt_until_s:
        memory = _warm(memory, memory.doubt, limits)
    over = memory.hot_since_s is not None and now - memory.hot_since_s >= limits.temperature_trip_s
    warning = memory.last is not None and memory.last.temperature_c >= limits.temperature_warn_c
    return Warmth(over, memory.inhibited, warning)


def faulty(probe: ProbeReading | Missing | None, limits: PortLimits | CabinetLimits, now: float) -> bool:
    """Return whether a fitted probe gives nothing young enough: a fault of the probe, never heat."""
    if probe is None:
        return False
    if isinstance(probe, ProbeReading):
        return probe.age_s(now) > limits.probe_max_age_s
    return probe.reason is not MissingReason.NEVER_READ or now - probe.since_s > limits.probe_max_age_s


def _jumps(last: ProbeReading | None, probe: ProbeReading) -> bool:
    if last is None:
        return probe.temperature_c == POWER_ON_C
    distance_k = abs(probe.temperature_c - last.temperature_c)
    if probe.temperature_c == POWER_ON_C and distance_k > NEARBY_K:
        return True
    return distance_k > JUMP_K and probe.taken_s - last.taken_s <= NEIGHBOURS_S


def _returned(last: ProbeReading | None, doubt: ProbeReading, probe: ProbeReading) -> bool:
    """Return whether ``probe`` takes the jump back towards where it came from."""
    if probe.taken_s - doubt.taken_s > NEIGHBOURS_S:
        return False
    back_k = doubt.temperature_c - probe.temperature_c
    if last is not None and last.temperature_c > doubt.temperature_c:
        back_k = -back_k
    return back_k > (NEARBY_K if doubt.temperature_c == POWER_ON_C else JUMP_K)


def _doubt_until_s(last: ProbeReading | None, probe: ProbeReading) -> float:
    if last is None:
        return probe.taken_s + NEIGHBOURS_S
    if probe.temperature_c < last.temperature_c:
        return math.inf
    pace_s = min(probe.taken_s - last.taken_s, NEIGHBOURS_S)
    return probe.taken_s + max(DOUBT_S, _PACES * pace_s)


def _believe(memory: Felt, reading: ProbeReading, limits: PortLimits | CabinetLimits, k_per_min: float) -> Felt:
    rise = follow(memory.rise, reading.taken_s, reading.temperature_c, k_per_min, limits.temperature_rise_s)
    return replace(_warm(memory, reading, limits), rise=rise)


def _warm(memory: Felt, reading: ProbeReading, limits: PortLimits | CabinetLimits) -> Felt:
    hot = reading.temperature_c >= limits.temperature_trip_c
    since_s = reading.taken_s if memory.hot_since_s is None else memory.hot_since_s
    threshold_c = limits.temperature_clear_c if memory.inhibited else limits.temperature_inhibit_c
    return replace(
        memory,
        last=reading,
        hot_since_s=since_s if hot else None,
        inhibited=reading.temperature_c >= threshold_c,
    )
