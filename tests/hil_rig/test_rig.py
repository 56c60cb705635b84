"""The whole rig: pins in, physics, and meters, probes and contacts out, with the shipped drivers on the pins."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
import time
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
import serial

from config.errors import ConfigError
from drivers.gpio import GpioContacts, GpioRelays, InputSpec, OutputSpec, pin_factory
from hil_rig.loads import Step, Steps, constant
from hil_rig.probes import ProbeFault
from hil_rig.rig import Rig, RigBus, RigCabinet, RigPort
from hil_rig.wire import crc16
from hil_rig.world import Happening

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

PROBE = "28-0316a2794bff"
INSIDE = "28-000000000001"
CABINET = RigCabinet(
    ports=(
        RigPort(1, pin=17, unit=1, model="pzem004t-v3", probe=PROBE, limit_a=6.0, counter_wh=1000.0),
        RigPort(2, pin=27, unit=2, model="pzem004t-v3", active="low"),
        RigPort(3, pin=22, unit=1, model="sdm120", bus="second"),
    ),
    buses=(RigBus(baud=115_200), RigBus("second", baud=115_200)),
    contactor_pin=5,
    contactor_active="low",
    heartbeat_pin=6,
    cabinet_probe=INSIDE,
)
GUARD = """
import time
from drivers.gpio import GpioRelays, OutputSpec, pin_factory
relays = GpioRelays(pin_factory("hil_rig.pins:RigFactory"), {1: OutputSpec(17, True)}, OutputSpec(5, False), 6)
relays.contactor(closed=True)
relays.switch(1, closed=True)
while True:
    relays.heartbeat()
    time.sleep(0.05)
"""


@pytest.fixture
def rig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Rig]:
    """Run the cabinet, its pins named in the environment; one heartbeat holds it for a whole test."""
    with Rig(replace(CABINET, hold_s=60.0), tmp_path) as running:
        for name, value in running.environment.items():
            monkeypatch.setenv(name, value)
        yield running


@pytest.fixture
def relays(rig: Rig) -> Iterator[GpioRelays]:
    """Return the shipped driver on the rig's pins, contactor closed."""
    assert rig
    factory = pin_factory("hil_rig.pins:RigFactory")
    specs = {
        1: OutputSpec(17, active_high=True),
        2: OutputSpec(27, active_high=False),
        3: OutputSpec(22, active_high=True),
    }
    outputs = GpioRelays(factory, specs, OutputSpec(5, active_high=False), 6)
    outputs.contactor(closed=True)
    outputs.heartbeat()
    yield outputs
    outputs.close()
    factory.close()


def eventually(condition: Callable[[], bool]) -> bool:
    """Return whether ``condition`` comes true within two seconds."""
    end_s = time.monotonic() + 2.0
    while not condition() and time.monotonic() < end_s:
        time.sleep(0.002)
    return condition()


def read(rig: Rig, bus: str, unit: int, start: int, count: int) -> bytes:
    """Read registers over the tty, with nothing of the project's own Modbus."""
    request = struct.pack(">BBHH", unit, 4, start, count)
    with serial.Serial(rig.device(bus), 115_200, timeout=0.5) as line:
        line.write(request + crc16(request))
        reply = line.read(5 + 2 * count)
    assert crc16(reply[:-2]) == reply[-2:]
    time.sleep(0.002)
    return bytes(reply[3:-2])


def current_ma(rig: Rig, unit: int) -> int:
    """Return the current in a PZEM's registers."""
    low, high = struct.unpack(">HH", read(rig, "main", unit, 1, 2))
    return int(high << 16 | low)


def test_opening_the_relay_makes_the_current_at_the_meter_fall(rig: Rig, relays: GpioRelays) -> None:
    """Pin, world and wire are one: the very next read after the opening shows no current."""
    rig.plug(1, constant(660, 1.0))
    assert current_ma(rig, 1) == 0
    relays.switch(1, closed=True)
    assert current_ma(rig, 1) == 3000
    relays.switch(1, closed=False)
    assert current_ma(rig, 1) == 0


def test_polarity_and_buses(rig: Rig, relays: GpioRelays) -> None:
    """An active-low relay closes on low, and each port is on its own line and in its own unit."""
    rig.plug(2, constant(220, 1.0))
    rig.plug(3, constant(440, 1.0))
    assert not rig.world.relay_closed(2)
    relays.switch(2, closed=True)
    assert (current_ma(rig, 1), current_ma(rig, 2)) == (0, 1000)
    relays.switch(3, closed=True)
    assert struct.unpack(">f", read(rig, "second", 1, 6, 2)) == pytest.approx((2.0,))


