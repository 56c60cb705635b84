"""A whole station and guard's loop in one event loop, with simulated pins: what the doors of a cabinet lead to.

Nothing is stubbed between a message and a relay: gate, sessions, journal (in memory where there is room), guard's
socket and the safety core are the shipped ones. Broker, wires and wall clock are not there.
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
from typing import TYPE_CHECKING, Final

import msgspec

import safety
from config.load import merge_text
from hil_rig.contract.samples import WALL_MS
from hil_rig.fuzz.doors import BrokenPromiseError
from hil_rig.fuzz.guard_bench import SETTINGS, GuardBench, scratch
from pilenode import clock
from pilenode.station.desired_start import choose
from pilenode.station.desired_store import FOLDER, DesiredStore
from pilenode.station.main import Station
from pilenode.station.wallclock import Reading
from pilenode.upstream.facts import SessionStarted

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from typing import TypeVar

    _T = TypeVar("_T")

NODE: Final = "fuzz-1"
#: How often guard looks at its socket, and how often it ticks while nobody asks for anything, seconds.
_SERVE_S: Final = 0.001
_IDLE_S: Final = 0.05
#: Nothing that a cabinet is asked for takes longer, seconds.
PATIENCE_S: Final = 10.0

#: The smallest configuration of two ports.
SMALL: Final = """
profile = "default"
[node]
id = "{node}"
[guard]
socket = "{guard}"
[station]
data_dir = "{data}"
control_socket = "{control}"
[journal]
ballast_mb = 1
reserve_mb = 1
[[bus]]
name = "main"
device = "/dev/null"
[[port]]
number = 1
relay = {{ pin = 5 }}
meter = {{ bus = "main", unit = 1, model = "pzem004t-v3" }}
[[port]]
number = 2
relay = {{ pin = 6 }}
meter = {{ bus = "main", unit = 2, model = "pzem004t-v3" }}
"""


class Cabinet:
    """A running cabinet. ``started`` are the ports that somebody with authority has started since it runs."""

    def __init__(self, extra: str = "", keys: bytes | None = None) -> None:
        self.started: set[int] = set()
        self._directory = scratch()
        if keys is not None:
            (self._directory / "keys").write_bytes(keys)
            extra += f'operations_key_file = "{self._directory}/keys"\n'
        self._guard = GuardBench(clock.monotonic_s())
        self._guard.refresh(safety.initial(SETTINGS), clock.monotonic_s())
        self._loop = asyncio.new_event_loop()
        self._failure: BaseException | None = None
        self._loop.set_exception_handler(self._unhandled)
        self._begun_ms = clock.boottime_ms()
        self.control_socket = self._directory / "control.sock"
        self.station = self._loop.run_until_complete(self._build(extra))
        self._tasks: list[asyncio.Task[object]] = []
        self.spawn(self._serve())
        self.do(self._begin)

    async def _build(self, extra: str) -> Station:
        text = SMALL.format(node=NODE, guard=self._guard.socket, data=self._directory, control=self.control_socket)
        local = merge_text(text + extra)
        station = Station(local.config)
        store = DesiredStore(self._directory / FOLDER)
        station.follow_desired(store, choose(store, local))
        station._wall._read = self._reading  # noqa: SLF001 - the wall of a time in which the samples are fresh
        return station

    async def _begin(self) -> None:
        station = self.station
        await station._timekeeper.prepare()  # noqa: SLF001 - the order of Station.run
        await station._sessions.tick()  # noqa: SLF001
        await station._acts.catch_up()  # noqa: SLF001
        await station._sessions.tick()  # noqa: SLF001
        await station._control.open()  # noqa: SLF001

    def _reading(self) -> Reading:
        at_ms = clock.boottime_ms()
        wall_ms = WALL_MS + 1000 + at_ms - self._begun_ms
        return Reading(clock.boot_id(), at_ms, wall_ms, synced_ms=WALL_MS)

    async def _serve(self) -> None:
        """Be guard: answer, and tick when somebody waits for it."""
        guard, ticked_s = self._guard, 0.0
        while True:
            guard.server.serve(0.0)
            now = clock.monotonic_s()
            if guard.server._pending or now - ticked_s >= _IDLE_S:  # noqa: SLF001
                guard.tick(now)
                ticked_s = now
            await asyncio.sleep(_SERVE_S)

    def _unhandled(self, _loop: asyncio.AbstractEventLoop, context: dict[str, object]) -> None:
        error = context.get("exception")
        self._failure = error if isinstance(error, BaseException) else RuntimeError(str(context.get("message")))

    def spawn(self, work: Awaitable[object]) -> asyncio.Task[object]:
        """Let ``work`` run beside everything else."""
        task = self._loop.create_task(_as_coroutine(work))
        self._tasks.append(task)
        return task

    def do(self, work: Callable[[], Awaitable[_T]]) -> _T:
        """Do ``work`` while the cabinet runs. What a task of the cabinet raised meanwhile is raised."""

        async def bounded() -> _T:
            async with asyncio.timeout(PATIENCE_S):
                return await work()

        try:
            result = self._loop.run_until_complete(bounded())
        except TimeoutError as error:
            self._look_at_parts()
            raise BrokenPromiseError(f"no end after {PATIENCE_S:g} s") from error
        self._look_at_parts()
        return result

    def _look_at_parts(self) -> None:
        if self._failure is not None:
            failure, self._failure = self._failure, None
            raise failure
        for task in self._tasks:
            if task.done():
                raise task.exception() or BrokenPromiseError("a part of the cabinet has ended")

    def look(self) -> int:
        """Return how many relays have closed by now with authority. Raises BrokenPromiseError for any other."""
        wrong = set(self._guard.pins.closings) - self.started
        if wrong:
            raise BrokenPromiseError(f"relay closed without authority: {sorted(wrong)}")
        return len(self._guard.pins.closings)

    def rest(self) -> None:
        """End whatever runs and see every relay open: from here on, nobody has authority."""
        self.do(self._switch_off)
        self.started.clear()
        self._guard.pins.forget()

    async def _switch_off(self) -> None:
        sessions, journal = self.station._sessions, self.station._journal  # noqa: SLF001
        for facts in await journal.open_sessions():
            if facts.start is not None and facts.start.session is not None:
                port = msgspec.json.decode(facts.start.body, type=SessionStarted).port
                await sessions.stop(port, "technician", session=facts.start.session, order=None)
        while self._guard.pins.on:
            await sessions.tick()
            await asyncio.sleep(_IDLE_S)

    def close(self) -> None:
        """End everything."""
        self._loop.run_until_complete(self._end())
        self._loop.close()
        self._guard.close()
        shutil.rmtree(self._directory, ignore_errors=True)

    async def _end(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        with contextlib.suppress(Exception):
            await self.station._control.close()  # noqa: SLF001
        await self.station._guard.close()  # noqa: SLF001
        await self.station._journal.close()  # noqa: SLF001


async def _as_coroutine(work: Awaitable[object]) -> object:
    return await work
