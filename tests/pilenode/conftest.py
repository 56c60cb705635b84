"""What the tests of this package share: a guard that can be scripted, and a disk that can be full.

The guard speaks the real codec on a real Unix socket and moves no relay.
"""

from __future__ import annotations

import asyncio
import contextlib
import resource
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Self

import msgspec
import pytest
import structlog

from pilenode import log
from pilenode.ipc.codec import MAX_REQUEST, Decoder, FrameError, encode
from pilenode.ipc.messages import (
    PROTOCOL,
    Amend,
    Done,
    Events,
    GetEvents,
    GetSnapshot,
    Grant,
    GuardEvent,
    GuardReply,
    GuardRequest,
    Hello,
    PortSnapshot,
    Refused,
    Release,
    Renew,
    Reset,
    RunTest,
    Snapshot,
    Welcome,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

LIVE = ("armed", "on")


class FakeGuard:
    """Answers like guard. Tests turn its knobs and read ``requests``, everything it was asked."""

    def __init__(self, path: Path, ports: tuple[int, ...] = (1, 2, 3)) -> None:
        self.path = path
        self.boot = "boot-1"
        self.ports = {port: PortSnapshot(port=port, state="idle", closed=False) for port in ports}
        self.events: list[GuardEvent] = []
        self.cabinet_faults: list[str] = []
        self.requests: list[GuardRequest] = []
        self.protocol = PROTOCOL
        self.silent = False  # takes requests and never answers
        self.refuse_grant: Refused | None = None
        self.refuse_test: Refused | None = None
        self.whole: dict[str, object] = {}  # what else the snapshot shows of the cabinet
        self.lose_grant_answer = False  # carries the grant out and hangs up instead of answering
        self.before_answer: Callable[[GuardRequest], None] = lambda _: None
        self._connections: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def open(self) -> None:
        """Listen."""
        self._server = await asyncio.start_unix_server(self._serve, str(self.path))

    async def close(self) -> None:
        """Go away, as a killed guard does."""
        assert self._server is not None
        self._server.close()
        for task in self._connections:
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)
        await self._server.wait_closed()
        self.path.unlink(missing_ok=True)

    # -- knobs -------------------------------------------------------------------------------------------------

    def set(self, port: int, **fields: object) -> None:
        """Change what the snapshot shows of a port."""
        self.ports[port] = msgspec.structs.replace(self.ports[port], **fields)

    def run(self, port: int, register_mwh: int, on_s: float, start_register_mwh: int | None = 1_000_000) -> None:
        """Let the session of a port have power for ``on_s``."""
        self.set(
            port,
            state="on",
            closed=True,
            register_mwh=register_mwh,
            start_register_mwh=start_register_mwh,
            closed_for_s=on_s,
            power_w=200.0,
        )

    def tell(self, kind: str, port: int | None = None, **fields: object) -> None:
        """Append an event."""
        event = GuardEvent(seq=len(self.events) + 1, age_s=0.5, kind=kind, port=port)
        self.events.append(msgspec.structs.replace(event, **fields))

    def end(self, port: int, reason: str, register_mwh: int | None = None, *, told: bool = True) -> None:
        """End the session of a port; with ``told`` the event is there as well."""
        shown = self.ports[port]
        self.set(port, state="ended", closed=False, reason=reason, lease_left_s=None)
        if told:
            self.tell(
                "ended",
                port,
                session=shown.session,
                code=reason,
                register_mwh=register_mwh,
                start_register_mwh=shown.start_register_mwh,
                closed_for_s=shown.closed_for_s,
            )

    def restart(self, boot: str) -> None:
        """Forget everything, as a guard that was restarted."""
        self.boot = boot
        self.events = []
        self.ports = {port: PortSnapshot(port=port, state="idle", closed=False) for port in self.ports}

    def count(self, kind: type) -> int:
        """Return how often it was asked that."""
        return sum(isinstance(request, kind) for request in self.requests)

    # -- answers -----------------------------------------------------------------------------------------------

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        decoder: Decoder[GuardRequest] = Decoder(GuardRequest, MAX_REQUEST)
        try:
            with contextlib.suppress(FrameError, OSError):
                while data := await reader.read(65_536):
                    for request in decoder.feed(data):
                        if not await self._respond(request, writer):
                            return
        finally:
            self._connections.discard(task)
            writer.close()

    async def _respond(self, request: GuardRequest, writer: asyncio.StreamWriter) -> bool:
        self.requests.append(request)
        self.before_answer(request)
        reply = self._answer(request)
        if isinstance(request, Grant) and self.lose_grant_answer:
            return False
        if not self.silent:
            writer.write(encode(reply))
            await writer.drain()
        return True

    def _answer(self, request: GuardRequest) -> GuardReply:
        match request:
            case Hello():
                return Welcome(protocol=self.protocol, guard_boot=self.boot, version="test", ports=list(self.ports))
            case GetSnapshot():
                shown = Snapshot(
                    guard_boot=self.boot,
                    last_event=len(self.events),
                    uptime_s=1.0,
                    contactor=False,
                    cabinet_faults=self.cabinet_faults,
                    ports=list(self.ports.values()),
                )
                return msgspec.structs.replace(shown, **self.whole)
            case GetEvents():
                newer = [event for event in self.events if event.seq > request.since]
                return Events(guard_boot=self.boot, first_kept=1, events=newer[: request.limit])
            case Reset():
                self.tell("cleared", request.port, code="over_current")
                return Done()
            case RunTest():
                return self.refuse_test or Done()
            case _:
                return self._change(request)

    def _change(self, request: Grant | Renew | Amend | Release) -> GuardReply:
        shown = self.ports[request.port]
        live = shown.state in LIVE and shown.session == request.session
        if isinstance(request, Grant):
            if self.refuse_grant is not None:
                return self.refuse_grant
            self.set(request.port, state="armed", session=request.session, lease_left_s=request.ttl_s, reason=None)
        elif not live:
            return Refused(code="wrong_session" if shown.session != request.session else "session_ended")
        elif isinstance(request, Renew):
            self.set(request.port, lease_left_s=request.ttl_s)
        elif isinstance(request, Release):
            self.end(request.port, request.reason, shown.register_mwh)
        return Done()


