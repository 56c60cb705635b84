"""Promises of desired configuration on real processes: a broker, and a station that is started again as by systemd."""

from __future__ import annotations

import asyncio
import contextlib
import os
from typing import TYPE_CHECKING, TypeVar

import aiomqtt
import msgspec
import pytest

from hil_rig.broker import Broker
from hil_rig.child import environment, python
from hil_rig.upstream.desire import desire
from pilenode.ipc import client
from pilenode.ipc.messages import (
    ControlRequest,
    Facts,
    FactsReply,
    Start,
    StartReply,
    Status,
    StatusReply,
)
from pilenode.upstream.contract import StateReport, up

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from tests.pilenode.conftest import FakeGuard

pytestmark = pytest.mark.bench

Reply = TypeVar("Reply")
TRIAL_S = 1.2
PROGRAM = """
import sys
from config.load import merge
from pilenode.station import desired_keeper
from pilenode.station.main import run
desired_keeper.TRIAL_S = float(sys.argv[2])
merged = merge(sys.argv[1])
sys.exit(run(merged.config, merged))
"""
CONFIG = """\
[node]
id = "n1"
[guard]
socket = "{guard}"
[station]
data_dir = "{directory}/data"
control_socket = "{directory}/control.sock"
poll_s = 0.05
[[bus]]
name = "b"
device = "/dev/serial/by-id/x"
[[port]]
number = 1
meter = {{ model = "pzem004t-v3", unit = 1, bus = "b" }}
relay = {{ pin = 4 }}
[upstream]
url = "{url}"
retry_base_s = 0.1
retry_cap_s = 1.0
"""


class Supervised:
    """A station that is started again whenever it ends by itself, as systemd does. ``ends`` are its exit statuses."""

    def __init__(self, directory: Path, guard: Path, url: str) -> None:
        self.ends: list[int] = []
        self.before_start: Callable[[], None] = lambda: None
        self._directory = directory
        self._socket = directory / "control.sock"
        self._config = directory / "cabinet.toml"
        self._config.write_text(CONFIG.format(guard=guard, directory=directory, url=url), encoding="utf-8")
        self._process: asyncio.subprocess.Process | None = None

    async def run(self) -> None:
        """Keep it running until cancelled."""
        while True:
            with (self._directory / "station.log").open("ab") as log:
                self._process = await asyncio.create_subprocess_exec(
                    *python("-c", PROGRAM, str(self._config), str(TRIAL_S)), stderr=log, env=environment() | os.environ
                )
            try:
                self.ends.append(await self._process.wait())
            finally:
                with contextlib.suppress(ProcessLookupError):
                    self._process.kill()
                await self._process.wait()
            await asyncio.to_thread(self.before_start)

    async def ask(self, request: ControlRequest, expected: type[Reply]) -> Reply:
        """Ask like the command line, until it answers."""
        async with asyncio.timeout(60):
            while True:
                with contextlib.suppress(client.RequestError):
                    return await asyncio.to_thread(client.ask, str(self._socket), request, expected)
                await asyncio.sleep(0.02)

    async def until(self, what: str, condition: Callable[[StatusReply], bool]) -> StatusReply:
        """Wait until its status is as wanted."""
        status = None
        try:
            async with asyncio.timeout(60):
                while True:
                    status = await self.ask(Status(), StatusReply)
                    if condition(status):
                        return status
                    await asyncio.sleep(0.02)
        except TimeoutError:
            pytest.fail(f"{what}: {status}\n{(self._directory / 'station.log').read_text(encoding='utf-8')[-3000:]}")

    async def facts(self) -> list[tuple[str, int, str]]:
        """Return what the journal says of configuration: kind, version, code."""
        reply = await self.ask(Facts(kinds=["config_applied", "config_refused"]), FactsReply)
        bodies = [(fact.kind, msgspec.json.decode(fact.body)) for fact in reply.facts]
        return [(kind, body["version"], body.get("code", "")) for kind, body in bodies]


@contextlib.asynccontextmanager
async def supervised(directory: Path, guard: Path, url: str) -> AsyncIterator[Supervised]:
    """Return a station that is kept running."""
    station = Supervised(directory, guard, url)
    task = asyncio.create_task(station.run())
    try:
        await station.until("connected", lambda status: status.upstream_connected and status.guard is not None)
        yield station
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def told(url: str) -> StateReport:
    """Return the state that the broker keeps of the cabinet."""
    port = int(url.rpartition(":")[2])
    async with asyncio.timeout(20), aiomqtt.Client("127.0.0.1", port) as listener:
        await listener.subscribe(up("n1", "st"), qos=1)
        async for message in listener.messages:
            if message.topic.value == up("n1", "st") and isinstance(message.payload, bytes):
                return msgspec.json.decode(message.payload, type=StateReport)
    raise TimeoutError


def test_from_the_broker_to_being_in_force_and_back(tmp_path: Path, guard: FakeGuard) -> None:
    """A session runs to its end undisturbed; then it is tried and told; what breaks the connection is taken back."""
    broker = Broker()

    async def main() -> None:
        async with guard, supervised(tmp_path, guard.path, broker.url) as station:
            await station.ask(Start(port=1, order="o1"), StartReply)
            guard.run(1, 1_250_000, 60.0)
            await desire(broker.url, "n1", 1, "[cards]\nday_cap_fen = 400\n")
            await station.until("staged", lambda status: status.config is not None and status.config.staged == 1)
            await asyncio.sleep(0.8)
            status = await station.ask(Status(), StatusReply)
            assert (station.ends, len(status.sessions)) == ([], 1)
            guard.end(1, "full", 1_300_000)
            await station.until("in force", lambda status: status.config is not None and status.config.applied == 1)
            assert station.ends == [0]
            await desire(broker.url, "n1", 2, "[cards]\nday_cap_fen = 900\n")
            await station.until("refused", lambda status: status.config is not None and status.config.refused == 2)
            report = await until_told(broker.url, "config_error")
            assert report.config is not None
            assert (report.config.applied, report.config.staged, report.config.refused) == (1, None, 2)
            station.before_start = broker.stop  # what the next configuration does to the connection
            await desire(broker.url, "n1", 3, "[cards]\nday_cap_fen = 300\n")
            status = await station.until("taken back", lambda status: _code(status, 1) == "config_rolled_back")
            assert status.config is not None
            assert (status.config.applied, status.config.refused) == (1, 3)
            assert station.ends == [0, 0, 0]
            wanted = [
                ("config_applied", 1, ""),
                ("config_refused", 2, "config_error"),
                ("config_refused", 3, "config_rolled_back"),
            ]
            async with asyncio.timeout(30):
                while await station.facts() != wanted:  # noqa: ASYNC110 - another process
                    await asyncio.sleep(0.05)

    with broker:
        asyncio.run(main())


def _code(status: StatusReply, in_force: int) -> str:
    """Return why a configuration does not count, while that version is in force."""
    return "" if status.config is None or status.config.in_force != in_force else status.config.code


async def until_told(url: str, code: str) -> StateReport:
    """Wait until the kept state says so."""
    async with asyncio.timeout(30):
        while True:
            report = await told(url)
            if report.config is not None and report.config.code == code:
                return report
            await asyncio.sleep(0.05)
