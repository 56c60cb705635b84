"""What a reader types that calls itself a USB keyboard: digits and Enter, as events of the kernel's input layer.

Events are ``struct input_event`` of linux/input.h: two longs of time, 16 bits type, 16 bits code, 32 bits value.
Key codes are those of linux/input-event-codes.h. No checksum exists here: what is refused are other keys, impossible
lengths and lines that do not end.
"""

from __future__ import annotations

import struct
from typing import Final, Literal

from drivers.card_contracts import FrameFault

#: A line that pauses for longer is given up, seconds: a reader types it within a few tens of milliseconds.
PAUSE_S: Final = 0.5

EVENT: Final = struct.Struct("@llHHi")
EV_SYN: Final = 0
EV_KEY: Final = 1
SYN_DROPPED: Final = 3
#: Value of a key event that is a press; 0 is a release and 2 a repeat.
PRESSED: Final = 1

KEYS: Final = {
    **dict(zip(range(2, 12), "1234567890", strict=True)),
    **dict(zip((79, 80, 81, 75, 76, 77, 71, 72, 73, 82), "1234567890", strict=True)),  # the block on the right
    **dict(zip((30, 48, 46, 32, 18, 33), "ABCDEF", strict=True)),
}
ENTERS: Final = frozenset((28, 96))
_SHIFTS: Final = frozenset((42, 54, 58))  # left, right, lock: letters count the same in either case
_LONGEST: Final = 32
#: Sizes of an id in bytes; the smallest card ids have four.
_SMALLEST: Final = 4
_LARGEST: Final = 10

Digits = Literal["decimal", "hex"]


def number(line: str, digits: Digits) -> bytes | FrameFault:
    """Return the id that ``line`` spells, big-endian and of at least four bytes, or BAD_FRAME."""
    if digits == "hex":
        good = len(line) % 2 == 0 and _SMALLEST <= len(line) // 2 <= _LARGEST
        return bytes.fromhex(line) if good else FrameFault.BAD_FRAME
    if not line.isdecimal():
        return FrameFault.BAD_FRAME
    size = max(_SMALLEST, (int(line).bit_length() + 7) // 8)
    return int(line).to_bytes(size, "big") if size <= _LARGEST else FrameFault.BAD_FRAME


class Keyboard:
    """``card_contracts.Decoder`` for raw events."""

    def __init__(self, digits: Digits) -> None:
        self._digits = digits
        self._rest = b""
        self._line = ""
        self._spoilt = False
        self._last_s = 0.0

    def feed(self, data: bytes, now_s: float) -> list[bytes | FrameFault]:
        """See ``card_contracts.Decoder``."""
        found: list[bytes | FrameFault] = []
        if (self._line or self._spoilt) and now_s - self._last_s > PAUSE_S:
            self._forget()
            found.append(FrameFault.BAD_FRAME)
        if data:
            self._last_s = now_s
        data = self._rest + data
        whole = len(data) - len(data) % EVENT.size
        self._rest = data[whole:]
        for _, _, kind, code, value in EVENT.iter_unpack(data[:whole]):
            if kind == EV_SYN and code == SYN_DROPPED:
                self._spoilt = True  # the kernel's buffer ran over: keys are missing
            elif kind == EV_KEY and value == PRESSED:
                if code in ENTERS:
                    found += self._end()
                else:
                    self._press(code)
        return found

    def _press(self, code: int) -> None:
        if code in KEYS and len(self._line) < _LONGEST:
            self._line += KEYS[code]
        elif code not in _SHIFTS:
            self._spoilt = True

    def _end(self) -> list[bytes | FrameFault]:
        line, spoilt = self._line, self._spoilt
        self._forget()
        if spoilt:
            return [FrameFault.BAD_FRAME]
        return [number(line, self._digits)] if line else []

    def _forget(self) -> None:
        self._line, self._spoilt = "", False
