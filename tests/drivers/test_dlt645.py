"""DL/T 645-2007 frames: documented bytes, and what must never pass for a frame."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers import dlt645
from drivers.dlt645 import Frame
from drivers.writes import ChangeOver
from safety.reading import MissingReason

ADDRESS = "202311000042"
#: Twelve digits, as on a label.
addresses = st.text("0123456789", min_size=12, max_size=12)
frames = st.builds(Frame, addresses, st.integers(0, 255), st.binary(max_size=dlt645.MAX_DATA))


def test_the_question_for_the_address_is_the_documented_one() -> None:
    """Read address is 68 AA.. 68 13 00 DF 16 behind four wake-up bytes (DL/T 645-2007, 7.4)."""
    assert dlt645.who_is_there() == bytes.fromhex("FE FE FE FE 68 AA AA AA AA AA AA 68 13 00 DF 16")


def test_the_change_over_frame_is_the_documented_one() -> None:
    """The bytes are those of the maker's manual (ZTY0.464.922), with address and checksum of this meter."""
    body = bytes.fromhex("68 42 00 00 11 23 20 68 14 0E 33 33 35 3D 35 33 33 33 33 33 33 33 33 33")
    expected = b"\xfe" * 4 + body + bytes([sum(body) & 0xFF, 0x16])
    assert ChangeOver(ADDRESS).frame == expected


@given(frames, st.integers(0, 4))
def test_what_is_sent_is_read_back(frame: Frame, wake_up: int) -> None:
    """Coding by 33h, length and checksum are undone exactly, whatever wake-up bytes come first."""
    assert dlt645.parse(b"\xfe" * wake_up + frame.wire) == frame


@given(frames, st.data())
def test_one_wrong_bit_is_never_the_same_frame(frame: Frame, data: st.DataObject) -> None:
    """A flipped bit is refused: start, length, checksum or end no longer fit."""
    wire = bytearray(frame.wire)
    place = data.draw(st.integers(0, 8 * len(wire) - 1))
    wire[place // 8] ^= 1 << place % 8
    assert dlt645.parse(bytes(wire)) is None


@given(st.binary(max_size=40))
def test_random_bytes_do_no_harm(raw: bytes) -> None:
    """Whatever comes is a frame that would be sent the same way, or nothing."""
    frame = dlt645.parse(raw)
    if frame is not None:
        assert frame.wire == raw.lstrip(b"\xfe")


@given(frames, st.binary(min_size=1, max_size=3).filter(lambda noise: noise.lstrip(b"\xfe") != b""))
def test_bytes_beside_a_frame_are_refused(frame: Frame, noise: bytes) -> None:
    """A frame with something behind it is two senders, not one."""
    assert dlt645.parse(frame.wire + noise) is None


@pytest.mark.parametrize("address", ["", "1234567890", "12345678901A", "AAAAAAAAAAA1", "1" * 13])
def test_what_is_no_address_is_refused(address: str) -> None:
    """Twelve digits, or everybody."""
    with pytest.raises(ValueError, match="twelve digits"):
        Frame(address, 0x13)


def test_too_much_data_and_no_control_code_are_refused() -> None:
    """Limits of the standard: 200 data bytes, a control code of one byte."""
    assert len(Frame(ADDRESS, 0x13, bytes(200)).wire) == 212
    with pytest.raises(ValueError, match="201"):
        Frame(ADDRESS, 0x13, bytes(201))
    with pytest.raises(ValueError, match="control"):
        Frame(ADDRESS, 256)


def test_the_address_is_told_twice_and_must_agree() -> None:
    """The reply carries the address in its head and as data; everybody's is no answer."""
    own = bytes.fromhex(ADDRESS)[::-1]
    assert dlt645.address_in(b"\xfe\xfe" + Frame(ADDRESS, 0x93, own).wire) == ADDRESS
    assert dlt645.address_in(Frame(ADDRESS, 0x93, own[::-1]).wire) is None
    assert dlt645.address_in(Frame(ADDRESS, 0x91, own).wire) is None
    assert dlt645.address_in(Frame(dlt645.EVERYBODY, 0x93, b"\xaa" * 6).wire) is None


@pytest.mark.parametrize(
    ("raw", "outcome"),
    [
        (b"", MissingReason.TIMEOUT),
        (b"\xfe\xfe" + Frame(ADDRESS, 0x94).wire, b""),
        (Frame(ADDRESS, 0x94).wire[:-1], MissingReason.BAD_FRAME),
        (Frame(ADDRESS, 0x94, b"\x00").wire, MissingReason.BAD_FRAME),
        (Frame("202311000043", 0x94).wire, MissingReason.WRONG_UNIT),
        (Frame(ADDRESS, 0xD4, b"\x01").wire, MissingReason.EXCEPTION_REPLY),
        (Frame(ADDRESS, 0x93).wire, MissingReason.BAD_FRAME),
        (ChangeOver(ADDRESS).frame, MissingReason.BAD_FRAME),
    ],
)
def test_only_the_right_meter_agrees_to_a_change_over(raw: bytes, outcome: bytes | MissingReason) -> None:
    """Address, control code and length of the answer are checked."""
    assert ChangeOver(ADDRESS).check(raw) == outcome


def test_a_change_over_never_goes_to_everybody() -> None:
    """One meter at a time."""
    with pytest.raises(ValueError, match="everybody"):
        ChangeOver(dlt645.EVERYBODY)
