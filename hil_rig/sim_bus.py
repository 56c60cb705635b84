"""One RS-485 line and one probe bus in simulated time: guard's own decisions who is read when, budget's arithmetic.

Nothing sleeps and nothing is random but what the generator says. What the real worker threads do stands here in the
order in which they do it: choose a turn, poll, poll a suspicious port a second time at once.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

from pilenode.guard.schedule import InUse, Turn, choose, energy_due
from safety.overload import suspicious
from safety.reading import MeterReading, Missing, MissingReason, ProbeReading

if TYPE_CHECKING:
    import random
    from collections.abc import Mapping

    from pilenode.guard.board import Board
    from safety.budget import MeterTiming
    from safety.limits import PortLimits

#: Pause of the bus worker when every meter of a bus is in its back-off, seconds (pilenode.guard.workers).
_ALL_DEAD_S = 0.05


class Socket(Protocol):
    """What hangs on the line: a meter and a probe that can be asked."""

    dead: bool

    def sample(self, at_s: float, *, slow: bool) -> MeterReading | None:
        """Return what the meter's registers say at a moment, None for values that no reading may hold."""

    def celsius(self, at_s: float) -> float | None:
        """Return what the probe sees, None for a probe that says nothing."""


@dataclass(slots=True)
class Wire:
    """How a line behaves within its limits. ``worst``: every transaction takes all the time that it may.

    ``loss``: share of replies that get lost.
    """

    timing: MeterTiming
    worst: bool
    loss: float
    rng: random.Random

    def good_s(self, size: int) -> float:
        """Return how long one good read takes."""
        longest_s = self.timing.line.transaction_s(size)
        if self.worst:
            return longest_s
        line = self.timing.line
        least_s = longest_s - line.turnaround_s - _lateness_s(longest_s, size, self.timing)
        return least_s + (longest_s - least_s) * self.rng.random() ** 2

    def lost(self) -> bool:
        """Return whether this reply gets lost."""
        return self.loss > 0 and self.rng.random() < self.loss


def _lateness_s(longest_s: float, size: int, timing: MeterTiming) -> float:
    line = timing.line
    on_wire_s = 2 * line.silence_s + 8 * line.character_s + line.reply_s(size)
    return longest_s - on_wire_s - line.turnaround_s


