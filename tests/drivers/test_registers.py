"""Register tables and their decoding."""

from __future__ import annotations

import math
import struct
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.registers import Block, Field, FieldType, RegisterMap, WordOrder, decode
from safety.read_plan import MAX_DATA_BYTES

VOLTAGE = Field("voltage_v", 0, "u16", 0.1)
CURRENT = Field("current_a", 1, "u32", 0.001, "low_first")
POWER = Field("power_w", 3, "s16")
ENERGY = Field("energy_wh", 100, "u32", 10)
FAST = Block("fast", 0, 4, fast=True, fields=(VOLTAGE, CURRENT, POWER))
SLOW = Block("slow", 100, 2, fast=False, fields=(ENERGY,))
TABLE = RegisterMap("sample", 4, 2, (FAST, SLOW), signed_power=True)

LATE = Field("energy_wh", 102, "u32")
FACTOR = Field("power_factor", 4, "u16", 0.001)


def _with(*fields: Field) -> Block:
    """Return the fast block one register longer, with these fields in the place of its own or beside them."""
    named = {field.name: field for field in (*FAST.fields, *fields)}
    return replace(FAST, count=5, fields=tuple(named.values()))


TYPES: tuple[FieldType, ...] = ("u16", "s16", "u32", "s32", "f32")
ORDERS: tuple[WordOrder, ...] = ("high_first", "low_first")


@pytest.mark.parametrize(
    ("kind", "order", "raw", "value"),
    [
        ("u16", "high_first", "FFFF", 65535),
        ("u16", "low_first", "0102", 0x0102),
        ("s16", "high_first", "FFFF", -1),
        ("s16", "high_first", "7FFF", 32767),
        ("u32", "high_first", "0001 0002", 65538),
        ("u32", "low_first", "0001 0002", 131073),
        ("u32", "high_first", "FFFF FFFF", 4294967295),
        ("s32", "high_first", "FFFF FFFE", -2),
        ("s32", "low_first", "FFFE FFFF", -2),
        ("f32", "high_first", "4366 8000", 230.5),
        ("f32", "low_first", "8000 4366", 230.5),
    ],
)
def test_each_type_in_each_word_order(kind: FieldType, order: WordOrder, raw: str, value: float) -> None:
    """Bytes mean what the meters' tables say, in both word orders."""
    data = bytes.fromhex(raw)
    block = Block("one", 7, len(data) // 2, fast=True, fields=(Field("voltage_v", 7, kind, 1.0, order),))
    assert decode(block, data, 2) == {"voltage_v": value}


def test_scale_gives_the_unit_of_the_name() -> None:
    """Raw steps become volts, amperes and watts, each from its own place in the block."""
    data = struct.pack(">HHHh", 2257, 108, 0, -24)
    assert decode(FAST, data, 2) == pytest.approx({"voltage_v": 225.7, "current_a": 0.108, "power_w": -24.0})


def test_four_bytes_per_register() -> None:
    """Where a register holds four bytes, the third address begins at byte eight."""
    fields = (Field("voltage_v", 0x48, "u32", 0.0001), Field("power_w", 0x4A, "s32", 0.0001))
    block = Block("wide", 0x48, 3, fast=True, fields=fields)
    data = struct.pack(">IIi", 2_305_000, 12_500, -2_823_600)
    assert decode(block, data, 4) == pytest.approx({"voltage_v": 230.5, "power_w": -282.36})


@pytest.mark.parametrize("raw", ["7FC00000", "FFC00000", "7F800000", "FF800000"])
def test_what_is_no_number_survives_decoding(raw: str) -> None:
    """NaN and infinity come out as they are: the one gate is MeterReading, and a zero is never made up."""
    block = Block("one", 0, 2, fast=True, fields=(Field("power_w", 0, "f32", 1000.0),))
    assert not math.isfinite(decode(block, bytes.fromhex(raw), 2)["power_w"])


@pytest.mark.parametrize("size", [0, 7, 9])
def test_data_of_another_length_is_a_bug(size: int) -> None:
    """Data that does not fill the block exactly is never decoded."""
    with pytest.raises(ValueError, match="has 8 bytes, not"):
        decode(FAST, bytes(size), 2)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"name": "voltage"}, "is none of"),
        ({"address": -1}, "outside 0 to 65535"),
        ({"address": 65536}, "outside 0 to 65535"),
        ({"type": "u8"}, "type 'u8'"),
        ({"word_order": "middle"}, "word order 'middle'"),
        ({"scale": 0.0}, "must be a number above 0"),
        ({"scale": -1.0}, "must be a number above 0"),
        ({"scale": math.inf}, "must be a number above 0"),
        ({"scale": math.nan}, "must be a number above 0"),
    ],
)
def test_a_field_that_means_nothing_is_refused(change: dict[str, object], says: str) -> None:
    """A wrong field cannot be constructed, and the message names what is wrong."""
    with pytest.raises(ValueError, match=says):
        replace(VOLTAGE, **change)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"count": 0}, "no address range"),
        ({"start": -1}, "no address range"),
        ({"start": 65533}, "no address range"),
        ({"fields": ()}, "no field is in it"),
        ({"fields": (VOLTAGE, VOLTAGE)}, "appears twice"),
        ({"fields": (ENERGY,)}, "address 100 is outside block fast"),
        ({"start": 1}, "address 0 is outside block fast"),
    ],
)
def test_a_block_that_contradicts_itself_is_refused(change: dict[str, object], says: str) -> None:
    """A wrong block cannot be constructed, and the message names what is wrong."""
    with pytest.raises(ValueError, match=says):
        replace(FAST, **change)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"function": 6}, "function 6 is neither 3 nor 4"),
        ({"bytes_per_register": 3}, "neither 2 nor 4"),
        ({"bytes_per_register": 4}, "u16 does not fill a register of 4 bytes"),
        ({"blocks": (FAST, SLOW, replace(SLOW, start=99))}, "share a name"),
        ({"blocks": (FAST, SLOW, replace(SLOW, name="again"))}, "blocks slow and again overlap"),
        (
            {"blocks": (FAST, SLOW, replace(SLOW, name="again", start=101, count=3, fields=(LATE,)))},
            "blocks slow and again overl",
        ),
        ({"blocks": (FAST, SLOW, replace(SLOW, name="again", start=102, fields=(LATE,)))}, "appears in two blocks"),
        ({"blocks": (replace(FAST, fields=(*FAST.fields, replace(VOLTAGE, channel=3))), SLOW)}, "do not count from 1"),
        ({"blocks": (replace(FAST, fields=(*FAST.fields, replace(VOLTAGE, channel=2))), SLOW)}, "must be in a fast"),
        ({"blocks": (_with(replace(POWER, scales=(1.0, 10.0))), SLOW)}, "beside a fast power_factor"),
        ({"blocks": (_with(replace(VOLTAGE, scale=1.0, scales=(1.0, 10.0)), FACTOR), SLOW)}, "for power_w alone"),
        ({"blocks": (_with(replace(POWER, scale=0.1, scales=(1.0, 10.0)), FACTOR), SLOW)}, "for power_w alone"),
        ({"blocks": ()}, "must be in a fast block"),
        ({"blocks": (FAST,)}, "energy_wh is in no block"),
        ({"blocks": (replace(FAST, fast=False), SLOW)}, "current_a, power_w, voltage_v must be in a fast block"),
        ({"blocks": (replace(FAST, count=2, fields=(VOLTAGE, CURRENT)), SLOW)}, "u32 at 1 reaches past block fast"),
        ({"blocks": (replace(FAST, count=126), SLOW)}, "more than one reply of 250 bytes"),
    ],
)
def test_a_table_that_contradicts_itself_is_refused(change: dict[str, object], says: str) -> None:
    """A wrong table cannot be constructed, and the message names what is wrong."""
    with pytest.raises(ValueError, match=says):
        replace(TABLE, **change)  # type: ignore[arg-type]


