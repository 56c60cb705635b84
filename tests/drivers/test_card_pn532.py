"""Frames of the PN532: both sums hold, and cards are only what the answer really lists."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.card_contracts import FrameFault
from drivers.card_pn532 import ACK_FRAME, GET_FIRMWARE_VERSION, SAM_CONFIGURATION, Pn532, Signal, cards, encode
from hil_rig.card_serial import pn532_frame

#: What a chip answers when one MIFARE Classic card of four bytes lies on it (UM0701-02, InListPassiveTarget).
ANSWER = bytes.fromhex("4B 01 01 00 04 08 04 DE AD BE EF")
FRAME = pn532_frame(b"\xd5" + ANSWER)


def test_published_frames() -> None:
    """GetFirmwareVersion and SAMConfiguration as every library sends them."""
    assert encode(GET_FIRMWARE_VERSION) == bytes.fromhex("0000FF02FED4022A00")
    assert encode(SAM_CONFIGURATION) == bytes.fromhex("0000FF05FBD4140100011600")
    with pytest.raises(ValueError, match="a command of 0 bytes"):
        encode(b"")
    with pytest.raises(ValueError, match="a command of 255 bytes"):
        encode(bytes(255))


def test_signals_and_answers_are_told_apart_however_they_are_cut() -> None:
    """An acknowledgement, its opposite, and an answer in one stream with zeros and noise between."""
    stream = b"\x00\x00" + ACK_FRAME + b"\x55\x80" + bytes.fromhex("0000FFFF0000") + FRAME
    expected = [Signal.ACK, Signal.NACK, ANSWER]
    assert Pn532().feed(stream) == expected
    decoder = Pn532()
    assert [one for byte in stream for one in decoder.feed(bytes([byte]))] == expected


def test_every_flipped_bit_is_refused() -> None:
    """No single bit of an answer can change without the answer being lost."""
    for bit in range(len(FRAME) * 8):
        damaged = bytearray(FRAME)
        damaged[bit // 8] ^= 1 << bit % 8
        assert not [one for one in Pn532().feed(bytes(damaged) + bytes(300)) if isinstance(one, bytes)], bit


def test_an_error_frame_and_a_frame_to_the_chip_are_no_answers() -> None:
    """Only TFI D5 comes from the chip with an answer."""
    assert Pn532().feed(bytes.fromhex("0000FF01FF7F8100")) == [FrameFault.BAD_FRAME]
    assert Pn532().feed(pn532_frame(b"\xd4" + ANSWER))[0] is FrameFault.BAD_FRAME


def test_a_good_frame_behind_a_bad_one_is_found() -> None:
    """A frame that lost its end does not swallow the next one."""
    found = Pn532().feed(FRAME[:-4] + FRAME)
    assert found[0] is FrameFault.BAD_CHECKSUM
    assert found[-1] == ANSWER


@settings(max_examples=100, deadline=None)
@given(st.lists(st.binary(max_size=40) | st.binary(min_size=1, max_size=40).map(pn532_frame), max_size=8))
def test_random_bytes_give_only_frames_whose_sums_hold(pieces: list[bytes]) -> None:
    """Nothing crashes, memory stays bounded, and every answer stood in the stream as a whole frame."""
    stream = b"".join(pieces)
    decoder = Pn532()
    for piece in pieces:
        for one in decoder.feed(piece):
            if isinstance(one, bytes):
                assert pn532_frame(b"\xd5" + one) in stream
    assert len(decoder._buffer) < 5 + 255 + 2


@pytest.mark.parametrize("size", [4, 7, 10])
def test_ids_of_every_size(size: int) -> None:
    """Four, seven and ten bytes, in the order sent."""
    uid = bytes(range(1, size + 1))
    assert cards(bytes([0x4B, 1, 1, 0, 4, 8, size]) + uid) == [uid]


def test_two_cards_and_the_answer_to_select_between_them() -> None:
    """A card of ISO 14443-4 brings its answer to select, whose first byte is its length."""
    first = bytes.fromhex("01 00 44 20 07 04112233445566") + bytes.fromhex("05 75 77 81 02")
    second = bytes.fromhex("02 00 04 08 04 DEADBEEF")
    expected = [bytes.fromhex("04112233445566"), bytes.fromhex("DEADBEEF")]
    assert cards(bytes([0x4B, 2]) + first + second) == expected
    assert cards(bytes([0x4B, 0])) == []


@pytest.mark.parametrize("size", [0, 3, 5, 6, 8, 9, 11, 255])
def test_an_id_of_an_impossible_size_is_refused(size: int) -> None:
    """Only 4, 7 and 10 exist."""
    assert cards(bytes([0x4B, 1, 1, 0, 4, 8, size]) + bytes(range(1, size + 1))) is FrameFault.BAD_FRAME


@pytest.mark.parametrize("cut", range(len(ANSWER)))
def test_an_answer_cut_short_is_refused(cut: int) -> None:
    """A card is listed as a whole or not at all."""
    assert cards(ANSWER[:cut]) is FrameFault.BAD_FRAME


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=60).map(lambda rest: b"\x4b" + rest))
def test_random_answers_never_crash(answer: bytes) -> None:
    """What is listed stands in the answer and has a size that exists."""
    found = cards(answer)
    if not isinstance(found, FrameFault):
        assert all(len(uid) in {4, 7, 10} and uid in answer for uid in found)
