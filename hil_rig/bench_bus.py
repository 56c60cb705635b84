"""The speed of the bus: our line beside mbpoll and pymodbus on the same rack, against the limit of the wire.

Every client reads ten registers of ten meters, five rounds in turn, so that all of them share what the machine does
meanwhile. What is compared is the median of the rounds. Real-time scheduling for all where the machine grants it, and
processors that are kept awake (``hil_rig.awake``).
"""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING, Final

from hil_rig.awake import awake
from hil_rig.bus_segment import has_mbpoll, run
from hil_rig.figures import Figure

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from hil_rig.bus_segment import Segment

UNITS: Final = 10
#: Cycle against the limit of the wire, and CPU seconds per 1,000 polls with decoding, by baud rate.
CYCLE_BOUNDS: Final = {9600: 1.03, 19_200: 1.03, 115_200: 1.05}
CPU_BOUNDS: Final = {9600: 1.0, 19_200: 1.0, 115_200: 0.5}
#: Cycles of one round: two to three seconds each.
CYCLES: Final = {9600: 6, 19_200: 9, 115_200: 20}
OURS: Final = "pilenode"


def measure(directory: Path, count: int) -> Iterator[Figure]:
    """Yield the rows of each baud rate; ``count`` rounds."""
    del directory
    clients = [OURS, "pymodbus", "pymodbus-async", *(["mbpoll"] if has_mbpoll() else [])]
    for baud in CYCLE_BOUNDS:
        segments: dict[str, list[Segment]] = {client: [] for client in clients}
        with awake():
            for _ in range(count):
                for client in clients:
                    segments[client].append(run(client, baud, UNITS, CYCLES[baud]))
        for client in clients:
            yield from _rows(client, baud, segments[client])
        if not has_mbpoll():
            yield _row("bus cycle", f"{baud} mbpoll: not installed", "x", float("inf"), [])


def _rows(client: str, baud: int, segments: list[Segment]) -> Iterator[Figure]:
    ours, where = client == OURS, f"{baud} {client}"
    endless = float("inf")
    cycle = _row("bus cycle", where, "x", CYCLE_BOUNDS[baud] if ours else endless, [s.ratio for s in segments])
    failed = sum(segment.failed for segment in segments)
    cycle.failures = [f"{failed} polls failed"] if failed else []
    yield cycle
    yield _row("silences under t3.5", where, "", 0.0 if ours else endless, [sum(s.short_gaps for s in segments)])
    cpu = [segment.cpu_s for segment in segments]
    yield _row("CPU per 1,000 polls", where, "s", CPU_BOUNDS[baud] if ours else endless, cpu)


def _row(name: str, where: str, unit: str, bound: float, samples: list[float]) -> Figure:
    """Return a row whose one sample is the median of the rounds."""
    return Figure(name, where, unit, bound, min(1, len(samples)), [median(samples)] if samples else [], digits=3)
