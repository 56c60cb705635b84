"""A cabinet in simulated time: sockets, contactor, lines and probes around the same ``safety.step`` that guard runs."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import safety
from hil_rig.sim_bus import SimLine, SimProbes, Wire
from pilenode.guard.board import CABINET, Board
from safety.budget import CONVERSION_S, TICK_LATE_S, TICK_S
from safety.reading import MeterReading, ProbeReading
from safety.state import Inputs

if TYPE_CHECKING:
    import random
    from collections.abc import Sequence

    from safety.budget import MeterTiming
    from safety.state import Answer, Event, Request, Settings, State

SUPPLY_V = 220.0
AMBIENT_C = 25.0
_HOUR_S = 3600.0


@dataclass(slots=True)
class SimSocket:
    """One socket with its meter and its probe; what is wrong with it may be changed at any time.

    ``load_w`` is drawn at ``factor`` while the socket has power. ``own_v``: voltage of this port alone, None = the
    cabinet's. ``off_phases``: the load breaks off and comes back every (period, off) seconds from (start). ``warming``:
    (start, K per second) of the probe. ``behind``: the meter sits behind the relay.
    """

    rng: random.Random
    refresh_s: float
    phase_s: float
    base_w: float
    factor: float
    behind: bool = False
    load_w: float = 0.0
    supply_v: float = SUPPLY_V
    own_v: float | None = None
    relay: bool = False
    welded: bool = False
    broken_relay: bool = False
    fed: bool = False
    dead: bool = False
    frozen: bool = False
    power_times: float = 1.0
    register_stuck: bool = False
    register_back_wh: float = 0.0
    breaks: tuple[float, float, float] | None = None
    warming: tuple[float, float] | None = None
    hot_c: float | None = None
    probe_dead: bool = False
    energy_wh: float = 1000.0
    counted_s: float = 0.0
    shown: MeterReading | None = None
    due_s: float = 0.0

    @property
    def powered(self) -> bool:
        """Whether current can flow."""
        return self.fed and (self.welded or (self.relay and not self.broken_relay))

    def sound(self) -> None:
        """Put everything right."""
        self.load_w, self.own_v, self.welded, self.broken_relay = self.base_w, None, False, False
        self.dead = self.frozen = self.register_stuck = self.probe_dead = False
        self.power_times, self.register_back_wh = 1.0, 0.0
        self.breaks = self.warming = self.hot_c = None

    def sample(self, at_s: float, *, slow: bool) -> MeterReading | None:  # noqa: ARG002 - the line joins the blocks
        """Return the registers as last renewed."""
        if self.shown is None or (self.refresh_s == 0 and not self.frozen):
            self.shown = self._measure(at_s)
        return self.shown

    def renew(self, now: float) -> None:
        """Renew the registers when it is time to."""
        if self.refresh_s > 0 and now >= self.due_s:
            self.due_s = self.phase_s + (math.floor((now - self.phase_s) / self.refresh_s) + 1) * self.refresh_s
            if not self.frozen:
                self.shown = self._measure(now)

    def _measure(self, at_s: float) -> MeterReading:
        volts = self.supply_v if self.own_v is None else self.own_v
        if volts > 0:
            volts += 0.8 * math.sin(at_s / 15.0) + 0.3 * self.rng.random()
        on = self.powered
        if self.behind and not on:
            volts = 0.0
        watts = self._load_w(at_s) if on and volts > 0 else 0.0
        if not self.register_stuck:
            self.energy_wh += watts * (at_s - self.counted_s) / _HOUR_S
        self.counted_s = at_s
        amps = watts / (volts * self.factor) if watts else 0.0
        return MeterReading(
            at_s,
            round(volts, 1),
            round(amps, 3),
            round(watts * self.power_times, 1),
            self.factor if watts else 0.0,
            float(max(0, round(self.energy_wh - self.register_back_wh))),
            at_s,
        )

    def _load_w(self, at_s: float) -> float:
        if self.breaks is not None:
            start_s, period_s, off_s = self.breaks
            if at_s >= start_s and (at_s - start_s) % period_s < off_s:
                return 0.0
        return self.load_w * (1.0 + 0.004 * self.rng.random())

    def celsius(self, at_s: float) -> float | None:
        """Return what the probe sees."""
        if self.probe_dead:
            return None
        if self.hot_c is not None:
            return self.hot_c
        rise_k = 0.0 if self.warming is None else max(0.0, at_s - self.warming[0]) * self.warming[1]
        return min(120.0, AMBIENT_C + rise_k) + 0.05 * self.rng.random()


@dataclass(frozen=True, slots=True)
class Layout:
    """How a simulated cabinet is built. ``lines``: ports of each line. ``worst``, ``loss``: see ``sim_bus.Wire``.

    ``channels``: so many neighbours on a line share one meter.
    """

    settings: Settings
    timing: MeterTiming
    lines: Sequence[Sequence[int]]
    probe_interval_s: float
    relay_s: float
    contactor_s: float
    worst: bool
    loss: float
    behind: bool = False
    channels: int = 1


@dataclass(slots=True)
class _Switch:
    """An output with its release time: ordered at once, effective a little later."""

    closed: bool = False
    pending: tuple[float, bool] | None = None
    changed_s: float = -math.inf

    def order(self, now: float, *, closed: bool, delay_s: float) -> None:
        wanted = self.closed if self.pending is None else self.pending[1]
        if closed != wanted:
            self.pending = (now + delay_s, closed)

    def settle(self, now: float) -> None:
        if self.pending is not None and self.pending[0] <= now:
            self.changed_s, self.closed = self.pending
            self.pending = None


@dataclass(slots=True)
class SimCabinet:
    """A running cabinet. ``advance`` is one tick of 50 ms; everything between two ticks happens on the way."""

    layout: Layout
    rng: random.Random
    now: float = 0.0
    state: State = field(init=False)
    sockets: dict[int, SimSocket] = field(init=False)
    alarms: dict[str, bool] = field(init=False)
    feedback_stuck: bool | None = None
    self_test: tuple[str, ...] = ()
    closed: frozenset[int] = frozenset()
    contactor: _Switch = field(default_factory=_Switch)
    relays: dict[int, _Switch] = field(init=False)
    answers: tuple[Answer, ...] = ()
    events: tuple[Event, ...] = ()
    ticks: int = 0
    _board: Board = field(init=False)
    _lines: list[SimLine] = field(init=False)
    _probes: SimProbes = field(init=False)

    def __post_init__(self) -> None:
        layout, rng = self.layout, self.rng
        ports = tuple(layout.settings.ports)
        self.state = safety.initial(layout.settings)
        self.sockets = {}
        for number in ports:
            limits = layout.settings.ports[number]
            most_w = 0.9 * min(limits.power_limit_w, limits.current_limit_a * SUPPLY_V * 0.9)
            base_w = rng.uniform(60.0, max(61.0, most_w))
            self.sockets[number] = SimSocket(
                rng,
                layout.timing.refresh_s,
                rng.uniform(0.0, layout.timing.refresh_s) - 10.0,
                base_w,
                round(rng.uniform(0.9, 1.0), 2),
                layout.behind,
                load_w=base_w,
            )
        self.sockets[CABINET] = SimSocket(rng, 0.0, 0.0, 0.0, 1.0)
        self.alarms = {contact.name: False for contact in layout.settings.contacts}
        self.relays = {number: _Switch() for number in ports}
        self._connect()

    def _connect(self) -> None:
        layout, rng = self.layout, self.rng
        ports = tuple(layout.settings.ports)
        self._board = Board(ports, (*ports, CABINET), self.now)
        self._lines = [
            SimLine(
                {number: self.sockets[number] for number in line},
                layout.settings.ports,
                Wire(layout.timing, layout.worst, layout.loss, rng),
                self._board,
                layout.channels,
            )
            for line in layout.lines
        ]
        self._probes = SimProbes(self.sockets, layout.probe_interval_s, CONVERSION_S, rng, self._board)
        for line in self._lines:
            line.begin(self.now)
        self._probes.begin(self.now)

    def restart(self) -> None:
        """Start guard anew: nothing is remembered but the latches; the outputs are off."""
        latched = {number: port.latched for number, port in self.state.ports.items() if port.latched is not None}
        self.state = safety.initial(self.layout.settings, latched, self.state.cabinet.latched)
        self.closed = frozenset()
        for switch in (self.contactor, *self.relays.values()):
            switch.order(self.now, closed=False, delay_s=0.0)
        self._connect()

    def advance(self, requests: tuple[Request, ...] = ()) -> None:
        """Let one tick pass."""
        self.ticks += 1
        self.now = self.ticks * TICK_S + self.rng.random() * TICK_LATE_S
        for line in self._lines:
            line.run(self.now)
        self._probes.run(self.now)
        # After the reads of this tick, so that a value is never newer than it could be.
        for socket in self.sockets.values():
            socket.renew(self.now)
        self._settle()
        whole = self._board.whole()
        probe = whole.probe
        inputs = Inputs(
            self._board.inputs(),
            self.alarms,
            requests,
            cabinet_probe=probe if isinstance(probe, ProbeReading) else None,
            feedback=self._feedback(),
            self_test=self.self_test,
        )
        self.state, orders, self.events = safety.step(self.state, inputs, self.now)
        self.answers = orders.answers
        self._act(orders.closed, contactor=orders.contactor)
        live = frozenset(number for number, port in self.state.ports.items() if port.live)
        self._board.wish(live, orders.read_register)

    def _feedback(self) -> bool | None:
        if not self.layout.settings.feedback:
            return None
        return self.contactor.closed if self.feedback_stuck is None else self.feedback_stuck

    def _act(self, closed: frozenset[int], *, contactor: bool) -> None:
        for number, switch in self.relays.items():
            switch.order(self.now, closed=number in closed, delay_s=self._delay_s(self.layout.relay_s))
        self.contactor.order(self.now, closed=contactor, delay_s=self._delay_s(self.layout.contactor_s))
        self.closed = closed
        self._settle()

    def _delay_s(self, most_s: float) -> float:
        return most_s if self.layout.worst else most_s * self.rng.uniform(0.3, 1.0)

    def _settle(self) -> None:
        self.contactor.settle(self.now)
        fed = self.contactor.closed or not self.layout.settings.contactor
        for number, switch in self.relays.items():
            switch.settle(self.now)
            socket = self.sockets[number]
            socket.relay, socket.fed = switch.closed, fed

    def supply(self, volts: float) -> None:
        """Change the mains voltage."""
        for socket in self.sockets.values():
            socket.supply_v = volts

    @property
    def contactor_open(self) -> bool:
        """Whether the master contactor is ordered open."""
        return not (self.contactor.closed if self.contactor.pending is None else self.contactor.pending[1])

    @property
    def contactor_open_s(self) -> float:
        """When it opened, or will have."""
        return self.contactor.changed_s if self.contactor.pending is None else self.contactor.pending[0]

    def cut_s(self, number: int) -> float | None:
        """Return since when no current flows at a port: relay or contactor effectively open; None while it may flow."""
        switch = self.relays[number]
        times = [
            one.pending[0] if one.pending is not None else one.changed_s
            for one in (switch, self.contactor)
            if not (one.closed if one.pending is None else one.pending[1])
        ]
        return min(times, default=None)
