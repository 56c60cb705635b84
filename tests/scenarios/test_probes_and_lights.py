"""A real guard with a thermistor on SPI, a module on a bus of its own, and a light: heat is heat on every wire."""

from __future__ import annotations

import time
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from config.load import budget, load
from hil_rig.converter import thermistor_code, write_codes
from hil_rig.harness import Harness, Setup, wait
from hil_rig.loads import constant
from hil_rig.temperature_module import SimulatedTemperatureModule
from hil_rig.wire import Rack
from tests.scenarios.steps import opened_at, port_of, switch_on

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.bench

LIGHT = 19
EXTRA = """
[port.probe]
adc = "spi"
channel = 3
[port.led]
pin = {light}
[cabinet.probe]
module = "air"
channel = 1
[[adc]]
name = "spi"
[[probe_module]]
name = "air"
bus = "probes"
unit = 9
[[bus]]
name = "probes"
device = "{device}"
baud = 9600
"""


class Warmth:
    """What the probes feel, °C."""

    def __init__(self, codes: Path) -> None:
        self.codes = codes
        self.air: float | None = 25.0
        self.socket(30.0)

    def socket(self, celsius: float) -> None:
        """Warm the thermistor of port 2."""
        write_codes(self.codes, {(8, 3): thermistor_code(celsius, to_ground=True)})


@pytest.fixture
def warmth(tmp_path: Path) -> Warmth:
    """Return the temperatures."""
    (tmp_path / "cabinet").mkdir()
    return Warmth(tmp_path / "cabinet" / "pins.codes")


@pytest.fixture
def site(tmp_path: Path, warmth: Warmth) -> Iterator[Harness]:
    """Return a two-port cabinet whose guard has read everything."""
    with Rack({9: SimulatedTemperatureModule(lambda _: warmth.air)}) as rack:
        extra = EXTRA.format(light=LIGHT, device=rack.device)
        setup = Setup(profile="default", ports=2, probes=False, limits={"temperature_trip_s": 2.0}, extra=extra)
        with Harness(tmp_path / "cabinet", setup) as harness:
            harness.start("guard")
            client = harness.guard()
            wait("all read", lambda: client.snapshot().cabinet_temperature_c and port_of(client, 2).temperature_c)
            yield harness


def light(harness: Harness) -> list[tuple[float, int]]:
    """Return time (s) and level of every change of the light."""
    rows = (line.split() for line in harness.rig.pins_file.read_text().splitlines())
    return [(int(row[0]) / 1e9, int(row[2])) for row in rows if int(row[1]) == LIGHT]


def test_heat_is_cut_on_every_wire_and_shown(site: Harness, warmth: Warmth) -> None:
    """A hot socket is cut within the time that the budget computes and its light flickers; hot air cuts everything."""
    guard = site.guard()
    snapshot = guard.snapshot()
    assert snapshot.cabinet_temperature_c == 25.0
    assert port_of(guard, 2).temperature_c == pytest.approx(30.0, abs=0.3)
    for port in (1, 2):
        site.rig.plug(port, constant(300.0))
        switch_on(guard, port, f"s{port}")
    (bound_s,) = (path.total_s for path in budget(load(site.config_file)).ports[1].dwelling if path.name == "heat")
    hot_s = time.monotonic()
    warmth.socket(90.0)
    wait("port 2 trips", lambda: port_of(guard, 2).state == "tripped", bound_s + 5.0)
    assert port_of(guard, 2).reason in {"over_temperature", "temperature_rising"}
    assert opened_at(site, 2) - hot_s < bound_s
    assert port_of(guard, 1).closed
    latched_s = opened_at(site, 2)
    wait("the light flickers", lambda: len([at for at, _ in light(site) if at > latched_s + 0.1]) >= 6, 5.0)
    pace = [at for at, _ in light(site) if at > latched_s + 0.1]
    assert all(0.15 <= after - before <= 0.4 for before, after in pairwise(pace))
    warmth.air = 75.0
    wait("everything is off", lambda: not any(port.closed for port in guard.snapshot().ports), 30.0)
    assert "cabinet_over_temperature" in guard.snapshot().cabinet_faults
    site.end("guard")
    assert light(site)[-1][1] == 0


def test_a_broken_thermistor_is_no_heat(site: Harness, warmth: Warmth) -> None:
    """Open and shorted are told apart, cut nothing and go away with the repair."""
    guard = site.guard()
    site.rig.plug(2, constant(300.0))
    switch_on(guard, 2, "s")
    write_codes(warmth.codes, {(8, 3): 1023})
    wait("open", lambda: port_of(guard, 2).probe_error == "probe_open")
    write_codes(warmth.codes, {(8, 3): 0})
    wait("shorted", lambda: port_of(guard, 2).probe_error == "probe_short")
    assert port_of(guard, 2).closed
    warmth.socket(31.0)
    wait("repaired", lambda: port_of(guard, 2).probe_error is None)
    assert guard.snapshot().light_failures == 0
