"""The Unix socket of the command line. Anyone on the machine may look; acting needs a right.

Who asks is what the kernel says about the peer, not what the peer says. Connections, their requests and their time
are bounded; a peer that garbles is counted, told off in one rate-limited log line, and cut off.
"""

from __future__ import annotations

import asyncio
import contextlib
import grp
import os
import pwd
import socket
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import structlog

from pilenode import clock
from pilenode.ipc.codec import MAX_REQUEST, Decoder, FrameError, encode
from pilenode.ipc.messages import (
    ControlReply,
    ControlRequest,
    Refused,
    Sessions,
    Status,
)
from pilenode.log import RateLimiter

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

_UCRED: Final = struct.Struct("3i")
_MAX_CONNECTIONS: Final = 16
#: A peer that has nothing to say for this long is cut off, seconds.
IDLE_S: Final = 10.0
#: How long the last answers of a closed connection may take, seconds.
_FAREWELL_S: Final = 1.0
_CHUNK: Final = 16 * 1024

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Peer:
    """Who is at the other end, as the kernel knows it."""

    pid: int
    uid: int
    gid: int

    def __str__(self) -> str:
        return f"uid {self.uid}, pid {self.pid}"


def peer_of(connection: socket.socket) -> Peer:
    """Return the credentials that the kernel recorded when the peer connected."""
    return Peer(*_UCRED.unpack(connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size)))


def may_act(peer: Peer, control_group: str) -> bool:
    """Return whether a peer may start, stop and reset: root, the station's own user, or the control group.

    Reads the user database, which may take its time: not for the event loop.
    """
    if peer.uid in (0, os.geteuid()):
        return True
    try:
        wanted = grp.getgrnam(control_group).gr_gid if control_group else None
    except KeyError:
        return False
    if wanted is None:
        return False
    try:
        groups = os.getgrouplist(pwd.getpwuid(peer.uid).pw_name, peer.gid)
    except KeyError:
        groups = [peer.gid]
    return wanted in groups


def _listener(path: str) -> socket.socket:
    """Return a bound socket at ``path``; one that a dead station left there is replaced."""
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        listener.bind(path)
        Path(path).chmod(0o666)  # looking is free; who may act is decided by credentials
    except OSError:
        listener.close()
        raise
    return listener


class ControlServer:
    """Serves the socket at ``path``. ``answer`` gets a request that its peer may make, and who that is."""

    def __init__(
        self, path: str, control_group: str, answer: Callable[[ControlRequest, Peer], Awaitable[ControlReply]]
    ) -> None:
        self._path = path
        self._group = control_group
        self._answer = answer
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()
        self._limiter = RateLimiter()
        self.dropped = 0  # malformed, oversized or surplus, since start

    async def open(self) -> None:
        """Listen. Raises OSError when the socket cannot be made there."""
        self._server = await asyncio.start_unix_server(self._serve, sock=_listener(self._path))

    async def close(self) -> None:
        """Stop listening and cut everyone off."""
        if self._server is None:
            return
        self._server.close()
        for connection in self._connections:
            connection.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - asyncio calls this as a task
        if len(self._connections) >= _MAX_CONNECTIONS:
            self._complain("too many connections")
            writer.close()
            return
        self._connections.add(task)
        try:
            await self._converse(reader, writer)
        except (FrameError, OSError) as error:  # TimeoutError is an OSError
            if isinstance(error, FrameError):
                self._complain(str(error))
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                async with asyncio.timeout(_FAREWELL_S):
                    await writer.wait_closed()
            writer.transport.abort()  # a peer that does not read its answers keeps nothing open
            self._connections.discard(task)

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer = peer_of(writer.get_extra_info("socket"))
        allowed = await asyncio.to_thread(may_act, peer, self._group)
        decoder: Decoder[ControlRequest] = Decoder(ControlRequest, MAX_REQUEST, wary=True)
        while True:
            async with asyncio.timeout(IDLE_S):
                data = await reader.read(_CHUNK)
            if not data:
                return
            for request in decoder.feed(data):
                reply: ControlReply
                if allowed or isinstance(request, Status | Sessions):
                    reply = await self._answer(request, peer)
                else:
                    reply = Refused(code="not_allowed")
                writer.write(encode(reply))
                async with asyncio.timeout(IDLE_S):
                    await writer.drain()

    def _complain(self, problem: str) -> None:
        self.dropped += 1
        held_back = self._limiter.admit("control", clock.monotonic_s())
        if held_back is not None:
            log.warning("control request dropped", problem=problem[:200], held_back=held_back)
