"""One SVG per curve, for a person to look at: power over time, what it is judged by, the truth and the cut."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any

from safety.completion import CompletionLimits, Sample, advance, begin
from safety.low import threshold_w

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from hil_rig.curves import Curve
    from hil_rig.score_metrics import Outcome

_WIDTH, _HEIGHT = 900, 320
_LEFT, _RIGHT, _TOP, _BOTTOM = 56, 888, 34, 286
_POINTS = 900
_HOUR_S = 3600.0
#: Readings above this quantile are the meter's wild ones and do not set the scale.
_TAME = 0.999
_STYLE = (
    "text{font:11px sans-serif;fill:#333}.p{fill:none;stroke:#1f5fa8;stroke-width:1.2}.g{stroke:#ddd}"
    ".l{stroke:#888;stroke-dasharray:5 4}.full{stroke:#2a8a3a;stroke-width:1.5}.cut{stroke:#c02020;stroke-width:1.5}"
    ".w{fill:#2a8a3a;fill-opacity:.10}.event{stroke:#c07000;stroke-width:1.5}"
)


@dataclass(frozen=True, slots=True)
class _Frame:
    """Where seconds and watts lie in the picture."""

    end_s: float
    top_w: float

    def x(self, t_s: float) -> float:
        return _LEFT + (_RIGHT - _LEFT) * min(t_s, self.end_s) / self.end_s

    def y(self, watts: float) -> float:
        return _BOTTOM - (_BOTTOM - _TOP) * min(watts, self.top_w) / self.top_w

    def hours(self) -> str:
        marks = [(self.x(hour * _HOUR_S), hour) for hour in range(int(self.end_s // _HOUR_S) + 1)]
        return "".join(
            f'<line class="g" x1="{x:.1f}" x2="{x:.1f}" y1="{_TOP}" y2="{_BOTTOM}"/>'
            f'<text x="{x:.1f}" y="{_BOTTOM + 16}" text-anchor="middle">{hour} h</text>'
            for x, hour in marks
        )

    def window(self, from_s: float, by_s: float) -> str:
        x, width = self.x(from_s), max(1.0, self.x(by_s) - self.x(from_s))
        return f'<rect class="w" x="{x:.1f}" y="{_TOP}" width="{width:.1f}" height="{_BOTTOM - _TOP}"/>'

    def moment(self, t_s: float | None, what: str, row: int) -> str:
        if t_s is None:
            return ""
        x = self.x(t_s)
        line = f'<line class="{what}" x1="{x:.1f}" x2="{x:.1f}" y1="{_TOP}" y2="{_BOTTOM}"/>'
        return f'{line}<text x="{x + 3:.1f}" y="{_TOP + 11 + 12 * row}">{what}</text>'

    def level(self, watts: float, what: str) -> str:
        y = self.y(watts)
        line = f'<line class="l" x1="{_LEFT}" x2="{_RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
        words = f'<text x="{_RIGHT - 3}" y="{y - 3:.1f}" text-anchor="end">{what}</text>'
        return f'{line}{words}<text x="{_LEFT - 4}" y="{y + 4:.1f}" text-anchor="end">{watts:.0f} W</text>'

    def power(self, curve: Curve) -> str:
        step = max(1, len(curve.t_s) // _POINTS)
        points = zip(curve.t_s[::step], curve.watts[::step], strict=True)
        return f'<polyline class="p" points="{" ".join(f"{self.x(t):.1f},{self.y(w):.1f}" for t, w in points)}"/>'


def plateau_w(curve: Curve, until_s: float) -> float | None:
    """Return the plateau power that the shipped rules know at ``until_s``, W, or None."""
    limits = CompletionLimits()
    state = begin(curve.t_s[0])
    for t, volts, amps, watts in zip(curve.t_s, curve.volts, curve.amps, curve.watts, strict=True):
        if t > until_s:
            break
        state, _ = advance(state, Sample(t, volts, amps, watts), limits)
    return state.past.plateau_w


def picture(name: str, curve: Curve, label: Mapping[str, Any], outcome: Outcome) -> str:
    """Return the SVG of one curve."""
    tame_w = sorted(curve.watts)[int(_TAME * (len(curve.watts) - 1))]
    frame = _Frame(curve.t_s[-1], 1.1 * max(1.0, tame_w))
    known_w = plateau_w(curve, frame.end_s if outcome.cut_s is None else outcome.cut_s)
    levels = {} if known_w is None else {"plateau": known_w, "low": threshold_w(known_w, CompletionLimits())}
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}"><style>{_STYLE}</style>',
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="#fff"/>',
        frame.window(label["cut_from_s"], label["cut_by_s"]),
        frame.hours(),
        *(frame.level(watts, what) for what, watts in levels.items()),
        frame.power(curve),
        frame.moment(label["event_s"], "event", 0),
        frame.moment(label["full_s"], "full", 1),
        frame.moment(outcome.cut_s, "cut", 2),
        f'<text x="{_LEFT}" y="14">{escape(f"{name}: {outcome.result}")}</text>',
        f'<text x="{_LEFT}" y="28">{escape(outcome.reason or "not cut")}</text></svg>',
    ]
    return "\n".join(parts)


def write_pictures(
    directory: Path, cases: Iterable[tuple[str, Curve, Mapping[str, Any]]], outcomes: Mapping[str, Outcome]
) -> None:
    """Write ``NAME.svg`` for every case and ``index.html`` into ``directory``, which is made when missing."""
    directory.mkdir(parents=True, exist_ok=True)
    listed = []
    for name, curve, label in cases:
        (directory / f"{name}.svg").write_text(picture(name, curve, label, outcomes[name]))
        listed.append(f'<p><img src="{escape(name)}.svg" alt="{escape(name)}" width="{_WIDTH}"></p>')
    page = '<!doctype html><meta charset="utf-8"><title>Charge curves</title>\n' + "\n".join(listed) + "\n"
    (directory / "index.html").write_text(page)
