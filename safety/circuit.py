"""How a port is switched while it is judged: what the rules of relay, supply and meter have to know beside readings."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Circuit:
    """Seconds on guard's monotonic clock; None = not so now.

    ``closed_s``: since when the port's relay is ordered closed. ``opened_s``: since when it is ordered open after
    having been closed in this run of guard (None also when it never was). ``fed_s``: since when the master contactor
    is ordered closed; a cabinet without one is always fed. ``neighbours_v``: the highest fresh voltage at the meters
    of the other ports, None when none of them says anything; ``neighbours_a``: the sum of their currents.
    """

    closed_s: float | None = None
    opened_s: float | None = None
    fed_s: float | None = -math.inf
    neighbours_v: float | None = None
    neighbours_a: float = 0.0


#: A port that has been on for ever: for judging a stored session.
ALWAYS_ON = Circuit(closed_s=-math.inf)
