"""Orderly charging: who starts, who waits, who pauses. Pure: values in, decisions out, the time is passed in.

Two thresholds below guard's own limit. A start or a resumption is *admitted* while the expected sum stays within
``admit_ratio`` of the budget; sessions are *paused* when the measured sum has been above ``shed_ratio`` of it for
``shed_after_s``. The same holds for every feeder.

One line, no overtaking: paused sessions by the beginning of their pause, then the queue, first come first served.
Whoever cannot go yet has what he needs reserved before the next one is looked at, so a later one goes only where it
takes nothing from an earlier one (behind another feeder, with room for both). Hence everybody is served: the first of
the line goes as soon as enough of the running sessions have tapered off or ended, and none of them lasts for ever. Only
what is known to draw more than the whole budget keeps nobody waiting, because it could not go in any case.

Who pauses: first of all nobody who has been paused as often as he may; then nobody who is nearly full, whose charger
would start again for little; then whoever was paused least, and of those whoever has had power longest. A charger may
fail to start again after a pause, so nobody is paused to let others have a turn: only a measured excess pauses.

Dwell: a pause lasts at least ``min_off_s``. A leg lasts at least ``min_on_s`` except where keeping to that would hand
the matter to guard (far above the budget for a second) or defy an order (the budget was lowered).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from pilenode.station.load_values import (
    CABINET,
    Admit,
    Charging,
    End,
    Feeder,
    Known,
    Leave,
    LoadState,
    Outcome,
    Pause,
    Resume,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pilenode.station.load_values import Decision, LoadRules, View

#: Above this many times the budget nobody waits for ``shed_after_s``; guard acts from 1.1 times its limit after 2 s.
_FAR_RATIO: Final = 1.05
_FAR_S: Final = 1.0
#: Pausing what draws no more than this helps nobody, A.
_NOTHING_A: Final = 0.05
#: A start that did not come about is tried again after this long, seconds.
_AGAIN_S: Final = 10.0
#: A sum of many currents must not miss a threshold by a rounding, A.
_ROUNDING_A: Final = 1e-6


def decide(rules: LoadRules, state: LoadState, view: View, now_s: float) -> Outcome:
    """Return what follows from ``view``. At most one start or resumption at a time, ``close_stagger_s`` apart."""
    state = _remember(rules, state, view, now_s)
    groups = _groups(rules, view)
    state, away = _shed(rules, state, view, groups, now_s)
    expired = [one.order for one in view.queue if now_s - one.since_s >= rules.queue_wait_s]
    queue = tuple(one for one in view.queue if one.order not in expired)
    decisions: list[Decision] = [*away, *(Leave(order, "queue_expired") for order in expired)]
    if not away:
        begun = _begin(rules, state, replace(view, queue=queue), groups, now_s)
        if begun is not None:
            name, decision = begun
            decisions.append(decision)
            state = replace(state, closed_s=now_s, tried_s={**state.tried_s, name: now_s})
            queue = tuple(one for one in queue if not (isinstance(decision, Admit) and one.order == name))
    positions = {one.order: place for place, one in enumerate(queue, 1)}
    return Outcome(state, tuple(decisions), positions)


# -- what is known --------------------------------------------------------------------------------------------


def _remember(rules: LoadRules, state: LoadState, view: View, now_s: float) -> LoadState:
    """Return the memory with the draws of ``view``; sessions that are gone have taught their owner's peak."""
    open_now = {one.session for one in view.sessions}
    forecast = state.forecast
    for session, memory in state.known.items():
        if session not in open_now:
            forecast = forecast.learn(memory.owner, memory.peak_a)
    known = {one.session: _draw(rules, replace(state, forecast=forecast), one, now_s) for one in view.sessions}
    names = open_now | {one.order for one in view.queue}
    return replace(
        state,
        forecast=forecast,
        known=known,
        tried_s={name: at_s for name, at_s in state.tried_s.items() if name in names},
        budget_a=view.budget_a,
        lowered=state.lowered or (state.budget_a is not None and view.budget_a < state.budget_a),
    )


