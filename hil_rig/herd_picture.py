"""Connections by second as an SVG: when everybody comes for the first time, and after the broker was away."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hil_rig.herd import Story

_WIDTH, _LEFT, _RIGHT = 900, 56, 888
_ROW, _GAP, _TOP = 150, 52, 46
_STYLE: Final = (
    "text{font:11px sans-serif;fill:#333}.t{font-weight:bold}.g{stroke:#ddd}.bar{fill:#1f5fa8}"
    ".plan{stroke:#888;stroke-dasharray:2 3}.bound{stroke:#c02020;stroke-dasharray:5 4}"
)


def picture(story: Story) -> str:
    """Return the picture, one row for each time that everybody comes."""
    top = 1.1 * max(story.bound, *story.first.values(), *story.second.values())
    rows = {
        f"first connections of {story.nodes} cabinets, spread over {story.spread_s:g} s": story.first,
        f"after the broker was away for {story.down_s:g} s; 0 s: it is back": story.second,
    }
    height = _TOP + len(rows) * (_ROW + _GAP)
    drawn = "".join(
        _row(story, title, curve, top, _TOP + number * (_ROW + _GAP))
        for number, (title, curve) in enumerate(rows.items())
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" role="img">'
        f"<title>Connections a second of {story.nodes} cabinets</title><style>{_STYLE}</style>"
        f'<rect width="{_WIDTH}" height="{height}" fill="#fff"/>'
        f'<text x="{_LEFT}" y="16">blue: CONNACKs in each second; grey: plan, {story.plan:.0f}/s; '
        f"red: bound, {story.bound:.0f}/s</text>{drawn}</svg>\n"
    )


def _row(story: Story, title: str, curve: Mapping[int, int], top: float, begin: float) -> str:
    bottom = begin + _ROW
    seconds = max(*curve, round(story.spread_s), 1) + 1
    width = (_RIGHT - _LEFT) / seconds

    def height(count: float) -> float:
        return bottom - _ROW * count / top

    parts = [f'<text class="t" x="{_LEFT}" y="{begin - 6:.0f}">{title}</text>']
    every = max(1, round(seconds / 12))
    for second in range(0, seconds + 1, every):
        x = _LEFT + second * width
        parts.append(f'<line class="g" x1="{x:.1f}" x2="{x:.1f}" y1="{begin}" y2="{bottom}"/>')
        parts.append(f'<text x="{x:.1f}" y="{bottom + 14}" text-anchor="middle">{second} s</text>')
    for second, count in curve.items():
        x, y = _LEFT + second * width, height(count)
        parts.append(
            f'<rect class="bar" x="{x:.1f}" y="{y:.1f}" width="{max(0.5, width - 1):.1f}" height="{bottom - y:.1f}"/>'
        )
    for what, rate in (("plan", story.plan), ("bound", story.bound)):
        y = height(rate)
        parts.append(f'<line class="{what}" x1="{_LEFT}" x2="{_RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(f'<text x="{_LEFT - 4}" y="{y + 4:.1f}" text-anchor="end">{rate:.0f}/s</text>')
    return "".join(parts)
