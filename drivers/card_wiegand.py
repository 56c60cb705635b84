"""Wiegand codes of 26 and 34 bits from the edges of two lines.

A falling edge of DATA0 is a 0, one of DATA1 a 1. The first bit makes the first half of the code even, the last bit
makes the second half odd; between them stand the bytes: 26 bits are facility (one byte) and card (two), 34 bits are
four bytes. More than 5 ms without an edge end a code. (npm wiegand-encoder, docs.ros.org wiegand. Facility 90, card
324 is 00101101000000001010001000.)

One flipped bit is always seen. Two in one half are not: the parity of that half is right again.

The length is given, not guessed: the first 26 bits of a code of 34 that lost its end pass both parities one time in
four, and would be somebody else's card.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Final, NamedTuple

from drivers.card_contracts import FrameFault

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

#: More than this without an edge ends a code, seconds.
GAP_S: Final = 0.005


class Edge(NamedTuple):
    """One falling edge: when, in seconds on any clock that both lines share, and the bit of its line."""

    at_s: float
    bit: int


def decode(bits: Sequence[int], length: int) -> bytes | FrameFault:
    """Return the bytes of a code of ``length`` bits (26 or 34), or what is wrong with it."""
    if len(bits) != length:
        return FrameFault.BAD_FRAME
    half = length // 2
    if sum(bits[:half]) % 2 != 0 or sum(bits[half:]) % 2 != 1:
        return FrameFault.BAD_PARITY
    number = int("".join(map(str, bits[1:-1])), 2)
    return number.to_bytes((length - 2) // 8, "big")


class Wiegand:
    """Cuts edges into codes and judges them. The edges of one call may come in any order."""

    def __init__(self, length: int) -> None:
        self.length: Final = length
        self._judged_s: float | None = None

    def judge(self, edges: Iterable[Edge]) -> list[bytes | FrameFault]:
        """Return ids and bad codes of ``edges``, which end in silence.

        Edges that come too soon after those of the last call belong to a code that has been judged already: they
        are the rest of something broken.
        """
        found: list[bytes | FrameFault] = []
        for code in _codes(sorted(edges)):
            late = self._judged_s is not None and code[0].at_s - self._judged_s <= GAP_S
            found.append(FrameFault.BAD_FRAME if late else decode([edge.bit for edge in code], self.length))
            self._judged_s = code[-1].at_s
        return found


def _codes(edges: Sequence[Edge]) -> list[list[Edge]]:
    if not edges:
        return []
    codes = [[edges[0]]]
    for earlier, edge in pairwise(edges):
        if edge.at_s - earlier.at_s > GAP_S:
            codes.append([])
        codes[-1].append(edge)
    return codes
