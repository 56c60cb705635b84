"""The MFRC522 and its like at register level, and how cards of ISO 14443 A are told apart through it.

Registers and commands: MFRC522 data sheet, chapters 8 to 10. Cards: ISO/IEC 14443-3 A. Every card in the field
answers the same request; where their ids differ the chip reports a collision, and the reader goes on with those that
have a 1 there. A card that was read is sent to sleep, and the others are asked again. So two cards at once give two
ids. Three may collide twice in a row; their ids are then not guessed, and a COLLISION is counted.

Each look switches the field on and off again. It is what wakes cards that sleep: asking all of them (WUPA) would not
do, for a sleeping card that loses against another goes back to sleep and cannot be asked alone.

Everything here raises what ``spi`` raises.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from drivers.card_contracts import FrameFault, ReaderState, Trouble

if TYPE_CHECKING:
    from collections.abc import Callable

# registers
COMMAND: Final = 0x01
COM_IRQ: Final = 0x04
ERROR: Final = 0x06
FIFO_DATA: Final = 0x09
FIFO_LEVEL: Final = 0x0A
CONTROL: Final = 0x0C
BIT_FRAMING: Final = 0x0D
COLL: Final = 0x0E
MODE: Final = 0x11
TX_MODE: Final = 0x12
RX_MODE: Final = 0x13
TX_CONTROL: Final = 0x14
TX_ASK: Final = 0x15
T_MODE: Final = 0x2A
T_PRESCALER: Final = 0x2B
T_RELOAD_HIGH: Final = 0x2C
T_RELOAD_LOW: Final = 0x2D
VERSION: Final = 0x37

# commands of the chip
IDLE: Final = 0x00
TRANSCEIVE: Final = 0x0C
SOFT_RESET: Final = 0x0F

# commands to a card
REQA: Final = 0x26
SELECT: Final = (0x93, 0x95, 0x97)
HLTA: Final = bytes([0x50, 0x00])
#: First byte of a level whose id goes on in the next level.
CASCADE_TAG: Final = 0x88

# bits
RECEIVED: Final = 0x30  # RxIRq, IdleIRq
TIMED_OUT: Final = 0x01
COLLIDED: Final = 0x08
PARITY: Final = 0x02
OTHER_ERRORS: Final = 0x91  # WrErr, BufferOvfl, ProtocolErr
START_SEND: Final = 0x80
FLUSH: Final = 0x80
POSITION_INVALID: Final = 0x20
ANTENNA: Final = 0x03
POWER_DOWN: Final = 0x10
UID_INCOMPLETE: Final = 0x04

#: What stands in ``Mfrc522.reset``: the timer counts 25 us and stops the wait for a card after 5 ms; CRC start value
#: 0x6363; 100 % modulation. Whole bytes are read back: a chip that lost its supply has forgotten them.
SETTINGS: Final = (
    (TX_MODE, 0x00),
    (RX_MODE, 0x00),
    (T_MODE, 0x80),
    (T_PRESCALER, 0xA9),
    (T_RELOAD_HIGH, 0x00),
    (T_RELOAD_LOW, 0xC8),
    (TX_ASK, 0x40),
    (MODE, 0x3D),
    (COLL, 0x00),
)
#: Versions that nothing has: a line that is stuck or open.
_NOBODY: Final = frozenset((0x00, 0xFF))
_READ_BACK: Final = ((T_PRESCALER, 0xA9), (T_RELOAD_LOW, 0xC8))

#: The chip wakes from a reset within this; the data sheet gives 37.74 us after the oscillator, seconds.
_RESET_S: Final = 0.05
#: Cards must be ready 5 ms after the field is there (ISO/IEC 14443-3, 6.1.5), seconds.
_FIELD_S: Final = 0.006
#: Beyond the chip's own time-out, seconds.
_ANSWER_S: Final = 0.03
_UID_BITS: Final = 32
_LEVEL_BYTES: Final = 5
_MOST_CARDS: Final = 4


class Spi(Protocol):
    """An SPI device that is open: mode 0, at most 10 MHz (here 1 MHz)."""

    def transfer(self, data: list[int]) -> list[int]:
        """Exchange as many bytes as ``data`` has, chip select low meanwhile."""

    def close(self) -> None:
        """Release it."""


class _Answer(NamedTuple):
    """What cards answered, and the bit (from 1) of the first collision, 0 for none."""

    data: bytes
    collision: int


def crc_a(data: bytes) -> bytes:
    """Return the two bytes of CRC_A (ISO/IEC 14443-3, start value 0x6363)."""
    crc = 0x6363
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ 0x8408 if crc & 1 else crc >> 1
    return crc.to_bytes(2, "little")


class Mfrc522:
    """One chip."""

    def __init__(
        self,
        spi: Spi,
        clock: Callable[[], float] = time.monotonic,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self._spi = spi
        self._clock = clock
        self._pause = pause

    def reset(self) -> Trouble | None:
        """Reset the chip and set it up; None when it is there and took the settings. The field is off."""
        version = self.version()
        if version in _NOBODY:
            return Trouble(ReaderState.SILENT, f"no chip answers (version register {version:02X})")
        self._write(COMMAND, SOFT_RESET)
        until_s = self._clock() + _RESET_S
        while self._read(COMMAND) & POWER_DOWN:
            if self._clock() > until_s:
                return Trouble(ReaderState.SILENT, "the chip does not wake from its reset")
        for register, value in SETTINGS:
            self._write(register, value)
        self._field(on=False)
        if not self.sound():
            return Trouble(ReaderState.UNUSABLE, f"settings are not kept (version register {version:02X})")
        return None

    def version(self) -> int:
        """Return the version register: 91 or 92 for the original, other values for copies; 00 or FF for nobody."""
        return self._read(VERSION)

    def sound(self) -> bool:
        """Return whether the chip still has its settings."""
        return all(self._read(register) == value for register, value in _READ_BACK)

    def look(self) -> list[bytes | FrameFault]:
        """Return the ids of the cards in the field, and what could not be read."""
        self._field(on=True)
        self._pause(_FIELD_S)
        found: list[bytes | FrameFault] = []
        # Answers of several cards lie on top of each other and are no good frame: somebody is there all the same.
        while len(found) < _MOST_CARDS and self._talk(bytes([REQA]), last_bits=7) is not None:
            outcome = self._select()
            if outcome is not None:
                found.append(outcome)
            if not isinstance(outcome, bytes):
                break  # taken away meanwhile, or unreadable: the next look will tell
            self._talk(HLTA + crc_a(HLTA))  # no card answers to that, and those asleep answer to nothing
        self._field(on=False)
        return found

    def _field(self, *, on: bool) -> None:
        others = self._read(TX_CONTROL) & ~ANTENNA
        self._write(TX_CONTROL, others | ANTENNA if on else others)

    def _select(self) -> bytes | FrameFault | None:
        """Return the id of one card, which then alone is selected; None when it has gone."""
        uid = b""
        for command in SELECT:
            part = self._resolve(command)
            if not isinstance(part, bytes):
                return part
            confirmed = self._confirm(command, part)
            if not isinstance(confirmed, bytes):
                return confirmed
            goes_on = bool(confirmed[0] & UID_INCOMPLETE)
            # The tag must stand exactly where the card says that its id goes on; in the last level nothing goes on.
            if goes_on != (part[0] == CASCADE_TAG and command != SELECT[-1]):
                return FrameFault.BAD_FRAME
            if not goes_on:
                return uid + part[:4]
            uid += part[1:4]
        return FrameFault.BAD_FRAME

    def _resolve(self, command: int) -> bytes | FrameFault | None:
        """Return the four bytes of one card in this level with their checksum byte."""
        answer = self._talk(bytes([command, 0x20]))
        if not isinstance(answer, _Answer):
            return answer
        level = answer.data
        if answer.collision:
            level_or_fault = self._choose(command, answer)
            if not isinstance(level_or_fault, bytes):
                return level_or_fault
            level = level_or_fault
        if len(level) != _LEVEL_BYTES:
            return FrameFault.BAD_FRAME
        if level[0] ^ level[1] ^ level[2] ^ level[3] != level[4]:
            return FrameFault.BAD_CHECKSUM
        return level

    def _choose(self, command: int, answer: _Answer) -> bytes | FrameFault | None:
        """Ask again only the cards with a 1 where the first answers differed."""
        known = answer.collision
        bits = int.from_bytes(answer.data, "little") & ((1 << known - 1) - 1) | 1 << known - 1
        whole, odd = divmod(known, 8)
        sent = bits.to_bytes(_UID_BITS // 8, "little")[: whole + (odd > 0)]
        rest = self._talk(bytes([command, (2 + whole) << 4 | odd]) + sent, last_bits=odd)
        if not isinstance(rest, _Answer):
            return rest
        if rest.collision:
            return FrameFault.COLLISION
        if len(rest.data) != _LEVEL_BYTES - whole:
            return FrameFault.BAD_FRAME
        # The chip puts the first bit received where the last one sent left off; what is below it means nothing.
        received = int.from_bytes(rest.data, "little") >> odd << odd
        return (bits | received << 8 * whole).to_bytes(_LEVEL_BYTES, "little")

    def _confirm(self, command: int, level: bytes) -> bytes | FrameFault | None:
        """Select the card with these bytes and return its one byte of answer."""
        frame = bytes([command, 0x70]) + level
        answer = self._talk(frame + crc_a(frame))
        if not isinstance(answer, _Answer):
            return answer
        sak, crc = answer.data[:1], answer.data[1:]
        if answer.collision or not sak:
            return FrameFault.BAD_FRAME
        return sak if crc == crc_a(sak) else FrameFault.BAD_CHECKSUM

    def _talk(self, frame: bytes, last_bits: int = 0) -> _Answer | FrameFault | None:
        """Send ``frame``, the last byte cut to ``last_bits`` (0: whole), and return the answer; None for silence.

        A frame that ends within a byte is answered from that bit on, except for the short requests.
        """
        align = last_bits if len(frame) > 1 else 0
        self._write(COMMAND, IDLE)
        self._write(COM_IRQ, 0x7F)
        self._write(FIFO_LEVEL, FLUSH)
        self._spi.transfer([FIFO_DATA << 1, *frame])
        self._write(COMMAND, TRANSCEIVE)
        self._write(BIT_FRAMING, START_SEND | align << 4 | last_bits)
        until_s = self._clock() + _ANSWER_S
        while not (happened := self._read(COM_IRQ)) & (RECEIVED | TIMED_OUT):
            if self._clock() > until_s:
                return FrameFault.BAD_FRAME
        if not happened & RECEIVED:
            return None
        return self._received()

    def _received(self) -> _Answer | FrameFault:
        error = self._read(ERROR)
        level = self._read(FIFO_LEVEL) & 0x7F
        data = bytes(self._read(FIFO_DATA) for _ in range(level))
        if error & COLLIDED:
            # Parity is wrong behind a collision as a matter of course; only the place of the collision counts.
            collision = self._read(COLL)
            if collision & POSITION_INVALID:
                return FrameFault.COLLISION
            return _Answer(data, collision & 0x1F or _UID_BITS)
        if error & PARITY:
            return FrameFault.BAD_PARITY
        if error & OTHER_ERRORS or self._read(CONTROL) & 0x07:
            return FrameFault.BAD_FRAME
        return _Answer(data, 0)

    def _read(self, register: int) -> int:
        return self._spi.transfer([0x80 | register << 1, 0])[1]

    def _write(self, register: int, value: int) -> None:
        self._spi.transfer([register << 1, value])
