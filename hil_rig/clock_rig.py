"""A station's own objects under clocks that are none of this machine's: journal, sessions and timekeeper are real.

Guard is a script that closes at once, counts on the clock of the boot and never errs, so that every duration is known
to the millisecond. Time stands still while the station works and moves only when it is told to.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import msgspec

from config.tariff import flat_schedule
from pilenode import clock
from pilenode.ipc.messages import (
    Done,
    Events,
    GetEvents,
    GetSnapshot,
    Grant,
    GuardEvent,
    PortSnapshot,
    Refused,
    Release,
    Renew,
    Snapshot,
    StartReply,
)
from pilenode.ipc.wish import Wish
from pilenode.station.guard_link import GuardLink
from pilenode.station.house import PlainHouse
from pilenode.station.journal import Journal
from pilenode.station.sessions import Sessions, StartRequest
from pilenode.station.terms import Terms
from pilenode.station.timekeeper import Timekeeper, WallClock
from pilenode.upstream.contract import Time
from pilenode.upstream.facts import Checkpoint, FactKind, SessionEnded

if TYPE_CHECKING:
    from pathlib import Path

    from hil_rig.clock_world import ClockWorld
    from pilenode.ipc.messages import GuardReply, GuardRequest
    from pilenode.station.wallclock import Stamp
    from pilenode.upstream.facts import Fact
    from pilenode.upstream.facts_money import UsagePiece

_PORTS: Final = (1, 2, 3)
_POWER_W: Final = 200
_REGISTER_MWH: Final = 1_000_000
_LEASE_S: Final = 60.0
_CHECKPOINT_S: Final = 60.0
_MS_PER_H: Final = 3_600_000
_PAGE: Final = 1000


class ScriptedGuard(GuardLink):
    """Answers as guard does, on the clock of ``world``. A reboot of the world is a new guard with idle ports."""

    def __init__(self, world: ClockWorld) -> None:
        super().__init__("")
        self._world = world
        self._running: dict[int, tuple[str, int]] = {}  # port: session, boottime at which it closed
        self._over: dict[int, PortSnapshot] = {}
        self._events: list[GuardEvent] = []

    async def request(self, request: GuardRequest) -> GuardReply:
        """Return guard's answer."""
        match request:
            case GetSnapshot():
                return self._snapshot()
            case GetEvents():
                newer = [event for event in self._events if event.seq > request.since][: request.limit]
                return Events(guard_boot=self._world.boot_id, first_kept=1, events=newer)
            case Grant():
                self._over.pop(request.port, None)
                self._running[request.port] = (request.session, self._world.boottime_ms)
            case Renew():
                if self._running.get(request.port, ("", 0))[0] != request.session:
                    return Refused(code="session_ended")
            case Release():
                self._end(request.port, request.reason)
            case _:
                pass
        return Done()

    def on_ms(self, session: str) -> int | None:
        """Return how long a running session has had power."""
        for name, closed_ms in self._running.values():
            if name == session:
                return self._world.boottime_ms - closed_ms
        return None

    def _snapshot(self) -> Snapshot:
        return Snapshot(
            guard_boot=self._world.boot_id,
            last_event=len(self._events),
            uptime_s=self._world.boottime_ms / 1000,
            contactor=True,
            cabinet_faults=[],
            ports=[self._port(port) for port in _PORTS],
        )

    def _port(self, port: int) -> PortSnapshot:
        if port in self._over:
            return self._over[port]
        if port not in self._running:
            return PortSnapshot(port=port, state="idle", closed=False)
        session, closed_ms = self._running[port]
        on_ms = self._world.boottime_ms - closed_ms
        return PortSnapshot(
            port=port,
            state="on",
            closed=True,
            session=session,
            power_w=float(_POWER_W),
            start_register_mwh=_REGISTER_MWH,
            register_mwh=_REGISTER_MWH + energy_mwh(on_ms),
            closed_for_s=on_ms / 1000,
            lease_left_s=_LEASE_S / 2,
        )

    def _end(self, port: int, reason: str) -> None:
        shown = self._port(port)
        self._over[port] = msgspec.structs.replace(shown, state="ended", closed=False, reason=reason, lease_left_s=None)
        del self._running[port]
        event = GuardEvent(
            seq=len(self._events) + 1,
            age_s=0.0,
            kind="ended",
            port=port,
            session=shown.session,
            code=reason,
            start_register_mwh=shown.start_register_mwh,
            register_mwh=shown.register_mwh,
            closed_for_s=shown.closed_for_s,
        )
        self._events.append(event)


def energy_mwh(on_ms: int) -> int:
    """Return what the scripted load takes in that time, 0.001 Wh."""
    return _POWER_W * 1000 * on_ms // _MS_PER_H


@dataclass(frozen=True, slots=True)
class Moment:
    """What was true when a fact was written."""

    truth_ms: int
    boot: str
    boottime_ms: int


@dataclass(slots=True)
class Durations:
    """How many spans were compared, and which differ from the truth."""

    compared: int = 0
    wrong: list[str] = field(default_factory=list)

    def compare(self, what: str, told: int, true: int) -> None:
        """Compare one span, ms or s as its name says."""
        self.compared += 1
        if told != true:
            self.wrong.append(f"{what}: {told} instead of {true}")


