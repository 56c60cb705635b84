"""A station for the command line: a real Unix socket that speaks the real codec, with answers set by the test."""

from __future__ import annotations

import socket
import threading
from typing import TYPE_CHECKING

import pytest

from pilenode.cli.main import main
from pilenode.ipc import codec
from pilenode.ipc.messages import (
    ControlRequest,
    PortSnapshot,
    Refused,
    SessionRecord,
    Snapshot,
    StatusReply,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


class FakeStation:
    """Answers every connection with ``reply`` (a message or raw bytes) and keeps what was asked.

    A list is answered one after the other.
    """

    def __init__(self, path: Path) -> None:
        self.path = str(path)
        self.reply: object = Refused(code="malformed")
        self.asked: list[ControlRequest] = []
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(self.path)
        self._listener.listen(8)
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with connection:
                self._answer(connection)

    def _answer(self, connection: socket.socket) -> None:
        decoder: codec.Decoder[ControlRequest] = codec.Decoder(ControlRequest, codec.MAX_REQUEST)
        while data := connection.recv(4096):
            for request in decoder.feed(data):
                self.asked.append(request)
                reply = self.reply.pop(0) if isinstance(self.reply, list) else self.reply
                connection.sendall(reply if isinstance(reply, bytes) else codec.encode(reply))
                return

    def close(self) -> None:
        """Stop answering and release the socket."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()


@pytest.fixture
def station(tmp_path: Path) -> Iterator[FakeStation]:
    """Return a station that answers on a socket of this test."""
    made = FakeStation(tmp_path / "control.sock")
    yield made
    made.close()


@pytest.fixture
def run(
    station: FakeStation, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., tuple[int, str, str]]:
    """Return a function that runs ``pilenode`` against ``station``: exit status, stdout and stderr."""
    for name in ("LC_ALL", "LC_MESSAGES", "LANG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PILENODE_CONTROL", station.path)
    monkeypatch.setenv("TZ", "UTC")
    monkeypatch.setenv("COLUMNS", "80")

    def command(*arguments: str) -> tuple[int, str, str]:
        capsys.readouterr()
        status = main(arguments)
        out, err = capsys.readouterr()
        return status, out, err

    return command


@pytest.fixture
def cabinet() -> StatusReply:
    """Return a cabinet in which everything that a table shows happens somewhere."""
    ports = [
        PortSnapshot(
            port=1,
            state="on",
            closed=True,
            session="01HK153X00ABCDEFGHJKMNPQR1",
            voltage_v=229.8,
            current_a=1.52,
            power_w=348.4,
            temperature_c=31.2,
            reading_age_s=0.2,
            register_mwh=1_123_400,
            start_register_mwh=1_000_000,
            closed_for_s=3723.0,
            lease_left_s=58.4,
        ),
        PortSnapshot(
            port=2,
            state="tripped",
            closed=False,
            session="01HK153X00ABCDEFGHJKMNPQR2",
            reason="over_current",
            voltage_v=230.1,
            current_a=0.0,
            power_w=0.0,
            temperature_c=66.0,
            findings=["temperature_warning"],
            closed_for_s=125.0,
        ),
        PortSnapshot(port=3, state="idle", closed=False, findings=["meter_lost"], meter_error="timeout"),
        PortSnapshot(
            port=12,
            state="ended",
            closed=False,
            session="01HK153X00ABCDEFGHJKMNPQR3",
            reason="full",
            voltage_v=229.9,
            current_a=0.0,
            power_w=0.0,
            register_mwh=2_500_000,
            start_register_mwh=2_000_000,
            closed_for_s=15_321.0,
        ),
    ]
    guard = Snapshot(
        guard_boot="a" * 16,
        last_event=42,
        uptime_s=90_061.0,
        contactor=True,
        cabinet_faults=["smoke"],
        ports=ports,
    )
    return StatusReply(
        node="example-001",
        version="0.1.0",
        guard=guard,
        sessions=[],
        upstream_connected=True,
        upstream_url="mqtt://127.0.0.1:1883",
        upstream_protocol="mqtt5",
        outbox=3,
        log_id="log-1",
        last_seq=120,
        acked_seq=117,
        journal_ok=True,
        dropped={"control": 2, "upstream": 0},
    )


@pytest.fixture
def records() -> list[SessionRecord]:
    """Return an ended and a running session, newest first."""
    running = SessionRecord(
        session="01HK153X00ABCDEFGHJKMNPQR2",
        order="o-2",
        port=12,
        source="upstream",
        state="running",
        started_wall_ms=1_704_103_200_000,
        clock="ntp",
    )
    ended = SessionRecord(
        session="01HK153X00ABCDEFGHJKMNPQR1",
        order="o-1",
        port=1,
        source="cli",
        state="ended",
        started_wall_ms=1_704_096_000_000,
        clock="ntp",
        ended_wall_ms=1_704_099_723_000,
        reason="full",
        duration_s=3723,
        start_register_mwh=1_000_000,
        end_register_mwh=1_523_400,
        energy_wh=523,
        electricity_fen=27,
        service_fen=1016,
        tariff_version="2024",
        acknowledged=True,
    )
    return [running, ended]
