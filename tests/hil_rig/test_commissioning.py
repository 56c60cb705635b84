"""Simulated meters that can be set: each at its own rate, and every setting as its register has it."""

from __future__ import annotations

import time

import pytest
import serial

from hil_rig.commissioning import ServiceMeter, ServiceRack, on_one_wire
from hil_rig.wire import Reply, crc16
from tests.drivers.service_models import DDS238, DDSU666, JSY163T, LOAD, PZEM, SDM120

READ = bytes.fromhex("01 03 00 02 00 01")


def sealed(body: str) -> bytes:
    """Return the bytes in ``body`` with their CRC."""
    return bytes.fromhex(body) + crc16(bytes.fromhex(body))


def said(meter: ServiceMeter, body: str, baud: int = 9600) -> str:
    """Return what a meter says to a frame, CRC checked and removed; "" for silence."""
    reply = meter.hear(sealed(body), baud, None)
    if reply is None:
        return ""
    assert crc16(reply.data[:-2]) == reply.data[-2:]
    return reply.data[:-2].hex(" ")


def test_a_meter_hears_its_own_rate_parity_and_address_only() -> None:
    """At another rate or parity it is silent, as is one without power."""
    meter = ServiceMeter(PZEM, lambda: LOAD, unit=5)
    frame = sealed("05 04 00 00 00 0A")
    assert meter.hear(frame, 9600, "N") is not None
    assert meter.hear(frame, 4800, "N") is None
    assert meter.hear(frame, 9600, "E") is None
    assert meter.hear(sealed("06 04 00 00 00 0A"), 9600, "N") is None
    assert meter.hear(frame[:-1] + b"\x00", 9600, "N") is None
    meter.powered = False
    assert meter.hear(frame, 9600, "N") is None


@pytest.mark.parametrize(
    ("model", "baud", "read", "held", "write", "unit", "rate"),
    [
        (PZEM, 9600, "01 03 00 02 00 01", "01 03 02 00 01", "01 06 00 02 00 09", 9, 9600),
        (SDM120, 2400, "01 03 00 14 00 02", "01 03 04 3f 80 00 00", "01 10 00 14 00 02 04 41 10 00 00", 9, 2400),
        (SDM120, 2400, "01 03 00 1C 00 02", "01 03 04 00 00 00 00", "01 10 00 1C 00 02 04 40 00 00 00", 1, 9600),
        (DDS238, 9600, "01 03 00 15 00 01", "01 03 02 01 01", "01 10 00 15 00 01 02 09 02", 9, 4800),
        (JSY163T, 4800, "01 03 00 04 00 01", "01 03 02 01 05", "01 10 00 04 00 01 02 09 06", 9, 9600),
    ],
)
def test_a_setting_is_shown_and_taken(
    model: object, baud: int, read: str, held: str, write: str, unit: int, rate: int
) -> None:
    """The register shows what holds; a write changes where the meter is, and nothing before its answer."""
    meter = ServiceMeter(model, lambda: LOAD)  # type: ignore[arg-type] # a profile
    assert said(meter, read, baud) == held
    assert said(meter, write, baud) == " ".join(write.lower().split()[:6])
    assert (meter.unit, meter.baud) == (unit, rate)
    assert said(meter, read, baud) == ""


def test_what_the_meter_does_not_know_is_refused() -> None:
    """Another register, a function it does not write with, a rate that does not exist."""
    meter = ServiceMeter(DDS238, lambda: LOAD)
    assert said(meter, "01 10 00 16 00 01 02 09 02") == "01 90 02"
    assert said(meter, "01 06 00 15 09 02") == "01 86 01"
    assert said(meter, "01 10 00 15 00 01 02 09 07") == "01 90 03"
    assert (meter.unit, meter.baud) == (1, 9600)


def test_energy_counts_from_zero_after_a_clear() -> None:
    """42h sets the register to zero; the world goes on counting."""
    now = [LOAD]
    meter = ServiceMeter(PZEM, lambda: now[0])
    energy = "01 04 00 05 00 02"
    assert said(meter, energy) == "01 04 04 04 d2 00 00"
    assert said(meter, "01 42") == "01 42"
    assert said(meter, energy) == "01 04 04 00 00 00 00"


