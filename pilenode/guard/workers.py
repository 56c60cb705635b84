"""The threads that wait for wires: one per bus, one per kind of probe. They read and post; they decide nothing."""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

from pilenode import clock
from pilenode.guard.schedule import InUse, Turn, choose, energy_due
from safety.overload import suspicious
from safety.reading import MeterReading

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from drivers.contracts import ProbeRound
    from pilenode.guard.board import Board
    from safety.limits import PortLimits
    from safety.reading import Missing

#: Pause when every meter of a bus is in its back-off, seconds.
_ALL_DEAD_S = 0.05


class Worker(threading.Thread):
    """A daemon thread whose bug is reported to the board instead of being printed and forgotten."""

    def __init__(self, name: str, board: Board) -> None:
        super().__init__(name=name, daemon=True)
        self._board = board
        self._halt = threading.Event()

    def stop(self) -> None:
        """Ask the thread to end after its present transaction."""
        self._halt.set()

    def run(self) -> None:
        """Work until stopped."""
        try:
            while not self._halt.is_set():
                self._work()
        except BaseException as error:  # noqa: BLE001 - whatever it is, the tick must learn of it and open everything
            self._board.fail(error)

    def _work(self) -> None:
        raise NotImplementedError


class PolledMeter(Protocol):
    """A meter as the worker needs it (``drivers.meter.MeterDevice``)."""

    def poll(self, now: Callable[[], float], *, slow: bool) -> Mapping[int, MeterReading | Missing]:
        """Return a reading for every channel, or why there is none."""


@dataclass(frozen=True, slots=True)
class FittedMeter:
    """A meter and the ports that its channels serve, channel to port; the inlet is port ``board.CABINET``."""

    meter: PolledMeter
    ports: Mapping[int, int]


class BusWorker(Worker):
    """Polls the meters of one bus for ever. A meter with several ports has one turn, known by the first of them."""

    def __init__(
        self, name: str, board: Board, meters: Iterable[FittedMeter], limits: Mapping[int, PortLimits]
    ) -> None:
        super().__init__(f"bus-{name}", board)
        self._meters = {min(one.ports.values()): one for one in meters}
        self._first = {port: first for first, one in self._meters.items() for port in one.ports.values()}
        self._limits = limits
        self._turns = {first: Turn(first) for first in self._meters}
        self._in_use = InUse()

    def _work(self) -> None:
        now = clock.monotonic_s()
        live, wanted = self._board.wishes()
        turn = choose(self._turns.values(), now, self._firsts(self._in_use.ports(live | wanted, now)))
        if turn is None:
            self._halt.wait(_ALL_DEAD_S)
            return
        slow = energy_due(turn, self._turns.values(), now, live=self._firsts(live), wanted=self._firsts(wanted))
        good = self._poll(self._meters[turn.port], slow=slow)
        self._turns[turn.port] = replace(
            turn,
            tried_s=now,
            failures=0 if good else turn.failures + 1,
            energy_s=now if good and slow else turn.energy_s,
        )

    def _firsts(self, ports: Iterable[int]) -> frozenset[int]:
        """Return by which ports the meters of ``ports`` are known here; ports of other buses have none."""
        return frozenset(self._first[port] for port in ports if port in self._first)

    def _poll(self, fitted: FittedMeter, *, slow: bool) -> bool:
        """Read a meter and post what it said; return whether any of its ports has a reading."""
        outcomes = self._post(fitted, slow=slow)
        if any(self._suspicious(port, outcome) for port, outcome in outcomes.items()):
            # The second sample that the fast stage asks for need not wait a whole sweep.
            self._post(fitted, slow=False)
        return any(isinstance(outcome, MeterReading) for outcome in outcomes.values())

    def _post(self, fitted: FittedMeter, *, slow: bool) -> dict[int, MeterReading | Missing]:
        found = fitted.meter.poll(clock.monotonic_s, slow=slow)
        outcomes = {port: found[channel] for channel, port in fitted.ports.items()}
        for port, outcome in outcomes.items():
            self._board.put_meter(port, outcome)
        return outcomes

    def _suspicious(self, port: int, outcome: MeterReading | Missing) -> bool:
        return isinstance(outcome, MeterReading) and port in self._limits and suspicious(outcome, self._limits[port])


class ProbeWorker(Worker):
    """Reads probes round by round, ``interval_s`` apart, and posts each reading as soon as it is there.

    One for each kind of wire: a 1-wire chip that hangs in the kernel must not keep thermistors from being read.
    ``tell`` takes an event name and fields, and must not block.
    """

    def __init__(
        self, name: str, board: Board, probes: ProbeRound, interval_s: float, tell: Callable[..., None]
    ) -> None:
        super().__init__(f"probes-{name}", board)
        self._probes = probes
        self._interval_s = interval_s
        self._tell = tell

    def _work(self) -> None:
        for port, outcome in self._probes.round(clock.monotonic_s):
            self._board.put_probe(port, outcome)
            if self._halt.is_set():
                return
        for sentence in self._probes.news():
            self._tell("probes", news=sentence)
        self._halt.wait(self._interval_s)
