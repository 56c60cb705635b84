"""Promises of the controller: durable before power, one start and one end, and every kind of trouble survived."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, TypeVar

import msgspec
import pytest

from config.tariff import flat_schedule
from pilenode.ipc.messages import (
    Done,
    GetEvents,
    Grant,
    GuardRequest,
    Plan,
    Refused,
    Release,
    Renew,
    StartReply,
)
from pilenode.ipc.wish import Wish
from pilenode.station.entries import JournalConflictError, JournalFailedError, NewFact
from pilenode.station.guard_link import GuardLink
from pilenode.station.house import PlainHouse
from pilenode.station.journal import Journal
from pilenode.station.sessions import Sessions, StartRequest
from pilenode.station.terms import Terms
from pilenode.upstream.facts import (
    Boot,
    EnergyFlag,
    Fact,
    FactKind,
    Fault,
    FaultReset,
    SessionEnded,
    SessionStarted,
    StartRefused,
)
from tests.pilenode.bills import ANY_POWER

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

    from tests.pilenode.conftest import FakeGuard, LimitedFiles

TERMS = Terms(
    lease_s=60.0,
    checkpoint_s=60.0,
    tariff=lambda: flat_schedule("t1", 520, 300),
    counters=ANY_POWER,
)
Struct = TypeVar("Struct", bound=msgspec.Struct)


class Station:
    """A controller with its journal and its link, as one process has them."""

    def __init__(self, directory: Path, guard: FakeGuard, reserve_bytes: int = 0) -> None:
        self.journal = Journal(directory / "j.db", reserve_bytes=reserve_bytes)
        self.link = GuardLink(str(guard.path))
        self.sessions = Sessions(self.journal, self.link, TERMS, PlainHouse())
        self._closed = False

    async def start(self, port: int = 1, order: str = "o1", plan: Wish | None = None) -> StartReply | Refused:
        """Start a session."""
        return await self.sessions.start(StartRequest(port, order, plan or Wish(), "cli", "test"))

    async def ticks(self, count: int = 1) -> None:
        """Tick."""
        for _ in range(count):
            await self.sessions.tick()

    def guard_answers(self) -> bool:
        """Return whether the last tick had an answer of guard."""
        return self.sessions.snapshot is not None

    async def facts(self, kind: FactKind) -> list[Fact]:
        """Return all facts of a kind."""
        return [fact for fact in await self.journal.unacked(100_000) if fact.kind == kind]

    async def bodies(self, kind: FactKind, body: type[Struct]) -> list[Struct]:
        """Return the bodies of all facts of a kind."""
        return [msgspec.json.decode(fact.body, type=body) for fact in await self.facts(kind)]

    async def ends(self) -> list[SessionEnded]:
        """Return all ends."""
        return await self.bodies(FactKind.SESSION_ENDED, SessionEnded)

    async def close(self) -> None:
        """End as a killed process does: nothing is said to anybody."""
        if self._closed:
            return
        self._closed = True
        await self.link.close()
        await self.journal.close()


@contextlib.asynccontextmanager
async def station(directory: Path, guard: FakeGuard, ticks: int = 1) -> AsyncIterator[Station]:
    """Return a station that has looked around ``ticks`` times."""
    running = Station(directory, guard)
    try:
        await running.ticks(ticks)
        yield running
    finally:
        await running.close()


def play(directory: Path, guard: FakeGuard, story: Callable[[Station], Awaitable[None]]) -> None:
    """Run ``story`` with a station and a guard that listens."""

    async def main() -> None:
        async with guard, station(directory, guard) as running:
            await story(running)

    asyncio.run(main())


# -- at rest ---------------------------------------------------------------------------------------------------


def test_at_rest_is_nothing_open_nothing_tested_and_guard_there(
    tmp_path: Path, guard: FakeGuard, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise the work is not done; where it is done, a start waits until it is over."""
    done: list[str] = []

    async def story(running: Station) -> None:
        async def work() -> None:
            done.append("begun")
            await asyncio.sleep(0.02)
            done.append("over")

        async def start() -> None:
            await running.start()
            done.append("started")

        guard.whole = {"test_running": "relays"}
        await running.ticks()
        assert not await running.sessions.at_rest(work)
        guard.whole = {}
        await running.ticks()
        assert (await asyncio.gather(running.sessions.at_rest(work), start()))[0]
        assert done == ["begun", "over", "started"]
        assert not await running.sessions.at_rest(work)
        guard.end(1, "user", 1_000_100)
        await running.ticks(2)
        assert await running.sessions.at_rest(work)
        with monkeypatch.context() as patch:
            patch.setattr(Sessions, "waiting", (object(),))
            assert not await running.sessions.at_rest(work)
        await guard.close()
        await running.ticks()
        assert not await running.sessions.at_rest(work)
        await guard.open()

    play(tmp_path, guard, story)


