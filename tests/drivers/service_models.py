"""Meter profiles with everything that can be set on them, for the tests of commissioning."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from config.meter_files import load_meter, load_meter_text
from config.schema_meter import MeterCode, MeterCommand, MeterCommission, MeterWrite
from drivers.bus import SerialLine
from hil_rig.commissioning import ServiceMeter, ServiceRack, on_one_wire
from hil_rig.world import Quantities
from safety.budget import line_timing

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Self

    from drivers.frames import Question
    from drivers.wire import Lines, OpenLine
    from safety.reading import MissingReason

LOAD = Quantities(
    voltage_v=229.8, current_a=1.52, power_w=345.8, power_factor=0.99, frequency_hz=50.0, energy_wh=1234.0
)


def _codes(**codes: int) -> list[MeterCode]:
    return [
        msgspec.convert({"baud": int(name.removeprefix("b")), "code": code}, MeterCode) for name, code in codes.items()
    ]


SDM120 = msgspec.structs.replace(
    load_meter("sdm120"),
    commission=MeterCommission(
        unit=MeterWrite(function=16, address=0x14, type="f32"),
        baud=MeterWrite(function=16, address=0x1C, type="f32", codes=_codes(b2400=0, b4800=1, b9600=2, b1200=5)),
    ),
)
PZEM = msgspec.structs.replace(
    load_meter("pzem004t-v3"),
    commission=MeterCommission(
        unit=MeterWrite(function=6, address=2), clear_energy=MeterCommand(request="42", reply="42")
    ),
)
DDSU666 = msgspec.structs.replace(
    load_meter("ddsu666"),
    commission=MeterCommission(
        unit=MeterWrite(function=6, address=6),
        baud=MeterWrite(function=6, address=0x0C, codes=_codes(b2400=1, b4800=2, b9600=3)),
        dlt645=True,
    ),
)
IM1281B = msgspec.structs.replace(load_meter("im1281b"), commission=MeterCommission())

#: Address and rate in one register (fawno/Modbus, DDS238-2 ZN-S; mathieucarbou/MycilaJSY, JSY-MK-163T).
DDS238 = load_meter_text(
    """
model = "dds238"
title = "Hiking DDS238-2 ZN/S"
source = "for tests"
function = 3
signed_power = true
[serial]
baud = 9600
[[block]]
name = "energy"
start = 0x0000
count = 2
rate = "slow"
[[block]]
name = "power"
start = 0x000C
count = 6
[values.voltage_v]
block = "power"
address = 0x000C
type = "u16"
scale = 0.1
[values.current_a]
block = "power"
address = 0x000D
type = "u16"
scale = 0.01
[values.power_w]
block = "power"
address = 0x000E
type = "s16"
[values.power_factor]
block = "power"
address = 0x0010
type = "u16"
scale = 0.001
[values.frequency_hz]
block = "power"
address = 0x0011
type = "u16"
scale = 0.01
[values.energy_wh]
block = "energy"
address = 0x0000
type = "u32"
scale = 10
[commission.unit]
function = 16
address = 0x0015
place = "high_byte"
[commission.baud]
function = 16
address = 0x0015
place = "low_byte"
codes = [{ baud = 9600, code = 1 }, { baud = 4800, code = 2 }, { baud = 2400, code = 3 }, { baud = 1200, code = 4 },
  { baud = 115200, code = 9 }, { baud = 57600, code = 8 }] # the last two are for fast tests only
""",
    "dds238",
)
JSY163T = load_meter_text(
    """
model = "jsy163t"
title = "JSY-MK-163T"
source = "for tests"
function = 3
[serial]
baud = 4800
[[block]]
name = "all"
start = 0x0048
count = 10
[values.voltage_v]
block = "all"
address = 0x0048
type = "u16"
scale = 0.01
[values.current_a]
block = "all"
address = 0x0049
type = "u16"
scale = 0.01
[values.power_w]
block = "all"
address = 0x004A
type = "u16"
[values.energy_wh]
block = "all"
address = 0x004B
type = "u32"
scale = 0.3125
[values.power_factor]
block = "all"
address = 0x004D
type = "u16"
scale = 0.001
[values.frequency_hz]
block = "all"
address = 0x0051
type = "u16"
scale = 0.01
[commission.unit]
function = 16
address = 0x0004
place = "high_byte"
[commission.baud]
function = 16
address = 0x0004
place = "low_nibble"
codes = [{ baud = 1200, code = 3 }, { baud = 2400, code = 4 }, { baud = 4800, code = 5 }, { baud = 9600, code = 6 },
  { baud = 115200, code = 9 }] # the last is for fast tests only
[commission.clear_energy]
request = "10 00 0C 00 02 04 00 00 00 00"
reply = "10 00 0C 00 02"
""",
    "jsy163t",
)
#: The IM1281B with the ten registers that a JSY-MK-163T is read with too.
IM1281B_TEN = msgspec.structs.replace(
    IM1281B, model="im1281b-ten", block=[msgspec.structs.replace(IM1281B.block[0], count=10)]
)
ALL = (SDM120, PZEM, DDSU666, IM1281B, DDS238, JSY163T)


class Desk:
    """The same meters without a wire: real frames, real collisions, no time. Stands in for a ``ServiceRack``.

    What takes time (lateness, a device, a line that is held) is tested on a tty.
    """

    device = "/dev/desk"

    def __init__(self, stations: Sequence[ServiceMeter], *, echo: bool = False) -> None:
        self.stations = [*stations]
        self.echo = echo
        self.heard: list[tuple[int, bytes]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        pass

    def line(self, baud: int, parity: str) -> DeskLine:
        """Return the line at a rate."""
        return DeskLine(self, baud, parity)


class DeskLine:
    """A line to a ``Desk``."""

    trouble = ""
    trouble_errno = 0

    def __init__(self, desk: Desk, baud: int, parity: str) -> None:
        self._desk = desk
        self._baud = baud
        self._parity = parity

    def hear(self, frame: bytes, patience_s: float) -> bytes:
        """Hand the frame to every meter and return all that they send."""
        del patience_s
        self._desk.heard.append((self._baud, frame))
        replies = [station.hear(frame, self._baud, self._parity) for station in self._desk.stations]
        sent = on_one_wire([reply for reply in replies if reply is not None], 10 / self._baud)
        return (frame if self._desk.echo else b"") + b"".join(reply.data for reply in sent)

    def read(self, question: Question) -> bytes | MissingReason:
        """Read as guard does."""
        return question.check(self.hear(question.frame, 0.0))

    def transaction_s(self, size: int) -> float:
        """Return what a real line of this rate takes, for the plan of what is read together."""
        return line_timing(self._baud, "N", 1, 0.1).transaction_s(size)

    def close(self) -> None:
        """Nothing is open."""


def lines_of(rack: ServiceRack | Desk) -> Lines:
    """Return what opens the line of ``rack``; a pty has no parity, so a rack on a tty is told."""

    def made(baud: int, parity: str, stopbits: int) -> OpenLine:
        if isinstance(rack, Desk):
            return rack.line(baud, parity)
        rack.parity = parity
        return SerialLine(rack.device, baud, parity, stopbits, 0.02)

    return made
