"""What goes over an RS-485 line as values: a question, its frame, and what counts as its answer. No I/O, no clock.

RTU replies carry no number and no length that can be trusted, so everything is computed from the question: how long
the answer will be, and whether a frame of that length is one. Unit, function, byte count and CRC must all agree.

pymodbus builds the request PDU and computes the CRC; nothing else of it is used (ADR 7, ADR 13). A question is
encoded once and kept, so that a sweep costs no encoding at all.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, Protocol

from pymodbus.framer.rtu import FramerRTU
from pymodbus.pdu.decoders import DecodePDU
from pymodbus.pdu.register_message import ReadHoldingRegistersRequest, ReadInputRegistersRequest

from safety.budget import OVERHEAD_BYTES
from safety.reading import MissingReason

#: Modbus addresses of single slaves (Modbus over serial line 1.02, 2.2).
MAX_UNIT: Final = 247
EXCEPTION_BIT: Final = 0x80
#: Unit, function, exception code and CRC; the same length as what stands around the data of a good reply.
EXCEPTION_BYTES: Final = OVERHEAD_BYTES
_REQUESTS: Final = {3: ReadHoldingRegistersRequest, 4: ReadInputRegistersRequest}
_FRAMER: Final = FramerRTU(DecodePDU(is_server=False))


class Exchange(Protocol):
    """A frame to send, and what its answer must be like."""

    @property
    def frame(self) -> bytes:
        """Return the request as it goes on the wire, CRC included."""

    @property
    def reply_bytes(self) -> int:
        """Return the length of a good answer, CRC included."""

    def check(self, frame: bytes) -> bytes | MissingReason:
        """Return the content of an answer, or what is wrong with it."""


@dataclass(frozen=True, slots=True)
class Question:
    """``count`` registers from ``start`` (zero-based PDU address), function 3 (holding) or 4 (input).

    ``bytes_per_register`` is 2, or 4 for the families that answer four bytes per register address.
    ``byte_count_lies``: the meter writes nonsense into the byte count of its reply under a good CRC (JSY-MK-194T); the
    length still comes from the question. Raises ValueError for a unit outside 1 to 247, another function, or registers
    that do not exist.
    """

    unit: int
    function: int
    start: int
    count: int
    bytes_per_register: int = 2
    byte_count_lies: bool = False
    frame: bytes = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not 1 <= self.unit <= MAX_UNIT:
            raise ValueError(f"unit {self.unit} is outside 1 to {MAX_UNIT}")
        if self.function not in _REQUESTS:
            raise ValueError(f"function {self.function} is neither 3 nor 4")
        pdu = _REQUESTS[self.function](dev_id=self.unit, address=self.start, count=self.count)
        object.__setattr__(self, "frame", _FRAMER.buildFrame(pdu))

    @property
    def size(self) -> int:
        """Return the data bytes of the answer."""
        return self.count * self.bytes_per_register

    @property
    def reply_bytes(self) -> int:
        """Return the length of a good answer: unit, function, byte count, data, CRC."""
        return OVERHEAD_BYTES + self.size

    def check(self, frame: bytes) -> bytes | MissingReason:
        """Return the data bytes of ``frame``, or what is wrong with it."""
        wrong = refusal(frame, self.unit, self.function, self.reply_bytes)
        if wrong is not None:
            return wrong
        if frame[2] != self.size and not self.byte_count_lies:
            return MissingReason.BAD_FRAME
        return frame[3:-2]


def refusal(frame: bytes, unit: int, function: int, reply_bytes: int) -> MissingReason | None:
    """Return why ``frame`` is not a whole good answer of ``unit`` to ``function``, None when it is one.

    The CRC comes first: a frame that fails it says nothing about who sent it.
    """
    if not frame:
        return MissingReason.TIMEOUT
    if not crc_holds(frame):
        short = len(frame) < reply_length(frame, function, reply_bytes)
        return MissingReason.BAD_FRAME if short else MissingReason.BAD_CRC
    if frame[0] != unit:
        return MissingReason.WRONG_UNIT
    if frame[1] == function | EXCEPTION_BIT and len(frame) == EXCEPTION_BYTES:
        return MissingReason.EXCEPTION_REPLY
    return None if frame[1] == function and len(frame) == reply_bytes else MissingReason.BAD_FRAME


def reply_length(frame: bytes, function: int, reply_bytes: int) -> int:
    """Return how long the answer that begins with ``frame`` will be: a good one, or an exception reply."""
    return EXCEPTION_BYTES if frame[1:2] == bytes([function | EXCEPTION_BIT]) else reply_bytes


def sealed(body: bytes) -> bytes:
    """Return unit, function and data with their CRC, as they go on the wire."""
    return body + FramerRTU.compute_CRC(body).to_bytes(2, "big")


def crc_holds(frame: bytes) -> bool:
    """Return whether the last two bytes are the CRC of the others; False for what is too short to be a frame."""
    whole = len(frame) >= 4  # noqa: PLR2004 - unit, function and CRC: nothing shorter is a frame
    return whole and FramerRTU.compute_CRC(frame[:-2]) == int.from_bytes(frame[-2:], "big")
