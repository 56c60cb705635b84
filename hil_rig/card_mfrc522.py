"""An MFRC522 as its registers, with cards in its field that follow the anticollision of ISO 14443-3 bit by bit.

``Mfrc522Chip.transfer`` is what comes and goes on SPI. Only what the chip does with the commands Idle, Transceive and
SoftReset is simulated; everything happens at once, and a silent field ends the wait by the chip's own timer.
"""

from __future__ import annotations

from enum import Enum
from functools import reduce
from operator import xor

Bits = list[int]

_SELECT = (0x93, 0x95, 0x97)
_SIZES = (4, 7, 10)


def bits_of(data: bytes) -> Bits:
    """Return the bits of ``data`` in the order of the air: the lowest of each byte first."""
    return [byte >> place & 1 for byte in data for place in range(8)]


def bytes_of(bits: Bits, align: int = 0) -> bytes:
    """Return ``bits`` as the FIFO holds them, the first one at the place ``align`` of the first byte."""
    shifted = [0] * align + bits
    whole = [shifted[at : at + 8] for at in range(0, len(shifted), 8)]
    return bytes(sum(bit << place for place, bit in enumerate(part)) for part in whole)


def crc_a(data: bytes) -> bytes:
    """Return CRC_A, computed bit by bit."""
    crc = 0x6363
    for bit in bits_of(data):
        crc = (crc >> 1) ^ (0x8408 if (crc ^ bit) & 1 else 0)
    return bytes([crc & 0xFF, crc >> 8])


class State(Enum):
    """Where a card is in ISO 14443-3, figure "state diagram of type A"."""

    IDLE = 1
    READY = 2
    ACTIVE = 3
    HALT = 4


class FieldCard:
    """One card with an id of 4, 7 or 10 bytes. ``bad_bcc`` and ``bad_crc`` make it answer with false checks."""

    def __init__(self, uid: bytes, *, bad_bcc: bool = False, bad_crc: bool = False) -> None:
        self.uid = uid
        self.state = State.IDLE
        self._was_halted = False
        self._level = 0
        self._levels = self._cut(uid, bad_bcc=bad_bcc)
        self._bad_crc = bad_crc

    @staticmethod
    def _cut(uid: bytes, *, bad_bcc: bool) -> list[bytes]:
        last = _SIZES.index(len(uid))
        parts = [b"\x88" + uid[3 * level : 3 * level + 3] for level in range(last)] + [uid[3 * last :]]
        return [part + bytes([reduce(xor, part) ^ (0x40 if bad_bcc else 0)]) for part in parts]

    def hear(self, frame: Bits) -> Bits:
        """Return what the card answers to the bits of a frame; nothing when it stays silent."""
        if frame in (bits_of(b"\x26")[:7], bits_of(b"\x52")[:7]):
            return self._wake(all_cards=frame == bits_of(b"\x52")[:7])
        if self.state not in {State.READY, State.ACTIVE}:
            return []
        data = bytes_of(frame)
        if self.state is State.ACTIVE:
            if data == b"\x50\x00" + crc_a(b"\x50\x00"):
                self._sleep(State.HALT)
            else:
                self._sleep(State.HALT if self._was_halted else State.IDLE)
            return []
        return self._resolve(data, frame)

    def _wake(self, *, all_cards: bool) -> Bits:
        if self.state is State.IDLE or (self.state is State.HALT and all_cards):
            self._was_halted = self.state is State.HALT
            self.state, self._level = State.READY, 0
            return bits_of(bytes([0x04 | (len(self._levels) - 1) << 6, 0x00]))
        if self.state is not State.HALT:
            self._sleep(State.HALT if self._was_halted else State.IDLE)
        return []

    def _sleep(self, state: State) -> None:
        self.state = state

    def _resolve(self, data: bytes, frame: Bits) -> Bits:
        level = self._levels[self._level]
        if data[0] != _SELECT[self._level]:
            self._sleep(State.HALT if self._was_halted else State.IDLE)
            return []
        if data[1] == 0x70:  # noqa: PLR2004 - seven bytes: this is the card that is meant
            return self._selected(data, level)
        known = frame[16:]
        own = bits_of(level)
        return own[len(known) :] if own[: len(known)] == known else []

    def _selected(self, data: bytes, level: bytes) -> Bits:
        if data[2:7] != level or data[7:] != crc_a(data[:7]):
            self._sleep(State.HALT if self._was_halted else State.IDLE)
            return []
        self._level += 1
        more = self._level < len(self._levels)
        if not more:
            self.state = State.ACTIVE
        sak = bytes([0x04 if more else 0x08])
        crc = crc_a(sak)
        return bits_of(sak + (bytes([crc[0] ^ 1, crc[1]]) if self._bad_crc else crc))


