"""The load plan at work: what it sees, what it remembers, who waits in its queue. Decides; the keeper carries out."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from pilenode.ipc.messages import LoadShown, QueuedStart, Refused
from pilenode.station.load_plan import decide, expected_a
from pilenode.station.load_values import Admit, Charging, LoadState, View, Waiting
from pilenode.station.queue import Queue
from pilenode.upstream.facts import MAX_WORDS
from pilenode.upstream.facts_load import StartQueued

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from pilenode.ipc.messages import PortSnapshot, Snapshot
    from pilenode.station.load_desk import LoadDesk
    from pilenode.station.load_values import LoadRules, Outcome
    from pilenode.station.session import OpenSession
    from pilenode.station.sessions import StartRequest
    from pilenode.station.wallclock import Stamp
    from pilenode.upstream.facts_load import QueueLeft

#: A current that is older than this is none, seconds.
_FRESH_S = 10.0


class LoadControl:
    """The plan of one cabinet. ``desk`` knows the budget in force. Times are CLOCK_BOOTTIME."""

    def __init__(self, rules: LoadRules, desk: LoadDesk, now: Callable[[], Stamp]) -> None:
        self.queue = Queue(rules, now)
        self._rules = rules
        self._desk = desk
        self._now = now
        self._state = LoadState()

    def look(self, sessions: Iterable[OpenSession], snapshot: Snapshot, now: Stamp) -> Outcome:
        """Return what the plan decides now, and remember it."""
        view = self._view(sessions, snapshot, now)
        outcome = decide(self._rules, self._state, view, now.boottime_ms / 1000)
        self._state = outcome.state
        return outcome

    def joins(
        self, request: StartRequest, sessions: Iterable[OpenSession], snapshot: Snapshot, now: Stamp
    ) -> StartQueued | Refused | None:
        """Return how ``request`` waits, why it may not even wait, or None when it may start at once."""
        now_s = now.boottime_ms / 1000
        view = self._view(sessions, snapshot, now)
        mine = Waiting(request.order, request.port, now_s, request.card)
        # Guard keeps two relays from closing at once; what is kept apart here is who has waited.
        state = self._state if view.queue else replace(self._state, closed_s=None)
        outcome = decide(self._rules, state, replace(view, queue=(*view.queue, mine)), now_s)
        if any(isinstance(one, Admit) and one.order == request.order for one in outcome.decisions):
            return None
        refusal = self.queue.why_not(request.port)
        if refusal is not None:
            return refusal
        return StartQueued(
            order=request.order,
            port=request.port,
            source=request.source,
            by=request.by,
            plan=request.plan,
            owner=request.card or "",
            position=len(self.queue.entries) + 1,
            expected_ma=round(expected_a(self._rules, state, request.card) * 1000),
            payment=request.payment,
            offline=request.offline,
        )

    def position(self, order: str) -> int | None:
        """Return the place of an order in the queue, from 1; None when it does not wait."""
        places = [entry.body.order for entry in self.queue.entries]
        return places.index(order) + 1 if order in places else None

    def left(self, order: str, why: str, now: Stamp, detail: str = "") -> QueueLeft:
        """Return the fact that ``order`` waits no longer."""
        return self.queue.left(order, why, now.boottime_ms / 1000, detail[:MAX_WORDS])

    def status(self) -> LoadShown:
        """Return the budget in force and who waits, as people see it."""
        now = self._now()
        waiting = [
            QueuedStart(
                order=entry.body.order,
                port=entry.body.port,
                position=place,
                waited_s=max(0, int(now.boottime_ms / 1000 - entry.since_s)),
            )
            for place, entry in enumerate(self.queue.entries, 1)
        ]
        return LoadShown(budget_ma=round(self._desk.budget_a(now) * 1000), queue=waiting)

    def _view(self, sessions: Iterable[OpenSession], snapshot: Snapshot, now: Stamp) -> View:
        ports = {port.port: port for port in snapshot.ports}
        return View(
            budget_a=self._desk.budget_a(now),
            sessions=tuple(_charging(session, ports.get(session.port), now) for session in sessions),
            queue=self.queue.waiting,
            inlet_a=snapshot.inlet_current_a,
        )


def _charging(session: OpenSession, port: PortSnapshot | None, now: Stamp) -> Charging:
    reading = session.reading
    live = session.pause is None
    since = session.pause.told if session.pause is not None else session.leg.begun
    since_s = since.boottime_ms / 1000 if since.boot == now.boot else now.boottime_ms / 1000
    fresh = port is not None and port.reading_age_s is not None and port.reading_age_s <= _FRESH_S
    return Charging(
        session=session.session,
        port=session.port,
        live=live,
        since_s=since_s,
        on_s=(session.before.on_ms + (reading.on_ms if reading is not None else 0)) / 1000,
        pauses=sum(cause == "load" for cause in session.before.causes),
        current_a=port.current_a if live and port is not None and fresh else None,
        owner=session.started.card,
    )
