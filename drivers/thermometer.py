"""DS18B20 probes on the kernel's 1-wire bus. A probe that lies is a probe fault, never a temperature.

The kernel's ``w1_slave`` file has two lines: the scratchpad with ``YES`` or ``NO`` for its CRC, and the scratchpad
again with ``t=`` milli-°C. What is no temperature, and what it is:

- exactly 85.000 °C is what the chip holds after power-on, before a conversion, and what it goes on saying when its
  supply is too weak to convert (PROBE_RESET);
- nine zero bytes are what a data line shorted to ground reads as; their CRC is zero too, and 0 °C would hide a fire
  (PROBE_SHORT);
- without the file, or with nine bytes of ones, nothing answers on the line (PROBE_OPEN);
- everything else, above all a wrong CRC, is PROBE_FAULT.

A resolution that is set lives in the chip's memory and is gone after a loss of its supply; so it is set before the
first reading and again after every reading that failed.
"""

from __future__ import annotations

import errno
import os
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
_NOBODY: Final = "ff " * 9
#: Reading a device that is not there, or that left while it was read.
_GONE: Final = frozenset({errno.ENOENT, errno.ENODEV, errno.ENXIO})


class _NoTemperatureError(ValueError):
    """The file holds no temperature; ``reason`` says what it holds."""

    def __init__(self, reason: MissingReason) -> None:
        super().__init__(str(reason))
        self.reason = reason


def is_power_on(temperature_c: float, last_c: float | None) -> bool:
    """Return whether this is the power-on value of a DS18B20 and no heat; ``last_c``: its last good reading, °C."""
    nearby = last_c is not None and abs(last_c - POWER_ON_C) <= NEARBY_K
    return temperature_c == POWER_ON_C and not nearby


def write_attribute(path: Path, text: str) -> None:
    """Write ``text`` to a file of sysfs in one piece; never makes one. Raises OSError."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(descriptor, text.encode("ascii"))
    finally:
        os.close(descriptor)


class W1Thermometer:
    """``contracts.Thermometer`` over ``<root>/<probe_id>/w1_slave`` (root as a rule ``/sys/bus/w1/devices``).

    ``resolution_bits`` (9 to 12) is set in the chip, None leaves it as it is. A chip or kernel that refuses it goes on
    as it is; ``refused`` then says why.
    """

    def __init__(self, root: str, probe_id: str, resolution_bits: int | None = None) -> None:
        self.probe_id = probe_id
        self.refused = ""
        self._path = Path(root, probe_id, "w1_slave")
        self._resolution_bits = resolution_bits
        self._prepared = resolution_bits is None
        self._last_c: float | None = None
        self._missing_since_s: float | None = None

    def prepare(self) -> None:
        """Set the resolution where that is due. Call it before a conversion that this probe shares with others."""
        if self._prepared:
            return
        self._prepared = True
        try:
            write_attribute(self._path.with_name("resolution"), f"{self._resolution_bits}\n")
        except OSError as error:
            self.refused = f"resolution of {self.probe_id} not set: {error.strerror}"

    def read(self, now: float) -> ProbeReading | Missing:
        """Return the temperature with ``taken_s = now``, or why there is none and since when; never raises.

        Opening the file starts a conversion, unless a shared one is waiting to be read: a call blocks 94 to 752 ms, by
        resolution (9 to 12 bit). Exactly 85.000 °C is a fault unless the last good reading was within 5 K of it.
        """
        self.prepare()
        try:
            reading = ProbeReading(now, self._measure())
        except (OSError, ValueError) as error:
            self._prepared = self._resolution_bits is None
            if self._missing_since_s is None:
                self._missing_since_s = now
            return Missing(_reason(error), self._missing_since_s)
        self._last_c = reading.temperature_c
        self._missing_since_s = None
        return reading

    def _measure(self) -> float:
        """Return °C. Raises OSError without a file and ValueError without a temperature in it."""
        text = self._path.read_text(encoding="ascii")
        if text.startswith(_NOBODY):
            raise _NoTemperatureError(MissingReason.PROBE_OPEN)
        match = _GOOD.fullmatch(text)
        if match is None:
            raise _NoTemperatureError(MissingReason.PROBE_FAULT)
        if match[1] == _SHORTED:
            raise _NoTemperatureError(MissingReason.PROBE_SHORT)
        temperature_c = int(match[2]) / 1000
        if is_power_on(temperature_c, self._last_c):
            raise _NoTemperatureError(MissingReason.PROBE_RESET)
        return temperature_c


def _reason(error: OSError | ValueError) -> MissingReason:
    if isinstance(error, _NoTemperatureError):
        return error.reason
    gone = isinstance(error, OSError) and error.errno in _GONE
    return MissingReason.PROBE_OPEN if gone else MissingReason.PROBE_FAULT
