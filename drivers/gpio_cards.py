"""Card readers on GPIO lines, through gpiozero: the two lines of Wiegand, and the SPI device of an MFRC522.

Edges arrive in a thread of the GPIO back end, where an exception would end every callback of the process: what runs
there only appends the time and the bit to a bounded buffer. The time is the kernel's where the back end hands it on
(lgpio does), so a busy processor delays a code but does not tear it apart.

When the kernel's SPI is missing gpiozero falls back to toggling the lines by hand, and for that makes its process-wide
default factory, whose clean-up at exit no output of ours may fall under (``drivers.gpio``). Here the kernel's SPI is
asked for by its class, and nothing else is ever tried. gpiozero knows bus 0 of the Raspberry Pi only.
"""

from __future__ import annotations

import contextlib
import time
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING, Final

from gpiozero import InputDevice
from gpiozero.exc import GPIOPinInUse
from gpiozero.pins.spi import SPISoftware

from drivers.card_contracts import ReaderState, Trouble, trouble_of
from drivers.card_wiegand import Edge, Wiegand

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from gpiozero import Factory

    from drivers.card_contracts import FrameFault

#: Lines of SPI bus 0 by their names in gpiozero: clock, to the chip, from the chip, and its two chip selects.
SPI_CLOCK: Final = "GPIO11"
SPI_TO_CHIP: Final = "GPIO10"
SPI_FROM_CHIP: Final = "GPIO9"
SPI_SELECT: Final = ("GPIO8", "GPIO7")
#: Bits per second; the MFRC522 takes up to 10 million, long wires do not.
SPI_RATE: Final = 1_000_000

#: Edges kept until they are judged: seven codes of 34. Noise beyond that replaces the oldest.
_ROOM: Final = 256
#: Pause between two looks at the buffer, seconds; several times the gap that ends a code.
_LOOK_S: Final = 0.02
#: Looks without a new edge before a code of the wrong length is judged: its edges may still be on their way.
_PATIENCE: Final = 5


def _trouble(error: Exception) -> Trouble:
    """Return what an error of gpiozero or its back ends means; those have no common exception."""
    if isinstance(error, GPIOPinInUse) or "busy" in str(error).lower():
        return Trouble(ReaderState.BUSY, str(error))
    return trouble_of(error)


class WiegandLines:
    """``card_contracts.Link`` of a Wiegand reader whose DATA0 and DATA1 are the lines ``pins`` (BCM numbers).

    The lines idle high, pulled up to 3.3 V. Wiegand readers drive 5 V: a level shifter belongs in between.
    ``factory`` returns the GPIO back end or raises.
    """

    def __init__(
        self,
        factory: Callable[[], Factory],
        pins: tuple[int, int],
        bits: int,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self._factory = factory
        self._pins = pins
        self._bits = bits
        self._pause = pause
        self._decoder = Wiegand(bits)
        self._edges: deque[Edge] = deque(maxlen=_ROOM)
        self._quiet = 0
        self._devices: list[InputDevice] = []

    def open(self) -> Trouble | None:
        """Claim both lines and listen for their falling edges."""
        self._edges.clear()
        self._decoder = Wiegand(self._bits)
        try:
            factory = self._factory()
            for pin, callback in zip(self._pins, (self._zero, self._one), strict=True):
                device = InputDevice(pin, pull_up=True, pin_factory=factory)
                self._devices.append(device)
                device.pin.edges = "falling"
                device.pin.when_changed = callback
        except Exception as error:  # noqa: BLE001 - back ends have no common exception
            return _trouble(error)
        return None

    def receive(self, wait_s: float) -> Sequence[bytes | FrameFault] | Trouble:
        """Wait until a code has come to its end, and return what it was."""
        looks = max(1, round(wait_s / _LOOK_S))
        for _ in range(looks):
            before = self._newest()
            self._pause(_LOOK_S)
            if self._edges and self._newest() == before:
                self._quiet += 1
                if len(self._edges) == self._bits or self._quiet >= _PATIENCE:
                    return self._judge()
            else:
                self._quiet = 0
                if len(self._edges) == _ROOM:
                    return self._judge()  # a line that never falls silent
        return ()

    def close(self) -> None:
        """Release the lines."""
        devices, self._devices = self._devices, []
        for device in devices:
            with contextlib.suppress(Exception):  # back ends have no common exception
                device.pin.when_changed = None
            with contextlib.suppress(Exception):
                device.close()

    def _newest(self) -> Edge | None:
        return self._edges[-1] if self._edges else None

    def _judge(self) -> list[bytes | FrameFault]:
        self._quiet = 0
        taken = [self._edges.popleft() for _ in range(len(self._edges))]
        return self._decoder.judge(taken)

    def _zero(self, ticks: float, _state: int) -> None:
        self._edges.append(Edge(ticks, 0))

    def _one(self, ticks: float, _state: int) -> None:
        self._edges.append(Edge(ticks, 1))


class _Spi:
    """``card_mfrc522.Spi`` over gpiozero's; every failure is an OSError."""

    def __init__(self, spi: object) -> None:
        self._spi = spi

    def transfer(self, data: list[int]) -> list[int]:
        """Exchange bytes. Raises OSError."""
        try:
            received = [*self._spi.transfer(data)]  # type: ignore[attr-defined] # gpiozero has no types
        except Exception as error:
            raise OSError(f"SPI: {error or type(error).__name__}") from error
        if len(received) != len(data):
            raise OSError(f"SPI: {len(received)} bytes instead of {len(data)}")
        return received

    def close(self) -> None:
        """Release the device; never raises."""
        with contextlib.suppress(Exception):  # back ends have no common exception
            self._spi.close()  # type: ignore[attr-defined] # gpiozero has no types


def open_spi(factory: Callable[[], Factory], select: int) -> _Spi | Trouble:
    """Return the device on chip select ``select`` (0 or 1) of SPI bus 0, mode 0, or why there is none."""
    try:
        made = factory()
        # Not made.spi(): see the head of this file.
        kind = made._get_spi_class(shared=False, hardware=True)  # noqa: SLF001 - the public way falls back
    except Exception as error:  # noqa: BLE001 - back ends have no common exception
        return _trouble(error)
    if isinstance(kind, type) and issubclass(kind, SPISoftware):
        return Trouble(ReaderState.UNUSABLE, f"{type(made).__name__} has no SPI of the kernel's")
    try:
        spi = kind(
            clock_pin=SPI_CLOCK,
            mosi_pin=SPI_TO_CHIP,
            miso_pin=SPI_FROM_CHIP,
            select_pin=SPI_SELECT[select],
            pin_factory=made,
        )
        spi.rate = SPI_RATE
        spi.clock_mode = 0
    except Exception as error:  # noqa: BLE001 - as above
        trouble = _trouble(error)
        node = Path(f"/dev/spidev0.{select}")
        absent = trouble.state is ReaderState.UNUSABLE and not node.exists()
        return Trouble(ReaderState.ABSENT, f"{node}: {trouble.detail}") if absent else trouble
    return _Spi(spi)
