"""Eight DS18B20 behind one Modbus slave: the module R4DCB08.

Its registers (chelmat/r4dcb08, README): function 3, 0x0000 to 0x0007 are the temperatures of inputs 1 to 8 as signed
16-bit numbers in 0.1 °C; a value outside -55 to 125 °C means that there is none. Corrections (0x0008 to 0x000F) and
the address, baud rate and automatic report (0xFD to 0xFF) are the technician's; nothing is ever written here.

The module's chips are DS18B20 too: their power-on value of 85.0 °C is no heat unless it was reached from nearby. The
smallest number there is (0x8000) is taken for an input without a chip. *Not seen by us on a real module.*
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from drivers.frames import Question
from drivers.thermometer import is_power_on
from safety.reading import MAX_PROBE_C, MIN_PROBE_C, Missing, MissingReason, ProbeReading

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from drivers.contracts import Line

#: Inputs of the module, its first register and the function that reads them.
CHANNELS: Final = 8
FIRST_REGISTER: Final = 0x0000
FUNCTION: Final = 3
_BYTES: Final = 2
_STEPS_PER_K: Final = 10
_NOTHING_CONNECTED: Final = -0x8000


def decode(data: bytes) -> tuple[float | MissingReason, ...]:
    """Return °C of every input in ``data`` (two bytes each, high byte first), or why it shows none."""
    raws = [int.from_bytes(data[at : at + _BYTES], "big", signed=True) for at in range(0, len(data), _BYTES)]
    return tuple(_temperature_c(raw) for raw in raws)


def _temperature_c(raw: int) -> float | MissingReason:
    if raw == _NOTHING_CONNECTED:
        return MissingReason.PROBE_OPEN
    temperature_c = raw / _STEPS_PER_K
    return temperature_c if MIN_PROBE_C <= temperature_c <= MAX_PROBE_C else MissingReason.PROBE_FAULT


class TemperatureModule:
    """The module with Modbus address ``unit`` (1 to 247) on ``line``; ``channels``: the inputs in use, 1 to 8.

    ``refresh_s``: how old its registers may be when they are read, seconds; its readings carry that age. Not
    thread-safe, as its line is not.
    """

    def __init__(self, line: Line, unit: int, channels: Collection[int], refresh_s: float) -> None:
        self._line = line
        self._question = Question(unit, FUNCTION, FIRST_REGISTER, CHANNELS)
        self._channels = sorted(channels)
        self._refresh_s = refresh_s
        self._last_c: dict[int, float] = {}
        self._missing_since_s: dict[int, float] = {}

    def poll(self, now: Callable[[], float]) -> Mapping[int, ProbeReading | Missing]:
        """Return a reading for every input in use, or why there is none and since when, from one transaction.

        ``now`` is guard's monotonic clock, seconds. ``taken_s`` is the moment before the request less ``refresh_s``.
        """
        asked_s = now()
        data = self._line.read(self._question)
        if isinstance(data, MissingReason):
            return {channel: self._missing(channel, data, asked_s) for channel in self._channels}
        shown = decode(data)
        return {channel: self._judged(channel, shown[channel - 1], asked_s) for channel in self._channels}

    def cost_s(self) -> float:
        """Return the longest time a good ``poll`` may take, in seconds (see ``Line.transaction_s``)."""
        return self._line.transaction_s(self._question.size)

    def failure_s(self) -> float:
        """Return the longest time one failing ``poll`` costs, in seconds (see ``Line.failure_s``)."""
        return self._line.failure_s(self._question.size)

    def _judged(self, channel: int, shown: float | MissingReason, asked_s: float) -> ProbeReading | Missing:
        if isinstance(shown, MissingReason):
            return self._missing(channel, shown, asked_s)
        if is_power_on(shown, self._last_c.get(channel)):
            return self._missing(channel, MissingReason.PROBE_RESET, asked_s)
        self._last_c[channel] = shown
        self._missing_since_s.pop(channel, None)
        return ProbeReading(asked_s - self._refresh_s, shown)

    def _missing(self, channel: int, reason: MissingReason, asked_s: float) -> Missing:
        return Missing(reason, self._missing_since_s.setdefault(channel, asked_s))