class LimitedFiles:
    """No file of this process may grow: what a full disk looks like without the right to mount one."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._limits = resource.getrlimit(resource.RLIMIT_FSIZE)

    def fill(self) -> None:
        """Let nothing grow any more."""
        resource.setrlimit(resource.RLIMIT_FSIZE, (1, self._limits[1]))

    def free(self) -> None:
        """Let files grow again."""
        resource.setrlimit(resource.RLIMIT_FSIZE, self._limits)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call() -> Iterator[None]:
    """Let files grow again before the result is reported: pytest's own output may be a file."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


@pytest.fixture
def limited_files(tmp_path: Path) -> Iterator[LimitedFiles]:
    """Return the limit, lifted again at the end. The log goes the product's own way, which survives a full disk."""
    log.configure("test")
    limited = LimitedFiles(tmp_path)
    yield limited
    limited.free()
    structlog.reset_defaults()


@pytest.fixture
def guard(tmp_path: Path) -> FakeGuard:
    """Return a guard that does not listen yet: ``async with guard``."""
    return FakeGuard(tmp_path / "guard.sock")


@pytest.fixture(scope="session")
def new_guard() -> type[FakeGuard]:
    """Return how to make a guard, for tests that need more than one."""
    return FakeGuard


@pytest.fixture
def in_memory() -> Iterator[Path]:
    """Return a directory that costs no time, where the system has one: where no disk is tested."""
    memory = Path("/dev/shm")  # noqa: S108 - the name below it is made by tempfile
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as name:
        yield Path(name)
