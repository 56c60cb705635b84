"""A bar chart as inline SVG, for print: no script, no outside resource, text escaped. Pure; integers in, text out."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_WIDTH: Final = 720
_HEIGHT: Final = 170
_LEFT: Final = 52
_TOP: Final = 26
_BOTTOM: Final = 22
_STEPS: Final = (1, 2, 5)
#: Lines of the grid at most.
_LINES: Final = 4


def _step(largest: int) -> int:
    """Return the distance of grid lines: 1, 2 or 5 times a power of ten, so that at most ``_LINES`` are needed."""
    power = 1
    while True:
        for factor in _STEPS:
            if largest <= factor * power * _LINES:
                return factor * power
        power *= 10


def bars(title: str, labels: Sequence[str], values: Sequence[int], spell: Callable[[int], str], colour: str) -> str:
    """Return a chart of ``values`` (0 or more), one bar above each label; ``spell`` writes a value."""
    step = _step(max([*values, 1]))
    top = max(step, -(-max([*values, 1]) // step) * step)
    plot_w, plot_h = _WIDTH - _LEFT - 8, _HEIGHT - _TOP - _BOTTOM
    size = f'viewBox="0 0 {_WIDTH} {_HEIGHT}" font-family="sans-serif" font-size="11"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" aria-label="{escape(title)}">',
        f'<text x="0" y="12" font-size="13" font-weight="bold">{escape(title)}</text>',
    ]
    for value in range(0, top + 1, step):
        y = _TOP + plot_h - value * plot_h // top
        shade = "#444" if value == 0 else "#ddd"
        parts.append(f'<line x1="{_LEFT}" y1="{y}" x2="{_WIDTH - 8}" y2="{y}" stroke="{shade}" stroke-width="1"/>')
        parts.append(f'<text x="{_LEFT - 6}" y="{y + 4}" text-anchor="end" fill="#444">{escape(spell(value))}</text>')
    slot = plot_w / max(1, len(values))
    for index, (label, value) in enumerate(zip(labels, values, strict=True)):
        height = value * plot_h / top
        x = _LEFT + index * slot
        told = escape(f"{label}: {spell(value)}")
        parts.append(
            f'<rect x="{x + slot * 0.15:.1f}" y="{_TOP + plot_h - height:.1f}" width="{slot * 0.7:.1f}" '
            f'height="{height:.1f}" fill="{colour}"><title>{told}</title></rect>'
        )
        parts.append(
            f'<text x="{x + slot / 2:.1f}" y="{_HEIGHT - 6}" text-anchor="middle" fill="#444">{escape(label)}</text>'
        )
    return "".join([*parts, "</svg>"])