def _draw(rules: LoadRules, state: LoadState, one: Charging, now_s: float) -> Known:
    """Return what counts for an open session: expected at first, then measured; for a paused one its last draw."""
    memory = state.known.get(one.session)
    peak_a = max(one.current_a or 0.0, memory.peak_a if memory is not None else 0.0)
    expected_a = state.forecast.expected_a(one.owner, rules.start_demand_a)
    last_a = expected_a if memory is None else memory.demand_a
    if not one.live or one.current_a is None:
        return Known(last_a, peak_a, one.owner)
    young = now_s - one.since_s < rules.settle_s
    return Known(max(last_a, one.current_a) if young else one.current_a, peak_a, one.owner)


# -- groups of ports ------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Group:
    """The cabinet or a feeder: its thresholds, what its live sessions draw, and what counts for them, A."""

    name: str
    admit_a: float
    shed_a: float
    ports: frozenset[int] | None  # None: all
    live: list[Charging] = field(default_factory=list)

    def has(self, port: int) -> bool:
        return self.ports is None or port in self.ports

    @property
    def measured_a(self) -> float:
        return sum(one.current_a or 0.0 for one in self.live)


def _groups(rules: LoadRules, view: View) -> list[_Group]:
    whole = Feeder(CABINET, frozenset(), view.budget_a)
    groups = [
        _Group(
            one.name,
            one.limit_a * rules.admit_ratio,
            one.limit_a * rules.shed_ratio,
            None if one is whole else one.ports,
        )
        for one in (whole, *rules.feeders)
    ]
    for group in groups:
        group.live = [one for one in view.sessions if one.live and group.has(one.port)]
    return groups


def _inlet_beyond_a(rules: LoadRules, state: LoadState, view: View, groups: Iterable[_Group], now_s: float) -> float:
    """Return what the inlet meter shows beyond the ports' own sum, A; for a while after a pause it shows the past."""
    if view.inlet_a is None or (state.shed_s is not None and now_s - state.shed_s < rules.shed_after_s):
        return 0.0
    return max(0.0, view.inlet_a - next(group.measured_a for group in groups if group.ports is None))


# -- too much -------------------------------------------------------------------------------------------------


def _shed(
    rules: LoadRules, state: LoadState, view: View, groups: list[_Group], now_s: float
) -> tuple[LoadState, list[Decision]]:
    """Return the memory of excess and whom to pause or end now."""
    beyond_a = _inlet_beyond_a(rules, state, view, groups, now_s)
    over_s: dict[str, float] = {}
    far_s: dict[str, float] = {}
    going: dict[str, Decision] = {}
    lowered = False
    for group in groups:
        sum_a = group.measured_a + (beyond_a if group.ports is None else 0.0)
        if sum_a <= group.shed_a + _ROUNDING_A:
            continue
        over_s[group.name] = state.over_s.get(group.name, now_s)
        if sum_a > group.shed_a * _FAR_RATIO + _ROUNDING_A:
            far_s[group.name] = state.far_s.get(group.name, now_s)
        ordered = state.lowered and group.ports is None
        lowered = lowered or ordered
        urgent = ordered or now_s - far_s.get(group.name, now_s) >= _FAR_S
        if urgent or now_s - over_s[group.name] >= rules.shed_after_s:
            too_much_a = sum_a - group.shed_a - sum(one.current_a or 0.0 for one in group.live if one.session in going)
            staying = [one for one in group.live if one.session not in going]
            going |= _victims(rules, staying, too_much_a, now_s, urgent=urgent)
    shed_s = now_s if going else state.shed_s
    return replace(state, over_s=over_s, far_s=far_s, lowered=lowered, shed_s=shed_s), list(going.values())


