"""What a session uses, from mark to mark: energy from registers, time from the clock that never steps.

A mark is one reading of the register and of all clocks. Between two marks of one leg lies a piece. Its length is that
of the boot clock; its place in the day counts only if the wall clock could be believed at both ends and ran as far as
the boot clock did, else the piece has no time of day, and the fallback tariff is its price.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import zip_longest
from typing import TYPE_CHECKING, Final

import msgspec

from pilenode.upstream.facts_money import MAX_PIECES, POWER_CLASSES, PieceFlag, Usage, UsagePiece

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pilenode.station.prices import Prices
    from pilenode.upstream.facts_money import UsageMark

#: Wall and boot clock may differ by this much within a piece: slewing is slower, a step is larger.
STEP_MS: Final = 5000
#: A power is sustained when it, or more, lasted this long and this part of the time (requirements 3.6, rows F and G).
SUSTAINED_MS: Final = 8 * 60 * 1000
SUSTAINED_PART: Final = 10
_CLASS_W: Final = 100


def begin(usage: Usage, mark: UsageMark) -> Usage:
    """Return ``usage`` at the beginning of a leg: nothing is used before ``mark``."""
    return msgspec.structs.replace(usage, last=mark)


def end(usage: Usage) -> Usage:
    """Return ``usage`` after the last mark of a leg: nothing is used until the next one begins."""
    return msgspec.structs.replace(usage, last=None)


def extend(usage: Usage, mark: UsageMark, prices: Prices, *, final: bool = False) -> Usage:
    """Return ``usage`` up to ``mark``.

    A mark without a register is passed over, and the next one counts for both, unless it is the ``final`` one of its
    leg: then the time counts without energy, and says so.
    """
    if usage.last is None or (mark.register_mwh is None and not final):
        return usage
    piece = _piece(usage.last, mark)
    last = (
        mark if mark.register_mwh is not None else msgspec.structs.replace(mark, register_mwh=usage.last.register_mwh)
    )
    pieces = [*usage.pieces]
    merged = _merged(pieces[-1], piece, prices, force=len(pieces) >= MAX_PIECES) if pieces else None
    if merged is not None:
        pieces[-1] = merged
    else:
        pieces.append(piece)
    return Usage(pieces=pieces, last=last)


def _piece(first: UsageMark, mark: UsageMark) -> UsagePiece:
    flags: list[str] = []
    on_ms = mark.boottime_ms - first.boottime_ms
    wall_ms = mark.wall_ms - first.wall_ms
    if not (first.trusted and mark.trusted):
        flags.append(PieceFlag.NO_CLOCK)
    elif on_ms < 0 or wall_ms < 0 or abs(wall_ms - on_ms) > STEP_MS:
        flags.append(PieceFlag.CLOCK_STEPPED)
    placed = not flags
    energy_mwh = 0
    if mark.register_mwh is None or first.register_mwh is None:
        flags.append(PieceFlag.NO_READING)
    elif mark.register_mwh < first.register_mwh:
        flags.append(PieceFlag.REGISTER_BACKWARD)
    else:
        energy_mwh = mark.register_mwh - first.register_mwh
    return UsagePiece(
        from_wall_ms=first.wall_ms if placed else None,
        to_wall_ms=mark.wall_ms if placed else None,
        on_ms=max(0, on_ms),
        energy_mwh=energy_mwh,
        flags=flags,
    )


def _merged(one: UsagePiece, following: UsagePiece, prices: Prices, *, force: bool) -> UsagePiece | None:
    """Return both as one piece where that changes no price: neighbours with one rate, or both without a time of day.

    ``force``: a record that would grow beyond all bounds gives up the time of day of its newest pieces instead.
    """
    start, end_ms = one.from_wall_ms, following.to_wall_ms
    flags = one.flags
    if force:
        start, end_ms = None, None
        flags = sorted({*one.flags, *following.flags, PieceFlag.NO_CLOCK})
    elif one.flags != following.flags or one.to_wall_ms != following.from_wall_ms:
        return None
    merged = UsagePiece(
        from_wall_ms=start,
        to_wall_ms=end_ms,
        on_ms=one.on_ms + following.on_ms,
        energy_mwh=one.energy_mwh + following.energy_mwh,
        flags=flags,
    )
    if force or start is None:
        return merged
    rate = prices.only_rate(merged)
    same = rate is not None and rate == prices.only_rate(one) == prices.only_rate(following)
    return merged if same else None


@dataclass(frozen=True, slots=True)
class PowerHistogram:
    """How long a session drew how much: ms in each class of 100 W (``power_ms[0]``: none, ``[2]``: 101 to 200 W)."""

    power_ms: tuple[int, ...] = ()

    def add(self, power_w: int, ms: int) -> PowerHistogram:
        """Return the histogram after ``ms`` at ``power_w``. Negative power counts as none."""
        power_class = min(POWER_CLASSES - 1, (max(0, power_w) + _CLASS_W - 1) // _CLASS_W)
        added = [0] * power_class + [max(0, ms)]
        return PowerHistogram(tuple(a + b for a, b in zip_longest(self.power_ms, added, fillvalue=0)))


def sustained_w(power_ms: Sequence[int]) -> int:
    """Return the upper end, W, of the highest class that (or more) lasted 8 minutes and a tenth of the time; else 0."""
    whole, above = sum(power_ms), 0
    for power_class in range(len(power_ms) - 1, 0, -1):
        above += power_ms[power_class]
        if above >= SUSTAINED_MS and above * SUSTAINED_PART >= whole:
            return power_class * _CLASS_W
    return 0
