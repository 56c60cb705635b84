"""What a charger that is about to start will draw: the most that it drew in its last sessions, else a default.

A charger is known by whoever brings it (card or account), never by the socket: at a shared cabinet the next vehicle at
the same socket is another one. A recent peak is the right guess because the budget is for the worst minute, and three
sessions are enough to forget a borrowed charger again.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Sessions of one owner that count.
_SESSIONS: Final = 3
#: Owners that are remembered; the one not seen for longest goes first.
_OWNERS: Final = 1000


@dataclass(frozen=True, slots=True)
class Forecast:
    """Peaks of the last sessions of each owner, A, oldest first; the owner seen last stands last."""

    peaks: Mapping[str, tuple[float, ...]] = field(default_factory=dict)

    def expected_a(self, owner: str | None, default_a: float) -> float:
        """Return what the next session of ``owner`` is expected to draw at most, A."""
        peaks = self.peaks.get(owner or "")
        return max(peaks) if peaks else default_a

    def learn(self, owner: str | None, peak_a: float) -> Forecast:
        """Return the forecast after a session of ``owner`` with this peak; one without a draw teaches nothing."""
        if not owner or peak_a <= 0.0:
            return self
        peaks = dict(self.peaks)
        peaks[owner] = (*peaks.pop(owner, ()), peak_a)[-_SESSIONS:]
        while len(peaks) > _OWNERS:
            del peaks[next(iter(peaks))]
        return Forecast(peaks)
