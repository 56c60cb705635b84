"""The link to an MFRC522: what its bus raises, and a chip that has gone, become trouble."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from drivers.card_contracts import ReaderState, Trouble
from drivers.card_mfrc522 import Mfrc522

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from drivers.card_contracts import FrameFault
    from drivers.card_mfrc522 import Spi

#: Pause between two looks for cards, seconds.
POLL_S: Final = 0.1


class Mfrc522Link:
    """``card_contracts.Link`` of an MFRC522. ``open_spi`` returns the device, or why there is none."""

    def __init__(
        self,
        open_spi: Callable[[], Spi | Trouble],
        clock: Callable[[], float] = time.monotonic,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self._open_spi = open_spi
        self._clock = clock
        self._pause = pause
        self._spi: Spi | None = None

    def open(self) -> Trouble | None:
        """Open the device and set up the chip."""
        spi = self._open_spi()
        if isinstance(spi, Trouble):
            return spi
        self._spi = spi
        try:
            return Mfrc522(spi, self._clock, self._pause).reset()
        except OSError as error:
            return Trouble(ReaderState.LOST, str(error))

    def receive(self, wait_s: float) -> Sequence[bytes | FrameFault] | Trouble:
        """Pause, look once for cards, and return them."""
        if self._spi is None:
            return Trouble(ReaderState.LOST, "the device is not open")
        self._pause(min(POLL_S, wait_s))
        chip = Mfrc522(self._spi, self._clock, self._pause)
        try:
            if not chip.sound():
                return Trouble(ReaderState.SILENT, f"the chip has gone or was reset (version {chip.version():02X})")
            return chip.look()
        except OSError as error:
            return Trouble(ReaderState.LOST, str(error))

    def close(self) -> None:
        """Release the device."""
        spi, self._spi = self._spi, None
        if spi is not None:
            spi.close()
