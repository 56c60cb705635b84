"""Promises of sessions that lose their power and go on: under the rules of the house, once, and never after a stop."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

import msgspec
import pytest

from config.schema_session import Session, Window
from pilenode.ipc.messages import Amend, Done, Grant, Refused, Release, StartReply
from pilenode.ipc.wish import Change, Wish
from pilenode.station.acts import Acts
from pilenode.station.guard_link import GuardLink
from pilenode.station.house import CabinetHouse
from pilenode.station.journal import Journal
from pilenode.station.load_control import LoadControl
from pilenode.station.load_desk import LoadDesk
from pilenode.station.load_values import LoadRules
from pilenode.station.locks import HeldLock
from pilenode.station.sessions import Load, Sessions, StartRequest
from pilenode.station.terms import Terms
from pilenode.station.wallclock import ClockQuality, Stamp
from pilenode.station.windows import hours_of
from pilenode.upstream.facts import FactKind, LegStarted, SessionEnded, StartRefused
from pilenode.upstream.facts_ledger import LockSet
from pilenode.upstream.facts_load import QueueLeft, StartQueued
from pilenode.upstream.facts_money import Payment
from tests.pilenode.bills import ANY_POWER, TARIFF

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

    from tests.pilenode.conftest import FakeGuard

#: 2026-09-21, 21:33:20 in Shanghai.
NOW_MS = 1_790_000_000_000
RULES = LoadRules(budget_a=100.0, min_off_s=0.0, close_stagger_s=0.2)
LOCK = HeldLock(
    LockSet(
        lock="l-1",
        port=1,
        lock_kind="lockout",
        authority="fire office",
        reason="wires",
        from_ms=None,
        until_ms=None,
        source="upstream",
        by="",
    ),
    1,
)


class Cabinet:
    """One station under a clock that tests turn; ``power_cut`` makes another boot and another guard of it."""

    def __init__(
        self, directory: Path, guard: FakeGuard, policy: Session, rules: LoadRules, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self.guard = guard
        self.boot, self.boottime_ms, self.wall_ms, self.clock = "boot-a", 1_000_000, NOW_MS, ClockQuality.NTP
        self.lock: HeldLock | None = None
        self._directory, self._policy, self._rules = directory, policy, rules
        monkeypatch.setattr("pilenode.clock.monotonic_s", lambda: self.boottime_ms / 1000)
        self._open()

    def _open(self) -> None:
        self.journal = Journal(self._directory / "j.db", now=self.stamp)
        self.link = GuardLink(str(self.guard.path))
        budget = LoadDesk(self._rules.budget_a)
        plan = LoadControl(self._rules, budget, self.stamp)
        acts = Acts(self.journal, (budget, plan.queue), self.stamp)
        house = CabinetHouse(self._policy, hours_of(self._policy, "Asia/Shanghai"), 36_000, lambda _: self.lock)
        terms = Terms(60.0, 60.0, lambda: TARIFF, ANY_POWER)
        self.sessions = Sessions(self.journal, self.link, terms, house, self.stamp, Load(plan, acts.catch_up))

    def stamp(self) -> Stamp:
        """Return the present moment."""
        return Stamp(self.boot, self.boottime_ms, self.wall_ms, self.clock)

    async def ticks(self, count: int = 1, each_s: float = 1.0) -> None:
        """Let time go by and look around."""
        for _ in range(count):
            self.boottime_ms += round(each_s * 1000)
            self.wall_ms += round(each_s * 1000)
            await self.sessions.tick()

    async def start(self, wish: Wish | None = None, **more: object) -> str:
        """Start a session on port 1 and let it have power."""
        request = StartRequest(1, "o1", wish or Wish(), "upstream", **more)  # type: ignore[arg-type]
        reply = await self.sessions.start(request)
        assert isinstance(reply, StartReply)
        self.guard.run(1, 1_200_000, 60.0)
        await self.ticks(2)
        return reply.session

    async def power_cut(self, away_s: float, **port: object) -> None:
        """Take the power away from everything for so long."""
        await self.close()
        self.boot, self.boottime_ms, self.wall_ms = self.boot + "x", 20_000, self.wall_ms + round(away_s * 1000)
        self.guard.restart(self.guard.boot + "x")
        self.guard.set(1, register_mwh=1_210_000)
        self.guard.set(1, **port)
        self._open()
        await self.ticks(3)

    async def ends(self) -> list[SessionEnded]:
        """Return all ends."""
        found = await self.journal.facts([FactKind.SESSION_ENDED], 0, 100)
        return [msgspec.json.decode(fact.body, type=SessionEnded) for fact in found]

    def granted(self) -> list[str]:
        """Return the names that guard was asked for, in order."""
        return [request.session for request in self.guard.requests if isinstance(request, Grant)]

    async def close(self) -> None:
        """Die."""
        await self.link.close()
        await self.journal.close()


@pytest.fixture
def play(tmp_path: Path, guard: FakeGuard, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Return how to run a story with a cabinet."""

    @contextlib.asynccontextmanager
    async def opened(policy: Session, rules: LoadRules) -> AsyncIterator[Cabinet]:
        async with guard:
            cabinet = Cabinet(tmp_path, guard, policy, rules, monkeypatch)
            await cabinet.ticks(2)
            yield cabinet
            await cabinet.close()

    def run(
        story: Callable[[Cabinet], Awaitable[None]], policy: Session | None = None, rules: LoadRules = RULES
    ) -> None:
        async def main() -> None:
            async with opened(policy or Session(), rules) as cabinet:
                await story(cabinet)

        asyncio.run(main())

    return run


