"""NTC thermistor in a voltage divider before a converter of 10 bits: from codes to °C. Pure.

The converter measures against the divider's own supply (MCP3008: VREF tied to it), so neither the supply's voltage nor
its ripple counts, only the share of it that the divider passes on.

What is no temperature, and what it is:

- all of the supply, or none of it: an open or a shorted thermistor (PROBE_OPEN, PROBE_SHORT), by the orientation;
- colder than -40 °C: a wire that is broken but damp, or a corroded contact (PROBE_OPEN); the room for thermistors in a
  cabinet that people use ends above it;
- hotter than 125 °C, or samples that do not agree: PROBE_FAULT.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from safety.reading import MAX_PROBE_C, MissingReason

if TYPE_CHECKING:
    from collections.abc import Sequence

#: Largest code of the converter and its number of steps (MCP3008 data sheet: 10 bits).
MAX_CODE: Final = 1023
_STEPS: Final = 1024
#: Codes this near to either end are the end itself: leakage, offset and noise of converter and wiring.
RAIL_CODES: Final = 3
#: Coldest believed temperature, °C.
MIN_NTC_C: Final = -40.0
#: Samples of one reading lie within this many codes, about 1.5 % of the supply: a touched contact spreads wider.
MAX_SPREAD: Final = 16
_ZERO_C: Final = -273.15
_25_C_IN_K: Final = 298.15


@dataclass(frozen=True, slots=True)
class Divider:
    """Thermistor and series resistor.

    ``r25_ohm``: its resistance at 25 °C; ``beta_k``: B value in K; ``series_ohm``: the other resistor; ``to_ground``:
    the thermistor connects the converter's input to ground, otherwise to the supply.
    """

    r25_ohm: float
    beta_k: float
    series_ohm: float
    to_ground: bool

    def temperature_c(self, code: float) -> float:
        """Return the temperature at a code between 0 and 1023, by the beta equation 1/T = 1/T25 + ln(R/R25)/B."""
        low_side = (code + 0.5) / _STEPS
        share = low_side if self.to_ground else 1.0 - low_side
        resistance_ohm = self.series_ohm * share / (1.0 - share)
        return 1.0 / (1.0 / _25_C_IN_K + math.log(resistance_ohm / self.r25_ohm) / self.beta_k) + _ZERO_C


def decode(codes: Sequence[int], divider: Divider) -> float | MissingReason:
    """Return °C from the samples of one reading (at least one, each 0 to 1023), or why there is none."""
    if not codes or not all(0 <= code <= MAX_CODE for code in codes) or max(codes) - min(codes) > MAX_SPREAD:
        return MissingReason.PROBE_FAULT
    mean = sum(codes) / len(codes)
    low, high = mean <= RAIL_CODES, mean >= MAX_CODE - RAIL_CODES
    if low or high:
        return MissingReason.PROBE_SHORT if low == divider.to_ground else MissingReason.PROBE_OPEN
    try:
        temperature_c = divider.temperature_c(mean)
    except (ZeroDivisionError, OverflowError):
        return MissingReason.PROBE_FAULT
    if temperature_c < MIN_NTC_C:
        return MissingReason.PROBE_OPEN
    return temperature_c if temperature_c <= MAX_PROBE_C else MissingReason.PROBE_FAULT
