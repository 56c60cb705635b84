"""A customer's plan, judged, changed, and turned into what guard holds for one leg. Pure.

A plan counts over the whole session; guard knows one leg. What earlier legs have used is taken off, what is left goes
to guard, so that a planned end needs no station. Times are ms since the epoch; energy is mWh.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, get_args

import msgspec

from pilenode.ipc.messages import Plan, Refused
from pilenode.ipc.wish import Change, Limit, Wish
from pilenode.station.local_time import local

if TYPE_CHECKING:
    from pilenode.station.windows import Hours

#: A clock time further away than this is a mistake: no session lasts longer than 12 h.
FURTHEST_MS: Final = 24 * 3600 * 1000
_LIMITS: Final = get_args(Limit)
_MOST_WH: Final = 100_000.0
_MOST_DEADLINE_S: Final = 86_400.0


@dataclass(frozen=True, slots=True)
class Used:
    """What a session has used. ``on_ms``: time with power."""

    energy_mwh: int = 0
    on_ms: int = 0


@dataclass(frozen=True, slots=True)
class Over:
    """Nothing is left of a plan: the ending that says what was reached."""

    code: str


def why_not(wish: Wish, now_ms: int | None) -> Refused | None:
    """Return why nobody can start with this plan, or None. ``now_ms`` is None when the clock cannot be trusted."""
    try:
        msgspec.convert(msgspec.to_builtins(wish), Wish)
    except msgspec.ValidationError as error:
        return Refused(code="bad_plan", detail=str(error)[:200])
    return None if wish.until_ms is None else _why_not_until(wish.until_ms, now_ms)


def _why_not_until(until_ms: int, now_ms: int | None) -> Refused | None:
    if now_ms is None:
        return Refused(code="clock_unknown")
    if until_ms <= now_ms:
        return Refused(code="plan_in_past", detail=f"{(now_ms - until_ms) // 1000} s ago")
    if until_ms - now_ms > FURTHEST_MS:
        return Refused(code="bad_plan", detail="clock time more than a day ahead")
    return None


def why_closed(hours: Hours, now_ms: int | None) -> Refused | None:
    """Return why nobody can start at this hour, with the next opening (ISO 8601, local), or None.

    Without a clock that can be trusted (``now_ms`` None) no hours are enforced.
    """
    opens_ms = None if now_ms is None else hours.opens_at(now_ms)
    if opens_ms is None:
        return None
    opens = local(opens_ms, hours.zone).isoformat(timespec="minutes")
    return Refused(code="outside_hours", detail=f"opens {opens}")


def modify(old: Wish, change: Change, now_ms: int | None) -> Wish | Refused:
    """Return the plan after a change, or why it cannot be changed like that.

    An amount of energy, time or money below what is used is no mistake: it ends the session at once. A clock time in
    the past is one, as it is at a start. A clock time that stays as it was is not judged again.
    """
    given = {
        name: value for name, value in msgspec.structs.asdict(change).items() if name != "without" and value is not None
    }
    if not given and not change.without:
        return Refused(code="bad_plan", detail="nothing to change")
    both = sorted(given.keys() & set(change.without))
    if both:
        return Refused(code="bad_plan", detail="given and lifted: " + ", ".join(both))
    wish = msgspec.structs.replace(old, **dict.fromkeys(change.without), **given)
    untimed = msgspec.structs.replace(wish, until_ms=None) if change.until_ms is None else wish
    return why_not(untimed, now_ms) or wish


def guard_plan(
    wish: Wish,
    *,
    earlier: Used,
    now_ms: int,
    leg_mwh: int = 0,
    amount_left_mwh: int | None = None,
    closes_ms: int | None = None,
) -> Plan | Over:
    """Return what guard is to hold for the present leg, or what the session has used up already.

    ``earlier``: used in the legs before this one. ``leg_mwh``: used in this leg so far, 0 at its grant.
    ``amount_left_mwh``: what the money still buys from now on, None without a limit in money. ``closes_ms``: when the
    allowed hours end the session (``Hours.deadline_ms``), None when they do not. ``now_ms`` is the best that is known.

    The clock comes before the duration, the duration before energy and money, as at guard.
    """
    deadline_ms, for_hours = _earlier(wish.until_ms, closes_ms)
    if deadline_ms is not None and deadline_ms <= now_ms:
        return Over("hours_ended" if for_hours else "planned_deadline")
    duration_ms = None if wish.duration_s is None else wish.duration_s * 1000 - earlier.on_ms
    if duration_ms is not None and duration_ms <= 0:
        return Over("planned_duration")
    wanted_mwh = None if wish.energy_wh is None else wish.energy_wh * 1000 - earlier.energy_mwh
    bought_mwh = None if amount_left_mwh is None else leg_mwh + amount_left_mwh
    energy_mwh, for_amount = _earlier(wanted_mwh, bought_mwh)
    if energy_mwh is not None and energy_mwh <= leg_mwh:
        return Over("planned_amount" if for_amount else "planned_energy")
    return Plan(
        energy_wh=None if energy_mwh is None else min(energy_mwh / 1000, _MOST_WH),
        duration_s=None if duration_ms is None else duration_ms / 1000,
        deadline_s=None if deadline_ms is None else min((deadline_ms - now_ms) / 1000, _MOST_DEADLINE_S),
        for_amount=for_amount,
        for_hours=for_hours,
    )


def _earlier(planned: int | None, other: int | None) -> tuple[int | None, bool]:
    """Return the smaller limit and whether it is the second one; the customer's own where they are equal."""
    if other is None or (planned is not None and planned <= other):
        return planned, False
    return other, True