def test_a_short_outage_is_survived_and_stands_in_the_record(play: Callable[..., None]) -> None:
    """A further leg with its own name, how long it was dark, one settlement with the energy of both legs."""

    async def story(cabinet: Cabinet) -> None:
        session = await cabinet.start()
        await cabinet.power_cut(600.0)
        assert cabinet.granted()[-1] == f"{session}.2"
        (fact,) = await cabinet.journal.facts([FactKind.LEG_STARTED], 0, 10)
        leg = msgspec.json.decode(fact.body, type=LegStarted)
        assert leg.cause == "power"
        assert leg.outage is not None
        assert leg.outage.cause == "power"
        assert leg.outage.length_ms is not None
        assert 600_000 <= leg.outage.length_ms <= 606_000
        cabinet.guard.run(1, 1_300_000, 60.0, 1_210_000)
        await cabinet.ticks(2)
        assert await cabinet.sessions.stop(1, "remote", session=session) == Done()
        await cabinet.ticks(2)
        (end,) = await cabinet.ends()
        assert (end.energy_wh, end.legs, end.reason) == (290, 2, "remote")
        assert sum(piece.energy_mwh for piece in end.money.pieces) == 290_000

    play(story)


@pytest.mark.parametrize(
    ("away_s", "port", "policy", "why"),
    [
        (1801.0, {}, Session(), "interrupted for"),
        (60.0, {}, Session(resume=False), "resume is off"),
        (60.0, {"state": "tripped", "reason": "over_current"}, Session(), "fault: over_current"),
        (60.0, {"findings": ["meter_lost"]}, Session(), "fault: meter_lost"),
    ],
    ids=["too long", "not wanted", "tripped", "fault stands"],
)
def test_an_outage_that_is_not_survived_closes_with_the_last_reading(
    play: Callable[..., None], away_s: float, port: dict[str, object], policy: Session, why: str
) -> None:
    """Never after a fault, nor when it was long: the energy of the last reading, the outage, and why."""

    async def story(cabinet: Cabinet) -> None:
        await cabinet.start()
        await cabinet.power_cut(away_s, **port)
        await cabinet.ticks(70)  # a finding is given a minute, guard's start
        (end,) = await cabinet.ends()
        assert (end.reason, end.energy_wh) == ("power_lost", 200)
        assert end.detail.startswith(why)
        assert end.outage is not None
        assert end.outage.cause == "power"
        assert len(cabinet.granted()) == 1

    def aged(story: Callable[[Cabinet], Awaitable[None]]) -> Callable[[Cabinet], Awaitable[None]]:
        async def older(cabinet: Cabinet) -> None:
            cabinet.guard.whole["uptime_s"] = 100.0
            await story(cabinet)

        return older

    play(aged(story), policy)


def test_without_a_clock_the_length_is_unknown_and_too_long(play: Callable[..., None]) -> None:
    """Five minutes are given to learn the time; then it is closed."""

    async def story(cabinet: Cabinet) -> None:
        await cabinet.start()
        cabinet.clock = ClockQuality.NONE
        await cabinet.power_cut(60.0)
        assert await cabinet.ends() == []
        assert len(cabinet.granted()) == 1
        await cabinet.ticks(60, 6.0)
        (end,) = await cabinet.ends()
        assert (end.reason, end.detail) == ("power_lost", "length of the interruption unknown")

    play(story)


