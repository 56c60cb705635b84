"""The tick: inputs in, ``safety.step``, relays out. Fixed order, every 50 ms, whatever the rest of the machine does.

Rules of this file:
- open first, then at most one close, then the heartbeat, then systemd's watchdog: both are signs that *this* tick was
  sound, so nothing else may ever send them;
- nothing here touches a disk, a log or a name service; that is the housekeeper's;
- an exception is a bug: it leaves ``run``, and the caller opens everything and exits non-zero.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import safety
from pilenode import __version__, clock
from pilenode.guard import view
from pilenode.guard.latches import Latches
from pilenode.ipc import messages
from safety.state import Inputs

if TYPE_CHECKING:
    from drivers.contracts import Contacts, Relays
    from pilenode.guard.board import Board
    from pilenode.guard.housekeeper import Housekeeper
    from pilenode.guard.server import Server
    from pilenode.notify import Notifier
    from safety.state import Event, Orders, State

#: Two ticks make one heartbeat period: a 10 Hz square wave (reliability: dead-man output).
TICK_S: Final = 0.05
#: Lateness after which missed ticks are skipped instead of being caught up, seconds.
_SKIP_S: Final = 0.5


class Loop:
    """Owns the state of the core and drives the outputs."""

    def __init__(
        self,
        *,
        state: State,
        board: Board,
        relays: Relays,
        contacts: Contacts,
        housekeeper: Housekeeper,
        notifier: Notifier,
        guard_boot: str,
    ) -> None:
        self._state = state
        self._board = board
        self._relays = relays
        self._contacts = contacts
        self._housekeeper = housekeeper
        self._notifier = notifier
        self._guard_boot = guard_boot
        self._log = view.EventLog()
        self._inputs = Inputs(board.inputs())
        self._closed: frozenset[int] = frozenset()
        self._contactor = False
        self._latches = _latches(state)
        self._started_s = clock.monotonic_s()
        self._ticks = 0
        self._late_max_s = 0.0
        self._stopping = False
        self.server: Server | None = None

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
            self._late_max_s = max(self._late_max_s, late_s)
            self.tick(now)
            due = now if late_s > _SKIP_S else due
            due += TICK_S
            server.serve(0.0)  # peers are heard even when a tick took its whole period
            while (left_s := due - clock.monotonic_s()) > 0 and not self._stopping:
                server.serve(left_s)

    def tick(self, now: float) -> None:
        """Judge and act once."""
        self._board.check()
        self._inputs = Inputs(
            ports=self._board.inputs(),
            contacts=self._contacts.alarms(),
            requests=self.server.take() if self.server else (),
            latch_store_ok=self._housekeeper.latches_ok,
        )
        self._state, orders, events = safety.step(self._state, self._inputs, now)
        self._act(orders)
        self._relays.heartbeat()
        self._ticks += 1
        self._notifier.watchdog()
        self._tell(orders, events)

    def _act(self, orders: Orders) -> None:
        for port in self._closed - orders.closed:
            self._relays.switch(port, closed=False)
        if orders.contactor != self._contactor:
            self._relays.contactor(closed=orders.contactor)
        for port in orders.closed - self._closed:
            self._relays.switch(port, closed=True)
        self._closed, self._contactor = orders.closed, orders.contactor

    def _tell(self, orders: Orders, events: tuple[Event, ...]) -> None:
        live = frozenset(number for number, port in self._state.ports.items() if port.live)
        self._board.wish(live, orders.read_register)
        self._log.add(events)
        for event in events:
            self._housekeeper.note(
                event.kind, port=event.port, code=event.code, session=event.session, why=event.detail
            )
        latches = _latches(self._state)
        if latches != self._latches:
            self._latches = latches
            self._housekeeper.store(latches)
        if self.server:
            self.server.answer(orders.answers)

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

    def _snapshot(self, now: float) -> messages.Snapshot:
        cabinet = self._state.cabinet
        return messages.Snapshot(
            guard_boot=self._guard_boot,
            last_event=self._log.last,
            uptime_s=now - self._started_s,
            contactor=self._contactor,
            cabinet_faults=[*cabinet.latched, *cabinet.findings],
            ports=view.ports(self._state, self._inputs.ports, now),
            ticks=self._ticks,
            tick_late_max_s=self._late_max_s,
            dropped_messages=self.server.refused if self.server else 0,
        )


def _latches(state: State) -> Latches:
    ports = {number: port.latched for number, port in state.ports.items() if port.latched is not None}
    return Latches(ports=ports, cabinet=list(state.cabinet.latched))
