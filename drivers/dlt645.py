"""Frames of DL/T 645-2007, the protocol in which some Chinese meters leave the factory. Pure values, no I/O.

A frame is ``68 A0..A5 68 C L data CS 16`` behind up to four wake-up bytes FE: the address is twelve BCD digits, lowest
pair first, ``AA`` six times is everybody; the data bytes travel with 33h added; CS is the sum of all bytes from the
first 68h, modulo 256 (DL/T 645-2007, 5.2 and 7). Pilenode knows as much of it as finding a meter and changing it over
to Modbus needs: what writes is built in ``drivers.writes`` only.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

#: Wakes a receiver up; meters send some in front of their replies as well.
PREAMBLE: Final = b"\xfe\xfe\xfe\xfe"
#: Every meter answers to this address: only for a line with a single meter.
EVERYBODY: Final = "A" * 12
READ_ADDRESS: Final = 0x13
#: Set in the control code of a reply, and of one that refuses.
REPLY: Final = 0x80
REFUSAL: Final = 0x40
#: Data bytes of one frame (7.1: at most 200 for a read).
MAX_DATA: Final = 200

_START: Final = 0x68
_END: Final = 0x16
_CODING: Final = 0x33
_AROUND: Final = 12
_ADDRESS_BYTES: Final = 6


@dataclass(frozen=True, slots=True)
class Frame:
    """``address``: twelve digits as printed on the meter, or ``EVERYBODY``; ``data`` without the 33h."""

    address: str
    control: int
    data: bytes = b""

    def __post_init__(self) -> None:
        if len(self.address) != 2 * _ADDRESS_BYTES or not (self.address.isdecimal() or self.address == EVERYBODY):
            raise ValueError(f"{self.address!r} is no address of twelve digits")
        if not 0 <= self.control <= 0xFF:  # noqa: PLR2004 - one byte
            raise ValueError(f"control code {self.control} is no byte")
        if len(self.data) > MAX_DATA:
            raise ValueError(f"{len(self.data)} data bytes are more than {MAX_DATA}")

    @property
    def wire(self) -> bytes:
        """Return the bytes on the wire, without wake-up bytes."""
        body = bytes([_START, *bytes.fromhex(self.address)[::-1], _START, self.control, len(self.data)])
        body += bytes((byte + _CODING) & 0xFF for byte in self.data)
        return body + bytes([sum(body) & 0xFF, _END])


def parse(raw: bytes) -> Frame | None:
    """Return the one frame in ``raw``, None when there is none, or something other than wake-up bytes beside it."""
    raw = raw.lstrip(b"\xfe")
    if len(raw) < _AROUND or raw[0] != _START or raw[7] != _START or raw[-1] != _END:
        return None
    if len(raw) != _AROUND + raw[9] or sum(raw[:-2]) & 0xFF != raw[-2]:
        return None
    address = raw[1:7][::-1].hex().upper()
    if raw[9] > MAX_DATA or not (address.isdecimal() or address == EVERYBODY):
        return None
    return Frame(address, raw[8], bytes((byte - _CODING) & 0xFF for byte in raw[10:-2]))


def who_is_there() -> bytes:
    """Return the question for the address of the only meter on the line (7.4), with wake-up bytes."""
    return PREAMBLE + Frame(EVERYBODY, READ_ADDRESS).wire


def address_in(raw: bytes) -> str | None:
    """Return the address that answers ``who_is_there``, None when ``raw`` is no such answer."""
    frame = parse(raw)
    if frame is None or frame.control != READ_ADDRESS | REPLY or frame.address == EVERYBODY:
        return None
    told = frame.data[::-1].hex().upper()
    return told if told == frame.address else None
