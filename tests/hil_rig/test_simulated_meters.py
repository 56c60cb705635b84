"""Simulated meters speak as their profiles and manuals say, and misbehave only when told to."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from config.load import load_meter, meters
from config.schema_meter import MeterValue
from hil_rig.meters import SimulatedMeter, encode
from hil_rig.wire import Reply, crc16
from hil_rig.world import Quantities

if TYPE_CHECKING:
    from config.schema_meter import MeterProfile

#: What the vendor's example of a PZEM-004T v3 measured.
VECTOR = Quantities(225.7, 0.108, 24.4, 1.0, 50.0, 38.0)


class Source:
    """A measurement that can be changed."""

    def __init__(self, quantities: Quantities = VECTOR) -> None:
        self.now = quantities

    def __call__(self) -> Quantities:
        """Return what is measured now."""
        return self.now


def body(data: bytes) -> bytes:
    """Return a frame without its CRC, having checked it."""
    assert crc16(data[:-2]) == data[-2:]
    return data[:-2]


def ask(meter: SimulatedMeter, function: int, start: int, count: int, unit: int = 1) -> bytes:
    """Return the frame that answers a read."""
    reply = meter.answer(struct.pack(">BBHH", unit, function, start, count))
    assert reply is not None
    assert reply.delay_s == 0
    return reply.data


@pytest.fixture
def pzem() -> SimulatedMeter:
    """Return a PZEM-004T that measures the vendor's example."""
    return SimulatedMeter(load_meter("pzem004t-v3"), Source())


def test_the_vendors_frame_of_a_pzem(pzem: SimulatedMeter) -> None:
    """Byte for byte the example of the manual: low word first, counters in Wh."""
    assert ask(pzem, 4, 0, 10) == bytes.fromhex(
        "01 04 14 08 D1 00 6C 00 00 00 F4 00 00 00 26 00 00 01 F4 00 64 00 00 51 34"
    )


def test_the_vendors_frame_of_an_sdm120() -> None:
    """A float in two registers (the example is one step of a float above 230.2 V)."""
    meter = SimulatedMeter(load_meter("sdm120"), Source(Quantities(230.20001, 0, 0, 0, 50, 0)))
    assert ask(meter, 4, 0, 2) == bytes.fromhex("01 04 04 43 66 33 34 1B 38")


def test_four_bytes_per_register() -> None:
    """An IM1281B answers 24 data bytes for six registers."""
    meter = SimulatedMeter(load_meter("im1281b"), Source(Quantities(220.5, 1.25, 250.0, 0.907, 50.0, 1234.5)))
    frame = ask(meter, 3, 0x48, 6)
    assert (len(frame), frame[2]) == (29, 24)
    volts, amps, watts, kwh, factor = struct.unpack(">5I", frame[3:23])
    assert (volts, amps, watts, kwh, factor) == (2_205_000, 12_500, 2_500_000, 12_345, 907)


def value_in(data: bytes, model: MeterProfile, value: MeterValue, start: int) -> float:
    """Decode one value with nothing but the profile."""
    at = (value.address - start) * model.bytes_per_register
    raw = data[at : at + (2 if value.type.endswith("16") else 4)]
    if value.word_order == "low_first" and len(raw) == 4:
        raw = raw[2:] + raw[:2]
    number = (
        struct.unpack(">f", raw)[0]
        if value.type == "f32"
        else int.from_bytes(raw, "big", signed=value.type.startswith("s"))
    )
    return float(number * value.scale)


@pytest.mark.parametrize("name", meters())
def test_every_shipped_profile_can_be_simulated(name: str) -> None:
    """What is measured comes out of the registers of each model, within one step of its scale."""
    model = load_meter(name)
    measured = Quantities(221.3, 3.217, 612.4, 0.86, 49.98, 23_456.0)
    meter = SimulatedMeter(model, Source(measured))
    found = set()
    for block in model.block:
        frame = body(ask(meter, model.function, block.start, block.count))
        assert len(frame) == 3 + block.count * model.bytes_per_register
        for quantity in Quantities.__slots__:
            value = getattr(model.values, quantity)
            if value is not None and value.block == block.name:
                value = replace(value, scale=value.scales[0]) if value.scales else value
                phases = [replace(value, address=address) for address in (value.address, *value.plus)]
                shown = sum(value_in(frame[3:], model, phase, block.start) for phase in phases)
                step = 1e-5 * getattr(measured, quantity) if value.type == "f32" else value.scale / 2 * 1.001
                assert shown == pytest.approx(getattr(measured, quantity), abs=len(phases) * step)
                found.add(quantity)
    assert {"voltage_v", "current_a", "power_w", "energy_wh"} <= found


