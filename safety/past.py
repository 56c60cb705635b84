"""What a session remembers of its blocks: the last half hour, the plateau power, and steps."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from math import fsum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from safety.blocks import Block
    from safety.completion_limits import CompletionLimits

#: Changes from block to block that say what is usual.
_USUAL_OVER = 10
#: So many of them, the largest, are steps and their rests and not usual.
_RARE = 2
#: A change this many times the usual one stands out.
_STANDS_OUT = 5.0
#: Powers below this are compared as if they were this high, W.
_LEAST_W = 0.5


@dataclass(frozen=True, slots=True)
class Past:
    """The blocks so far.

    ``means_w``: newest last, as many as the longest look back needs. ``plateau_w``: best mean over a few agreeing
    blocks, None until there was one. ``count``: blocks since the session began. ``quiet``: blocks since the last
    step or pulse. ``step``: what the newest block was multiplied by in a step, 1.0 when there was none.
    ``disturbed``: part of the newest block is not known.
    """

    means_w: tuple[float, ...] = ()
    plateau_w: float | None = None
    count: int = 0
    quiet: int = 0
    step: float = 1.0
    disturbed: bool = False

    def mean_w(self, blocks: int, back: int = 0) -> float:
        """Return the mean over ``blocks`` blocks that ended ``back`` blocks ago, W. They must exist."""
        end = len(self.means_w) - back
        return fsum(self.means_w[end - blocks : end]) / blocks


def remember(past: Past, block: Block, limits: CompletionLimits, *, hold_plateau: bool) -> Past:
    """Return the past with ``block`` in it. ``hold_plateau``: a step is being examined, the plateau stays.

    A block that stands out upwards is not yet part of a level either.
    """
    step = _step(past, block.mean_w, limits)
    quiet = past.quiet + 1 if step == 1.0 and past.means_w and not block.pulsed else 0
    look_back = limits.blocks(limits.flat_over_s) + limits.blocks(limits.mean_s)
    means_w = (*past.means_w, block.mean_w)[-look_back:]
    past = replace(past, means_w=means_w, count=past.count + 1, quiet=quiet, step=step, disturbed=block.disturbed)
    return past if hold_plateau or step > 1.0 else _raise_plateau(past, limits)


def _step(past: Past, mean_w: float, limits: CompletionLimits) -> float:
    """Return new over old power when the change stands out, else 1.0."""
    if not past.means_w:
        return 1.0
    old_w = max(past.means_w[-1], _LEAST_W)
    new_w = max(mean_w, _LEAST_W)
    recent_w = past.means_w[-_USUAL_OVER - 1 :]
    changes = sorted(abs(after_w - before_w) / max(before_w, _LEAST_W) for before_w, after_w in pairwise(recent_w))
    common = changes[:-_RARE] or (0.0,)
    usual = fsum(common) / len(common)
    if abs(new_w - old_w) <= max(limits.step_w, max(limits.step_share, _STANDS_OUT * usual) * old_w):
        return 1.0
    return new_w / old_w


def _raise_plateau(past: Past, limits: CompletionLimits) -> Past:
    blocks = limits.blocks(limits.plateau_s)
    newest = past.means_w[-blocks:]
    if len(newest) < blocks:
        return past
    mean_w = fsum(newest) / blocks
    if mean_w <= (past.plateau_w or 0.0) or max(newest) - min(newest) > limits.plateau_agree_share * mean_w:
        return past
    return replace(past, plateau_w=mean_w)
