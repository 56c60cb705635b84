"""Meter profiles with everything that can be set on them, for the tests of commissioning."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from config.load import load_meter, load_meter_text
from config.schema_meter import MeterCode, MeterCommand, MeterCommission, MeterWrite
from hil_rig.world import Quantities

if TYPE_CHECKING:
    import pytest

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


def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shorten the patience of commissioning: a pty has no latency timer of an adapter, a simulated meter no doubts."""
    for module in ("bus", "wire", "scan"):
        monkeypatch.setattr(f"drivers.{module}.LATENESS_S", 0.02)
    for place in ("safety.budget", "drivers.scan"):
        monkeypatch.setattr(f"{place}.MIN_QUIET_S", 0.02)
    for module in ("commission_steps", "change_over"):
        monkeypatch.setattr(f"drivers.{module}.LOOKS", 2)
    for module in ("commission", "change_over", "clear_energy"):
        monkeypatch.setattr(f"drivers.{module}.SETTLE_S", 0.0)
