"""Token buckets: how often something may happen. Pure; times are passed in, seconds of one monotonic clock."""

from __future__ import annotations


class Bucket:
    """``burst`` at once, then ``burst`` in every ``period_s``, evenly."""

    def __init__(self, burst: int, period_s: float) -> None:
        self._burst = float(burst)
        self._rate = burst / period_s
        self._left = self._burst
        self._at_s: float | None = None

    def take(self, now: float) -> bool:
        """Return whether one more may happen at ``now``, and count it if so. A clock that went back gives nothing."""
        if self._at_s is not None:
            self._left = min(self._burst, self._left + max(0.0, now - self._at_s) * self._rate)
        self._at_s = now
        if self._left < 1.0:
            return False
        self._left -= 1.0
        return True
