"""Promises of the process: it starts without guard or network, stops without ending sessions, survives kill -9."""

from __future__ import annotations

import asyncio
import contextlib
import random
import signal
import socket
import sqlite3
from collections import Counter
from typing import TYPE_CHECKING, TypeVar

import msgspec
import pytest

from hil_rig.broker import free_port
from hil_rig.child import environment, python
from pilenode.ipc import client
from pilenode.ipc.messages import (
    ControlRequest,
    Done,
    Grant,
    Release,
    ResetFault,
    Sessions,
    SessionsReply,
    Start,
    StartReply,
    Status,
    StatusReply,
    Stop,
)
from pilenode.ipc.wish import Wish

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.pilenode.conftest import FakeGuard

pytestmark = pytest.mark.bench

Reply = TypeVar("Reply")
KILLS = 12
PROGRAM = """
import sys, msgspec
from pathlib import Path
from config.schema import Config
from pilenode.station.main import run
sys.exit(run(msgspec.json.decode(Path(sys.argv[1]).read_bytes(), type=Config)))
"""


class Process:
    """A station as a real process below ``directory``."""

    def __init__(self, directory: Path, guard: Path, upstream: str | None = None) -> None:
        self.directory = directory
        self.socket = directory / "control.sock"
        port = {"number": 1, "meter": {"model": "m", "unit": 1, "bus": "b"}, "relay": {"pin": 4}}
        settings = {
            "node": {"id": "n1"},
            "guard": {"socket": str(guard)},
            "station": {"data_dir": str(directory / "data"), "control_socket": str(self.socket), "poll_s": 0.05},
            "bus": [{"name": "b", "device": "/dev/null"}],
            "port": [port],
            "tariff": [{"version": "t1", "electricity_milli_yuan_per_kwh": 520, "service_milli_yuan_per_kwh": 300}],
        }
        if upstream is not None:
            settings["upstream"] = {"url": upstream}
        self._config = directory / "config.json"
        self._config.write_bytes(msgspec.json.encode(settings))
        self.process: asyncio.subprocess.Process | None = None

    async def start(self, **more: str) -> asyncio.subprocess.Process:
        """Start it."""
        with (self.directory / "station.log").open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                *python("-c", PROGRAM, str(self._config)), stderr=log, env=environment() | more
            )
        return self.process

    async def ready(self) -> None:
        """Wait until it answers."""
        async with asyncio.timeout(20):
            while True:
                with contextlib.suppress(client.RequestError):
                    await self.ask(Status(), StatusReply)
                    return
                await asyncio.sleep(0.02)

    async def ask(self, request: ControlRequest, expected: type[Reply]) -> Reply:
        """Ask like the command line."""
        return await asyncio.to_thread(client.ask, str(self.socket), request, expected)

    async def status(self) -> StatusReply:
        """Return the status."""
        return await self.ask(Status(), StatusReply)

    async def settled(self) -> None:
        """Wait until no session is open."""
        async with asyncio.timeout(10):
            while (await self.status()).sessions:  # noqa: ASYNC110 - another process
                await asyncio.sleep(0.05)

    async def stop(self) -> int:
        """Ask it to stop and return its exit status."""
        assert self.process is not None
        self.process.terminate()
        return await self.process.wait()

    async def kill(self) -> None:
        """End it at once."""
        assert self.process is not None
        with contextlib.suppress(ProcessLookupError):
            self.process.kill()
        await self.process.wait()


@contextlib.asynccontextmanager
async def running(directory: Path, guard: Path, upstream: str | None = None) -> AsyncIterator[Process]:
    """Return a station that answers."""
    station = Process(directory, guard, upstream)
    await station.start()
    try:
        await station.ready()
        yield station
    finally:
        await station.kill()


