"""What a temperature probe feels: its contact's own heat, the air around it, and heat from elsewhere."""

from __future__ import annotations

import math
from dataclasses import dataclass

#: Heating of a sound socket, K per A²: 20 mΩ of contact, 20 K/W to the air.
HEATING_K_PER_A2 = 0.4
#: Time constant of the thermal node, seconds.
HEATING_TIME_S = 300.0
_S_PER_MIN = 60.0


@dataclass(slots=True)
class Warmth:
    """One thermal node. ``own_c`` is what current and air make of it, ``outside_k`` what a source of heat adds."""

    own_c: float
    heating_k_per_a2: float = HEATING_K_PER_A2
    heating_time_s: float = HEATING_TIME_S
    outside_k_per_min: float = 0.0
    outside_k: float = 0.0
    forced_c: float | None = None

    def pass_time(self, seconds: float, air_c: float, current_a: float, given_c: float | None) -> None:
        """Let time pass; ``given_c`` is what a replayed charge knows of its socket's own temperature."""
        share = -math.expm1(-seconds / self.heating_time_s)
        settled_c = air_c + self.heating_k_per_a2 * current_a**2
        self.own_c = self.own_c + (settled_c - self.own_c) * share if given_c is None else given_c
        if self.outside_k_per_min:
            self.outside_k += self.outside_k_per_min * seconds / _S_PER_MIN
        else:
            self.outside_k -= self.outside_k * share

    @property
    def felt_c(self) -> float:
        """Return what a probe here feels, °C; a DS18B20 ends at 125."""
        return min(125.0, self.own_c + self.outside_k) if self.forced_c is None else self.forced_c
