"""A load steps to twice the limit at a random moment: time from the step to the open relay.

Bound: one sweep + two samples + 100 ms, computed from the wire: a sample is one transaction (request, turn-round,
reply, two silences), a sweep one transaction per port. Conditions: station well, stopped (SIGSTOP), killed, the
broker gone, the disk of both processes full.
"""

from __future__ import annotations

import random
import signal
import time
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hil_rig.broker import Broker
from hil_rig.disk import SmallDisk
from hil_rig.figures import Figure
from hil_rig.harness import GuardClient, Harness, HarnessError, Setup, wait
from hil_rig.loads import constant
from hil_rig.world import Happening
from pilenode.ipc import messages
from pilenode.ipc.client import RequestError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

PORTS, BAUD, REGISTERS, TURNAROUND_S = 4, 19_200, 10, 0.005
#: Twice the port's limit of 6 A at 220 V and a power factor of 0.98.
OVERLOAD_W = 2 * 6.0 * 220.0 * 0.98
#: Start, 8 data bits, stop.
_BITS = 10
_REQUEST_BYTES, _OVERHEAD_BYTES = 8, 5


def sample_s() -> float:
    """Return the wire time of one transaction: request, reply, turn-round and two silences of 3.5 characters."""
    characters = _REQUEST_BYTES + _OVERHEAD_BYTES + 2 * REGISTERS + 2 * 3.5
    return characters * _BITS / BAUD + TURNAROUND_S


def bound_ms() -> float:
    """Return one sweep + two samples + 100 ms."""
    return ((PORTS + 2) * sample_s() + 0.1) * 1000


def measure(directory: Path, count: int) -> Iterator[Figure]:
    """Yield one figure per condition: step to open relay, ms."""
    for number, (condition, trouble) in enumerate(CONDITIONS.items()):
        figure = Figure("over-current", condition, "ms", bound_ms(), count)
        with ExitStack() as stack:
            disk = stack.enter_context(SmallDisk(directory / f"disk-{number}"))
            broker = stack.enter_context(Broker())
            setup = Setup(ports=PORTS, baud=BAUD, turnaround_s=TURNAROUND_S, upstream_url=broker.url, profile="default")
            cabinet = stack.enter_context(Harness(directory / f"cabinet-{number}", setup, storage=disk.path))
            cabinet.start("guard")
            cabinet.start("station")
            bench = Bench(cabinet, cabinet.guard(), broker, disk)
            wait("every port ready", bench.ready)
            for shot in range(count):
                try:
                    figure.samples.append(bench.shoot(1 + shot % PORTS, f"shot-{shot}", trouble))
                except (HarnessError, RequestError) as error:
                    figure.failures.append(f"{shot}: {error}")
        yield figure


@dataclass(frozen=True, slots=True)
class Bench:
    """What a shot needs."""

    cabinet: Harness
    guard: GuardClient
    broker: Broker
    disk: SmallDisk

    def shoot(self, port: int, order: str, trouble: Trouble) -> float:
        """Charge on ``port``, make trouble, overload the port at a random moment; return ms to the open relay."""
        world = self.cabinet.rig.world
        self.cabinet.rig.plug(port, constant(200.0))
        wait("session started", lambda: self._start(port, order), 15.0, every_s=0.1)
        wait("current flows", lambda: world.meter(port).current_a > 0, 10.0)
        try:
            trouble.make(self)
            time.sleep(random.uniform(0.1, 0.4))
            self.cabinet.rig.plug(port, constant(OVERLOAD_W))
            wait("port trips", lambda: self.guard.snapshot().ports[port - 1].state == "tripped", 10.0)
            wait("current stops", lambda: world.meter(port).current_a == 0, 1.0)
        finally:
            trouble.end(self)
        passed, opened = world.last_s(Happening.LIMIT_PASSED, port), self.cabinet.rig.opened_at(port)
        if passed is None or opened is None or opened < passed:
            raise HarnessError("the relay did not open after the step")
        wait("reset", lambda: self.guard.ask(messages.Reset(port=port, by="bench")) == messages.Done(), 10.0)
        return (opened - passed) * 1000

    def ready(self) -> bool:
        """Return whether every meter and probe has been read: an order before that is refused for good."""
        ports = self.guard.snapshot().ports
        return all(port.register_mwh is not None and port.temperature_c is not None for port in ports)

    def _start(self, port: int, order: str) -> bool:
        try:
            self.cabinet.order(port, order)
        except RequestError:
            return False
        return True


@dataclass(frozen=True, slots=True)
class Trouble:
    """How a condition is made just before a shot, and ended after it."""

    make: Callable[[Bench], object]
    end: Callable[[Bench], object]


CONDITIONS = {
    "station well": Trouble(lambda _: None, lambda _: None),
    "station stopped (SIGSTOP)": Trouble(
        lambda bench: bench.cabinet.signal("station", signal.SIGSTOP),
        lambda bench: bench.cabinet.signal("station", signal.SIGCONT),
    ),
    "station killed (SIGKILL)": Trouble(
        lambda bench: bench.cabinet.kill("station"), lambda bench: bench.cabinet.start("station")
    ),
    "broker gone": Trouble(lambda bench: bench.broker.kill(), lambda bench: bench.broker.start()),
    "disk full": Trouble(lambda bench: bench.disk.fill(), lambda bench: bench.disk.free()),
}