def test_a_lock_ends_what_runs_and_what_is_paused(play: Callable[..., None]) -> None:
    """Guard is told with the lock's own reason; a session in the dark ends without guard."""

    async def story(cabinet: Cabinet) -> None:
        session = await cabinet.start()
        cabinet.lock = LOCK
        await cabinet.ticks(2)
        (release,) = [one for one in cabinet.guard.requests if isinstance(one, Release)]
        assert (release.session, release.reason) == (session, "lockout")
        (end,) = await cabinet.ends()
        assert end.reason == "lockout"
        refused = await cabinet.sessions.start(StartRequest(1, "o2", Wish(), "cli"))
        assert isinstance(refused, Refused)
        assert refused.code == "port_locked"

    play(story)


def test_a_session_paused_over_an_outage_is_judged_by_its_length(play: Callable[..., None]) -> None:
    """What the load plan had paused before a long outage does not go on days later because there is room."""

    async def story(cabinet: Cabinet) -> None:
        await cabinet.start()
        cabinet.guard.end(1, "shed", 1_250_000)
        cabinet.guard.cabinet_faults = ["smoke_alarm"]  # nobody goes on meanwhile
        await cabinet.ticks(2)
        cabinet.guard.cabinet_faults = []
        await cabinet.power_cut(86_400.0)
        (end,) = await cabinet.ends()
        assert (end.reason, end.energy_wh) == ("power_lost", 250)

    play(story)


def test_a_stop_in_the_dark_ends_it_and_nothing_goes_on(play: Callable[..., None]) -> None:
    """Between two legs there is nothing at guard; the session ends all the same, and only if it was named."""

    async def story(cabinet: Cabinet) -> None:
        session = await cabinet.start()
        cabinet.guard.refuse_grant = Refused(code="starting_up")
        await cabinet.power_cut(60.0)
        assert cabinet.granted() == [session, f"{session}.2", f"{session}.2", f"{session}.2"][: len(cabinet.granted())]
        wrong = await cabinet.sessions.stop(1, "remote", session="somebody-else")
        assert isinstance(wrong, Refused)
        assert await cabinet.sessions.stop(1, "remote", session=session) == Done()
        cabinet.guard.refuse_grant = None
        before = len(cabinet.granted())
        await cabinet.ticks(5)
        (end,) = await cabinet.ends()
        assert (end.reason, end.energy_wh, len(cabinet.granted())) == ("remote", 200, before)

    play(story)


def test_guard_holds_what_is_left_of_the_plan(play: Callable[..., None]) -> None:
    """At the grant the whole plan; on the second leg what the first has not used."""

    async def story(cabinet: Cabinet) -> None:
        await cabinet.start(Wish(energy_wh=500, duration_s=3600))
        await cabinet.power_cut(60.0)
        grants = [one for one in cabinet.guard.requests if isinstance(one, Grant)]
        assert (grants[0].plan.energy_wh, grants[0].plan.duration_s) == (500.0, 3600.0)
        assert (grants[-1].plan.energy_wh, grants[-1].plan.duration_s) == (300.0, 3540.0)

    play(story)


def test_a_plan_is_changed_on_record_and_at_guard(play: Callable[..., None]) -> None:
    """The change is durable, guard gets the new plan; what makes no plan is refused, and that is on record too."""

    async def story(cabinet: Cabinet) -> None:
        session = await cabinet.start(Wish(energy_wh=500))
        assert await cabinet.sessions.modify(1, session, Change(energy_wh=900), "cli", "Li") == Done()
        amends = [one for one in cabinet.guard.requests if isinstance(one, Amend)]
        assert [one.plan.energy_wh for one in amends] == [900.0]
        assert len(await cabinet.journal.facts([FactKind.SESSION_MODIFIED], 0, 10)) == 1
        past = await cabinet.sessions.modify(1, session, Change(until_ms=NOW_MS - 1), "cli", "Li")
        assert isinstance(past, Refused)
        assert past.code == "plan_in_past"
        assert len(await cabinet.journal.facts([FactKind.ACT_REFUSED], 0, 10)) == 1
        other = await cabinet.sessions.modify(1, "nobody", Change(energy_wh=1), "cli", "Li")
        assert other == Refused(code="wrong_session")

    play(story)


