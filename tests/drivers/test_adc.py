"""Thermistors behind a simulated MCP3008, down to the bits on the SPI lines."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from gpiozero import Device, OutputDevice
from gpiozero.pins.mock import MockFactory

from drivers.adc import SAMPLES, SpiPins, Thermistors
from drivers.thermistor import Divider
from hil_rig.converter import thermistor_code, write_codes
from hil_rig.pins import RigFactory
from safety.reading import Missing, MissingReason, ProbeReading

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

DIVIDER = Divider(10_000.0, 3950.0, 10_000.0, to_ground=True)
PINS = SpiPins(clock=11, mosi=10, miso=9, select=8)


class Bench:
    """A converter with its thermistors, and the driver that reads them; each look at the clock is a second."""

    def __init__(self, factory: RigFactory, codes: Path) -> None:
        self._codes_file = codes
        self.factory = factory
        self.waits: list[float] = []
        self.now_s = 0.0
        self.thermistors = self.driver(PINS, {1: 0, 2: 5})

    def driver(self, pins: SpiPins, channels: dict[int, int]) -> Thermistors:
        """Return a driver."""
        return Thermistors(self.factory, pins, DIVIDER, channels, wait=self.waits.append)

    def now(self) -> float:
        """Return a time a second later than the last."""
        self.now_s += 1.0
        return self.now_s

    def measure(self, codes: dict[tuple[int, int], int]) -> dict[int, ProbeReading | Missing]:
        """Return one round with these codes at (select line, channel)."""
        write_codes(self._codes_file, codes)
        return dict(self.thermistors.round(self.now))


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    """Return a bench with two thermistors, at channels 0 and 5."""
    monkeypatch.setenv("HIL_RIG_PINS", str(tmp_path / "pins"))
    with RigFactory() as factory:
        made = Bench(factory, tmp_path / "pins.codes")
        yield made
        made.thermistors.close()


def warm(celsius: float) -> int:
    """Return the code of a thermistor."""
    return thermistor_code(celsius, to_ground=True)


def test_each_port_has_the_temperature_of_its_own_channel(bench: Bench) -> None:
    """Two channels of one converter are never mixed up; readings carry the time before their samples."""
    found = bench.measure({(8, 0): warm(30.0), (8, 5): warm(80.0), (8, 1): warm(120.0)})
    shown = {n: (one.taken_s, round(one.temperature_c)) for n, one in found.items() if isinstance(one, ProbeReading)}
    assert shown == {1: (1.0, 30), 2: (2.0, 80)}
    assert bench.waits == [0.0025] * 2 * (SAMPLES - 1)


@pytest.mark.parametrize("channel", range(8))
@pytest.mark.parametrize("code", [4, 341, 682, 1019])
def test_all_channels_and_bits_arrive(bench: Bench, channel: int, code: int) -> None:
    """The request names the channel and the ten bits come back in order."""
    device = bench.driver(PINS, {})._opened(channel)
    write_codes(bench._codes_file, {(8, channel): code, (8, channel ^ 1): code ^ 1023})
    assert device.raw_value == code
    device.close()


def test_open_and_shorted_thermistors_and_since_when(bench: Bench) -> None:
    """A broken one is missing since it broke, and back when it is repaired; its neighbour does not notice."""
    good = {(8, 5): warm(30.0)}
    assert bench.measure({(8, 0): 1023} | good)[1] == Missing(MissingReason.PROBE_OPEN, 1.0)
    second = bench.measure({(8, 0): 0} | good)
    assert second[1] == Missing(MissingReason.PROBE_SHORT, 1.0)
    assert isinstance(second[2], ProbeReading)
    assert isinstance(bench.measure({(8, 0): warm(30.0)} | good)[1], ProbeReading)
    assert bench.measure({(8, 0): 1023} | good)[1] == Missing(MissingReason.PROBE_OPEN, 7.0)


def test_a_contact_that_is_touched_while_it_is_sampled_is_a_fault(bench: Bench) -> None:
    """One sample far from the others spoils the reading."""
    calls = []

    def touch(seconds: float) -> None:
        calls.append(seconds)
        write_codes(bench._codes_file, {(8, 0): 900 if len(calls) == 3 else 500})

    driver = Thermistors(bench.factory, PINS, DIVIDER, {1: 0}, wait=touch)
    write_codes(bench._codes_file, {(8, 0): 500})
    assert dict(driver.round(bench.now)) == {1: Missing(MissingReason.PROBE_FAULT, 1.0)}
    driver.close()


def test_two_converters_share_clock_and_data(bench: Bench) -> None:
    """Each answers to its own select line only."""
    second = bench.driver(SpiPins(11, 10, 9, select=7), {3: 0})
    found = bench.measure({(8, 0): warm(30.0), (8, 5): warm(31.0), (7, 0): warm(60.0)})
    found |= dict(second.round(bench.now))
    assert [round(one.temperature_c) for one in found.values() if isinstance(one, ProbeReading)] == [30, 31, 60]
    second.close()


def test_no_spi_line_shows_among_the_outputs(bench: Bench, tmp_path: Path) -> None:
    """The file that tells when relays moved is not filled with clock pulses."""
    bench.measure({(8, 0): warm(30.0), (8, 5): warm(30.0)})
    OutputDevice(17, pin_factory=bench.factory)
    assert [line.split()[1:] for line in (tmp_path / "pins").read_text().splitlines()] == [["17", "0"]]


class NoSpi(MockFactory):  # type: ignore[misc] # gpiozero has no types
    """A machine whose kernel has no SPI: gpiozero would bit-bang instead."""

    def _get_spi_class(self, shared: bool, hardware: bool) -> object:  # noqa: FBT001 - gpiozero's signature
        if hardware:
            raise OSError("no /dev/spidev0.0")
        return super()._get_spi_class(shared, hardware)


def test_there_is_no_silent_fall_back_to_bit_banging() -> None:
    """Hardware lines whose SPI cannot be opened are probe faults, told once, and tried again in every round."""
    with NoSpi() as factory:
        thermistors = Thermistors(factory, PINS, DIVIDER, {1: 0, 2: 1}, wait=lambda _: None)
        for _ in range(3):
            assert dict(thermistors.round(lambda: 5.0)) == {
                1: Missing(MissingReason.PROBE_FAULT, 5.0),
                2: Missing(MissingReason.PROBE_FAULT, 5.0),
            }
        (told,) = thermistors.news()
        assert "select line 8" in told
        assert "no /dev/spidev0.0" in told
        assert thermistors.news() == []
        bit_banged = Thermistors(factory, SpiPins(5, 6, 13, 19), DIVIDER, {1: 0}, wait=lambda _: None)
        assert dict(bit_banged.round(lambda: 5.0)) == {1: Missing(MissingReason.PROBE_SHORT, 5.0)}
        bit_banged.close()
    assert Device.pin_factory is None
