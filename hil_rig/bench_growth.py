"""How the bus grows: cycle, CPU and memory of guard's bus threads for 2 to 40 meters on one line and on two.

``python -m hil_rig.bench_growth [--seconds N] [--picture FILE]``. Steady racks at 9,600 baud, ten registers a meter,
all ports in use. The program measured is ``hil_rig.bus_watch``: bus threads and board of guard, without its tick.
"""

from __future__ import annotations

import argparse
import json
import subprocess
from contextlib import ExitStack
from dataclasses import dataclass
from html import escape
from math import floor, log10
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Final

from hil_rig.awake import awake
from hil_rig.bus_segment import RackProcess, limit_s
from hil_rig.child import environment, python

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

CHANNELS: Final = (2, 10, 20, 40)
BUSES: Final = (1, 2)
BAUD: Final = 9600
_CYCLES: Final = 4


@dataclass(frozen=True, slots=True)
class Size:
    """One size of a cabinet: cycle of a line and its limit, seconds; share of a core, MiB."""

    channels: int
    buses: int
    cycle_s: float
    limit_s: float
    cpu_share: float
    memory_mib: float

    def line(self) -> str:
        """Return the row as one line of a table."""
        return (
            f"{self.channels:>3} meters on {self.buses}: cycle {self.cycle_s:6.3f} s "
            f"({self.cycle_s / self.limit_s:.3f} x the limit)  CPU {100 * self.cpu_share:4.1f} %  "
            f"memory {self.memory_mib:5.1f} MiB"
        )


def measure(seconds: float) -> Iterator[Size]:
    """Yield every size; each takes ``seconds``, and four cycles where that is longer."""
    for buses in BUSES:
        for channels in CHANNELS:
            yield _measure_one(channels, buses, seconds)


def _measure_one(channels: int, buses: int, seconds: float) -> Size:
    units = channels // buses
    least_s = limit_s(BAUD, units)
    with ExitStack() as stack:
        stack.enter_context(awake())
        racks = [stack.enter_context(RackProcess(BAUD, units)) for _ in range(buses)]
        options = ["--devices", *(rack.device for rack in racks), "--baud", str(BAUD), "--units", str(units)]
        options += ["--seconds", str(max(seconds, _CYCLES * least_s))]
        done = subprocess.run(
            python("-m", "hil_rig.bus_watch", *options),
            env=environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            check=True,
        )
    said = json.loads(done.stdout)
    cycles_s = [cycle for rack in racks for cycle in rack.heard.cycles_s(1)]
    return Size(channels, buses, median(cycles_s), least_s, said["cpu_share"], said["memory_mib"])


# -- the picture -------------------------------------------------------------------------------------------

_WIDTH, _HEIGHT, _GAP = 300, 240, 24
_LEFT, _TOP, _BOTTOM = 52, 40, 200
_STYLE: Final = (
    "text{font:11px sans-serif;fill:#333}.t{font-weight:bold}.g{stroke:#ddd}.b1{stroke:#1f5fa8;fill:#1f5fa8}"
    ".b2{stroke:#c07000;fill:#c07000}.limit{stroke:#999;stroke-dasharray:4 3;fill:none}"
    "polyline{fill:none;stroke-width:2}"
)


def picture(sizes: Sequence[Size]) -> str:
    """Return an SVG of three charts over the number of meters: cycle with its limit, CPU, memory."""
    charts: list[tuple[str, Callable[[Size], float]]] = [
        ("cycle of a line, s", lambda size: size.cycle_s),
        ("CPU, % of a core", lambda size: 100 * size.cpu_share),
        ("memory, MiB", lambda size: size.memory_mib),
    ]
    width = len(charts) * (_WIDTH + _GAP)
    body = "".join(_chart(sizes, number, *chart) for number, chart in enumerate(charts))
    legend = (
        f'<text class="b1" x="{_LEFT}" y="{_HEIGHT - 4}">one line</text>'
        f'<text class="b2" x="{_LEFT + 70}" y="{_HEIGHT - 4}">two lines</text>'
        f'<text x="{_LEFT + 150}" y="{_HEIGHT - 4}">dashed: the limit of the wire</text>'
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {_HEIGHT}" role="img">'
        f"<title>Cycle, CPU and memory over the number of meters</title><style>{_STYLE}</style>"
        f'<rect width="{width}" height="{_HEIGHT}" fill="#fff"/>{body}{legend}</svg>\n'
    )


def _step(least: float) -> float:
    """Return the smallest round number that is not below ``least``: 1, 2, 2.5 or 5 times a power of ten."""
    power = 10.0 ** floor(log10(max(least, 1e-9)))
    return next(power * digit for digit in (1.0, 2.0, 2.5, 5.0, 10.0) if power * digit >= least)


def _chart(sizes: Sequence[Size], number: int, title: str, value: Callable[[Size], float]) -> str:
    left, right = number * (_WIDTH + _GAP) + _LEFT, (number + 1) * (_WIDTH + _GAP) - _GAP
    most = max(CHANNELS)
    step = _step(max(value(size) for size in sizes) / 4)
    top = 4 * step

    def x(channels: int) -> float:
        return left + (right - left) * channels / most

    def y(what: float) -> float:
        return _BOTTOM - (_BOTTOM - _TOP) * what / top

    parts = [f'<text class="t" x="{left}" y="{_TOP - 16}">{escape(title)}</text>']
    for mark in range(5):
        at = step * mark
        parts.append(f'<line class="g" x1="{left}" x2="{right}" y1="{y(at):.1f}" y2="{y(at):.1f}"/>')
        parts.append(f'<text x="{left - 6}" y="{y(at) + 4:.1f}" text-anchor="end">{at:.3g}</text>')
    parts += [
        f'<text x="{x(channels):.1f}" y="{_BOTTOM + 16}" text-anchor="middle">{channels}</text>'
        for channels in CHANNELS
    ]
    for buses in BUSES:
        row = [size for size in sizes if size.buses == buses]
        points = " ".join(f"{x(size.channels):.1f},{y(value(size)):.1f}" for size in row)
        if number == 0:
            limit = " ".join(f"{x(size.channels):.1f},{y(size.limit_s):.1f}" for size in row)
            parts.append(f'<polyline class="limit" points="{limit}"/>')
        parts.append(f'<polyline class="b{buses}" style="fill:none" points="{points}"/>')
        parts += [
            f'<circle class="b{buses}" cx="{x(size.channels):.1f}" cy="{y(value(size)):.1f}" r="3"/>' for size in row
        ]
    return "".join(parts)


def main() -> None:
    """Measure, print and draw."""
    parser = argparse.ArgumentParser(prog="python -m hil_rig.bench_growth", description=__doc__)
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--picture", type=Path, help="SVG file to draw into")
    arguments = parser.parse_args()
    sizes = []
    for size in measure(arguments.seconds):
        sizes.append(size)
        print(size.line(), flush=True)
    if arguments.picture:
        arguments.picture.write_text(picture(sizes), encoding="utf-8")


if __name__ == "__main__":
    main()
