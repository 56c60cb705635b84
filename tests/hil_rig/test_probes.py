"""Simulated 1-wire files look like the kernel's."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from hil_rig.probes import ProbeFault, Probes, crc8

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
