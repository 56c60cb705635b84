"""Card readers in the configuration: the table ``[[reader]]``."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

# As in config.schema, which imports this file; a test holds them together.
Name = Annotated[str, Meta(min_length=1, max_length=32, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
Path = Annotated[str, Meta(min_length=1, max_length=255)]
Pin = Annotated[int, Meta(ge=0, le=53, description="BCM number of the GPIO line")]
Baud = Literal[1200, 2400, 4800, 9600, 19200, 38400, 57600, 115200]


class Reader(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One card reader. Which keys it needs depends on its kind."""

    name: Annotated[Name, Meta(description="By which messages and sessions name this reader")]
    kind: Annotated[
        Literal["rdm6300", "em18", "wiegand26", "wiegand34", "mfrc522", "pn532", "keyboard"],
        Meta(
            description="rdm6300, em18: 125 kHz, serial; wiegand26, wiegand34: two lines; mfrc522: 13.56 MHz, SPI; "
            "pn532: 13.56 MHz, serial; keyboard: USB reader that types the number"
        ),
    ]
    device: Annotated[
        Path | None,
        Meta(
            description="rdm6300, em18, pn532: tty, prefer /dev/serial/by-id/…; keyboard: event device, "
            "prefer /dev/input/by-id/…-event-kbd"
        ),
    ] = None
    baud: Annotated[
        Baud | None,
        Meta(description="Speed of a serial reader; leave out for the usual one (pn532 115200, others 9600)"),
    ] = None
    data0_pin: Annotated[Pin | None, Meta(description="Wiegand DATA0, BCM number; through a 5 V to 3.3 V shifter")] = (
        None
    )
    data1_pin: Annotated[Pin | None, Meta(description="Wiegand DATA1, BCM number; through a 5 V to 3.3 V shifter")] = (
        None
    )
    spi_select: Annotated[
        Literal[0, 1], Meta(description="mfrc522: chip select of SPI bus 0, which takes GPIO 9, 10, 11 and 8 or 7")
    ] = 0
    digits: Annotated[Literal["decimal", "hex"], Meta(description="keyboard: how the typed line spells the number")] = (
        "decimal"
    )
    ports: Annotated[
        list[Annotated[int, Meta(ge=1, le=99)]],
        Meta(
            max_length=40,
            description="Ports that its cards start, in the order in which they are tried; empty: all, as in the file",
        ),
    ] = []
    uid_order: Annotated[
        Literal["as_read", "reversed"], Meta(description="reversed: this reader gives the lowest byte of an id first")
    ] = "as_read"