# -- starting --------------------------------------------------------------------------------------------------


def test_start_is_durable_before_guard_is_asked(tmp_path: Path, guard: FakeGuard) -> None:
    """When the grant arrives at guard, the start is on disk already."""
    seen: list[int] = []

    async def story(running: Station) -> None:
        def look(request: GuardRequest) -> None:
            if isinstance(request, Grant):
                seen.append(running.journal.status().last_seq)

        guard.before_answer = look
        reply = await running.start(plan=Wish(energy_wh=500))
        assert isinstance(reply, StartReply)
        (fact,) = await running.facts(FactKind.SESSION_STARTED)
        assert (fact.session, seen) == (reply.session, [fact.seq])
        body = msgspec.json.decode(fact.body, type=SessionStarted)
        assert (body.order, body.port, body.source, body.by) == ("o1", 1, "cli", "test")
        assert (body.plan, body.tariff, body.guard_boot) == (Wish(energy_wh=500), TERMS.tariff(), "boot-1")
        (grant,) = [request for request in guard.requests if isinstance(request, Grant)]
        assert grant == Grant(port=1, session=reply.session, ttl_s=60.0, plan=Plan(energy_wh=500))

    play(tmp_path, guard, story)


def test_same_order_is_the_same_session(tmp_path: Path, guard: FakeGuard) -> None:
    """A repeated order starts nothing, also after a restart and after the session has ended."""

    async def story(running: Station) -> None:
        first = await running.start()
        again = await running.start()
        assert isinstance(first, StartReply)
        assert again == StartReply(session=first.session, port=1, repeated=True)
        guard.end(1, "full", 5)
        await running.ticks()
        assert await running.start() == again
        await running.close()
        async with station(tmp_path, guard) as restarted:
            assert await restarted.start() == again
        assert guard.count(Grant) == 1

    play(tmp_path, guard, story)


@pytest.mark.parametrize(("port", "plan"), [(2, Wish()), (1, Wish(energy_wh=1)), (1, Wish(duration_s=1))])
def test_same_order_with_other_content_is_a_conflict(tmp_path: Path, guard: FakeGuard, port: int, plan: Wish) -> None:
    """An order id stands for one port and one plan for ever."""

    async def story(running: Station) -> None:
        await running.start()
        assert await running.start(port, "o1", plan) == Refused(code="order_conflict")
        assert guard.count(Grant) == 1

    play(tmp_path, guard, story)


@pytest.mark.parametrize(
    ("prepare", "port", "code"),
    [
        pytest.param(lambda _: None, 9, "unknown_port", id="unknown"),
        pytest.param(lambda guard: guard.set(1, state="on", session="x"), 1, "port_busy", id="busy"),
        pytest.param(lambda guard: guard.set(1, state="tripped", reason="smoke"), 1, "port_faulty", id="latched"),
        pytest.param(lambda guard: guard.set(1, findings=["meter_lost"]), 1, "port_faulty", id="standing"),
        pytest.param(lambda guard: guard.cabinet_faults.append("smoke"), 1, "cabinet_faulty", id="cabinet"),
    ],
)
def test_refusal_comes_before_any_promise(
    tmp_path: Path, guard: FakeGuard, prepare: Callable[[FakeGuard], None], port: int, code: str
) -> None:
    """A start that cannot be is refused without a session and without asking guard for power; the refusal is a fact."""

    async def story(running: Station) -> None:
        prepare(guard)
        reply = await running.start(port)
        assert isinstance(reply, Refused)
        assert reply.code == code
        assert guard.count(Grant) == 0
        assert await running.facts(FactKind.SESSION_STARTED) == []
        (fact,) = await running.bodies(FactKind.START_REFUSED, StartRefused)
        assert (fact.code, fact.order, fact.port, fact.source) == (code, "o1", port, "cli")

    play(tmp_path, guard, story)