def test_part_of_a_block_is_the_same_bytes(pzem: SimulatedMeter) -> None:
    """Any cut through the registers gives the same contents, also through the middle of a value."""
    whole = ask(pzem, 4, 0, 10)[3:-2]
    for start in range(10):
        for count in range(1, 11 - start):
            assert ask(pzem, 4, start, count)[3:-2] == whole[2 * start : 2 * (start + count)]


@pytest.mark.parametrize(
    ("request_body", "reply"),
    [
        ("01 03 00 00 00 0A", "01 83 01"),
        ("01 06 00 01 00 02", "01 86 01"),
        ("01 04 00 00 00 0B", "01 84 02"),
        ("01 04 00 0A 00 01", "01 84 02"),
        ("01 04 FF FF 00 02", "01 84 02"),
        ("01 04 00 00 00 00", "01 84 03"),
        ("01 04 00 00 00 7E", "01 84 03"),
        ("01 04 00 00 00", "01 84 03"),
    ],
)
def test_what_the_meter_does_not_know_gets_an_exception_reply(
    pzem: SimulatedMeter, request_body: str, reply: str
) -> None:
    """Wrong function, address and count have the codes of the specification."""
    answer = pzem.answer(bytes.fromhex(request_body))
    assert answer is not None
    assert body(answer.data) == bytes.fromhex(reply)


@pytest.mark.parametrize(
    ("value", "number", "raw"),
    [
        (MeterValue(block="b", address=0, type="u16", scale=0.1), 225.7, "08d1"),
        (MeterValue(block="b", address=0, type="s16", scale=1), -3.0, "fffd"),
        (MeterValue(block="b", address=0, type="s16", scale=1), 40_000.0, "7fff"),
        (MeterValue(block="b", address=0, type="u32", scale=1), float(0x1_0002_0003), "00020003"),
        (MeterValue(block="b", address=0, type="u32", scale=1, word_order="low_first"), 0x20003, "00030002"),
        (MeterValue(block="b", address=0, type="s32", scale=0.01), -0.02, "fffffffe"),
        (MeterValue(block="b", address=0, type="f32", scale=1000), 230_200.0, "43663333"),
        (MeterValue(block="b", address=0, type="f32", word_order="low_first"), 230.2, "33334366"),
    ],
)
def test_encoding(value: MeterValue, number: float, raw: str) -> None:
    """Every type, word order and edge: rounding, counters that wrap, signed values that stop."""
    assert encode(value, number).hex() == raw


GOOD = bytes.fromhex("01 04 14 08 D1 00 6C 00 00 00 F4 00 00 00 26 00 00 01 F4 00 64 00 00 51 34")
READ = bytes.fromhex("01 04 00 00 00 0A")


def test_a_dead_meter_is_silent_and_can_be_revived(pzem: SimulatedMeter) -> None:
    """No answer while dead, the right one afterwards."""
    pzem.faults.dead = True
    assert pzem.answer(READ) is None
    pzem.faults.dead = False
    assert pzem.answer(READ) == Reply(GOOD)


def test_only_the_next_reply_is_late(pzem: SimulatedMeter) -> None:
    """Lateness is used up by one reply."""
    pzem.faults.late_s = 0.25
    assert [pzem.answer(READ), pzem.answer(READ)] == [Reply(GOOD, 0.25), Reply(GOOD, 0.0)]


def test_noise_surrounds_the_frame(pzem: SimulatedMeter) -> None:
    """Noise bytes come before and after an otherwise good frame."""
    pzem.faults.noise_before, pzem.faults.noise_after = b"\x00\xff", b"\x55"
    assert pzem.answer(READ) == Reply(b"\x00\xff" + GOOD + b"\x55")


