"""Worn packs and failed chargers, by the slope of the power: plateau in the tail, rising in the tail, no taper.

Thresholds in watts miss nearly all of these. What shows them is that at constant voltage the power of a sound pack
falls, and keeps falling until the charger turns over.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import fsum
from typing import TYPE_CHECKING

from safety.verdict import Verdict, lasting

if TYPE_CHECKING:
    from safety.completion_limits import CompletionLimits
    from safety.past import Past

#: Blocks that make one bin of the long memory.
_BIN = 5
#: Blocks whose mean stands for the power now where a single block would be too rough.
_NOW = 3
#: Bins that are kept: eight hours of minutes.
_MOST_BINS = 96


@dataclass(frozen=True, slots=True)
class Tail:
    """The stage of the charge since the last large step.

    ``age``: its blocks. ``crest_w``: its highest power, ``least_w``: its lowest mean since there is a tail, both moved
    along with small steps so that a step is not taken for a smooth fall. ``tapered``: there was a smooth fall, in
    this stage or one before it. ``floats``: the stage began with a step down out of a taper. ``flat``, ``rising``:
    blocks in a row. ``bins_w``: long memory, means of five blocks; ``bin_w``, ``bin_count``: the one being filled.
    """

    age: int = 0
    crest_w: float = 0.0
    least_w: float | None = None
    tapered: bool = False
    floats: bool = False
    flat: int = 0
    rising: int = 0
    bin_w: float = 0.0
    bin_count: int = 0
    bins_w: tuple[float, ...] = ()


def watch_tail(tail: Tail, past: Past, limits: CompletionLimits, *, low: bool) -> tuple[Tail, Verdict | None]:
    """Judge the newest block; ``low``: it is below the threshold of full, which is another rule's business."""
    tail = _stage(tail, past, limits)
    tail = _bin(tail, past, limits)
    if low:
        return replace(tail, flat=0, rising=0, least_w=None), None
    falling = False
    if past.quiet >= _NOW:
        now_w = past.mean_w(_NOW)
        falling = now_w <= (1 - limits.fall_share) * tail.crest_w
        tail = replace(tail, crest_w=max(tail.crest_w, now_w), tapered=tail.tapered or falling)
    if falling or tail.least_w is not None:
        tail = _slopes(tail, past, limits)
        verdict = _plateau_or_rising(tail, past, limits)
        if verdict is not None:
            return tail, verdict
    return tail, _strong_float(tail, past, limits) or _no_taper(tail, past, limits)


def _stage(tail: Tail, past: Past, limits: CompletionLimits) -> Tail:
    """Begin a new stage at a large step, move the marks along with a small one."""
    now_w = past.means_w[-1]
    if past.count == 1:
        return Tail(crest_w=now_w)
    if past.quiet:
        return replace(tail, age=tail.age + 1)
    if abs(past.step - 1.0) >= limits.large_step_share:
        tapered = tail.tapered and past.step < 1.0
        return Tail(crest_w=now_w, tapered=tapered, floats=tapered)
    return replace(
        tail,
        age=tail.age + 1,
        crest_w=tail.crest_w * past.step,
        least_w=None if tail.least_w is None else tail.least_w * past.step,
        flat=0,
        rising=0,
        bin_w=tail.bin_w * past.step,
        bins_w=tuple(w * past.step for w in tail.bins_w),
    )


def _slopes(tail: Tail, past: Past, limits: CompletionLimits) -> Tail:
    mean, over = limits.blocks(limits.mean_s), limits.blocks(limits.flat_over_s)
    settled = past.quiet - limits.blocks(limits.settle_s)
    if settled < mean:
        return tail
    now_w = past.mean_w(mean)
    least_w = now_w if tail.least_w is None else min(tail.least_w, now_w)
    rising = tail.rising + 1 if now_w > (1 + limits.rising_share) * least_w else 0
    flat = 0
    if settled >= mean + over and now_w <= limits.flat_below_share * (past.plateau_w or 0.0):
        flat = tail.flat + 1 if now_w > (1 - limits.flat_share) * past.mean_w(mean, back=over) else 0
    return replace(tail, least_w=least_w, rising=rising, flat=flat)


def _plateau_or_rising(tail: Tail, past: Past, limits: CompletionLimits) -> Verdict | None:
    now_w = past.means_w[-1]
    if tail.rising >= limits.blocks(limits.rising_hold_s):
        return Verdict("rising", f"{now_w:.1f} W, {tail.least_w:.1f} W at its lowest, {tail.crest_w:.0f} W at first")
    if tail.flat >= limits.blocks(limits.flat_hold_s):
        level_for = lasting(limits.flat_over_s + limits.flat_hold_s)
        return Verdict("plateau", f"{now_w:.1f} W, level for {level_for}, down from {tail.crest_w:.0f} W")
    return None


def _strong_float(tail: Tail, past: Past, limits: CompletionLimits) -> Verdict | None:
    now_w, plateau_w = past.means_w[-1], past.plateau_w or 0.0
    settled = tail.floats and tail.age >= limits.blocks(limits.float_s)
    if not settled or now_w > min(tail.crest_w, limits.tapered_share * plateau_w):
        return None
    float_for = lasting(tail.age * limits.block_s)
    return Verdict("full", f"{now_w:.1f} W of float for {float_for} after a taper, plateau {plateau_w:.0f} W")


def _bin(tail: Tail, past: Past, limits: CompletionLimits) -> Tail:
    if tail.age <= limits.blocks(limits.rise_skip_s):
        return tail
    sum_w, count = tail.bin_w + past.means_w[-1], tail.bin_count + 1
    if count < _BIN:
        return replace(tail, bin_w=sum_w, bin_count=count)
    return replace(tail, bin_w=0.0, bin_count=0, bins_w=(*tail.bins_w, sum_w / _BIN)[-_MOST_BINS:])


def _no_taper(tail: Tail, past: Past, limits: CompletionLimits) -> Verdict | None:
    """Judge whenever a bin is complete: the top, the rise before it, and what came after it.

    Far below the plateau it is not judged: the pulses of a pulse charger may taper in many small steps.
    """
    recent, window = limits.blocks(limits.no_rise_s) // _BIN, limits.blocks(limits.rise_window_s) // _BIN
    before_w = tail.bins_w[:-recent]
    high_w = (1 - limits.fall_share) * (past.plateau_w or 0.0)
    if tail.bin_count or not before_w or past.means_w[-1] < high_w:
        return None
    top_w = max(before_w)
    top = before_w.index(top_w)
    after_w = tail.bins_w[top + 1 :]
    rose = top_w >= (1 + limits.rise_share) * min(before_w[max(0, top - window) : top + 1])
    stayed = max(after_w) <= (1 + limits.no_rise_share) * top_w and min(after_w) > (1 - limits.fall_share) * top_w
    if not (rose and stayed and _level(after_w, limits)):
        return None
    return Verdict("no_taper", f"{after_w[-1]:.0f} W, risen to {top_w:.0f} W and not fallen since")


def _level(bins_w: tuple[float, ...], limits: CompletionLimits) -> bool:
    over = limits.blocks(limits.flat_over_s) // _BIN
    pair, earlier = bins_w[-2:], bins_w[-2 - over : -over]
    return fsum(pair) > (1 - limits.flat_share) * fsum(earlier)
