"""From configuration to readers: each kind becomes the driver of that kind, with its own settings."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from config.schema_reader import Reader
from drivers.card_contracts import ReaderState
from hil_rig import card_pins
from hil_rig.card_mfrc522 import FieldCard, Mfrc522Chip
from hil_rig.card_pins import CardFactory, wiegand
from hil_rig.card_serial import Card, Pn532Chip, Tty, em18_frame, rdm6300_frame
from pilenode.station.readers import _made, build

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from drivers.card_reader import ReaderThread

UID = bytes.fromhex("0100072A5F")
RIG = "hil_rig.card_pins:only"


@pytest.fixture
def factory(monkeypatch: pytest.MonkeyPatch) -> Iterator[CardFactory]:
    """Return the pins that the configuration names."""
    with CardFactory() as made:
        monkeypatch.setattr(card_pins, "only", lambda: made, raising=False)
        yield made
    _made.cache_clear()


@pytest.fixture
def tty(tmp_path: Path) -> Iterator[Tty]:
    """Return a tty."""
    with Tty(tmp_path / "tty") as made:
        yield made


def running(*readers: Reader, factory: str = "lgpio") -> list[ReaderThread]:
    """Return the readers, ready."""
    threads = build(readers, factory, lambda: None)
    for thread in threads:
        thread.start()
    end_s = time.monotonic() + 5.0
    while any(thread.status.state is not ReaderState.READY for thread in threads):
        assert time.monotonic() < end_s, [thread.status for thread in threads]
        time.sleep(0.005)
    return threads


def ids(threads: list[ReaderThread]) -> list[str | None]:
    """Return the next id of each reader, and end them."""
    seen = [thread.get(2.0) for thread in threads]
    assert all(thread.close() for thread in threads)
    return [one.uid if one else None for one in seen]


def test_serial_kinds(tty: Tty) -> None:
    """RDM6300, EM-18 with its bytes turned round, and a PN532 at its own speed; none of them needs a GPIO."""
    threads = running(Reader(name="a", kind="rdm6300", device=tty.device))
    tty.say(rdm6300_frame(UID))
    assert ids(threads) == ["0100072A5F"]
    threads = running(Reader(name="b", kind="em18", device=tty.device, uid_order="reversed"))
    tty.say(em18_frame(UID))
    assert ids(threads) == ["5F2A070001"]
    with Pn532Chip(tty) as chip:
        chip.cards = [Card(b"\xde\xad\xbe\xef")]
        assert ids(running(Reader(name="c", kind="pn532", device=tty.device))) == ["DEADBEEF"]


def test_kinds_on_gpio_share_one_back_end(factory: CardFactory) -> None:
    """Two Wiegand formats and an MFRC522, each on its own lines."""
    chip = factory.chips[7] = Mfrc522Chip()
    chip.cards = [FieldCard(b"\xde\xad\xbe\xef")]
    threads = running(
        Reader(name="a", kind="wiegand26", data0_pin=20, data1_pin=21),
        Reader(name="b", kind="wiegand34", data0_pin=23, data1_pin=24),
        Reader(name="c", kind="mfrc522", spi_select=1),
        factory=RIG,
    )
    factory.present((20, 21), wiegand(0x5A0144, 26))
    factory.present((23, 24), wiegand(0x12345678, 34))
    assert ids(threads) == ["5A0144", "12345678", "DEADBEEF"]


def test_a_keyboard_that_is_none(tty: Tty) -> None:
    """A tty cannot be taken as an input device: trouble, and no exception."""
    (thread,) = build([Reader(name="a", kind="keyboard", device=tty.device)], "lgpio", lambda: None)
    thread.start()
    end_s = time.monotonic() + 5.0
    while thread.status.state is ReaderState.STARTING:
        assert time.monotonic() < end_s
        time.sleep(0.005)
    assert thread.status.state is ReaderState.UNUSABLE
    assert thread.close()


def test_a_back_end_that_cannot_be_made_is_trouble_of_its_readers(factory: CardFactory) -> None:
    """The station starts all the same."""
    assert factory
    (thread,) = build([Reader(name="a", kind="mfrc522")], "hil_rig.card_pins:missing", lambda: None)
    thread.start()
    end_s = time.monotonic() + 5.0
    while thread.status.state is ReaderState.STARTING:
        assert time.monotonic() < end_s
        time.sleep(0.005)
    assert thread.status.state is ReaderState.UNUSABLE
    assert "hil_rig.card_pins:missing" in thread.status.detail
    assert thread.close()