def test_the_largest_block_is_accepted() -> None:
    """125 registers of two bytes are one reply, and so are 62 of four."""
    replace(FAST, count=125).check_width(2)
    wide = Block("wide", 0, 62, fast=True, fields=(Field("voltage_v", 61, "u32"),))
    wide.check_width(4)
    with pytest.raises(ValueError, match="more than one reply"):
        replace(wide, count=63).check_width(4)
    assert MAX_DATA_BYTES == 250


@st.composite
def blocks(draw: st.DrawFn) -> tuple[Block, int]:
    """Return any block that fits registers of a width, and that width."""
    width = draw(st.sampled_from([2, 4]))
    count = draw(st.integers(2, 20))
    start = draw(st.integers(0, 0x1_0000 - count))
    address = st.integers(start, start + count - 2)
    field = st.builds(
        Field,
        name=st.sampled_from(["voltage_v", "current_a", "power_w", "energy_wh"]),
        address=address,
        type=st.sampled_from(TYPES if width == 2 else TYPES[2:]),
        scale=st.floats(1e-6, 1e6),
        word_order=st.sampled_from(ORDERS),
    )
    fields = draw(st.lists(field, min_size=1, max_size=4, unique_by=lambda one: one.name))
    block = Block("any", start, count, fast=True, fields=tuple(fields))
    block.check_width(width)
    return block, width


@given(block_and_width=blocks(), data=st.data())
def test_decoding_right_length_data_never_raises(block_and_width: tuple[Block, int], data: st.DataObject) -> None:
    """Whatever a meter sends in a good frame comes out as one float for every field."""
    block, width = block_and_width
    raw = data.draw(st.binary(min_size=block.count * width, max_size=block.count * width))
    values = decode(block, raw, width)
    assert values.keys() == {field.name for field in block.fields}
    assert all(isinstance(value, float) for value in values.values())
