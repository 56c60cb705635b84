"""What a charger that is about to start will draw: the most that it drew in its last sessions, else a guess.

A charger is known by whoever brings it (card or account), never by the socket: at a shared cabinet the next vehicle at
the same socket is another one. A recent peak is right because the budget is for the worst minute, and three sessions
are enough to forget a borrowed charger again. Of a stranger is expected what three of four of the last sessions here
stayed below: the sum of several strangers is rarely more, and where it is, somebody pauses.
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
#: Sessions of all owners that a guess is made of: at least, at most, and the share that it covers.
_FEWEST, _MOST, _SHARE = 5, 30, 0.75


@dataclass(frozen=True, slots=True)
class Forecast:
    """Peaks of the last sessions of each owner, A, oldest first; the owner seen last stands last. ``all``: of all."""

    peaks: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    all: tuple[float, ...] = ()

    def knows(self, owner: str | None) -> bool:
        """Return whether this owner's charger has been seen."""
        return (owner or "") in self.peaks

    def expected_a(self, owner: str | None, default_a: float) -> float:
        """Return what the next session of ``owner`` is expected to draw at most, A.

        ``default_a``: the guess before there were enough sessions to make one of.
        """
        if self.knows(owner):
            return max(self.peaks[owner or ""])
        if len(self.all) < _FEWEST:
            return default_a
        return sorted(self.all)[int(_SHARE * len(self.all))]

    def learn(self, owner: str | None, peak_a: float) -> Forecast:
        """Return the forecast after a session of ``owner`` with this peak; one without a draw teaches nothing."""
        if peak_a <= 0.0:
            return self
        peaks = dict(self.peaks)
        if owner:
            peaks[owner] = (*peaks.pop(owner, ()), peak_a)[-_SESSIONS:]
        while len(peaks) > _OWNERS:
            del peaks[next(iter(peaks))]
        return Forecast(peaks, (*self.all, peak_a)[-_MOST:])
