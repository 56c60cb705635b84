"""Guard's socket: it answers, it never blocks, and no input hurts it."""

from __future__ import annotations

import os
import socket
import struct
import threading
import time
from typing import TYPE_CHECKING, Self

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pilenode.guard import rights
from pilenode.guard.rights import Rights
from pilenode.guard.server import Server
from pilenode.ipc import messages
from pilenode.ipc.codec import MAX_REQUEST, Decoder, encode
from safety.state import Amend, Answer, Grant, Plan, Request

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ALLOWED = Rights(frozenset({os.getuid()}), None)
GRANT = messages.Grant(port=1, session="s", ttl_s=10.0)


class Office:
    """A server whose ticks are run by a thread; every grant is answered after ``delay_s``."""

    def __init__(self, path: Path, allowed: Rights) -> None:
        self.path = path
        self.server = Server(path, allowed, self.read)
        self.granted: list[str] = []
        self.taken: list[Request] = []
        self.code: str | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def read(self, request: messages.GuardRequest) -> messages.GuardReply:
        """Answer what changes nothing."""
        assert isinstance(request, messages.Hello | messages.GetEvents | messages.GetSnapshot)
        return messages.Welcome(protocol=1, guard_boot="b", version="0", ports=[1])

    def _run(self) -> None:
        while not self._stop.is_set():
            self.server.serve(0.005)
            taken = self.server.take()
            self.taken += taken
            self.granted += [request.session for request in taken if isinstance(request, Grant)]
            self.server.answer(tuple(Answer(request.ticket, self.code) for request in taken))

    def close(self) -> None:
        """Stop serving."""
        self._stop.set()
        self._thread.join()
        self.server.close()


class Peer:
    """A blocking client."""

    def __init__(self, path: Path) -> None:
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(5.0)
        self.socket.connect(str(path))
        self._decoder: Decoder[messages.GuardReply] = Decoder(messages.GuardReply)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def ask(self, *requests: messages.GuardRequest) -> list[messages.GuardReply]:
        """Send all requests at once and return as many replies."""
        self.socket.sendall(b"".join(encode(request) for request in requests))
        replies: list[messages.GuardReply] = []
        while len(replies) < len(requests):
            data = self.socket.recv(65536)
            assert data, "guard closed the connection"
            replies += self._decoder.feed(data)
        return replies

    def closed(self) -> bool:
        """Return whether guard has closed this connection."""
        try:
            return self.socket.recv(65536) == b""
        except ConnectionResetError:
            return True


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    """Return a running server."""
    made = Office(tmp_path / "guard.sock", ALLOWED)
    yield made
    made.close()


def test_answers_keep_the_order_of_requests(office: Office) -> None:
    """A request that waits for the tick holds back the ones behind it."""
    with Peer(office.path) as peer:
        replies = peer.ask(messages.Hello(), GRANT, messages.Hello(), GRANT)
    assert [type(reply) for reply in replies] == [messages.Welcome, messages.Done, messages.Welcome, messages.Done]
    assert office.granted == ["s", "s"]


def test_a_plan_reaches_the_core_as_it_was_asked_for(office: Office) -> None:
    """Of a grant and of an amendment: every limit in its place, and what the energy was bought with."""
    plan = messages.Plan(energy_wh=1.5, duration_s=2.5, deadline_s=3.5, for_amount=True, for_hours=True)
    core = Plan(energy_wh=1.5, duration_s=2.5, deadline_s=3.5, for_amount=True, for_hours=True)
    with Peer(office.path) as peer:
        granted = messages.Grant(port=1, session="s", ttl_s=10.0, plan=plan)
        assert peer.ask(granted, messages.Amend(port=2, session="t", plan=plan)) == [messages.Done()] * 2
    assert office.taken == [Grant(1, 1, "s", 10.0, core), Amend(2, 2, "t", core)]


def test_an_amendment_needs_a_right_and_a_plan_in_range(tmp_path: Path) -> None:
    """A stranger is refused; a limit of zero is malformed like any other garbage."""
    office = Office(tmp_path / "guard.sock", Rights(frozenset(), None))
    try:
        amend = messages.Amend(port=1, session="s", plan=messages.Plan(energy_wh=1.5))
        with Peer(office.path) as peer:
            assert peer.ask(amend) == [messages.Refused(code="not_allowed")]
            peer.socket.sendall(encode(amend).replace(b'"energy_wh":1.5', b'"energy_wh":0.0'))
            assert peer.closed()
        assert office.taken == []
    finally:
        office.close()


def test_a_refusal_carries_its_code(office: Office) -> None:
    """What the core refuses is told with its code."""
    office.code = "port_busy"
    with Peer(office.path) as peer:
        assert peer.ask(GRANT) == [messages.Refused(code="port_busy")]


def test_a_peer_without_rights_may_read_and_change_nothing(tmp_path: Path) -> None:
    """Rights come from the kernel's credentials of the peer."""
    office = Office(tmp_path / "guard.sock", Rights(frozenset(), None))
    try:
        with Peer(office.path) as peer:
            welcome, refused = peer.ask(messages.Hello(), GRANT)
        assert isinstance(welcome, messages.Welcome)
        assert refused == messages.Refused(code="not_allowed")
        assert office.granted == []
        assert office.server.refused == 1
    finally:
        office.close()