def test_an_amount_is_held_by_guard_as_energy_and_never_charged_beyond(play: Callable[..., None]) -> None:
    """0.82 yuan per kWh: 41 fen buy 500 Wh; whatever was used beyond is waived."""

    async def story(cabinet: Cabinet) -> None:
        session = await cabinet.start(Wish(amount_fen=41))
        (grant,) = [one for one in cabinet.guard.requests if isinstance(one, Grant)]
        assert grant.plan.for_amount
        assert grant.plan.energy_wh == pytest.approx(500.0, abs=13.0)
        cabinet.guard.run(1, 1_900_000, 120.0)
        await cabinet.ticks(2)
        await cabinet.sessions.stop(1, "remote", session=session)
        await cabinet.ticks(2)
        (end,) = await cabinet.ends()
        assert end.energy_wh == 900
        assert (end.money.bill.charged_fen, end.money.bill.waived_fen > 0) == (41, True)

    play(story)


def test_what_was_paid_before_comes_back_where_nothing_was_charged(play: Callable[..., None]) -> None:
    """A start that guard refuses costs nothing, and the same order again is answered with the refusal."""

    async def story(cabinet: Cabinet) -> None:
        cabinet.guard.refuse_grant = Refused(code="starting_up")
        request = StartRequest(1, "o1", Wish(), "upstream", payment=Payment(mode="prepaid", paid_fen=500))
        assert await cabinet.sessions.start(request) == Refused(code="starting_up")
        (end,) = await cabinet.ends()
        assert (end.money.bill.charged_fen, end.money.bill.refund_fen) == (0, 500)
        cabinet.guard.refuse_grant = None
        assert await cabinet.sessions.start(request) == Refused(code="starting_up")
        other = await cabinet.sessions.start(StartRequest(1, "o1", Wish(), "upstream"))
        assert other == Refused(code="order_conflict")
        refused = await cabinet.journal.facts([FactKind.START_REFUSED], 0, 10)
        assert [msgspec.json.decode(fact.body, type=StartRefused).code for fact in refused] == ["order_conflict"]

    play(story)


def test_a_start_without_room_waits_and_begins_by_itself(play: Callable[..., None]) -> None:
    """Queued with its place, durable, the same order is the same place; with room it starts unasked."""

    async def story(cabinet: Cabinet) -> None:
        session = await cabinet.start()
        cabinet.guard.set(1, current_a=5.0, reading_age_s=0.1)
        await cabinet.ticks(2)
        second = StartRequest(2, "o2", Wish(), "upstream")
        assert await cabinet.sessions.start(second) == Refused(code="queued", detail="1")
        assert await cabinet.sessions.start(second) == Refused(code="queued", detail="1")
        assert (await cabinet.sessions.start(StartRequest(3, "o3", Wish(), "cli"))) == Refused(
            code="queued", detail="2"
        )
        assert await cabinet.sessions.stop(3, "technician", order="o3") == Done()
        found = await cabinet.journal.facts([FactKind.START_QUEUED, FactKind.QUEUE_LEFT], 0, 10)
        assert [fact.kind for fact in found] == ["start_queued", "start_queued", "queue_left"]
        assert msgspec.json.decode(found[0].body, type=StartQueued).order == "o2"
        assert msgspec.json.decode(found[2].body, type=QueueLeft).why == "user"
        await cabinet.sessions.stop(1, "remote", session=session)
        cabinet.guard.set(1, current_a=0.0)
        await cabinet.ticks(15)
        reply = await cabinet.sessions.start(second)
        assert isinstance(reply, StartReply)
        assert reply.repeated
        assert cabinet.granted()[-1] == reply.session

    play(story, rules=LoadRules(budget_a=6.0, start_demand_a=2.0, settle_s=10.0, close_stagger_s=0.2))


def test_outside_the_hours_nobody_starts(play: Callable[..., None]) -> None:
    """It is past nine in the evening: refused with the time at which it opens."""

    async def story(cabinet: Cabinet) -> None:
        refused = await cabinet.sessions.start(StartRequest(1, "o1", Wish(), "cli"))
        assert isinstance(refused, Refused)
        assert refused.code == "outside_hours"
        assert "06:00" in refused.detail

    play(story, Session(allowed=[Window(from_="06:00", to="21:00")]))