def test_refused_order_may_be_tried_again(tmp_path: Path, guard: FakeGuard) -> None:
    """A refusal before the promise leaves the order id unused."""

    async def story(running: Station) -> None:
        guard.set(1, findings=["meter_lost"])
        assert isinstance(await running.start(), Refused)
        guard.set(1, findings=[])
        assert isinstance(await running.start(), StartReply)

    play(tmp_path, guard, story)


def test_port_is_busy_until_its_last_session_is_settled(tmp_path: Path, guard: FakeGuard) -> None:
    """A port whose last session has no end yet takes no new one, even if guard would."""

    async def story(running: Station) -> None:
        await running.start()
        guard.end(1, "full", told=False)
        await running.ticks()
        reply = await running.start(1, "o2")
        assert isinstance(reply, Refused)
        assert reply.code == "port_busy"

    play(tmp_path, guard, story)


def test_guards_own_refusal_ends_the_session_at_once(tmp_path: Path, guard: FakeGuard) -> None:
    """When guard refuses what was promised, the session has its end in the journal and says why."""

    async def story(running: Station) -> None:
        guard.refuse_grant = Refused(code="starting_up", detail="no reading yet")
        assert await running.start() == guard.refuse_grant
        (end,) = await running.ends()
        assert (end.reason, end.detail, end.energy_wh) == ("never_energised", "starting_up", 0)
        await running.ticks(3)
        assert len(await running.ends()) == 1
        guard.refuse_grant = None
        assert isinstance(await running.start(1, "o2"), StartReply)

    play(tmp_path, guard, story)


def test_absent_guard_refuses(tmp_path: Path, guard: FakeGuard) -> None:
    """Without guard nothing is promised."""

    async def main() -> None:
        async with station(tmp_path, guard) as running:
            reply = await running.start()
            assert isinstance(reply, Refused)
            assert reply.code == "guard_absent"
            assert not running.guard_answers()
            assert await running.facts(FactKind.SESSION_STARTED) == []

    asyncio.run(main())


@pytest.mark.parametrize("restarted", [False, True])
def test_lost_answer_to_a_grant_does_not_leave_power_behind(
    tmp_path: Path,
    guard: FakeGuard,
    restarted: bool,  # noqa: FBT001 - a table
) -> None:
    """If nobody knows whether guard took a grant, the customer is refused, and what guard took is taken back.

    A station that dies right then adopts the session instead: it has a durable start like any other.
    """

    async def story(running: Station) -> None:
        guard.lose_grant_answer = True
        reply = await running.start()
        assert isinstance(reply, Refused)
        assert reply.code == "guard_absent"
        assert guard.ports[1].state == "armed"
        await asyncio.sleep(0.25)
        if restarted:
            await running.close()
            async with station(tmp_path, guard, ticks=3) as second:
                assert await second.ends() == []
                assert guard.count(Release) == 0
            return
        await running.ticks(3)
        assert guard.ports[1].state == "ended"
        (end,) = await running.ends()
        assert end.reason == "interrupted"

    play(tmp_path, guard, story)


# -- running and ending ----------------------------------------------------------------------------------------


def test_lease_is_renewed_while_it_runs_and_not_after(tmp_path: Path, guard: FakeGuard) -> None:
    """A live session is renewed when a third of its lease is gone, an ended one never."""

    async def story(running: Station) -> None:
        await running.start()
        await running.ticks(3)
        assert guard.count(Renew) == 0
        guard.run(1, 1_100_000, 10.0)
        guard.set(1, lease_left_s=39.0)
        await running.ticks(3)
        assert guard.count(Renew) == 1
        assert guard.ports[1].lease_left_s == 60.0
        guard.end(1, "full", 1_200_000)
        await running.ticks(3)
        assert guard.count(Renew) == 1

    play(tmp_path, guard, story)


