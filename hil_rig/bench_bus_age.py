"""How soon guard knows: from a value that changes in a meter to the board, and the age of readings beside dead meters.

On steady racks (``hil_rig.bus_rack``) with guard's own bus threads (``hil_rig.bus_watch``), all ports in use.
"""

from __future__ import annotations

import os
import random
import time
from contextlib import contextmanager
from itertools import pairwise
from statistics import median
from typing import TYPE_CHECKING, Final

from config.load import load_meter
from hil_rig.awake import awake
from hil_rig.bus_segment import RackProcess, limit_s
from hil_rig.bus_watch import CONFIGURED_TURNAROUND_S, MODEL, WatchedBuses
from hil_rig.figures import Figure
from pilenode.guard.realtime import PRIORITY
from safety.budget import MeterTiming, line_timing, oldest_s

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_UNITS: Final = 10
_BAUDS: Final = (9600, 115_200)
#: Promise: half the changes are known after so many cycles, and all of them after so many.
MEDIAN_CYCLES: Final = 0.55
WORST_CYCLES: Final = 1.1
_WARM_S: Final = 3.0
_PATIENCE_S: Final = 10.0
_DEAD: Final = {1: (7,), 2: (7, 8), 5: (3, 7, 8, 12, 20)}
_TWENTY: Final = 20
_AGE_BAUD: Final = 19_200


def measure_latency(directory: Path, count: int) -> Iterator[Figure]:
    """Yield median and worst latency in cycles, of ``count`` changes for each baud rate."""
    del directory
    for baud in _BAUDS:
        with awake(), _real_time(), RackProcess(baud, _UNITS) as rack:
            took_s, failures = _changes(rack, baud, count)
        cycle_s = median(rack.heard.cycles_s(4))
        cycles = [one / cycle_s for one in took_s]
        middle = Figure("detection, median", f"{baud} 10 meters", "cycles", MEDIAN_CYCLES, 1, digits=3)
        middle.samples = [median(cycles)] if cycles else []
        yield middle
        yield Figure("detection, each", f"{baud} 10 meters", "cycles", WORST_CYCLES, count, cycles, failures, digits=3)


def _changes(rack: RackProcess, baud: int, count: int) -> tuple[list[float], list[str]]:
    chance = random.Random(baud)
    took_s: list[float] = []
    failures: list[str] = []
    with WatchedBuses([rack.device], baud, _UNITS) as buses:
        time.sleep(_WARM_S)
        for change in range(count):
            time.sleep(chance.uniform(0.0, 2.0 * limit_s(baud, _UNITS)))
            unit, value = chance.randint(1, _UNITS), 2000 + change
            changed_s = rack.set(unit, value)
            try:
                took_s.append(buses.board.await_voltage(unit, value / 10, _PATIENCE_S) - changed_s)
            except TimeoutError as error:
                failures.append(str(error))
    return took_s, failures


def measure_age(directory: Path, count: int) -> Iterator[Figure]:
    """Yield the oldest reading of every live port before the next one took its place; ``count`` seconds each."""
    del directory
    profile = load_meter(MODEL)
    timing = MeterTiming(
        line_timing(_AGE_BAUD, "N", 2, CONFIGURED_TURNAROUND_S),
        fast=tuple(block.count * profile.bytes_per_register for block in profile.block),
    )
    for number, dead in _DEAD.items():
        with awake(), _real_time(), RackProcess(_AGE_BAUD, _TWENTY, dead=dead) as rack:
            with WatchedBuses([rack.device], _AGE_BAUD, _TWENTY) as buses:
                time.sleep(count)
            posted = buses.board.posted
        bound_s = oldest_s(timing, [timing] * (_TWENTY - 1), number)
        live = [port for port in range(1, _TWENTY + 1) if port not in dead]
        oldest = [max((b.at_s - a.taken_s for a, b in pairwise(posted.get(port, ()))), default=1e9) for port in live]
        yield Figure(
            "age of live ports",
            f"{number} of {_TWENTY} dead",
            "ms",
            bound_s * 1000,
            len(live),
            [o * 1e3 for o in oldest],
        )


@contextmanager
def _real_time() -> Iterator[None]:
    """Run the threads that are started meanwhile as guard runs, where the machine grants it."""
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(PRIORITY))
    except OSError:
        yield
        return
    try:
        yield
    finally:
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