def test_life_of_a_session_over_the_control_socket(tmp_path: Path, guard: FakeGuard) -> None:
    """Start, look, stop, history and reset as the command line asks for them."""

    async def main() -> None:
        async with guard, running(tmp_path, guard.path) as station:
            reply = await station.ask(Start(port=1, order="o1", plan=Wish(energy_wh=500), by="Li"), StartReply)
            guard.run(1, 1_250_000, 3600.0)
            await asyncio.sleep(0.2)
            status = await station.status()
            assert (status.node, status.journal_ok, status.upstream_url) == ("n1", True, None)
            assert status.guard is not None
            (record,) = status.sessions
            assert (record.session, record.state, record.source) == (reply.session, "running", "cli")
            assert status.outbox == status.last_seq == 4
            with pytest.raises(client.RequestError, match="wrong_session"):
                await station.ask(Stop(port=1, by="Li"), Done)  # somebody else's might be meant
            await station.ask(Stop(port=1, session=reply.session, by="Li"), Done)
            await asyncio.sleep(0.2)
            ((ended),) = (await station.ask(Sessions(), SessionsReply)).sessions
            assert (ended.state, ended.reason, ended.energy_wh) == ("ended", "technician", 250)
            assert (ended.electricity_fen, ended.service_fen, ended.acknowledged) == (13, 8, False)
            assert (await station.status()).sessions == []
            await station.ask(ResetFault(port=1, by="Li"), Done)

    asyncio.run(main())


def told_starts(directory: Path) -> list[str]:
    """Return the kinds of fact about the process itself in order, with what they say."""
    with contextlib.closing(sqlite3.connect(directory / "data" / "journal.db")) as database:
        query = "SELECT kind, json_extract(body, '$.reason') FROM fact WHERE kind IN ('boot', 'stopped') ORDER BY seq"
        return [f"{kind} {reason}" for kind, reason in database.execute(query)]


def test_stop_of_the_process_ends_no_session(tmp_path: Path, guard: FakeGuard) -> None:
    """SIGTERM ends the process with 0 and no session; the next process goes on with it, and knows that it was asked."""

    async def main() -> None:
        async with guard:
            async with running(tmp_path, guard.path) as station:
                reply = await station.ask(Start(port=1, order="o1"), StartReply)
                assert await station.stop() == 0
            assert guard.count(Release) == 0
            assert guard.ports[1].state == "armed"
            async with running(tmp_path, guard.path) as station:
                status = await station.status()
                (record,) = status.sessions
                assert (record.session, record.state) == (reply.session, "starting")
                assert guard.count(Release) == 0
                assert status.boot is not None
                assert status.boot.reason == "restart"
                assert 0 <= (status.boot.silent_ms or 0) < 10_000
        assert told_starts(tmp_path) == ["boot first", "stopped signal", "boot restart"]

    asyncio.run(main())


def test_interrupt_is_a_stop_as_well(tmp_path: Path, guard: FakeGuard) -> None:
    """Ctrl-C at a terminal ends it with 0."""

    async def main() -> None:
        async with running(tmp_path, guard.path) as station:
            assert station.process is not None
            station.process.send_signal(signal.SIGINT)
            assert await station.process.wait() == 0

    asyncio.run(main())


def test_second_station_does_not_run(tmp_path: Path, guard: FakeGuard) -> None:
    """Two stations never share a journal: the second ends with 2 and disturbs nothing."""

    async def main() -> None:
        async with running(tmp_path, guard.path) as station:
            second = Process(tmp_path, guard.path)
            assert await (await second.start()).wait() == 2
            assert (await station.status()).journal_ok
        assert "another station" in (tmp_path / "station.log").read_text()

    asyncio.run(main())


@pytest.mark.parametrize("wrong", ["data", "control"])
def test_impossible_place_is_a_start_that_fails(tmp_path: Path, guard: FakeGuard, wrong: str) -> None:
    """A data directory or socket that cannot be is told, and the process ends with 2."""

    async def main() -> None:
        station = Process(tmp_path, guard.path)
        if wrong == "data":
            (tmp_path / "data").write_text("a file")
        else:
            (tmp_path / "control.sock").mkdir()
        assert await (await station.start()).wait() == 2
        assert "cannot start" in (tmp_path / "station.log").read_text()

    asyncio.run(main())


