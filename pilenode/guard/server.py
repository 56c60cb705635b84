"""Guard's Unix socket, served between two ticks by the tick thread itself. Guard answers, it never calls.

Nothing here blocks: sockets are non-blocking, buffers are bounded, and a peer that garbles, floods or does not read
its answers is disconnected. One round answers one request of each peer: nobody who sends a thousand at once makes a
tick late. A request that changes something waits for the next tick; the connection is not read further until its answer
is out, so answers keep the order of requests.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import socket
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, cast

from pilenode.guard.rights import Rights, credentials
from pilenode.ipc import messages
from pilenode.ipc.codec import MAX_REQUEST, Decoder, FrameError, encode
from safety import state as core

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

_MAX_PEERS: Final = 16
_MAX_UNSENT: Final = 1024 * 1024
_CHUNK: Final = 16 * 1024


@dataclass(slots=True, eq=False)
class _Peer:
    """One connection. ``ticket`` is the request that waits for the next tick."""

    socket: socket.socket
    allowed: bool
    decoder: Decoder[messages.GuardRequest]
    unsent: bytearray = field(default_factory=bytearray)
    requests: Iterator[messages.GuardRequest] | None = None
    ticket: int | None = None


class Server:
    """Accepts peers on ``path``. ``read`` answers what changes nothing; the rest is collected for the tick."""

    def __init__(
        self, path: Path, rights: Rights, read: Callable[[messages.GuardRequest], messages.GuardReply]
    ) -> None:
        self._rights = rights
        self._read = read
        self._selector = selectors.DefaultSelector()
        self._peers: dict[socket.socket, _Peer] = {}
        self._tickets = 0
        self._pending: list[core.Request] = []
        self._waiting: dict[int, _Peer] = {}
        self._more: dict[_Peer, None] = {}  # have requests that were read and not looked at
        self.refused = 0  # malformed, oversized or unauthorised input since start
        self._listener = _listen(path, group_may_write=rights.group)
        self._selector.register(self._listener, selectors.EVENT_READ)

    def close(self) -> None:
        """Close every connection and the listener."""
        for peer in list(self._peers.values()):
            self._drop(peer)
        self._selector.close()
        self._listener.close()

    def serve(self, timeout_s: float) -> None:
        """Wait at most ``timeout_s`` for traffic and handle one round of it."""
        more, self._more = self._more, {}
        for busy in more:
            self._advance(busy)
        for key, events in self._selector.select(0.0 if more else max(0.0, timeout_s)):
            if key.fileobj is self._listener:
                self._accept()
                continue
            peer = self._peers.get(cast("socket.socket", key.fileobj))
            if peer is None:
                continue
            if events & selectors.EVENT_WRITE:
                self._flush(peer)
            if events & selectors.EVENT_READ:
                self._receive(peer)

    def take(self) -> tuple[core.Request, ...]:
        """Return the requests that wait for this tick."""
        taken, self._pending = tuple(self._pending), []
        return taken

    def answer(self, answers: tuple[core.Answer, ...]) -> None:
        """Send what became of the requests of the last tick, and go on with those peers."""
        for answer in answers:
            peer = self._waiting.pop(answer.ticket, None)
            if peer is None or peer.socket not in self._peers:
                continue
            peer.ticket = None
            reply: messages.GuardReply = messages.Done()
            if answer.code is not None:
                reply = messages.Refused(code=answer.code, detail=answer.detail[:200])
            self._send(peer, reply)
            self._advance(peer)

    def _accept(self) -> None:
        try:
            connection, _ = self._listener.accept()
        except OSError:
            return
        if len(self._peers) >= _MAX_PEERS:
            self.refused += 1
            connection.close()
            return
        connection.setblocking(False)  # noqa: FBT003 - the standard library's own signature
        decoder: Decoder[messages.GuardRequest] = Decoder(messages.GuardRequest, MAX_REQUEST, wary=True)
        peer = _Peer(connection, self._rights.allows(*credentials(connection)), decoder)
        self._peers[connection] = peer
        self._selector.register(connection, selectors.EVENT_READ)

    def _receive(self, peer: _Peer) -> None:
        try:
            data = peer.socket.recv(_CHUNK)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._drop(peer)
            return
        peer.requests = peer.decoder.feed(data)
        self._advance(peer)

    def _advance(self, peer: _Peer) -> None:
        """Handle the next request of a peer, unless one of its own waits for the tick."""
        if peer.ticket is not None or peer.requests is None or peer.socket not in self._peers:
            return
        try:
            request = next(peer.requests, None)
        except FrameError:
            self.refused += 1
            self._drop(peer)
            return
        if request is None:
            peer.requests = None
        else:
            self._handle(peer, request)
            self._more[peer] = None  # where it has to wait for the tick, the answer goes on
        if peer.socket in self._peers:
            self._watch(peer)

    def _handle(self, peer: _Peer, request: messages.GuardRequest) -> None:
        if isinstance(request, messages.Hello | messages.GetSnapshot | messages.GetEvents):
            reply = self._read(request)
            self.refused += isinstance(reply, messages.Refused)
            self._send(peer, reply)
            return
        if not peer.allowed:
            self.refused += 1
            self._send(peer, messages.Refused(code="not_allowed"))
            return
        self._tickets += 1
        peer.ticket = self._tickets
        self._waiting[peer.ticket] = peer
        self._pending.append(_to_core(peer.ticket, request))

    def _send(self, peer: _Peer, reply: messages.GuardReply) -> None:
        peer.unsent += encode(reply)
        if len(peer.unsent) > _MAX_UNSENT:
            self.refused += 1
            self._drop(peer)
            return
        self._flush(peer)

    def _flush(self, peer: _Peer) -> None:
        try:
            while peer.unsent:
                del peer.unsent[: peer.socket.send(peer.unsent)]
        except BlockingIOError:
            pass
        except OSError:
            self._drop(peer)
            return
        self._watch(peer)

    def _watch(self, peer: _Peer) -> None:
        """Listen for what this peer may do next: while a request waits, its connection is not read."""
        busy = peer.ticket is not None or peer.requests is not None
        wanted = (0 if busy else selectors.EVENT_READ) | (selectors.EVENT_WRITE if peer.unsent else 0)
        watched = peer.socket in self._selector.get_map()
        if wanted and watched:
            self._selector.modify(peer.socket, wanted)
        elif wanted:
            self._selector.register(peer.socket, wanted)
        elif watched:
            self._selector.unregister(peer.socket)

    def _drop(self, peer: _Peer) -> None:
        self._peers.pop(peer.socket, None)
        if peer.ticket is not None:
            self._waiting.pop(peer.ticket, None)
        with contextlib.suppress(KeyError, ValueError):
            self._selector.unregister(peer.socket)
        peer.socket.close()


def _to_core(ticket: int, request: messages.GuardRequest) -> core.Request:
    if isinstance(request, messages.Grant):
        return core.Grant(ticket, request.port, request.session, request.ttl_s, _plan(request.plan))
    if isinstance(request, messages.Renew):
        return core.Renew(ticket, request.port, request.session, request.ttl_s)
    if isinstance(request, messages.Amend):
        return core.Amend(ticket, request.port, request.session, _plan(request.plan))
    if isinstance(request, messages.Release):
        return core.Release(ticket, request.port, request.session, request.reason)
    if isinstance(request, messages.Reset):
        return core.Reset(ticket, request.port, request.repair)
    if isinstance(request, messages.RunTest):
        return core.RunTest(ticket, request.kind)
    raise TypeError(f"{type(request).__name__} changes nothing")


def _plan(plan: messages.Plan) -> core.Plan:
    return core.Plan(plan.energy_wh, plan.duration_s, plan.deadline_s, plan.for_amount, plan.for_hours)


def _listen(path: Path, *, group_may_write: int | None) -> socket.socket:
    path.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(FileNotFoundError):
        path.unlink()  # a socket left by a killed guard; the lock file has made sure that no other guard lives
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    listener.setblocking(False)  # noqa: FBT003 - the standard library's own signature
    old = os.umask(0o117)
    try:
        listener.bind(str(path))
    finally:
        os.umask(old)
    if group_may_write is not None:
        with contextlib.suppress(PermissionError):
            os.chown(path, -1, group_may_write)
    listener.listen(_MAX_PEERS)
    return listener
