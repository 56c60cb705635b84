"""The upstream side of a station as a program of its own: a real journal, the real sync, nothing else.

``python -m hil_rig.sync_node --journal FILE --url URL --node NAME``. Says on its standard output, a line of JSON every
``--every`` seconds, how far it is (``Said``); until it is told to end. Beside the sync a task looks how long the event
loop makes others wait, as sessions would.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import resource
import signal
import subprocess
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

import msgspec
import structlog

from config.schema import Upstream
from config.tariff import flat_schedule
from hil_rig.child import environment, python
from pilenode.station import wallclock
from pilenode.station.acts import Acts
from pilenode.station.commands import Commands
from pilenode.station.entries import JournalFailedError, NewFact
from pilenode.station.guard_link import GuardLink
from pilenode.station.house import PlainHouse
from pilenode.station.journal import Journal
from pilenode.station.report import report
from pilenode.station.sessions import Sessions
from pilenode.station.sync import Sync, Timing
from pilenode.station.terms import Terms
from pilenode.upstream.facts import CommandResult, FactKind
from pilenode.upstream.mqtt import MqttUpstream

if TYPE_CHECKING:
    from collections.abc import Callable

_TICK_S: Final = 0.005
_OPEN_S: Final = 0.5
_START_S: Final = 30.0


class Said(msgspec.Struct, frozen=True):
    """How far it was at ``at_s`` (CLOCK_MONOTONIC).

    ``late_ms``: the longest that others waited since the last line; ``busy_ms``: the most processor time that the event
    loop took between two of their turns. ``problem``: what ``pilenode status`` would show.
    """

    at_s: float
    acked: int
    last: int
    protocol: str | None
    problem: str
    late_ms: float
    busy_ms: float
    memory_mib: float
    cpu_s: float


class Lateness:
    """Ticks beside everything else and remembers the longest delay."""

    def __init__(self) -> None:
        self.late_s = self.busy_s = 0.0

    async def run(self) -> None:
        """Tick until cancelled."""
        while True:
            begun_s, busy_s = time.monotonic(), time.thread_time()
            await asyncio.sleep(_TICK_S)
            self.late_s = max(self.late_s, time.monotonic() - begun_s - _TICK_S)
            self.busy_s = max(self.busy_s, time.thread_time() - busy_s)

    def take(self) -> tuple[float, float]:
        """Return the longest delay and the longest computing, seconds, and begin anew."""
        found = self.late_s, self.busy_s
        self.late_s = self.busy_s = 0.0
        return found


class Fresh:
    """Writes a fact that cannot wait now and then."""

    def __init__(self, journal: Journal, every_s: float) -> None:
        self._journal = journal
        self._every_s = every_s

    async def run(self) -> None:
        """Write until cancelled."""
        number = 0
        while True:
            await asyncio.sleep(self._every_s)
            number += 1
            body = CommandResult(id=f"fresh-{time.monotonic_ns()}-{number}", ok=True)
            with contextlib.suppress(JournalFailedError):
                await self._journal.append([NewFact(FactKind.COMMAND_RESULT, body)])


def _sync(options: argparse.Namespace, journal: Journal) -> tuple[Sync, MqttUpstream]:
    table = {name: getattr(options, name) for name in _TIMING if getattr(options, name) is not None}
    settings = msgspec.convert({"url": options.url} | table, Upstream)
    upstream = MqttUpstream(settings, options.node)
    terms = Terms(60.0, 60.0, lambda: flat_schedule("none", 0, 0))
    nobody = Sessions(journal, GuardLink("/nonexistent/guard.sock"), terms, PlainHouse())
    commands = Commands(journal, nobody, Acts(journal, ()))
    state = lambda: report(None, wallclock.stamp(), journal_ok=journal.status().ok)  # noqa: E731 - one line, once
    return Sync(journal, upstream, commands, state, Timing.of(settings)), upstream


_TIMING: Final = ("retry_base_s", "retry_cap_s", "spread_s", "ack_timeout_s", "telemetry_s", "drain_bytes_s")


async def _run(options: argparse.Namespace) -> None:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    journal = Journal(options.journal, reserve_bytes=0)
    sync, upstream = _sync(options, journal)
    lateness = Lateness()
    parts = [
        _keep_open(journal),
        sync.run(),
        journal.run(),
        lateness.run(),
        _tell(options.every, journal, sync, upstream, lateness),
    ]
    if options.fresh_every is not None:
        parts.append(Fresh(journal, options.fresh_every).run())
    tasks = [asyncio.create_task(part) for part in parts]
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await asyncio.wait([*tasks, asyncio.create_task(stop.wait())], return_when=asyncio.FIRST_COMPLETED)
    failed = [task.exception() for task in tasks if task.done()]
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await journal.close()
    for failure in failed:
        if failure is not None:
            raise failure


async def _keep_open(journal: Journal) -> None:
    """Open the journal, and open it again whenever it failed, as the sessions of a station do."""
    while True:
        if not journal.status().ok:
            with contextlib.suppress(JournalFailedError):
                await journal.recover()
        await asyncio.sleep(_OPEN_S)


async def _tell(every_s: float, journal: Journal, sync: Sync, upstream: MqttUpstream, lateness: Lateness) -> None:
    while True:
        await asyncio.sleep(every_s)
        problem, status = sync.problem or upstream.problem, journal.status()
        late_s, busy_s = lateness.take()
        usage = resource.getrusage(resource.RUSAGE_SELF)
        said = Said(
            at_s=time.monotonic(),
            acked=status.acked_seq,
            last=status.last_seq,
            protocol=sync.protocol,
            problem=problem.code if problem is not None else "",
            late_ms=1000 * late_s,
            busy_ms=1000 * busy_s,
            memory_mib=_most_mib(),
            cpu_s=usage.ru_utime + usage.ru_stime,
        )
        print(msgspec.json.encode(said).decode(), flush=True)


def _most_mib() -> float:
    """Return the most memory that this program has had; ``ru_maxrss`` begins with what its parent had."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) / 1024