class Mfrc522Chip:
    """The chip. ``cards`` may be changed at any time; ``dead`` makes its lines read like an open wire.

    ``spoil`` is an error bit (ERROR register) that the next answer carries.
    """

    def __init__(self, version: int = 0x92) -> None:
        self.version = version
        self.cards: list[FieldCard] = []
        self.dead = False
        self.closed = False
        self.spoil = 0
        self.collisions = 0
        self.keeps_settings = True
        self._fifo = bytearray()
        self._registers: dict[int, int] = {}
        self.power_cycle()

    def power_cycle(self) -> None:
        """Forget every setting, as after a loss of supply."""
        self._registers = dict.fromkeys(range(0x40), 0) | {0x37: self.version, 0x0E: 0x80, 0x14: 0x80}
        self._fifo.clear()
        self._leave_field()

    def transfer(self, data: list[int]) -> list[int]:
        """Exchange bytes: the first says read or write and which register."""
        if self.dead:
            return [0xFF] * len(data)
        register = data[0] >> 1 & 0x3F
        if data[0] & 0x80:
            return [0, *(self._get(register) for _ in data[1:])]
        for value in data[1:]:
            self._set(register, value)
        return [0] * len(data)

    def close(self) -> None:
        """Note that the device was released."""
        self.closed = True

    def _leave_field(self) -> None:
        for card in self.cards:
            card.state = State.IDLE

    def _get(self, register: int) -> int:
        if register == 0x09:  # noqa: PLR2004 - FIFO data
            return self._fifo.pop(0) if self._fifo else 0
        if register == 0x0A:  # noqa: PLR2004 - FIFO level
            return len(self._fifo)
        return self._registers[register]

    def _set(self, register: int, value: int) -> None:
        match register:
            case 0x01 if value & 0x0F == 0x0F:  # noqa: PLR2004 - SoftReset
                self.power_cycle()
            case 0x04:  # a bit set here with the top bit clear clears that interrupt
                self._registers[0x04] &= ~value
            case 0x09:
                self._fifo.append(value)
            case 0x0A:
                if value & 0x80:
                    self._fifo.clear()
            case 0x2B | 0x2D if not self.keeps_settings:
                pass
            case 0x37 | 0x06:
                pass
            case _:
                self._registers[register] = value
                if register == 0x14 and not value & 0x03:  # noqa: PLR2004 - antenna off
                    self._leave_field()
                if register == 0x0D and value & 0x80 and self._registers[0x01] & 0x0F == 0x0C:  # noqa: PLR2004
                    self._transceive(value)

    def _transceive(self, framing: int) -> None:
        sent = bits_of(bytes(self._fifo))
        if framing & 0x07:
            sent = sent[: len(sent) - 8 + (framing & 0x07)]
        self._fifo.clear()
        self._registers[0x06] = 0
        field_on = self._registers[0x14] & 0x03 == 0x03 and self._registers[0x15] & 0x40  # noqa: PLR2004
        answers = [answer for card in self.cards if field_on and (answer := card.hear(sent))]
        if not answers:
            timer_runs = self._registers[0x2A] & 0x80 and (self._registers[0x2C] or self._registers[0x2D])
            self._registers[0x04] |= 0x01 if timer_runs else 0
            return
        self._receive(answers, align=framing >> 4 & 0x07)

    def _receive(self, answers: list[Bits], align: int) -> None:
        length = max(map(len, answers))
        at = next((n for n in range(length) if len({tuple(answer[n : n + 1]) for answer in answers}) > 1), None)
        bits = answers[0]
        error, self.spoil = self.spoil, 0
        if at is not None:
            self.collisions += 1
            bits = answers[0][:at] + [0] * (length - at)
            error |= 0x08
            self._registers[0x0E] = self._registers[0x0E] & 0x80 | ((at + 1) % 32 if at < 32 else 0x20)  # noqa: PLR2004
        self._registers[0x06] = error
        self._fifo += bytes_of(bits, align)
        self._fifo[0] |= (1 << align) - 1  # below the first bit received the FIFO holds anything
        self._registers[0x0C] = (len(bits) + align) % 8
        self._registers[0x04] |= 0x20
