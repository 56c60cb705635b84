"""A real guard on a real pty: every rule of the first floor cuts, and nothing else does."""

from __future__ import annotations

import os
import signal
import socket
import struct
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from hil_rig.harness import ESTOP_PIN, FIRST_RELAY_PIN, SMOKE_PIN, GuardClient, Harness, wait
from hil_rig.loads import Step, Steps, constant
from hil_rig.world import Happening
from pilenode.ipc import messages
from tests.scenarios.steps import opened_at, port_of, switch_on

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.bench


def test_over_current_cuts_its_own_port_and_stays_latched_through_a_restart(
    cabinet: Harness, guard: GuardClient
) -> None:
    """A load of 12 A on a 6 A port is off well under a second; the neighbour goes on; a restart is no reset."""
    cabinet.rig.plug(1, Steps((Step(0.0, 200.0), Step(2.0, 2600.0))))
    cabinet.rig.plug(2, constant(200.0))
    switch_on(guard, 1, "a")
    switch_on(guard, 2, "b")
    wait("port 1 trips", lambda: port_of(guard, 1).state == "tripped")
    passed = cabinet.rig.world.last_s(Happening.LIMIT_PASSED, 1)
    assert passed is not None
    assert opened_at(cabinet, 1) - passed < 1.0
    assert port_of(guard, 2).closed
    cabinet.end("guard")
    cabinet.start("guard")
    again = cabinet.guard()
    assert port_of(again, 1).reason == "over_current"
    wait("meters read", lambda: port_of(again, 2).reading_age_s is not None)
    assert again.ask(messages.Grant(port=1, session="c", ttl_s=9.0)) == messages.Refused(
        code="port_faulty", detail="over_current"
    )
    assert again.ask(messages.Reset(port=1, by="test")) == messages.Done()
    cabinet.rig.plug(1, constant(200.0))
    switch_on(again, 1, "d")


@pytest.mark.parametrize(("pin", "code"), [(SMOKE_PIN, "smoke"), (ESTOP_PIN, "estop")])
def test_an_open_loop_cuts_the_cabinet_within_a_second(
    cabinet: Harness, guard: GuardClient, pin: int, code: str
) -> None:
    """Smoke, E-stop or a cut wire: every relay and the contactor are off within 1 s of the edge (SAF-8)."""
    for port in (1, 2):
        cabinet.rig.plug(port, constant(200.0))
        switch_on(guard, port, f"s{port}")
    edge = time.monotonic()
    cabinet.rig.set_contact(pin, 1)
    wait("all open", lambda: not any(port.closed for port in guard.snapshot().ports))
    for port in (1, 2):
        assert opened_at(cabinet, port) - edge < 1.0
    snapshot = guard.snapshot()
    assert (snapshot.contactor, snapshot.cabinet_faults) == (False, [code])
    refused = guard.ask(messages.Grant(port=3, session="x", ttl_s=9.0))
    assert isinstance(refused, messages.Refused)
    assert refused.code == "cabinet_faulty"


def test_a_hot_probe_cuts(cabinet: Harness, guard: GuardClient) -> None:
    """90 °C at a socket for ten seconds."""
    cabinet.rig.plug(3, constant(300.0))
    switch_on(guard, 3, "hot")
    cabinet.rig.world.hot_probe(3, 90.0)
    wait("port 3 trips", lambda: port_of(guard, 3).reason == "over_temperature", 20.0)
    assert not port_of(guard, 3).closed


def test_a_dead_meter_cuts_its_own_port_only(cabinet: Harness, guard: GuardClient) -> None:
    """A meter that falls silent opens its port at the age limit; the others are read on."""
    for port in (1, 2):
        cabinet.rig.plug(port, constant(200.0))
        switch_on(guard, port, f"s{port}")
    cabinet.rig.meters[1].faults.dead = True
    dead = time.monotonic()
    wait("port 1 opens", lambda: not port_of(guard, 1).closed)
    silent = port_of(guard, 1)
    assert silent.reading_age_s is not None
    read = time.monotonic() - silent.reading_age_s
    assert read < dead + 0.5
    assert 2.95 < opened_at(cabinet, 1) - read < 3.5
    assert silent.meter_error == "timeout"
    time.sleep(3.0)
    assert port_of(guard, 2).closed
    cabinet.rig.meters[1].faults.dead = False
    wait("port 1 is read again", lambda: port_of(guard, 1).meter_error is None, 10.0)
    assert not port_of(guard, 1).closed


def test_noise_on_the_line_cuts_nobody_and_counts_for_nobody(cabinet: Harness, guard: GuardClient) -> None:
    """A noisy neighbour and one late reply cost retries, not sessions, and no value lands on another port."""
    cabinet.rig.plug(2, constant(200.0))
    switch_on(guard, 2, "quiet")
    cabinet.rig.meters[1].faults.noise_before = b"\x55\x00\xff"
    cabinet.rig.meters[2].faults.late_s = 0.3
    end = time.monotonic() + 5.0
    while time.monotonic() < end:
        assert port_of(guard, 2).closed
        for port in (3, 4):
            assert port_of(guard, port).power_w in (None, 0.0)
        time.sleep(0.05)


