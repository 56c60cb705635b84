"""A cabinet that boots without a network: ``python -m hil_rig.bench_boot_offline [--facts N] [--starts N]``.

The bench has a network namespace of its own, which needs root; real guard, real station.

- Cold starts with nobody at the broker's address, with a name server that never answers, with packets that vanish, and
  with no network at all: from the start of the station's process until its control socket answers, and until a session
  has begun.
- Then, with no network, customers start sessions while the station is killed (SIGKILL) at random moments, until the
  journal holds ``--facts``. Only then there is a network, a broker and a backend.

Exit status 0 when every start was within ``START_S``, and in the end every fact is at the backend exactly once in an
unbroken chain, and every session that was ever confirmed has exactly one start and one end there.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

from hil_rig import bench_station_kills, delivered
from hil_rig.bench_station_kills import Customers
from hil_rig.broker import Broker
from hil_rig.child import environment, python
from hil_rig.harness import Harness, Setup, wait
from hil_rig.loads import constant
from hil_rig.upstream import BackendProcess
from pilenode.ipc.client import RequestError
from pilenode.ipc.wish import Wish

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

#: From the start of the station's process until a session has begun, seconds.
START_S: Final = 5.0
#: As thingsboard-gateway is tried in the same way.
FACTS: Final = 900
_NODE: Final = "rig-001"
_PORT: Final = 18_830
_INSIDE: Final = "PILENODE_BENCH_BOOT"
_HOLE: Final = "10.78.0.9"
_ADDRESSES: Final = {
    "no network": f"127.0.0.1:{_PORT}",
    "nobody there": f"127.0.0.1:{_PORT}",
    "packets vanish": f"{_HOLE}:1883",
    "no name server": "broker.example.org:1883",
}
_TOLD_S: Final = 120.0
_MOST_S: Final = 900.0


def _run(*words: str) -> None:
    subprocess.run(words, check=True, stdin=subprocess.DEVNULL)


def _dig_hole(directory: Path) -> None:
    """Have an address that packets go to and nothing comes from, and a name server there."""
    names = directory / "resolv.conf"
    names.write_text(f"nameserver {_HOLE}\n", encoding="ascii")
    _run("mount", "--bind", str(names), "/etc/resolv.conf")
    _run("ip", "link", "add", "hole0", "type", "veth", "peer", "name", "hole1")
    for end in ("hole0", "hole1"):
        _run("ip", "link", "set", end, "up")
    _run("ip", "address", "add", "10.78.0.1/24", "dev", "hole0")
    _run("ip", "neighbour", "add", _HOLE, "lladdr", "02:00:00:00:00:09", "dev", "hole0", "nud", "permanent")


@dataclass(slots=True)
class Report:
    """``answers_s``, ``begins_s``: by case, seconds of every cold start. ``kinds``: what the journal holds."""

    answers_s: dict[str, list[float]] = field(default_factory=dict)
    begins_s: dict[str, list[float]] = field(default_factory=dict)
    kills: int = 0
    facts: int = 0
    sessions: int = 0
    told_s: float = 0.0
    kinds: dict[str, int] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)

    def lines(self) -> list[str]:
        """Return the table."""
        rows = [
            f"cold start, {case:<15} {len(each)} times: answers within {max(each):.2f} s, "
            f"a session has begun within {max(self.begins_s[case]):.2f} s (allowed {START_S:g})"
            for case, each in self.answers_s.items()
        ]
        kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(self.kinds.items(), key=lambda one: -one[1]))
        if self.facts:
            rows.append(
                f"offline from boot: {self.facts} facts, {self.sessions} sessions, station killed {self.kills} times; "
                f"all told {self.told_s:.1f} s after the network came"
            )
            rows.append(f"  {kinds}")
        return rows


def cold_starts(directory: Path, starts: int, report: Report) -> None:
    """Start a station that can reach nobody, in every way of not reaching anybody."""
    for case, address in _ADDRESSES.items():
        if case == "nobody there":
            _run("ip", "link", "set", "lo", "up")
        elif case == "packets vanish":
            _dig_hole(directory)
        place = directory / case.replace(" ", "-")
        answers, begins = report.answers_s.setdefault(case, []), report.begins_s.setdefault(case, [])
        with _cabinet(place, f"mqtt://{address}") as cabinet:
            for number in range(1, starts + 1):
                begun_s = time.monotonic()
                cabinet.start("station")
                answers.append(time.monotonic() - begun_s)
                wait("a session has begun", lambda number=number: _begins(cabinet, number), 60.0)  # type: ignore[misc]
                begins.append(time.monotonic() - begun_s)
                cabinet.stop(1)
                cabinet.kill("station")
        if max(begins) > START_S:
            report.failures.append(f"{case}: a session began after {max(begins):.1f} s, allowed {START_S:g}")


def _cabinet(place: Path, url: str) -> Harness:
    extra = "retry_base_s = 0.1\nretry_cap_s = 2\nspread_s = 0\ndrain_bytes_s = 0\n"
    return _Ready(place, Setup(_NODE, ports=10, upstream_url=url, extra=extra))


class _Ready(Harness):
    """A cabinet whose guard runs and whose ports all have something to charge."""

    def __enter__(self) -> Self:
        super().__enter__()
        for port in self.rig.meters:
            self.rig.plug(port, constant(300.0, speed=100.0))
        self.start("guard")
        return self


def _begins(cabinet: Harness, number: int) -> bool:
    try:
        cabinet.order(1, f"cold-{number}", Wish(duration_s=60))
    except RequestError:
        return False
    return True


def killed_offline(directory: Path, facts: int, report: Report, longest_s: float) -> None:
    """Let sessions run without a network while the station is killed; then let there be one."""
    broker = Broker(_PORT)
    journal = directory / "cabinet" / "station" / "journal.db"
    with ExitStack() as stack:
        cabinet = stack.enter_context(_cabinet(directory / "cabinet", f"mqtt://127.0.0.1:{_PORT}"))
        cabinet.start("station")
        customers = Customers(cabinet)
        customers.start()
        for last in _killing(cabinet, report, longest_s):
            if last >= facts:
                break
        customers.stop()
        wait("every session has ended", lambda: not cabinet.status().sessions, 60.0, every_s=0.2)
        _run("ip", "link", "set", "lo", "up")
        begun_s = time.monotonic()
        stack.enter_context(broker)
        backend = stack.enter_context(BackendProcess(broker.url, directory / "backend.db", ("--mqtt", "auto")))
        wait("all is told", lambda: cabinet.status().outbox == 0, _TOLD_S, every_s=0.1)
        report.told_s = time.monotonic() - begun_s
        cabinet.end("station")
        store = backend.store
        report.failures += delivered.problems(journal, store, _NODE) + bench_station_kills.problems(store, customers)
        rows = store.rows(_NODE)
        report.facts, report.sessions = len(rows), len(customers.confirmed)
        report.kinds = dict(Counter(str(row.fact.kind) for row in rows))
        if not report.sessions:
            report.failures.append("no session was confirmed")


def _killing(cabinet: Harness, report: Report, longest_s: float) -> Iterator[int]:
    """Kill the station again and again; yield the newest fact each time."""
    end = time.monotonic() + _MOST_S
    while time.monotonic() < end:
        time.sleep(random.uniform(0.3, longest_s))
        cabinet.kill("station")
        report.kills += 1
        time.sleep(random.uniform(0.0, 0.3))
        cabinet.start("station")
        last = cabinet.status().last_seq
        if sys.stderr.isatty():
            print(f"\r{last} facts, {report.kills} kills", end="", file=sys.stderr, flush=True)
        yield last


def inside(options: argparse.Namespace) -> int:
    """Measure; network and mounts are our own."""
    report = Report()
    with tempfile.TemporaryDirectory(prefix="pilenode-boot-", ignore_cleanup_errors=True) as place:
        directory = Path(place)
        if options.facts:
            (directory / "killed").mkdir()
            killed_offline(directory / "killed", options.facts, report, options.longest)
            _run("ip", "link", "set", "lo", "down")
        if options.starts:
            cold_starts(directory, options.starts, report)
            _run("umount", "/etc/resolv.conf")
    print("\n".join(report.lines()))
    for failure in report.failures:
        print(f"BROKEN: {failure}")
    if options.json:
        options.json.write_text(json.dumps(asdict(report), indent=1), encoding="utf-8")
    return 1 if report.failures else 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return the exit status."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    parser = argparse.ArgumentParser(prog="python -m hil_rig.bench_boot_offline", description=__doc__)
    parser.add_argument("--facts", type=int, default=FACTS, help="written before there is a network; 0: leave that out")
    parser.add_argument("--starts", type=int, default=5, help="cold starts in each case")
    parser.add_argument("--longest", type=float, default=3.0, help="seconds between two kills, at most")
    parser.add_argument("--json", type=Path, help="write everything there")
    options = parser.parse_args(words)
    if os.environ.get(_INSIDE):
        return inside(options)
    if os.geteuid() != 0 or not all(shutil.which(program) for program in ("ip", "unshare", "mount")):
        print("needs root and ip, unshare, mount", file=sys.stderr)
        return 2
    command = ["unshare", "-n", "-m", *python("-m", "hil_rig.bench_boot_offline"), *words]
    return subprocess.run(command, env=environment() | {_INSIDE: "1"}, stdin=subprocess.DEVNULL, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
