"""Protective rules: one function per hazard, pure, over one port's memory and its newest inputs.

Rules of this file:
- a rule that needs time keeps ``*_since_s`` in its memory and compares it with ``now``: when readings stop coming,
  a condition that stood goes on standing, so silence never makes a verdict milder;
- a rule that counts samples counts *readings*, not ticks: the same reading judged twice is one sample;
- no rule decides what a relay does; it names what stands, the engine acts.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from safety.reading import MeterReading, Missing, MissingReason, ProbeReading

if TYPE_CHECKING:
    from safety.limits import PortLimits


@dataclass(frozen=True, slots=True)
class PortInputs:
    """What is known of one port. ``probe`` is None where no probe is fitted.

    ``meter`` is the newest *good* reading, however old, or Missing when there never was one; ``earlier`` are good
    readings since the last tick that it has overtaken, oldest first; ``meter_error`` is the newest failed poll, None
    when the newest poll worked.
    """

    meter: MeterReading | Missing
    meter_error: Missing | None = None
    probe: ProbeReading | Missing | None = None
    earlier: tuple[MeterReading, ...] = ()


@dataclass(frozen=True, slots=True)
class Excess:
    """Memory of one quantity with a limit: readings in a row over the fast stage, and since when over the slow."""

    fast_count: int = 0
    slow_since_s: float | None = None


@dataclass(frozen=True, slots=True)
class HazardMemory:
    """What the rules of one port remember between ticks."""

    judged_s: float | None = None  # taken_s of the newest reading that was counted
    current: Excess = Excess()
    power: Excess = Excess()
    hot_since_s: float | None = None
    inhibited: bool = False  # between inhibit and clear temperature, hysteresis


def judge(
    memory: HazardMemory, inputs: PortInputs, limits: PortLimits, now: float
) -> tuple[HazardMemory, tuple[str, ...]]:
    """Return the new memory and the codes of everything that stands on this port now, most urgent first."""
    for reading in (*inputs.earlier, inputs.meter):
        memory = _count_reading(memory, reading, limits)
    memory = _feel_temperature(memory, inputs.probe, limits)
    rules = (
        over_temperature(memory, limits, now),
        over_current(memory, limits, now),
        over_power(memory, limits, now),
        meter_lost(inputs, limits, now),
        probe_fault(inputs, limits, now),
        temperature_high(memory),
        temperature_warning(inputs, limits),
    )
    return memory, tuple(code for code in rules if code is not None)


def _count_reading(memory: HazardMemory, meter: MeterReading | Missing, limits: PortLimits) -> HazardMemory:
    if isinstance(meter, Missing) or (memory.judged_s is not None and meter.taken_s <= memory.judged_s):
        return memory
    return replace(
        memory,
        judged_s=meter.taken_s,
        current=_exceed(memory.current, meter.current_a, limits.current_limit_a, meter.taken_s, limits),
        power=_exceed(memory.power, meter.power_w, limits.power_limit_w, meter.taken_s, limits),
    )


def _exceed(excess: Excess, value: float, limit: float, taken_s: float, limits: PortLimits) -> Excess:
    fast = excess.fast_count + 1 if value > limits.over_current_fast_ratio * limit else 0
    if value <= limits.over_current_slow_ratio * limit:
        return Excess(fast, None)
    return Excess(fast, taken_s if excess.slow_since_s is None else excess.slow_since_s)


def _exceeded(excess: Excess, limits: PortLimits, now: float) -> bool:
    if excess.fast_count >= limits.fast_samples:
        return True
    return excess.slow_since_s is not None and now - excess.slow_since_s >= limits.over_current_slow_s


def over_current(memory: HazardMemory, limits: PortLimits, now: float) -> str | None:
    """Fast: 1.5x the limit in two samples. Slow: 1.1x for 5 s (requirements SAF-3, configurable)."""
    return "over_current" if _exceeded(memory.current, limits, now) else None


def over_power(memory: HazardMemory, limits: PortLimits, now: float) -> str | None:
    """Return the code when the power rule stands: the stages of over-current applied to active power."""
    return "over_power" if _exceeded(memory.power, limits, now) else None


def suspicious(reading: MeterReading, limits: PortLimits) -> bool:
    """Return whether one more sample at once could trip the fast stage: the bus reads such a port again first."""
    return (
        reading.current_a > limits.over_current_fast_ratio * limits.current_limit_a
        or reading.power_w > limits.over_current_fast_ratio * limits.power_limit_w
    )


def meter_lost(inputs: PortInputs, limits: PortLimits, now: float) -> str | None:
    """Return the code when there is no reading young enough to stand for the present.

    A meter that was not asked yet gets the age limit as its time to answer; until then its port is starting up.
    """
    meter = inputs.meter
    if isinstance(meter, MeterReading):
        lost = meter.age_s(now) > limits.meter_max_age_s
    else:
        asked = meter.reason is not MissingReason.NEVER_READ or inputs.meter_error is not None
        lost = asked or now - meter.since_s > limits.meter_max_age_s
    return "meter_lost" if lost else None


def _feel_temperature(memory: HazardMemory, probe: ProbeReading | Missing | None, limits: PortLimits) -> HazardMemory:
    if not isinstance(probe, ProbeReading):
        return memory  # heat that was felt goes on counting while the probe is silent
    hot = probe.temperature_c >= limits.temperature_trip_c
    hot_since_s = (probe.taken_s if memory.hot_since_s is None else memory.hot_since_s) if hot else None
    threshold_c = limits.temperature_clear_c if memory.inhibited else limits.temperature_inhibit_c
    return replace(memory, hot_since_s=hot_since_s, inhibited=probe.temperature_c >= threshold_c)


def over_temperature(memory: HazardMemory, limits: PortLimits, now: float) -> str | None:
    """Trip temperature (80 °C) for its dwell (10 s), requirements SAF-4."""
    if memory.hot_since_s is not None and now - memory.hot_since_s >= limits.temperature_trip_s:
        return "over_temperature"
    return None


def temperature_high(memory: HazardMemory) -> str | None:
    """Return the code from the inhibit temperature (70 °C) until the clear temperature (55 °C) is passed downwards."""
    return "temperature_high" if memory.inhibited else None


def temperature_warning(inputs: PortInputs, limits: PortLimits) -> str | None:
    """Return the code from the warning temperature (65 °C) on."""
    probe = inputs.probe
    if isinstance(probe, ProbeReading) and probe.temperature_c >= limits.temperature_warn_c:
        return "temperature_warning"
    return None


def probe_fault(inputs: PortInputs, limits: PortLimits, now: float) -> str | None:
    """Return the code when a fitted probe gives nothing young enough: it inhibits, it is not heat."""
    probe = inputs.probe
    if probe is None:
        return None
    if isinstance(probe, ProbeReading):
        silent = probe.age_s(now) > limits.probe_max_age_s
    else:
        silent = probe.reason is not MissingReason.NEVER_READ or now - probe.since_s > limits.probe_max_age_s
    return "probe_fault" if silent else None
