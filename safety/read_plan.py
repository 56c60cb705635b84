"""Which registers of a meter are read together. Pure arithmetic; seconds, bytes, zero-based register addresses.

A transaction costs far more than a few bytes, so neighbouring blocks are read in one go where that is cheaper, and so
are blocks with a gap between them where the meter lets the gap be read. A slow block rides along with one poll in
``ENERGY_APART`` + 1 at most, so a quarter of its own transaction is what joining it to a fast one may cost each poll;
once joined, it is as young as the power.

Driver and budget ask the same function with the same cost, so what is computed is what is read.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from math import inf
from typing import TYPE_CHECKING, Final

from safety.budget import ENERGY_APART

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

#: What one reply may hold (Modbus application protocol 1.1b3, function 03/04).
MAX_REGISTERS: Final = 125
MAX_DATA_BYTES: Final = 250
#: Share of the polls that a slow block rides along with, at most.
SLOW_SHARE: Final = 1 / (ENERGY_APART + 1)


@dataclass(frozen=True, slots=True)
class Span:
    """``count`` registers from ``start`` in one transaction; ``fast``: in every poll, else now and then."""

    start: int
    count: int
    fast: bool

    @property
    def end(self) -> int:
        """The address after the last register."""
        return self.start + self.count


def plan(
    spans: Sequence[Span], bytes_per_register: int, transaction_s: Callable[[int], float], *, gaps_readable: bool
) -> tuple[Span, ...]:
    """Return the cheapest reads that cover ``spans``, fast ones first, each group in the order of addresses.

    ``spans`` do not overlap. ``transaction_s`` is the time of one read by its data bytes. ``gaps_readable``: registers
    between two spans may be read too; without it only neighbours are joined. A joined read is fast when a part of it
    is, and never longer than one reply may be.
    """
    ordered = sorted(spans, key=lambda span: span.start)
    best: list[tuple[float, tuple[Span, ...]]] = [(0.0, ())]
    for end in range(1, len(ordered) + 1):
        choices = []
        for begin in range(end):
            group = ordered[begin:end]
            if begin == end - 1 or _may_join(group, bytes_per_register, gaps_readable=gaps_readable):
                read = Span(group[0].start, group[-1].end - group[0].start, any(span.fast for span in group))
                cost_s = transaction_s(read.count * bytes_per_register) * (1.0 if read.fast else SLOW_SHARE)
                choices.append((best[begin][0] + cost_s, (*best[begin][1], read)))
        best.append(min(choices, key=lambda choice: choice[0], default=(inf, ())))
    return tuple(sorted(best[-1][1], key=lambda read: not read.fast))


def _may_join(group: Sequence[Span], bytes_per_register: int, *, gaps_readable: bool) -> bool:
    count = group[-1].end - group[0].start
    adjoin = all(one.end == other.start for one, other in pairwise(group))
    return (adjoin or gaps_readable) and count <= MAX_REGISTERS and count * bytes_per_register <= MAX_DATA_BYTES
