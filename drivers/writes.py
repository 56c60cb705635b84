"""The only place that can build a request that changes a meter. Frames and the strict check of their replies.

In normal running nothing writes: neither guard nor its drivers can import this module (import-linter, tests), so that
there is no frame to send. Only the commissioning tool is allowed in, with the guard stopped.

No write goes to the broadcast address 0 or to the general address F8h of the PZEM family: every meter on the line would
obey, and nobody would be asked. A scan finds the address of a single meter anyway.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from pymodbus.pdu.register_message import WriteMultipleRegistersRequest, WriteSingleRegisterRequest

from drivers import dlt645
from drivers.frames import MAX_UNIT, refusal, sealed
from safety.reading import MissingReason

if TYPE_CHECKING:
    from pymodbus.pdu.pdu import ModbusPDU

#: Function 41h of the PZEM family re-calibrates the meter: never sent, whatever a profile says.
CALIBRATION: Final = 0x41
#: Registers of one write (Modbus application protocol 1.1b3, 6.12); pilenode needs at most two.
MAX_REGISTERS: Final = 123
#: Level and password 02-000000, then no operator: what DDSU666 leaves the factory with (Chint ZTY0.464.922).
_PASSWORD: Final = bytes([0x02, 0x00, 0x00, 0x00])
_OPERATOR: Final = bytes(4)
#: Data identifier by which a DDSU666 is told its protocol, and the value that means Modbus.
_PROTOCOL: Final = bytes([0x00, 0x00, 0x02, 0x0A])
_MODBUS: Final = bytes(2)
_WRITE: Final = 0x14


def _check_unit(unit: int) -> None:
    if not 1 <= unit <= MAX_UNIT:
        raise ValueError(f"unit {unit} is outside 1 to {MAX_UNIT}: no write goes to everybody")


def _frame(unit: int, pdu: ModbusPDU) -> bytes:
    return sealed(bytes([unit, pdu.function_code]) + pdu.encode())


@dataclass(frozen=True, slots=True)
class WriteSingle:
    """Function 06: ``value`` into the register ``address``. The answer is a copy of the request.

    Raises ValueError for a unit outside 1 to 247, or an address or value outside 0 to 65535.
    """

    unit: int
    address: int
    value: int
    frame: bytes = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        _check_unit(self.unit)
        _check_words(self.address, self.value)
        pdu = WriteSingleRegisterRequest(dev_id=self.unit, address=self.address, registers=[self.value])
        object.__setattr__(self, "frame", _frame(self.unit, pdu))

    @property
    def reply_bytes(self) -> int:
        """Return the length of a good answer."""
        return len(self.frame)

    def check(self, frame: bytes) -> bytes | MissingReason:
        """Return the register and the value that the meter has taken, or what is wrong with its answer."""
        wrong = refusal(frame, self.unit, 6, self.reply_bytes)
        if wrong is not None:
            return wrong
        return frame[2:-2] if frame == self.frame else MissingReason.BAD_FRAME


@dataclass(frozen=True, slots=True)
class WriteMultiple:
    """Function 16: ``values`` into the registers from ``address``. The answer tells how many were written where.

    Raises ValueError for a unit outside 1 to 247, no value or more than 123, or an address or value outside 0 to 65535.
    """

    unit: int
    address: int
    values: tuple[int, ...]
    frame: bytes = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        _check_unit(self.unit)
        if not 1 <= len(self.values) <= MAX_REGISTERS:
            raise ValueError(f"{len(self.values)} registers are outside 1 to {MAX_REGISTERS}")
        _check_words(self.address, self.address + len(self.values) - 1, *self.values)
        pdu = WriteMultipleRegistersRequest(dev_id=self.unit, address=self.address, registers=[*self.values])
        object.__setattr__(self, "frame", _frame(self.unit, pdu))

    @property
    def reply_bytes(self) -> int:
        """Return the length of a good answer: unit, function, address, count, CRC."""
        return 8

    def check(self, frame: bytes) -> bytes | MissingReason:
        """Return address and count that the meter has taken, or what is wrong with its answer."""
        wrong = refusal(frame, self.unit, 16, self.reply_bytes)
        if wrong is not None:
            return wrong
        return frame[2:-2] if frame[2:6] == self.frame[2:6] else MissingReason.BAD_FRAME


@dataclass(frozen=True, slots=True)
class Command:
    """A request as the maker prints it: ``request`` and ``reply`` are function and data, without unit and CRC.

    Raises ValueError for a unit outside 1 to 247, an empty request or reply, a reply to another function, and for
    function 41h, which re-calibrates a PZEM.
    """

    unit: int
    request: bytes
    reply: bytes
    frame: bytes = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        _check_unit(self.unit)
        if not self.request or not self.reply or self.request[0] != self.reply[0]:
            raise ValueError("request and reply of a command begin with the same function")
        if self.request[0] == CALIBRATION:
            raise ValueError("function 41h re-calibrates the meter and is never sent")
        object.__setattr__(self, "frame", sealed(bytes([self.unit]) + self.request))

    @property
    def reply_bytes(self) -> int:
        """Return the length of a good answer: unit, reply, CRC."""
        return len(self.reply) + 3

    def check(self, frame: bytes) -> bytes | MissingReason:
        """Return the data of the answer, or what is wrong with it."""
        wrong = refusal(frame, self.unit, self.request[0], self.reply_bytes)
        if wrong is not None:
            return wrong
        return frame[2:-2] if frame[1:-2] == self.reply else MissingReason.BAD_FRAME


@dataclass(frozen=True, slots=True)
class ChangeOver:
    """Tells the DDSU666 with the DL/T 645 ``address`` (twelve digits) to speak Modbus from now on.

    Raises ValueError for anything but twelve digits; everybody's address is refused.
    """

    address: str
    frame: bytes = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.address == dlt645.EVERYBODY:
            raise ValueError("a change-over goes to one meter, not to everybody")
        body = dlt645.Frame(self.address, _WRITE, _PROTOCOL + _PASSWORD + _OPERATOR + _MODBUS)
        object.__setattr__(self, "frame", dlt645.PREAMBLE + body.wire)

    def check(self, raw: bytes) -> bytes | MissingReason:
        """Return nothing (no bytes) when the meter agreed, or what is wrong with its answer."""
        if not raw:
            return MissingReason.TIMEOUT
        frame = dlt645.parse(raw)
        if frame is None:
            return MissingReason.BAD_FRAME
        if frame.address != self.address:
            return MissingReason.WRONG_UNIT
        if frame.control == _WRITE | dlt645.REPLY | dlt645.REFUSAL:
            return MissingReason.EXCEPTION_REPLY
        return b"" if frame.control == _WRITE | dlt645.REPLY and not frame.data else MissingReason.BAD_FRAME


def _check_words(*words: int) -> None:
    for word in words:
        if not 0 <= word <= 0xFFFF:  # noqa: PLR2004 - sixteen bits
            raise ValueError(f"{word} is outside 0 to 65535")
