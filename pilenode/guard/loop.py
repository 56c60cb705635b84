"""The tick: inputs in, ``safety.step``, relays out. Fixed order, every 50 ms, whatever the rest of the machine does.

Rules of this file:
- open first, then at most one close, then the heartbeat, then systemd's watchdog: both are signs that *this* tick went
  through every stage in order and that the ticks come at their rate, so nothing else may ever send them;
- nothing here touches a disk, a log or a name service; that is the housekeeper's;
- an exception is a bug: it leaves ``run``, and the caller opens everything and exits non-zero.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

import safety
from pilenode import __version__, clock
from pilenode.guard import blackbox, view
from pilenode.guard.assemble import FEEDBACK
from pilenode.guard.board import CABINET
from pilenode.guard.counters import REPLACED, RelayCount, contactor_loaded, loaded, worn
from pilenode.guard.latches import Latches
from pilenode.guard.lateness import Lateness
from pilenode.guard.selftest import raw_s
from pilenode.ipc import messages
from pilenode.log import RateLimiter
from safety.reading import MeterReading, ProbeReading
from safety.selftest import Rate, Sequence, intact, seal, ticked
from safety.state import Inputs

if TYPE_CHECKING:
    from collections.abc import Callable

    from drivers.contracts import Contacts, Relays
    from pilenode.guard.board import Board
    from pilenode.guard.counters import Tally
    from pilenode.guard.housekeeper import Housekeeper
    from pilenode.guard.server import Server
    from pilenode.notify import Notifier
    from safety.state import Event, Orders, State

#: Two ticks make one heartbeat period: a 10 Hz square wave (reliability: dead-man output).
TICK_S: Final = 0.05
#: What every tick goes through, in this order; a tick that did not gives no sign of life.
_STAGES: Final = Sequence(("threads", "limits", "inputs", "judge", "open", "contactor", "close"))
#: Lateness after which missed ticks are skipped: a burst that catches up would look like a clock that runs away.
_SKIP_S: Final = TICK_S
#: A pause between two ticks that the dead-man may not have survived, seconds: the shortest hold of a charge pump. Its
#: contactor closes again with the next heartbeat, so every relay must be open by then.
STALL_S: Final = 0.3


class Loop:
    """Owns the state of the core and drives the outputs.

    ``clock_fault`` is asked every tick whether the clock is at fault; ``reference`` is a clock that the loop does not
    sleep on, seconds, for the rate of the ticks. ``lives``: operations under load that relays and contactor are rated
    for. ``light_failures`` and ``lines`` are asked for the snapshot.
    """

    def __init__(  # noqa: PLR0913 - the parts of guard
        self,
        *,
        state: State,
        board: Board,
        relays: Relays,
        contacts: Contacts,
        housekeeper: Housekeeper,
        notifier: Notifier,
        guard_boot: str,
        tally: Tally,
        clock_fault: Callable[[], bool] = lambda: False,
        reference: Callable[[], float] = raw_s,
        lives: tuple[int, int] = (100_000, 100_000),
        light_failures: Callable[[], int] = lambda: 0,
        lines: Callable[[], list[messages.LineSnapshot]] = list,
    ) -> None:
        self._state = state
        self._limits = seal(state.settings)
        self._tally = tally
        self._clock_fault = clock_fault
        self._reference = reference
        self._lives = lives
        self._worn: frozenset[int] = worn(tally.counts, *lives)
        self._light_failures = light_failures
        self._lines = lines
        self._rate = Rate(TICK_S)
        self._unsound = 0
        self._ticked_s: float | None = None
        self._board = board
        self._relays = relays
        self._contacts = contacts
        self._housekeeper = housekeeper
        self.notifier = notifier
        self._guard_boot = guard_boot
        self._log = view.EventLog()
        self._inputs = Inputs(board.inputs())
        self._closed: frozenset[int] = frozenset()
        self._contactor = False
        self._latches = _latches(state)
        self._started_s = clock.monotonic_s()
        self._ticks = 0
        self._lateness = Lateness()
        self._stopping = False
        self._refused = 0  # requests whose refusal has been told
        self._limiter = RateLimiter()
        self.server: Server | None = None

    @property
    def state(self) -> State:
        """What the core knows; a value that does not change any more."""
        return self._state

    def stop(self) -> None:
        """Ask the loop to end after the present tick. Safe in a signal handler."""
        self._stopping = True

    def run(self, server: Server) -> None:
        """Tick until stopped; between ticks serve the socket. Raises whatever a tick raises."""
        self.server = server
        due = clock.monotonic_s()
        while not self._stopping:
            now = clock.monotonic_s()
            late_s = now - due
            self._lateness.add(late_s)
            self.tick(now)
            due = now if late_s > _SKIP_S else due
            due += TICK_S
            server.serve(0.0)  # peers are heard even when a tick took its whole period
            while (left_s := due - clock.monotonic_s()) > 0 and not self._stopping:
                server.serve(left_s)

    def tick(self, now: float) -> None:
        """Judge and act once."""
        self._board.check()
        passed = _STAGES.passed(_STAGES.begin(), "threads")
        faults = self._self_test(now)
        passed = _STAGES.passed(passed, "limits")
        self._inputs = self._gather(faults)
        passed = _STAGES.passed(passed, "inputs")
        self._state, orders, events = safety.step(self._state, self._inputs, now)
        passed = _STAGES.passed(passed, "judge")
        passed = self._act(orders, passed, now)
        self._live(orders, passed)
        self._ticks += 1
        self._tell(orders, events)
        self._tell_refusals(now)

    def _self_test(self, now: float) -> tuple[str, ...]:
        """Return the codes of what guard finds wrong with itself."""
        stalled = self._ticked_s is not None and now - self._ticked_s > STALL_S
        self._ticked_s = now
        # A stall is answered by opening everything; the rate is counted anew after it.
        self._rate = ticked(Rate(TICK_S) if stalled else self._rate, self._reference())
        found = {
            "loop_stalled": stalled,
            "limits_damaged": not intact(self._limits, self._state.settings),
            "clock_fault": self._clock_fault(),
        }
        return tuple(code for code, stands in found.items() if stands)

    def _gather(self, faults: tuple[str, ...]) -> Inputs:
        alarms = dict(self._contacts.alarms())
        feedback = alarms.pop(FEEDBACK, None)
        whole = self._board.whole()
        ports = self._board.inputs()
        self._tally.look(ports)
        if self._worn:
            faults += ("contactor_worn",) if CABINET in self._worn else ()
            ports = {port: replace(inputs, worn=port in self._worn) for port, inputs in ports.items()}
        return Inputs(
            ports=ports,
            contacts=alarms,
            requests=self.server.take() if self.server else (),
            latch_store_ok=self._housekeeper.latches_ok,
            cabinet_probe=whole.probe,
            inlet=whole.inlet,
            feedback=feedback,
            self_test=faults,
        )

    def _act(self, orders: Orders, passed: int, now: float) -> int:
        """Drive the outputs, what opens first; return the signature of the stages so far."""
        opening, closing = self._closed - orders.closed, orders.closed - self._closed
        for port in opening:
            self._relays.switch(port, closed=False)
            self._tally.opened(port, under_load=loaded(self._inputs.ports[port]))
        passed = _STAGES.passed(passed, "open")
        if orders.contactor != self._contactor:
            self._relays.contactor(closed=orders.contactor)
        passed = _STAGES.passed(passed, "contactor")
        for port in closing:
            self._relays.switch(port, closed=True)
            self._tally.closed(port, now)
        if orders.contactor != self._contactor:
            self._count_contactor(opening, closed=orders.contactor, now=now)
        if opening or closing or orders.contactor != self._contactor:
            self._worn = worn(self._tally.counts, *self._lives)
        self._closed, self._contactor = orders.closed, orders.contactor
        return _STAGES.passed(passed, "close")

    def _count_contactor(self, opening: frozenset[int], *, closed: bool, now: float) -> None:
        if closed:
            self._tally.closed(CABINET, now)
        else:
            self._tally.opened(CABINET, under_load=contactor_loaded(self._inputs.ports, opening))

    def _live(self, orders: Orders, passed: int) -> None:
        """Give the signs of life, if this tick was sound."""
        if not (_STAGES.sound(passed) and self._rate.sound):
            self._unsound += 1
            if self._unsound == 1:
                why = "stages" if self._rate.sound else "rate"
                self._housekeeper.box(f"tick {self._ticks} not sound ({why}), no sign of life", self._newest())
            return
        if orders.heartbeat:
            self._relays.heartbeat()
        self.notifier.watchdog()

    def _tell(self, orders: Orders, events: tuple[Event, ...]) -> None:
        live = frozenset(number for number, port in self._state.ports.items() if port.live)
        self._board.wish(live, orders.read_register)
        self._log.add(events)
        for event in events:
            if event.kind == "tripped" and event.code is not None:
                self._tally.tripped(event.code)
            if event.kind == "cleared" and event.code in REPLACED and event.detail:
                self._tally.renewed(CABINET if event.port is None else event.port)
                self._worn = worn(self._tally.counts, *self._lives)
            self._housekeeper.note(
                event.kind, port=event.port, code=event.code, session=event.session, why=event.detail
            )
        latches = _latches(self._state)
        if latches != self._latches:
            self._latches = latches
            self._housekeeper.store(latches)
        if self.server:
            self.server.answer(orders.answers)

    def _tell_refusals(self, now: float) -> None:
        """Say that somebody garbles, floods or may not, in one line for all that came since the last."""
        refused = self.server.refused if self.server else 0
        if refused != self._refused and self._limiter.admit("refused", now) is not None:
            self._housekeeper.note("requests refused", count=refused - self._refused)
            self._refused = refused

    def read(self, request: messages.GuardRequest) -> messages.GuardReply:
        """Answer a request that changes nothing."""
        if isinstance(request, messages.Hello):
            if request.protocol != messages.PROTOCOL:
                return messages.Refused(code="protocol_mismatch", detail=f"guard speaks {messages.PROTOCOL}")
            return messages.Welcome(
                protocol=messages.PROTOCOL,
                guard_boot=self._guard_boot,
                version=__version__,
                ports=sorted(self._state.ports),
            )
        now = clock.monotonic_s()
        if isinstance(request, messages.GetEvents):
            return self._log.since(self._guard_boot, request.since, request.limit, now)
        return self._snapshot(now)

    def _newest(self) -> messages.Events:
        """Return what happened last, for the black box."""
        return self._log.since(
            self._guard_boot, max(0, self._log.last - blackbox.EVENTS), blackbox.EVENTS, clock.monotonic_s()
        )

    def _snapshot(self, now: float) -> messages.Snapshot:
        cabinet, inlet, probe = self._state.cabinet, self._inputs.inlet, self._inputs.cabinet_probe
        inlet = inlet if isinstance(inlet, MeterReading) else None
        main = self._tally.counts.relays.get(CABINET, RelayCount())
        return messages.Snapshot(
            guard_boot=self._guard_boot,
            last_event=self._log.last,
            uptime_s=now - self._started_s,
            contactor=self._contactor,
            cabinet_faults=[*cabinet.latched, *cabinet.findings],
            ports=view.ports(self._state, self._inputs.ports, self._tally.counts, self._lives[0], now),
            ticks=self._ticks,
            tick_late_max_s=self._lateness.max_s,
            tick_late_p50_s=self._lateness.p50_s,
            tick_late_p99_s=self._lateness.p99_s,
            tick_late_p999_s=self._lateness.p999_s,
            ticks_unsound=self._unsound,
            contactor_feedback=self._inputs.feedback,
            cabinet_temperature_c=probe.temperature_c if isinstance(probe, ProbeReading) else None,
            inlet_power_w=inlet.power_w if inlet else None,
            inlet_current_a=inlet.current_a if inlet else None,
            inlet_register_mwh=view.to_mwh(inlet.energy_wh) if inlet else None,
            test_running=cabinet.proof.kind if cabinet.proof else None,
            dropped_messages=self.server.refused if self.server else 0,
            contactor_closings=main.closings,
            contactor_openings=main.openings,
            contactor_openings_loaded=main.openings_loaded,
            contactor_life_used=main.life_used(self._lives[1]),
            light_failures=self._light_failures(),
            lines=self._lines(),
        )


def _latches(state: State) -> Latches:
    ports = {number: port.latched for number, port in state.ports.items() if port.latched is not None}
    return Latches(ports=ports, cabinet=list(state.cabinet.latched))
