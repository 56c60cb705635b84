"""Serial readers on real ttys: split frames, noise, a plug that is pulled and put back, a device somebody else has."""

from __future__ import annotations

import errno
import threading
import time
from typing import TYPE_CHECKING

import pytest
import serial

from drivers.card_contracts import FrameFault, ReaderState, Trouble, trouble_of
from drivers.card_pn532_link import Pn532Link
from drivers.card_rdm6300 import Em18, Rdm6300
from drivers.card_reader import ReaderThread
from drivers.card_serial import SerialPort, TalkingReader
from hil_rig.card_serial import ACK, Card, Pn532Chip, Tty, em18_frame, pn532_frame, rdm6300_frame

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

A = bytes.fromhex("0100072A5F")
B = bytes.fromhex("0100072A60")


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Try again soon; that it is a second in life is a test of tests/drivers/test_card_reader.py."""
    monkeypatch.setattr("drivers.card_reader.REOPEN_S", 0.05)


@pytest.fixture
def tty(tmp_path: Path) -> Iterator[Tty]:
    """Return a tty behind a name that stays."""
    with Tty(tmp_path / "by-id") as made:
        yield made


@pytest.fixture
def reader(tty: Tty) -> Iterator[ReaderThread]:
    """Return an RDM6300 that runs, and end it."""
    thread = ReaderThread("front", TalkingReader(SerialPort(tty.device, 9600), Rdm6300))
    thread.start()
    until(lambda: thread.status.state is ReaderState.READY)
    yield thread
    assert thread.close()


def until(true: Callable[[], bool]) -> None:
    """Wait until something is so."""
    end_s = time.monotonic() + 5.0
    while not true():
        assert time.monotonic() < end_s
        time.sleep(0.005)


def uid_of(reader: ReaderThread) -> str | None:
    """Return the id of the next card."""
    seen = reader.get(2.0)
    return seen.uid if seen else None


def test_a_card_over_a_real_tty(tty: Tty, reader: ReaderThread) -> None:
    """A frame in two pieces with noise around it is one card; a bad checksum is none and is counted."""
    frame = rdm6300_frame(A)
    tty.say(b"\xff\x00" + frame[:6])
    time.sleep(0.02)
    tty.say(frame[6:] + b"\xfe")
    assert uid_of(reader) == "0100072A5F"
    tty.say(rdm6300_frame(B, checksum=0) + frame)
    until(lambda: reader.counters["frames"] == 2)
    assert reader.get() is None
    assert reader.counters["bad_checksum"] == 1
    assert reader.counters["repeated"] == 1


def test_half_a_frame_is_counted_although_nothing_follows(tty: Tty, reader: ReaderThread) -> None:
    """Silence tells that a frame was cut short."""
    tty.say(rdm6300_frame(A)[:9])
    until(lambda: reader.counters["bad_frame"] == 1)


def test_em18_over_a_real_tty(tty: Tty) -> None:
    """The other dialect on the same wire."""
    link = TalkingReader(SerialPort(tty.device, 9600), Em18)
    assert link.open() is None
    tty.say(em18_frame(A) + b"\r\n")
    assert link.receive(1.0) == [A]
    link.close()


def test_what_came_before_a_device_was_opened_again_is_forgotten(tty: Tty) -> None:
    """Two halves of frames before and after make no card."""
    link = TalkingReader(SerialPort(tty.device, 9600), Rdm6300, clock=lambda: 1.0)
    assert link.open() is None
    tty.say(rdm6300_frame(A)[:6])
    assert link.receive(1.0) == []
    link.close()
    assert link.open() is None
    tty.say(rdm6300_frame(A)[6:])
    assert link.receive(1.0) == [FrameFault.BAD_FRAME]
    link.close()


def test_a_plug_pulled_and_put_back(tty: Tty, reader: ReaderThread) -> None:
    """The reader is lost, half a frame of before with it, and works again about a second after its return."""
    tty.say(rdm6300_frame(A)[:6])
    time.sleep(0.05)
    tty.vanish()
    until(lambda: reader.status.state is ReaderState.LOST)
    tty.appear()
    until(lambda: reader.status.state is ReaderState.READY)
    tty.say(rdm6300_frame(B))
    assert uid_of(reader) == "0100072A60"
    assert reader.counters["reconnects"] == 1


def test_a_reader_that_is_plugged_in_later(tmp_path: Path) -> None:
    """Absent until then, and no reconnect."""
    reader = ReaderThread("front", TalkingReader(SerialPort(str(tmp_path / "by-id"), 9600), Rdm6300))
    reader.start()
    until(lambda: reader.status.state is ReaderState.ABSENT)
    with Tty(tmp_path / "by-id") as tty:
        until(lambda: reader.status.state is ReaderState.READY)
        tty.say(rdm6300_frame(A))
        assert uid_of(reader) == "0100072A5F"
        assert reader.counters["reconnects"] == 0
        assert reader.close()


def test_the_end_of_a_thread_on_a_real_tty(reader: ReaderThread) -> None:
    """Within a second of being told."""
    started_s = time.monotonic()
    assert reader.close()
    assert time.monotonic() - started_s < 1.0


def test_a_device_of_another_program_is_busy(tty: Tty) -> None:
    """Two programs would each get half of the bytes."""
    with serial.Serial(tty.device, exclusive=True):
        trouble = SerialPort(tty.device, 9600).open()
    assert trouble is not None
    assert trouble.state is ReaderState.BUSY
    port = SerialPort(tty.device, 9600)
    assert port.open() is None
    second = SerialPort(tty.device, 9600).open()
    port.close()
    assert second is not None
    assert second.state is ReaderState.BUSY


def test_what_is_no_tty_is_unusable(tmp_path: Path) -> None:
    """A file in the place of the device."""
    path = tmp_path / "file"
    path.write_bytes(rdm6300_frame(A))
    trouble = SerialPort(str(path), 9600).open()
    assert trouble is not None
    assert trouble.state is ReaderState.UNUSABLE


@pytest.mark.parametrize(
    ("number", "state"),
    [
        (errno.EACCES, ReaderState.DENIED),
        (errno.EPERM, ReaderState.DENIED),
        (errno.ENOENT, ReaderState.ABSENT),
        (errno.EBUSY, ReaderState.BUSY),
        (errno.ENODEV, ReaderState.LOST),
        (errno.EMFILE, ReaderState.UNUSABLE),
    ],
)
def test_what_the_system_says_becomes_a_state(number: int, state: ReaderState) -> None:
    """A technician who is not in the group is told so, and not that the device is missing."""
    assert trouble_of(OSError(number, "words")) == Trouble(state, f"[Errno {number}] words")


def test_a_closed_port_is_trouble_not_an_exception(tty: Tty) -> None:
    """Reading, writing, draining and closing twice."""
    port = SerialPort(tty.device, 9600)
    port.close()
    for outcome in (port.read(0.0), port.write(b"x"), port.drain()):
        assert isinstance(outcome, Trouble)
        assert outcome.state is ReaderState.LOST


# -- PN532 -----------------------------------------------------------------------------------------------------


@pytest.fixture
def chip(tty: Tty) -> Iterator[Pn532Chip]:
    """Return a PN532 that answers on the tty."""
    with Pn532Chip(tty) as made:
        yield made


@pytest.fixture
def link(tty: Tty) -> Iterator[Pn532Link]:
    """Return the driver's end."""
    made = Pn532Link(SerialPort(tty.device, 115_200))
    yield made
    made.close()


