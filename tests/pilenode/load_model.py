"""A cabinet of a few numbers around the load plan: what it decides is carried out, and everything is on record."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from pilenode.station.load_plan import decide
from pilenode.station.load_values import Admit, Charging, End, Leave, LoadState, Pause, Resume, View, Waiting

if TYPE_CHECKING:
    from collections.abc import Callable

    from pilenode.station.load_values import Decision, LoadRules, Outcome


@dataclass
class Cabinet:
    """``draw_a`` says what the charger of an order draws at a time; ``step_s`` passes between two decisions."""

    rules: LoadRules
    draw_a: Callable[[str, float], float]
    step_s: float = 5.0
    now_s: float = 0.0
    budget_a: float = 0.0
    state: LoadState = field(default_factory=LoadState)
    open: dict[str, Charging] = field(default_factory=dict)
    queue: list[Waiting] = field(default_factory=list)
    outcomes: list[tuple[float, View, Outcome]] = field(default_factory=list)
    done: list[tuple[float, Decision]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.budget_a = self.budget_a or self.rules.budget_a

    def join(self, order: str, port: int) -> None:
        """Queue a start; the owner of a charger is its order."""
        self.queue.append(Waiting(order, port, self.now_s, owner=order))

    def finish(self, session: str) -> None:
        """End a session: the battery is full."""
        self.open.pop(session, None)

    def view(self) -> View:
        """Return what the plan would see now."""
        for one in self.open.values():
            amps = self.draw_a(one.session, self.now_s) if one.live else None
            self.open[one.session] = replace(one, current_a=amps)
        return View(self.budget_a, tuple(self.open.values()), tuple(self.queue))

    def pass_time(self) -> Outcome:
        """Let one step pass, decide, and carry it out."""
        self.now_s += self.step_s
        for one in self.open.values():
            if one.live:
                self.open[one.session] = replace(one, on_s=one.on_s + self.step_s)
        view = self.view()
        outcome = decide(self.rules, self.state, view, self.now_s)
        self.state = outcome.state
        self.outcomes.append((self.now_s, view, outcome))
        for decision in outcome.decisions:
            self.done.append((self.now_s, decision))
            self._carry_out(decision)
        return outcome

    def _carry_out(self, decision: Decision) -> None:
        if isinstance(decision, Admit | Leave):
            entry = next(one for one in self.queue if one.order == decision.order)
            self.queue.remove(entry)
            if isinstance(decision, Admit):
                self.open[entry.order] = Charging(
                    entry.order, entry.port, live=True, since_s=self.now_s, owner=entry.owner
                )
        elif isinstance(decision, End):
            del self.open[decision.session]
        else:
            one = self.open[decision.session]
            live = isinstance(decision, Resume)
            assert one.live is not live
            more = 1 if isinstance(decision, Pause) else 0
            self.open[one.session] = replace(
                one, live=live, since_s=self.now_s, pauses=one.pauses + more, current_a=None
            )
