"""How late the ticks of a real guard process are, at SCHED_FIFO and at normal priority, idle and under load.

The load: four busy loops and a program that writes and syncs for ever, on the disk of guard's own state. The rig itself
runs at a real-time priority below guard's: meters do not share a processor with the cabinet in life.

One measure of ``pilenode.guard.realtime`` is left out at a time, to show what it is worth; the program under test is
started through this module for that: ``python -m hil_rig.bench_ticks --config FILE [--without NAME]``.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from hil_rig.child import environment, python
from hil_rig.figures import Figure
from hil_rig.harness import GuardClient, Harness, HarnessError, Setup, wait
from hil_rig.loads import constant
from pilenode.guard import realtime
from pilenode.ipc import messages

if TYPE_CHECKING:
    from collections.abc import Iterator

#: The promise: 99.9 of 100 ticks at SCHED_FIFO under load are at most this late, ms.
BOUND_MS: Final = 5.0
_PORTS: Final = 10
_LIVE: Final = 4
_RENEW_S: Final = 10.0
#: Above ordinary programs, below guard.
_RIG_PRIORITY: Final = 10
_BUSY_LOOPS: Final = 4
# Both end by themselves when the bench dies.
_BUSY: Final = (
    "import os\nos.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))\nwhile os.getppid() == {parent}: pass"
)
_STORM: Final = """
import os
os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
file = os.open({path!r}, os.O_WRONLY | os.O_CREAT)
while os.getppid() == {parent}:
    os.pwrite(file, bytes(1 << 20), 0)
    os.fsync(file)