def heard(link: Pn532Link) -> list[bytes | FrameFault] | Trouble:
    """Return what the next question for cards brings."""
    link._ask_at_s = 0.0
    outcome = link.receive(0.2)
    return outcome if isinstance(outcome, Trouble) else [*outcome]


def test_cards_of_every_size_on_a_pn532(chip: Pn532Chip, link: Pn532Link) -> None:
    """Woken, set up, asked: none, one, two at once; a card with an answer to select among them."""
    assert link.open() is None
    assert [command[0] for command in chip.heard] == [0x14, 0x02, 0x32]
    assert heard(link) == []
    uids = [bytes.fromhex("DEADBEEF"), bytes.fromhex("04112233445566"), bytes(range(1, 11))]
    for uid in uids:
        chip.cards = [Card(uid)]
        assert heard(link) == [uid]
    chip.cards = [Card(uids[1], 0x20, bytes.fromhex("0575778102")), Card(uids[0])]
    assert heard(link) == uids[1::-1]
    assert chip.heard[-1][0] == 0x52


def test_a_spoilt_answer_is_counted_and_the_next_one_taken(chip: Pn532Chip, link: Pn532Link) -> None:
    """A wrong sum is a bad checksum, a card of an impossible size a bad frame."""
    assert link.open() is None
    chip.cards = [Card(b"\xde\xad\xbe\xef")]
    good = pn532_frame(bytes.fromhex("D54B010100040804DEADBEEF"))
    chip.spoil = [good[:-4] + b"\x00" + good[-3:], pn532_frame(bytes.fromhex("D54B010100040805DEADBEEF"))]
    assert heard(link) == [FrameFault.BAD_CHECKSUM]
    assert heard(link) == [FrameFault.BAD_FRAME]
    assert heard(link) == [b"\xde\xad\xbe\xef"]


