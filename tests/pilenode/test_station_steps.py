"""The station is killed at every step of start, run, pause, stop and settle: one session, one settlement, each time.

A step is everything it does to the outside: a write to the journal, a request to guard. It is killed before and after
each of them, enumerated from a life that nobody disturbs; what survives is the file of the journal and guard. The next
station goes on with these, and the customer asks again for what was not answered.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING, TypeVar

import msgspec

from config.schema_session import Session
from config.tariff import flat_schedule
from pilenode.ipc.messages import GetEvents, GetSnapshot, Grant, Refused, StartReply
from pilenode.ipc.wish import Wish
from pilenode.station.acts import Acts
from pilenode.station.guard_link import GuardLink
from pilenode.station.house import CabinetHouse
from pilenode.station.journal import Journal
from pilenode.station.load_control import LoadControl
from pilenode.station.load_desk import LoadDesk
from pilenode.station.load_values import LoadRules
from pilenode.station.sessions import Load, Sessions, StartRequest
from pilenode.station.terms import Terms
from pilenode.station.wallclock import ClockQuality, Stamp
from pilenode.station.windows import hours_of
from pilenode.upstream.facts import FactKind, LegEnded, LegStarted, SessionEnded
from tests.pilenode.bills import ANY_POWER

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable
    from pathlib import Path

    import pytest

    from pilenode.ipc.messages import GuardReply, GuardRequest
    from pilenode.station.entries import NewFact
    from tests.pilenode.conftest import FakeGuard

Result = TypeVar("Result")
TERMS = Terms(
    lease_s=60.0,
    checkpoint_s=60.0,
    tariff=lambda: flat_schedule("t1", 520, 300),
    counters=ANY_POWER,
)


class Killed(BaseException):
    """The process is gone: nothing of it runs any more."""


class Steps:
    """Counts what is done to the outside and kills at one of the moments before or after it."""

    def __init__(self, *fatal: int) -> None:
        self.moments = 0
        self._fatal = set(fatal)

    def moment(self) -> None:
        """Live through one moment, or not."""
        number, self.moments = self.moments, self.moments + 1
        if number in self._fatal:
            self._fatal.discard(number)
            raise Killed

    async def step(self, work: Awaitable[Result]) -> Result:
        """Do something to the outside, with a moment before and one after it."""
        try:
            self.moment()
        except Killed:
            if asyncio.iscoroutine(work):
                work.close()
            raise
        result = await work
        self.moment()
        return result


class FrailJournal(Journal):
    """A journal whose process may be killed around every write."""

    def __init__(self, path: Path, now: Callable[[], Stamp], steps: Steps) -> None:
        super().__init__(path, now=now, reserve_bytes=0)
        self._steps = steps

    async def append(self, facts: Iterable[NewFact]) -> list[int]:
        """Write as the journal does."""
        return await self._steps.step(super().append(facts))


class FrailLink(GuardLink):
    """A link whose process may be killed around every request."""

    def __init__(self, path: str, steps: Steps) -> None:
        super().__init__(path)
        self._steps = steps

    async def request(self, request: GuardRequest) -> GuardReply:
        """Ask as the link does. Looking changes nothing: to die around it is to die before what comes next."""
        if isinstance(request, GetSnapshot | GetEvents):
            return await super().request(request)
        return await self._steps.step(super().request(request))


#: Room for everybody, and no dwell: what is tried here is the order of things, not the plan.
RULES = LoadRules(budget_a=100.0, min_off_s=0.0, close_stagger_s=0.2)
POLICY = Session(resume_stagger_s=0)


class Machine:
    """The cabinet around the station: a clock, the boot it is in, and the station process that lives or not."""

    def __init__(self, directory: Path, guard: FakeGuard, steps: Steps, monkeypatch: pytest.MonkeyPatch) -> None:
        self.guard = guard
        self.boot = "boot-a"
        self.boottime_ms = 1_000_000
        self.wall_ms = 1_790_000_000_000
        self.deaths = 0
        self._path = directory / "j.db"
        self._steps = steps
        self._station: tuple[FrailJournal, FrailLink, Sessions] | None = None
        monkeypatch.setattr("pilenode.clock.monotonic_s", lambda: self.boottime_ms / 1000)

    def stamp(self) -> Stamp:
        """Return the present moment."""
        return Stamp(self.boot, self.boottime_ms, self.wall_ms, ClockQuality.NTP)

    def pass_time(self, seconds: float) -> None:
        """Let time go by."""
        self.boottime_ms += round(seconds * 1000)
        self.wall_ms += round(seconds * 1000)

    async def alive(self) -> Sessions:
        """Return the station, started anew if it is dead, after it has looked around."""
        if self._station is None:
            journal = FrailJournal(self._path, self.stamp, self._steps)
            link = FrailLink(str(self.guard.path), self._steps)
            house = CabinetHouse(POLICY, hours_of(POLICY, "Asia/Shanghai"), 36_000, lambda _: None)
            budget = LoadDesk(RULES.budget_a)
            plan = LoadControl(RULES, budget, self.stamp)
            acts = Acts(journal, (budget, plan.queue), self.stamp)
            sessions = Sessions(journal, link, TERMS, house, self.stamp, Load(plan, acts.catch_up))
            self._station = (journal, link, sessions)
            await sessions.tick()  # as the process does before it listens
        return self._station[2]

    async def bury(self) -> None:
        """Forget the process; what it had open is closed by the kernel."""
        if self._station is not None:
            journal, link, _ = self._station
            self._station = None
            await link.close()
            await journal.close()

    async def do(self, work: Callable[[Sessions], Awaitable[Result]]) -> Result:
        """Have something done by a living station: one that dies of it is started again, and asked again."""
        while True:
            try:
                return await work(await self.alive())
            except Killed:
                self.deaths += 1
                await self.bury()

    async def ticks(self, count: int, each_s: float = 1.0) -> None:
        """Let a living station look around so many times."""
        for _ in range(count):
            self.pass_time(each_s)
            await self.do(lambda sessions: sessions.tick())

    def lease(self) -> str:
        """Return what guard holds on port 1."""
        return self.guard.ports[1].session or ""

    async def power(self, register_mwh: int, start_register_mwh: int) -> None:
        """Close the relay if guard holds a lease, and let it be seen."""
        if self.guard.ports[1].state == "armed":
            self.guard.run(1, register_mwh, 30.0, start_register_mwh)
            await self.ticks(2)


async def life(machine: Machine) -> StartReply | Refused:
    """Live through a start, two interruptions of the power, a stop and its settlement."""
    request = StartRequest(1, "order-1", Wish(energy_wh=900), "upstream", "c1")
    guard = machine.guard
    await machine.ticks(1)
    reply = await machine.do(lambda sessions: sessions.start(request))
    await machine.ticks(2)
    await machine.power(1_200_000, 1_000_000)
    if guard.ports[1].state == "on":
        guard.end(1, "shed", 1_250_000)  # the load plan takes it off
    await machine.ticks(4)
    await machine.power(1_300_000, 1_250_000)
    guard.restart("boot-2")  # the power of the cabinet fails and comes back after five minutes
    guard.set(1, register_mwh=1_310_000)
    machine.boot, machine.boottime_ms, machine.wall_ms = "boot-b", 20_000, machine.wall_ms + 300_000
    await machine.bury()
    await machine.ticks(5)
    await machine.power(1_400_000, 1_310_000)
    await machine.do(lambda sessions: sessions.stop(1, "remote", order="order-1"))
    await machine.ticks(20)
    return reply


async def judged(machine: Machine, directory: Path, reply: StartReply | Refused) -> Counter[str]:
    """Check what the file and guard hold in the end, and return what was lived through."""
    journal = Journal(directory / "j.db", reserve_bytes=0)
    await journal.recover()
    facts = await journal.unacked(10_000)
    kinds = Counter(fact.kind for fact in facts)
    await journal.close()
    assert [fact.seq for fact in facts] == [*range(1, len(facts) + 1)]
    assert kinds[FactKind.SESSION_STARTED] == kinds[FactKind.SESSION_ENDED] == 1
    (start,) = [fact for fact in facts if fact.kind == FactKind.SESSION_STARTED]
    (end,) = [fact for fact in facts if fact.kind == FactKind.SESSION_ENDED]
    assert start.session == end.session
    if isinstance(reply, StartReply):
        assert reply.session == start.session
    ended = msgspec.json.decode(end.body, type=SessionEnded)
    begun = [msgspec.json.decode(fact.body, type=LegStarted).leg for fact in facts if fact.kind == FactKind.LEG_STARTED]
    over = [msgspec.json.decode(fact.body, type=LegEnded) for fact in facts if fact.kind == FactKind.LEG_ENDED]
    assert begun == [*range(2, ended.legs + 1)]
    assert [leg.leg for leg in over] == [*range(1, ended.legs)]
    assert ended.electricity_fen == (ended.energy_wh * 520 + 5000) // 10_000
    # All three legs, or nothing where the process died between the start and the grant: nobody may be there any more.
    assert (ended.legs, ended.energy_wh, ended.reason) in {(3, 390, "remote"), (1, 0, "never_energised")}
    # Power was given under names that are on record, to each of them once, and none is left.
    names = [request.session for request in machine.guard.requests if isinstance(request, Grant)]
    assert {name.partition(".")[0] for name in names} <= {start.session}
    assert machine.guard.ports[1].state not in {"armed", "on"}
    return kinds


def lived(
    directory: Path, guard: FakeGuard, monkeypatch: pytest.MonkeyPatch, *fatal: int
) -> tuple[int, int, Counter[str]]:
    """Live one life and return its moments, its deaths and its facts."""
    directory.mkdir()
    steps = Steps(*fatal)
    machine = Machine(directory, guard, steps, monkeypatch)

    async def main() -> Counter[str]:
        async with guard:
            try:
                reply = await life(machine)
            finally:
                await machine.bury()
            return await judged(machine, directory, reply)

    kinds = asyncio.run(main())
    return steps.moments, machine.deaths, kinds


def test_station_killed_at_every_step_leaves_one_session_and_one_settlement(
    tmp_path: Path, new_guard: type[FakeGuard], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every moment before and after every write and every request, one death each."""
    moments, deaths, kinds = lived(tmp_path / "calm", new_guard(tmp_path / "g"), monkeypatch)
    assert deaths == 0
    assert kinds[FactKind.LEG_STARTED] == 2
    assert moments >= 30
    for fatal in range(moments):
        _, deaths, _ = lived(tmp_path / str(fatal), new_guard(tmp_path / "g"), monkeypatch, fatal)
        assert deaths == 1, fatal
