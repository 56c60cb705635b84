"""Promises of the reference backend: every fact once, confirmed after its commit, whatever dies in between."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import aiomqtt
import msgspec
import pytest

from config.schema import Upstream as Settings
from config.tariff import flat_schedule
from hil_rig.broker import Broker, Kind
from hil_rig.upstream import Backend, BackendProcess, Store, send
from pilenode import clock
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
from pilenode.station.wallclock import ClockQuality, Reading, stamp
from pilenode.upstream.contract import NO_LINK, Command, Hello, Live, StateReport, down, up
from pilenode.upstream.facts import (
    Boot,
    FactKind,
)
from pilenode.upstream.mqtt import MqttUpstream

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

LOG_ID = "0123456789abcdef"
TERMS = flat_schedule("t", 520, 300)
BROKERS = [pytest.param("mosquitto", marks=pytest.mark.needs("mosquitto")), "amqtt"]


@pytest.mark.bench
@pytest.mark.parametrize("kind", BROKERS)
def test_broker_starts_dies_and_starts_again(kind: Kind) -> None:
    """A rig's broker accepts once started, not once killed, and again on the same port."""
    with Broker(kind=kind) as broker:
        assert broker._accepts()
        broker.kill()
        assert not broker._accepts()
        broker.start()
        assert broker._accepts()
    assert not broker._accepts()


class Node:
    """The upstream side of a station without a guard."""

    def __init__(self, directory: Path, url: str) -> None:
        self.journal = Journal(directory / "j.db", reserve_bytes=0)
        self._link = GuardLink(str(directory / "no-guard.sock"))
        self.sessions = Sessions(
            self.journal, self._link, Terms(lease_s=60.0, checkpoint_s=60.0, tariff=lambda: TERMS), PlainHouse()
        )
        self.wall = WallClock(lambda: Reading(clock.boot_id(), clock.boottime_ms(), 0))  # a calendar of 1970
        commands = Commands(self.journal, self.sessions, Acts(self.journal, ()))  # does not know the time
        self.sync = Sync(
            self.journal,
            MqttUpstream(Settings(url=url), "n"),
            commands,
            lambda: report(None, stamp(), journal_ok=True, challenge=commands.challenge()),
            Timing(retry_base_s=0.1, retry_cap_s=0.3, ack_timeout_s=1.0),
            self.wall,
        )

    async def write(self, count: int) -> None:
        """Add facts."""
        await self.journal.append([NewFact(FactKind.BOOT, Boot(version="x" * 20))] * count)

    async def until(self, condition: Callable[[], object], seconds: float = 30.0) -> None:
        """Wait until something is true."""
        async with asyncio.timeout(seconds):
            while not condition():  # noqa: ASYNC110 - many different conditions, no event for them
                await asyncio.sleep(0.01)

    async def until_acked(self, seq: int) -> None:
        """Wait until the backend has confirmed that much."""
        await self.until(lambda: self.journal.status().acked_seq >= seq)


@pytest.mark.bench
@pytest.mark.parametrize("kind", BROKERS)
def test_every_fact_arrives_once_and_in_order_through_deaths(tmp_path: Path, kind: Kind) -> None:
    """Broker and backend killed amid a drain: every fact is stored exactly once, in order, the chain unbroken."""

    async def main(broker: Broker, backend: BackendProcess) -> None:
        node = Node(tmp_path, broker.url)
        await node.sessions.tick()
        await node.write(499)
        running = asyncio.create_task(node.sync.run())
        try:
            for victim in (broker, backend, broker):
                acked = node.journal.status().acked_seq
                await node.write(200)
                await node.until_acked(acked + 150)
                victim.kill()
                await node.write(50)
                await asyncio.sleep(0.2)
                victim.start()
            last = node.journal.status().last_seq
            await node.until_acked(last)
            assert last == 1250
            assert [row.fact.seq for row in backend.store.rows("n")] == list(range(1, last + 1))
            assert backend.store.contradictions() == 0
            assert backend.store.broken_link("n", node.journal.status().log_id) is None
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            await node.journal.close()

    with Broker(kind=kind) as broker, BackendProcess(broker.url, tmp_path / "b.db") as backend:
        asyncio.run(main(broker, backend))


@pytest.mark.bench
@pytest.mark.parametrize("kind", BROKERS)
def test_the_backend_tells_the_time(tmp_path: Path, kind: Kind) -> None:
    """A station without a clock knows the backend's time after its hello, as well as the way there and back allows."""

    async def main(broker: Broker) -> None:
        node = Node(tmp_path, broker.url)
        await node.sessions.tick()
        running = asyncio.create_task(node.sync.run())
        try:
            assert node.wall.stamp().clock is ClockQuality.NONE
            await node.until(lambda: node.wall.stamp().clock is ClockQuality.SERVER)
            at = node.wall.stamp()
            assert at.uncertainty_ms is not None
            assert abs(at.wall_ms - clock.wall_ms()) <= at.uncertainty_ms
            assert node.wall.refused.total() == 0
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            await node.journal.close()

    with Broker(kind=kind) as broker, BackendProcess(broker.url, tmp_path / "b.db"):
        asyncio.run(main(broker))


