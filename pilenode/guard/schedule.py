"""Which meter is read next: a pure decision over what was tried when.

Every meter gets its turn in order; one that keeps failing is tried less and less often, so that it costs the others
at most one time-out per pause. It is never given up.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

#: Failures in a row before a meter is tried less often. Two lost frames are noise, three are a dead meter.
PATIENCE: Final = 3
#: First and longest pause between two tries of a dead meter, seconds.
FIRST_PAUSE_S: Final = 0.5
LONGEST_PAUSE_S: Final = 5.0
#: How old an energy register may grow, seconds: while a session runs, and while none does.
ENERGY_LIVE_S: Final = 1.0
ENERGY_IDLE_S: Final = 10.0


@dataclass(frozen=True, slots=True)
class Turn:
    """What is remembered of one meter. Times are seconds, monotonic; ``tried_s`` None = not yet."""

    port: int
    tried_s: float | None = None
    failures: int = 0
    energy_s: float | None = None


def pause_s(failures: int) -> float:
    """Return how long a meter with that many failures in a row is left alone, in seconds."""
    if failures < PATIENCE:
        return 0.0
    return min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2.0 ** min(failures - PATIENCE, 10))


def choose(turns: Iterable[Turn], now: float) -> Turn | None:
    """Return the turn to take now, the one that waited longest, or None when every meter is in its pause."""
    due = [turn for turn in turns if turn.tried_s is None or now - turn.tried_s >= pause_s(turn.failures)]
    return min(due, key=lambda turn: -1.0 if turn.tried_s is None else turn.tried_s, default=None)


def energy_due(turn: Turn, now: float, *, live: bool, wanted: bool) -> bool:
    """Return whether the energy register rides along this time."""
    if turn.energy_s is None or wanted:
        return True
    return now - turn.energy_s >= (ENERGY_LIVE_S if live else ENERGY_IDLE_S)