def test_planned_energy_and_duration_end_without_a_station(cabinet: Harness, guard: GuardClient) -> None:
    """The plan is guard's: nobody renews and nobody watches, the sessions end on time."""
    cabinet.rig.plug(1, constant(900.0, speed=20.0))  # 5 Wh a second
    cabinet.rig.plug(2, constant(200.0))
    switch_on(guard, 1, "energy", messages.Plan(energy_wh=20.0))
    switch_on(guard, 2, "time", messages.Plan(duration_s=4.0))
    wait("both end", lambda: all(port_of(guard, port).state == "ended" for port in (1, 2)), 15.0)
    assert [port_of(guard, port).reason for port in (1, 2)] == ["planned_energy", "planned_duration"]
    used = port_of(guard, 1)
    assert used.closed_for_s is not None
    assert 3.7 <= used.closed_for_s <= 7.0  # the register has steps of 1 Wh, 0.2 s here


def test_a_lease_that_nobody_renews_ends(cabinet: Harness, guard: GuardClient) -> None:
    """Silence from the station means off."""
    cabinet.rig.plug(1, constant(200.0))
    assert guard.ask(messages.Grant(port=1, session="s", ttl_s=2.0)) == messages.Done()
    wait("port 1 closes", lambda: port_of(guard, 1).closed)
    wait("lease ends", lambda: port_of(guard, 1).reason == "lease_expired", 4.0)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_opens_everything(cabinet: Harness, guard: GuardClient, number: signal.Signals) -> None:
    """Guard never leaves a relay closed behind it."""
    cabinet.rig.plug(1, constant(200.0))
    switch_on(guard, 1, "s")
    cabinet.signal("guard", number)
    assert cabinet.processes["guard"].wait(5.0) == 0
    levels = {pin: level for _, pin, level in cabinet.pins()}
    assert not any(levels[FIRST_RELAY_PIN + port] for port in range(1, 5))


def test_a_killed_guard_drops_the_contactor(cabinet: Harness, guard: GuardClient) -> None:
    """No heartbeat, no contactor: the relay stays where the kernel left it, the power does not."""
    cabinet.rig.plug(1, constant(200.0))
    switch_on(guard, 1, "s")
    killed = cabinet.kill("guard")
    wait("contactor drops", lambda: not cabinet.rig.world.main_closed(), 2.0)
    dropped = cabinet.rig.world.last_s(Happening.CONTACTOR_OPENED)
    assert dropped is not None
    assert dropped - killed < 0.5
    assert cabinet.rig.world.meter(1).current_a == 0.0


def test_a_second_guard_does_not_start(cabinet: Harness, guard: GuardClient) -> None:
    """Two masters on one bus and two owners of a relay are one too many; the first does not notice."""
    command = [sys.executable, "-P", "-m", "pilenode.cli", "guard", "--config", str(cabinet.config_file)]
    environment = os.environ | cabinet.rig.environment
    second = subprocess.run(command, env=environment, capture_output=True, timeout=20, check=False)
    assert second.returncode == 2
    assert b"another guard is running" in second.stderr
    switch_on(guard, 1, "s")


def test_malformed_requests_are_dropped_counted_and_hurt_nobody(cabinet: Harness, guard: GuardClient) -> None:
    """A garbling peer is cut off; sessions and other peers do not notice."""
    cabinet.rig.plug(1, constant(200.0))
    switch_on(guard, 1, "s")
    for data in (b"\xff" * 64, struct.pack(">I", 3) + b"abc", struct.pack(">I", 2) + b"{}"):
        with socket.socket(socket.AF_UNIX) as peer:
            peer.connect(str(cabinet.directory / "guard.sock"))
            peer.sendall(data)
            peer.settimeout(2.0)
            assert peer.recv(100) == b""
    snapshot = guard.snapshot()
    assert snapshot.dropped_messages == 3
    assert snapshot.ports[0].closed


def test_a_missing_serial_device_is_told_and_waited_for(tmp_path: Path) -> None:
    """Guard runs without its adapter, says so, and reads as soon as it is there."""
    with Harness(tmp_path / "cabinet") as harness:
        harness.device.unlink()
        harness.start("guard")
        client = harness.guard()
        wait("bus lost is told", lambda: port_of(client, 1).meter_error == "bus_lost")
        wait("meter lost stands", lambda: port_of(client, 1).findings == ["meter_lost"])
        refused = client.ask(messages.Grant(port=1, session="s", ttl_s=9.0))
        assert isinstance(refused, messages.Refused)
        harness.device.symlink_to(harness.rig.device())
        wait("meters read", lambda: all(port.reading_age_s is not None for port in client.snapshot().ports))
        switch_on(client, 1, "s")
