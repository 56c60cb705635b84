"""Wiegand on two lines and an MFRC522 on SPI, through gpiozero and nothing else than what was asked for."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest
from gpiozero import Device, InputDevice
from gpiozero.pins.mock import MockFactory

from drivers.card_contracts import FrameFault, ReaderState, Trouble
from drivers.card_mfrc522_link import Mfrc522Link
from drivers.card_reader import ReaderThread
from drivers.gpio_cards import WiegandLines, open_spi
from hil_rig.card_mfrc522 import FieldCard, Mfrc522Chip
from hil_rig.card_pins import CardFactory, wiegand

if TYPE_CHECKING:
    from collections.abc import Iterator

PINS = (20, 21)
UID = bytes([90]) + (324).to_bytes(2, "big")
CODE = wiegand(int.from_bytes(UID, "big"), 26)


def no_pause(_: float) -> None:
    """Let no time pass: everything has been sent already."""


@pytest.fixture
def factory() -> Iterator[CardFactory]:
    """Return simulated pins."""
    with CardFactory() as made:
        yield made


@pytest.fixture
def lines(factory: CardFactory) -> Iterator[WiegandLines]:
    """Return the two lines of a reader of 26 bits, open."""
    made = WiegandLines(lambda: factory, PINS, 26, pause=no_pause)
    assert made.open() is None
    yield made
    made.close()


def test_a_code_over_two_lines(factory: CardFactory, lines: WiegandLines) -> None:
    """Falling edges of DATA0 are zeros, those of DATA1 ones; both lines idle high."""
    assert lines.receive(0.2) == ()
    assert [factory.pin(pin).pull for pin in PINS] == ["up", "up"]
    factory.present(PINS, CODE)
    assert lines.receive(0.2) == [UID]
    assert lines.receive(0.2) == ()


def test_swapped_lines_are_refused_not_misread(factory: CardFactory, lines: WiegandLines) -> None:
    """The commonest mistake in wiring turns every bit round; the parities are of 13 bits, so both fail."""
    factory.present(PINS[::-1], CODE)
    assert lines.receive(0.2) == [FrameFault.BAD_PARITY]


@pytest.mark.parametrize("bits", [CODE[:-1], [*CODE, 0], [1]])
def test_a_code_of_the_wrong_length_waits_for_the_rest_and_is_then_dropped(
    factory: CardFactory, lines: WiegandLines, bits: list[int]
) -> None:
    """A lost pulse, a glitch: counted once."""
    factory.present(PINS, bits)
    assert lines.receive(0.2) == [FrameFault.BAD_FRAME]
    assert lines.receive(0.2) == ()


def test_a_code_that_is_told_in_pieces_is_one_code(factory: CardFactory, lines: WiegandLines) -> None:
    """The thread of the back end was held up in the middle: the kernel's times hold the code together."""
    factory.present(PINS, CODE[:12])
    assert lines.receive(0.06) == ()
    for bit in CODE[12:]:
        factory.pulse(PINS[bit])
        factory.wire_s += 0.002
    assert lines.receive(0.2) == [UID]


def test_two_codes_in_one_look(factory: CardFactory, lines: WiegandLines) -> None:
    """Silence on the wire parts them, not when somebody looked."""
    factory.present(PINS, CODE)
    factory.present(PINS, CODE)
    assert lines.receive(0.2) == [UID, UID]


def test_a_line_that_never_falls_silent_fills_no_memory(factory: CardFactory, lines: WiegandLines) -> None:
    """An open line beside a motor: the buffer is bounded, and what is in it is dropped."""
    factory.present(PINS, [0, 1] * 500)
    assert len(lines._edges) == 256
    assert lines.receive(0.2) == [FrameFault.BAD_FRAME]