def test_nothing_is_waited_for(tmp_path: Path, guard: FakeGuard) -> None:
    """Without guard and with an upstream that does not exist it runs, says so, and refuses starts."""

    async def main() -> None:
        upstream = f"mqtt://127.0.0.1:{free_port()}"
        async with running(tmp_path, guard.path, upstream) as station:
            status = await station.status()
            assert status.guard is None
            assert (status.upstream_connected, status.upstream_url) == (False, upstream)
            assert status.journal_ok
            with pytest.raises(client.RequestError) as refused:
                await station.ask(Start(port=1, order="o1"), StartReply)
            assert refused.value.code == "guard_absent"
            async with guard:
                await asyncio.sleep(0.5)
                assert (await station.status()).guard is not None

    asyncio.run(main())


def test_unreadable_journal_is_a_state_that_is_told(tmp_path: Path, guard: FakeGuard) -> None:
    """With a broken journal file the process runs, tells the problem and starts nothing."""

    async def main() -> None:
        (tmp_path / "data").mkdir()
        (tmp_path / "data" / "journal.db").mkdir()
        async with guard, running(tmp_path, guard.path) as station:
            status = await station.status()
            assert not status.journal_ok
            assert status.journal_problem
            with pytest.raises(client.RequestError) as refused:
                await station.ask(Start(port=1, order="o1"), StartReply)
            assert refused.value.code == "journal_failed"

    asyncio.run(main())


def test_systemd_is_told_ready_alive_and_stopping(tmp_path: Path, guard: FakeGuard) -> None:
    """READY once it answers, WATCHDOG with every look around, STOPPING when asked to stop."""

    async def main() -> list[bytes]:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
            listener.bind(str(tmp_path / "notify"))
            listener.settimeout(0)
            station = Process(tmp_path, guard.path)
            await station.start(NOTIFY_SOCKET=str(tmp_path / "notify"))
            await station.ready()
            await asyncio.sleep(0.3)
            await station.stop()
            told = []
            with contextlib.suppress(BlockingIOError):
                while True:
                    told.append(listener.recv(4096))
            return told

    told = asyncio.run(main())
    assert told[0].startswith(b"READY=1")
    assert told.count(b"WATCHDOG=1") >= 3
    assert told[-1] == b"STOPPING=1"


def test_kill_at_any_moment_leaves_one_start_and_one_end(tmp_path: Path, guard: FakeGuard) -> None:
    """Kill -9 at random moments of starts and ends: every session has exactly one start and, once settled, one end.

    And every further process knows that the one before it had no end in order.
    """
    chance = random.Random(11)  # noqa: S311 - repeatable, not secret

    async def customers(station: Process, number: int) -> None:
        """Start on every port, let it charge, let it end; for ever."""
        for shot in range(1000):
            port = 1 + shot % 3
            with contextlib.suppress(client.RequestError):
                await station.ask(Start(port=port, order=f"o-{number}-{shot}"), StartReply)
            await asyncio.sleep(0.01)
            if guard.ports[port].state == "armed":
                guard.run(port, 1_000_000 + shot * 1000, 10.0)
            await asyncio.sleep(0.02)
            if guard.ports[port].state == "on":
                guard.end(port, "full", 1_000_000 + shot * 2000)

    async def main() -> None:
        async with guard:
            for number in range(KILLS):
                async with running(tmp_path, guard.path) as station:
                    asking = asyncio.create_task(customers(station, number))
                    await asyncio.sleep(chance.uniform(0.05, 0.4))
                    await station.kill()
                    asking.cancel()
                    await asyncio.gather(asking, return_exceptions=True)
            for port in (1, 2, 3):
                if guard.ports[port].state in ("armed", "on"):
                    guard.end(port, "full", 5_000_000)
            async with running(tmp_path, guard.path) as station:
                await station.settled()

    asyncio.run(main())
    database = sqlite3.connect(tmp_path / "data" / "journal.db")
    facts = database.execute("SELECT kind, session FROM fact ORDER BY seq").fetchall()
    database.close()
    starts = Counter(session for kind, session in facts if kind == "session_started")
    ends = Counter(session for kind, session in facts if kind == "session_ended")
    assert set(starts.values()) == {1}
    assert ends == starts
    assert {request.session for request in guard.requests if isinstance(request, Grant)} <= set(starts)
    assert len(starts) > KILLS
    assert told_starts(tmp_path) == ["boot first", *["boot crash"] * KILLS]
