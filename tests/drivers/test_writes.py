"""Requests that change a meter: documented bytes, and the strict check of their answers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.frames import sealed
from drivers.writes import Command, WriteMultiple, WriteSingle
from safety.reading import MissingReason

if TYPE_CHECKING:
    from drivers.frames import Exchange

words = st.integers(0, 0xFFFF)
units = st.integers(1, 247)
singles = st.builds(WriteSingle, units, words, words)
multiples = st.builds(
    WriteMultiple, units, st.integers(0, 0xFF00), st.lists(words, min_size=1, max_size=123).map(tuple)
)
commands = st.builds(lambda unit, data: Command(unit, b"\x42" + data, b"\x42"), units, st.binary(max_size=8))


def good_answer(write: Exchange) -> bytes:
    """Return the answer that the standard prescribes."""
    if isinstance(write, WriteSingle):
        return write.frame
    if isinstance(write, WriteMultiple):
        return sealed(write.frame[:6])
    return sealed(write.frame[:1] + b"\x42")


@pytest.mark.parametrize(
    ("write", "frame"),
    [
        (WriteSingle(1, 0x0002, 5), "01 06 00 02 00 05 E8 09"),
        (WriteMultiple(1, 0x000C, (0, 0)), "01 10 00 0C 00 02 04 00 00 00 00 F3 FA"),
        (WriteMultiple(1, 0x0014, (0x40A0, 0x0000)), "01 10 00 14 00 02 04 40 A0 00 00 E6 B2"),
        (Command(1, b"\x42", b"\x42"), "01 42 80 11"),
    ],
)
def test_documented_frames(write: Exchange, frame: str) -> None:
    """JSY-MK-163T and PZEM clear their energy with these bytes; an SDM120 takes address 5 with a float."""
    assert write.frame == bytes.fromhex(frame)


@given(singles | multiples | commands)
def test_the_good_answer_passes(write: Exchange) -> None:
    """The answer of the standard, and its length."""
    answer = good_answer(write)
    assert write.reply_bytes == len(answer)
    assert write.check(answer) == answer[2:-2]


@given(singles | multiples | commands, st.data())
def test_one_wrong_bit_never_passes(write: Exchange, data: st.DataObject) -> None:
    """A flipped bit in the answer is an answer that does not count."""
    answer = bytearray(good_answer(write))
    place = data.draw(st.integers(0, 8 * len(answer) - 1))
    answer[place // 8] ^= 1 << place % 8
    assert isinstance(write.check(bytes(answer)), MissingReason)


@given(singles | multiples | commands, st.binary(max_size=12))
def test_another_answer_never_passes(write: Exchange, body: bytes) -> None:
    """Not even with a good CRC: everything but the one right answer is refused."""
    answer = sealed(body)
    if answer != good_answer(write):
        assert isinstance(write.check(answer), MissingReason)


@pytest.mark.parametrize(
    ("write", "answer"),
    [
        (WriteSingle(1, 2, 5), "01 06 00 02 00 06"),
        (WriteSingle(1, 2, 5), "01 06 00 03 00 05"),
        (WriteMultiple(1, 0x14, (1, 2)), "01 10 00 14 00 01"),
        (WriteMultiple(1, 0x14, (1, 2)), "01 10 00 15 00 02"),
        (Command(1, b"\x42", b"\x42\x00"), "01 42 01"),
    ],
)
def test_an_answer_to_another_write_does_not_pass(write: Exchange, answer: str) -> None:
    """The right unit, function, length and CRC with another register, value or count: not what was ordered."""
    assert write.check(sealed(bytes.fromhex(answer))) is MissingReason.BAD_FRAME


def test_an_exception_is_named() -> None:
    """A meter that refuses is told apart from one that is silent or garbled."""
    write = WriteSingle(1, 2, 5)
    assert write.check(sealed(bytes([1, 0x86, 3]))) is MissingReason.EXCEPTION_REPLY
    assert write.check(b"") is MissingReason.TIMEOUT
    assert write.check(sealed(bytes([2, 6, 0, 2, 0, 5]))) is MissingReason.WRONG_UNIT


@pytest.mark.parametrize("unit", [-1, 0, 248, 255])
def test_no_write_goes_to_everybody(unit: int) -> None:
    """Broadcast (0) and the general address of the PZEM (F8h = 248) are refused by every kind of write."""
    for make in (
        lambda: WriteSingle(unit, 2, 5),
        lambda: WriteMultiple(unit, 2, (5,)),
        lambda: Command(unit, b"\x42", b"\x42"),
    ):
        with pytest.raises(ValueError, match="outside 1 to 247"):
            make()


@pytest.mark.parametrize(
    ("request_", "reply"), [(b"", b"\x42"), (b"\x42", b""), (b"\x42", b"\x43"), (b"\x41", b"\x41")]
)
def test_a_command_that_cannot_be_meant_is_refused(request_: bytes, reply: bytes) -> None:
    """Empty, answered by another function, or the calibration of a PZEM (41h), which would ruin it."""
    with pytest.raises(ValueError, match=r"command|calibrates"):
        Command(1, request_, reply)


@pytest.mark.parametrize(
    ("address", "values"), [(0x1_0000, (1,)), (-1, (1,)), (0, ()), (0, (1,) * 124), (0, (0x1_0000,)), (0xFFFF, (1, 2))]
)
def test_registers_that_do_not_exist_are_refused(address: int, values: tuple[int, ...]) -> None:
    """Addresses and values have sixteen bits, a write has 1 to 123 registers."""
    with pytest.raises(ValueError, match="outside"):
        WriteMultiple(1, address, values)
    if len(values) == 1:
        with pytest.raises(ValueError, match="outside"):
            WriteSingle(1, address, values[0])
