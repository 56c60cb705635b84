"""The event device of a typing reader: taken alone or not read at all."""

from __future__ import annotations

import errno
import os
import stat
import time
from typing import TYPE_CHECKING

import pytest

from drivers.card_contracts import FrameFault, ReaderState, Trouble
from drivers.card_keyboard_link import EVIOCGRAB, KeyboardLink
from drivers.card_reader import ReaderThread
from hil_rig.card_keyboard import EventDevice, line

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

UID = bytes.fromhex("00BC614E")


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Try again soon; that it is a second in life is a test of tests/drivers/test_card_reader.py."""
    monkeypatch.setattr("drivers.card_reader.REOPEN_S", 0.05)


@pytest.fixture
def device(tmp_path: Path) -> Iterator[EventDevice]:
    """Return a FIFO that holds events."""
    with EventDevice(tmp_path / "event-kbd") as made:
        yield made


def until(reader: ReaderThread, state: ReaderState) -> None:
    """Wait until a reader is in that state."""
    end_s = time.monotonic() + 5.0
    while reader.status.state is not state:
        assert time.monotonic() < end_s
        time.sleep(0.005)


def test_the_number_of_the_request() -> None:
    """_IOW('E', 0x90, int) as linux/input.h has it on every machine pilenode runs on."""
    assert EVIOCGRAB == 0x40044590


def test_it_is_taken_before_the_first_key_is_read(device: EventDevice) -> None:
    """The open device itself is handed to the grab, once."""
    taken: list[int] = []
    link = KeyboardLink(str(device.path), "decimal", take=taken.append)
    assert link.open() is None
    (descriptor,) = taken
    assert stat.S_ISFIFO(os.fstat(descriptor).st_mode)
    device.type(line("0012345678"))
    assert link.receive(0.5) == [UID]
    assert link.receive(0.0) == []
    link.close()
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(descriptor)


def test_a_device_that_cannot_be_taken_is_not_read(device: EventDevice) -> None:
    """The real request is made here, and a FIFO refuses it: such a device would go on typing into the console."""
    device.type(line("0012345678"))
    link = KeyboardLink(str(device.path), "decimal")
    trouble = link.open()
    assert trouble == Trouble(ReaderState.UNUSABLE, f"{device.path} is no input device")
    link.close()
    assert link.receive(0.0) == Trouble(ReaderState.LOST, f"{device.path} is not open")


@pytest.mark.parametrize(
    ("number", "state"),
    [(errno.EBUSY, ReaderState.BUSY), (errno.EINVAL, ReaderState.UNUSABLE), (errno.ENODEV, ReaderState.LOST)],
)
def test_why_it_could_not_be_taken(device: EventDevice, number: int, state: ReaderState) -> None:
    """Busy is another program with the same wish."""

    def refuse(_: int) -> None:
        raise OSError(number, os.strerror(number))

    link = KeyboardLink(str(device.path), "decimal", take=refuse)
    trouble = link.open()
    link.close()
    assert trouble is not None
    assert trouble.state is state


def test_a_device_that_is_not_there_is_absent(tmp_path: Path) -> None:
    """Until it is plugged in."""
    trouble = KeyboardLink(str(tmp_path / "none"), "decimal").open()
    assert trouble is not None
    assert trouble.state is ReaderState.ABSENT


def test_unplugged_in_the_middle_of_a_number(device: EventDevice) -> None:
    """Half a number of before is not the head of the first one after."""
    reader = ReaderThread("front", KeyboardLink(str(device.path), "decimal", take=lambda _: None))
    reader.start()
    until(reader, ReaderState.READY)
    device.type(line("99", enter=False))
    time.sleep(0.1)
    device.vanish()
    until(reader, ReaderState.LOST)
    device.appear()
    until(reader, ReaderState.READY)
    device.type(line("0012345678"))
    seen = reader.get(2.0)
    assert seen is not None
    assert seen.uid == "00BC614E"
    device.type(line("77", enter=False))
    end_s = time.monotonic() + 3.0
    while not reader.counters[FrameFault.BAD_FRAME]:
        assert time.monotonic() < end_s
        time.sleep(0.01)
    assert reader.close()
