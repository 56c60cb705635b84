"""The simulated readers behave as the real ones are described, also where the driver never leads them."""

from __future__ import annotations

import os
import struct
import time
from typing import TYPE_CHECKING

from hil_rig.card_keyboard import EventDevice, line
from hil_rig.card_mfrc522 import FieldCard, State, bits_of, bytes_of, crc_a
from hil_rig.card_pins import CardFactory, wiegand
from hil_rig.card_serial import ACK, Card, Pn532Chip, Tty, pn532_frame

if TYPE_CHECKING:
    from pathlib import Path

REQA = bits_of(b"\x26")[:7]
WUPA = bits_of(b"\x52")[:7]
HLTA = bits_of(b"\x50\x00" + crc_a(b"\x50\x00"))


def selected(card: FieldCard) -> None:
    """Bring a card of four bytes from IDLE to ACTIVE."""
    assert card.hear(REQA)
    level = bytes_of(card.hear(bits_of(b"\x93\x20")))
    frame = b"\x93\x70" + level
    assert bytes_of(card.hear(bits_of(frame + crc_a(frame)))) == b"\x08" + crc_a(b"\x08")
    assert card.state is State.ACTIVE


def test_the_states_of_a_card() -> None:
    """ISO 14443-3: asleep it hears WUPA only, and what was asleep goes back to sleep."""
    card = FieldCard(b"\xde\xad\xbe\xef")
    selected(card)
    assert card.hear(HLTA) == []
    assert card.state is State.HALT
    assert card.hear(REQA) == []
    assert card.hear(WUPA)
    assert card.hear(REQA) == []
    assert card.state is State.HALT


def test_a_card_answers_only_to_its_own_bits() -> None:
    """With a part of its id sent it gives the rest; with another one it stays silent."""
    card = FieldCard(b"\xde\xad\xbe\xef")
    card.hear(REQA)
    own = bits_of(b"\xde\xad\xbe\xef\x22")
    known = bits_of(b"\x93\x34\xde") + own[8:12]
    assert card.hear(known) == own[12:]
    assert card.hear([*known[:-1], 1 - known[-1]]) == []


def test_the_levels_of_a_long_id() -> None:
    """Seven bytes go over two levels with the tag in the first, and a wrong CRC ends the selection."""
    card = FieldCard(bytes.fromhex("04112233445566"))
    card.hear(REQA)
    first = bytes_of(card.hear(bits_of(b"\x93\x20")))
    assert first == bytes.fromhex("88041122") + bytes([0x88 ^ 0x04 ^ 0x11 ^ 0x22])
    frame = b"\x93\x70" + first
    assert bytes_of(card.hear(bits_of(frame + crc_a(frame))))[0] == 0x04
    assert bytes_of(card.hear(bits_of(b"\x95\x20")))[:4] == bytes.fromhex("33445566")
    assert card.hear(bits_of(frame + b"\x00\x00")) == []
    assert card.state is State.IDLE


def test_a_pn532_sleeps_until_it_is_woken_and_waits_for_a_card_for_ever(tmp_path: Path) -> None:
    """A driver that forgets to wake it, or to limit its retries, gets nothing."""
    ask = pn532_frame(b"\xd4\x4a\x01\x00")
    setting = pn532_frame(b"\xd4\x14\x01\x00\x01")
    with Tty(tmp_path / "tty") as tty, Pn532Chip(tty):
        descriptor = os.open(tty.device, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)

        def heard(frame: bytes) -> bytes:
            os.write(descriptor, frame)
            time.sleep(0.1)
            try:
                return os.read(descriptor, 1000)
            except BlockingIOError:
                return b""

        assert heard(setting) == b""
        assert heard(b"\x55\x55" + bytes(16) + setting) == ACK + pn532_frame(b"\xd5\x15")
        assert heard(ask) == ACK
        few = pn532_frame(b"\xd4\x32\x05\xff\x01\x01")
        assert heard(few) == ACK + pn532_frame(b"\xd5\x33")
        assert heard(ask) == ACK + pn532_frame(b"\xd5\x4b\x00")
        os.close(descriptor)


def test_a_pn532_lists_no_more_cards_than_asked_for(tmp_path: Path) -> None:
    """One of two."""
    with Tty(tmp_path / "tty") as tty:
        chip = Pn532Chip(tty)
        chip.cards = [Card(b"\x01\x02\x03\x04"), Card(b"\x05\x06\x07\x08")]
        assert chip._listed(1) == bytes.fromhex("01 01 0004 08 04 01020304")


def test_pulling_the_plug_takes_name_and_line(tmp_path: Path) -> None:
    """As a USB adapter does: the path is gone, and who has it open sees it hang up."""
    tty = Tty(tmp_path / "tty")
    descriptor = os.open(tty.device, os.O_RDWR | os.O_NOCTTY)
    tty.vanish()
    assert not tty.link.is_symlink()
    assert os.read(descriptor, 1) == b""
    os.close(descriptor)
    tty.say(b"nobody listens")


def test_edges_carry_the_times_of_the_wire() -> None:
    """However fast the simulation runs: 2 ms apart, zeros on one line and ones on the other."""
    told: list[tuple[float, int]] = []
    with CardFactory() as factory:
        zero, one = (lambda at, _: told.append((at, 0))), (lambda at, _: told.append((at, 1)))
        for pin, callback in ((20, zero), (21, one)):
            line_of = factory.pin(pin)
            line_of.pull, line_of.edges, line_of.when_changed = "up", "falling", callback
        began_s = time.monotonic()
        factory.present((20, 21), wiegand(0x5A0144, 26))
        assert time.monotonic() - began_s < 0.05
    assert [bit for _, bit in told] == wiegand(0x5A0144, 26)
    gaps = {round(told[n + 1][0] - told[n][0], 6) for n in range(25)}
    assert gaps == {0.002}


def test_keys_are_events_of_the_kernel(tmp_path: Path) -> None:
    """24 bytes each on this machine, presses and releases and reports, held until somebody reads."""
    with EventDevice(tmp_path / "event") as device:
        device.type(line("1"))
        descriptor = os.open(device.path, os.O_RDONLY | os.O_NONBLOCK)
        data = os.read(descriptor, 10_000)
        os.close(descriptor)
    events = [event[2:] for event in struct.iter_unpack("@llHHi", data)]
    assert events[:3] == [(4, 4, 2), (1, 2, 1), (0, 0, 0)]
    assert [event for event in events if event[0] == 1] == [(1, 2, 1), (1, 2, 0), (1, 28, 1), (1, 28, 0)]