def test_session_is_settled_once_with_energy_and_fees(tmp_path: Path, guard: FakeGuard) -> None:
    """The end has registers, energy, seconds and both fees, and exists exactly once however often is looked."""

    async def story(running: Station) -> None:
        await running.start()
        guard.run(1, 1_100_000, 3600.0)
        await running.ticks()
        guard.end(1, "full", 1_500_400)
        await running.ticks(5)
        (end,) = await running.ends()
        assert (end.reason, end.energy_wh, end.duration_s, end.energy_flag) == ("full", 500, 3600, None)
        assert (end.electricity_fen, end.service_fen, end.tariff_version) == (26, 15, "t1")
        (checkpoint,) = await running.facts(FactKind.CHECKPOINT)
        assert checkpoint.seq < (await running.facts(FactKind.SESSION_ENDED))[0].seq

    play(tmp_path, guard, story)


def test_sessions_of_many_ports_end_in_one_commit(tmp_path: Path, guard: FakeGuard) -> None:
    """What one look brings is written in one transaction, each session with its own end."""

    async def story(running: Station) -> None:
        for port in (1, 2, 3):
            await running.start(port, f"o{port}")
            guard.run(port, 2_000_000, 60.0)
        await running.ticks()
        for port in (1, 2, 3):
            guard.end(port, "smoke", 2_000_000 + port)
        await running.ticks()
        facts = await running.facts(FactKind.SESSION_ENDED)
        assert len({fact.session for fact in facts}) == 3
        assert len({(fact.wall_ms, fact.boottime_ms) for fact in facts}) == 1

    play(tmp_path, guard, story)


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({}, None),
        ({"session": "own"}, None),
        ({"session": "s-other"}, "wrong_session"),
        ({"order": "o1"}, None),
        ({"order": "o9"}, "wrong_session"),
    ],
)  # fmt: skip - one row each
def test_stop_ends_only_what_was_meant(
    tmp_path: Path, guard: FakeGuard, given: dict[str, str], code: str | None
) -> None:
    """A stop that names a session or an order ends only that one."""

    async def story(running: Station) -> None:
        reply = await running.start()
        assert isinstance(reply, StartReply)
        meant = {key: reply.session if value == "own" else value for key, value in given.items()}
        done = await running.sessions.stop(1, "technician", session=meant.get("session"), order=meant.get("order"))
        assert (done.code if isinstance(done, Refused) else None) == code
        assert guard.count(Release) == (1 if code is None else 0)
        await running.ticks()
        assert [end.reason for end in await running.ends()] == (["technician"] if code is None else [])

    play(tmp_path, guard, story)


@pytest.mark.parametrize(("port", "code"), [(1, "wrong_session"), (9, "unknown_port")])
def test_stop_of_nothing_is_refused(tmp_path: Path, guard: FakeGuard, port: int, code: str) -> None:
    """Where nothing runs there is nothing to stop."""

    async def story(running: Station) -> None:
        done = await running.sessions.stop(port, "technician")
        assert isinstance(done, Refused)
        assert done.code == code

    play(tmp_path, guard, story)


def test_session_that_just_ended_by_itself_counts_as_stopped(tmp_path: Path, guard: FakeGuard) -> None:
    """A stop that comes a moment too late has what it wanted."""

    async def story(running: Station) -> None:
        await running.start()

        def end_first(request: GuardRequest) -> None:
            if isinstance(request, Release):
                guard.end(1, "full", 5)

        guard.before_answer = end_first
        assert await running.sessions.stop(1, "technician") == Done()

    play(tmp_path, guard, story)


# -- coming back -----------------------------------------------------------------------------------------------


