"""Single faults that no other scenario makes: rows 3, 5 and 7 of the single-fault table (reliability-security 1.4)."""

from __future__ import annotations

import signal
import time
from typing import TYPE_CHECKING

import pytest

from hil_rig.harness import GuardClient, Harness, wait
from hil_rig.loads import constant
from hil_rig.world import Happening
from pilenode.ipc import messages
from tests.scenarios.steps import opened_at, port_of, switch_on

pytestmark = pytest.mark.bench

if TYPE_CHECKING:
    from collections.abc import Callable

    from hil_rig.meters import Faults


def test_a_frozen_guard_drops_the_contactor(cabinet: Harness, guard: GuardClient) -> None:
    """Row 3, SIGSTOP: the heartbeat stops, so the contactor is open within 500 ms although the relay is not."""
    cabinet.rig.plug(1, constant(200.0))
    switch_on(guard, 1, "s")
    stopped = time.monotonic()
    cabinet.signal("guard", signal.SIGSTOP)
    try:
        wait("contactor drops", lambda: not cabinet.rig.world.main_closed(), 2.0, every_s=0.005)
        dropped = cabinet.rig.world.last_s(Happening.CONTACTOR_OPENED)
        assert dropped is not None
        assert dropped - stopped < 0.5
        assert cabinet.rig.world.meter(1).current_a == 0.0
    finally:
        cabinet.kill("guard")


def _wrong_unit(faults: Faults) -> None:
    faults.wrong_unit = True


def _bad_crc(faults: Faults) -> None:
    faults.bad_crc = True


def _cut_short(faults: Faults) -> None:
    faults.truncate = 9


@pytest.mark.parametrize("make", [_wrong_unit, _bad_crc, _cut_short], ids=["wrong unit", "bad CRC", "cut short"])
def test_a_reply_that_is_not_an_answer_counts_for_nobody(
    cabinet: Harness, guard: GuardClient, make: Callable[[Faults], None]
) -> None:
    """Row 5: the port is off at its age limit, no other port ever shows its load, the others go on."""
    for port in (1, 2):
        cabinet.rig.plug(port, constant(700.0 if port == 1 else 200.0))
        switch_on(guard, port, f"s{port}")
    wait("load seen", lambda: (port_of(guard, 1).power_w or 0.0) > 600)
    make(cabinet.rig.meters[1].faults)
    wrong = time.monotonic()
    while (seen := guard.snapshot().ports)[0].state != "ended":
        assert all((port.power_w or 0.0) < 300 for port in seen[1:])
        assert time.monotonic() - wrong < 5.0
        time.sleep(0.02)
    assert opened_at(cabinet, 1) - wrong < 3.5
    assert port_of(guard, 1).reason == "meter_lost"
    assert port_of(guard, 2).closed


def test_a_welded_relay_drops_the_contactor_and_asks_for_a_repair(cabinet: Harness, guard: GuardClient) -> None:
    """Row 7: the current goes on after the opening, so everything is cut; only words of a repair release it."""
    for port in (1, 2):
        cabinet.rig.plug(port, constant(200.0))
        switch_on(guard, port, f"s{port}")
    cabinet.rig.weld(1)
    assert guard.ask(messages.Release(port=1, session="s1", reason="user")) == messages.Done()
    wait("contactor drops", lambda: not cabinet.rig.world.main_closed(), 6.0)
    wait("the weld is latched", lambda: port_of(guard, 1).reason == "relay_welded", 2.0)
    assert not port_of(guard, 2).closed
    assert cabinet.rig.world.meter(1).current_a == 0.0
    cabinet.rig.weld(1, welded=False)
    time.sleep(1.0)
    refused = guard.ask(messages.Reset(port=1, by="test"))
    assert refused == messages.Refused(code="repair_needed", detail="")
    wait(
        "the repair releases it",
        lambda: guard.ask(messages.Reset(port=1, by="test", repair="relay replaced")) == messages.Done(),
        5.0,
    )
    switch_on(guard, 2, "again")
