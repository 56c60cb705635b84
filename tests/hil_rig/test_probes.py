"""Simulated 1-wire files look like the kernel's."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from drivers.thermometer import W1Thermometer
from hil_rig.loads import constant
from hil_rig.probes import ProbeFault, Probes, crc8
from hil_rig.world import World
from safety import heat
from safety.limits import PortLimits
from safety.reading import MeterReading, Missing, MissingReason, ProbeReading

if TYPE_CHECKING:
    from pathlib import Path

PROBE = "28-0316a2794bff"


def shown(root: Path) -> str:
    """Return what the kernel would show."""
    return (root / PROBE / "w1_slave").read_text()


def test_crc_of_a_known_scratchpad() -> None:
    """The CRC agrees with a scratchpad printed in the kernel's documentation (23.125 °C)."""
    assert crc8(bytes.fromhex("72 01 4b 46 7f ff 0e 10")) == 0x57


@pytest.mark.parametrize(
    ("celsius", "milli", "start"),
    [
        (25.0625, "25062", "91 01"),
        (0.0, "0", "00 00"),
        (-10.125, "-10125", "5e ff"),
        (125.0, "125000", "d0 07"),
        (-55.0, "-55000", "90 fc"),
        (30.04, "30062", "e1 01"),
    ],
)
def test_temperatures_are_shown_as_the_kernel_shows_them(
    tmp_path: Path, celsius: float, milli: str, start: str
) -> None:
    """Scratchpad, CRC verdict and millidegrees agree, in sixteenths of a degree."""
    Probes(tmp_path).write(PROBE, celsius)
    first, second = shown(tmp_path).splitlines()
    assert first.startswith(start + " 4b 46 7f ff 0c 10 ")
    scratchpad = bytes.fromhex(first.split(" : ")[0])
    assert crc8(scratchpad[:8]) == scratchpad[8]
    assert first.endswith(f" : crc={scratchpad[8]:02x} YES")
    assert second == f"{scratchpad.hex(' ')} t={milli}"


def test_a_bad_crc_is_said(tmp_path: Path) -> None:
    """A disturbed line says NO, and recovers."""
    probes = Probes(tmp_path)
    probes.faults[PROBE] = ProbeFault.BAD_CRC
    probes.write(PROBE, 20.0)
    assert shown(tmp_path).splitlines()[0].endswith(" NO")
    del probes.faults[PROBE]
    probes.write(PROBE, 20.0)
    assert shown(tmp_path).splitlines()[0].endswith(" YES")


def test_a_missing_probe_has_no_folder_and_can_come_back(tmp_path: Path) -> None:
    """A probe that was pulled is gone as a device."""
    probes = Probes(tmp_path)
    probes.write(PROBE, 20.0)
    probes.faults[PROBE] = ProbeFault.MISSING
    probes.write(PROBE, 20.0)
    probes.write(PROBE, 20.0)
    assert not (tmp_path / PROBE).exists()
    probes.faults[PROBE] = ProbeFault.NONE
    probes.write(PROBE, 20.0)
    assert "t=20000" in shown(tmp_path)


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (ProbeFault.BAD_CRC, MissingReason.PROBE_FAULT),
        (ProbeFault.MISSING, MissingReason.PROBE_OPEN),
        (ProbeFault.OPEN, MissingReason.PROBE_OPEN),
        (ProbeFault.SHORT, MissingReason.PROBE_SHORT),
        (ProbeFault.POWER_ON, MissingReason.PROBE_RESET),
    ],
)
def test_the_shipped_driver_names_every_fault(tmp_path: Path, fault: ProbeFault, reason: MissingReason) -> None:
    """What is broken at the wire arrives under its own name, and is gone when it is repaired."""
    probes = Probes(tmp_path)
    thermometer = W1Thermometer(str(tmp_path), PROBE)
    for now, present in enumerate((ProbeFault.NONE, fault, fault, ProbeFault.NONE)):
        probes.faults[PROBE] = present
        probes.write(PROBE, 20.0)
        expected = ProbeReading(now, 20.0) if present is ProbeFault.NONE else Missing(reason, 1)
        assert thermometer.read(now) == expected


def test_a_frozen_probe_shows_what_it_last_showed(tmp_path: Path) -> None:
    """Its file stays as it was until the fault is gone."""
    probes = Probes(tmp_path)
    probes.write(PROBE, 20.0)
    probes.faults[PROBE] = ProbeFault.FROZEN
    probes.write(PROBE, 90.0)
    assert "t=20000" in shown(tmp_path)
    del probes.faults[PROBE]
    probes.write(PROBE, 90.0)
    assert "t=90000" in shown(tmp_path)


def test_a_jump_lasts_as_many_writes_as_were_asked_for(tmp_path: Path) -> None:
    """It comes and goes by itself."""
    probes = Probes(tmp_path)
    probes.jump(PROBE, 110.0, writes=2)
    seen = []
    for _ in range(4):
        probes.write(PROBE, 20.0)
        seen.append(shown(tmp_path).split("t=")[1])
    assert seen == ["110000\n", "110000\n", "20000\n", "20000\n"]


