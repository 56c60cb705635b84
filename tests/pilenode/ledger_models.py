"""A log in memory with a real chain, and a cabinet that answers the command line from it with the real desks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from pilenode.ipc.messages import (
    ClockStatus,
    Done,
    Facts,
    FactsReply,
    Perform,
    Place,
    Refused,
    Status,
    StatusReply,
    StoredFact,
)
from pilenode.station import locks
from pilenode.station.desk import Who
from pilenode.station.ledger import Policy
from pilenode.station.ledger_desk import LedgerDesk
from pilenode.station.locks import LockDesk
from pilenode.station.wallclock import ClockQuality, Stamp
from pilenode.upstream.facts import GENESIS, Fact, FactKind, Fault, SessionEnded, StartRefused, canonical, link
from tests.pilenode.bills import NO_BILL

if TYPE_CHECKING:
    from pilenode.ipc.messages import ControlReply, ControlRequest
    from pilenode.upstream.facts import Body, EnergyFlag

LOG_ID = "0123456789abcdef"
#: 2026-11-30 08:00 in Shanghai.
MORNING_MS = 1_795_996_800_000
DAY_MS = 86_400_000
PORTS = (1, 2, 3, 4)


def stamp(wall_ms: int = MORNING_MS, clock: str = "ntp") -> Stamp:
    """Return a moment."""
    return Stamp("boot-1", wall_ms % 10**9, wall_ms, ClockQuality(clock))


class Log:
    """Facts of one log; ``add`` appends one and returns it."""

    def __init__(self, log_id: str = LOG_ID) -> None:
        self.log_id = log_id
        self.facts: list[Fact] = []

    def add(
        self, kind: FactKind, body: Body, wall_ms: int = MORNING_MS, clock: str = "ntp", session: str | None = None
    ) -> Fact:
        """Append a fact."""
        previous = bytes.fromhex(self.facts[-1].hash) if self.facts else GENESIS
        fact = Fact(
            seq=len(self.facts) + 1,
            boot="boot-1",
            boottime_ms=len(self.facts),
            wall_ms=wall_ms,
            clock=clock,
            kind=kind,
            session=session,
            body=msgspec.Raw(canonical(body)),
            hash="",
        )
        fact = msgspec.structs.replace(fact, hash=link(previous, self.log_id, fact).hex())
        self.facts.append(fact)
        return fact

    def page(self, kinds: list[str], after: int, limit: int) -> FactsReply:
        """Return a page as the station does."""
        found = [fact for fact in self.facts[after:] if fact.kind in kinds][:limit]
        stored = [msgspec.convert(fact, StoredFact, from_attributes=True) for fact in found]
        return FactsReply(log_id=self.log_id, last_seq=len(self.facts), facts=stored)


def fault(code: str, port: int | None = 1, *, age_ms: int = 0, event: int = 1, detail: str = "") -> Fault:
    """Return the body of a fault."""
    return Fault(guard_boot="g", event=event, age_ms=age_ms, port=port, code=code, detail=detail)


def ended(
    port: int = 1,
    *,
    energy_wh: int = 500,
    duration_s: int = 3600,
    electricity_fen: int = 26,
    service_fen: int = 15,
    flag: EnergyFlag | None = None,
    age_ms: int = 0,
) -> SessionEnded:
    """Return the end of a session."""
    return SessionEnded(
        order="o",
        port=port,
        reason="full",
        age_ms=age_ms,
        start_register_mwh=0,
        end_register_mwh=energy_wh * 1000,
        energy_wh=energy_wh,
        energy_flag=flag,
        duration_s=duration_s,
        electricity_fen=electricity_fen,
        service_fen=service_fen,
        tariff_version="t",
        money=NO_BILL,
    )


def refused(code: str, port: int = 1) -> StartRefused:
    """Return a refused start."""
    return StartRefused(order="o", port=port, source="cli", code=code)


class Cabinet:
    """Answers ``pilenode.ipc.client.ask``: the real desks over a log in memory."""

    def __init__(self, log: Log, now: Stamp | None = None, place: Place | None = None) -> None:
        self.log = log
        self.now = now or stamp()
        self.place = place or Place(timezone="Asia/Shanghai", serious_days=3, normal_days=7, ports=[*PORTS])
        self.asked: list[ControlRequest] = []
        self.locks = LockDesk(PORTS)
        self.ledger = LedgerDesk(Policy(), lambda: log.log_id, PORTS)
        self._kept = 0
        self.acked_seq = 0

    def catch_up(self) -> None:
        """Let the desks learn of all facts."""
        for fact in self.log.facts[self._kept :]:
            for desk in (self.locks, self.ledger):
                if fact.kind in desk.kinds:
                    desk.keep(fact)
        self._kept = len(self.log.facts)

    def __call__(self, _path: str, request: ControlRequest, _expected: object) -> ControlReply:
        """Answer one request, or raise as the client does."""
        from pilenode.ipc.client import RequestError  # noqa: PLC0415 - only where something is refused

        self.asked.append(request)
        self.catch_up()
        match request:
            case Status():
                return self.status()
            case Facts():
                return self.log.page(request.kinds, request.after, request.limit)
            case Perform():
                desk = next(desk for desk in (self.locks, self.ledger) if isinstance(request.act, desk.acts))
                outcome = desk.judge(request.act, Who("cli", request.by), self.now)
                if isinstance(outcome, Refused):
                    raise RequestError(outcome.code, outcome.detail)
                for new in outcome:
                    self.log.add(new.kind, new.body, self.now.wall_ms, self.now.clock)
                self.catch_up()
                return Done()
            case _:
                raise AssertionError(request)

    def status(self) -> StatusReply:
        """Return what the status says."""
        return StatusReply(
            node="example-001",
            version="0.1.0",
            guard=None,
            sessions=[],
            upstream_connected=False,
            upstream_url=None,
            upstream_protocol=None,
            outbox=0,
            log_id=self.log.log_id,
            last_seq=len(self.log.facts),
            acked_seq=self.acked_seq,
            journal_ok=True,
            locks=locks.shown(self.locks.locks, self.now),
            ledger=self.ledger.shown(self.now),
            place=self.place,
            clock=ClockStatus(
                quality=self.now.clock.value,
                wall_ms=self.now.wall_ms,
                boottime_ms=self.now.boottime_ms,
                uncertainty_ms=None,
                system_quality=self.now.clock.value,
                system_ahead_ms=0,
            ),
        )
