"""The blocking client: every way in which an answer can fail is one error with a stable code."""

from __future__ import annotations

import os
import socket
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from config.errors import PilenodeError
from pilenode.ipc import client, codec
from pilenode.ipc.messages import Done, Refused, Sessions, SessionsReply, Status, Stop

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@contextmanager
def _peer(path: Path, behave: Callable[[socket.socket], None]) -> Iterator[str]:
    """Accept one connection at ``path`` and let ``behave`` deal with it."""
    path.unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(str(path))
        listener.listen(1)

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                behave(connection)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield str(path)
        finally:
            thread.join()


def _says(data: bytes) -> Callable[[socket.socket], None]:
    def behave(connection: socket.socket) -> None:
        connection.recv(4096)
        connection.sendall(data)

    return behave


def _code(path: str, timeout_s: float = 5.0) -> str:
    with pytest.raises(client.RequestError) as caught:
        client.ask(path, Status(), Done, timeout_s)
    assert isinstance(caught.value, PilenodeError)
    assert caught.value.remedy_zh
    assert caught.value.remedy_en
    return caught.value.code


def test_an_answer_of_the_expected_type_is_returned(tmp_path: Path) -> None:
    """The request goes out as one frame and the reply comes back as the message it is."""
    seen: list[object] = []

    def behave(connection: socket.socket) -> None:
        decoder: codec.Decoder[Sessions] = codec.Decoder(Sessions)
        seen.extend(decoder.feed(connection.recv(4096)))
        for byte in codec.encode(SessionsReply(sessions=[])):
            connection.sendall(bytes([byte]))

    with _peer(tmp_path / "s", behave) as path:
        assert client.ask(path, Sessions(limit=3), SessionsReply) == SessionsReply(sessions=[])
    assert seen == [Sessions(limit=3)]


def test_nobody_there_is_station_absent(tmp_path: Path) -> None:
    """No socket, a socket without a listener, a file and an overlong path are all a station that is not there."""
    dead = tmp_path / "dead"
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(str(dead))
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "absent", dead, tmp_path / "file", tmp_path / ("x" * 200)):
        assert _code(str(path)) == "station_absent"


def test_silence_and_dribble_end_at_the_same_deadline(tmp_path: Path) -> None:
    """A peer that sends a byte now and then, and then nothing, holds the caller no longer than one that is silent."""
    gone = threading.Event()

    def dribble(connection: socket.socket) -> None:
        for byte in codec.encode(SessionsReply(sessions=[]))[:4]:
            gone.wait(0.1)
            connection.sendall(bytes([byte]))
        gone.wait(5)

    def silence(connection: socket.socket) -> None:
        del connection
        gone.wait(5)

    for behave in (dribble, silence):
        gone.clear()
        with _peer(tmp_path / "s", behave) as path:
            begun = time.monotonic()
            assert _code(path, 0.6) == "station_absent"
            assert 0.5 < time.monotonic() - begun < 0.9
            gone.set()


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "station_absent"),
        (codec.encode(Done())[:-1], "station_absent"),
        (b"\xff\xff\xff\xff", "protocol_mismatch"),
        (b"\x00\x00\x00\x02{}", "protocol_mismatch"),
        (codec.encode(SessionsReply(sessions=[])), "protocol_mismatch"),
        (codec.encode(Refused(code="port_busy")), "port_busy"),
        (codec.encode(Refused(code="a_code_of_tomorrow")), "a_code_of_tomorrow"),
    ],
)
def test_every_other_answer_has_its_code(tmp_path: Path, data: bytes, code: str) -> None:
    """Closed, cut short, garbled, of another type, refused: each is told apart."""
    with _peer(tmp_path / "s", _says(data)) as path:
        assert _code(path) == code


def test_a_refusal_without_reading_the_request_is_heard(tmp_path: Path) -> None:
    """Who is not allowed is told so, although the station hangs up before all of the request is sent."""
    frame = codec.encode(Refused(code="not_allowed"))
    # Longer than the buffer of a Unix socket, so that sending cannot end before the station has hung up.
    request = Stop(port=1, by="x" * 250_000)
    with _peer(tmp_path / "s", lambda connection: connection.sendall(frame)) as path:
        with pytest.raises(client.RequestError) as caught:
            client.ask(path, request, Done)
        assert caught.value.code == "not_allowed"


def test_a_closed_directory_is_not_allowed(tmp_path: Path) -> None:
    """A socket that may not be opened is a matter of rights, not of a dead station."""
    folder = tmp_path / "closed"
    folder.mkdir(mode=0o700)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(str(folder / "s"))
        listener.listen(1)
        child = os.fork()
        if child == 0:
            # Root may open everything; as root the child becomes nobody, otherwise the folder is closed to its owner.
            if os.getuid() == 0:
                os.setgroups([])
                os.setgid(65534)
                os.setuid(65534)
            else:
                folder.chmod(0)
            try:
                client.ask(str(folder / "s"), Status(), Done)
            except client.RequestError as error:
                os._exit(42 if error.code == "not_allowed" else 1)
            finally:
                os._exit(2)
        _, status = os.waitpid(child, 0)
    folder.chmod(0o700)
    assert os.waitstatus_to_exitcode(status) == 42


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=64))
def test_no_answer_whatsoever_crashes_the_client(tmp_path: Path, data: bytes) -> None:
    """Any bytes end in one of the documented errors."""
    with _peer(tmp_path / "s", _says(data)) as path:
        assert _code(path) in {"station_absent", "protocol_mismatch"}