def test_an_answer_to_another_question_is_passed_over(chip: Pn532Chip, link: Pn532Link) -> None:
    """A late answer is not taken for this one."""
    assert link.open() is None
    late = pn532_frame(b"\xd5\x03\x32\x01\x06\x07")
    good = pn532_frame(bytes.fromhex("D54B010100040804DEADBEEF"))
    chip.spoil = [late + good]
    assert heard(link) == [b"\xde\xad\xbe\xef"]


def test_an_answer_before_the_acknowledgement_is_an_older_one(link: Pn532Link, tty: Tty) -> None:
    """Of two answers to the same question the one behind the acknowledgement counts."""
    old = pn532_frame(bytes.fromhex("D54B010100040804AAAAAAAA"))
    new = pn532_frame(bytes.fromhex("D54B010100040804DEADBEEF"))
    with Pn532Chip(tty) as chip:
        assert link.open() is None
        chip.mute = True
        answer = threading.Timer(0.1, tty.say, [old + ACK + new])
        answer.start()
        assert heard(link) == [b"\xde\xad\xbe\xef"]


def test_a_chip_that_lost_its_supply_is_set_up_anew(chip: Pn532Chip, link: Pn532Link) -> None:
    """Three questions without an answer are silence; opening again wakes it."""
    assert link.open() is None
    chip.power_cycle()
    assert [heard(link), heard(link)] == [[], []]
    trouble = heard(link)
    assert isinstance(trouble, Trouble)
    assert trouble.state is ReaderState.SILENT
    link.close()
    chip.cards = [Card(b"\xde\xad\xbe\xef")]
    assert link.open() is None
    assert heard(link) == [b"\xde\xad\xbe\xef"]


def test_nobody_and_somebody_else_at_the_other_end(tty: Tty, chip: Pn532Chip, link: Pn532Link) -> None:
    """A tty with nothing behind it is silent; another chip is unusable; a plug that is pulled is lost."""
    chip.mute = True
    trouble = link.open()
    assert trouble is not None
    assert trouble.state is ReaderState.SILENT
    link.close()
    chip.mute = False
    chip.chip = 0x33
    trouble = link.open()
    assert trouble is not None
    assert trouble.state is ReaderState.UNUSABLE
    link.close()
    chip.chip = 0x32
    assert link.open() is None
    tty.vanish()
    lost = heard(link)
    assert isinstance(lost, Trouble)
    assert lost.state is ReaderState.LOST


def test_a_pn532_in_its_thread_through_unplugging(tty: Tty, chip: Pn532Chip, link: Pn532Link) -> None:
    """A card that lies there is one presentation, before and after the plug was pulled."""
    chip.cards = [Card(b"\xde\xad\xbe\xef")]
    reader = ReaderThread("front", link)
    reader.start()
    assert uid_of(reader) == "DEADBEEF"
    until(lambda: reader.counters["repeated"] >= 2)
    assert reader.get() is None
    tty.vanish()
    until(lambda: reader.status.state is ReaderState.LOST)
    chip.power_cycle()
    chip.cards = [Card(b"\x04\x11\x22\x33\x44\x55\x66")]
    tty.appear()
    assert uid_of(reader) == "04112233445566"
    started_s = time.monotonic()
    assert reader.close()
    assert time.monotonic() - started_s < 1.0
