"""Full by low power: how low, how it got there, and for how long. Also a charger that never got going."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from safety.verdict import Verdict, lasting

if TYPE_CHECKING:
    from safety.completion_limits import CompletionLimits
    from safety.past import Past

#: The level that power fell from: mean of three blocks, leaving out the one in which it fell.
_LEVEL_BLOCKS = 3
_FALL_BLOCKS = 2


@dataclass(frozen=True, slots=True)
class Low:
    """One stay at low power.

    ``count``: low blocks so far, 0 when power is not low. ``burst``: blocks above low since the newest low one.
    ``wait``: low blocks needed; ``level_w``: what power fell from. ``all_w``, ``all_count``: sum and number of all
    blocks of the stay, bursts included. ``lows_w``: the newest low blocks.
    """

    count: int = 0
    burst: int = 0
    wait: int = 0
    level_w: float = 0.0
    all_w: float = 0.0
    all_count: int = 0
    lows_w: tuple[float, ...] = ()


def threshold_w(plateau_w: float, limits: CompletionLimits) -> float:
    """Return the power below which it is low, W."""
    return max(limits.low_share * plateau_w, min(limits.low_small_w, limits.low_small_share * plateau_w))


def is_low(past: Past, limits: CompletionLimits) -> bool:
    """Return whether the newest block is low; never before there is a plateau."""
    return past.plateau_w is not None and past.means_w[-1] < threshold_w(past.plateau_w, limits)


def watch_low(low: Low, past: Past, limits: CompletionLimits, *, tapered: bool) -> tuple[Low, Verdict | None]:
    """Judge the newest block. ``tapered``: the power had fallen smoothly before it became low."""
    if past.plateau_w is None:
        return low, None
    power_w = past.means_w[-1]
    if not is_low(past, limits):
        return (_burst(low, power_w, limits) if low.count else low), None
    if low.count == 0 or low.burst >= limits.blocks(limits.burst_s):
        low = _enter(low, past, limits, tapered=tapered)
    still = limits.blocks(limits.still_s)
    low = replace(
        low,
        count=low.count + 1,
        burst=0,
        all_w=low.all_w + power_w,
        all_count=low.all_count + 1,
        lows_w=(*low.lows_w, power_w)[-still:],
    )
    return low, _full(low, past.plateau_w, limits)


def _burst(low: Low, power_w: float, limits: CompletionLimits) -> Low:
    if low.burst >= limits.blocks(limits.top_off_s):
        return Low()
    return replace(low, burst=low.burst + 1, all_w=low.all_w + power_w, all_count=low.all_count + 1)


def _enter(low: Low, past: Past, limits: CompletionLimits, *, tapered: bool) -> Low:
    plateau_w = past.plateau_w or 0.0
    if len(past.means_w) > _LEVEL_BLOCKS + _FALL_BLOCKS:
        level_w = past.mean_w(_LEVEL_BLOCKS, back=_FALL_BLOCKS)
    else:
        level_w = plateau_w
    if level_w > limits.abrupt_share * plateau_w:
        wait_s = limits.confirm_abrupt_s
    elif level_w >= limits.tapered_share * plateau_w:
        wait_s = limits.confirm_middle_s if tapered else limits.confirm_abrupt_s
    else:
        wait_s = limits.confirm_tapered_s if tapered else limits.confirm_middle_s
    wait = limits.blocks(wait_s)
    if low.count and low.wait < wait:  # a top-off ends abruptly, but the pack had tapered before it
        return Low(wait=low.wait, level_w=low.level_w)
    return Low(wait=wait, level_w=level_w)


def _full(low: Low, plateau_w: float, limits: CompletionLimits) -> Verdict | None:
    if low.count < low.wait or low.all_w > low.all_count * threshold_w(plateau_w, limits):
        return None
    lost_w = low.lows_w[0] - low.lows_w[-1]
    if lost_w >= max(limits.still_w, limits.still_share * plateau_w) and low.count < limits.blocks(limits.low_max_s):
        return None
    low_for = lasting(low.count * limits.block_s)
    return Verdict(
        "full", f"{low.lows_w[-1]:.1f} W for {low_for}, down from {low.level_w:.0f} W, plateau {plateau_w:.0f} W"
    )


@dataclass(frozen=True, slots=True)
class NeverGoing:
    """Power so far, where there was never a plateau worth the name: blocks in a row that drew next to nothing."""

    count: int = 0


def watch_start(state: NeverGoing, past: Past, limits: CompletionLimits) -> tuple[NeverGoing, Verdict | None]:
    """Judge a charger that has not got going: too little power for too long, and level."""
    if (past.plateau_w or 0.0) >= limits.idle_plateau_w or past.means_w[-1] >= limits.idle_w:
        return (NeverGoing() if state.count else state), None
    state = NeverGoing(state.count + 1)
    newest = past.means_w[-limits.blocks(limits.idle_flat_s) :]
    level = max(newest) - min(newest) <= max(1.0, limits.idle_flat_share * max(newest))
    if state.count < limits.blocks(limits.idle_s) or not level:
        return state, None
    low_for = lasting(state.count * limits.block_s)
    return state, Verdict("low_power", f"{past.means_w[-1]:.1f} W, below {limits.idle_w:.0f} W for {low_for}")
