"""How late the ticks are: a histogram with fixed buckets, so that months of ticks cost nothing and nothing is lost."""

from __future__ import annotations

from bisect import bisect_left
from typing import Final

#: Upper edges of the buckets, seconds: 0.1 ms to 1 s in steps of a twentieth of a decade (12 %).
EDGES_S: Final = tuple(1e-4 * 10 ** (step / 20) for step in range(81))


class Lateness:
    """Counts latenesses. A percentile is the upper edge of its bucket, at most 12 % too high, never too low.

    Latenesses below the first edge count as that edge; for one above the last, percentiles give the maximum.
    """

    def __init__(self) -> None:
        self._counts = [0] * (len(EDGES_S) + 1)
        self.count = 0
        self.max_s = 0.0

    def add(self, late_s: float) -> None:
        """Count one tick."""
        self._counts[bisect_left(EDGES_S, late_s)] += 1
        self.count += 1
        self.max_s = max(self.max_s, late_s)

    def percentile_s(self, share: float) -> float:
        """Return what at least ``share`` (0 to 1) of the ticks did not exceed, seconds; 0 before the first tick."""
        wanted = share * self.count
        reached = 0
        for edge, count in zip(EDGES_S, self._counts, strict=False):
            reached += count
            if reached >= wanted and reached:
                return min(edge, self.max_s)
        return self.max_s

    @property
    def p50_s(self) -> float:
        """Half of the ticks were at most this late, seconds."""
        return self.percentile_s(0.5)

    @property
    def p99_s(self) -> float:
        """99 % of the ticks were at most this late, seconds."""
        return self.percentile_s(0.99)

    @property
    def p999_s(self) -> float:
        """99.9 % of the ticks were at most this late, seconds."""
        return self.percentile_s(0.999)