def test_restarted_station_adopts_what_guard_holds(tmp_path: Path, guard: FakeGuard) -> None:
    """A station that comes back renews the session instead of ending it, and settles it when it ends."""

    async def story(running: Station) -> None:
        await running.start()
        guard.run(1, 1_200_000, 60.0)
        await running.ticks()
        await running.close()
        guard.set(1, lease_left_s=5.0)
        async with station(tmp_path, guard) as second:
            assert guard.count(Renew) == 1
            guard.end(1, "planned_energy", 1_500_000)
            await second.ticks(2)
            (end,) = await second.ends()
            assert (end.reason, end.energy_wh) == ("planned_energy", 500)

    play(tmp_path, guard, story)


def test_end_while_the_station_was_away_is_settled_from_guard(tmp_path: Path, guard: FakeGuard) -> None:
    """What ended without a station is settled from guard's own event, exactly."""

    async def story(running: Station) -> None:
        await running.start()
        guard.run(1, 1_200_000, 60.0)
        await running.ticks()
        await running.close()
        guard.end(1, "lease_expired", 1_234_000)
        async with station(tmp_path, guard, ticks=2) as second:
            (end,) = await second.ends()
            assert (end.reason, end.energy_wh, end.energy_flag) == ("lease_expired", 234, None)

    play(tmp_path, guard, story)


def test_kill_between_start_and_grant_ends_as_never_energised(tmp_path: Path, guard: FakeGuard) -> None:
    """A start that guard was never asked for is closed as what it is, once."""

    async def story(running: Station) -> None:
        body = SessionStarted(
            order="o1", port=1, source="cli", tariff=TERMS.tariff(), tariff_version="t1", guard_boot="boot-1"
        )
        await running.journal.append([NewFact(FactKind.SESSION_STARTED, body, "s1")])
        await running.close()
        for _ in range(2):
            async with station(tmp_path, guard, ticks=2) as again:
                (end,) = await again.ends()
                assert (end.reason, end.energy_wh, end.duration_s) == ("never_energised", 0, 0)

    play(tmp_path, guard, story)


def test_guard_that_restarted_closes_with_the_last_reading(tmp_path: Path, guard: FakeGuard) -> None:
    """Guard's restart ends its sessions with the last known reading, flagged; ports are free again."""

    async def story(running: Station) -> None:
        await running.start()
        guard.run(1, 1_200_000, 60.0)
        await running.ticks()
        guard.restart("boot-2")
        await running.ticks(2)
        (end,) = await running.ends()
        assert (end.reason, end.energy_wh, end.duration_s) == ("guard_restarted", 200, 60)
        assert end.energy_flag is EnergyFlag.LAST_READING
        assert isinstance(await running.start(1, "o2"), StartReply)

    play(tmp_path, guard, story)


def test_both_restarted_closes_with_the_last_durable_reading(tmp_path: Path, guard: FakeGuard) -> None:
    """After a power cut the journal's last checkpoint is what counts."""

    async def story(running: Station) -> None:
        await running.start()
        guard.run(1, 1_200_000, 60.0)
        await running.ticks()
        guard.run(1, 1_250_000, 70.0)
        await running.ticks()
        await running.close()
        guard.restart("boot-2")
        async with station(tmp_path, guard, ticks=2) as second:
            (end,) = await second.ends()
            assert (end.reason, end.energy_wh) == ("guard_restarted", 200)

    play(tmp_path, guard, story)


def test_guard_that_does_not_answer_ends_nothing(tmp_path: Path, guard: FakeGuard) -> None:
    """Silence of guard is no end: the session is settled when guard can be asked again."""

    async def main() -> None:
        async with station(tmp_path, guard) as running:
            async with guard:
                await asyncio.sleep(0.25)
                await running.start()
                guard.run(1, 1_200_000, 60.0)
                await running.ticks()
            await running.ticks(3)
            assert not running.guard_answers()
            assert await running.ends() == []
            async with guard:
                await asyncio.sleep(0.25)
                await running.ticks()
                assert running.guard_answers()
                assert await running.ends() == []

    asyncio.run(main())


def test_power_without_a_record_is_taken_away(tmp_path: Path, guard: FakeGuard) -> None:
    """A session that guard holds and the journal does not know is released."""

    async def story(running: Station) -> None:
        guard.set(2, state="on", session="stranger", lease_left_s=60.0)
        await running.ticks()
        assert guard.ports[2].state == "ended"

    play(tmp_path, guard, story)