def test_power_that_is_lost_comes_back_with_what_was_stored() -> None:
    """Before the store the old address holds, after it the new one."""
    for cut, unit in (("before", 1), ("after", 9)):
        meter = ServiceMeter(PZEM, lambda: LOAD)
        meter.faults.power_cut = cut  # type: ignore[assignment] # one of the two words
        assert said(meter, "01 06 00 02 00 09") == ""
        assert not meter.powered
        meter.power_cycle()
        assert (meter.powered, meter.unit) == (True, unit)


def test_a_dl_t_645_meter_wakes_answers_and_changes_over() -> None:
    """Silent without wake-up bytes; refuses anything but the change-over; speaks Modbus afterwards."""
    meter = ServiceMeter(DDSU666, lambda: LOAD, dlt645="202311000042")
    who = bytes.fromhex("68 AA AA AA AA AA AA 68 13 00 DF 16")
    assert meter.hear(who, 2400, "E") is None
    reply = meter.hear(b"\xfe" + who, 2400, "E")
    assert reply is not None
    assert reply.data.hex(" ") == "fe fe 68 42 00 00 11 23 20 68 93 06 75 33 33 44 56 53 c7 16"
    body = bytes.fromhex("68 42 00 00 11 23 20 68 14 0E 33 33 35 3D 35 33 33 33 33 33 33 33 33 34")
    wrong = meter.hear(b"\xfe" + body + bytes([sum(body) & 0xFF, 0x16]), 2400, "E")
    assert wrong is not None
    assert wrong.data[10] == 0xD4
    body = body[:-1] + b"\x33"
    done = meter.hear(b"\xfe" + body + bytes([sum(body) & 0xFF, 0x16]), 2400, "E")
    assert done is not None
    assert done.data[10] == 0x94
    assert (meter.dlt645, meter.unit, meter.baud, meter.parity) == ("", 42, 9600, "N")
    assert said(meter, "2A 03 20 00 00 02").startswith("2a 03 04")


def test_replies_that_overlap_spoil_each_other() -> None:
    """The dominant level wins bit by bit; replies one after the other both arrive."""
    assert on_one_wire([Reply(b"\x0f\xff"), Reply(b"\xf1\x0f")], 0.001) == [Reply(b"\x01\x0f")]
    late = Reply(b"\xf1\x0f", 0.001)
    assert on_one_wire([late, Reply(b"\x0f\xff")], 0.001) == [Reply(b"\x0f\xf1\x0f")]
    later = Reply(b"\xf1\x0f", 0.003)
    assert on_one_wire([later, Reply(b"\x0f\xff")], 0.001) == [Reply(b"\x0f\xff"), later]
    assert on_one_wire([], 0.001) == []


def test_the_rate_of_the_far_end_is_read_from_the_tty() -> None:
    """A meter answers whoever has set its rate, at the pace of that rate."""
    request, bytes_ = sealed("01 04 00 00 00 0A"), 8 + 25
    with ServiceRack([ServiceMeter(PZEM, lambda: LOAD, baud=19_200)]) as rack:
        with serial.Serial(rack.device, 9600, timeout=0.15) as line:
            line.write(request)
            assert line.read(25) == b""
        with serial.Serial(rack.device, 19_200, timeout=0.5) as line:
            begun_s = time.monotonic()
            line.write(request)
            assert len(line.read(25)) == 25
            took_s = time.monotonic() - begun_s
        assert [baud for baud, _ in rack.heard] == [9600, 19_200]
    assert took_s >= bytes_ * 10 / 19_200


def test_an_echoing_line_is_heard_by_its_sender() -> None:
    """The request comes back, then the answer."""
    request = sealed("01 04 00 00 00 0A")
    with ServiceRack([ServiceMeter(PZEM, lambda: LOAD)], echo=True) as rack, serial.Serial(rack.device, 9600) as line:
        line.timeout = 0.5
        line.write(request)
        assert line.read(8) == request
        assert line.read(25)[:3] == b"\x01\x04\x14"
