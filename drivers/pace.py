"""How long one slave takes to begin its reply, learned from its replies. Pure values, seconds.

Two numbers are kept: when to look for the end of a reply, and how slow the slave was lately. The first follows the
fast replies: a look that comes too early costs one more wake-up and no time, one that comes too late costs its delay.
The second follows the slow ones, so that a time-out does not give up on a slave that is merely slow.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

#: A reply that was complete at the first look may have been so for a while: the next look comes so much sooner, and
#: twice as much with every further one, until a look is too early.
SOONER_S: Final = 0.000_01
#: After a look that came too early by little the next one is at the end of the reply; a reply that was late by more
#: than this moves it by a share of the delay only: one slow reply does not make all looks late.
LATER_S: Final = 0.000_3
LATER: Final = 0.1
#: A slave is waited for this many times as long as its slowest recent reply took to begin, and this much longer.
PATIENCE: Final = 3.0
MARGIN_S: Final = 0.02
#: What the slowest recent reply loses to a faster one, as a share of the difference.
FORGETTING: Final = 0.02


@dataclass(frozen=True, slots=True)
class Pace:
    """``look_s``: where the beginning of the next reply is expected after the request; ``slowest_s``: lately.

    ``sooner_s``: how much sooner the look after the next comes if the next is not too early.
    """

    look_s: float
    slowest_s: float
    sooner_s: float = SOONER_S

    def patience_s(self, limit_s: float) -> float:
        """Return how long to wait for the beginning of a reply, never more than ``limit_s``."""
        return min(limit_s, PATIENCE * self.slowest_s + MARGIN_S)


def learned(before: Pace | None, begun_s: float, *, at_first_look: bool) -> Pace:
    """Return the pace after a good reply that began ``begun_s`` after the request, or a little sooner.

    ``at_first_look``: the reply was complete when it was first looked for, so that ``begun_s`` is only a bound.
    """
    begun_s = max(0.0, begun_s)
    if before is None:
        return Pace(begun_s, begun_s)
    if at_first_look:
        look_s, sooner_s = max(0.0, min(before.look_s, begun_s) - before.sooner_s), 2.0 * before.sooner_s
    else:
        later_s = max(LATER_S, LATER * (begun_s - before.look_s))
        look_s, sooner_s = min(begun_s, before.look_s + later_s), SOONER_S
    fading_s = before.slowest_s - FORGETTING * (before.slowest_s - begun_s)
    return Pace(look_s, max(begun_s, fading_s), sooner_s)