# -- faults ----------------------------------------------------------------------------------------------------


def test_every_fault_event_becomes_one_fact(tmp_path: Path, guard: FakeGuard) -> None:
    """Latched, found and cleared faults are facts exactly once, also across a restart of the station."""

    async def story(running: Station) -> None:
        guard.tell("tripped", 1, code="over_current", detail="12 A")
        guard.tell("finding", 2, code="meter_lost")
        await running.ticks(3)
        assert guard.count(GetEvents) == 1
        guard.tell("cleared", 2, code="meter_lost")
        guard.tell("closed", 3)
        await running.close()
        async with station(tmp_path, guard, ticks=3) as second:
            (latched,) = await second.bodies(FactKind.FAULT_LATCHED, Fault)
            assert (latched.code, latched.port, latched.event, latched.age_ms) == ("over_current", 1, 1, 500)
            assert [body.event for body in await second.bodies(FactKind.FAULT_FOUND, Fault)] == [2]
            assert [body.event for body in await second.bodies(FactKind.FAULT_CLEARED, Fault)] == [3]

    play(tmp_path, guard, story)


def test_same_numbers_of_a_new_guard_are_new_facts(tmp_path: Path, guard: FakeGuard) -> None:
    """Event 1 of the next boot is not event 1 of this one."""

    async def story(running: Station) -> None:
        guard.tell("tripped", 1, code="over_current")
        await running.ticks()
        guard.restart("boot-2")
        guard.tell("tripped", 1, code="smoke")
        await running.ticks()
        codes = [body.code for body in await running.bodies(FactKind.FAULT_LATCHED, Fault)]
        assert codes == ["over_current", "smoke"]

    play(tmp_path, guard, story)


def test_reset_is_recorded_with_who_did_it(tmp_path: Path, guard: FakeGuard) -> None:
    """A reset that worked is a fact that names the person."""

    async def story(running: Station) -> None:
        assert await running.sessions.reset_fault(1, "uid 1000: Li") == Done()
        assert await running.bodies(FactKind.FAULT_RESET, FaultReset) == [FaultReset(port=1, by="uid 1000: Li")]

    play(tmp_path, guard, story)


# -- trouble with the journal ----------------------------------------------------------------------------------


