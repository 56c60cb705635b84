"""Pins for card readers: Wiegand pulses with the times of a wire, and an MFRC522 on the SPI bus of the pin factory.

A back end hands on the kernel's time of each edge; gpiozero's simulated pins tell when the simulation ran instead.
Here every edge carries the time at which it would have happened, so a busy machine tears no code apart.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from gpiozero.exc import GPIOPinInUse
from gpiozero.pins.mock import MockFactory, MockPin

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hil_rig.card_mfrc522 import Mfrc522Chip

#: Times of common readers: one pulse every 2 ms.
PERIOD_S = 0.002


class WirePin(MockPin):  # type: ignore[misc] # gpiozero has no types
    """A pin whose edges are told with the time of the wire."""

    def close(self) -> None:
        """Become an input, callback and all, as the pins of lgpio do."""
        self.function = "input"

    def _call_when_changed(self) -> None:
        callback = self._get_when_changed()
        if callback is not None:
            callback(self.factory.wire_s, int(self.state))


class CardFactory(MockFactory):  # type: ignore[misc] # gpiozero has no types
    """Simulated pins. ``chips`` are the devices on SPI bus 0 by chip select pin (8 or 7)."""

    def __init__(self) -> None:
        super().__init__(pin_class=WirePin)
        self.wire_s = time.monotonic()
        self.chips: dict[int, Mfrc522Chip] = {}

    def _get_spi_class(self, shared: bool, hardware: bool) -> object:  # noqa: FBT001 - gpiozero's signature
        return self._chip if hardware and self.chips else super()._get_spi_class(shared, hardware)

    def _chip(self, *, clock_pin: str, mosi_pin: str, miso_pin: str, select_pin: str, pin_factory: object) -> object:
        """Return the chip at that select pin, unless one of the lines is reserved; without one, fail as lgpio does."""
        del pin_factory
        for name in (clock_pin, mosi_pin, miso_pin, select_pin):
            if any(self._reservations[info] for _, info in self.board_info.find_pin(name)):
                raise GPIOPinInUse(f"pin {name} is already in use")
        chip = self.chips.get(int(select_pin.removeprefix("GPIO")))
        if chip is None:
            raise RuntimeError("can not open SPI device")
        return chip

    def present(self, pins: tuple[int, int], bits: Sequence[int], period_s: float = PERIOD_S) -> None:
        """Send a Wiegand code over DATA0 and DATA1, one pulse every ``period_s``, and a second of silence before."""
        self.wire_s = max(self.wire_s + 1.0, time.monotonic())
        for bit in bits:
            self.pulse(pins[bit])
            self.wire_s += period_s

    def pulse(self, pin: int) -> None:
        """Pull one line low for a moment."""
        line = self.pin(pin)
        line.drive_low()
        line.drive_high()


def wiegand(number: int, length: int) -> list[int]:
    """Return the bits of ``number`` as a code of ``length`` bits (26 or 34), parities right."""
    inner = [number >> place & 1 for place in reversed(range(length - 2))]
    half = len(inner) // 2
    return [sum(inner[:half]) % 2, *inner, 1 - sum(inner[half:]) % 2]
