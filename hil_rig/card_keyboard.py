"""A reader that types, as real ``struct input_event`` bytes in a FIFO.

A FIFO cannot be taken with EVIOCGRAB: whoever reads from it hands a grab of its own to the driver.
"""

from __future__ import annotations

import os
import struct
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from pathlib import Path

_KEYS = dict(zip("1234567890", range(2, 12), strict=True)) | dict(zip("ABCDEF", (30, 48, 46, 32, 18, 33), strict=True))
ENTER = 28
LEFT_SHIFT = 42


def event(kind: int, code: int, value: int) -> bytes:
    """Return one event, at time zero."""
    return struct.pack("@llHHi", 0, 0, kind, code, value)


def stroke(code: int) -> bytes:
    """Return the events of one key pressed and released, as the kernel reports them: scan code, key, report."""
    scan = event(4, 4, code)
    report = event(0, 0, 0)
    return scan + event(1, code, 1) + report + scan + event(1, code, 0) + report


def line(text: str, *, enter: bool = True) -> bytes:
    """Return what a reader types for ``text``: digits, letters A to F with Shift, and Enter."""
    typed = b""
    for character in text:
        shifted = character.isalpha()
        typed += event(1, LEFT_SHIFT, 1) if shifted else b""
        typed += stroke(_KEYS[character])
        typed += event(1, LEFT_SHIFT, 0) if shifted else b""
    return typed + (stroke(ENTER) if enter else b"")


class EventDevice:
    """A FIFO at ``path`` that holds events until they are read; ``vanish`` takes it away."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._writer = -1
        self.appear()

    def appear(self) -> None:
        """Plug it in."""
        os.mkfifo(self.path)
        # Both directions: opening waits for nobody, and what is written stays until somebody reads.
        self._writer = os.open(self.path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)

    def vanish(self) -> None:
        """Pull it out."""
        if self._writer >= 0:
            self.path.unlink()
            os.close(self._writer)
            self._writer = -1

    def type(self, data: bytes) -> None:
        """Let events happen."""
        os.write(self._writer, data)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.vanish()
