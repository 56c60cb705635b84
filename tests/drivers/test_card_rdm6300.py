"""125 kHz frames: no id whose checksum does not hold, whatever comes over the wire."""

from __future__ import annotations

from functools import reduce
from operator import xor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.card_contracts import FrameFault
from drivers.card_rdm6300 import PAUSE_S, Em18, Rdm6300
from hil_rig.card_serial import em18_frame, rdm6300_frame

#: The data sheet's kind of example: version 01, tag 00 07 2A 5F, checksum by hand 01^00^07^2A^5F = 73.
UID = bytes.fromhex("0100072A5F")
FRAME = b"\x020100072A5F73\x03"

Decoders = type[Rdm6300] | type[Em18]
BOTH = pytest.mark.parametrize(("new", "frame"), [(Rdm6300, FRAME), (Em18, FRAME[1:-1])])


def test_the_rig_says_what_the_data_sheet_says() -> None:
    """The simulated module computes the frame that was computed by hand."""
    assert rdm6300_frame(UID) == FRAME
    assert em18_frame(UID) == FRAME[1:-1]


@BOTH
def test_a_good_frame_gives_the_five_bytes_however_it_is_cut(new: Decoders, frame: bytes) -> None:
    """Version and tag in the order sent, whether the bytes come at once, one by one, or in two pieces."""
    for cut in range(len(frame) + 1):
        decoder = new()
        assert decoder.feed(frame[:cut], 1.0) + decoder.feed(frame[cut:], 1.01) == [UID]
    decoder = new()
    assert [one for byte in frame for one in decoder.feed(bytes([byte]), 1.0)] == [UID]
    assert decoder.feed(frame + frame, 2.0) == [UID, UID]


@BOTH
def test_every_flipped_bit_is_refused(new: Decoders, frame: bytes) -> None:
    """No single bit of a frame can change without the frame being dropped and counted."""
    for bit in range(len(frame) * 8):
        damaged = bytearray(frame)
        damaged[bit // 8] ^= 1 << bit % 8
        decoder = new()
        found = decoder.feed(bytes(damaged), 1.0) + decoder.feed(b"", 1.0 + PAUSE_S * 1.01)
        assert found, bit
        assert all(isinstance(one, FrameFault) for one in found), bit


def test_what_is_wrong_has_its_name() -> None:
    """A false checksum is one thing, a frame cut short, without end or with other characters another."""
    assert Rdm6300().feed(rdm6300_frame(UID, checksum=0x72), 1.0) == [FrameFault.BAD_CHECKSUM]
    assert Rdm6300().feed(FRAME[:-1] + b"\x04", 1.0) == [FrameFault.BAD_FRAME]
    assert Rdm6300().feed(FRAME.replace(b"A", b"a"), 1.0)[0] is FrameFault.BAD_FRAME
    assert Rdm6300().feed(FRAME[:6] + FRAME, 1.0) == [FrameFault.BAD_FRAME, UID]
    assert Em18().feed(em18_frame(UID, checksum=0x72), 1.0) == [FrameFault.BAD_CHECKSUM]


def test_two_flips_of_the_same_bit_are_what_the_checksum_cannot_see() -> None:
    """The limit of an exclusive or, kept in view: this is another card to us."""
    blind = b"\x020110072A5F63\x03"
    assert Rdm6300().feed(blind, 1.0) == [bytes.fromhex("0110072A5F")]


@BOTH
def test_a_pause_ends_a_frame_that_was_cut_short(new: Decoders, frame: bytes) -> None:
    """Half a frame is counted once, and neither spoils nor completes the next one."""
    decoder = new()
    assert decoder.feed(frame[:7], 1.0) == []
    assert decoder.feed(b"", 1.0 + PAUSE_S * 0.99) == []
    assert decoder.feed(b"", 1.0 + PAUSE_S * 1.01) == [FrameFault.BAD_FRAME]
    assert decoder.feed(b"", 3.0) == []
    assert decoder.feed(frame, 4.0) == [UID]


def test_line_ends_between_frames_are_no_fault() -> None:
    """Some modules end their 12 characters with CR LF; within a frame it ends the frame."""
    assert Em18().feed(FRAME[1:-1] + b"\r\n" + FRAME[1:-1] + b"\r\n", 1.0) == [UID, UID]
    assert Em18().feed(FRAME[1:7] + b"\r\n", 1.0) == [FrameFault.BAD_FRAME]


@BOTH
@settings(max_examples=80, deadline=None)
@given(pieces=st.lists(st.binary(max_size=30) | st.text("0123456789ABCDEF\x02\x03", max_size=40).map(str.encode)))
def test_whatever_comes_gives_no_id_that_was_not_sent_with_its_checksum(
    new: Decoders, frame: bytes, pieces: list[bytes]
) -> None:
    """Noise never crashes the decoder, and every id it yields stood in the noise with a checksum that holds."""
    del frame
    decoder = new()
    noise = b"".join(pieces)
    for number, piece in enumerate(pieces):
        for one in decoder.feed(piece, number * 0.01):
            if not isinstance(one, FrameFault):
                assert len(one) == 5
                assert (one + bytes([reduce(xor, one)])).hex().upper().encode() in noise


@BOTH
@settings(max_examples=50, deadline=None)
@given(noise=st.binary(max_size=60), uid=st.binary(min_size=5, max_size=5))
def test_after_noise_and_a_pause_a_good_frame_is_read(new: Decoders, frame: bytes, noise: bytes, uid: bytes) -> None:
    """No noise leaves the decoder deaf."""
    del frame
    decoder = new()
    decoder.feed(noise, 0.0)
    good = rdm6300_frame(uid) if new is Rdm6300 else em18_frame(uid)
    assert decoder.feed(good, 1.0)[-1] == uid
