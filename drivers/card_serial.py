"""The serial line of card readers. pyserial opens and configures the tty; reading and writing are the kernel's.

Meters have ``drivers.bus``: a line with questions, silences and time-outs. This one only carries bytes.
"""

from __future__ import annotations

import contextlib
import os
import select
import termios
import time
from typing import TYPE_CHECKING, Final

import serial

from drivers.card_contracts import ReaderState, Trouble, trouble_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from drivers.card_contracts import Decoder, FrameFault

#: More than any reader sends in one wake-up.
_CHUNK: Final = 4096


class SerialPort:
    """A tty at ``baud`` 8N1. ``device`` is any path; prefer one below /dev/serial/by-id, which stays the same.

    The device is locked (flock) while open. Not thread-safe.
    """

    def __init__(self, device: str, baud: int) -> None:
        self._device = device
        self._baud = baud
        self._port: serial.Serial | None = None
        self._poll = select.poll()

    def open(self) -> Trouble | None:
        """Open and lock the device; what it has sent before is thrown away."""
        try:
            port = serial.Serial(self._device, self._baud, timeout=0, exclusive=True)
        except (OSError, termios.error, ValueError) as error:
            return trouble_of(error)
        self._port = port
        self._poll = select.poll()
        self._poll.register(port.fileno(), select.POLLIN)
        return self.drain()

    def read(self, wait_s: float) -> bytes | Trouble:
        """Return what has come, at the latest after ``wait_s``; nothing is b""."""
        if self._port is None:
            return Trouble(ReaderState.LOST, f"{self._device} is not open")
        try:
            if not self._poll.poll(max(0.0, wait_s) * 1000):
                return b""
            # A tty that hung up is readable and has nothing to read.
            return os.read(self._port.fileno(), _CHUNK) or Trouble(ReaderState.LOST, f"{self._device} hung up")
        except BlockingIOError:
            return b""
        except OSError as error:
            return Trouble(ReaderState.LOST, str(error))

    def write(self, data: bytes) -> Trouble | None:
        """Send ``data``; a tty that does not take it at once is broken."""
        if self._port is None:
            return Trouble(ReaderState.LOST, f"{self._device} is not open")
        try:
            taken = os.write(self._port.fileno(), data)
        except OSError as error:
            return Trouble(ReaderState.LOST, str(error))
        return None if taken == len(data) else Trouble(ReaderState.LOST, f"{self._device} took a part of a command")

    def drain(self) -> Trouble | None:
        """Throw away what has come."""
        if self._port is None:
            return Trouble(ReaderState.LOST, f"{self._device} is not open")
        try:
            self._port.reset_input_buffer()
        except (OSError, termios.error) as error:
            return Trouble(ReaderState.LOST, str(error))
        return None

    def close(self) -> None:
        """Release the device."""
        port, self._port = self._port, None
        if port is not None:
            with contextlib.suppress(OSError, termios.error):
                port.close()


class TalkingReader:
    """``card_contracts.Link`` of a serial reader that talks by itself (RDM6300, EM-18)."""

    def __init__(
        self, port: SerialPort, new_decoder: Callable[[], Decoder], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._port = port
        self._new_decoder = new_decoder
        self._decoder = new_decoder()
        self._clock = clock

    def open(self) -> Trouble | None:
        """Open the device; half a frame of before is forgotten."""
        self._decoder = self._new_decoder()
        return self._port.open()

    def receive(self, wait_s: float) -> Sequence[bytes | FrameFault] | Trouble:
        """Wait for bytes and return what they complete."""
        data = self._port.read(wait_s)
        return data if isinstance(data, Trouble) else self._decoder.feed(data, self._clock())

    def close(self) -> None:
        """Release the device."""
        self._port.close()
