"""A real guard with meters of two channels: JSY-MK-194T, whose byte count lies."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from hil_rig.harness import GuardClient, Harness, Setup, wait
from hil_rig.loads import Step, Steps, constant
from hil_rig.world import Happening
from tests.scenarios.steps import opened_at, port_of, switch_on

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.bench


@pytest.fixture
def cabinet(tmp_path: Path) -> Iterator[Harness]:
    """Return a four-port cabinet on two meters whose guard runs and has read both."""
    setup = Setup(profile="default", model="jsy-mk-194t", channels=2)
    with Harness(tmp_path / "cabinet", setup) as harness:
        harness.start("guard")
        client = harness.guard()
        wait("every meter read", lambda: all(port.reading_age_s is not None for port in client.snapshot().ports))
        yield harness


@pytest.fixture
def guard(cabinet: Harness) -> GuardClient:
    """Return a connection to the guard of ``cabinet``."""
    return cabinet.guard()


def test_each_port_is_judged_by_its_own_channel(cabinet: Harness, guard: GuardClient) -> None:
    """One meter, two sockets: the one with 12 A is cut within a second, the other goes on with its own power."""
    assert cabinet.rig.meters[1] is cabinet.rig.meters[2]
    assert cabinet.rig.meters[1] is not cabinet.rig.meters[3]
    cabinet.rig.plug(1, constant(200.0))
    cabinet.rig.plug(2, Steps((Step(0.0, 300.0), Step(2.0, 2600.0))))
    switch_on(guard, 1, "a")
    switch_on(guard, 2, "b")
    wait("port 1 shows its load", lambda: (port_of(guard, 1).power_w or 0.0) > 190.0)
    assert (port_of(guard, 1).power_w or 0.0) < 210.0
    wait("port 2 trips", lambda: port_of(guard, 2).state == "tripped")
    passed = cabinet.rig.world.last_s(Happening.LIMIT_PASSED, 2)
    assert passed is not None
    assert opened_at(cabinet, 2) - passed < 1.0
    assert port_of(guard, 2).reason == "over_current"
    assert port_of(guard, 1).closed
    wait("port 2 shows nothing", lambda: port_of(guard, 2).power_w == 0.0)
    assert port_of(guard, 1).closed


def test_a_dead_meter_cuts_both_of_its_ports_and_no_other(cabinet: Harness, guard: GuardClient) -> None:
    """Silence of one meter is silence of two sockets; the sockets of the other meter go on."""
    for port in (1, 2, 3):
        cabinet.rig.plug(port, constant(200.0))
        switch_on(guard, port, f"s{port}")
    cabinet.rig.meters[1].faults.dead = True
    wait("ports 1 and 2 are cut", lambda: not port_of(guard, 1).closed and not port_of(guard, 2).closed, 6.0)
    assert port_of(guard, 3).closed
