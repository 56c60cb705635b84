"""Thermistors behind an MCP3008 on SPI, through gpiozero. What codes mean is ``drivers.thermistor``'s business.

gpiozero falls back to bit-banging, with a warning, when the kernel's SPI cannot be opened; here that is an error: what
was configured as hardware is either that or a probe fault. Pins other than those of the hardware are bit-banged because
the configuration says so; gpiozero's bit-banging asks for the process-wide default factory, which would find a back end
by itself and close every line of the process at exit, so ours stands in for it as long as the interface is made.
"""

from __future__ import annotations

import time
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from gpiozero import MCP3008, Device, SPISoftwareFallback

from drivers.thermistor import decode
from safety.reading import Missing, MissingReason, ProbeReading

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from gpiozero import Factory

    from drivers.thermistor import Divider

#: Samples of one reading and the pause between two, seconds: together one period of 50 Hz mains, whose hum cancels.
SAMPLES: Final = 8
_STEP_S: Final = 0.0025


@dataclass(frozen=True, slots=True)
class SpiPins:
    """BCM numbers of a converter's lines; 11, 10, 9 with select 8 or 7 are the kernel's SPI."""

    clock: int
    mosi: int
    miso: int
    select: int


class Thermistors:
    """``contracts.ProbeRound`` over one MCP3008.

    ``channels``: input of the converter (0 to 7) by the caller's number. Nothing is opened before the first round, and
    a converter that cannot be opened is tried again in every round: until then its probes are faults.
    """

    def __init__(
        self,
        factory: Factory,
        pins: SpiPins,
        divider: Divider,
        channels: Mapping[int, int],
        *,
        wait: Callable[[float], object] = time.sleep,
    ) -> None:
        self._factory = factory
        self._pins = pins
        self._divider = divider
        self._channels = dict(channels)
        self._wait = wait
        self._inputs: dict[int, MCP3008] = {}
        self._missing_since_s: dict[int, float] = {}
        self._complaint = ""
        self._news: list[str] = []

    def round(self, now: Callable[[], float]) -> Iterator[tuple[int, ProbeReading | Missing]]:
        """Yield every probe's number and reading once; ``now`` is guard's clock, seconds. Never raises."""
        for number, channel in self._channels.items():
            taken_s = now()
            yield number, self._judged(number, self._read(channel), taken_s)

    def news(self) -> list[str]:
        """Return what a technician should know and has not been told yet."""
        told, self._news = self._news, []
        return told

    def close(self) -> None:
        """Release the lines."""
        while self._inputs:
            self._inputs.popitem()[1].close()

    def _read(self, channel: int) -> float | MissingReason:
        try:
            codes = [self._sample(channel, first=index == 0) for index in range(SAMPLES)]
        except Exception as error:  # noqa: BLE001 - back ends have no common exception
            self._complain(f"converter at select line {self._pins.select} cannot be read: {error}")
            return MissingReason.PROBE_FAULT
        self._complaint = ""
        return decode(codes, self._divider)

    def _sample(self, channel: int, *, first: bool) -> int:
        if not first:
            self._wait(_STEP_S)
        if channel not in self._inputs:
            self._inputs[channel] = self._opened(channel)
        return int(self._inputs[channel].raw_value)

    def _opened(self, channel: int) -> MCP3008:
        Device.pin_factory = self._factory
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error", SPISoftwareFallback)
                return MCP3008(
                    channel=channel,
                    clock_pin=self._pins.clock,
                    mosi_pin=self._pins.mosi,
                    miso_pin=self._pins.miso,
                    select_pin=self._pins.select,
                    pin_factory=self._factory,
                )
        finally:
            Device.pin_factory = None

    def _judged(self, number: int, outcome: float | MissingReason, taken_s: float) -> ProbeReading | Missing:
        if isinstance(outcome, MissingReason):
            return Missing(outcome, self._missing_since_s.setdefault(number, taken_s))
        self._missing_since_s.pop(number, None)
        return ProbeReading(taken_s, outcome)

    def _complain(self, sentence: str) -> None:
        if sentence != self._complaint:
            self._complaint = sentence
            self._news.append(sentence)
