"""Distribution of the time to the cut, one SVG per kind of hazard: how many took how long, and the computed bound."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

from hil_rig.figures import percentile

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

_WIDTH, _HEIGHT = 900, 260
_LEFT, _RIGHT, _TOP, _BOTTOM = 56, 880, 44, 226
_BARS = 80
_MARKS = 8
_STYLE = (
    "text{font:11px sans-serif;fill:#333}.b{fill:#1f5fa8}.g{stroke:#ddd}"
    ".bound{stroke:#c02020;stroke-width:1.5}.p50{stroke:#2a8a3a}.p95{stroke:#c07000}"
)


@dataclass(frozen=True, slots=True)
class Drawn:
    """One injection: kind, time to the cut and its bound, seconds."""

    kind: str
    took_s: float
    bound_s: float


def picture(title: str, samples: list[Drawn]) -> str:
    """Return the SVG of one kind. Bounds differ from cabinet to cabinet: the largest one is drawn."""
    took = [sample.took_s for sample in samples]
    bound_s = max(sample.bound_s for sample in samples)
    end_s = 1.05 * max(bound_s, *took)
    counts = [0] * _BARS
    for seconds in took:
        counts[min(_BARS - 1, int(_BARS * seconds / end_s))] += 1

    def x(seconds: float) -> float:
        return _LEFT + (_RIGHT - _LEFT) * seconds / end_s

    def moment(seconds: float, what: str) -> str:
        line = f'<line class="{what}" x1="{x(seconds):.1f}" x2="{x(seconds):.1f}" y1="{_TOP}" y2="{_BOTTOM}"/>'
        return f'{line}<text x="{x(seconds) + 3:.1f}" y="{_TOP - 4}">{what} {seconds:.2f} s</text>'

    width = (_RIGHT - _LEFT) / _BARS
    scale = (_BOTTOM - _TOP) / max(counts)
    bars = "".join(
        f'<rect class="b" x="{_LEFT + number * width:.1f}" y="{_BOTTOM - count * scale:.1f}" '
        f'width="{width - 1:.1f}" height="{count * scale:.1f}"/>'
        for number, count in enumerate(counts)
        if count
    )
    marks = "".join(
        f'<text x="{x(end_s * mark / _MARKS):.1f}" y="{_BOTTOM + 16}" text-anchor="middle">'
        f"{end_s * mark / _MARKS:.2f} s</text>"
        for mark in range(_MARKS + 1)
    )
    words = f"{title}: {len(took)} cuts, worst {max(took):.2f} s, largest bound {bound_s:.2f} s"
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}"><style>{_STYLE}</style>',
            f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="#fff"/>',
            f'<text x="{_LEFT}" y="16">{escape(words)}</text>',
            bars,
            marks,
            moment(percentile(took, 0.5, digits=3) or 0.0, "p50"),
            moment(bound_s, "bound"),
            f'<text x="{_LEFT - 4}" y="{_TOP + 8}" text-anchor="end">{max(counts)}</text></svg>',
        ]
    )


def write_pictures(directory: Path, where: str, samples: Iterable[Drawn]) -> None:
    """Write one SVG per kind and ``index.html`` into ``directory``, which is made when missing.

    ``where`` names the bench. Injections that were never cut have no place on a time axis; their kind's title says so.
    """
    directory.mkdir(parents=True, exist_ok=True)
    by_kind: dict[str, list[Drawn]] = {}
    for sample in samples:
        by_kind.setdefault(sample.kind, []).append(sample)
    listed = []
    for kind, some in sorted(by_kind.items()):
        cut = [sample for sample in some if sample.took_s != float("inf")]
        never = len(some) - len(cut)
        title = f"{where}, {kind}" + (f" ({never} NEVER CUT)" if never else "")
        name = "".join(letter if letter.isalnum() else "-" for letter in kind) + ".svg"
        if cut:
            (directory / name).write_text(picture(title, cut))
        listed.append(f'<p>{escape(title)}<br><img src="{name}" alt="{escape(kind)}" width="{_WIDTH}"></p>')
    page = '<!doctype html><meta charset="utf-8"><title>Time to the cut</title>\n' + "\n".join(listed) + "\n"
    (directory / "index.html").write_text(page)