def test_a_bad_crc_is_bad(pzem: SimulatedMeter) -> None:
    """Data are right, the check is not."""
    pzem.faults.bad_crc = True
    reply = ask(pzem, 4, 0, 10)
    assert reply[:-2] == GOOD[:-2]
    assert reply[-2:] != GOOD[-2:]


def test_a_wrong_unit_is_otherwise_a_good_frame(pzem: SimulatedMeter) -> None:
    """Only a check of the address finds it."""
    pzem.faults.wrong_unit = True
    assert body(ask(pzem, 4, 0, 10)) == b"\x02" + GOOD[1:-2]


@pytest.mark.parametrize("size", [0, 3, 24])
def test_a_truncated_reply_stops_early(pzem: SimulatedMeter, size: int) -> None:
    """Exactly so many bytes are sent."""
    pzem.faults.truncate = size
    assert ask(pzem, 4, 0, 10) == GOOD[:size]


def test_a_frozen_meter_shows_old_values_until_it_thaws() -> None:
    """Good frames, old values: the fault that only time can show."""
    source = Source()
    meter = SimulatedMeter(load_meter("pzem004t-v3"), source)
    assert ask(meter, 4, 0, 10) == GOOD
    meter.faults.frozen = True
    source.now = Quantities(230.0, 9.0, 2000.0, 1.0, 50.0, 99.0)
    assert ask(meter, 4, 0, 10) == GOOD
    meter.faults.frozen = False
    assert ask(meter, 4, 0, 1)[3:-2] == (2300).to_bytes(2, "big")


def shown(meter: SimulatedMeter) -> tuple[float, float, float, float]:
    """Return volts, watts, Wh and power factor in the registers of a PZEM."""
    words = struct.unpack(">10H", ask(meter, 4, 0, 10)[3:-2])
    return words[0] / 10, (words[4] << 16 | words[3]) / 10, float(words[6] << 16 | words[5]), words[8] / 100


def test_a_meter_that_lies_about_power() -> None:
    """Watts or the power factor are wrong, everything else is right."""
    meter = SimulatedMeter(load_meter("pzem004t-v3"), Source(Quantities(220.0, 1.0, 200.0, 0.91, 50.0, 38.0)))
    meter.faults.scale_power = 2.5
    assert shown(meter) == (220.0, 500.0, 38.0, 0.91)
    meter.faults.scale_power, meter.faults.power_factor = 1.0, 0.3
    assert shown(meter) == (220.0, 200.0, 38.0, 0.3)
    meter.faults.power_factor = None
    assert shown(meter) == (220.0, 200.0, 38.0, 0.91)


def test_a_register_that_stands_still_goes_on_at_the_right_value() -> None:
    """Power is shown as it is; the energy only when the fault is over."""
    source = Source(Quantities(220.0, 1.0, 200.0, 0.91, 50.0, 38.0))
    meter = SimulatedMeter(load_meter("pzem004t-v3"), source)
    meter.faults.energy_stuck = True
    source.now = Quantities(221.0, 2.0, 400.0, 0.91, 50.0, 99.0)
    assert shown(meter) == (221.0, 400.0, 38.0, 0.91)
    meter.faults.energy_stuck = False
    assert shown(meter) == (221.0, 400.0, 99.0, 0.91)


@pytest.mark.parametrize(("back_wh", "expected"), [(8.0, 30.0), (38.0, 0.0), (40.0, 0.0)])
def test_a_register_that_fell_back(back_wh: float, expected: float) -> None:
    """It shows less than was counted, but never less than nothing."""
    meter = SimulatedMeter(load_meter("pzem004t-v3"), Source(VECTOR))
    meter.faults.energy_back_wh = back_wh
    assert shown(meter)[2] == expected


class Clock:
    """A clock that is set by hand."""

    now_s = 100.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now_s


def test_registers_are_held_until_they_are_renewed() -> None:
    """With a refresh of 1 s the values are those of the last full second, however often they are asked for."""
    source, clock = Source(Quantities(220.0, 1.0, 200.0, 0.91, 50.0, 38.0)), Clock()
    meter = SimulatedMeter(load_meter("pzem004t-v3"), source, refresh_s=1.0, clock=clock)
    seen = []
    for clock.now_s, volts in [(100.5, 221.0), (100.999, 222.0), (101.0, 223.0), (101.5, 224.0), (104.7, 225.0)]:
        source.now = Quantities(volts, 1.0, 200.0, 0.91, 50.0, 38.0)
        seen.append(shown(meter)[0])
    assert seen == [220.0, 220.0, 223.0, 223.0, 225.0]
    clock.now_s, source.now = 104.9, VECTOR
    assert shown(meter)[0] == 225.0
    clock.now_s = 105.0  # still the full seconds, not 1 s after the late one
    assert shown(meter)[0] == 225.7