class SyncNode:
    """That program as a child; a context manager. ``before``: words before its command line, to run it elsewhere."""

    def __init__(self, journal: Path, url: str, node: str = "rig-001", **options: float) -> None:
        self._command = python("-m", "hil_rig.sync_node", "--journal", str(journal), "--url", url, "--node", node)
        for name, value in options.items():
            self._command += [f"--{name.replace('_', '-')}", str(value)]
        self.before: tuple[str, ...] = ()
        self.said: list[Said] = []
        self._process: subprocess.Popen[bytes] | None = None
        self._listening: threading.Thread | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Start it and wait until it says something. Raises RuntimeError."""
        self._process = subprocess.Popen(
            [*self.before, *self._command], env=environment(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE
        )
        self._listening = threading.Thread(target=self._listen, args=(self._process,), daemon=True)
        count = len(self.said)
        self._listening.start()
        self.until(lambda _: len(self.said) > count, _START_S)

    def _listen(self, process: subprocess.Popen[bytes]) -> None:
        for line in process.stdout or ():
            self.said.append(msgspec.json.decode(line, type=Said))

    def until(self, condition: Callable[[Said], object], seconds: float, since: int | None = None) -> Said:
        """Wait until it says something that fulfils ``condition``, and return that. Raises RuntimeError.

        ``since``: so many lines are known already; None: all that it has said.
        """
        end, seen = time.monotonic() + seconds, len(self.said) if since is None else since
        while time.monotonic() < end:
            for said in self.said[seen:]:
                seen += 1
                if condition(said):
                    return said
            if self._process is None or self._process.poll() is not None:
                raise RuntimeError("the node has ended")
            time.sleep(0.01)
        raise RuntimeError(f"not within {seconds:g} s; last: {self.said[-1:]}")

    def kill(self) -> None:
        """End it at once (SIGKILL)."""
        if self._process is not None:
            self._process.kill()
            self._gone()

    def stop(self) -> None:
        """Ask it to end, and see that it does."""
        if self._process is not None:
            self._process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(10.0)
            self._process.kill()
            self._gone()

    def _gone(self) -> None:
        if self._process is not None and self._listening is not None:
            self._process.wait()
            self._listening.join()
            if self._process.stdout is not None:
                self._process.stdout.close()
        self._process = None


def main() -> None:
    """Run it until told to end."""
    parser = argparse.ArgumentParser(prog="python -m hil_rig.sync_node", description=__doc__)
    parser.add_argument("--journal", type=Path, required=True)
    parser.add_argument("--url", required=True)
    parser.add_argument("--node", required=True)
    parser.add_argument("--every", type=float, default=0.2, help="seconds between two lines")
    parser.add_argument("--fresh-every", type=float, help="seconds between two facts that are written meanwhile")
    for name in _TIMING:
        parser.add_argument(f"--{name.replace('_', '-')}", type=float)
    asyncio.run(_run(parser.parse_args()))


if __name__ == "__main__":
    main()