def test_a_line_in_use_is_busy_and_given_back(factory: CardFactory) -> None:
    """A pin of a contact is not shared; once it is free the reader opens."""
    lines = WiegandLines(lambda: factory, PINS, 26)
    with InputDevice(PINS[1], pin_factory=factory):
        trouble = lines.open()
        assert trouble is not None
        assert trouble.state is ReaderState.BUSY
        lines.close()
    assert lines.open() is None
    lines.close()
    assert factory.pin(PINS[0]).when_changed is None


def test_a_back_end_that_does_not_load_is_trouble() -> None:
    """No exception, and its words are kept."""

    def broken() -> CardFactory:
        raise RuntimeError("no /dev/gpiochip0")

    assert WiegandLines(broken, PINS, 26).open() == Trouble(ReaderState.UNUSABLE, "no /dev/gpiochip0")
    assert open_spi(broken, 0) == Trouble(ReaderState.UNUSABLE, "no /dev/gpiochip0")


def test_wiegand_in_its_thread(factory: CardFactory) -> None:
    """Three codes of one card are one presentation; another card is another; a bad parity is counted."""
    reader = ReaderThread("front", WiegandLines(lambda: factory, PINS, 26))
    reader.start()
    while reader.status.state is not ReaderState.READY:
        time.sleep(0.005)
    for code in (CODE, CODE, wiegand(7, 26), [1 - CODE[0], *CODE[1:]]):
        factory.present(PINS, code)
    assert [seen.uid for seen in (reader.get(2.0), reader.get(2.0)) if seen] == ["5A0144", "000007"]
    assert reader.counters["bad_parity"] == 1
    started_s = time.monotonic()
    assert reader.close()
    assert time.monotonic() - started_s < 1.0


# -- SPI -------------------------------------------------------------------------------------------------------


def test_an_mfrc522_behind_the_pin_factory(factory: CardFactory) -> None:
    """Both chip selects are devices of their own."""
    for select, (pin, uid) in enumerate(((8, b"\xde\xad\xbe\xef"), (7, b"\x04\x11\x22\x33\x44\x55\x66"))):
        chip = factory.chips[pin] = Mfrc522Chip()
        chip.cards = [FieldCard(uid)]
        link = Mfrc522Link(lambda select=select: open_spi(lambda: factory, select), pause=no_pause)  # type: ignore[misc]
        assert link.open() is None
        assert link.receive(0.1) == [uid]
        link.close()
        assert chip.closed


def test_spi_by_hand_is_never_tried() -> None:
    """The library would toggle the lines from Python, and make its default factory for it; neither happens."""
    with MockFactory() as plain:
        trouble = open_spi(lambda: plain, 0)
        assert trouble == Trouble(ReaderState.UNUSABLE, "MockFactory has no SPI of the kernel's")
        assert Device.pin_factory is None
        InputDevice(8, pin_factory=plain).close()


def test_an_spi_line_in_use_and_an_spi_that_is_switched_off(factory: CardFactory) -> None:
    """Busy where a contact has the line; absent, with the path to look for, where there is no device."""
    factory.chips[8] = Mfrc522Chip()
    with InputDevice(10, pin_factory=factory):
        busy = open_spi(lambda: factory, 0)
    assert isinstance(busy, Trouble)
    assert busy.state is ReaderState.BUSY
    assert open_spi(lambda: factory, 1) == Trouble(ReaderState.ABSENT, "/dev/spidev0.1: can not open SPI device")


def test_whatever_the_bus_raises_is_an_oserror(factory: CardFactory) -> None:
    """Back ends have exceptions of their own; short answers are no answers."""

    class Odd(Mfrc522Chip):
        def transfer(self, data: list[int]) -> list[int]:
            if len(data) == 1:
                raise RuntimeError("lgpio: bad handle")
            return data[1:]

    factory.chips[8] = Odd()
    spi = open_spi(lambda: factory, 0)
    assert not isinstance(spi, Trouble)
    with pytest.raises(OSError, match="SPI: lgpio: bad handle"):
        spi.transfer([1])
    with pytest.raises(OSError, match="SPI: 1 bytes instead of 2"):
        spi.transfer([1, 2])
