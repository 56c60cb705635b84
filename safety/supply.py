"""The cabinet's supply: who may still start (admit), and who must go when it is too much (shed).

Two thresholds, as in the field (admit 7,800 W, shed 8,700 W): a new session is admitted while the measured sum with
the reserve of every port that has just started stays within the limit; ports are shed, latest start first, when the
sum has stood above ``shed_ratio`` times the limit for ``shed_s``, as many at once as it takes to come down to the
limit. A port that draws nothing helps nobody by going; it goes only when all the others were not enough, because then
the inlet meter sees what a port's own meter does not.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from safety.limits import CabinetLimits

#: A sum of many currents must not miss a limit by a rounding, A.
_ROUNDING_A = 1e-6


@dataclass(frozen=True, slots=True)
class Draw:
    """One live port: the current that its newest fresh reading shows, A, and when it got its power (None: not yet)."""

    port: int
    current_a: float
    closed_s: float | None


@dataclass(frozen=True, slots=True)
class Supply:
    """Memory: since when the sum is above the shed threshold, and when ports were last shed."""

    over_since_s: float | None = None
    shed_at_s: float | None = None


def room_a(draws: Iterable[Draw], limits: CabinetLimits, now: float, inlet_a: float | None = None) -> float:
    """Return the current that may still be given out, A; negative when it is too much already.

    A port that has just started counts with its reserve. ``inlet_a``: what the inlet meter shows, None without one; the
    larger of it and the ports' sum counts.
    """
    measured_a = kept_a = 0.0
    for draw in draws:
        measured_a += draw.current_a
        if draw.closed_s is None or now - draw.closed_s < limits.start_reserve_s:
            kept_a += max(0.0, limits.start_reserve_a - draw.current_a)
    return limits.current_limit_a - max(measured_a, inlet_a or 0.0) - kept_a


def admits(draws: Iterable[Draw], limits: CabinetLimits, now: float, inlet_a: float | None = None) -> bool:
    """Return whether one more session may start; the arguments are those of ``room_a``."""
    return room_a(draws, limits, now, inlet_a) >= limits.start_reserve_a - _ROUNDING_A


def watch(
    memory: Supply, draws: Iterable[Draw], inlet_a: float | None, limits: CabinetLimits, now: float
) -> tuple[Supply, tuple[int, ...]]:
    """Return the new memory and the ports to shed now, in the order in which they go.

    ``inlet_a``: what the inlet meter shows, None without one; the larger of it and the ports' sum counts. It may be of
    before the last shedding for a while, so for ``shed_s`` after one the ports' own meters alone count.
    """
    on = [draw for draw in draws if draw.closed_s is not None]
    total_a = sum(draw.current_a for draw in on)
    if inlet_a is not None and (memory.shed_at_s is None or now - memory.shed_at_s >= limits.shed_s):
        total_a = max(total_a, inlet_a)
    if total_a <= limits.shed_ratio * limits.current_limit_a + _ROUNDING_A:
        return Supply(None, memory.shed_at_s), ()
    since_s = now if memory.over_since_s is None else memory.over_since_s
    if now - since_s < limits.shed_s:
        return Supply(since_s, memory.shed_at_s), ()
    shed = []
    for draw in sorted(on, key=lambda draw: (draw.current_a > 0.0, draw.closed_s or 0.0, draw.port), reverse=True):
        if total_a <= limits.current_limit_a + _ROUNDING_A:
            break
        shed.append(draw.port)
        total_a -= draw.current_a
    return Supply(None, now), tuple(shed)
