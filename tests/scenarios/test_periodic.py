"""Periodic tests on the real processes: proved at the pins, kept as facts, and a bad one takes the cabinet out."""

from __future__ import annotations

import json
import subprocess
import sys
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from hil_rig.harness import CONTACTOR_PIN, HEARTBEAT_PIN, Harness, Setup, relay_pin, wait
from hil_rig.loads import constant
from hil_rig.world import Happening
from pilenode.ipc import messages
from pilenode.ipc.client import RequestError, ask
from tests.scenarios.steps import switch_on

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.bench


@pytest.fixture
def whole(tmp_path: Path) -> Iterator[Harness]:
    """Return a cabinet with everything fitted, its guard and its station."""
    with Harness(tmp_path / "cabinet", Setup(profile="default", full=True)) as harness:
        harness.start("guard")
        client = harness.guard()
        wait("every meter read", lambda: all(port.register_mwh is not None for port in client.snapshot().ports))
        harness.start("station")
        wait("the station sees guard", lambda: harness.status().guard is not None)
        yield harness


def command(cabinet: Harness, *arguments: str) -> tuple[int, str]:
    """Run ``pilenode tests`` and return its exit status and what it printed."""
    line = [sys.executable, "-P", "-m", "pilenode.cli", "tests", *arguments]
    where = ["--socket", str(cabinet.directory / "control.sock"), "--lang", "en"]
    done = subprocess.run([*line, *where], capture_output=True, timeout=60, check=False)
    return done.returncode, (done.stdout + done.stderr).decode()


def report(cabinet: Harness, kind: str) -> messages.PeriodicTest:
    """Return what the status tells of one test."""
    return next(test for test in cabinet.status().tests if test.kind == kind)


def longest_silence_s(cabinet: Harness, since_s: float) -> float:
    """Return the longest time between two heartbeat edges since then, seconds."""
    edges = [at_s for at_s, pin, _ in cabinet.pins() if pin == HEARTBEAT_PIN and at_s >= since_s]
    return max(later - earlier for earlier, later in pairwise(edges))


def relays_moved(cabinet: Harness, since_s: float) -> set[int]:
    """Return the relay pins that went to their active level since then."""
    relays = {relay_pin(port) for port in range(1, cabinet.setup.ports + 1)}
    return {pin for at_s, pin, level in cabinet.pins() if pin in relays and level and at_s >= since_s}


def test_dead_man_and_relays_are_proved_without_power_at_any_socket(whole: Harness) -> None:
    """Heartbeat stopped, contactor dropped by the world; then all relays seen open. No relay pin ever goes active."""
    begun_s = whole.rig.catch_up()
    assert report(whole, "dead_man").due
    status, said = command(whole, "run", "dead-man")
    assert (status, said.split(" after")[0]) == (0, "dead-man: good. dropped")
    assert longest_silence_s(whole, begun_s) > 0.3
    closed_s = whole.rig.world.last_s(Happening.CONTACTOR_CLOSED)
    opened_s = whole.rig.world.last_s(Happening.CONTACTOR_OPENED)
    assert closed_s is not None
    assert opened_s is not None
    assert begun_s < closed_s < opened_s
    assert not whole.rig.world.main_closed()

    status, said = command(whole, "run", "relays")
    assert (status, said) == (0, "relays: good. 4 ports\n")
    assert relays_moved(whole, begun_s) == set()
    levels = {pin: level for _, pin, level in whole.pins()}
    assert not levels[CONTACTOR_PIN]

    for kind in ("dead_man", "relays"):
        told = report(whole, kind)
        assert (told.due, told.last_ok) == (False, True)
        assert "cli:" in told.last_by
    whole.end("station")
    whole.start("station")
    wait("results are read again", lambda: report(whole, "dead_man").last_seq is not None)
    wait("guard is seen again", lambda: whole.status().guard is not None)
    assert not report(whole, "dead_man").due
    snapshot = whole.status().guard
    assert snapshot is not None
    assert snapshot.cabinet_faults == []


def test_a_contactor_that_holds_takes_the_cabinet_out_of_service(whole: Harness) -> None:
    """The auxiliary contact stays closed without heartbeat: failed, latched, and released with a repair only."""
    assert whole.auxiliary is not None
    client = whole.guard()
    control = str(whole.directory / "control.sock")
    ask(control, messages.OrderTest(kind="dead_man"), messages.Done)
    wait("the test runs", lambda: client.snapshot().test_running == "dead_man")
    wait("the contactor is closed", lambda: client.snapshot().contactor_feedback)
    whole.auxiliary.stuck = True
    wait("the result is a fact", lambda: report(whole, "dead_man").last_ok is False)
    told = report(whole, "dead_man")
    assert told.last_detail.startswith("still closed after 1.")
    assert told.due
    assert "dead_man_failed" in client.snapshot().cabinet_faults
    refused = client.ask(messages.Grant(port=1, session="s", ttl_s=9.0))
    assert isinstance(refused, messages.Refused)
    assert refused.code == "cabinet_faulty"
    status, said = command(whole, "run", "dead-man")
    assert (status, "cabinet" in said) == (3, True)

    whole.auxiliary.stuck = None
    wait("the contact is sound", lambda: client.snapshot().contactor_feedback is False)
    with pytest.raises(RequestError, match="repair"):
        ask(control, messages.ResetFault(port=None, by="Li"), messages.Done)
    ask(control, messages.ResetFault(port=None, by="Li", repair="charge pump replaced"), messages.Done)
    assert command(whole, "run", "dead-man")[0] == 0


def test_a_welded_relay_is_found_before_anybody_plugs_in_again(whole: Harness) -> None:
    """A load behind a welded relay draws as soon as the contactor closes: failed, and that port is latched."""
    whole.rig.plug(2, constant(200.0))
    whole.rig.weld(2)
    status, said = command(whole, "run", "relays")
    assert (status, said) == (7, "relays: failed. live though open: 2\n")
    client = whole.guard()
    wait("port 2 is latched", lambda: client.snapshot().ports[1].state == "tripped")
    assert not client.snapshot().contactor


def test_nobody_charging_is_disturbed_and_a_person_is_recorded(whole: Harness) -> None:
    """With a port in use a test is refused and the charge goes on; the RCD's test is a fact with a name."""
    client = whole.guard()
    whole.rig.plug(1, constant(200.0))
    whole.order(1, "o-1")
    wait("port 1 charges", lambda: client.snapshot().ports[0].closed)
    status, said = command(whole, "run", "dead-man")
    assert (status, "A port is in use" in said) == (3, True)
    assert report(whole, "dead_man").waits == "not_idle"
    assert client.snapshot().ports[0].closed
    assert command(whole, "record", "rcd", "--by", "Li Wei") == (0, "Recorded.\n")
    listed = json.loads(command(whole, "--json")[1])["tests"]
    (rcd,) = (test for test in listed if test["kind"] == "rcd")
    assert (rcd["due"], rcd["last_ok"], "Li Wei" in rcd["last_by"]) == (False, True, True)
    whole.stop(1)
    wait("port 1 is open", lambda: not client.snapshot().ports[0].closed)
    switch_on(client, 2, "later")
