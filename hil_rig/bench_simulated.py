"""Hazards in simulated time: ``python -m hil_rig.bench_simulated [--count N] [--seed S] [--case NAME]``.

The same ``safety.step``, the same board and the same schedule as in guard, with a model of the bus and of the sockets;
random cabinets that pass the config check, random hazards at random phases. Every injection must be cut within the
bound computed for that very cabinet, and in every tick no relay may be closed without a lease, under a latch, by itself
or together with another one. The seed is printed; a failure names the case that brings it back.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from hil_rig import sim_cases
from hil_rig.figures import percentile
from hil_rig.hazard_pictures import Drawn, write_pictures
from hil_rig.sim_story import Sample, Story

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

DEFAULT_COUNT = 100_000
DEFAULT_SEED = "2026"
#: Injections in one cabinet, by kind of case.
_PER_CASE = {"ports": 250, "slow": 40, "whole": 12}
#: The kinds of case in turn: those of whole cabinets and slow hazards cost more, and fewer are made.
_TURNS = ("ports", "whole", "ports", "ports", "slow", "ports", "whole", "ports")


@dataclass(slots=True)
class Result:
    """What came of all cases."""

    samples: list[Sample] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    cases: int = 0
    ticks: int = 0


def tell(name: str) -> tuple[list[Sample], list[str], int]:
    """Tell the story of the case called ``name``, SEED:NUMBER:KIND."""
    case = sim_cases.make(name)
    story = Story(case, _PER_CASE[case.kind])
    try:
        story.tell()
    except Exception as error:  # noqa: BLE001 - whatever it is, it is a finding of this case
        story.failures.append(f"--case {name}: {type(error).__name__}: {error}")
    return story.samples, story.failures, story.cabinet.ticks


def names(seed: str, count: int) -> Iterator[str]:
    """Yield the names of the cases that make at least ``count`` injections."""
    made, number = 0, 0
    while made < count:
        kind = _TURNS[number % len(_TURNS)]
        yield f"{seed}:{number}:{kind}"
        made += _PER_CASE[kind]
        number += 1


def run(seed: str, count: int, workers: int) -> Result:
    """Make at least ``count`` injections with so many processes."""
    result = Result()
    with multiprocessing.get_context("spawn").Pool(workers) as pool:
        for samples, failures, ticks in pool.imap_unordered(tell, names(seed, count), chunksize=2):
            result.samples += samples
            result.failures += failures
            result.cases += 1
            result.ticks += ticks
    return result


def rows(samples: Iterable[Sample]) -> list[dict[str, object]]:
    """Return one row per kind: how many, how many in time, the distribution in ms, and the worst share of a bound."""
    by_kind: dict[str, list[Sample]] = {}
    for sample in samples:
        by_kind.setdefault(sample.kind, []).append(sample)
    return [
        {
            "kind": kind,
            "n": len(some),
            "in time": sum(sample.kept for sample in some),
            "p50_ms": percentile([1000 * sample.took_s for sample in some], 0.5),
            "p95_ms": percentile([1000 * sample.took_s for sample in some], 0.95),
            "max_ms": percentile([1000 * sample.took_s for sample in some], 1.0),
            "bound_ms": round(max(1000 * sample.bound_s for sample in some), 1),
            "worst_share": round(max(sample.took_s / sample.bound_s for sample in some), 3),
        }
        for kind, some in sorted(by_kind.items())
    ]


def _line(row: dict[str, object]) -> str:
    return (
        f"{row['kind']!s:<28} {row['in time']:>6} of {row['n']:<6} p50 {row['p50_ms']:>9}  p95 {row['p95_ms']:>9}  "
        f"max {row['max_ms']:>9} ms  largest bound {row['bound_ms']:>9} ms  worst {row['worst_share']:>5} of its bound"
    )


def main() -> int:
    """Run, print a row per kind and return the exit status: 0 when everything was cut in time."""
    parser = argparse.ArgumentParser(prog="python -m hil_rig.bench_simulated", description=__doc__)
    parser.add_argument("--count", type=int, default=DEFAULT_COUNT, help=f"injections, {DEFAULT_COUNT} by default")
    parser.add_argument("--seed", default=DEFAULT_SEED, help=f"any word, {DEFAULT_SEED} by default")
    parser.add_argument("--case", help="tell one case again, by the name that a failure prints")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="processes")
    parser.add_argument("--pictures", type=Path, help="write distributions as SVG into this directory")
    parser.add_argument("--json", action="store_true", help="print the rows as JSON")
    arguments = parser.parse_args()
    began_s = time.monotonic()
    if arguments.case:
        samples, failures, ticks = tell(arguments.case)
        result = Result(samples, failures, 1, ticks)
    else:
        result = run(arguments.seed, arguments.count, arguments.workers)
    table = rows(result.samples)
    if arguments.json:
        print(json.dumps({"seed": arguments.seed, "rows": table, "failures": result.failures}, indent=1))
    else:
        print(*(_line(row) for row in table), sep="\n")
        print(
            f"{len(result.samples)} injections, {sum(sample.kept for sample in result.samples)} in time; seed "
            f"{arguments.seed}, {result.cases} cabinets, {result.ticks} ticks, {time.monotonic() - began_s:.0f} s"
        )
        print(*result.failures, sep="\n")
    if arguments.pictures:
        drawn = [Drawn(sample.kind, sample.took_s, sample.bound_s) for sample in result.samples]
        write_pictures(arguments.pictures, "simulated time", drawn)
    return 1 if result.failures or not all(sample.kept for sample in result.samples) else 0


if __name__ == "__main__":
    sys.exit(main())
