"""A rack and one client against it, both as processes of their own: what the figures of the bus are made of."""

from __future__ import annotations

import contextlib
import json
import os
import resource
import shutil
import subprocess
import time
from dataclasses import dataclass
from itertools import pairwise
from statistics import median
from typing import TYPE_CHECKING, Final, Self

from hil_rig.child import environment, python
from pilenode.guard.realtime import PRIORITY
from safety.budget import OVERHEAD_BYTES, REQUEST_BYTES, line_timing

if TYPE_CHECKING:
    from collections.abc import Sequence

#: Registers of one read, and the turn-round of the rack, as in the figures that are published of other clients.
REGISTERS: Final = 10
TURNAROUND_S: Final = 0.005
#: The client is given so long before it is ended, seconds.
_PATIENCE_S: Final = 120.0


def limit_s(baud: int, units: int, turnaround_s: float = TURNAROUND_S) -> float:
    """Return the least time of a cycle: ``units · (tchar · (8 + 5 + 2n) + 2 · t3.5 + turn-round)``, 8N2."""
    timing = line_timing(baud, "N", 2, turnaround_s)
    frame_s = (REQUEST_BYTES + OVERHEAD_BYTES + 2 * REGISTERS) * timing.character_s
    return units * (frame_s + 2 * timing.silence_s + turnaround_s)


class RackProcess:
    """``python -m hil_rig.bus_rack``: a context manager. After ``stop`` ``heard`` holds what it prints at its end."""

    def __init__(self, baud: int, units: int, *, dead: Sequence[int] = (), spin: bool = False) -> None:
        options = ["--baud", str(baud), "--units", str(units), "--turnaround-ms", str(TURNAROUND_S * 1000)]
        options += [] if spin else ["--no-spin"]
        options += ["--dead", *map(str, dead)] if dead else []
        self._process = subprocess.Popen(
            python("-m", "hil_rig.bus_rack", *options),
            env=environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.device = self._line()
        self.heard = Heard(())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def set(self, unit: int, value: int) -> float:
        """Let register 0 of a unit hold ``value`` and return when, seconds (monotonic)."""
        self._say(f"set {unit} {value}\n")
        return time.monotonic()

    def stop(self) -> None:
        """End the rack and keep what it heard."""
        if self._process.returncode is None:
            self._say("end\n")
            said = json.loads(self._line())
            self.heard = Heard(tuple(map(tuple, said["requests"])), said["short_gaps"], said["gap_p50_ms"])
            self._process.communicate(timeout=5.0)  # closes both pipes

    def _say(self, text: str) -> None:
        if self._process.stdin is None:
            raise RuntimeError("the rack has no standard input")
        self._process.stdin.write(text)
        self._process.stdin.flush()

    def _line(self) -> str:
        if self._process.stdout is None:
            raise RuntimeError("the rack has no standard output")
        return self._process.stdout.readline().strip()


@dataclass(frozen=True, slots=True)
class Heard:
    """What a rack heard: (when, unit) of every request, gaps under t3.5, and the median gap."""

    requests: tuple[tuple[float, int], ...]
    short_gaps: int = 0
    gap_p50_ms: float | None = None

    def cycles_s(self, skip: int = 2) -> list[float]:
        """Return the time from one request to unit 1 to the next, without the first ``skip`` that open and learn."""
        first = [when for when, unit in self.requests if unit == 1]
        return [later - earlier for earlier, later in pairwise(first)][skip:]


@dataclass(frozen=True, slots=True)
class Segment:
    """One client on one rack for some cycles. ``cpu_s`` per 1,000 polls.

    ``ratio`` and ``best``: the median and the shortest cycle against the limit of the wire.
    """

    ratio: float
    best: float
    short_gaps: int
    gap_p50_ms: float
    cpu_s: float
    memory_mib: float | None
    failed: int


def run(client: str, baud: int, units: int, cycles: int) -> Segment:
    """Run one client for so many cycles."""
    with RackProcess(baud, units, spin=True) as rack:
        if client == "mbpoll":
            said = _mbpoll(rack.device, baud, units, cycles)
        else:
            said = _child(client, rack.device, baud, units, cycles)
    heard = rack.heard
    polls = said.get("polls", float(len(heard.requests)))
    return Segment(
        ratio=median(heard.cycles_s()) / limit_s(baud, units),
        best=min(heard.cycles_s()) / limit_s(baud, units),
        short_gaps=heard.short_gaps,
        gap_p50_ms=heard.gap_p50_ms or 0.0,
        cpu_s=said["cpu_s"] / polls * 1000,
        memory_mib=said.get("memory_mib"),
        failed=int(said.get("failed", 0)),
    )


def _child(client: str, device: str, baud: int, units: int, cycles: int) -> dict[str, float]:
    options = ["--device", device, "--baud", str(baud), "--units", str(units), "--cycles", str(cycles)]
    done = subprocess.run(
        python("-m", "hil_rig.bus_clients", client, *options),
        env=environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        timeout=_PATIENCE_S,
        check=True,
    )
    said: dict[str, float] = json.loads(done.stdout)
    return said


def _mbpoll(device: str, baud: int, units: int, cycles: int) -> dict[str, float]:
    """Run mbpoll at its highest poll rate (it pauses 11 ms after every meter) for about so many cycles."""
    options = ["-m", "rtu", "-a", f"1:{units}", "-t", "3", "-r", "1", "-c", str(REGISTERS), "-l", "11", "-o", "0.3"]
    command = ["mbpoll", *options, "-b", str(baud), "-P", "none", "-s", "2", device]
    before_s = _children_cpu_s()
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    with contextlib.suppress(OSError):
        os.sched_setscheduler(process.pid, os.SCHED_FIFO, os.sched_param(PRIORITY))
    time.sleep((cycles + 2) * (limit_s(baud, units) + units * 0.013))
    process.terminate()
    process.wait(5.0)
    return {"cpu_s": _children_cpu_s() - before_s}


def _children_cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def has_mbpoll() -> bool:
    """Return whether mbpoll is installed (Debian package of the same name)."""
    return shutil.which("mbpoll") is not None
