"""Promises of the control socket: anyone looks, few act, nobody hurts."""

from __future__ import annotations

import asyncio
import grp
import os
import pwd
import socket
import struct
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pilenode.ipc.codec import MAX_REQUEST, Decoder, encode
from pilenode.ipc.messages import (
    ControlReply,
    ControlRequest,
    Done,
    OrderTest,
    RecordTest,
    Refused,
    ResetFault,
    Sessions,
    SessionsReply,
    Start,
    Status,
    Stop,
)
from pilenode.station import control as module
from pilenode.station.control import ControlServer, Peer, may_act, peer_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

REQUESTS: list[ControlRequest] = [
    Status(),
    Sessions(),
    Start(port=1, order="o1"),
    Stop(port=1),
    ResetFault(port=1, by="Li"),
    OrderTest(kind="relays"),
    RecordTest(kind="rcd", ok=True, by="Li"),
]


class Asked:
    """Remembers what got through, and answers it."""

    def __init__(self) -> None:
        self.requests: list[ControlRequest] = []
        self.peers: list[Peer] = []

    async def __call__(self, request: ControlRequest, peer: Peer) -> ControlReply:
        """Answer anything."""
        self.requests.append(request)
        self.peers.append(peer)
        return SessionsReply(sessions=[]) if isinstance(request, Sessions) else Done()


def serve(path: Path, story: Callable[[ControlServer, Asked], Awaitable[None]]) -> None:
    """Run ``story`` against a server at ``path``."""

    async def main() -> None:
        asked = Asked()
        server = ControlServer(str(path), "", asked)
        await server.open()
        try:
            await story(server, asked)
        finally:
            await server.close()

    asyncio.run(main())


async def talk(path: Path, *frames: bytes) -> list[ControlReply]:
    """Send frames over one connection and return the replies until the server hangs up or has answered them all."""
    reader, writer = await asyncio.open_unix_connection(str(path))
    decoder: Decoder[ControlReply] = Decoder(ControlReply)
    replies: list[ControlReply] = []
    try:
        writer.write(b"".join(frames))
        async with asyncio.timeout(5):
            while len(replies) < len(frames) and (data := await reader.read(65_536)):
                replies += decoder.feed(data)
    except ConnectionError:
        pass  # the server did not read to the end
    finally:
        writer.close()
    return replies


def test_every_request_gets_one_reply_in_order(tmp_path: Path) -> None:
    """Requests of one connection are answered one by one."""

    async def story(_: ControlServer, asked: Asked) -> None:
        replies = await talk(tmp_path / "c.sock", *(encode(request) for request in REQUESTS))
        assert replies == [Done(), SessionsReply(sessions=[]), *[Done()] * (len(REQUESTS) - 2)]
        assert asked.requests == REQUESTS
        assert asked.peers[0] == Peer(os.getpid(), os.getuid(), os.getgid())

    serve(tmp_path / "c.sock", story)


@pytest.mark.parametrize("request_", REQUESTS)
def test_looking_is_free_and_acting_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request_: ControlRequest
) -> None:
    """A peer without the right may look; whatever acts is refused and does not get through."""
    monkeypatch.setattr(module, "may_act", lambda *_: False)

    async def story(_: ControlServer, asked: Asked) -> None:
        (reply,) = await talk(tmp_path / "c.sock", encode(request_))
        if isinstance(request_, Status | Sessions):
            assert asked.requests == [request_]
        else:
            assert reply == Refused(code="not_allowed")
            assert asked.requests == []

    serve(tmp_path / "c.sock", story)


def test_anyone_may_connect(tmp_path: Path) -> None:
    """The socket itself keeps nobody out: who may act is decided by credentials."""

    async def story(_: ControlServer, __: Asked) -> None:
        assert (tmp_path / "c.sock").stat().st_mode & 0o777 == 0o666

    serve(tmp_path / "c.sock", story)


def test_socket_of_a_dead_station_is_replaced(tmp_path: Path) -> None:
    """What a killed station left behind does not keep the next one from listening."""
    dead = socket.socket(socket.AF_UNIX)
    dead.bind(str(tmp_path / "c.sock"))
    dead.close()

    async def story(_: ControlServer, __: Asked) -> None:
        assert await talk(tmp_path / "c.sock", encode(Status())) == [Done()]

    serve(tmp_path / "c.sock", story)


NOBODY = 65_534
GROUPS = [group for group in grp.getgrall() if group.gr_gid not in (0, NOBODY)]


def test_root_and_own_user_may_act() -> None:
    """Root and the station's own user always may, whatever the group."""
    assert may_act(Peer(1, 0, NOBODY), "")
    assert may_act(Peer(1, os.geteuid(), NOBODY), "no-such-group")


@pytest.mark.parametrize("group", ["", "no-such-group"])
def test_stranger_may_not_act_without_a_group(group: str) -> None:
    """No group, or one that does not exist, gives nobody a right."""
    assert not may_act(Peer(1, 4_000_000, 4_000_000), group)


def test_member_by_primary_group_may_act() -> None:
    """The group counts as primary group also of a user without an account."""
    assert may_act(Peer(1, 4_000_000, GROUPS[0].gr_gid), GROUPS[0].gr_name)
    assert not may_act(Peer(1, 4_000_000, 4_000_000), GROUPS[0].gr_name)


