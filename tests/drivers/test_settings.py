"""How a setting is encoded: parts of a register, floats, codes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.settings import Place, Setting


@pytest.mark.parametrize(
    ("place", "before", "shown", "code", "after"),
    [
        ("whole", 0x0007, 7, 9, 0x0009),
        ("high_byte", 0x0105, 1, 0x2A, 0x2A05),
        ("low_byte", 0x0101, 1, 2, 0x0102),
        ("low_nibble", 0x01C5, 5, 6, 0x01C6),
    ],
)
def test_a_part_of_a_register_is_changed_and_the_rest_stays(
    place: Place, before: int, shown: int, code: int, after: int
) -> None:
    """DDS238 and JSY keep address and rate in one register: what is not meant is written back as it was."""
    setting = Setting(16, 4, place=place)
    data = before.to_bytes(2, "big")
    assert setting.shown(data) == shown
    assert setting.words(code, data) == (after,)
    assert setting.packed == (place != "whole")


@given(st.integers(0, 0xFFFF), st.integers(0, 15), st.sampled_from(["high_byte", "low_byte", "low_nibble"]))
def test_what_is_written_is_shown_and_nothing_else_changes(before: int, code: int, place: Place) -> None:
    """For every register and code: the part shows the code, and writing back what was there restores it all."""
    setting = Setting(16, 4, place=place)
    data = before.to_bytes(2, "big")
    (after,) = setting.words(code, data)
    assert setting.shown(after.to_bytes(2, "big")) == code
    assert setting.words(int(setting.shown(data)), after.to_bytes(2, "big")) == (before,)


def test_a_float_fills_two_registers() -> None:
    """Eastron: address 5 is 40A0 0000."""
    setting = Setting(16, 0x14, "f32")
    assert setting.registers == 2
    assert setting.words(5, b"") == (0x40A0, 0)
    assert setting.shown(bytes.fromhex("40A00000")) == 5


def test_codes() -> None:
    """A rate without a code is none of this model; without a table the value stands for itself."""
    assert Setting(6, 12, codes={9600: 3}).code(9600) == 3
    assert Setting(6, 12, codes={9600: 3}).code(4800) is None
    assert Setting(6, 6).code(17) == 17


@pytest.mark.parametrize(
    ("function", "type_", "place", "codes"),
    [
        (3, "u16", "whole", {}),
        (6, "f32", "whole", {}),
        (16, "f32", "low_byte", {}),
        (16, "u16", "low_nibble", {9600: 16}),
    ],
)
def test_what_cannot_be_written_is_refused(function: int, type_: str, place: Place, codes: dict[int, int]) -> None:
    """A table that contradicts itself cannot be constructed."""
    with pytest.raises(ValueError, match=r"neither|float|fit"):
        Setting(function, 4, type_, place, codes)
