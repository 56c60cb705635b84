"""The disk of a cabinet fails while people charge: ``python -m hil_rig.bench_disk_faults [--count N] [--json FILE]``.

Guard and station of a cabinet keep what must be durable on one ext4 file system. Sessions run on three ports; a fault
befalls the disk; a fourth customer asks again and again; then every running load steps to twice the limit at a moment
of its own; then the fault goes away. The same without the fault comes before each of them (where strace makes it: with
strace, which costs the machine as much). A row is good when

- every relay opened within the bound that ``safety.budget`` computes for this cabinet, and the median with the fault is
  at most a quarter above that without (over all rows; the moments are random, so it needs ``--count`` 20 or more);
- within 5 s of the fault the next start was refused with ``journal_failed`` and the state said so, and no start after
  the first refusal was accepted while it lasted. With no names left nothing has to be refused: the journal needs none;
- within 15 s of its end a start was accepted again, by the same processes;
- afterwards the log is sound and without a gap, every start that was answered is in it with exactly one end, and so is
  every cutoff.

Faults: ``full`` (not a byte left), ``no names`` (not an inode left), ``read-only`` (the kernel finds an error in the
file system and stops writing; it is checked and mounted anew), ``syncs fail`` (EIO of fdatasync and fsync of station).
Needs root and strace. Exit status 0 when every row is good.
"""

from __future__ import annotations

import argparse
import json
import sqlite3
import sys
import tempfile
import time
from collections import Counter
from contextlib import closing
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from hil_rig.bench_hazards import bounds_of
from hil_rig.bench_over_current import Bench, Trouble
from hil_rig.broker import Broker
from hil_rig.disk_faults import LoopDisk
from hil_rig.figures import percentile
from hil_rig.harness import Harness, HarnessError, Setup, wait
from pilenode.ipc.client import RequestError
from pilenode.station import schema
from pilenode.station.journal_check import broken_link
from pilenode.station.main import JOURNAL_FILE
from pilenode.upstream.facts import GENESIS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PORTS: Final = 4
_SPARE: Final = PORTS
REFUSED_S: Final = 5.0
RECOVERED_S: Final = 15.0
#: The median of the cutoff with a fault against that without, and from how many samples on it is judged.
RATIO: Final = 1.25
_ENOUGH: Final = 20
_EVERY_S: Final = 0.2


@dataclass(frozen=True, slots=True)
class Fault:
    """How a fault is made and ended. ``refuses``: no session can start while it lasts.

    ``beside``: what making it costs the machine, without the fault; the cutoffs to compare with bear it, too.
    """

    make: Callable[[LoopDisk, Harness], object]
    end: Callable[[LoopDisk], object]
    refuses: bool = True
    beside: Callable[[LoopDisk, Harness], object] = lambda disk, cabinet: None  # noqa: ARG005 - nothing


FAULTS: Final = {
    "full": Fault(lambda disk, _: disk.fill(), lambda disk: disk.free()),
    "no names": Fault(lambda disk, _: disk.use_up_names(), lambda disk: disk.give_names_back(), refuses=False),
    "syncs fail": Fault(
        lambda disk, cabinet: disk.syncs_fail(cabinet.processes["station"].pid),
        lambda disk: disk.syncs_work(),
        beside=lambda disk, cabinet: disk.syncs_fail(cabinet.processes["station"].pid, fail=False),
    ),
    "read-only": Fault(lambda disk, _: disk.break_down(), lambda disk: disk.repair()),
}


