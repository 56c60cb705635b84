"""Promises of the sync: nothing is done before it is confirmed, nothing is lost with a connection."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import replace
from typing import TYPE_CHECKING

import msgspec
import pytest

from config.tariff import flat_schedule
from pilenode import clock
from pilenode.station import drain as drain_module
from pilenode.station import outbox
from pilenode.station import sync as module
from pilenode.station.acts import Acts
from pilenode.station.commands import Commands
from pilenode.station.entries import NewFact
from pilenode.station.guard_link import GuardLink
from pilenode.station.house import PlainHouse
from pilenode.station.journal import Journal
from pilenode.station.report import report
from pilenode.station.sessions import Sessions
from pilenode.station.sync import Sync, Timing
from pilenode.station.terms import Terms
from pilenode.station.timekeeper import WallClock
from pilenode.station.wallclock import FLOOR_MS, ClockQuality, Reading, stamp
from pilenode.upstream.contract import (
    NO_LINK,
    Ack,
    Command,
    IncomingCommand,
    NotTakenError,
    Problem,
    Resend,
    Time,
    UpstreamLostError,
)
from pilenode.upstream.desired import IncomingConfig
from pilenode.upstream.facts import Boot, Checkpoint, FactKind

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

    from pilenode.station.wallclock import Stamp
    from pilenode.upstream.contract import FactBatch, Hello, StateReport
    from pilenode.upstream.facts import CommandResult
    from tests.pilenode.conftest import FakeGuard

TERMS = Terms(
    lease_s=60.0,
    checkpoint_s=60.0,
    tariff=lambda: flat_schedule("t", 0, 0),
)


class LoopLink:
    """A connection without a wire: what is sent is kept, what shall be heard is put in ``heard``."""

    protocol = "loop"

    def __init__(self) -> None:
        self.hellos: list[Hello] = []
        self.batches: list[FactBatch] = []
        self.states: list[StateReport] = []
        self.results: list[CommandResult] = []
        self.heard: asyncio.Queue[Ack | Time | IncomingCommand | IncomingConfig | None] = asyncio.Queue()
        self.lost = False
        self.breaks_when_left = False

        self.refuses: Problem | None = None
        self.refused = 0

    def _check(self) -> None:
        if self.lost:
            raise UpstreamLostError("cut")

    async def hello(self, message: Hello) -> None:
        """Keep it."""
        self._check()
        self.hellos.append(message)

    async def facts(self, batch: FactBatch) -> int:
        """Keep it."""
        self._check()
        if self.refuses is not None:
            self.refused += 1
            raise NotTakenError(self.refuses)
        self.batches.append(batch)
        return len(batch.facts)

    async def state(self, report: StateReport) -> None:
        """Keep it."""
        self._check()
        self.states.append(report)

    async def result(self, result: CommandResult) -> None:
        """Keep it."""
        self._check()
        self.results.append(result)

    async def incoming(self) -> AsyncIterator[Ack | Time | IncomingCommand | IncomingConfig]:
        """Yield what is put in; None cuts the connection."""
        try:
            while (message := await self.heard.get()) is not None:
                yield message
        except asyncio.CancelledError:
            if self.breaks_when_left:
                raise UpstreamLostError("cut while leaving") from None
            raise
        raise UpstreamLostError("cut")

    def seqs(self) -> list[int]:
        """Return every fact that was sent, in order."""
        return [fact.seq for batch in self.batches for fact in batch.facts]


class LoopUpstream:
    """Makes one link after the other. While ``down`` nothing can be reached."""

    url = "loop://"
    problem: Problem | None = None

    def __init__(self) -> None:
        self.dropped: dict[str, int] = {}
        self.links: list[LoopLink] = []
        self.down = False
        self.local = False
        self.attempts = 0

    @contextlib.asynccontextmanager
    async def connect(self) -> AsyncIterator[LoopLink]:
        """Connect."""
        self.attempts += 1
        if self.down:
            raise UpstreamLostError("down", local=self.local)
        self.links.append(LoopLink())
        yield self.links[-1]


def told_stamp() -> Stamp:
    """Return the present moment of a cabinet that was told the time."""
    return replace(stamp(), clock=ClockQuality.SERVER)


class Bench:
    """A station's upstream side over a loop."""

    def __init__(self, directory: Path, guard: FakeGuard, ack_timeout_s: float) -> None:
        self.journal = Journal(directory / "j.db", reserve_bytes=0)
        self.guard_link = GuardLink(str(guard.path))
        self.sessions = Sessions(self.journal, self.guard_link, TERMS, PlainHouse())
        self.upstream = LoopUpstream()
        self.wall = WallClock(lambda: Reading(clock.boot_id(), clock.boottime_ms(), 0))
        self.sync = Sync(
            self.journal,
            self.upstream,
            Commands(self.journal, self.sessions, Acts(self.journal, ()), told_stamp),
            lambda: report(self.sessions.snapshot, stamp(), journal_ok=True),
            Timing(0.01, 0.02, ack_timeout_s=ack_timeout_s, drain_bytes_s=0),
            self.wall,
        )

    @property
    def link(self) -> LoopLink:
        """Return the newest connection."""
        return self.upstream.links[-1]

    async def write(self, count: int) -> None:
        """Add facts."""
        await self.journal.append([NewFact(FactKind.BOOT, Boot(version="1"))] * count)

    async def acknowledge(self, upto: int, log_id: str | None = None, digest: str | None = None) -> None:
        """Let the backend confirm."""
        known = await self.journal.link_at(upto) if digest is None else digest
        ack = Ack(log_id=log_id or self.journal.status().log_id, upto=upto, hash=known or NO_LINK)
        await self.link.heard.put(ack)

    @staticmethod
    async def until(condition: Callable[[], object]) -> None:
        """Wait until something is true."""
        async with asyncio.timeout(5):
            while not condition():  # noqa: ASYNC110 - many different conditions, no event for them
                await asyncio.sleep(0.005)