def test_a_hanging_probe_holds_its_reader_until_it_is_repaired(tmp_path: Path) -> None:
    """A reader waits at the file; when the fault is gone it gets nothing, and the next one a temperature."""
    probes = Probes(tmp_path)
    probes.write(PROBE, 20.0)
    probes.faults[PROBE] = ProbeFault.HANGING
    probes.write(PROBE, 20.0)
    probes.write(PROBE, 20.0)
    thermometer = W1Thermometer(str(tmp_path), PROBE)
    outcomes: list[ProbeReading | Missing] = []
    reader = threading.Thread(target=lambda: outcomes.append(thermometer.read(1.0)), daemon=True)
    reader.start()
    reader.join(0.2)
    assert reader.is_alive()
    del probes.faults[PROBE]
    probes.write(PROBE, 21.0)
    reader.join(5.0)
    assert outcomes == [Missing(MissingReason.PROBE_FAULT, 1.0)]
    assert thermometer.read(2.0) == ProbeReading(2.0, 21.0)


def test_a_reader_never_sees_half_a_file(tmp_path: Path) -> None:
    """The file is replaced whole while somebody reads it."""
    probes = Probes(tmp_path)
    probes.write(PROBE, 0.0)
    stop = threading.Event()

    def write() -> None:
        while not stop.is_set():
            probes.write(PROBE, 10.0)
            probes.write(PROBE, -10.0)

    writer = threading.Thread(target=write)
    writer.start()
    seen = [shown(tmp_path) for _ in range(500)]
    stop.set()
    writer.join()
    assert {text.split("t=")[1] for text in seen} <= {"0\n", "10000\n", "-10000\n"}
    assert {path.name for path in (tmp_path / PROBE).iterdir()} == {"w1_slave"}


class Charging:
    """A socket that carries 6 A, its probe, the shipped driver and the shipped rules; one reading every 2 s."""

    def __init__(self, root: Path) -> None:
        self.world = World((1,))
        self.world.plug(1, constant(1320), at_s=0.0)
        self.world.relay(1, closed=True, at_s=0.0)
        self.probes = Probes(root)
        self._thermometer = W1Thermometer(str(root), PROBE)
        self._memory = heat.Heat()
        self._limits = PortLimits()

    def until(self, until_s: float, from_s: float = 0.0) -> set[str]:
        """Let time pass and return every code of the heat rules on the way."""
        found: set[str] = set()
        now = from_s
        while now <= until_s:
            self.world.advance(now)
            self.probes.write(PROBE, self.world.temperature_c(1))
            probe, seen = self._thermometer.read(now), self.world.meter(1)
            meter = MeterReading(now, seen.voltage_v, seen.current_a, seen.power_w)
            self._memory = heat.feel(self._memory, probe, meter, self._limits)
            found |= set(heat.standing(self._memory, probe, self._limits, now))
            now += 2.0
        return found


@pytest.mark.parametrize("fault", [fault for fault in ProbeFault if fault is not ProbeFault.HANGING])
def test_no_fault_of_a_probe_is_heat(tmp_path: Path, fault: ProbeFault) -> None:
    """Whatever breaks at the probe of a sound socket: at most a probe fault, from the wire through the rules."""
    charging = Charging(tmp_path)
    assert charging.until(300.0) == set()
    charging.probes.faults[PROBE] = fault
    unseen = fault in (ProbeFault.NONE, ProbeFault.FROZEN)
    assert charging.until(600.0, from_s=302.0) == (set() if unseen else {"probe_fault"})
    del charging.probes.faults[PROBE]
    assert charging.until(900.0, from_s=602.0) == set()


@pytest.mark.parametrize("celsius", [85.0, 85.0625, 125.0, -55.0])
def test_a_jump_of_a_probe_is_not_heat(tmp_path: Path, celsius: float) -> None:
    """One wrong value with a right CRC is at most a probe fault."""
    charging = Charging(tmp_path)
    charging.until(300.0)
    charging.probes.jump(PROBE, celsius)
    assert charging.until(600.0, from_s=302.0) <= {"probe_fault"}


def test_a_poor_contact_is_heat(tmp_path: Path) -> None:
    """Six times the heating of a sound contact is found by its rate, before the warning temperature."""
    charging = Charging(tmp_path)
    charging.until(300.0)
    charging.world.poor_contact(1, 2.4)
    assert charging.until(380.0, from_s=302.0) == {"temperature_rising"}


def test_heat_from_outside_is_told_from_heat_of_a_contact(tmp_path: Path) -> None:
    """The same rise without a load inhibits and does not cut."""
    charging = Charging(tmp_path)
    charging.world.relay(1, closed=False, at_s=0.0)
    charging.until(300.0)
    charging.world.heat_source(1, 15.0, at_s=300.0)
    assert charging.until(380.0, from_s=302.0) == {"heat_without_load"}
