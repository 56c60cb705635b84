"""Questions to a slave: their frames, and which answers count. Golden frames of meters: test_golden_frames."""

from __future__ import annotations

from dataclasses import FrozenInstanceError

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.frames import Question, crc_holds, sealed
from safety.reading import MissingReason

QUESTION = Question(1, 3, 0x48, 2, byte_count_lies=True)


def crc16(data: bytes) -> bytes:
    """Return the CRC of Modbus in wire order, computed bit by bit."""
    value = 0xFFFF
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = (value >> 1) ^ 0xA001 if value & 1 else value >> 1
    return value.to_bytes(2, "little")


@given(
    st.integers(1, 247),
    st.sampled_from((3, 4)),
    st.integers(0, 0xFFFF - 125),
    st.integers(1, 125),
    st.sampled_from((2, 4)),
)
def test_a_question_is_its_frame(unit: int, function: int, start: int, count: int, width: int) -> None:
    """Eight bytes, unit to CRC, whatever library writes them; the length of the answer is known before it comes."""
    question = Question(unit, function, start, count, width)
    body = bytes([unit, function]) + start.to_bytes(2, "big") + count.to_bytes(2, "big")
    assert question.frame == body + crc16(body) == sealed(body)
    assert question.reply_bytes == 5 + count * width


def test_a_question_cannot_be_changed_after_its_frame_was_made() -> None:
    """Frame and fields are one."""
    with pytest.raises(FrozenInstanceError):
        QUESTION.unit = 2  # type: ignore[misc]


@pytest.mark.parametrize(
    ("body", "outcome"),
    [
        ("01 03 04 00 01 00 02", bytes.fromhex("00 01 00 02")),
        ("01 03 48 00 01 00 02", bytes.fromhex("00 01 00 02")),  # the byte count lies under a good CRC
        ("01 03 00 00 01 00 02", bytes.fromhex("00 01 00 02")),
        ("01 03 48 00 01 00", MissingReason.BAD_FRAME),
        ("01 03 48 00 01 00 02 00", MissingReason.BAD_FRAME),
        ("02 03 48 00 01 00 02", MissingReason.WRONG_UNIT),
        ("01 04 48 00 01 00 02", MissingReason.BAD_FRAME),
        ("01 83 02", MissingReason.EXCEPTION_REPLY),
    ],
)
def test_a_lying_byte_count_is_borne_where_the_profile_says_so(body: str, outcome: bytes | MissingReason) -> None:
    """Length, unit, function and CRC are checked all the same."""
    assert QUESTION.check(sealed(bytes.fromhex(body))) == outcome


def test_a_lying_byte_count_is_refused_everywhere_else() -> None:
    """The quirk of one family is not the licence of all."""
    assert Question(1, 3, 0x48, 2).check(sealed(bytes.fromhex("01 03 48 00 01 00 02"))) is MissingReason.BAD_FRAME


@given(st.binary(max_size=3))
def test_what_is_too_short_has_no_crc(frame: bytes) -> None:
    """Three bytes are no frame, whatever they are."""
    assert not crc_holds(frame)