"""
#: What can be left out: the functions of ``pilenode.guard.realtime`` by a short name.
MEASURES: Final = {
    "fifo": "raise_priority",
    "mlock": "lock_memory",
    "gc-freeze": "freeze_garbage",
    "switch-interval": "shorten_switch_interval",
}
#: (without, loaded, bound in ms or None)
_CONDITIONS: Final[tuple[tuple[str, bool, float | None], ...]] = (
    ("", False, None),
    ("", True, BOUND_MS),
    ("fifo", False, None),
    ("fifo", True, None),
    ("mlock", True, None),
    ("gc-freeze", True, None),
    ("switch-interval", True, None),
)


@dataclass(slots=True)
class TickFigure(Figure):
    """Lateness of all ticks of one guard, ms, as guard itself counts it.

    ``wanted`` is seconds; ``bound`` is that of p99.9 and holds where ``bounded``.
    """

    bounded: bool = False
    ticks: int = 0
    p50_ms: float = 0.0
    p99_ms: float = 0.0
    p999_ms: float = 0.0
    max_ms: float = 0.0
    resident_mb: float = 0.0

    @property
    def good(self) -> bool:
        """Whether guard ran to the end, every tick took place, and the bound, where there is one, is kept."""
        return not self.failures and (not self.bounded or self.p999_ms <= self.bound)

    def summary(self) -> dict[str, object]:
        """Return the row as plain data."""
        return {
            "figure": self.name,
            "condition": self.condition,
            "unit": self.unit,
            "bound_p999": self.bound if self.bounded else None,
            "seconds": self.wanted,
            "ticks": self.ticks,
            "p50": round(self.p50_ms, 2),
            "p99": round(self.p99_ms, 2),
            "p999": round(self.p999_ms, 2),
            "max": round(self.max_ms, 2),
            "resident_mb": round(self.resident_mb, 1),
            "failures": self.failures,
            "good": self.good,
        }

    def line(self) -> str:
        """Return the row as one line of a table."""
        verdict = ("ok" if self.good else "MISSED") if self.bounded or self.failures else "shown"
        bound = f"bound p99.9 {self.bound:g}" if self.bounded else ""
        return (
            f"{self.name:<14} {self.condition:<38} {self.ticks:>6} ticks  "
            f"p50 {self.p50_ms:>7.2f}  p99 {self.p99_ms:>7.2f}  p99.9 {self.p999_ms:>7.2f}  max {self.max_ms:>7.2f} "
            f"{self.unit}  {self.resident_mb:.0f} MB  {bound} {verdict}"
        )


def measure(directory: Path, count: int) -> Iterator[TickFigure]:
    """Yield one figure per condition, each after ``count`` seconds of ticks."""
    for number, (without, loaded, bound) in enumerate(_CONDITIONS):
        condition = f"{'normal' if without == 'fifo' else 'FIFO'}, {'loaded' if loaded else 'idle'}"
        if without not in ("", "fifo"):
            condition += f", without {without}"
        figure = TickFigure("tick-lateness", condition, "ms", bound or 0.0, count, bounded=bound is not None)
        place = directory / f"ticks-{number}"
        place.mkdir(parents=True)
        try:
            with (
                _rig_priority(),
                Harness(place, Setup(profile="default", ports=_PORTS)) as cabinet,
                _load(place, on=loaded),
            ):
                _run(cabinet, figure, without, count)
        except HarnessError as error:
            figure.failures.append(str(error))
        yield figure


def _run(cabinet: Harness, figure: TickFigure, without: str, seconds: int) -> None:
    for port in range(1, _LIVE + 1):
        cabinet.rig.plug(port, constant(300.0))
    process = _start(cabinet, without)
    client = cabinet.guard()
    wait("ports read", lambda: all(port.register_mwh is not None for port in client.snapshot().ports))
    for port in range(1, _LIVE + 1):
        wait(f"port {port} granted", lambda port=port: _granted(client, port))  # type: ignore[misc]
    end_s = time.monotonic() + seconds
    while (left_s := end_s - time.monotonic()) > 0:
        time.sleep(min(_RENEW_S, left_s))
        for port in range(1, _LIVE + 1):
            client.ask(messages.Renew(port=port, session=f"tick-{port}", ttl_s=60.0))
    _fill(figure, client.snapshot(), process.pid)
    policy = os.SCHED_OTHER if without == "fifo" else os.SCHED_FIFO
    tasks = [int(task.name) for task in Path(f"/proc/{process.pid}/task").iterdir()]
    wrong = [task for task in tasks if os.sched_getscheduler(task) != policy]
    # The listener of the rig's pins is no thread of guard and may be older than guard's measures.
    if process.pid in wrong or len(wrong) > 1:
        figure.failures.append(f"{len(wrong)} threads of guard are not scheduled as the condition says")
    cabinet.end("guard")


def _granted(client: GuardClient, port: int) -> bool:
    return client.ask(messages.Grant(port=port, session=f"tick-{port}", ttl_s=60.0)) == messages.Done()


def _start(cabinet: Harness, without: str) -> subprocess.Popen[bytes]:
    arguments = ["-m", "hil_rig.bench_ticks", "--config", str(cabinet.config_file)]
    with (cabinet.directory / "guard.log").open("ab") as log:
        process = subprocess.Popen(
            python(*arguments, *(["--without", without] if without else [])),
            env=environment() | cabinet.rig.environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    cabinet.processes["guard"] = process
    wait("guard answers", lambda: _answers(cabinet), 60.0)
    return process


def _answers(cabinet: Harness) -> bool:
    status = cabinet.processes["guard"].poll()
    if status is not None:
        raise HarnessError(f"guard ended with {status}:\n{cabinet.log('guard')[-3000:]}")
    try:
        client = GuardClient(cabinet.directory / "guard.sock")
    except OSError:
        return False
    client.close()
    return True


def _fill(figure: TickFigure, snapshot: messages.Snapshot, pid: int) -> None:
    figure.ticks = snapshot.ticks
    for name in ("p50", "p99", "p999", "max"):
        value = getattr(snapshot, f"tick_late_{name}_s", None)
        if value is None:
            figure.failures.append(f"guard does not tell tick_late_{name}_s")
        else:
            setattr(figure, f"{name}_ms", value * 1000)
    wanted = 0.8 * snapshot.uptime_s / 0.05
    if snapshot.ticks < wanted:
        figure.failures.append(f"{snapshot.ticks} ticks in {snapshot.uptime_s:.0f} s")
    lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
    sizes = dict(line.split(":", 1) for line in lines)
    figure.resident_mb = int(sizes["VmRSS"].split()[0]) / 1024


@contextmanager
def _rig_priority() -> Iterator[None]:
    """Let what is started now run above ordinary programs, where that is allowed."""
    with suppress(PermissionError):
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(_RIG_PRIORITY))
    try:
        yield
    finally:
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))


@contextmanager
def _load(directory: Path, *, on: bool) -> Iterator[None]:
    parent = os.getpid()
    programs = [_BUSY.format(parent=parent)] * _BUSY_LOOPS
    programs.append(_STORM.format(parent=parent, path=str(directory / "storm")))
    children = [subprocess.Popen(python("-c", text), stdin=subprocess.DEVNULL) for text in (programs if on else [])]
    try:
        yield
    finally:
        for child in children:
            child.kill()
        for child in children:
            child.wait()


def _leave_out(measure_name: str) -> None:
    """Replace one measure by nothing, in this process."""
    name = MEASURES[measure_name]
    setattr(realtime, name, (lambda: 0) if name == "freeze_garbage" else (lambda: None))


def main() -> int:
    """Be guard, without the measure that was named."""
    parser = argparse.ArgumentParser(prog="python -m hil_rig.bench_ticks", description=__doc__)
    parser.add_argument("--config", required=True)
    parser.add_argument("--without", choices=MEASURES)
    arguments = parser.parse_args()
    # What guard has is decided by its own measures, not by the rig that started it.
    os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
    if arguments.without:
        _leave_out(arguments.without)
    from config.load import load  # noqa: PLC0415 - the program under test begins here
    from pilenode.guard.main import run  # noqa: PLC0415

    return run(load(arguments.config))


if __name__ == "__main__":
    sys.exit(main())
