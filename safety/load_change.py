"""What else is on the socket: nothing at all, another charger in place of the first, or a second one beside it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from safety.blocks import average, thinned
from safety.low import threshold_w
from safety.verdict import Verdict, lasting

if TYPE_CHECKING:
    from safety.completion_limits import CompletionLimits
    from safety.past import Past
    from safety.verdict import Sample

#: A single stray reading is the meter's, two in a row are the socket's.
_IN_A_ROW = 2
#: Power within this share of the plateau is the constant-current part.
_CONSTANT_CURRENT = 0.85


@dataclass(frozen=True, slots=True)
class Plug:
    """Whether something is plugged in, reading by reading.

    ``loads``: readings in a row with something, counted to two. ``nothings``: readings with nothing since then,
    ``nothing_s``: known seconds of that. ``seen``: a load was there in this session. ``level_w``, ``factor``: what it
    drew before it went. ``back_s``: known seconds since something returned, None when no return is being examined;
    ``watts``, ``factor_sum``, ``factor_count``: readings of the examination. ``returned``: number of blocks when
    something returned last, None when it never went.
    """

    loads: int = 0
    nothings: int = 0
    nothing_s: float = 0.0
    seen: bool = False
    level_w: float = 0.0
    factor: float = 0.0
    back_s: float | None = None
    watts: tuple[float, ...] = ()
    factor_sum: float = 0.0
    factor_count: int = 0
    returned: int | None = None


def watch_plug(
    plug: Plug, sample: Sample, known_s: float, past: Past, factor: float, limits: CompletionLimits, *, tapered: bool
) -> tuple[Plug, Verdict | None]:
    """Judge one reading that follows ``known_s`` known seconds.

    ``factor``: power factor at the end of the last block. ``tapered``: the power had fallen smoothly.
    """
    if sample.power_w <= limits.no_load_w or sample.current_a <= limits.no_load_a:
        return _nothing(plug, known_s, past, factor, limits, tapered=tapered)
    if plug.nothings:
        return _returning(plug, known_s, past, limits), None
    if plug.back_s is not None:
        return _examine(plug, sample, known_s, past, limits)
    if plug.seen:
        return plug, None
    return replace(plug, loads=plug.loads + 1, seen=plug.loads + 1 >= _IN_A_ROW), None


def _nothing(
    plug: Plug, known_s: float, past: Past, factor: float, limits: CompletionLimits, *, tapered: bool
) -> tuple[Plug, Verdict | None]:
    if plug.nothings == 0:
        plug = replace(plug, loads=0, nothings=1, nothing_s=0.0 if plug.seen else known_s)
        if plug.seen and plug.back_s is None and past.means_w:
            plug = replace(plug, level_w=past.means_w[-1], factor=factor)
        return plug, None
    plug = replace(plug, loads=0, nothings=plug.nothings + 1, nothing_s=plug.nothing_s + known_s)
    limit_s = limits.unplugged_s if plug.seen else limits.no_charger_s
    if plug.nothing_s < limit_s:
        return plug, None
    drawn = f"nothing drawn for {lasting(plug.nothing_s)}"
    if not plug.seen:
        return plug, Verdict("no_charger", f"{drawn} since the start")
    return plug, Verdict("full" if tapered else "unplugged", f"{drawn}, {plug.level_w:.0f} W before")


def _returning(plug: Plug, known_s: float, past: Past, limits: CompletionLimits) -> Plug:
    """Count readings with a load after nothing; after the second one the load is back.

    What comes and goes more often than a steady load would is a pulse charger on a meter that does not see standby.
    """
    nothing_s = plug.nothing_s + (known_s if plug.loads == 0 else 0.0)
    plug = replace(plug, loads=plug.loads + 1, nothing_s=nothing_s)
    if plug.loads < _IN_A_ROW:
        return plug
    was_out = plug.nothings >= _IN_A_ROW and limits.swap_min_s <= nothing_s <= limits.swap_max_s
    steady = plug.returned is None or past.count - plug.returned >= limits.blocks(limits.added_steady_s)
    return Plug(
        loads=plug.loads,
        seen=True,
        level_w=plug.level_w,
        factor=plug.factor,
        back_s=0.0 if was_out and steady else None,
        returned=past.count,
    )


def _examine(
    plug: Plug, sample: Sample, known_s: float, past: Past, limits: CompletionLimits
) -> tuple[Plug, Verdict | None]:
    back_s = (plug.back_s or 0.0) + known_s
    examined_s = back_s - limits.swap_from_s
    plug = replace(plug, back_s=back_s)
    if examined_s >= 0:
        plug = replace(
            plug,
            watts=thinned(plug.watts, sample.power_w, examined_s / (limits.swap_to_s - limits.swap_from_s)),
            factor_sum=plug.factor_sum + min(1.0, sample.factor),
            factor_count=plug.factor_count + 1,
        )
    if back_s < limits.swap_to_s:
        return plug, None
    (new_w, _), new_factor = average(plug.watts), plug.factor_sum / plug.factor_count
    verdict = None
    if _is_other(plug, new_w, new_factor, past.plateau_w, limits):
        verdict = Verdict(
            "swapped",
            f"{plug.level_w:.0f} W at power factor {plug.factor:.2f} before, {new_w:.0f} W at {new_factor:.2f} after",
        )
    return Plug(loads=plug.loads, seen=True, returned=plug.returned), verdict


def _is_other(plug: Plug, new_w: float, new_factor: float, plateau_w: float | None, limits: CompletionLimits) -> bool:
    """Return whether the load that came back is another one.

    In the tail a pack that rested a moment takes more than before, so there only the plateau is a measure.
    """
    if plateau_w is None or plug.level_w < threshold_w(plateau_w, limits):
        return False
    constant_current = plug.level_w >= _CONSTANT_CURRENT * plateau_w
    measure_w = plug.level_w if constant_current else plateau_w
    if new_w > (1 + limits.swap_more_share) * measure_w:
        return True
    if constant_current and threshold_w(plateau_w, limits) < new_w < (1 - limits.swap_less_share) * measure_w:
        return True
    similar = abs(new_w - plug.level_w) <= limits.swap_more_share * plug.level_w
    return similar and abs(new_factor - plug.factor) > limits.swap_factor


@dataclass(frozen=True, slots=True)
class Added:
    """A step that is being examined.

    ``old_w``: power before it. ``blocks``: under examination for so many, 0 when none is. ``held``, ``sum_w``: blocks
    in a row that were high enough. ``steady``: quiet blocks up to the newest one. ``disturbed``: of the newest block.
    ``tapered``: the power had fallen smoothly before.
    """

    old_w: float = 0.0
    blocks: int = 0
    held: int = 0
    sum_w: float = 0.0
    steady: int = 0
    disturbed: bool = False
    tapered: bool = False


def watch_added(added: Added, past: Past, limits: CompletionLimits, *, tapered: bool) -> tuple[Added, Verdict | None]:
    """Judge the newest block. ``tapered``: the power had fallen smoothly before.

    The taper counts only where the step is all that happened: after an outage a lead-acid charger draws more for some
    minutes, and a pack that rested a moment takes more than before. An examination that begins with a fall is that of
    a plug that was changed quickly.
    """
    idle = Added(steady=past.quiet, disturbed=past.disturbed)
    if added.blocks == 0:
        if past.step == 1.0 or not _was_steady(added, past, limits):
            return idle, None
        whole = past.step > 1.0 and not (added.disturbed or past.disturbed)
        added = Added(old_w=past.means_w[-2], tapered=tapered and whole)
    added = replace(added, blocks=added.blocks + 1)
    rise_w = max(limits.added_w, limits.added_share * added.old_w)
    if past.means_w[-1] >= added.old_w + rise_w:
        added = replace(added, held=added.held + 1, sum_w=added.sum_w + past.means_w[-1])
    elif added.held or added.blocks > limits.blocks(limits.swap_max_s):
        return idle, None
    if added.held < limits.blocks(limits.added_hold_s):
        return added, None
    new_w = added.sum_w / added.held
    beyond = added.tapered or new_w > (1 + limits.added_above_share) * (past.plateau_w or 0.0)
    if beyond and limits.added_floor_w <= added.old_w and new_w < limits.added_ratio * added.old_w:
        return idle, Verdict("added_load", f"from {added.old_w:.0f} W to {new_w:.0f} W in one step")
    return idle, None


def _was_steady(added: Added, past: Past, limits: CompletionLimits) -> bool:
    """Return whether the blocks before the newest one held a level: a taper may, pulses do not."""
    blocks = limits.blocks(limits.added_steady_s)
    if added.steady < blocks:
        return False
    before_w = past.means_w[-blocks - 1 : -1]
    return max(before_w) - min(before_w) <= limits.plateau_agree_share * max(before_w)
