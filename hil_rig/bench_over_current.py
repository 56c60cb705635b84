"""A load steps to twice the limit at a random moment: time from the step to the open relay, whatever happens around.

Bound: what ``safety.budget`` computes for this very cabinet, without the renewal of the meter's registers, because the
meters of this rig show the moment. Conditions: station well, stopped (SIGSTOP), killed, four busy loops on the machine,
the broker gone, the disk of both processes full, and a storm of fsync in the directories of both. Ports are overloaded
in volleys: all of a cabinet under one trouble, each at a moment of its own.
"""

from __future__ import annotations

import random
import signal
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from hil_rig.bench_hazards import bounds_of
from hil_rig.broker import Broker
from hil_rig.disk import SmallDisk
from hil_rig.figures import Figure
from hil_rig.harness import GuardClient, Harness, HarnessError, Setup, wait
from hil_rig.load_children import suffering
from hil_rig.loads import constant
from hil_rig.world import Happening
from pilenode.ipc import messages
from pilenode.ipc.client import RequestError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

PORTS, BAUD = 8, 19_200
#: Twice the port's limit of 6 A at 220 V and a power factor of 0.98.
OVERLOAD_W = 2 * 6.0 * 220.0 * 0.98
_BUSY_LOOPS = 4


def measure(directory: Path, count: int, only: str | None = None) -> Iterator[Figure]:
    """Yield one figure per condition, or that of one of them: step to open relay, ms."""
    for number, (condition, trouble) in enumerate(CONDITIONS.items()):
        if only not in (None, condition):
            continue
        with ExitStack() as stack:
            disk = stack.enter_context(SmallDisk(directory / f"disk-{number}"))
            broker = stack.enter_context(Broker())
            setup = Setup(ports=PORTS, baud=BAUD, upstream_url=broker.url, profile="default")
            storage = disk.path if trouble.small_disk else None
            cabinet = stack.enter_context(Harness(directory / f"cabinet-{number}", setup, storage=storage))
            cabinet.physics_first()
            cabinet.start("guard")
            cabinet.start("station")
            bounds = bounds_of(cabinet)[1]
            bound_ms = (bounds.fast() - bounds.own.refresh_s) * 1000
            figure = Figure("over-current", condition, "ms", bound_ms, count)
            bench = Bench(cabinet, cabinet.guard(), broker, disk)
            wait("every port ready", bench.ready)
            volley = 0
            while len(figure.samples) + len(figure.failures) < count:
                ports = random.sample(range(1, PORTS + 1), min(PORTS, count - len(figure.samples)))
                volley += 1
                try:
                    figure.samples += bench.volley(ports, f"volley-{volley}", trouble)
                except (HarnessError, RequestError) as error:
                    figure.failures.append(f"{volley}: {error}")
        yield figure


@dataclass(frozen=True, slots=True)
class Bench:
    """What a volley needs."""

    cabinet: Harness
    guard: GuardClient
    broker: Broker
    disk: SmallDisk
    suffering: list[AbstractContextManager[None]] = field(default_factory=list)

    def volley(self, ports: list[int], order: str, trouble: Trouble) -> list[float]:
        """Charge on ``ports``, make trouble, overload each at a random moment; return ms to the open relays."""
        world = self.cabinet.rig.world
        for port in ports:
            self.cabinet.rig.plug(port, constant(200.0))
            wait("session started", lambda port=port: self._start(port, f"{order}-{port}"), 20.0, every_s=0.1)  # type: ignore[misc]
        wait("current flows", lambda: all(world.meter(port).current_a > 0 for port in ports), 10.0)
        try:
            trouble.make(self)
            moments = sorted((random.uniform(0.1, 0.6), port) for port in ports)
            began_s = time.monotonic()
            for moment_s, port in moments:
                time.sleep(max(0.0, began_s + moment_s - time.monotonic()))
                self.cabinet.rig.plug(port, constant(OVERLOAD_W))
            wait("ports trip", lambda: self._tripped(ports), 10.0)
            wait("current stops", lambda: all(world.meter(port).current_a == 0 for port in ports), 1.0)
        finally:
            trouble.end(self)
        took = [self._took_ms(port) for port in ports]
        for port in ports:
            self.cabinet.rig.plug(port, None)
            reset = messages.Reset(port=port, by="bench")
            wait("reset", lambda reset=reset: self.guard.ask(reset) == messages.Done(), 10.0)  # type: ignore[misc]
        return took

    def _tripped(self, ports: list[int]) -> bool:
        seen = self.guard.snapshot().ports
        return all(seen[port - 1].state == "tripped" for port in ports)

    def _took_ms(self, port: int) -> float:
        passed = self.cabinet.rig.world.last_s(Happening.LIMIT_PASSED, port)
        opened = self.cabinet.rig.opened_at(port)
        if passed is None or opened is None or opened < passed:
            raise HarnessError(f"the relay of port {port} did not open after the step")
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

    def suffer(self, *tasks: list[str]) -> None:
        """Start children that load the machine."""
        context = suffering(*tasks)
        context.__enter__()
        self.suffering.append(context)

    def relieve(self) -> None:
        """End them."""
        while self.suffering:
            self.suffering.pop().__exit__(None, None, None)


@dataclass(frozen=True, slots=True)
class Trouble:
    """How a condition is made just before a volley, and ended after it. ``small_disk``: both write to a small disk."""

    make: Callable[[Bench], object]
    end: Callable[[Bench], object]
    small_disk: bool = True


def _storm(bench: Bench) -> None:
    storage = bench.cabinet.storage
    bench.suffer(["fsync", str(storage / "guard"), str(storage / "station")])


CONDITIONS = {
    "station well": Trouble(lambda _: None, lambda _: None),
    "station stopped (SIGSTOP)": Trouble(
        lambda bench: bench.cabinet.signal("station", signal.SIGSTOP),
        lambda bench: bench.cabinet.signal("station", signal.SIGCONT),
    ),
    "station killed (SIGKILL)": Trouble(
        lambda bench: bench.cabinet.kill("station"), lambda bench: bench.cabinet.start("station")
    ),
    "four busy loops": Trouble(lambda bench: bench.suffer(*[["busy"]] * _BUSY_LOOPS), lambda bench: bench.relieve()),
    "broker gone": Trouble(lambda bench: bench.broker.kill(), lambda bench: bench.broker.start()),
    "disk full": Trouble(lambda bench: bench.disk.fill(), lambda bench: bench.disk.free()),
    "fsync storm": Trouble(_storm, lambda bench: bench.relieve(), small_disk=False),
}
