"""DS18B20 probes on the kernel's 1-wire bus. A probe that lies is a probe fault, never a temperature.

The kernel's ``w1_slave`` file has two lines: the scratchpad with ``YES`` or ``NO`` for its CRC, and the scratchpad
again with ``t=`` milli-°C. Two values pass the CRC and are no temperature:

- exactly 85.000 °C is what the chip holds after power-on, before a conversion, and what it goes on saying when its
  supply is too weak to convert;
- nine zero bytes are what a data line shorted to ground reads as; their CRC is zero too, and 0 °C would hide a fire.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from safety.reading import Missing, MissingReason, ProbeReading

#: What the temperature register holds at power-on (DS18B20 data sheet).
POWER_ON_C: Final = 85.0
#: A real 85 °C is reached from nearby: the greatest distance to the last good reading, K.
NEARBY_K: Final = 5.0

_GOOD = re.compile(r"((?:[0-9a-f]{2} ){9}): crc=[0-9a-f]{2} YES\n(?:[0-9a-f]{2} ){9}t=(-?[0-9]{1,6})\n?")
_SHORTED: Final = "00 " * 9


class W1Thermometer:
    """``contracts.Thermometer`` over ``<root>/<probe_id>/w1_slave`` (root as a rule ``/sys/bus/w1/devices``)."""

    def __init__(self, root: str, probe_id: str) -> None:
        self._path = Path(root, probe_id, "w1_slave")
        self._last_c: float | None = None
        self._missing_since_s: float | None = None

    def read(self, now: float) -> ProbeReading | Missing:
        """Return the temperature with ``taken_s = now``, or PROBE_FAULT and since when; never raises.

        Opening the file starts a conversion: a call blocks 94 to 752 ms, by resolution (9 to 12 bit). Exactly
        85.000 °C is a fault unless the last good reading was within 5 K of it.
        """
        try:
            reading = ProbeReading(now, self._measure())
        except (OSError, ValueError):
            if self._missing_since_s is None:
                self._missing_since_s = now
            return Missing(MissingReason.PROBE_FAULT, self._missing_since_s)
        self._last_c = reading.temperature_c
        self._missing_since_s = None
        return reading

    def _measure(self) -> float:
        """Return °C. Raises OSError without a file and ValueError without a temperature in it."""
        match = _GOOD.fullmatch(self._path.read_text(encoding="ascii"))
        if match is None or match[1] == _SHORTED:
            raise ValueError("no temperature")
        temperature_c = int(match[2]) / 1000
        nearby = self._last_c is not None and abs(self._last_c - POWER_ON_C) <= NEARBY_K
        if temperature_c == POWER_ON_C and not nearby:
            raise ValueError("power-on value")
        return temperature_c