class ClockRig:
    """One controller: processes come and go, the world goes on. ``looks`` are stamps with the truth beside them."""

    def __init__(self, directory: Path, world: ClockWorld) -> None:
        self.world = world
        self.truth: dict[int, Moment] = {}
        self.looks: list[tuple[Stamp, int]] = []
        self.durations = Durations()
        self.pieces: list[UsagePiece] = []
        self._path = directory / "journal.db"
        self._guard = ScriptedGuard(world)
        self._orders = 0

    async def begin(self) -> None:
        """Start the process."""
        self.wall = WallClock(self.world.reading)
        self.journal = Journal(self._path, now=self.wall.stamp, reserve_bytes=0)
        terms = Terms(
            lease_s=_LEASE_S,
            checkpoint_s=_CHECKPOINT_S,
            tariff=lambda: flat_schedule("t", 520, 300),
        )
        self.sessions = Sessions(self.journal, self._guard, terms, PlainHouse(), self.wall.stamp)
        self.keeper = Timekeeper(self.journal, self.wall)
        await self.keeper.prepare()
        await self._work()

    async def end(self) -> None:
        """End the process as a kill does."""
        await self.journal.close()

    async def restart(self) -> None:
        """Start the process anew within the boot."""
        await self.end()
        await self.begin()

    async def reboot(self, off_ms: int = 60_000, rtc_error_ms: int | None = None) -> None:
        """Lose power that long."""
        await self.end()
        self.world.reboot(off_ms, rtc_error_ms)
        self._guard = ScriptedGuard(self.world)
        self.world.wait(20_000)
        await self.begin()

    async def go_on(self, span_s: int, every_s: int = 30) -> None:
        """Let time pass, and let the station work every so often."""
        for _ in range(span_s // every_s):
            self.world.wait(every_s * 1000)
            await self._work()

    async def start(self, port: int = 1) -> str:
        """Start a session and return its name."""
        self._orders += 1
        reply = await self.sessions.start(StartRequest(port, f"o{self._orders}", Wish(), "cli", "rig"))
        if not isinstance(reply, StartReply):
            raise RuntimeError(f"no session: {reply}")  # noqa: TRY004 - an answer, not an argument
        await self._work()
        return reply.session

    async def stop(self, session: str, port: int = 1) -> None:
        """Stop a session and compare its end with the truth."""
        on_ms = self._guard.on_ms(session) or 0
        await self.sessions.stop(port, "technician", session=session)
        await self._work()
        ends = await self._of(session, FactKind.SESSION_ENDED)
        told = msgspec.json.decode(ends[0].body, type=SessionEnded)
        starts = await self._of(session, FactKind.SESSION_STARTED)
        self.durations.compare("duration_s", told.duration_s, (on_ms + 500) // 1000)
        self.durations.compare("energy_wh", told.energy_wh, (energy_mwh(on_ms) + 500) // 1000)
        pieces = told.money.pieces
        self.durations.compare("pieces, ms", sum(piece.on_ms for piece in pieces), on_ms)
        self.durations.compare("pieces, mWh", sum(piece.energy_mwh for piece in pieces), energy_mwh(on_ms))
        for piece in pieces:
            self.pieces.append(piece)
            placed = piece.from_wall_ms is not None and piece.to_wall_ms is not None
            # A piece has a time of day, or says why it is priced without one; never both and never neither.
            self.durations.compare("time of day or a reason", int(placed) + int(bool(piece.flags)), 1)
        if starts[0].boot == ends[0].boot:
            spans = [self.truth[fact.seq].boottime_ms for fact in (starts[0], ends[0])]
            self.durations.compare("start to end, ms", ends[0].boottime_ms - starts[0].boottime_ms, spans[1] - spans[0])

    async def hear(self, there_ms: int = 200, back_ms: int = 200, error_ms: int = 0) -> bool:
        """Ask the server, hear its answer and return whether it is believed."""
        asked_ms = clock.boottime_ms()
        self.world.wait(there_ms)
        says_ms = self.world.truth_ms + error_ms
        self.world.wait(back_ms)
        heard = self.wall.take(Time(wall_ms=says_ms, asked_ms=asked_ms), asked_ms)
        await self._work()
        return heard

    async def facts(self) -> list[Fact]:
        """Return the whole log."""
        found: list[Fact] = []
        while page := await self.journal.unacked(_PAGE, found[-1].seq if found else 0):
            found += page
        return found

    async def _of(self, session: str, kind: FactKind) -> list[Fact]:
        return [fact for fact in await self.facts() if fact.session == session and fact.kind == kind]

    async def _work(self) -> None:
        await self.sessions.tick()
        await self.keeper.tick()
        self.looks.append((self.wall.stamp(), self.world.truth_ms))
        for fact in await self.journal.unacked(_PAGE, max(self.truth, default=0)):
            self.truth[fact.seq] = Moment(self.world.truth_ms, self.world.boot_id, self.world.boottime_ms)
            if fact.kind == FactKind.CHECKPOINT and fact.session is not None:
                on_ms = self._guard.on_ms(fact.session)
                if on_ms is not None:
                    told = msgspec.json.decode(fact.body, type=Checkpoint)
                    self.durations.compare("on_ms of a checkpoint", told.on_ms, on_ms)