@pytest.mark.parametrize(
    "garbage",
    [
        struct.pack(">I", MAX_REQUEST + 1),
        struct.pack(">I", 2) + b"{}",
        struct.pack(">I", 5) + b"hello",
        encode(messages.Grant(port=1, session="s", ttl_s=10.0)).replace(b'"ttl_s":10.0', b'"ttl_s":-1.0'),
        struct.pack(">I", 4000) + b"[" * 4000,
        pytest.param(struct.pack(">I", 42) + b'{"type":"hello","protocol":1,"protocol":1}', id="a key twice"),
        b"GET / HTTP/1.1\r\n\r\n",
    ],
)
def test_a_peer_that_garbles_is_cut_off_and_counted(office: Office, garbage: bytes) -> None:
    """One malformed frame ends the connection; nothing else happens, and the next peer is served."""
    with Peer(office.path) as peer:
        peer.socket.sendall(garbage)
        assert peer.closed()
    with Peer(office.path) as peer:
        assert isinstance(peer.ask(messages.Hello())[0], messages.Welcome)
    assert office.server.refused == 1
    assert office.granted == []


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=600))
def test_no_bytes_hurt_the_server(office: Office, data: bytes) -> None:
    """Whatever a peer sends, guard goes on answering and grants nothing."""
    with Peer(office.path) as peer:
        peer.socket.sendall(data)
    with Peer(office.path) as peer:
        assert isinstance(peer.ask(messages.Hello())[0], messages.Welcome)
    assert office.granted == []


def test_another_version_is_refused_and_counted(tmp_path: Path) -> None:
    """A refusal of what changes nothing counts like any other; the peer may ask on."""
    server = Server(tmp_path / "guard.sock", ALLOWED, lambda _: messages.Refused(code="protocol_mismatch"))
    with Peer(tmp_path / "guard.sock") as peer:
        peer.socket.sendall(encode(messages.Hello(protocol=2)) * 2)
        for _ in range(5):
            server.serve(0.01)
        assert server.refused == 2
    server.close()


def test_one_round_answers_one_request_of_each_peer(tmp_path: Path) -> None:
    """Who sends hundreds at once gets them answered, but round by round: a tick waits for one answer, not for all."""
    asked: list[messages.GuardRequest] = []

    def read(request: messages.GuardRequest) -> messages.GuardReply:
        asked.append(request)
        return messages.Done()

    server = Server(tmp_path / "guard.sock", ALLOWED, read)
    with Peer(tmp_path / "guard.sock") as one, Peer(tmp_path / "guard.sock") as other:
        server.serve(0.1)
        server.serve(0.1)
        for peer in (one, other):
            peer.socket.sendall(encode(messages.GetSnapshot()) * 500)
        counts: list[int] = []
        while len(asked) < 1000 and len(counts) < 5000:
            before = len(asked)
            server.serve(0.1)
            counts.append(len(asked) - before)
        assert len(asked) == 1000
        assert max(counts) == 2
        assert server.refused == 0
    server.close()


def test_a_peer_that_does_not_read_is_dropped(office: Office) -> None:
    """Unread answers are bounded."""
    with Peer(office.path) as lazy:
        lazy.socket.settimeout(0.5)
        flood = encode(messages.Hello()) * 2000
        try:
            for _ in range(200):
                lazy.socket.sendall(flood)
        except OSError:
            pass  # cut off, or its own buffer is full: either way guard must be alive
        with Peer(office.path) as peer:
            assert isinstance(peer.ask(messages.Hello())[0], messages.Welcome)


def test_only_so_many_peers(office: Office) -> None:
    """A crowd of connections cannot use up guard's memory; closing some lets others in."""
    crowd = [Peer(office.path) for _ in range(16)]
    assert all(isinstance(peer.ask(messages.Hello())[0], messages.Welcome) for peer in crowd)
    with Peer(office.path) as late:
        assert late.closed()
    for peer in crowd:
        peer.socket.close()
    time.sleep(0.1)
    with Peer(office.path) as peer:
        assert isinstance(peer.ask(messages.Hello())[0], messages.Welcome)


def test_a_socket_left_by_a_killed_guard_is_replaced(tmp_path: Path) -> None:
    """A stale socket file does not keep guard from starting."""
    path = tmp_path / "guard.sock"
    stale = socket.socket(socket.AF_UNIX)
    stale.bind(str(path))
    stale.close()
    office = Office(path, ALLOWED)
    try:
        with Peer(path) as peer:
            assert isinstance(peer.ask(messages.Hello())[0], messages.Welcome)
        assert path.stat().st_mode & 0o777 == 0o660
    finally:
        office.close()


def test_rights_are_resolved_from_a_group() -> None:
    """Root and guard's own user always may; of others only the named group."""
    assert rights.resolve("").allows(0, 12345)
    assert rights.resolve("").allows(os.geteuid(), 12345)
    assert not rights.resolve("").allows(54321, 54321)
    group = rights.resolve("root")
    assert group.allows(54321, 0)
    assert rights.resolve("no-such-group") == rights.resolve("")
