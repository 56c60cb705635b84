"""One-minute blocks out of single readings, on a clock that runs only while something is known.

The block clock counts seconds between two readings that both show the supply and are close enough together. During
an outage or while the meter is silent it stands still, so whatever is timed in blocks stops then and is not reset.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import fsum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from safety.completion_limits import CompletionLimits

#: Most readings kept of one block: bounds memory where a meter is read ten times a second.
_MOST_READINGS = 120
#: Relative spread inside a block above which it is a pulse charger's, or holds a step: then no reading is an outlier.
_PULSE_SPREAD = 0.30
#: A single highest reading above this many times the next one is a fault of the meter even then.
_WILD = 2.0
_TRIMMED_TENTH = 10
_FEWEST_TO_TRIM = 3


@dataclass(frozen=True, slots=True)
class Block:
    """Mean power of one block, W.

    ``disturbed``: the supply was out or readings were missing in it. ``pulsed``: it holds pulses, or a step.
    """

    mean_w: float
    disturbed: bool = False
    pulsed: bool = False


@dataclass(frozen=True, slots=True)
class OpenBlock:
    """The block that is being filled.

    ``last_s`` is the time of the newest reading with supply, None when the one before had none. ``filled_s`` is how
    much of the block is known.
    """

    last_s: float | None = None
    filled_s: float = 0.0
    watts: tuple[float, ...] = ()
    disturbed: bool = False


def interval_s(block: OpenBlock, t_s: float, limits: CompletionLimits) -> float:
    """Return how many seconds since the reading before are known: 0 after an outage or a gap."""
    if block.last_s is None:
        return 0.0
    passed_s = t_s - block.last_s
    return passed_s if 0 < passed_s <= limits.gap_s else 0.0


def lost(block: OpenBlock) -> OpenBlock:
    """Return the block after a reading that says nothing because the supply is out."""
    if block.last_s is None:
        return block
    return OpenBlock(None, block.filled_s, block.watts, disturbed=True)


def add(
    block: OpenBlock, t_s: float, power_w: float, known_s: float, limits: CompletionLimits
) -> tuple[OpenBlock, tuple[Block, ...]]:
    """Add one reading that follows ``known_s`` known seconds; return the open block and those that became complete.

    More than one becomes complete only where readings are further apart than a block (a rig that replays fast).
    """
    gap = block.last_s is not None and known_s == 0.0 and t_s > block.last_s
    disturbed = block.disturbed or gap
    filled_s = block.filled_s + known_s
    watts = block.watts
    if filled_s < limits.block_s:
        return OpenBlock(t_s, filled_s, thinned(watts, power_w, filled_s / limits.block_s), disturbed), ()
    watts = (*watts, power_w)
    complete = []
    while filled_s >= limits.block_s:
        mean_w, pulsed = average(watts)
        complete.append(Block(mean_w, disturbed, pulsed))
        filled_s -= limits.block_s
        watts, disturbed = (power_w,), False
    return OpenBlock(t_s, filled_s, (), disturbed=False), tuple(complete)


def thinned(watts: tuple[float, ...], power_w: float, share: float) -> tuple[float, ...]:
    """Return the readings with ``power_w``, unless they are ahead of their ``share`` of the most that are kept."""
    return (*watts, power_w) if len(watts) <= _MOST_READINGS * share else watts


def average(watts: tuple[float, ...]) -> tuple[float, bool]:
    """Return the mean of one block's readings (at least one), W, without wild ones, and whether they are pulses.

    Trimmed by a tenth on each side; the plain mean where the rest still spreads over 30 % (pulses, a step).
    """
    ordered = sorted(watts)
    count = len(ordered)
    if count < _FEWEST_TO_TRIM:
        return fsum(ordered) / count, False
    trim = max(1, count // _TRIMMED_TENTH)
    core = ordered[trim:-trim]
    middle = fsum(core) / len(core)
    if core[-1] - core[0] <= _PULSE_SPREAD * middle:
        return middle, False
    if ordered[-1] > _WILD * ordered[-2]:
        ordered.pop()
    return fsum(ordered) / len(ordered), True