def test_times_of_the_relay_are_those_of_the_pins_file(rig: Rig, relays: GpioRelays) -> None:
    """What the rig reports is what any outside program reads in the file."""
    assert rig.opened_at(1) is None
    relays.switch(1, closed=True)
    relays.switch(1, closed=False)
    assert eventually(lambda: rig.opened_at(1) is not None)
    lines = [line.split() for line in rig.pins_file.read_text().splitlines()]
    closed_ns, opened_ns = [int(words[0]) for words in lines if words[1] == "17"][1:]
    assert rig.closed_at(1) == pytest.approx(closed_ns / 1e9, abs=1e-9)
    assert rig.opened_at(1) == pytest.approx(opened_ns / 1e9, abs=1e-9)


def test_the_delay_from_a_hazard_to_the_opening_can_be_computed(rig: Rig, relays: GpioRelays) -> None:
    """The history dates the overload; the pins file dates the cut."""
    rig.plug(1, Steps((Step(0, 100, 1.0), Step(0.05, 2000, 1.0))))
    relays.switch(1, closed=True)
    assert eventually(lambda: rig.world.last_s(Happening.LIMIT_PASSED, 1) is not None)
    relays.switch(1, closed=False)
    assert eventually(lambda: rig.opened_at(1) is not None)
    began, passed, opened = rig.closed_at(1), rig.world.last_s(Happening.LIMIT_PASSED, 1), rig.opened_at(1)
    assert began is not None
    assert passed is not None
    assert opened is not None
    assert passed - began == pytest.approx(0.05, abs=1e-3)
    assert 0 < opened - passed < 1


def test_a_welded_relay_keeps_its_current(rig: Rig, relays: GpioRelays) -> None:
    """The meter goes on showing current after the order to open; the contactor ends it."""
    rig.plug(1, constant(660, 1.0))
    relays.switch(1, closed=True)
    rig.weld(1)
    relays.switch(1, closed=False)
    assert current_ma(rig, 1) == 3000
    relays.contactor(closed=False)
    assert current_ma(rig, 1) == 0


@pytest.fixture
def killable(tmp_path: Path) -> Iterator[Rig]:
    """Run the cabinet with its real hold time."""
    with Rig(CABINET, tmp_path) as running:
        yield running


def test_a_killed_guard_drops_the_contactor_within_the_hold_time(killable: Rig) -> None:
    """SIGKILL leaves the pins as they were; the heartbeat stops and the dead-man cuts 0.3 s after the last edge."""
    rig = killable
    rig.plug(1, constant(660, 1.0))
    environment = os.environ | rig.environment | {"PYTHONPATH": os.pathsep.join(sys.path)}
    child = subprocess.Popen([sys.executable, "-c", GUARD], env=environment)
    assert eventually(lambda: rig.world.meter(1).power_w == 660)
    time.sleep(0.4)
    assert rig.world.meter(1).power_w == 660
    child.kill()
    killed_s = time.monotonic()
    child.wait()
    assert eventually(lambda: rig.world.meter(1).power_w == 0)
    stopped_s = rig.world.last_s(Happening.CURRENT_STOPPED, 1)
    edges = [int(line.split()[0]) / 1e9 for line in rig.pins_file.read_text().splitlines() if line.split()[1] == "6"]
    assert stopped_s is not None
    assert stopped_s == pytest.approx(edges[-1] + 0.3, abs=1e-4)
    assert stopped_s < killed_s + 0.5
    assert rig.world.relay_closed(1)


def test_only_edges_feed_the_dead_man(rig: Rig) -> None:
    """A heartbeat line that is merely claimed, at rest, supplies nothing; its first edge does."""
    factory = pin_factory("hil_rig.pins:RigFactory")
    outputs = GpioRelays(factory, {}, OutputSpec(5, active_high=False), 6)
    outputs.contactor(closed=True)
    rig.catch_up()
    assert not rig.world.main_closed()
    outputs.heartbeat()
    rig.catch_up()
    assert rig.world.main_closed()
    outputs.close()
    factory.close()


