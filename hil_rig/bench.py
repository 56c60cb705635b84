"""The figures, measured on real processes: ``python -m hil_rig.bench [--count N] [--only NAME] [--pictures DIR]``.

- ``over-current``: from the moment a load steps over the fast stage to the open relay, station well or not;
- ``hazards``: every kind of hazard of a port, on cabinets of 4, 10 and 20 ports with 0 to 2 dead meters;
- ``cabinet-hazards``: every kind of hazard of the whole cabinet;
- ``dead-man``: from SIGKILL of guard to the dropped contactor;
- ``ticks``: lateness of guard's ticks, real-time or not, idle or loaded; the count is seconds;
- ``bus``: cycle, silences and CPU beside other Modbus clients on the same rack; the count is rounds;
- ``bus-latency``: from a value that changes in a meter to guard's board, in cycles of the bus; the count is changes;
- ``bus-age``: age of live ports' readings beside 1, 2 and 5 dead meters of 20; the count is seconds;
- ``bus-faults``: faulty replies over ptys; the count is of each kind;
- ``bus-fuzz``: damaged frames in process;
- ``station-kills``: station killed at random moments while sessions run; sessions lost or doubled upstream.

Exit status 0 when every figure keeps its bound, 1 when one is missed.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from hil_rig import (
    bench_bus,
    bench_bus_age,
    bench_bus_faults,
    bench_cabinet_hazards,
    bench_dead_man,
    bench_hazards,
    bench_over_current,
    bench_station_kills,
    bench_ticks,
)
from hil_rig.hazard_pictures import Drawn, write_pictures

if TYPE_CHECKING:
    from hil_rig.figures import Figure

FIGURES = {
    "bus": (bench_bus.measure, 5),
    "bus-latency": (bench_bus_age.measure_latency, 100),
    "bus-age": (bench_bus_age.measure_age, 30),
    "bus-faults": (bench_bus_faults.measure_faults, 1000),
    "bus-fuzz": (bench_bus_faults.measure_fuzz, 1_000_000),
    "over-current": (bench_over_current.measure, 200),
    "hazards": (bench_hazards.measure, 1000),
    "cabinet-hazards": (bench_cabinet_hazards.measure, 60),
    "dead-man": (bench_dead_man.measure, 20),
    "station-kills": (bench_station_kills.measure, 50),
    "ticks": (bench_ticks.measure, 60),
}


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m hil_rig.bench", description=__doc__)
    parser.add_argument("--only", choices=FIGURES, help="measure this figure alone")
    parser.add_argument("--count", type=int, help="samples per condition (default: what is promised)")
    parser.add_argument("--pictures", type=Path, help="draw the distribution of every figure in ms into this directory")
    parser.add_argument("--json", action="store_true", help="print the rows as JSON")
    return parser.parse_args()


def main() -> int:
    """Measure, print a line per figure as it is ready, and return the exit status."""
    arguments = _arguments()
    rows: list[Figure] = []
    for name, (measure, count) in FIGURES.items():
        if arguments.only not in (None, name):
            continue
        with tempfile.TemporaryDirectory(prefix=f"pilenode-{name}-", ignore_cleanup_errors=True) as directory:
            for figure in measure(Path(directory), arguments.count or count):
                rows.append(figure)
                if not arguments.json:
                    print(figure.line(), flush=True)
                    for failure in figure.failures:
                        print(f"    {failure}")
    if arguments.pictures:
        _draw(arguments.pictures, rows)
    if arguments.json:
        print(json.dumps([figure.summary() for figure in rows], indent=1))
    return 0 if all(figure.good for figure in rows) else 1


def _draw(directory: Path, rows: list[Figure]) -> None:
    drawn = [
        Drawn(f"{row.name}, {row.condition}", sample / 1000, row.bound / 1000)
        for row in rows
        if row.unit == "ms"
        for sample in row.samples
    ]
    write_pictures(directory, "bench", drawn)


if __name__ == "__main__":
    sys.exit(main())
