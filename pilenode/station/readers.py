"""From configuration to card readers: the only place that knows both ``config`` and the drivers of readers."""

from __future__ import annotations

import threading
from functools import cache, partial
from typing import TYPE_CHECKING, Final

from drivers.card_reader import ReaderThread

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from config.schema_reader import Reader
    from drivers.card_contracts import Link

_SERIAL_BAUD: Final = {"rdm6300": 9600, "em18": 9600, "pn532": 115_200}
_WIEGAND_BITS: Final = {"wiegand26": 26, "wiegand34": 34}
#: Readers open their wires in threads of their own, and share one GPIO back end.
_ONE_FACTORY: Final = threading.Lock()


def build(readers: Sequence[Reader], factory: str, wake: Callable[[], None]) -> list[ReaderThread]:
    """Return a thread for each reader, not started. ``factory`` is ``gpio.factory``, ``wake`` as in ReaderThread.

    Nothing is opened here; what cannot be opened shows in the status of its reader.
    """
    return [
        ReaderThread(one.name, _link(one, factory), reverse=one.uid_order == "reversed", wake=wake) for one in readers
    ]


def _link(reader: Reader, factory: str) -> Link:
    # Each kind brings its library, and a cabinet has one or two kinds.
    if reader.kind in _SERIAL_BAUD:
        return _serial_link(reader)
    if reader.kind == "keyboard":
        from drivers.card_keyboard_link import KeyboardLink  # noqa: PLC0415 - see above

        return KeyboardLink(str(reader.device), reader.digits)
    from drivers.gpio_cards import WiegandLines, open_spi  # noqa: PLC0415 - see above

    pins = partial(_factory, factory)
    if reader.kind == "mfrc522":
        from drivers.card_mfrc522_link import Mfrc522Link  # noqa: PLC0415 - see above

        return Mfrc522Link(partial(open_spi, pins, reader.spi_select))
    if reader.data0_pin is None or reader.data1_pin is None:
        raise ValueError(f"reader {reader.name} has no lines")  # the rules of config.cross_reader prevent this
    return WiegandLines(pins, (reader.data0_pin, reader.data1_pin), _WIEGAND_BITS[reader.kind])


def _serial_link(reader: Reader) -> Link:
    from drivers.card_serial import SerialPort, TalkingReader  # noqa: PLC0415 - see _link

    port = SerialPort(str(reader.device), reader.baud or _SERIAL_BAUD[reader.kind])
    if reader.kind == "pn532":
        from drivers.card_pn532_link import Pn532Link  # noqa: PLC0415 - see _link

        return Pn532Link(port)
    from drivers.card_rdm6300 import Em18, Rdm6300  # noqa: PLC0415 - see _link

    return TalkingReader(port, Rdm6300 if reader.kind == "rdm6300" else Em18)


def _factory(name: str) -> object:
    with _ONE_FACTORY:
        return _made(name)


@cache
def _made(name: str) -> object:
    """Return the one back end of this process; a failure is not kept, so that a reader may try again."""
    from drivers.gpio import pin_factory  # noqa: PLC0415 - see _link

    return pin_factory(name)
