"""Register tables of meters: what a profile says, and bytes of one block turned into values. No I/O.

A meter is data (``config/meters/*.toml``). These classes are the same table in the form a driver uses; a table
that contradicts itself cannot be constructed. Addresses are zero-based PDU addresses.

Bytes that form no number (NaN, infinity) come out of ``decode`` as they are: ``safety.reading.MeterReading``
refuses them, so that there is one gate and not two.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Literal

FieldType = Literal["u16", "s16", "u32", "s32", "f32"]
WordOrder = Literal["high_first", "low_first"]

#: Names a field may have; the unit is in the name.
QUANTITIES = frozenset({"voltage_v", "current_a", "power_w", "energy_wh", "power_factor", "frequency_hz"})
#: What every sweep must bring, or there is no reading.
FAST_QUANTITIES = frozenset({"voltage_v", "current_a", "power_w"})

#: Register addresses are 16 bits wide.
ADDRESSES = 0x1_0000
#: Data bytes of one reply: 125 registers of 2 bytes (Modbus application protocol 1.1b3, function 03/04).
MAX_DATA_BYTES = 250

_FORMATS: dict[FieldType, str] = {"u16": ">H", "s16": ">h", "u32": ">I", "s32": ">i", "f32": ">f"}


@dataclass(frozen=True, slots=True)
class Field:
    """One quantity: ``address`` of its first register, and how raw becomes the unit in ``name``.

    ``scale`` multiplies the raw value and must be above 0. ``word_order`` is the order of the 16-bit words of a
    32-bit type; it means nothing for a 16-bit type. Raises ValueError for a name that pilenode does not know, an
    address outside 0 to 65535, an unknown type or a scale that is not a positive finite number.
    """

    name: str
    address: int
    type: FieldType
    scale: float = 1.0
    word_order: WordOrder = "high_first"

    def __post_init__(self) -> None:
        if self.name not in QUANTITIES:
            raise ValueError(f"field {self.name!r} is none of {', '.join(sorted(QUANTITIES))}")
        if not 0 <= self.address < ADDRESSES:
            raise ValueError(f"{self.name}: address {self.address} is outside 0 to 65535")
        if self.type not in _FORMATS:
            raise ValueError(f"{self.name}: type {self.type!r} is none of {', '.join(_FORMATS)}")
        if self.word_order not in ("high_first", "low_first"):
            raise ValueError(f"{self.name}: word order {self.word_order!r} is neither high_first nor low_first")
        if not 0 < self.scale < float("inf"):
            raise ValueError(f"{self.name}: scale {self.scale} must be a number above 0")

    @property
    def size(self) -> int:
        """Return the bytes of the raw value: 2 or 4."""
        return struct.calcsize(_FORMATS[self.type])


@dataclass(frozen=True, slots=True)
class Block:
    """``count`` neighbouring registers from ``start``, read in one transaction, and the fields in them.

    ``fast`` blocks are read in every sweep, the others ride along now and then. Raises ValueError for a range that
    leaves the address space, for a block without a field, and for a field that begins outside it or appears twice.
    """

    name: str
    start: int
    count: int
    fast: bool
    fields: tuple[Field, ...]

    def __post_init__(self) -> None:
        if self.count < 1 or self.start < 0 or self.start + self.count > ADDRESSES:
            raise ValueError(f"block {self.name}: {self.count} registers from {self.start} are no address range")
        if not self.fields:
            raise ValueError(f"block {self.name}: no field is in it")
        names = [field.name for field in self.fields]
        if len(set(names)) != len(names):
            raise ValueError(f"block {self.name}: a field appears twice among {', '.join(names)}")
        for field in self.fields:
            if not self.start <= field.address < self.start + self.count:
                raise ValueError(f"{field.name}: address {field.address} is outside block {self.name}")

    def check_width(self, bytes_per_register: int) -> None:
        """Raise ValueError where a field or the reply does not fit registers of that width (2 or 4 bytes)."""
        if self.count * bytes_per_register > MAX_DATA_BYTES:
            raise ValueError(
                f"block {self.name}: {self.count} registers are more than one reply of {MAX_DATA_BYTES} bytes"
            )
        for field in self.fields:
            if field.size < bytes_per_register:
                raise ValueError(f"{field.name}: {field.type} does not fill a register of {bytes_per_register} bytes")
            end = (field.address - self.start) * bytes_per_register + field.size
            if end > self.count * bytes_per_register:
                raise ValueError(f"{field.name}: {field.type} at {field.address} reaches past block {self.name}")


@dataclass(frozen=True, slots=True)
class RegisterMap:
    """The whole table of one meter model.

    ``function`` is 3 (holding) or 4 (input). ``bytes_per_register`` is 2, or 4 for the families that answer four
    bytes per register address. ``signed_power``: the power may be negative, its size counts.
    Raises ValueError for every contradiction, among them: a quantity that appears in two blocks, voltage, current
    or power outside the fast blocks, no energy at all.
    """

    model: str
    function: int
    bytes_per_register: int
    blocks: tuple[Block, ...]
    signed_power: bool = False

    def __post_init__(self) -> None:
        if self.function not in (3, 4):
            raise ValueError(f"{self.model}: function {self.function} is neither 3 nor 4")
        if self.bytes_per_register not in (2, 4):
            raise ValueError(f"{self.model}: {self.bytes_per_register} bytes per register are neither 2 nor 4")
        names = [block.name for block in self.blocks]
        if len(set(names)) != len(names):
            raise ValueError(f"{self.model}: two blocks share a name among {', '.join(names)}")
        for block in self.blocks:
            block.check_width(self.bytes_per_register)
        fast = [field.name for block in self.blocks if block.fast for field in block.fields]
        slow = [field.name for block in self.blocks if not block.fast for field in block.fields]
        if len(set(fast + slow)) != len(fast + slow):
            raise ValueError(f"{self.model}: a quantity appears in two blocks")
        if missing := FAST_QUANTITIES.difference(fast):
            raise ValueError(f"{self.model}: {', '.join(sorted(missing))} must be in a fast block")
        if "energy_wh" not in fast + slow:
            raise ValueError(f"{self.model}: energy_wh is in no block")


def decode(block: Block, data: bytes, bytes_per_register: int) -> dict[str, float]:
    """Return the values of ``block``, each in the unit of its name, from the data bytes of one reply.

    NaN and infinity survive. Raises ValueError only for data of another length than the block asks for, which no
    ``contracts.Line`` returns.
    """
    if len(data) != block.count * bytes_per_register:
        raise ValueError(f"block {block.name} has {block.count * bytes_per_register} bytes, not {len(data)}")
    return {
        field.name: _value(field, data, (field.address - block.start) * bytes_per_register) for field in block.fields
    }


def _value(field: Field, data: bytes, offset: int) -> float:
    raw = data[offset : offset + field.size]
    if field.word_order == "low_first":
        raw = raw[2:] + raw[:2]  # a 16-bit value has one word and stays as it is
    (number,) = struct.unpack(_FORMATS[field.type], raw)
    return float(number) * field.scale
