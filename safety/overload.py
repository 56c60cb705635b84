"""Over-current and over-power of one port: two samples over the fast stage, or inverse time over the slow one.

Inverse time: a load of ``m`` times the limit is borne for ``slow_s * (slow_ratio - 1) / (m - 1)`` seconds:

    m        up to 1.1   just above 1.1   1.2     1.3      1.4      1.5 and more
    time     for ever    5 s              2.5 s   1.67 s   1.25 s   1 s, or two samples above 1.5

More than the fast stage counts as the fast stage here, so that one wild sample needs a second one, or silence for
``fast_confirm_s``. What was borne is remembered and fades in ``slow_s``: a load that goes to and fro around the limit
adds up. Between readings the last one stands, so silence makes nothing milder. What was too much by the readings alone
stands for half a second of readings at least: two bad samples and a good one between two ticks are not lost.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from safety.limits import PortLimits
    from safety.reading import MeterReading

#: Sums of tick times must not miss the limit by a rounding.
_FULL = 1.0 - 1e-9
#: Longer than any pause between two ticks, s.
_HOLD_S = 0.5


@dataclass(frozen=True, slots=True)
class Strain:
    """Memory of one quantity: ``multiple`` of its limit at ``at_s``.

    ``fast_count``: samples in a row over the fast stage, ``fast_since_s`` the first of them. ``strain``: share of what
    may be borne, at ``at_s``. ``over_s``: taken_s of the newest reading by which it was too much.
    """

    at_s: float | None = None
    multiple: float = 0.0
    fast_count: int = 0
    fast_since_s: float | None = None
    strain: float = 0.0
    over_s: float | None = None


@dataclass(frozen=True, slots=True)
class Overload:
    """Memory of the two rules."""

    current: Strain = Strain()
    power: Strain = Strain()


def observe(memory: Overload, reading: MeterReading, limits: PortLimits) -> Overload:
    """Return the memory with one more reading."""
    return Overload(
        _load(memory.current, reading.current_a / limits.current_limit_a, reading.taken_s, limits),
        _load(memory.power, reading.power_w / limits.power_limit_w, reading.taken_s, limits),
    )


def _load(strain: Strain, multiple: float, taken_s: float, limits: PortLimits) -> Strain:
    borne = _borne(strain, limits, taken_s)
    if multiple > limits.over_current_fast_ratio:
        since_s = taken_s if strain.fast_since_s is None else strain.fast_since_s
        after = Strain(taken_s, multiple, strain.fast_count + 1, since_s, borne)
    else:
        after = Strain(taken_s, multiple, 0, None, borne)
    if _exceeds(strain, limits, taken_s):  # until this reading the one before it stood
        return replace(after, over_s=taken_s)
    held = strain.over_s is not None and taken_s - strain.over_s < _HOLD_S
    return replace(after, over_s=strain.over_s if held else None)


def _borne(strain: Strain, limits: PortLimits, now: float) -> float:
    """Return the strain at ``now`` when the last reading stands until then."""
    if strain.at_s is None:
        return 0.0
    rate_per_s = -1.0 / limits.over_current_slow_s
    if strain.multiple > limits.over_current_slow_ratio:
        slow_excess = limits.over_current_slow_ratio - 1.0
        multiple = min(strain.multiple, limits.over_current_fast_ratio)
        rate_per_s = (multiple - 1.0) / (slow_excess * limits.over_current_slow_s)
    return min(1.0, max(0.0, strain.strain + rate_per_s * max(0.0, now - strain.at_s)))


def _exceeds(strain: Strain, limits: PortLimits, now: float) -> bool:
    """Return whether it is too much at ``now`` when the last reading stands until then."""
    if strain.fast_count >= limits.fast_samples:
        return True
    if strain.fast_since_s is not None and now - strain.fast_since_s >= limits.fast_confirm_s:
        return True
    return _borne(strain, limits, now) >= _FULL


def standing(memory: Overload, limits: PortLimits, now: float) -> tuple[str, ...]:
    """Return ``over_current`` and ``over_power`` as far as they stand."""
    current = memory.current.over_s is not None or _exceeds(memory.current, limits, now)
    power = memory.power.over_s is not None or _exceeds(memory.power, limits, now)
    return (("over_current",) if current else ()) + (("over_power",) if power else ())


def suspicious(reading: MeterReading, limits: PortLimits) -> bool:
    """Return whether one more sample at once could trip the fast stage: the bus reads such a port again first."""
    return (
        reading.current_a > limits.over_current_fast_ratio * limits.current_limit_a
        or reading.power_w > limits.over_current_fast_ratio * limits.power_limit_w
    )