@dataclass(slots=True)
class Row:
    """What one fault did. Times in ms and s; ``plain_ms`` are the cutoffs without a fault, of the same cabinet."""

    fault: str
    bound_ms: float = 0.0
    cut_ms: list[float] = field(default_factory=list)
    plain_ms: list[float] = field(default_factory=list)
    refused_s: list[float] = field(default_factory=list)
    recovered_s: list[float] = field(default_factory=list)
    starts: int = 0
    cuts: int = 0
    facts: int = 0
    failures: list[str] = field(default_factory=list)

    @property
    def ratio(self) -> float:
        """Return the median with the fault against that without."""
        fault, plain = percentile(self.cut_ms, 0.5), percentile(self.plain_ms, 0.5)
        return 0.0 if fault is None or not plain else round(fault / plain, 2)

    def judge(self) -> None:
        """Compare with what is promised."""
        late = [took for took in (*self.cut_ms, *self.plain_ms) if took > self.bound_ms]
        self.failures += [f"relay open after {took:.0f} ms, {self.bound_ms:.0f} promised" for took in late]
        if len(self.cut_ms) >= _ENOUGH and self.ratio > RATIO:
            self.failures.append(f"cutoff {self.ratio} times that without a fault")
        self.failures += [f"no new session only after {s:.1f} s" for s in self.refused_s if s > REFUSED_S]
        self.failures += [f"recovered only after {s:.1f} s" for s in self.recovered_s if s > RECOVERED_S]

    def line(self) -> str:
        """Return the row of the table."""
        refused = f"{max(self.refused_s):.2f}" if self.refused_s else "-"
        recovered = f"{max(self.recovered_s):.2f}" if self.recovered_s else "-"
        return (
            f"{self.fault:<12} {len(self.cut_ms):>4} {percentile(self.plain_ms, 0.5)!s:>9} "
            f"{percentile(self.cut_ms, 0.5)!s:>9} {self.ratio:>6} {percentile(self.cut_ms, 1.0)!s:>9} "
            f"{self.bound_ms:>9.0f} {refused:>9} {recovered:>10} {self.starts:>7} {self.cuts:>5} {self.facts:>6}  "
            f"{'FAILED' if self.failures else 'ok'}"
        )


HEAD: Final = (
    f"{'fault':<12} {'cuts':>4} {'p50 none':>9} {'p50 fault':>9} {'ratio':>6} {'max, ms':>9} {'bound':>9} "
    f"{'no start':>9} {'start, s':>10} {'starts':>7} {'cuts':>5} {'facts':>6}"
)


class _Round:
    """One fault of one cabinet: what is asked of station while it lasts and after it."""

    def __init__(self, row: Row, fault: Fault, bench: Bench, disk: LoopDisk, name: str) -> None:
        self._row = row
        self._fault = fault
        self._cabinet = bench.cabinet
        self._guard = bench.guard
        self._disk = disk
        self._name = name
        self._asked = 0
        self.started: list[str] = []  # sessions that were answered

    def _ask(self) -> str:
        """Ask for a session on the spare port and return "" or the refusal; what starts is stopped again."""
        self._asked += 1
        try:
            self.started.append(self._cabinet.order(_SPARE, f"{self._name}-spare-{self._asked}").session)
        except RequestError as error:
            return error.code
        wait("the spare port is free", self._stopped, 10.0, every_s=0.05)
        return ""

    def _stopped(self) -> bool:
        if any(one.port == _SPARE for one in self._cabinet.status().sessions):
            try:
                self._cabinet.stop(_SPARE)
            except (RequestError, StopIteration):
                return False
        return self._guard.snapshot().ports[_SPARE - 1].state in {"idle", "ended"}

    def make(self) -> None:
        """Let the fault happen, and see that nobody starts."""
        self._fault.make(self._disk, self._cabinet)
        since_s = time.monotonic()
        if not self._fault.refuses:
            answer = self._ask()
            if answer:
                self._row.failures.append(f"{self._name}: start refused with {answer}")
            return
        while (answer := self._ask()) == "" or self._cabinet.status().journal_ok:
            if time.monotonic() - since_s > 2 * REFUSED_S:
                break
            time.sleep(_EVERY_S)
        self._row.refused_s.append(time.monotonic() - since_s)
        if answer != "journal_failed":
            self._row.failures.append(f"{self._name}: start answered with {answer or 'yes'}")
        if self._ask() != "journal_failed":
            self._row.failures.append(f"{self._name}: a later start was not refused")

    def end(self) -> None:
        """Let the fault go away, and see that people start again."""
        self._fault.end(self._disk)
        since_s = time.monotonic()
        while self._ask() or not self._cabinet.status().journal_ok:
            if time.monotonic() - since_s > 2 * RECOVERED_S:
                break
            time.sleep(_EVERY_S)
        self._row.recovered_s.append(time.monotonic() - since_s)


def measure(directory: Path, count: int, only: str | None = None, *, plain: bool = True) -> Iterator[Row]:
    """Yield one row per fault with ``count`` cutoffs each, or that of one of them; ``plain``: and as many without."""
    for name, fault in FAULTS.items():
        if only in (None, name):
            row = Row(name)
            place = directory / name.replace(" ", "-")
            try:
                with LoopDisk(place / "disk") as disk, Broker() as broker:
                    _charge(row, fault, count if plain else 0, count, _Site(place / "cabinet", disk, broker))
            except (HarnessError, RequestError) as error:
                row.failures.append(str(error))
            row.judge()
            yield row


