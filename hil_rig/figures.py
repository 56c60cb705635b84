"""What a figure is: a row of measured values beside the bound it must keep, printed for people and as JSON."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(slots=True)
class Figure:
    """Samples of one quantity under one condition. ``bound`` in ``unit``; ``wanted`` samples were asked for.

    ``digits``: decimals that are shown. A row without a bound (infinity) is there to compare with.
    """

    name: str
    condition: str
    unit: str
    bound: float
    wanted: int
    samples: list[float] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    digits: int = 1

    @property
    def kept(self) -> int:
        """How many samples keep the bound."""
        return sum(sample <= self.bound for sample in self.samples)

    @property
    def good(self) -> bool:
        """Whether every sample that was asked for was taken and keeps the bound."""
        return self.kept == self.wanted and not self.failures

    def summary(self) -> dict[str, object]:
        """Return the row as plain data."""
        return {
            "figure": self.name,
            "condition": self.condition,
            "unit": self.unit,
            "bound": round(self.bound, self.digits),
            "wanted": self.wanted,
            "kept": self.kept,
            "p50": percentile(self.samples, 0.5, self.digits),
            "p95": percentile(self.samples, 0.95, self.digits),
            "max": percentile(self.samples, 1.0, self.digits),
            "failures": self.failures,
            "good": self.good,
        }

    def line(self) -> str:
        """Return the row as one line of a table."""
        row = self.summary()
        verdict = "ok" if self.good else "MISSED"
        return (
            f"{self.name:<24} {self.condition:<28} {row['kept']:>4} of {self.wanted:<4} "
            f"p50 {row['p50']!s:>7}  p95 {row['p95']!s:>7}  max {row['max']!s:>7}  "
            f"bound {row['bound']!s:>7} {self.unit:<3} {verdict}"
        )


def percentile(samples: Sequence[float], share: float, digits: int = 1) -> float | None:
    """Return the nearest-rank percentile, rounded to so many digits, None without samples."""
    if not samples:
        return None
    ordered = sorted(samples)
    return round(ordered[min(len(ordered) - 1, int(share * len(ordered)))], digits)
