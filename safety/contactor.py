"""The master contactor: when it is closed, and whether its auxiliary contact agrees."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from safety.limits import CabinetLimits


@dataclass(frozen=True, slots=True)
class Contactor:
    """``since_s``: closed since then, None while open. ``changed_s``: last order that was another one than before.

    ``needed_s``: last time it had a use. ``agreed_s``: last time the auxiliary contact was as ordered.
    """

    since_s: float | None = None
    changed_s: float | None = None
    needed_s: float = 0.0
    agreed_s: float | None = None


def drive(memory: Contactor, *, wanted: bool, forbidden: bool, limits: CabinetLimits, now: float) -> Contactor:
    """Return the contactor with its order decided.

    Closed from the first port that wants power until ``contactor_hold_s`` after the last one; open at once when it is
    ``forbidden``. In between all sockets are dead on two poles.
    """
    if forbidden:
        return _order(memory, None, now)
    if wanted:
        return replace(_order(memory, now if memory.since_s is None else memory.since_s, now), needed_s=now)
    return _order(memory, memory.since_s if now - memory.needed_s < limits.contactor_hold_s else None, now)


def _order(memory: Contactor, since_s: float | None, now: float) -> Contactor:
    # The first order counts as a change: what a run of guard before this one left behind needs its time to drop.
    changed = memory.changed_s is None or (since_s is None) != (memory.since_s is None)
    return replace(memory, since_s=since_s, changed_s=now if changed else memory.changed_s)


def hear(memory: Contactor, feedback: bool | None, now: float) -> Contactor:  # noqa: FBT001
    """Return the contactor with what its auxiliary contact says now; ``feedback``: it says closed, None = not wired."""
    return replace(memory, agreed_s=now) if feedback == (memory.since_s is not None) else memory


def disagrees(memory: Contactor, feedback: bool | None, limits: CabinetLimits, now: float) -> str | None:  # noqa: FBT001
    """Return the code when the auxiliary contact is not as ordered in time, None when all is well.

    ``feedback``: the contact says closed; None = not wired. It has ``contactor_feedback_s`` from the order to follow,
    and as long from the last agreement that was heard: a contact that bounces for a moment latches nothing.
    """
    if feedback is None or memory.changed_s is None:
        return None
    closed = memory.since_s is not None
    well_s = memory.changed_s if memory.agreed_s is None else max(memory.changed_s, memory.agreed_s)
    if feedback == closed or now - well_s < limits.contactor_feedback_s:
        return None
    return "contactor_not_closed" if closed else "contactor_welded"