class SimLine:
    """The bus worker of one line. ``sockets`` and ``limits`` by port; readings reach ``board`` once complete.

    ``channels``: so many neighbours share one meter, which has one turn and is known by the first of them.
    """

    def __init__(
        self,
        sockets: Mapping[int, Socket],
        limits: Mapping[int, PortLimits],
        wire: Wire,
        board: Board,
        channels: int = 1,
    ) -> None:
        ports = [*sockets]
        groups = [tuple(ports[at : at + channels]) for at in range(0, len(ports), channels)]
        self._meters = {group[0]: group for group in groups}
        self._first = {port: group[0] for group in groups for port in group}
        self._sockets = sockets
        self._limits = limits
        self._wire = wire
        self._board = board
        self._turns = {first: Turn(first) for first in self._meters}
        self._in_use = InUse()
        self._free_s = 0.0
        self._suspect: set[int] = set()
        self._asked_twice: Turn | None = None
        self._energy: dict[int, tuple[float, float]] = {}
        self._missing_since_s: dict[int, float] = {}
        self._coming: list[tuple[float, int, MeterReading | Missing]] = []

    def begin(self, now: float) -> None:
        """Start at ``now``, with nothing read yet."""
        self._free_s = now

    def run(self, now: float) -> bool:
        """Bring the line to ``now``; return whether anything new is on the board."""
        while self._free_s <= now:
            self._work()
        news = False
        while self._coming and self._coming[0][0] <= now:
            _, port, outcome = self._coming.pop(0)
            self._board.put_meter(port, outcome)
            news = True
        return news

    def _work(self) -> None:
        start_s = self._free_s
        live, wanted = self._board.wishes()
        pressing = self._firsts(self._in_use.ports(live | wanted, start_s))
        turn = self._asked_twice or choose(self._turns.values(), start_s, pressing)
        if turn is None:
            self._free_s += _ALL_DEAD_S
            return
        if self._discards(turn.port):
            self._asked_twice = turn
            return
        self._asked_twice = None
        live, wanted = self._firsts(live), self._firsts(wanted)
        slow = energy_due(turn, self._turns.values(), start_s, live=live, wanted=wanted)
        outcomes = self._poll(turn.port, slow=slow)
        good = any(isinstance(outcome, MeterReading) for outcome in outcomes.values())
        if any(isinstance(one, MeterReading) and suspicious(one, self._limits[port]) for port, one in outcomes.items()):
            self._poll(turn.port, slow=False)
        self._turns[turn.port] = replace(
            turn,
            tried_s=start_s,
            failures=0 if good else turn.failures + 1,
            energy_s=start_s if good and slow else turn.energy_s,
        )

    def _firsts(self, ports: frozenset[int]) -> frozenset[int]:
        return frozenset(self._first[port] for port in ports if port in self._first)

    def _dead(self, first: int) -> bool:
        return any(self._sockets[port].dead for port in self._meters[first])

    def _discards(self, first: int) -> bool:
        """Throw away the first reply after a failed read, if there is one; the question is repeated at once."""
        if first not in self._suspect or self._dead(first):
            return False
        self._suspect.discard(first)
        self._free_s += self._wire.timing.line.dead_s(self._wire.timing.fast[0])
        return True

    def _poll(self, first: int, *, slow: bool) -> dict[int, MeterReading | Missing]:
        """Read one meter; return what it said of each of its ports."""
        timing, wire = self._wire.timing, self._wire
        size = timing.fast[0]
        if self._dead(first) or wire.lost():
            self._suspect.add(first)
            self._free_s += timing.line.dead_s(size)
            return {port: self._missing(port, MissingReason.TIMEOUT) for port in self._meters[first]}
        sampled_s = self._free_s
        self._free_s += wire.good_s(size)
        taken_s = self._free_s
        slow = slow or not any(port in self._energy for port in self._meters[first])
        self._free_s += sum(wire.good_s(more) for more in timing.slow) if slow else 0.0
        return {port: self._sample(port, sampled_s, taken_s, slow=slow) for port in self._meters[first]}

    def _missing(self, port: int, reason: MissingReason) -> MeterReading | Missing:
        return self._post(port, Missing(reason, self._missing_since_s.setdefault(port, self._free_s)))

    def _sample(self, port: int, sampled_s: float, taken_s: float, *, slow: bool) -> MeterReading | Missing:
        reading = self._sockets[port].sample(sampled_s, slow=slow)
        if reading is None:
            return self._missing(port, MissingReason.OUT_OF_RANGE)
        self._missing_since_s.pop(port, None)
        if reading.energy_wh is not None and (slow or not self._wire.timing.slow):
            self._energy[port] = (reading.energy_wh, taken_s)
        energy_wh, energy_taken_s = self._energy.get(port, (None, None))
        return self._post(port, replace(reading, taken_s=taken_s, energy_wh=energy_wh, energy_taken_s=energy_taken_s))

    def _post(self, port: int, outcome: MeterReading | Missing) -> MeterReading | Missing:
        self._coming.append((self._free_s, port, outcome))
        return outcome


class SimProbes:
    """The probe worker: one round over all probes after the other, each conversion taking its time."""

    def __init__(
        self, sockets: Mapping[int, Socket], interval_s: float, conversion_s: float, rng: random.Random, board: Board
    ) -> None:
        self._sockets = sockets
        self._order = tuple(sockets)
        self._interval_s, self._conversion_s = interval_s, conversion_s
        self._rng, self._board = rng, board
        self._next = 0
        self._due_s = 0.0

    def begin(self, now: float) -> None:
        """Start at ``now``."""
        self._due_s = now

    def run(self, now: float) -> None:
        """Bring the probes to ``now``."""
        while self._due_s <= now:
            port = self._order[self._next]
            celsius = self._sockets[port].celsius(self._due_s)
            if celsius is None:
                self._board.put_probe(port, Missing(MissingReason.PROBE_FAULT, self._due_s))
            else:
                self._board.put_probe(port, ProbeReading(self._due_s, round(celsius * 16) / 16))
            self._next = (self._next + 1) % len(self._order)
            self._due_s += self._conversion_s * (0.3 + 0.7 * self._rng.random())
            if self._next == 0:
                self._due_s += self._interval_s
