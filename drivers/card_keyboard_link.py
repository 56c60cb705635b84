"""The input device of a reader that calls itself a keyboard.

It is taken for this program alone (EVIOCGRAB of linux/input.h): otherwise every card number would be typed into
whatever console is open as well. A device that cannot be taken is not read.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import select
import time
from typing import TYPE_CHECKING, Final

from drivers.card_contracts import ReaderState, Trouble, trouble_of
from drivers.card_keyboard import EVENT, Keyboard

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from drivers.card_contracts import FrameFault
    from drivers.card_keyboard import Digits

#: _IOW('E', 0x90, int): write, four bytes.
EVIOCGRAB: Final = 1 << 30 | 4 << 16 | ord("E") << 8 | 0x90
#: Events of one read: a line is some 30 of them.
_EVENTS: Final = 64


def take_alone(descriptor: int) -> None:
    """Let nobody else hear this input device until it is closed. Raises OSError."""
    fcntl.ioctl(descriptor, EVIOCGRAB, 1)


class KeyboardLink:
    """``card_contracts.Link`` of ``device``, an event device; prefer a path below /dev/input/by-id.

    ``take`` makes the open device this program's own or raises OSError.
    """

    def __init__(
        self,
        device: str,
        digits: Digits,
        take: Callable[[int], None] = take_alone,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._device = device
        self._digits = digits
        self._take = take
        self._clock = clock
        self._keyboard = Keyboard(digits)
        self._descriptor: int | None = None
        self._poll = select.poll()

    def open(self) -> Trouble | None:
        """Open the device and take it."""
        self._keyboard = Keyboard(self._digits)
        try:
            descriptor = os.open(self._device, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            return trouble_of(error)
        self._descriptor = descriptor
        try:
            self._take(descriptor)
        except OSError as error:
            if error.errno in {errno.ENOTTY, errno.EINVAL}:
                return Trouble(ReaderState.UNUSABLE, f"{self._device} is no input device")
            return trouble_of(error)
        self._poll = select.poll()
        self._poll.register(descriptor, select.POLLIN)
        return None

    def receive(self, wait_s: float) -> Sequence[bytes | FrameFault] | Trouble:
        """Wait for keys and return the lines that they complete."""
        if self._descriptor is None:
            return Trouble(ReaderState.LOST, f"{self._device} is not open")
        data = b""
        try:
            if self._poll.poll(max(0.0, wait_s) * 1000):
                data = os.read(self._descriptor, _EVENTS * EVENT.size)
                if not data:
                    return Trouble(ReaderState.LOST, f"{self._device} hung up")
        except BlockingIOError:
            pass
        except OSError as error:
            return Trouble(ReaderState.LOST, str(error))
        return self._keyboard.feed(data, self._clock())

    def close(self) -> None:
        """Give the device back to everybody."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            with contextlib.suppress(OSError):
                os.close(descriptor)
