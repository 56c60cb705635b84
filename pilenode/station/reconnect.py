"""How long to wait before the next connection, so that a fleet does not march. Pure; times are seconds.

Full jitter: any time from none to the longest allowed. Three cases (shared figures: docs/fleet.md):

- nothing left this machine (no link, no route, no name server): trying again soon costs nobody anything, and who waits
  for the link is connected within seconds of its return;
- a connection that had stood long was lost: very likely all cabinets lost theirs, so the first attempts are spread over
  ``spread_s``;
- anything else: the longest pause doubles with every attempt, up to ``cap_s``.
"""

from __future__ import annotations

from enum import Enum
from typing import Final

#: Longest and shortest pause while there is no way out.
_LOCAL_S: Final = 1.5
_LOCAL_LEAST_S: Final = 0.2
_MAX_DOUBLINGS: Final = 20


class Ending(Enum):
    """How the last connection, or the attempt at one, ended."""

    NO_WAY_OUT = "no_way_out"
    FAILED = "failed"
    STOOD = "stood"


def pause_s(attempt: int, base_s: float, cap_s: float, chance: float) -> float:
    """Return the pause before connection ``attempt`` (0 is the first). ``chance`` is a random number in 0 to 1."""
    return chance * min(cap_s, base_s * 2.0 ** min(attempt, _MAX_DOUBLINGS))


def after(
    ending: Ending, attempt: int, *, base_s: float, cap_s: float, spread_s: float, chance: float
) -> tuple[float, int]:
    """Return the pause after ``ending`` and the number of the attempt that follows it.

    ``attempt`` counts those that failed since a connection stood long.
    """
    if ending is Ending.NO_WAY_OUT:
        return _LOCAL_LEAST_S + chance * (min(_LOCAL_S, cap_s) - _LOCAL_LEAST_S), attempt
    if ending is Ending.STOOD:
        return chance * max(spread_s, base_s), 0
    return pause_s(attempt + 1, base_s, cap_s, chance), attempt + 1