def _victims(
    rules: LoadRules, live: Iterable[Charging], too_much_a: float, now_s: float, *, urgent: bool
) -> dict[str, Decision]:
    """Return whom to send away until ``too_much_a`` is gone, in the order of the module's words."""

    def young(one: Charging) -> bool:
        return now_s - one.since_s < rules.min_on_s

    def rank(one: Charging) -> tuple[bool, bool, bool, int, float, int]:
        small = (one.current_a or 0.0) < rules.spare_below_a
        return one.pauses >= rules.max_pauses, young(one), small, one.pauses, -one.on_s, one.port

    going: dict[str, Decision] = {}
    for one in sorted((one for one in live if urgent or not young(one)), key=rank):
        if too_much_a <= _ROUNDING_A:
            break
        draw_a = one.current_a or 0.0
        if draw_a <= _NOTHING_A:
            continue
        going[one.session] = End(one.session) if one.pauses >= rules.max_pauses else Pause(one.session)
        too_much_a -= draw_a
    return going


# -- the line -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Next:
    """One place of the line: its draw and the room beyond it that it waits for, A, and from when on it may go.

    ``guessed``: nothing is known about this charger.
    """

    name: str
    port: int
    demand_a: float
    margin_a: float
    from_s: float
    guessed: bool
    decision: Admit | Resume


def _line(rules: LoadRules, state: LoadState, view: View) -> Iterable[_Next]:
    """Yield paused sessions by the beginning of their pause, then the queue."""
    paused = [one for one in view.sessions if not one.live]
    for one in sorted(paused, key=lambda one: (one.since_s, one.port)):
        demand_a = state.known[one.session].demand_a
        from_s = max(one.since_s + rules.min_off_s, _again_s(state, one.session))
        going_on = Resume(one.session)
        yield _Next(one.session, one.port, demand_a, rules.resume_margin_a, from_s, guessed=False, decision=going_on)
    for entry in view.queue:
        guessed = not state.forecast.knows(entry.owner)
        demand_a = expected_a(rules, state, entry.owner)
        from_s = _again_s(state, entry.order)
        yield _Next(entry.order, entry.port, demand_a, 0.0, from_s, guessed=guessed, decision=Admit(entry.order))


def _again_s(state: LoadState, name: str) -> float:
    tried_s = state.tried_s.get(name)
    return -math.inf if tried_s is None else tried_s + _AGAIN_S


def _begin(
    rules: LoadRules, state: LoadState, view: View, groups: list[_Group], now_s: float
) -> tuple[str, Admit | Resume] | None:
    """Return who may begin now, None when nobody may."""
    if state.closed_s is not None and now_s - state.closed_s < rules.close_stagger_s:
        return None
    beyond_a = _inlet_beyond_a(rules, state, view, groups, now_s)
    used = {
        group.name: sum(state.known[one.session].demand_a for one in group.live)
        + (beyond_a if group.ports is None else 0.0)
        for group in groups
    }
    for one in _line(rules, state, view):
        needs = [(group, _need_a(one, group)) for group in groups if group.has(one.port)]
        fits = all(used[group.name] + need_a <= group.admit_a + _ROUNDING_A for group, need_a in needs)
        if fits and now_s >= one.from_s:
            return one.name, one.decision
        if all(need_a < math.inf for _, need_a in needs):
            for group, need_a in needs:
                used[group.name] += need_a
    return None


def _need_a(one: _Next, group: _Group) -> float:
    """Return the need of ``one`` in a group, A; infinite where it cannot go under the present budget at all.

    What fits alone is never refused for a margin or for a guess; what is known to draw more than the budget is.
    """
    if group.admit_a <= 0.0 or (one.demand_a > group.shed_a and not one.guessed):
        return math.inf
    return min(one.demand_a + one.margin_a, group.admit_a)


def expected_a(rules: LoadRules, state: LoadState, owner: str | None) -> float:
    """Return what a start of ``owner`` is expected to draw, A; for the record of its waiting."""
    return state.forecast.expected_a(owner, rules.start_demand_a)