def test_the_counter_begins_at_its_lifetime_value(rig: Rig) -> None:
    """The energy register is not zero on a meter that has served before."""
    assert struct.unpack(">HH", read(rig, "main", 1, 5, 2)) == (1000, 0)


def test_faults_of_meters_are_set_while_it_runs(rig: Rig) -> None:
    """A dead meter is silent on the wire, and lives again."""
    rig.meters[1].faults.dead = True
    with serial.Serial(rig.device(), 115_200, timeout=0.1) as line:
        line.write(bytes.fromhex("01 04 00 00 00 0A 70 0D"))
        assert line.read(1) == b""
    rig.meters[1].faults.dead = False
    assert current_ma(rig, 1) == 0


def temperature(rig: Rig, probe: str) -> str:
    """Return the last word of the probe's file."""
    return (rig.onewire_root / probe / "w1_slave").read_text().split()[-1]


def test_probes_follow_the_world(rig: Rig) -> None:
    """Temperatures and faults of probes appear in the 1-wire files."""
    assert temperature(rig, PROBE) == temperature(rig, INSIDE) == "t=25000"
    rig.world.hot_probe(1, 85.5)
    rig.cabinet_c = 41.0
    assert eventually(lambda: temperature(rig, PROBE) == "t=85500")
    assert eventually(lambda: temperature(rig, INSIDE) == "t=41000")
    rig.probes.faults[PROBE] = ProbeFault.MISSING
    assert eventually(lambda: not (rig.onewire_root / PROBE).exists())


def test_contacts_are_moved_through_the_fifo(rig: Rig) -> None:
    """A level set before the program starts is there at its first look, and later ones follow."""
    rig.set_contact(13, 0)
    factory = pin_factory("hil_rig.pins:RigFactory")
    contacts = GpioContacts(factory, [InputSpec("smoke", 13, normally_closed=True, pull_up=True)])
    assert contacts.alarms() == {"smoke": False}
    rig.set_contact(13, 1)
    assert eventually(lambda: contacts.alarms() == {"smoke": True})
    contacts.close()
    factory.close()


def test_a_power_cut_and_an_empty_socket(rig: Rig, relays: GpioRelays) -> None:
    """What people and fate do reaches the meter at once."""
    rig.plug(1, constant(660, 1.0))
    relays.switch(1, closed=True)
    rig.supply(0)
    assert read(rig, "main", 1, 0, 1) == b"\0\0"
    rig.supply(220)
    assert current_ma(rig, 1) == 3000
    rig.plug(1, None)
    assert current_ma(rig, 1) == 0


def test_the_mains_of_a_rig_wander(rig: Rig) -> None:
    """A meter that shows the same voltage for long is broken; those of a rig do not."""
    volts = set()
    for _ in range(8):
        volts.add(struct.unpack(">H", read(rig, "main", 1, 0, 1))[0] / 10)
        time.sleep(0.1)
    assert len(volts) > 1
    assert all(218.0 < value < 222.0 for value in volts)


def test_registers_are_renewed_by_the_rig(tmp_path: Path) -> None:
    """A meter that renews every 0.4 s shows what was at its last renewal, also when nobody asked it then."""
    port = replace(CABINET.ports[0], refresh_s=0.4, counter_wh=0.0)
    with Rig(RigCabinet((port,), (RigBus(baud=115_200),), supply_noise_v=0.0), tmp_path) as running:
        began_s = time.monotonic()
        seen: list[tuple[float, float]] = []
        while time.monotonic() - began_s < 1.5:
            running.supply(200.0 + 10.0 * (time.monotonic() - began_s))
            seen.append((time.monotonic(), struct.unpack(">H", read(running, "main", 1, 0, 1))[0] / 10))
    changes = [(at_s, volts) for (_, old), (at_s, volts) in pairwise(seen) if volts != old]
    assert 3 <= len(changes) <= 4
    for (first_s, first_v), (second_s, second_v) in pairwise(changes):
        assert second_s - first_s == pytest.approx(0.4, abs=0.2)
        assert second_v - first_v == pytest.approx(4.0, abs=2.0)


def test_an_unknown_meter_model_is_an_error(tmp_path: Path) -> None:
    """A rig with a meter that has no profile is not built."""
    with pytest.raises(ConfigError):
        Rig(RigCabinet(ports=(RigPort(1, pin=17, unit=1, model="none"),)), tmp_path)
