"""What the completion rules are given and what they answer."""

from __future__ import annotations

from dataclasses import dataclass

_MINUTES_FROM_S = 120.0


@dataclass(frozen=True, slots=True)
class Sample:
    """One meter reading: ``t_s`` seconds on any clock that never goes back, RMS volts and amperes, active watts.

    ``power_factor`` None: the meter does not report it; then watts over volt-amperes stand for it.
    """

    t_s: float
    voltage_v: float
    current_a: float
    power_w: float
    power_factor: float | None = None
    temperature_c: float | None = None

    @property
    def factor(self) -> float:
        """Return the power factor, 0 where nothing is drawn."""
        if self.power_factor is not None:
            return abs(self.power_factor)
        apparent_va = self.voltage_v * self.current_a
        return self.power_w / apparent_va if apparent_va > 0 else 0.0


@dataclass(frozen=True, slots=True)
class Verdict:
    """The session is over: ``reason`` is a code of ``safety.catalogue``, ``detail`` says it in numbers (English)."""

    reason: str
    detail: str


def lasting(seconds: float) -> str:
    """Return a duration as a person would read it: seconds up to two minutes, then minutes."""
    return f"{seconds:.1f} s" if seconds < _MINUTES_FROM_S else f"{seconds / 60:.1f} min"
