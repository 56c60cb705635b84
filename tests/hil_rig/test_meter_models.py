"""Every shipped model from its simulated registers over a timed line to readings, by the driver that guard uses."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from config.load import load_meter, meters
from drivers.bus import SerialLine
from drivers.meter import MeterDevice
from hil_rig.meters import SimulatedMeter
from hil_rig.wire import Rack
from hil_rig.world import Quantities
from pilenode.guard.meter_map import register_map
from safety.reading import MeterReading, Missing, MissingReason

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from config.schema_meter import MeterProfile, MeterValue

LOADED = Quantities(221.3, 3.217, 612.4, 0.86, 49.98, 23_456.0)
OTHER = Quantities(221.3, 0.412, 80.2, 0.88, 49.98, 1_230.0)
IDLE = Quantities(221.3, 0.0, 0.0, 0.0, 49.98, 23_456.0)
SMALL = Quantities(221.3, 0.02, 3.9, 0.88, 49.98, 23_456.0)
SCALES = [(model, n) for model in meters() for n in range(len(load_meter(model).values.power_w.scales))]


class Source:
    """A measurement that can be changed."""

    def __init__(self, quantities: Quantities) -> None:
        self.now = quantities

    def __call__(self) -> Quantities:
        """Return what is measured now."""
        return self.now


@contextmanager
def on_a_line(profile: MeterProfile, *sources: Source, scale: int = 0) -> Iterator[tuple[MeterDevice, Rack]]:
    """Put a simulated meter on a fast line, and the driver before it."""
    meter = SimulatedMeter(profile, sources[0], more=sources[1:], power_scale=scale)
    serial = profile.serial
    with Rack({7: meter}, baud=115_200, parity=serial.parity, stopbits=serial.stopbits, turnaround_s=0.001) as rack:
        line = SerialLine(rack.device, 115_200, serial.parity, serial.stopbits, turnaround_s=0.05)
        yield MeterDevice(line, 7, register_map(profile)), rack
        line.close()


def step(value: MeterValue, measured: float) -> float:
    """Return the furthest that a register may be from what is measured."""
    if value.type == "f32":
        return 1e-5 * measured
    scale = max(value.scales, default=value.scale)
    return (1 + len(value.plus)) * scale / 2 * 1.001


def matches(profile: MeterProfile, outcomes: dict[int, MeterReading | Missing], expected: Sequence[Quantities]) -> None:
    """Hold the reading of every channel against what was measured."""
    assert len(outcomes) == len(expected) == 1 + len(profile.channel)
    for channel, (values, measured) in enumerate(zip((profile.values, *profile.channel), expected, strict=True), 1):
        reading = outcomes[channel]
        assert isinstance(reading, MeterReading)
        for name in ("voltage_v", "current_a", "power_w", "energy_wh", "power_factor"):
            value = getattr(values, name)
            truth = getattr(measured, name)
            if value is not None:
                assert getattr(reading, name) == pytest.approx(truth, abs=step(value, truth)), (channel, name)


@pytest.mark.parametrize("model", meters())
def test_the_driver_reads_what_the_world_measures(model: str) -> None:
    """Volts, amperes, watts, Wh and power factor of every channel come back within one step of their registers."""
    profile = load_meter(model)
    sources = [Source(LOADED), Source(OTHER)][: 1 + len(profile.channel)]
    with on_a_line(profile, *sources) as (device, _):
        matches(profile, device.poll(time.monotonic, slow=True), [source.now for source in sources])


@pytest.mark.parametrize("model", [model for model in meters() if load_meter(model).channel])
def test_all_channels_come_out_of_one_read(model: str) -> None:
    """A meter with two sockets is asked once for both; a load on one of them is nothing to the other."""
    first, second = Source(IDLE), Source(OTHER)
    profile = load_meter(model)
    with on_a_line(profile, first, second) as (device, rack):
        matches(profile, device.poll(time.monotonic, slow=False), [IDLE, OTHER])
        assert rack.counts.requests == 1
        first.now, second.now = LOADED, IDLE
        matches(profile, device.poll(time.monotonic, slow=False), [LOADED, IDLE])
        assert rack.counts.requests == 2


def watts(outcome: MeterReading | Missing) -> float | MissingReason:
    """Return the power, or why there is none."""
    return outcome.power_w if isinstance(outcome, MeterReading) else outcome.reason


@pytest.mark.parametrize(("model", "scale"), SCALES)
def test_a_scale_is_found_by_the_first_load_and_never_guessed(model: str, scale: int) -> None:
    """No load is 0 W, a small one is not known, the first real one decides; from then on small ones are right too."""
    source = Source(IDLE)
    profile = load_meter(model)
    error_w = step(profile.values.power_w, 0.0)
    with on_a_line(profile, source, scale=scale) as (device, _):
        assert watts(device.poll(time.monotonic, slow=False)[1]) == 0.0
        source.now = SMALL
        before = watts(device.poll(time.monotonic, slow=False)[1])
        # Where the steps are so coarse that every scale says less than 1 W, that is what is shown.
        assert before is MissingReason.OUT_OF_RANGE or (isinstance(before, float) and before < 1.0)
        source.now = LOADED
        assert watts(device.poll(time.monotonic, slow=False)[1]) == pytest.approx(LOADED.power_w, abs=error_w + 0.01)
        source.now = SMALL
        assert watts(device.poll(time.monotonic, slow=False)[1]) == pytest.approx(SMALL.power_w, abs=error_w + 0.01)
        source.now = IDLE
        assert watts(device.poll(time.monotonic, slow=False)[1]) == 0.0
