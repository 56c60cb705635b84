"""Frames of the PN532 on its serial port (HSU): building, checking, and the cards in an answer.

00 00 FF LEN LCS TFI data DCS 00; LEN + LCS and TFI + data + DCS are 0 modulo 256. TFI is D4 towards the chip and D5
from it. 00 00 FF 00 FF 00 acknowledges a command, the answer follows. A chip that sleeps is woken by 55 55 and a
pause. (PN532 user manual UM0701-02, 6.2 and 7.)

The sums see every single flipped bit; two that cancel in a sum are not seen.
"""

from __future__ import annotations

from enum import Enum
from typing import Final, TypeVar

from drivers.card_contracts import FrameFault

#: What wakes the chip; the zeros are the time it needs (2 ms at 115200 baud would be 23 characters).
WAKE_UP: Final = bytes([0x55, 0x55]) + bytes(24)
#: SAMConfiguration: no secure module in between, no time-out, interrupt line used.
SAM_CONFIGURATION: Final = bytes([0x14, 0x01, 0x00, 0x01])
GET_FIRMWARE_VERSION: Final = bytes([0x02])
#: RFConfiguration item 5: looking for a card ends after one more try; by default it never does.
FEW_RETRIES: Final = bytes([0x32, 0x05, 0xFF, 0x01, 0x01])
#: InListPassiveTarget: up to two cards of ISO 14443 A at 106 kbit/s.
IN_LIST_PASSIVE_TARGET: Final = bytes([0x4A, 0x02, 0x00])
#: InRelease of every card, so that it is found again for as long as it is there.
IN_RELEASE: Final = bytes([0x52, 0x00])
#: First byte of the answer to GetFirmwareVersion after the code: the kind of chip.
CHIP: Final = 0x32

ACK_FRAME: Final = bytes([0x00, 0x00, 0xFF, 0x00, 0xFF, 0x00])
_START: Final = b"\x00\x00\xff"
_TO_CHIP: Final = 0xD4
_FROM_CHIP: Final = 0xD5
_HEAD_BYTES: Final = 5
_UID_SIZES: Final = frozenset((4, 7, 10))
#: Bit of SEL_RES: the card speaks ISO 14443-4, and its answer to select follows.
_HAS_ATS: Final = 0x20

Accepted = TypeVar("Accepted")


class Signal(Enum):
    """A frame without data."""

    ACK = "ack"
    NACK = "nack"


def encode(command: bytes) -> bytes:
    """Return the frame of ``command`` (code and parameters, 1 to 254 bytes). Raises ValueError for another size."""
    if not 1 <= len(command) <= 0xFF - 1:
        raise ValueError(f"a command of {len(command)} bytes")
    return frame(bytes([_TO_CHIP]) + command)


def frame(body: bytes) -> bytes:
    """Return the frame around ``body`` (TFI and data)."""
    return _START + bytes([len(body), -len(body) & 0xFF]) + body + bytes([-sum(body) & 0xFF, 0])


class Pn532:
    """Finds frames in what the chip sends."""

    def __init__(self) -> None:
        self._buffer = b""

    def feed(self, data: bytes) -> list[bytes | Signal | FrameFault]:
        """Return answers (code and data, TFI removed), signals and bad frames that are complete now."""
        self._buffer = self._buffer + data
        found: list[bytes | Signal | FrameFault] = []
        while (outcome := self._next()) is not None:
            found.append(outcome)
        return found

    def _next(self) -> bytes | Signal | FrameFault | None:
        start = self._buffer.find(_START)
        # Of what is no frame only the beginning of a start mark is kept.
        self._buffer = self._buffer[start:] if start >= 0 else self._buffer[1 - len(_START) :]
        if start < 0 or len(self._buffer) < _HEAD_BYTES + 1:
            return None
        length, check = self._buffer[3:5]
        if (length, check) in ((0x00, 0xFF), (0xFF, 0x00)):
            return self._accept(_HEAD_BYTES + 1, Signal.NACK if length else Signal.ACK)
        if length == 0 or (length + check) % 256 != 0:
            return self._refuse(FrameFault.BAD_CHECKSUM)
        return self._body(length) if len(self._buffer) >= _HEAD_BYTES + length + 2 else None

    def _body(self, length: int) -> bytes | FrameFault:
        body = self._buffer[_HEAD_BYTES : _HEAD_BYTES + length + 1]
        if sum(body) % 256 != 0:
            return self._refuse(FrameFault.BAD_CHECKSUM)
        # An error frame has another TFI.
        answer = body[1:-1] if body[0] == _FROM_CHIP and length > 1 else FrameFault.BAD_FRAME
        return self._accept(_HEAD_BYTES + length + 2, answer)

    def _accept(self, size: int, outcome: Accepted) -> Accepted | FrameFault:
        if self._buffer[size - 1] != 0:
            return self._refuse(FrameFault.BAD_FRAME)
        self._buffer = self._buffer[size:]
        return outcome

    def _refuse(self, fault: FrameFault) -> FrameFault:
        """Leave the start mark behind: what follows it may hold a good frame."""
        self._buffer = self._buffer[len(_START) :]
        return fault


def cards(answer: bytes) -> list[bytes] | FrameFault:
    """Return the ids in an answer to InListPassiveTarget (4, 7 or 10 bytes each), or BAD_FRAME."""
    if len(answer) < 2 or answer[0] != IN_LIST_PASSIVE_TARGET[0] + 1:  # noqa: PLR2004 - code and number of cards
        return FrameFault.BAD_FRAME
    found, rest = [], answer[2:]
    for _ in range(answer[1]):
        # number, SENS_RES (2), SEL_RES, length of the id
        if len(rest) < _HEAD_BYTES or rest[4] not in _UID_SIZES or len(rest) < _HEAD_BYTES + rest[4]:
            return FrameFault.BAD_FRAME
        select, size = rest[3], rest[4]
        found.append(rest[_HEAD_BYTES : _HEAD_BYTES + size])
        rest = rest[_HEAD_BYTES + size :]
        if select & _HAS_ATS:
            rest = rest[rest[0] :] if rest else rest
    return found
