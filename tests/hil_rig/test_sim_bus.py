"""The simulated line with meters of several channels: one turn for each meter, whatever hangs on it."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from hil_rig.sim_bus import SimLine, Wire
from pilenode.guard.board import Board
from safety.budget import MeterTiming, line_timing
from safety.limits import PortLimits
from safety.reading import MeterReading

TIMING = MeterTiming(line_timing(9600, "N", 1, 0.1), fast=(56,))


@dataclass
class Socket:
    """A socket whose samples are counted."""

    current_a: float = 1.0
    dead: bool = False
    sampled: list[float] = field(default_factory=list)

    def sample(self, at_s: float, *, slow: bool) -> MeterReading | None:
        """Return the registers."""
        del slow
        self.sampled.append(at_s)
        return MeterReading(at_s, 220.0, self.current_a, 220.0 * self.current_a, 1.0, 1000.0, at_s)

    def celsius(self, at_s: float) -> float | None:
        """Return a temperature."""
        return 25.0 + 0.0 * at_s


def rig() -> tuple[SimLine, dict[int, Socket], Board]:
    """Return four ports on two meters."""
    sockets = {port: Socket() for port in (1, 2, 3, 4)}
    board = Board(sockets, (), 0.0)
    limits = dict.fromkeys(sockets, PortLimits())
    wire = Wire(TIMING, worst=True, loss=0.0, rng=random.Random(1))  # noqa: S311 - repeatable chance
    line = SimLine(sockets, limits, wire, board, channels=2)
    line.begin(0.0)
    return line, sockets, board


def test_neighbours_on_a_meter_are_sampled_together() -> None:
    """Two meters have two turns a round, and four ports have their readings of it."""
    line, sockets, board = rig()
    line.run(4 * TIMING.full_s - 0.001)
    assert sockets[1].sampled == sockets[2].sampled
    assert sockets[3].sampled == sockets[4].sampled
    assert len(sockets[1].sampled) == len(sockets[3].sampled) == 2
    assert all(isinstance(inputs.meter, MeterReading) for inputs in board.inputs().values())


def test_a_dead_meter_is_dead_for_both_of_its_ports() -> None:
    """The others go on."""
    line, sockets, board = rig()
    sockets[2].dead = True
    line.run(5.0)
    assert sockets[1].sampled == sockets[2].sampled == []
    inputs = board.inputs()
    assert [isinstance(inputs[port].meter, MeterReading) for port in (1, 2, 3, 4)] == [False, False, True, True]


def test_an_overload_on_the_second_channel_is_read_again_at_once() -> None:
    """The next read after a suspicious one is of the same meter."""
    line, sockets, _ = rig()
    sockets[2].current_a = 30.0
    line.run(2 * TIMING.full_s - 0.001)
    assert len(sockets[1].sampled) == len(sockets[2].sampled) == 2
    assert sockets[3].sampled == []