def test_renewing_in_time_shows_the_moment_of_the_renewal() -> None:
    """The owner renews on the second; who asks later sees that second and not the moment of the question."""
    source, clock = Source(Quantities(220.0, 1.0, 200.0, 0.91, 50.0, 38.0)), Clock()
    meter = SimulatedMeter(load_meter("pzem004t-v3"), source, refresh_s=1.0, clock=clock)
    clock.now_s = 101.0
    meter.renew()
    clock.now_s, source.now = 101.5, VECTOR
    assert shown(meter)[0] == 220.0


def test_a_frozen_meter_is_not_renewed() -> None:
    """The fault is stronger than the refresh."""
    source, clock = Source(), Clock()
    meter = SimulatedMeter(load_meter("pzem004t-v3"), source, refresh_s=1.0, clock=clock)
    meter.faults.frozen = True
    clock.now_s, source.now = 105.0, Quantities(230.0, 9.0, 2000.0, 1.0, 50.0, 99.0)
    assert ask(meter, 4, 0, 10) == GOOD


# -- several channels --------------------------------------------------------------------------------------


def test_the_vendors_frame_of_a_jsy_mk_194t() -> None:
    """Byte for byte the example of the manual, wrong byte count and its CRC included."""
    first = Quantities(239.5743, 3.7899, 909.4314, 1.0, 50.03, 1170.0)
    second = Quantities(236.7225, 39.2889, 9302.1976, 1.0, 50.03, 2017.0)
    frame = ask(SimulatedMeter(load_meter("jsy-mk-194t"), Source(first), more=[Source(second)]), 3, 0x48, 14)
    # the two registers of negative energy are not simulated: 0x4D and 0x55 read 0
    vendor = bytearray.fromhex(
        "01 03 48 00 24 8E 5F 00 00 94 0B 00 8A C4 AA 00 00 2D B4 00 00 03 E8 00 00 26 16 00 00 00 00 00 00 13 8B "
        "00 24 1E F9 00 05 FE B9 05 8B 67 18 00 00 4E CA 00 00 03 E8 00 00 3D A2"
    )
    for register in (0x4D, 0x55):
        at = 3 + 4 * (register - 0x48)
        vendor[at : at + 4] = bytes(4)
    assert body(frame) == bytes(vendor)


def test_a_channel_without_a_load_shows_the_supply_alone() -> None:
    """Half of a two-channel meter may be unused: it measures the same two wires and nothing else."""
    meter = SimulatedMeter(load_meter("jsy-mk-193"), Source(Quantities(220.0, 2.0, 400.0, 0.91, 50.0, 1230.0)))
    volts, amps, watts = struct.unpack(">3H", ask(meter, 3, 0x10A, 3)[3:-2])
    assert (volts, amps, watts) == (22_000, 0, 0)


def test_gaps_are_readable_where_the_profile_says_so() -> None:
    """A DDS238 answers over its reserved registers; a DDM18SD refuses what lies between its blocks."""
    open_gap = SimulatedMeter(load_meter("dds238-2-v1"), Source())
    assert len(ask(open_gap, 3, 6, 12)) == 5 + 24
    closed = SimulatedMeter(load_meter("ddm18sd"), Source())
    assert body(ask(closed, 4, 0, 10)) == bytes.fromhex("01 84 02")


def test_faults_of_a_meter_concern_all_its_channels() -> None:
    """Frozen registers are frozen for both sockets."""
    first, second = Source(), Source()
    meter = SimulatedMeter(load_meter("jsy-mk-193"), first, more=[second])
    before = ask(meter, 3, 0x100, 20)
    meter.faults.frozen = True
    first.now = second.now = Quantities(230.0, 9.0, 2000.0, 1.0, 50.0, 99.0)
    assert ask(meter, 3, 0x100, 20) == before
