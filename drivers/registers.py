"""Register tables of meters: what a profile says, and bytes of one block turned into values. No I/O.

A meter is data (``config/meters/*.toml``). These classes are the same table in the form a driver uses; a table
that contradicts itself cannot be constructed. Addresses are zero-based PDU addresses.

Bytes that form no number (NaN, infinity) come out of ``decode`` as they are: ``safety.reading.MeterReading``
refuses them, so that there is one gate and not two.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Literal

from safety.read_plan import MAX_DATA_BYTES, MAX_REGISTERS, Span, plan

if TYPE_CHECKING:
    from collections.abc import Callable

FieldType = Literal["u16", "s16", "u32", "s32", "f32"]
WordOrder = Literal["high_first", "low_first"]

#: Names a field may have; the unit is in the name.
QUANTITIES = frozenset({"voltage_v", "current_a", "power_w", "energy_wh", "power_factor", "frequency_hz"})
#: What every sweep must bring, or there is no reading.
FAST_QUANTITIES = frozenset({"voltage_v", "current_a", "power_w"})

#: Register addresses are 16 bits wide.
ADDRESSES = 0x1_0000

_FORMATS: dict[FieldType, str] = {"u16": ">H", "s16": ">h", "u32": ">I", "s32": ">i", "f32": ">f"}


@dataclass(frozen=True, slots=True)
class Field:
    """One quantity of one ``channel`` (from 1): ``address`` of its first register, and how raw becomes its unit.

    ``scale`` multiplies the raw value and must be above 0. ``word_order`` is the order of the 16-bit words of a
    32-bit type; it means nothing for a 16-bit type. ``plus``: addresses of more raw values of the same kind that are
    added, the other phases of a sum. ``scales``: the scales that sources name where they disagree; then the raw value
    is decoded as it is, and ``drivers.meter`` finds out which one is right.
    Raises ValueError for a name that pilenode does not know, an address outside 0 to 65535, an unknown type, a channel
    below 1, or a scale that is not a positive finite number.
    """

    name: str
    address: int
    type: FieldType
    scale: float = 1.0
    word_order: WordOrder = "high_first"
    channel: int = 1
    plus: tuple[int, ...] = ()
    scales: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if self.name not in QUANTITIES:
            raise ValueError(f"field {self.name!r} is none of {', '.join(sorted(QUANTITIES))}")
        for address in self.addresses:
            if not 0 <= address < ADDRESSES:
                raise ValueError(f"{self.name}: address {address} is outside 0 to 65535")
        if self.type not in _FORMATS:
            raise ValueError(f"{self.name}: type {self.type!r} is none of {', '.join(_FORMATS)}")
        if self.word_order not in ("high_first", "low_first"):
            raise ValueError(f"{self.name}: word order {self.word_order!r} is neither high_first nor low_first")
        for scale in (self.scale, *self.scales):
            if not 0 < scale < float("inf"):
                raise ValueError(f"{self.name}: scale {scale} must be a number above 0")
        if self.channel < 1:
            raise ValueError(f"{self.name}: channel {self.channel} is below 1")

    @property
    def addresses(self) -> tuple[int, ...]:
        """Return the first register of every raw value that is added up."""
        return (self.address, *self.plus)

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
        names = [(field.channel, field.name) for field in self.fields]
        if len(set(names)) != len(names):
            raise ValueError(f"block {self.name}: a field appears twice among {', '.join(name for _, name in names)}")
        for field in self.fields:
            for address in field.addresses:
                if not self.start <= address < self.start + self.count:
                    raise ValueError(f"{field.name}: address {address} is outside block {self.name}")

    def check_width(self, bytes_per_register: int) -> None:
        """Raise ValueError where a field or the reply does not fit registers of that width (2 or 4 bytes)."""
        if self.count > MAX_REGISTERS or self.count * bytes_per_register > MAX_DATA_BYTES:
            raise ValueError(
                f"block {self.name}: {self.count} registers are more than one reply of {MAX_DATA_BYTES} bytes"
            )
        for field in self.fields:
            if field.size < bytes_per_register:
                raise ValueError(f"{field.name}: {field.type} does not fill a register of {bytes_per_register} bytes")
            for address in field.addresses:
                end = (address - self.start) * bytes_per_register + field.size
                if end > self.count * bytes_per_register:
                    raise ValueError(f"{field.name}: {field.type} at {address} reaches past block {self.name}")


@dataclass(frozen=True, slots=True)
class RegisterMap:
    """The whole table of one meter model.

    ``function`` is 3 (holding) or 4 (input). ``bytes_per_register`` is 2, or 4 for the families that answer four
    bytes per register address. ``signed_power``: the power may be negative, its size counts. ``byte_count_lies``: see
    ``drivers.frames.Question``. ``gaps_readable``: registers between the blocks may be read.
    Raises ValueError for every contradiction, among them: blocks that overlap, a quantity of a channel that appears in
    two blocks, a channel without voltage, current or power in a fast block, or without energy.
    """

    model: str
    function: int
    bytes_per_register: int
    blocks: tuple[Block, ...]
    signed_power: bool = False
    byte_count_lies: bool = False
    gaps_readable: bool = False

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
        for one, other in pairwise(sorted(self.blocks, key=lambda block: block.start)):
            if one.start + one.count > other.start:
                raise ValueError(f"{self.model}: blocks {one.name} and {other.name} overlap")
        if self.channels != tuple(range(1, len(self.channels) + 1)):
            raise ValueError(f"{self.model}: the channels {self.channels} do not count from 1")
        for channel in self.channels or (1,):
            self._check_channel(channel)

    def _check_channel(self, channel: int) -> None:
        fields = [(field, block.fast) for block in self.blocks for field in block.fields if field.channel == channel]
        names = [field.name for field, _ in fields]
        if len(set(names)) != len(names):
            raise ValueError(f"{self.model}: a quantity appears in two blocks")
        fast = {field.name for field, fast in fields if fast}
        if missing := FAST_QUANTITIES - fast:
            raise ValueError(f"{self.model}: {', '.join(sorted(missing))} must be in a fast block")
        if "energy_wh" not in names:
            raise ValueError(f"{self.model}: energy_wh is in no block")
        for field, _ in fields:
            if field.scales and (field.name != "power_w" or field.scale != 1 or "power_factor" not in fast):
                raise ValueError(f"{self.model}: scales are for power_w alone, beside a fast power_factor")

    @property
    def channels(self) -> tuple[int, ...]:
        """Return the numbers of its channels, from 1."""
        return tuple(sorted({field.channel for block in self.blocks for field in block.fields}))

    def reads(self, transaction_s: Callable[[int], float]) -> tuple[Block, ...]:
        """Return the blocks as they are best read on a line where ``transaction_s`` bytes take so long, fast first."""
        spans = [Span(block.start, block.count, block.fast) for block in self.blocks]
        found = plan(spans, self.bytes_per_register, transaction_s, gaps_readable=self.gaps_readable)
        return tuple(self._joined(read) for read in found)

    def _joined(self, read: Span) -> Block:
        parts = [block for block in self.blocks if read.start <= block.start < read.end]
        name = "+".join(block.name for block in sorted(parts, key=lambda block: block.start))
        return Block(name, read.start, read.count, read.fast, tuple(field for part in parts for field in part.fields))


def decode(block: Block, data: bytes, bytes_per_register: int, channel: int = 1) -> dict[str, float]:
    """Return the values of one channel in ``block``, each in the unit of its name, from the data bytes of one reply.

    NaN and infinity survive; a field with ``scales`` comes out raw. Raises ValueError only for data of another length
    than the block asks for, which no ``contracts.Line`` returns.
    """
    if len(data) != block.count * bytes_per_register:
        raise ValueError(f"block {block.name} has {block.count * bytes_per_register} bytes, not {len(data)}")
    return {
        field.name: field.scale
        * sum(_raw(field, data, (address - block.start) * bytes_per_register) for address in field.addresses)
        for field in block.fields
        if field.channel == channel
    }


def _raw(field: Field, data: bytes, offset: int) -> float:
    raw = data[offset : offset + field.size]
    if field.word_order == "low_first":
        raw = raw[2:] + raw[:2]  # a 16-bit value has one word and stays as it is
    (number,) = struct.unpack(_FORMATS[field.type], raw)
    return float(number)
