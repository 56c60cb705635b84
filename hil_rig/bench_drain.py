"""Drain: facts a second from end to end against messages a second published one at a time.

``python -m hil_rig.bench_drain [--facts N] [--rounds N] [--json FILE]``. End to end: read from the journal, packed,
through mosquitto, committed by the reference backend, acknowledged, the acknowledgement kept in the journal. Against
it stands what paho and aiomqtt publish with QoS 1 and twenty messages on their way, each as large as one fact, to a
broker where nobody listens. Both in turns, in the same run, on the same broker.

Exit status 0 when the median of the drain is at least ``--ratio`` times that of the faster library, every fact is at
the backend exactly once in an unbroken chain, and the event loop kept nobody waiting for more than 50 ms by computing.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Final

from hil_rig import delivered, raw_publisher
from hil_rig.broker import Broker
from hil_rig.offline_week import fill
from hil_rig.sync_node import SyncNode
from hil_rig.upstream import BackendProcess

if TYPE_CHECKING:
    from collections.abc import Sequence

#: What somebody beside the drain may have to wait because it computes, ms.
MAX_BUSY_MS: Final = 50.0
RATIO: Final = 3.0
_NODE: Final = "drain-1"
_MOST_S: Final = 300.0
#: What stands around the body of a fact on the wire, bytes.
_AROUND: Final = 200


@dataclass(frozen=True, slots=True)
class Drained:
    """One drain. ``late_ms``: the longest that a task beside it waited, whatever for; ``busy_ms``: while it computed.

    ``cpu_us``: processor time of the node for one fact, its start included.
    """

    per_s: float
    late_ms: float
    busy_ms: float
    memory_mib: float
    cpu_us: float
    duplicates: int
    failures: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Report:
    """All rounds. ``raw``: messages a second of each library."""

    facts: int
    message_bytes: int
    raw: dict[str, list[float]]
    drained: list[Drained]
    wanted_ratio: float

    @property
    def ratio(self) -> float:
        """How much faster the drain is than the faster library, medians both."""
        return median(one.per_s for one in self.drained) / max(median(each) for each in self.raw.values())

    @property
    def failures(self) -> list[str]:
        """Everything that was promised and is not so."""
        found = [failure for one in self.drained for failure in one.failures]
        if self.ratio < self.wanted_ratio:
            found.append(f"{self.ratio:.2f} times raw, wanted {self.wanted_ratio:g}")
        busy_ms = max(one.busy_ms for one in self.drained)
        if busy_ms > MAX_BUSY_MS:
            found.append(f"the event loop computed for {busy_ms:.0f} ms, allowed {MAX_BUSY_MS:g}")
        return found

    def lines(self) -> list[str]:
        """Return the table."""
        rates = median(one.per_s for one in self.drained)
        rows = [
            f"{name:<10} {median(each):>9.0f} messages/s of {self.message_bytes} B: drain {rates / median(each):.2f} x"
            for name, each in self.raw.items()
        ]
        rows.append(
            f"{'drain':<10} {rates:>9.0f} facts/s   {self.ratio:.2f} x the faster (wanted {self.wanted_ratio:g})"
        )
        for number, one in enumerate(self.drained, start=1):
            rows.append(
                f"  round {number}: {one.per_s:.0f} facts/s, others waited {one.late_ms:.0f} ms at most, "
                f"{one.busy_ms:.0f} ms of it computing; {one.cpu_us:.0f} us of processor a fact, "
                f"{one.memory_mib:.1f} MiB at most, {one.duplicates} sent twice"
            )
        return rows


def drain(broker: Broker, journal: Path, directory: Path) -> Drained:
    """Drain a copy of ``journal`` once, from the first acknowledgement that counts to the last."""
    copy = directory / "journal.db"
    shutil.copy(journal, copy)
    node = SyncNode(copy, broker.url, _NODE, drain_bytes_s=0, retry_base_s=0.1, every=0.05)
    with BackendProcess(broker.url, directory / "backend.db", ("--mqtt", "auto")) as backend:
        with node:
            begun = node.until(lambda said: said.protocol and said.last, _MOST_S)
            done = node.until(lambda said: said.acked == said.last > 0, _MOST_S)
            at_work = [said for said in node.said if begun.at_s < said.at_s <= done.at_s]
        return Drained(
            per_s=done.last / (done.at_s - begun.at_s),
            late_ms=max(said.late_ms for said in at_work),
            busy_ms=max(said.busy_ms for said in at_work),
            memory_mib=done.memory_mib,
            cpu_us=1e6 * done.cpu_s / done.last,
            duplicates=backend.store.duplicates(),
            failures=delivered.problems(copy, backend.store, _NODE),
        )


def measure(directory: Path, facts: int, rounds: int, messages: int, ratio: float = RATIO) -> Report:
    """Measure in turns."""
    journal = directory / "filled.db"
    last = fill(journal, facts)
    size = round(delivered.mean_bytes(journal)) + _AROUND
    report = Report(last, size, {name: [] for name in raw_publisher.LIBRARIES}, [], ratio)
    with Broker() as broker:
        for number in range(1, rounds + 1):
            for name, rates in report.raw.items():
                rates.append(raw_publisher.per_s(broker.url, name, messages, size))
            with tempfile.TemporaryDirectory(dir=directory) as place:
                report.drained.append(drain(broker, journal, Path(place)))
            raw = ", ".join(f"{name} {rates[-1]:.0f}" for name, rates in report.raw.items())
            load = os.getloadavg()[0]
            print(f"round {number}: {raw}, drain {report.drained[-1].per_s:.0f}; load {load:.1f}", file=sys.stderr)
    return report


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m hil_rig.bench_drain", description=__doc__)
    parser.add_argument("--facts", type=int, default=60_000)
    parser.add_argument("--messages", type=int, default=15_000, help="published one at a time in each turn")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--ratio", type=float, default=RATIO, help="that the drain must reach")
    parser.add_argument("--json", type=Path, help="write everything there")
    options = parser.parse_args(arguments)
    begun_s = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="pilenode-drain-") as directory:
        report = measure(Path(directory), options.facts, options.rounds, options.messages, options.ratio)
    print(f"{report.facts} facts, {options.rounds} rounds, {time.monotonic() - begun_s:.0f} s")
    print("\n".join(report.lines()))
    for failure in report.failures:
        print(f"BROKEN: {failure}")
    if options.json:
        found = asdict(report) | {"ratio": report.ratio, "failures": report.failures}
        options.json.write_text(json.dumps(found, indent=1), encoding="utf-8")
    return 1 if report.failures else 0


if __name__ == "__main__":
    sys.exit(main())
