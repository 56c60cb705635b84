"""How many facts a second each store takes, and how large they are: ``python -m hil_rig.upstream.bench``.

A made-up log of ordinary days (sessions with a reading a minute durable, faults, commands) goes the way that a worker
takes it: inflated, decoded, chained, committed. PostgreSQL is a cluster of its own that flushes to the disk.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from hil_rig.contract.samples import facts as samples
from hil_rig.upstream.hearing import hear
from hil_rig.upstream.postgres import Postgres, programs
from hil_rig.upstream.store import Store
from pilenode.upstream.contract import MAX_BATCH_FACTS, FactBatch, up
from pilenode.upstream.facts import GENESIS, Fact, FactKind, link
from pilenode.upstream.packing import pack, thinned

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

#: The store must take this many, or the drain of a cabinet would be measured against it. PostgreSQL has no such bound.
MIN_SQLITE_PER_S: Final = 20_000
#: Messages of one commit. A single cabinet that drains has about that many on their way.
_GROUP: Final = 20
_SESSION: Final = (
    FactKind.SESSION_STARTED,
    *[FactKind.CHECKPOINT] * 6,
    FactKind.SESSION_ENDED,
    FactKind.COMMAND_RESULT,
)


@dataclass(frozen=True, slots=True)
class Row:
    """What was measured. ``per_cpu_s``: of processor time of this process, where others are on the machine.

    ``body_bytes``: of the body of a fact; ``bytes``: of a fact at rest with all indexes, whose part is ``index_bytes``.
    """

    store: str
    facts: int
    per_s: float
    per_cpu_s: float
    body_bytes: float
    bytes: float
    index_bytes: float
    good: bool


def log(log_id: str, count: int) -> Iterator[Fact]:
    """Yield a log of ordinary days with its links."""
    bodies = {fact.kind: fact for fact in samples()}
    previous = GENESIS
    for at in range(count):
        session, step = divmod(at, len(_SESSION))
        kind = _SESSION[step]
        sample = bodies[kind]
        fact = msgspec.structs.replace(
            sample,
            seq=at + 1,
            boottime_ms=90_000 + at * 60_000,
            wall_ms=sample.wall_ms + at * 60_000,
            session=None if sample.session is None else f"{session:026d}",
            hash="",
        )
        previous = link(previous, log_id, fact)
        yield msgspec.structs.replace(fact, hash=previous.hex())


def payloads(log_id: str, count: int, size: int = MAX_BATCH_FACTS) -> list[bytes]:
    """Return a log as a cabinet sends it."""
    facts = list(log(log_id, count))
    return [pack(FactBatch(log_id=log_id, facts=thinned(facts[at : at + size]))) for at in range(0, count, size)]


def measure(name: str, where: Path | str, nodes: int, count: int) -> Row:
    """Return what one store does with that many facts of that many cabinets."""
    with Store(where) as store:
        sent = [(f"bench{node}", payload) for node in range(nodes) for payload in payloads(f"{node:016x}", count)]
        begun_s, begun_cpu_s = time.perf_counter(), time.process_time()
        for at in range(0, len(sent), _GROUP):
            store.commit([hear(up(node, "ev"), payload) for node, payload in sent[at : at + _GROUP]])
            print(f"\r{name}: {min(len(sent), at + _GROUP)} of {len(sent)} batches", end="", file=sys.stderr)
        taken_s, taken_cpu_s = time.perf_counter() - begun_s, time.process_time() - begun_cpu_s
        print(file=sys.stderr)
        complete = all(store.complete(f"bench{node}", f"{node:016x}") == count for node in range(nodes))
        table, everything = store.sizes()
    facts = nodes * count
    body = sum(len(bytes(fact.body)) for fact in log("", len(_SESSION))) / len(_SESSION)
    enough = name != "sqlite" or facts / taken_s >= MIN_SQLITE_PER_S
    return Row(
        store=name,
        facts=facts,
        per_s=facts / taken_s,
        per_cpu_s=facts / taken_cpu_s,
        body_bytes=body,
        bytes=everything / facts,
        index_bytes=(everything - table) / facts,
        good=complete and enough,
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m hil_rig.upstream.bench", description=__doc__)
    parser.add_argument("--facts", type=int, default=20_000, help="of each cabinet")
    parser.add_argument("--nodes", type=int, default=5, help="cabinets")
    parser.add_argument("--json", metavar="FILE", help="write the rows there")
    options = parser.parse_args(arguments)
    rows = []
    with tempfile.TemporaryDirectory(prefix="pilenode-bench-") as directory:
        rows.append(measure("sqlite", Path(directory) / "b.db", options.nodes, options.facts))
    if programs() is None:
        print("PostgreSQL is not installed: not measured")
    else:
        with Postgres(flushes=True) as postgres:
            rows.append(measure("postgresql", postgres.database(), options.nodes, options.facts))
    print(
        f"{'store':<12} {'facts':>9} {'per s':>9} {'per s of CPU':>13} {'body B':>8} {'at rest B':>10} {'indexes':>10}"
    )
    for row in rows:
        print(
            f"{row.store:<12} {row.facts:>9} {row.per_s:>9.0f} {row.per_cpu_s:>13.0f} {row.body_bytes:>8.0f} "
            f"{row.bytes:>10.0f} {row.index_bytes:>10.0f}  {'ok' if row.good else 'MISSED'}"
        )
    if options.json:
        Path(options.json).write_text(json.dumps([asdict(row) for row in rows], indent=1), encoding="utf-8")
    return 0 if all(row.good for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
