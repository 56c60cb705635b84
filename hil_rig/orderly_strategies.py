"""The load plan of the station, and simpler ways to hold it against. Each is asked once a second."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

from pilenode.station.load_plan import decide
from pilenode.station.load_values import Admit, LoadState, Pause, Resume
from safety import supply
from safety.limits import CabinetLimits

if TYPE_CHECKING:
    from collections.abc import Callable

    from pilenode.station.load_values import Charging, Decision, LoadRules, View


class Strategy(Protocol):
    """Decides who starts, pauses and goes on."""

    def decide(self, view: View, now_s: float) -> tuple[Decision, ...]:
        """Return what to do now."""


class Planned:
    """The shipped plan, pure as it is."""

    def __init__(self, rules: LoadRules) -> None:
        self._rules = rules
        self._state = LoadState()

    def decide(self, view: View, now_s: float) -> tuple[Decision, ...]:
        """Return what the plan says."""
        outcome = decide(self._rules, self._state, view, now_s)
        self._state = outcome.state
        return outcome.decisions


class FirstCome(Planned):
    """The same queue without pauses: what has started runs to its end."""

    def __init__(self, rules: LoadRules) -> None:
        super().__init__(replace(rules, shed_ratio=1e9))


class LatestSheds:
    """Guard's own rule moved down to the budget: start where the measured sum leaves room, the latest start goes.

    Without dwell times, forecast or fairness; whoever went comes back as soon as there is room.
    """

    def __init__(self, rules: LoadRules) -> None:
        self._rules = rules
        self._limits = CabinetLimits(current_limit_a=rules.budget_a, shed_ratio=1.0001, shed_s=rules.shed_after_s)
        self._memory = supply.Supply()
        self._closed_s = -1e9

    def decide(self, view: View, now_s: float) -> tuple[Decision, ...]:
        """Return what the rule says."""
        limits = self._limits
        live = {one.port: one for one in view.sessions if one.live}
        draws = [supply.Draw(one.port, one.current_a or 0.0, one.since_s) for one in live.values()]
        self._memory, ports = supply.watch(self._memory, draws, None, limits, now_s)
        if ports:
            return tuple(Pause(live[port].session) for port in ports)
        if now_s - self._closed_s < self._rules.close_stagger_s or not supply.admits(draws, limits, now_s):
            return ()
        resting: list[Charging] = sorted((one for one in view.sessions if not one.live), key=lambda one: one.since_s)
        self._closed_s = now_s
        if resting:
            return (Resume(resting[0].session),)
        return (Admit(view.queue[0].order),) if view.queue else ()


class NoControl:
    """Everybody starts at once: the supply is taken for endless. Only to compare energies with."""

    def __init__(self, rules: LoadRules) -> None:
        del rules

    def decide(self, view: View, now_s: float) -> tuple[Decision, ...]:
        """Return a start for everybody."""
        del now_s
        return tuple(Admit(one.order) for one in view.queue)


STRATEGIES: dict[str, Callable[[LoadRules], Strategy]] = {
    "plan": Planned,
    "first come": FirstCome,
    "latest sheds": LatestSheds,
    "no control": NoControl,
}
