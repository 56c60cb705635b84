"""Readings: a value that carries the time it was taken, or the reason it is missing.

Rules of this file:
- nothing here reads a clock; times are seconds on guard's monotonic clock and are passed in;
- a value that is not a plausible number never becomes a reading: the constructor refuses it, the driver
  turns the refusal into ``Missing(OUT_OF_RANGE)``, and nobody ever sees a zero that was not measured.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

#: Range gates of one sample (requirements MET-4). Outside them a value is a fault of the meter or of the line.
MAX_VOLTAGE_V = 300.0
MAX_CURRENT_A = 100.0
MAX_POWER_W = 30_000.0
MAX_POWER_FACTOR = 1.05
#: The largest register in use (u32 in steps of 10 Wh, DDS238); anything above is not a counter.
MAX_ENERGY_WH = 4.3e10
#: Range of a DS18B20 (-55 to 125 °C), the widest probe in use.
MIN_PROBE_C = -55.0
MAX_PROBE_C = 125.0


class MissingReason(StrEnum):
    """Why there is no value. The words are stable: they appear in events, logs and the manual."""

    NEVER_READ = "never_read"
    TIMEOUT = "timeout"
    BAD_CRC = "bad_crc"
    BAD_FRAME = "bad_frame"
    WRONG_UNIT = "wrong_unit"
    EXCEPTION_REPLY = "exception_reply"
    OUT_OF_RANGE = "out_of_range"
    BUS_LOST = "bus_lost"
    PROBE_FAULT = "probe_fault"
    PROBE_OPEN = "probe_open"
    PROBE_SHORT = "probe_short"
    PROBE_RESET = "probe_reset"


@dataclass(frozen=True, slots=True)
class Missing:
    """No value, and since when (seconds, monotonic)."""

    reason: MissingReason
    since_s: float


def _check(name: str, value: float, low: float, high: float) -> None:
    if not (math.isfinite(value) and low <= value <= high):
        raise ValueError(f"{name} = {value!r} is outside {low} to {high}")


@dataclass(frozen=True, slots=True)
class MeterReading:
    """One sample of one meter channel.

    ``taken_s`` is when the reply was complete (seconds, monotonic). ``energy_wh`` is the meter's own
    import register and ``energy_taken_s`` its own time: energy is read in slower slots than power.
    Raises ValueError for values that are not finite or outside the range gates.
    """

    taken_s: float
    voltage_v: float
    current_a: float
    power_w: float
    power_factor: float | None = None
    energy_wh: float | None = None
    energy_taken_s: float | None = None

    def __post_init__(self) -> None:
        _check("voltage_v", self.voltage_v, 0.0, MAX_VOLTAGE_V)
        _check("current_a", self.current_a, 0.0, MAX_CURRENT_A)
        _check("power_w", self.power_w, 0.0, MAX_POWER_W)
        if self.power_factor is not None:
            _check("power_factor", self.power_factor, -MAX_POWER_FACTOR, MAX_POWER_FACTOR)
        if self.energy_wh is not None:
            _check("energy_wh", self.energy_wh, 0.0, MAX_ENERGY_WH)
            if self.energy_taken_s is None:
                raise ValueError("energy_wh without energy_taken_s")

    def age_s(self, now: float) -> float:
        """Return the age in seconds; a reading from the future counts as age 0."""
        return max(0.0, now - self.taken_s)


@dataclass(frozen=True, slots=True)
class ProbeReading:
    """One temperature of one probe in °C, at ``taken_s`` (seconds, monotonic)."""

    taken_s: float
    temperature_c: float

    def __post_init__(self) -> None:
        _check("temperature_c", self.temperature_c, MIN_PROBE_C, MAX_PROBE_C)

    def age_s(self, now: float) -> float:
        """Return the age in seconds; a reading from the future counts as age 0."""
        return max(0.0, now - self.taken_s)