def test_full_disk_starts_nothing_and_ends_nothing(
    tmp_path: Path, guard: FakeGuard, limited_files: LimitedFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a full disk no session starts, running ones are renewed, and their ends are written later, once."""

    async def story(running: Station) -> None:
        await running.start()
        guard.run(1, 1_200_000, 60.0)
        await running.ticks()
        limited_files.fill()
        reply = await running.start(2, "o2")
        assert isinstance(reply, Refused)
        assert reply.code == "journal_failed"
        assert guard.count(Grant) == 1
        guard.set(1, lease_left_s=1.0)
        await running.ticks(2)
        assert guard.count(Renew) == 1
        guard.tell("finding", 3, code="meter_lost")
        guard.end(1, "full", 1_300_000)
        await running.ticks(3)
        assert running.journal.status().problem
        limited_files.free()
        monkeypatch.setattr(running.sessions._book, "_recover_at_s", 0.0)
        await running.ticks(3)
        assert running.journal.status().problem is None
        (end,) = await running.ends()
        assert (end.reason, end.energy_wh) == ("full", 300)
        assert len(await running.facts(FactKind.FAULT_FOUND)) == 1
        assert isinstance(await running.start(2, "o2"), StartReply)

    play(tmp_path, guard, story)


def test_start_is_refused_when_its_end_might_not_fit(tmp_path: Path, guard: FakeGuard) -> None:
    """A disk that is nearly full takes no new session, long before it is too full for the end of a running one."""

    async def main() -> None:
        running = Station(tmp_path, guard, reserve_bytes=2**62)
        async with guard:
            await running.ticks()
            reply = await running.start()
            assert isinstance(reply, Refused)
            assert reply.code == "journal_failed"
            assert guard.count(Grant) == 0
            await running.close()

    asyncio.run(main())


def test_stop_works_with_a_full_disk(tmp_path: Path, guard: FakeGuard, limited_files: LimitedFiles) -> None:
    """Switching off never waits for the journal."""

    async def story(running: Station) -> None:
        await running.start()
        limited_files.fill()
        assert await running.sessions.stop(1, "technician") == Done()
        assert await running.sessions.reset_fault(1, "Li") == Done()

    play(tmp_path, guard, story)


def test_start_whose_write_failed_but_happened_is_found_and_closed(
    tmp_path: Path, guard: FakeGuard, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A start that was refused because its commit seemed to fail, but is on disk, gets its end."""

    async def story(running: Station) -> None:
        append = running.journal.append

        async def lie(facts: list[NewFact]) -> list[int]:
            await append(facts)
            raise JournalFailedError("the storage does not answer")

        monkeypatch.setattr(running.journal, "append", lie)
        reply = await running.start()
        monkeypatch.undo()
        assert isinstance(reply, Refused)
        assert reply.code == "journal_failed"
        assert guard.count(Grant) == 0
        await running.ticks(2)
        (end,) = await running.ends()
        assert end.reason == "never_energised"

    play(tmp_path, guard, story)


def test_end_whose_write_failed_but_happened_is_not_written_twice(
    tmp_path: Path, guard: FakeGuard, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An end that seemed to fail, but is on disk, stays the only one, and its port is free again."""

    async def story(running: Station) -> None:
        await running.start()
        append = running.journal.append

        async def lie(facts: list[NewFact]) -> list[int]:
            await append(facts)
            raise JournalFailedError("the storage does not answer")

        guard.end(1, "full", 5)
        guard.tell("finding", 2, code="meter_lost")
        monkeypatch.setattr(running.journal, "append", lie)
        await running.ticks()
        monkeypatch.undo()
        await running.ticks(3)
        assert len(await running.ends()) == 1
        assert len(await running.facts(FactKind.FAULT_FOUND)) == 1
        assert isinstance(await running.start(1, "o2"), StartReply)

    play(tmp_path, guard, story)


def test_conflict_makes_the_station_read_the_journal_again(
    tmp_path: Path, guard: FakeGuard, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A conflict means that memory and journal differ: the journal is right."""

    async def story(running: Station) -> None:
        await running.start()
        append = running.journal.append

        async def lie(facts: list[NewFact]) -> list[int]:
            await append(facts)
            raise JournalConflictError("UNIQUE")

        guard.end(1, "full", 5)
        monkeypatch.setattr(running.journal, "append", lie)
        await running.ticks()
        monkeypatch.undo()
        await running.ticks(2)
        assert len(await running.ends()) == 1
        assert isinstance(await running.start(1, "o2"), StartReply)

    play(tmp_path, guard, story)


def test_unreadable_journal_at_start_cuts_nobody(tmp_path: Path, guard: FakeGuard) -> None:
    """A station that cannot read its journal renews what guard holds and starts nothing."""

    async def story(running: Station) -> None:
        await running.start()
        guard.run(1, 1_200_000, 60.0)
        await running.ticks()
        await running.close()
        (tmp_path / "elsewhere").mkdir()
        unreadable = tmp_path / "elsewhere"
        (unreadable / "j.db").mkdir()
        guard.set(1, lease_left_s=1.0)
        async with station(unreadable, guard, ticks=2) as second:
            assert guard.ports[1].state == "on"
            assert guard.ports[1].lease_left_s == 60.0
            reply = await second.start(2, "o2")
            assert isinstance(reply, Refused)
            assert reply.code == "journal_failed"

    play(tmp_path, guard, story)


def test_start_of_the_process_is_a_fact(tmp_path: Path, guard: FakeGuard) -> None:
    """Every start of the station is recorded once, with its version."""

    async def story(running: Station) -> None:
        await running.ticks(3)
        (body,) = await running.bodies(FactKind.BOOT, Boot)
        assert body.version

    play(tmp_path, guard, story)
