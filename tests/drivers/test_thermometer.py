"""DS18B20 over the kernel's file: what is a temperature and what is a fault of the probe."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

import pytest

from drivers.thermometer import W1Thermometer
from safety.reading import Missing, MissingReason, ProbeReading

if TYPE_CHECKING:
    from pathlib import Path

PROBE = "28-0316a2794bff"
SCRATCHPAD = "50 05 4b 46 7f ff 0c 10 1c"


class Probe:
    """The file of one probe and the thermometer that reads it; each reading is one second later."""

    def __init__(self, root: Path) -> None:
        self.file = root / PROBE / "w1_slave"
        self.file.parent.mkdir()
        self.thermometer = W1Thermometer(str(root), PROBE)
        self.now_s = 0.0

    def holds(self, text: str) -> ProbeReading | Missing:
        """Return the reading when the kernel's file says this."""
        self.file.write_text(text, encoding="utf-8")
        return self.read()

    def shows(self, milli_c: int) -> float | MissingReason:
        """Return °C, or the reason, when the kernel reports this many milli-°C with a good CRC."""
        outcome = self.holds(f"{SCRATCHPAD} : crc=1c YES\n{SCRATCHPAD} t={milli_c}\n")
        return outcome.temperature_c if isinstance(outcome, ProbeReading) else outcome.reason

    def read(self) -> ProbeReading | Missing:
        """Return the reading one second later."""
        self.now_s += 1.0
        return self.thermometer.read(self.now_s)


@pytest.fixture
def probe(tmp_path: Path) -> Probe:
    """Return a probe whose file does not exist yet."""
    return Probe(tmp_path)


@pytest.mark.parametrize(
    ("milli_c", "outcome"),
    [
        (22_062, 22.062),
        (0, 0.0),
        (-62, -0.062),
        (-55_000, -55.0),
        (-55_001, MissingReason.PROBE_FAULT),
        (84_999, 84.999),
        (85_001, 85.001),
        (125_000, 125.0),
        (125_001, MissingReason.PROBE_FAULT),
        (127_937, MissingReason.PROBE_FAULT),
    ],
)
def test_the_range_of_the_probe(probe: Probe, milli_c: int, outcome: float | MissingReason) -> None:
    """-55 to 125 °C are temperatures, with their sign; what lies outside is a fault."""
    assert probe.shows(milli_c) == outcome


def test_a_reading_carries_the_time_before_the_conversion(probe: Probe) -> None:
    """The age of a temperature is never understated."""
    assert probe.holds(f"{SCRATCHPAD} : crc=1c YES\n{SCRATCHPAD} t=21500\n") == ProbeReading(1.0, 21.5)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "probe_fault"),
        ("a1 01 4b 46 7f ff 0f 10 02 : crc=d8 NO\n61 01 4b 46 7f ff 0f 10 02 t=22062\n", "probe_fault"),
        ("ff ff ff ff ff ff ff ff ff : crc=c9 NO\n61 01 4b 46 7f ff 0f 10 02 t=22062\n", "probe_open"),
        ("00 00 00 00 00 00 00 00 00 : crc=00 YES\n00 00 00 00 00 00 00 00 00 t=0\n", "probe_short"),
        (f"{SCRATCHPAD} : crc=1c YES\n{SCRATCHPAD} t=85000\n", "probe_reset"),
        (f"{SCRATCHPAD} : crc=1c YES\n", "probe_fault"),
        (f"{SCRATCHPAD} : crc=1c YES\n{SCRATCHPAD} t=\n", "probe_fault"),
        (f"{SCRATCHPAD} : crc=1c YES\n{SCRATCHPAD} t=nan\n", "probe_fault"),
        (f"{SCRATCHPAD} : crc=1c YES\n{SCRATCHPAD} t=21500\nmore\n", "probe_fault"),
        ("t=21500\n", "probe_fault"),
        ("温度\n", "probe_fault"),
    ],
)
def test_a_bad_file_is_a_fault_of_the_probe(probe: Probe, text: str, reason: str) -> None:
    """CRC NO, a shorted or open line and anything cut or strange: never a temperature and never an exception."""
    assert probe.holds(text) == Missing(MissingReason(reason), 1.0)


def test_a_missing_probe_is_open_since_the_first_time(probe: Probe) -> None:
    """A probe that is unplugged is a fault, with one beginning, until it is back."""
    assert probe.read() == Missing(MissingReason.PROBE_OPEN, 1.0)
    assert probe.read() == Missing(MissingReason.PROBE_OPEN, 1.0)
    assert probe.shows(20_000) == 20.0
    probe.file.unlink()
    assert probe.read() == Missing(MissingReason.PROBE_OPEN, 4.0)


def test_a_fault_that_becomes_another_keeps_its_beginning(probe: Probe) -> None:
    """There was no temperature in between."""
    assert probe.shows(85_000) == MissingReason.PROBE_RESET
    probe.file.unlink()
    assert probe.read() == Missing(MissingReason.PROBE_OPEN, 1.0)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (errno.ENODEV, "probe_open"),
        (errno.ENXIO, "probe_open"),
        (errno.EIO, "probe_fault"),
        (errno.EACCES, "probe_fault"),
    ],
)
def test_a_device_that_cannot_be_read(probe: Probe, monkeypatch: pytest.MonkeyPatch, error: int, reason: str) -> None:
    """A device that leaves while it is read is open; every other error of the kernel is a fault."""

    def fails(*_: object, **__: object) -> str:
        raise OSError(error, "simulated")

    monkeypatch.setattr("pathlib.Path.read_text", fails)
    assert probe.read() == Missing(MissingReason(reason), 1.0)


@pytest.mark.parametrize(
    ("before", "outcome"),
    [
        ([], MissingReason.PROBE_RESET),
        ([25_000], MissingReason.PROBE_RESET),
        ([79_999], MissingReason.PROBE_RESET),
        ([80_000], 85.0),
        ([84_937], 85.0),
        ([85_062], 85.0),
        ([90_000], 85.0),
        ([90_001], MissingReason.PROBE_RESET),
        ([85_000], MissingReason.PROBE_RESET),
        ([25_000, 85_000, 85_000], MissingReason.PROBE_RESET),
        ([84_937, 85_000, 85_000], 85.0),
        ([85_000, 84_937], 85.0),
    ],
)
def test_exactly_85_is_heat_only_when_it_comes_from_nearby(
    probe: Probe, before: list[int], outcome: float | MissingReason
) -> None:
    """The power-on value, alone or repeated, is a fault of the probe; a real 85 °C was 80 to 90 °C just before."""
    for milli_c in before:
        probe.shows(milli_c)
    assert probe.shows(85_000) == outcome


def test_a_rise_through_85_is_not_lost(probe: Probe) -> None:
    """A fire that jumps onto exactly 85 °C is seen with the next reading at the latest."""
    assert [probe.shows(milli_c) for milli_c in (40_000, 85_000, 86_000)] == [40.0, MissingReason.PROBE_RESET, 86.0]
