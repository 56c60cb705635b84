"""The day as an SVG: what all ports draw under each strategy against the budget, and how many wait and pause."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Final

from hil_rig.orderly_day import PICTURE_S
from hil_rig.orderly_people import HOUR_S

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from hil_rig.orderly_day import Day

_WIDTH, _LEFT, _RIGHT = 900, 48, 888
_ROW, _GAP, _TOP = 120, 44, 34
_POINTS: Final = 480
_STYLE: Final = (
    "text{font:11px sans-serif;fill:#333}.t{font-weight:bold}.g{stroke:#ddd}polyline{fill:none;stroke-width:1.3}"
    ".budget{stroke:#c02020;stroke-dasharray:5 4}.guard{stroke:#888;stroke-dasharray:2 3}.sum{stroke:#1f5fa8}"
    ".queue{stroke:#c07000}.paused{stroke:#7a3fa0}"
)


def picture(days: Mapping[str, Day]) -> str:
    """Return the picture, one row for each strategy."""
    height = _TOP + len(days) * (_ROW + _GAP)
    top_a = 1.05 * max(max(day.sums_a, default=1.0) for day in days.values())
    rows = "".join(
        _row(name, day, top_a, _TOP + number * (_ROW + _GAP)) for number, (name, day) in enumerate(days.items())
    )
    legend = (
        f'<text x="{_LEFT}" y="14">blue: sum of all ports, A; red: budget; grey: limit of guard; '
        "orange: starts that wait; violet: sessions that pause (right scale, 0 to 20)</text>"
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" role="img">'
        f"<title>A day of orderly charging</title><style>{_STYLE}</style>"
        f'<rect width="{_WIDTH}" height="{height}" fill="#fff"/>{legend}{rows}</svg>\n'
    )


def _row(name: str, day: Day, top_a: float, top: float) -> str:
    bottom = top + _ROW

    def at_a(amps: float) -> float:
        return bottom - _ROW * amps / top_a

    def at_count(count: float) -> float:
        return bottom - _ROW * min(count, 20.0) / 20.0

    parts = [f'<text class="t" x="{_LEFT}" y="{top - 4:.0f}">{escape(name)}</text>']
    for hour in range(0, int(day.seconds / HOUR_S) + 1, 2):
        x = _LEFT + (_RIGHT - _LEFT) * hour * HOUR_S / day.seconds
        parts.append(f'<line class="g" x1="{x:.1f}" x2="{x:.1f}" y1="{top}" y2="{bottom}"/>')
        parts.append(f'<text x="{x:.1f}" y="{bottom + 13}" text-anchor="middle">{hour} h</text>')
    marks = (("budget", day.rules.budget_a), ("guard", day.limit_a))
    for what, amps in marks:
        if amps <= top_a:
            y = at_a(amps)
            parts.append(f'<line class="{what}" x1="{_LEFT}" x2="{_RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
    y = at_a(day.rules.budget_a) + 4
    parts.append(f'<text x="{_LEFT - 4}" y="{y:.1f}" text-anchor="end">{day.rules.budget_a:g} A</text>')
    parts.append(_line("sum", day.sums_a, day, at_a))
    parts.append(_line("queue", day.queued, day, at_count))
    parts.append(_line("paused", day.paused, day, at_count))
    return "".join(parts)


def _line(kind: str, values: Sequence[float], day: Day, height: Callable[[float], float]) -> str:
    every = max(1, len(values) // _POINTS)
    points = (
        f"{_LEFT + (_RIGHT - _LEFT) * min(1.0, (number + 1) * PICTURE_S / day.seconds):.1f},{height(value):.1f}"
        for number, value in enumerate(values)
        if number % every == 0
    )
    return f'<polyline class="{kind}" points="{" ".join(points)}"/>'
