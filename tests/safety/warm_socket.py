"""A socket under the rules of heat, for their tests: its memory, its probe and the load at its meter."""

from __future__ import annotations

from dataclasses import dataclass

from safety import heat
from safety.catalogue import CATALOGUE
from safety.catalogue_entry import Effect
from safety.heat import Heat
from safety.limits import PortLimits
from safety.reading import MeterReading, Missing, ProbeReading

LIMITS = PortLimits()
#: A round over the probes of a default cabinet: 2 s of pause and one conversion.
PACE_S = 2.75


def meter(taken_s: float, amps: float) -> MeterReading:
    """Return a reading of a charger at 220 V."""
    return MeterReading(taken_s, 220.0, amps, 220.0 * amps)


@dataclass
class Socket:
    """A port under the rules: its memory, the newest probe value, and the load at its meter."""

    limits: PortLimits = LIMITS
    memory: Heat = Heat()
    probe: ProbeReading | Missing | None = None
    amps: float = 5.0

    def feels(self, taken_s: float, celsius: float) -> tuple[str, ...]:
        """Return what stands when the probe gives a new value."""
        return self.hears(ProbeReading(taken_s, celsius), taken_s)

    def hears(self, probe: ProbeReading | Missing | None, now: float) -> tuple[str, ...]:
        """Return what stands with this at the probe."""
        self.probe = probe
        self.memory = heat.feel(self.memory, probe, meter(now, self.amps), self.limits)
        return self.at(now)

    def at(self, now: float) -> tuple[str, ...]:
        """Return what stands at ``now`` while nothing new was read."""
        return heat.standing(self.memory, self.probe, self.limits, now)

    def series(self, temperatures: list[float], pace_s: float = 2.0, from_s: float = 0.0) -> tuple[str, ...]:
        """Return everything that stood at any time while the probe gave these values."""
        found: dict[str, None] = {}
        for index, celsius in enumerate(temperatures):
            found |= dict.fromkeys(self.feels(from_s + index * pace_s, celsius))
        return tuple(found)


def ramp(from_c: float, k_per_min: float, seconds: float, pace_s: float = 2.0) -> list[float]:
    """Return the values of an even rise."""
    return [from_c + k_per_min * index * pace_s / 60 for index in range(round(seconds / pace_s) + 1)]


def cuts(codes: tuple[str, ...]) -> bool:
    """Return whether one of these opens the relay."""
    return any(CATALOGUE[code].effect is Effect.CUT for code in codes)
