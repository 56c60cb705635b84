"""How long to wait before the next connection, so that a fleet does not march. Pure; times are seconds.

The plan: however long a broker was away, a fleet of N comes back with no more than N / ``spread_s`` connections a
second (``hil_rig.herd``). Four cases (shared figures: docs/fleet.md):

- the first attempt after a connection that had stood long: any time up to ``spread_s``. Very likely all cabinets have
  lost theirs. (After a start it is any time up to ``base_s``: somebody may stand before the cabinet and wait for it.)
- an attempt that failed: the pause doubles with every one, from ``spread_s`` up to ``cap_s``, and has no chance in it.
  Attempts were spread by the first pause and stay so. Chance would draw them together again: with full jitter below
  2, 4, 8 s a broker that was away for 20 s met four times the plan, most of it in its first seconds;
- a connection that broke soon: any time up to that doubled pause, because what broke it broke all at once;
- nothing left this machine (no link, no route, no name server): trying again soon costs nobody anything, and who waits
  for the link is connected within seconds of its return. What fails after that is spread anew.
"""

from __future__ import annotations

from enum import Enum
from typing import Final, NamedTuple

#: Longest and shortest pause while there is no way out.
_LOCAL_S: Final = 1.5
_LOCAL_LEAST_S: Final = 0.2
_MAX_DOUBLINGS: Final = 20


class Ending(Enum):
    """How the last connection, or the attempt at one, ended."""

    NO_WAY_OUT = "no_way_out"
    FAILED = "failed"
    BROKE = "broke"
    STOOD = "stood"


class Turn(NamedTuple):
    """The next attempt: after ``pause_s``, following ``attempt`` ones that failed since a connection stood long.

    ``own``: it comes at a time of this cabinet's own, spread over at least ``spread_s``.
    """

    pause_s: float
    attempt: int = 0
    own: bool = True


def first(base_s: float, chance: float) -> Turn:
    """Return the first attempt after a start. ``chance`` is a random number in 0 to 1."""
    return Turn(chance * base_s, own=False)


def after(ending: Ending, last: Turn, *, base_s: float, cap_s: float, spread_s: float, chance: float) -> Turn:
    """Return the attempt that follows the ``ending`` of ``last``. ``chance`` is a random number in 0 to 1."""
    if ending is Ending.NO_WAY_OUT:
        pause_s = _LOCAL_LEAST_S + chance * (min(_LOCAL_S, cap_s) - _LOCAL_LEAST_S)
        return Turn(pause_s, last.attempt, own=False)
    if ending is Ending.STOOD:
        return Turn(chance * max(spread_s, base_s))
    attempt = last.attempt + 1
    longest_s = min(max(cap_s, spread_s), max(spread_s, base_s * 2.0 ** min(attempt, _MAX_DOUBLINGS)))
    keeps_its_time = ending is Ending.FAILED and last.own
    return Turn(longest_s if keeps_its_time else chance * longest_s, attempt)