@pytest.mark.bench
@pytest.mark.parametrize("kind", BROKERS)
def test_command_gets_its_answer_and_state_and_presence_are_kept(tmp_path: Path, kind: Kind) -> None:
    """A command sent to a node is answered; the backend keeps the newest state and presence."""

    async def main(broker: Broker, backend: BackendProcess) -> None:
        node = Node(tmp_path, broker.url)
        await node.sessions.tick()
        running = asyncio.create_task(node.sync.run())
        try:
            command = Command(id="c1", op="start", port=1, order="o1", iat=2**50, exp=2**50)
            result = await send(broker.url, "n", command)
            assert (result.id, result.ok, result.code) == ("c1", False, "guard_absent")
            await node.until(lambda: backend.store.latest("n", "st") and backend.store.results("n"))
            state = msgspec.json.decode(backend.store.latest("n", "st") or b"", type=StateReport)
            assert not state.guard
            assert msgspec.json.decode(backend.store.latest("n", "live") or b"", type=Live).online
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            await node.until(
                lambda: not msgspec.json.decode(backend.store.latest("n", "live") or b"", type=Live).online
            )
            await node.journal.close()

    with Broker(kind=kind) as broker, BackendProcess(broker.url, tmp_path / "b.db") as backend:
        asyncio.run(main(broker, backend))


@pytest.mark.bench
@pytest.mark.parametrize("kind", BROKERS)
def test_another_major_version_is_not_answered(tmp_path: Path, kind: Kind) -> None:
    """A cabinet that speaks by other rules is counted and gets no confirmation; the next one does."""

    async def main(broker: Broker, store: Store) -> None:
        backend = Backend(broker.url, store)
        running = asyncio.create_task(backend.run())
        try:
            await asyncio.wait_for(backend.connected.wait(), 10)
            async with aiomqtt.Client("127.0.0.1", broker.port) as node:
                await node.subscribe("pn/v1/+/dn/ack", qos=1)
                hello = Hello(version="9", log_id=LOG_ID, first_unacked=1, last=0, head=NO_LINK)
                for name, major in (("later", 2), ("now", 1)):
                    said = msgspec.json.encode(msgspec.structs.replace(hello, protocol=major))
                    await node.publish(up(name, "hello"), said, qos=1)
                async with asyncio.timeout(5):
                    assert (await anext(aiter(node.messages))).topic.value == down("now", "ack")
            assert backend.dropped == {"protocol_mismatch": 1}
            assert [name for name, _, _ in store.logs()] == ["now"]
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)

    with Broker(kind=kind) as broker, Store(tmp_path / "b.db") as store:
        asyncio.run(main(broker, store))


@pytest.mark.bench
@pytest.mark.needs("mosquitto")
def test_death_between_commit_and_acknowledgement_costs_nothing(tmp_path: Path, where: Path | str) -> None:
    """Killed after its first, its second and its third commit, each time untold: every fact once, in order."""

    async def main(broker: Broker, backend: BackendProcess) -> None:
        node = Node(tmp_path, broker.url)
        await node.sessions.tick()
        await node.write(250)
        running = asyncio.create_task(node.sync.run())
        try:
            for commits in (1, 2, 3):
                backend.start("--die-after-commit", str(commits))
                await node.write(20)
                assert await asyncio.to_thread(backend.wait, 20.0) == 1
            backend.start()
            await node.until_acked(last := node.journal.status().last_seq)
            assert last == 311
            assert [row.fact.seq for row in backend.store.rows("n")] == list(range(1, last + 1))
            assert backend.store.contradictions() == 0
            assert backend.store.broken_link("n", node.journal.status().log_id) is None
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            await node.journal.close()

    with Broker(kind="mosquitto") as broker:
        backend = BackendProcess(broker.url, where)
        try:
            asyncio.run(main(broker, backend))
        finally:
            backend.stop()
            backend.store.close()


@pytest.mark.bench
@pytest.mark.needs("mosquitto")
def test_a_backend_that_was_set_back_fills_itself(tmp_path: Path) -> None:
    """Restored from an older copy it asks for what was confirmed since, and the cabinet still has it."""
    path, copy = tmp_path / "b.db", tmp_path / "copy.db"

    def restored(broker: Broker) -> BackendProcess:
        for suffix in ("-wal", "-shm"):
            path.with_name(path.name + suffix).unlink(missing_ok=True)
        copy.replace(path)
        return BackendProcess(broker.url, path)

    async def main(broker: Broker) -> None:
        node = Node(tmp_path, broker.url)
        await node.sessions.tick()
        running = asyncio.create_task(node.sync.run())
        try:
            with BackendProcess(broker.url, path) as backend:
                await node.until_acked(node.journal.status().last_seq)
                backend.store._run("VACUUM INTO ?", str(copy))
                await node.write(40)
                await node.until_acked(last := node.journal.status().last_seq)
            with restored(broker) as backend:
                assert backend.store.complete("n", node.journal.status().log_id) < last
                running.cancel()
                await asyncio.gather(running, return_exceptions=True)
                running = asyncio.create_task(node.sync.run())  # a new connection begins with a hello
                await node.until(lambda: backend.store.complete("n", node.journal.status().log_id) == last)
                assert [row.fact.seq for row in backend.store.rows("n")] == list(range(1, last + 1))
                assert backend.store.broken_link("n", node.journal.status().log_id) is None
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            await node.journal.close()

    with Broker(kind="mosquitto") as broker:
        asyncio.run(main(broker))