@dataclass(frozen=True, slots=True)
class _Site:
    """Where a cabinet stands."""

    directory: Path
    disk: LoopDisk
    broker: Broker


def _charge(row: Row, fault: Fault, plain: int, count: int, site: _Site) -> None:
    """Let people charge, make the fault in the middle of it as often as it takes, and look what is left on record."""
    disk = site.disk
    with Harness(site.directory, Setup(ports=PORTS, profile="default"), storage=disk.path) as cabinet:
        cabinet.physics_first()
        processes = [cabinet.start("guard"), cabinet.start("station")]
        bounds = bounds_of(cabinet)[1]
        row.bound_ms = (bounds.fast() - bounds.own.refresh_s) * 1000
        bench = Bench(cabinet, cabinet.guard(), site.broker, disk)  # type: ignore[arg-type] # a disk is a disk
        wait("every port ready", bench.ready)
        beside = Trouble(lambda _: fault.beside(disk, cabinet), lambda _: disk.syncs_work())
        ports, sessions, volley = list(range(1, PORTS)), [], 0
        while len(row.cut_ms) < count and not row.failures:
            volley += 1
            asked = _Round(row, fault, bench, disk, f"{volley}")
            trouble = Trouble(lambda _, asked=asked: asked.make(), lambda _, asked=asked: asked.end())  # type: ignore[misc]
            if len(row.plain_ms) < plain:
                row.plain_ms += bench.volley(ports, f"plain-{volley}", beside)
            row.cut_ms += bench.volley(ports, f"fault-{volley}", trouble)
            sessions += asked.started
        row.cuts = len(row.cut_ms) + len(row.plain_ms)
        wait("every session is over", lambda: not cabinet.status().sessions, 30.0, every_s=0.2)
        if [*cabinet.processes.values()] != processes or any(one.poll() is not None for one in processes):
            row.failures.append("a process ended")
        for which in cabinet.processes:
            row.failures += [f"{which} had a bug" for line in cabinet.log(which).splitlines() if "Traceback" in line]
        cabinet.end("station")
        _look(row, disk.path / "station" / JOURNAL_FILE, sessions)


def _look(row: Row, path: Path, answered: list[str]) -> None:
    """Look whether the log has what was promised."""
    with closing(sqlite3.connect(path)) as database:
        database.row_factory = sqlite3.Row
        if database.execute("PRAGMA integrity_check").fetchone()[0] != "ok":
            row.failures.append("the log is damaged")
        (log_id,) = database.execute("SELECT value FROM meta WHERE key = 'log_id'").fetchone()
        broken = broken_link(log_id, database.execute(schema.AFTER, (0, -1)), 0, GENESIS)
        if broken is not None:
            row.failures.append(f"the chain breaks at {broken}")
        facts = [(fact["kind"], fact["session"]) for fact in database.execute("SELECT * FROM fact ORDER BY seq")]
    row.facts = len(facts)
    starts = Counter(session for kind, session in facts if kind == "session_started")
    ends = Counter(session for kind, session in facts if kind == "session_ended")
    row.starts = len(starts)
    row.failures += [f"session {session} has {ends[session]} ends" for session in starts if ends[session] != 1]
    row.failures += [f"session {session} was answered and is lost" for session in answered if session not in starts]
    cut = sum(kind == "fault_latched" for kind, _ in facts)
    if cut != row.cuts:
        row.failures.append(f"{cut} of {row.cuts} cutoffs are on record")


def main() -> int:
    """Measure, print a line per fault as it is ready, and return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m hil_rig.bench_disk_faults", description=__doc__)
    parser.add_argument("--count", type=int, default=30, help="cutoffs under each fault")
    parser.add_argument("--only", choices=FAULTS, help="this fault alone")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the rows there")
    arguments = parser.parse_args()
    rows = []
    print(HEAD, flush=True)
    with tempfile.TemporaryDirectory(prefix="pilenode-disk-", ignore_cleanup_errors=True) as directory:
        for row in measure(Path(directory), arguments.count, arguments.only):
            rows.append(row)
            print(row.line(), *(f"    {failure}" for failure in row.failures), sep="\n", flush=True)
    if arguments.json:
        arguments.json.write_text(json.dumps([asdict(row) | {"ratio": row.ratio} for row in rows], indent=1))
    return 1 if any(row.failures for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
