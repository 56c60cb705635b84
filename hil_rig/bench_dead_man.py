"""SIGKILL of guard while a port is on: the heartbeat stops and the contactor drops."""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING

from hil_rig.figures import Figure
from hil_rig.harness import Harness, HarnessError, Setup, wait
from hil_rig.loads import constant
from hil_rig.world import Happening
from pilenode.ipc import messages

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

#: The promise: 500 ms from the kill to an open contactor.
BOUND_MS = 500.0


def measure(directory: Path, count: int) -> Iterator[Figure]:
    """Yield one figure: kill to dropped contactor, ms."""
    figure = Figure("dead-man", "guard killed (SIGKILL)", "ms", BOUND_MS, count)
    with Harness(directory / "cabinet", Setup(profile="default")) as cabinet:
        cabinet.rig.plug(1, constant(500.0))
        for number in range(count):
            try:
                figure.samples.append(_one(cabinet, f"kill-{number}"))
            except HarnessError as error:
                figure.failures.append(f"{number}: {error}")
    yield figure


def _one(cabinet: Harness, session: str) -> float:
    cabinet.start("guard")
    client = cabinet.guard()
    wait("port 1 read", lambda: client.snapshot().ports[0].register_mwh is not None)
    wait("probe read", lambda: client.snapshot().ports[0].temperature_c is not None)
    reply = client.ask(messages.Grant(port=1, session=session, ttl_s=60.0))
    if reply != messages.Done():
        raise HarnessError(f"not granted: {reply}")
    wait("current flows", lambda: cabinet.rig.world.meter(1).current_a > 0)
    time.sleep(random.uniform(0.0, 0.2))
    killed = cabinet.kill("guard")
    wait("contactor drops", lambda: not cabinet.rig.world.main_closed(), 3.0)
    dropped = cabinet.rig.world.last_s(Happening.CONTACTOR_OPENED)
    if dropped is None or dropped < killed or cabinet.rig.world.meter(1).current_a != 0:
        raise HarnessError("current still flows")
    return (dropped - killed) * 1000
