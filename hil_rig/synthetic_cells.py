"""Equivalent circuits of one cell, coarse on purpose: enough for the shape of a charge, not for its chemistry.

Rates are in multiples of the capacity per hour (C), voltages are per cell.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from dataclasses import dataclass
from typing import Protocol

_HOUR_S = 3600.0

#: Open-circuit voltage of a lithium cell over its state of charge.
Table = tuple[tuple[float, ...], tuple[float, ...]]
NMC: Table = ((0.0, 0.1, 0.3, 0.5, 0.7, 0.85, 1.0), (3.0, 3.45, 3.58, 3.68, 3.87, 4.03, 4.19))
LFP: Table = (
    (0.0, 0.05, 0.1, 0.35, 0.45, 0.9, 0.97, 0.99, 1.0),
    (2.6, 3.1, 3.22, 3.29, 3.32, 3.335, 3.36, 3.42, 3.60),
)
#: Gassing of a lead-acid cell grows by these per volt and per kelvin (Schiffer 2007).
GAS_PER_V, GAS_PER_K = 11.0, 0.06
GAS_REFERENCE_V = 2.23
WARM_K = 5.0
_THERMAL_S = 9000.0
_SLOW_S = 400.0


def interpolate(table: Table, x: float) -> float:
    """Return the value at ``x``, straight on beyond the ends."""
    xs, ys = table
    i = min(max(bisect_right(xs, x), 1), len(xs) - 1)
    return ys[i - 1] + (ys[i] - ys[i - 1]) * (x - xs[i - 1]) / (xs[i] - xs[i - 1])


class Cell(Protocol):
    """A cell being charged."""

    @property
    def soc(self) -> float:
        """State of charge, 0 to 1."""

    def rate_at(self, limit_v: float) -> float:
        """Return the rate at which the cell would stand at ``limit_v``."""

    def charge(self, rate: float, seconds: float) -> float:
        """Charge at ``rate`` for a short time and return the voltage."""


@dataclass(slots=True)
class Lithium:
    """Open-circuit voltage, a resistance at once and one that builds up over minutes, both V at 1 C."""

    ocv: Table
    soc: float
    resistance: float
    slow_resistance: float
    slow_v: float = 0.0

    def rate_at(self, limit_v: float) -> float:
        """Return the rate at which the cell would stand at ``limit_v``."""
        return max(0.0, (limit_v - interpolate(self.ocv, self.soc) - self.slow_v) / self.resistance)

    def charge(self, rate: float, seconds: float) -> float:
        """Charge at ``rate`` for a short time and return the voltage."""
        self.soc += rate * seconds / _HOUR_S
        self.slow_v += (rate * self.slow_resistance - self.slow_v) * seconds / _SLOW_S
        return interpolate(self.ocv, self.soc) + self.slow_v + rate * self.resistance


@dataclass(slots=True)
class LeadAcid:
    """A resistance that grows without bound towards full, beside it gassing that warms the cell.

    ``gassing``: rate at 2.23 V and 20 °C. ``fullness``: how early the cell accepts less; the taper's time constant is
    about resistance times fullness over 0.3 h. ``heating``: settled K per V of cell and C of gassing.
    """

    soc: float
    gassing: float
    resistance: float
    fullness: float
    heating: float = 0.0
    kelvin: float = WARM_K

    def gas_rate(self, cell_v: float) -> float:
        """Return what gassing takes at ``cell_v``."""
        return self.gassing * math.exp(GAS_PER_V * (cell_v - GAS_REFERENCE_V) + GAS_PER_K * self.kelvin)

    def rate_at(self, limit_v: float) -> float:
        """Return the rate at which the cell would stand at ``limit_v``."""
        series = self.resistance * (1 + self.fullness / (1.0001 - min(self.soc, 1.0)))
        return max(0.0, (limit_v - 2.02 - 0.12 * self.soc) / series) + self.gas_rate(limit_v)

    def charge(self, rate: float, seconds: float) -> float:
        """Charge at ``rate`` for a short time and return the voltage at which storing and gassing take it together."""
        low, high = 1.9, 3.2
        for _ in range(12):
            middle = (low + high) / 2
            low, high = (middle, high) if self.rate_at(middle) < rate else (low, middle)
        gas = self.gas_rate(high)
        self.soc = min(1.0, self.soc + max(0.0, rate - gas) * seconds / _HOUR_S)
        self.kelvin += (WARM_K + self.heating * gas * high - self.kelvin) * seconds / _THERMAL_S
        return high
