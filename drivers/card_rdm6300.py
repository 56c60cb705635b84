"""Frames of the 125 kHz serial readers RDM6300 and EM-18.

RDM6300, 14 bytes: STX, ten hex digits (one byte version, four bytes tag), two hex digits checksum, ETX. EM-18, 12
characters: the same without STX and ETX, sometimes followed by CR LF. The checksum is the exclusive or of the five
bytes. Both: 9600 8N1. (Data sheets; the same in the Ruby package rdm6300.)

Upper-case digits only, as both modules send them: so every single flipped bit is refused. An exclusive or cannot see
the same bit flipped in two bytes.
"""

from __future__ import annotations

from functools import reduce
from operator import xor
from typing import Final

from drivers.card_contracts import FrameFault

#: A frame takes 15 ms at 9600 baud, and USB adapters deliver within some 16 ms; what pauses longer is cut short.
PAUSE_S: Final = 0.1

_STX: Final = 0x02
_ETX: Final = 0x03
_DIGITS: Final = frozenset(b"0123456789ABCDEF")
#: Five bytes and their checksum in hex.
_LENGTH: Final = 12
_LINE_ENDS: Final = frozenset(b"\r\n")


def check(digits: bytes) -> bytes | FrameFault:
    """Return the five bytes of an id from its 12 characters, or what is wrong with them."""
    if len(digits) != _LENGTH or not _DIGITS.issuperset(digits):
        return FrameFault.BAD_FRAME
    *uid, checksum = bytes.fromhex(digits.decode("ascii"))
    return bytes(uid) if reduce(xor, uid) == checksum else FrameFault.BAD_CHECKSUM


class _Paused:
    """Gathers characters and gives up those after which nothing came for a while."""

    def __init__(self) -> None:
        self._partial = bytearray()
        self._last_s = 0.0

    def feed(self, data: bytes, now_s: float) -> list[bytes | FrameFault]:
        """See ``card_contracts.Decoder``."""
        found: list[bytes | FrameFault] = []
        if self._partial and now_s - self._last_s > PAUSE_S:
            found.append(self._abandon())
        for byte in data:
            outcome = self._next(byte)
            if outcome is not None:
                found.append(outcome)
        if data:
            self._last_s = now_s
        return found

    def _abandon(self) -> FrameFault:
        self._partial.clear()
        return FrameFault.BAD_FRAME

    def _next(self, byte: int) -> bytes | FrameFault | None:
        raise NotImplementedError


class Rdm6300(_Paused):
    """Frames with STX and ETX. What comes between frames is noise; an ETX there ends a frame that lost its STX."""

    def _next(self, byte: int) -> bytes | FrameFault | None:
        if byte == _STX:
            outcome = self._abandon() if self._partial else None
            self._partial.append(byte)
            return outcome
        if not self._partial:
            return FrameFault.BAD_FRAME if byte == _ETX else None
        self._partial.append(byte)
        if len(self._partial) <= 1 + _LENGTH:
            return None if byte in _DIGITS else self._abandon()
        digits = bytes(self._partial[1:-1])
        self._partial.clear()
        return check(digits) if byte == _ETX else FrameFault.BAD_FRAME


class Em18(_Paused):
    """Frames without a mark: only a pause or a line end tells where one begins."""

    def _next(self, byte: int) -> bytes | FrameFault | None:
        if byte not in _DIGITS:
            return self._abandon() if self._partial or byte not in _LINE_ENDS else None
        self._partial.append(byte)
        if len(self._partial) < _LENGTH:
            return None
        digits = bytes(self._partial)
        self._partial.clear()
        return check(digits)