def test_member_by_supplementary_group_may_act(monkeypatch: pytest.MonkeyPatch) -> None:
    """The group counts as supplementary group, as the user database tells it."""
    user = next(entry for entry in pwd.getpwall() if entry.pw_uid not in (0, os.geteuid()))
    peer = Peer(1, user.pw_uid, user.pw_gid)
    wanted = GROUPS[0]
    monkeypatch.setattr(os, "getgrouplist", lambda name, gid: [gid, wanted.gr_gid] if name == user.pw_name else [gid])
    assert may_act(peer, wanted.gr_name)
    monkeypatch.setattr(os, "getgrouplist", lambda _, gid: [gid])
    assert may_act(peer, wanted.gr_name) == (user.pw_gid == wanted.gr_gid)


def test_credentials_are_the_kernels() -> None:
    """Who asks is told by the kernel."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        assert peer_of(ours) == Peer(os.getpid(), os.getuid(), os.getgid())


@pytest.mark.parametrize(
    "babble",
    [
        pytest.param(b"GET / HTTP/1.1\r\n\r\n", id="another protocol"),
        pytest.param(struct.pack(">I", 2) + b"{}", id="no request"),
        pytest.param(struct.pack(">I", MAX_REQUEST + 1), id="too long"),
        pytest.param(struct.pack(">I", 4) + b"\xff\xff\xff\xff", id="no text"),
        pytest.param(encode(Done()), id="a reply"),
        pytest.param(encode(Start(port=1, order="o"))[:-1].replace(b"o", b"\x00") + b"}", id="bad order id"),
    ],
)
def test_babble_is_counted_and_cut_off(tmp_path: Path, babble: bytes) -> None:
    """What is no request is counted, gets no answer and ends the connection; the next one is served."""

    async def story(server: ControlServer, asked: Asked) -> None:
        assert await talk(tmp_path / "c.sock", babble) == []
        assert server.dropped == 1
        assert await talk(tmp_path / "c.sock", encode(Status())) == [Done()]
        assert asked.requests == [Status()]

    serve(tmp_path / "c.sock", story)


@settings(max_examples=25, deadline=None)
@given(junk=st.binary(min_size=4, max_size=200))
def test_no_bytes_hurt(tmp_path_factory: pytest.TempPathFactory, junk: bytes) -> None:
    """Whatever is sent, nothing gets through that is no request, and the server goes on."""
    path = tmp_path_factory.mktemp("control") / "c.sock"

    async def story(__: ControlServer, asked: Asked) -> None:
        _, writer = await asyncio.open_unix_connection(str(path))
        writer.write(junk)
        writer.close()
        await writer.wait_closed()
        assert await talk(path, encode(Status())) == [Done()]
        assert asked.requests == [Status()]

    serve(path, story)


def test_idle_peer_is_cut_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A peer that says nothing, or only half a request, does not hold a connection for ever."""
    monkeypatch.setattr(module, "IDLE_S", 0.1)

    async def story(__: ControlServer, ___: Asked) -> None:
        for beginning in (b"", encode(Status())[:6]):
            reader, writer = await asyncio.open_unix_connection(str(tmp_path / "c.sock"))
            writer.write(beginning)
            async with asyncio.timeout(2):
                assert await reader.read(100) == b""
            writer.close()

    serve(tmp_path / "c.sock", story)


def open_files() -> int:
    """Return the number of open descriptors."""
    return len(list(Path("/proc/self/fd").iterdir()))


def test_peer_that_does_not_read_is_cut_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A peer that asks and never reads its answers is cut off instead of filling memory or holding its place."""
    monkeypatch.setattr(module, "IDLE_S", 0.1)
    monkeypatch.setattr(module, "_FAREWELL_S", 0.1)

    async def story(server: ControlServer, asked: Asked) -> None:
        _, writer = await asyncio.open_unix_connection(str(tmp_path / "c.sock"), limit=1024)
        writer.write(encode(Status()) * 100_000)
        await asyncio.sleep(0.05)
        assert len(server._connections) == 1
        held = open_files()
        async with asyncio.timeout(30.0):
            while server._connections or open_files() >= held:  # noqa: ASYNC110 - a server without an event for it
                await asyncio.sleep(0.05)
        assert len(asked.requests) < 100_000
        writer.transport.abort()

    serve(tmp_path / "c.sock", story)


def test_number_of_connections_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One connection over the limit is refused and counted; when one leaves there is room again."""
    monkeypatch.setattr(module, "_MAX_CONNECTIONS", 2)

    async def story(server: ControlServer, _: Asked) -> None:
        first = [await asyncio.open_unix_connection(str(tmp_path / "c.sock")) for _ in range(2)]
        await asyncio.sleep(0.05)
        assert await talk(tmp_path / "c.sock", encode(Status())) == []
        assert server.dropped == 1
        first[0][1].close()
        await asyncio.sleep(0.05)
        assert await talk(tmp_path / "c.sock", encode(Status())) == [Done()]
        first[1][1].close()

    serve(tmp_path / "c.sock", story)