def play(
    directory: Path, guard: FakeGuard, story: Callable[[Bench], Awaitable[None]], ack_timeout_s: float = 30.0
) -> None:
    """Run ``story`` while the sync runs."""

    async def main() -> None:
        async with guard:
            bench = Bench(directory, guard, ack_timeout_s)
            await bench.sessions.tick()  # writes the first fact, the boot
            running = asyncio.create_task(bench.sync.run())
            try:
                await bench.until(lambda: bench.upstream.links)
                await story(bench)
                assert not running.done()
            finally:
                running.cancel()
                await asyncio.gather(running, return_exceptions=True)
                await bench.guard_link.close()
                await bench.journal.close()

    asyncio.run(main())


@pytest.fixture(autouse=True)
def _short_greeting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_GREETING_S", 0.05)
    monkeypatch.setattr(outbox, "WINDOW_FACTS", 800)


@pytest.fixture(autouse=True)
def _guard_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the boot the only fact of the station's own: facts are counted here."""
    monkeypatch.setattr("pilenode.station.keeper.guard_started", lambda *_: None)


def test_facts_wait_a_moment_for_the_backend_to_say_where_it_stands(
    tmp_path: Path, guard: FakeGuard, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After the hello nothing is sent before the backend has answered, and then only what it lacks."""
    monkeypatch.setattr(module, "_GREETING_S", 5.0)

    async def story(bench: Bench) -> None:
        await bench.write(9)
        await bench.until(lambda: bench.link.hellos)
        await asyncio.sleep(0.1)
        assert bench.link.seqs() == []
        await bench.acknowledge(4)
        await bench.until(lambda: len(bench.link.seqs()) == 6)
        assert bench.link.seqs() == [5, 6, 7, 8, 9, 10]

    play(tmp_path, guard, story)


def test_sent_is_not_done(tmp_path: Path, guard: FakeGuard) -> None:
    """Facts that the broker took stay in the outbox until the backend has confirmed them."""

    async def story(bench: Bench) -> None:
        await bench.write(9)
        await bench.until(lambda: len(bench.link.seqs()) == 10)
        assert bench.link.seqs() == list(range(1, 11))
        assert bench.journal.status().acked_seq == 0
        await bench.acknowledge(4)
        await bench.until(lambda: bench.journal.status().acked_seq == 4)
        assert bench.link.seqs() == list(range(1, 11))

    play(tmp_path, guard, story)


def test_hello_says_where_the_log_stands(tmp_path: Path, guard: FakeGuard) -> None:
    """Every connection begins with the log, its first unconfirmed fact and its last."""

    async def story(bench: Bench) -> None:
        await bench.write(4)
        await bench.acknowledge(3)
        await bench.until(lambda: bench.journal.status().acked_seq == 3)
        await bench.link.heard.put(None)
        await bench.until(lambda: len(bench.upstream.links) == 2 and bench.link.hellos)
        hello = bench.link.hellos[0]
        assert (hello.log_id, hello.first_unacked, hello.last) == (bench.journal.status().log_id, 4, 5)

    play(tmp_path, guard, story)


def test_new_connection_sends_again_what_is_not_confirmed(tmp_path: Path, guard: FakeGuard) -> None:
    """What a lost connection carried without confirmation is sent over the next, from the first such fact, in order."""

    async def story(bench: Bench) -> None:
        await bench.write(9)
        await bench.until(lambda: len(bench.link.seqs()) == 10)
        await bench.acknowledge(6)
        await bench.until(lambda: bench.journal.status().acked_seq == 6)
        bench.link.lost = True
        await bench.link.heard.put(None)
        await bench.until(lambda: len(bench.upstream.links) == 2 and len(bench.link.seqs()) == 4)
        assert bench.link.seqs() == [7, 8, 9, 10]

    play(tmp_path, guard, story)


def test_silence_of_the_backend_means_again(tmp_path: Path, guard: FakeGuard) -> None:
    """Without confirmation in time the same facts are sent again over the same connection, as often as it takes."""

    async def story(bench: Bench) -> None:
        await bench.write(2)
        await bench.until(lambda: len(bench.link.seqs()) >= 9)
        assert bench.link.seqs()[:9] == [1, 2, 3] * 3
        await bench.acknowledge(3)
        await bench.until(lambda: bench.journal.status().acked_seq == 3)
        assert len(bench.upstream.links) == 1

    play(tmp_path, guard, story, ack_timeout_s=0.05)


def test_window_holds_back_until_confirmed(tmp_path: Path, guard: FakeGuard) -> None:
    """However large the backlog, only a window of it is on its way; confirmations let the rest follow in order."""

    async def story(bench: Bench) -> None:
        await bench.write(1499)
        await bench.until(lambda: len(bench.link.seqs()) == 800)
        await asyncio.sleep(0.05)
        assert bench.link.seqs() == list(range(1, 801))
        for upto in range(100, 1501, 100):
            await bench.until(lambda upto=upto: upto in bench.link.seqs())  # type: ignore[misc]
            await bench.acknowledge(upto)
        await bench.until(lambda: bench.journal.status().acked_seq == 1500)
        assert bench.link.seqs() == list(range(1, 1501))

    play(tmp_path, guard, story)


def test_strange_confirmations_change_nothing(tmp_path: Path, guard: FakeGuard) -> None:
    """Another log, facts never written, old and repeated confirmations: counted or ignored, never believed."""

    async def story(bench: Bench) -> None:
        await bench.write(9)
        await bench.until(lambda: len(bench.link.seqs()) == 10)
        await bench.acknowledge(5, "f" * 16)
        await bench.acknowledge(5, "f" * 16)
        await bench.acknowledge(11)
        await bench.until(lambda: bench.sync.dropped.total() == 3)
        assert bench.journal.status().acked_seq == 0
        assert bench.sync.problem == Problem("backend_disagrees", "11")
        for upto in (7, 3, 7, 0, 8, 1):
            await bench.acknowledge(upto)
        await bench.until(lambda: bench.journal.status().acked_seq == 8)
        assert bench.sync.dropped == {"foreign_ack": 2, "contradiction": 1}
        await bench.until(lambda: bench.sync.problem is None)
        assert bench.journal.status().set_aside == ()

    play(tmp_path, guard, story)


def test_a_log_of_which_the_backend_holds_more_is_given_up(tmp_path: Path, guard: FakeGuard) -> None:
    """A backend that says twice that it holds another history makes the cabinet begin a new log with all facts."""

    async def story(bench: Bench) -> None:
        old = bench.journal.status().log_id
        await bench.write(9)
        await bench.acknowledge(12, digest="a" * 64)
        await bench.until(lambda: len(bench.link.hellos) == 2)
        await bench.acknowledge(13, digest="a" * 64)
        await bench.until(lambda: len(bench.link.hellos) == 3)
        assert bench.journal.status().log_id == old
        await bench.acknowledge(13, digest="a" * 64)
        await bench.until(lambda: bench.journal.status().log_id != old)
        await bench.until(lambda: len(bench.upstream.links) >= 2 and len(bench.link.seqs()) >= 11)
        assert bench.link.batches[0].log_id == bench.journal.status().log_id
        assert bench.link.batches[0].facts[0].kind == FactKind.LOG_SALVAGED
        under_old = [(batch.log_id, fact.kind) for batch in bench.upstream.links[0].batches for fact in batch.facts]
        assert {log_id for log_id, _ in under_old} <= {old}
        assert FactKind.LOG_SALVAGED not in {kind for _, kind in under_old}

    play(tmp_path, guard, story)


def test_what_happens_during_a_backlog_goes_first(tmp_path: Path, guard: FakeGuard) -> None:
    """While days are being told, a fact of now is told at once; nothing is left out and nothing told twice."""

    async def story(bench: Bench) -> None:
        bench.upstream.down = True
        await bench.link.heard.put(None)
        await bench.until(lambda: bench.upstream.attempts > 1)
        await bench.write(2499)
        bench.upstream.down = False
        await bench.until(lambda: len(bench.link.seqs()) == 800)
        await bench.write(1)
        await bench.until(lambda: 2501 in bench.link.seqs())
        assert bench.link.seqs() == [*range(1, 801), 2501]
        for upto in (800, 1600, 2400, 2501):
            await bench.acknowledge(upto)
            await bench.until(lambda upto=upto: bench.journal.status().acked_seq == upto)  # type: ignore[misc]
            await asyncio.sleep(0.05)
        assert sorted(bench.link.seqs()) == list(range(1, 2502))

    play(tmp_path, guard, story)


def test_a_stretch_is_sent_again_when_the_backend_asks(tmp_path: Path, guard: FakeGuard) -> None:
    """Facts that were confirmed long ago are sent again, as many as are asked for and exist."""

    async def story(bench: Bench) -> None:
        await bench.write(299)
        await bench.until(lambda: 300 in bench.link.seqs())
        await bench.acknowledge(300)
        await bench.until(lambda: bench.journal.status().acked_seq == 300)
        for since, upto, sent in ((20, 280, [*range(20, 281)]), (299, 900, [299, 300]), (301, 900, []), (9, 8, [])):
            bench.link.batches.clear()
            digest = await bench.journal.link_at(300) or ""
            wanted = Resend(since=since, upto=upto)
            await bench.link.heard.put(Ack(log_id=bench.journal.status().log_id, upto=300, hash=digest, resend=wanted))
            await bench.until(lambda sent=sent: len(bench.link.seqs()) >= len(sent))  # type: ignore[misc]
            await asyncio.sleep(0.05)
            assert bench.link.seqs() == sent

    play(tmp_path, guard, story)


@pytest.mark.parametrize("code", ["upstream_nobody_listens", "upstream_publish_refused", "upstream_quota"])
def test_a_broker_that_takes_nothing_is_no_end_and_no_receipt(
    tmp_path: Path, guard: FakeGuard, monkeypatch: pytest.MonkeyPatch, code: str
) -> None:
    """Facts that the broker refused stay in the outbox, the connection stands, people can read why, and it goes on."""
    monkeypatch.setattr(drain_module, "not_taken_s", lambda _times, chance: 0.02 + 0 * chance)

    async def story(bench: Bench) -> None:
        await bench.until(lambda: bench.link.seqs() == [1])
        bench.link.refuses = Problem(code, "0x87")
        await bench.write(3)
        await bench.until(lambda: bench.sync.problem is not None)
        await bench.until(lambda: bench.link.refused > 3)
        assert bench.sync.problem == Problem(code, "0x87")
        assert (bench.journal.status().acked_seq, len(bench.upstream.links)) == (0, 1)
        bench.link.refuses = None
        await bench.until(lambda: 4 in bench.link.seqs())
        assert bench.link.seqs().count(1) == 2  # what it took before may have gone the same way
        await bench.acknowledge(4)
        await bench.until(lambda: bench.journal.status().acked_seq == 4)
        await bench.until(lambda: bench.sync.problem is None)

    play(tmp_path, guard, story)


@pytest.mark.parametrize(("code", "goes_on"), [("upstream_nobody_listens", True), ("upstream_publish_refused", False)])
def test_a_backend_that_speaks_is_sent_facts_at_once(
    tmp_path: Path,
    guard: FakeGuard,
    monkeypatch: pytest.MonkeyPatch,
    code: str,
    goes_on: bool,  # noqa: FBT001 - a table
) -> None:
    """Where nobody listened, an old confirmation says that somebody does again; a missing right takes its time."""
    monkeypatch.setattr(drain_module, "not_taken_s", lambda _times, chance: 600.0 + chance)

    async def story(bench: Bench) -> None:
        await bench.until(lambda: bench.link.seqs() == [1])
        await bench.acknowledge(1)
        await bench.until(lambda: bench.journal.status().acked_seq == 1)
        bench.link.refuses = Problem(code, "0x10")
        await bench.write(3)
        await bench.until(lambda: bench.link.refused == 1)
        bench.link.refuses = None
        await bench.acknowledge(1)
        if goes_on:
            await bench.until(lambda: 4 in bench.link.seqs())
        await asyncio.sleep(0.05)
        assert bench.link.seqs() == ([1, 2, 3, 4] if goes_on else [1])

    play(tmp_path, guard, story)


def test_readings_wait_for_a_fact_that_does_not(tmp_path: Path, guard: FakeGuard) -> None:
    """A reading is not told by itself; it goes with the next fact that somebody may wait for, in order."""

    async def story(bench: Bench) -> None:
        await bench.until(lambda: bench.link.seqs() == [1])
        await bench.acknowledge(1)
        reading = Checkpoint(port=1, start_register_mwh=0, register_mwh=0, on_ms=0, power_w=0)
        await bench.journal.append([NewFact(FactKind.CHECKPOINT, reading, "s")])
        await asyncio.sleep(0.4)
        assert bench.link.seqs() == [1]
        await bench.write(1)
        await bench.until(lambda: len(bench.link.seqs()) == 3)
        assert [[fact.seq for fact in batch.facts] for batch in bench.link.batches] == [[1], [2, 3]]

    play(tmp_path, guard, story)


def test_a_machine_without_a_way_out_tries_often(tmp_path: Path, guard: FakeGuard) -> None:
    """While nothing leaves this machine the pauses do not grow, so the first packet follows the link within 2 s."""

    async def story(bench: Bench) -> None:
        pauses = []
        bench.upstream.down = bench.upstream.local = True
        await bench.link.heard.put(None)
        begun = clock.monotonic_s()
        for attempts in range(bench.upstream.attempts + 1, bench.upstream.attempts + 4):
            await bench.until(lambda attempts=attempts: bench.upstream.attempts >= attempts)  # type: ignore[misc]
            pauses.append(clock.monotonic_s() - begun)
        assert pauses[-1] < 4.5

    play(tmp_path, guard, story)


def test_unreachable_backend_is_tried_for_ever(tmp_path: Path, guard: FakeGuard) -> None:
    """A backend that is away is tried again and again; facts wait, and flow when it is back."""

    async def story(bench: Bench) -> None:
        bench.upstream.down = True
        await bench.link.heard.put(None)
        await bench.until(lambda: bench.upstream.attempts > 10)
        assert bench.sync.protocol is None
        await bench.write(3)
        bench.upstream.down = False
        await bench.until(lambda: len(bench.upstream.links) == 2 and len(bench.link.seqs()) == 4)
        assert bench.sync.protocol == "loop"

    play(tmp_path, guard, story)


def test_end_is_obeyed_although_the_connection_breaks_in_the_same_moment(tmp_path: Path, guard: FakeGuard) -> None:
    """A sync that is told to end while its connection is being lost ends, and does not connect once more."""

    async def main() -> None:
        async with guard:
            bench = Bench(tmp_path, guard, 30.0)
            await bench.sessions.tick()
            running = asyncio.create_task(bench.sync.run())
            await bench.until(lambda: bench.upstream.links and bench.link.hellos)
            bench.link.breaks_when_left = True
            running.cancel()
            await asyncio.wait([running], timeout=2.0)
            assert running.cancelled()
            assert bench.upstream.attempts == 1
            await bench.guard_link.close()
            await bench.journal.close()

    asyncio.run(main())


def test_the_time_that_answers_the_hello_is_believed(tmp_path: Path, guard: FakeGuard) -> None:
    """The backend tells the time, the station keeps it; an absurd one is dropped and the connection stands."""

    async def story(bench: Bench) -> None:
        await bench.until(lambda: bench.link.hellos)
        asked_ms = bench.link.hellos[0].asked_ms
        assert asked_ms is not None
        await bench.link.heard.put(Time(wall_ms=5, asked_ms=asked_ms))
        await bench.link.heard.put(Time(wall_ms=FLOOR_MS + 5, asked_ms=asked_ms - 1))
        await bench.until(lambda: bench.wall.refused.total() == 2)
        assert bench.wall.stamp().clock is ClockQuality.NONE
        await bench.link.heard.put(Time(wall_ms=FLOOR_MS + 5, asked_ms=asked_ms))
        await bench.until(lambda: bench.wall.stamp().clock is ClockQuality.SERVER)
        assert 0 <= bench.wall.stamp().wall_ms - FLOOR_MS < 60_000
        assert len(bench.upstream.links) == 1

    play(tmp_path, guard, story)


def test_the_time_is_asked_for_until_it_is_told_and_then_rarely(
    tmp_path: Path, guard: FakeGuard, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A backend that was away when the hello went out is asked again; one that told it is left alone for hours."""
    monkeypatch.setattr(module, "_NO_TIME_S", 0.02)

    async def story(bench: Bench) -> None:
        await bench.until(lambda: len(bench.link.hellos) >= 3)
        asked = bench.link.hellos[-1].asked_ms
        await bench.link.heard.put(Time(wall_ms=FLOOR_MS + 5, asked_ms=asked))
        await bench.until(lambda: bench.wall.stamp().clock is ClockQuality.SERVER)
        known = len(bench.link.hellos)
        await asyncio.sleep(0.5)
        assert len(bench.link.hellos) == known
        monkeypatch.setattr(module, "_TIME_S", 0.02)
        assert bench.sync._time_is_due()

    play(tmp_path, guard, story)


def command(name: str, port: int = 1) -> IncomingCommand:
    """Return a start as it arrives."""
    start = Command(id=name, op="start", port=port, order=f"order-{name}", iat=2**50, exp=2**50)
    return IncomingCommand(msgspec.json.encode(start), retained=False)


def test_command_is_answered_over_the_connection_that_is_there(tmp_path: Path, guard: FakeGuard) -> None:
    """A command that has begun is carried through when its connection breaks; its result goes over the next one."""

    async def story(bench: Bench) -> None:
        await bench.link.heard.put(command("c1"))
        await bench.until(lambda: bench.link.results)
        assert bench.link.results[0].ok
        bench.link.lost = True
        await bench.link.heard.put(command("c2", port=2))
        await bench.link.heard.put(None)
        await bench.until(lambda: len(bench.upstream.links) == 2 and bench.link.results)
        assert [(result.id, result.ok) for result in bench.link.results] == [("c2", True)]

    play(tmp_path, guard, story)


def test_a_configuration_goes_to_whoever_wants_it(tmp_path: Path, guard: FakeGuard) -> None:
    """Nobody wants it: counted, but for an empty one, which only takes an older one back."""

    async def story(bench: Bench) -> None:
        for payload in (b"", b"1"):
            bench.link.heard.put_nowait(IncomingConfig(payload))
        await bench.until(lambda: bench.sync.dropped["config"] == 1)
        taken: list[bytes] = []
        bench.sync.take_config = taken.append
        bench.link.heard.put_nowait(IncomingConfig(b"2"))
        await bench.until(lambda: taken == [b"2"])

    play(tmp_path, guard, story)


def test_flood_of_commands_is_bounded(tmp_path: Path, guard: FakeGuard) -> None:
    """More commands than can wait are dropped and counted; the rest is answered and the facts go on."""

    async def story(bench: Bench) -> None:
        for number in range(200):
            bench.link.heard.put_nowait(command(f"f{number}"))
        await bench.until(lambda: len(bench.link.results) + bench.sync.dropped["command_flood"] == 200)
        assert bench.sync.dropped["command_flood"] > 100
        assert sum(result.ok for result in bench.link.results) == 1

    play(tmp_path, guard, story)


def test_state_is_told_at_once_and_then_when_it_changes(tmp_path: Path, guard: FakeGuard) -> None:
    """A connection begins with the state; a change is told within seconds, sameness is not repeated."""

    async def story(bench: Bench) -> None:
        await bench.until(lambda: bench.link.states)
        await asyncio.sleep(1.1)
        assert len(bench.link.states) == 1
        guard.set(2, state="tripped", reason="over_current")
        await bench.sessions.tick()
        await bench.until(lambda: len(bench.link.states) == 2)
        assert bench.link.states[1].ports[1].reason == "over_current"

    play(tmp_path, guard, story)


def test_facts_of_a_new_log_never_go_under_the_old_name(
    tmp_path: Path, guard: FakeGuard, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A log that is replaced between the look at the outbox and the reading of it ends the connection instead."""
    monkeypatch.setattr(drain_module, "_GATHER_S", 0.5)

    async def story(bench: Bench) -> None:
        await bench.until(lambda: 1 in bench.link.seqs())
        old = bench.journal.status().log_id
        await bench.write(1)
        await asyncio.sleep(0.1)  # the fact is seen, and waits for company
        await bench.journal.renounce(old, "test")
        await bench.until(lambda: len(bench.upstream.links) == 2 and bench.link.batches)
        first, second = bench.upstream.links
        assert first.seqs() == [1]
        assert second.batches[0].log_id == bench.journal.status().log_id != old

    play(tmp_path, guard, story)
