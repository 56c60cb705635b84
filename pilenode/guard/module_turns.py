"""Temperature modules on a bus, with or without meters: when each takes its turn, and who hears what it says.

Modules take slow turns. Between two of them every meter of the bus has had its own, so that the promise in numbers may
count each module as one more slave that has one turn in a round (``config.budget``). One that keeps failing is tried
less and less often, as a meter is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pilenode import clock
from pilenode.guard.schedule import pause_s
from pilenode.guard.workers import BusWorker
from safety.reading import ProbeReading

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from drivers.temperature_module import TemperatureModule
    from pilenode.guard.board import Board
    from pilenode.guard.workers import FittedMeter
    from safety.limits import PortLimits


@dataclass(slots=True)
class ModuleTurn:
    """One module. ``ports``: port number (or ``board.CABINET``) by input; ``interval_s``: how often it is read."""

    module: TemperatureModule
    ports: Mapping[int, int]
    interval_s: float
    tried_s: float | None = None
    failures: int = 0

    def due(self, now: float) -> bool:
        """Return whether it is time to read it."""
        return self.tried_s is None or now - self.tried_s >= max(self.interval_s, pause_s(self.failures))

    def take(self, board: Board, now: float) -> None:
        """Read it and post what it says."""
        outcomes = self.module.poll(clock.monotonic_s)
        for channel, outcome in outcomes.items():
            board.put_probe(self.ports[channel], outcome)
        # An input without a chip is that probe's trouble; a module of which no input says anything may be dead.
        answered = any(isinstance(outcome, ProbeReading) for outcome in outcomes.values())
        self.failures = 0 if answered else self.failures + 1
        self.tried_s = now


class ModuleBusWorker(BusWorker):
    """Polls the meters of one bus and, in between, its temperature modules."""

    def __init__(
        self,
        name: str,
        board: Board,
        meters: Sequence[FittedMeter],
        limits: Mapping[int, PortLimits],
        modules: Sequence[ModuleTurn],
    ) -> None:
        super().__init__(name, board, meters, limits)
        self._modules = list(modules)
        self._round = len(meters)
        self._since_module = self._round

    def _work(self) -> None:
        now = clock.monotonic_s()
        due = [module for module in self._modules if module.due(now)]
        if due and self._since_module >= self._round:
            self._since_module = 0
            min(due, key=lambda module: -1.0 if module.tried_s is None else module.tried_s).take(self._board, now)
            return
        self._since_module += 1
        super()._work()
