"""Modbus RTU slaves on the far end of a pty, small and scriptable. No wire timing: bytes arrive at once."""

from __future__ import annotations

import heapq
import itertools
import os
import select
import struct
import threading
import time
import tty
from collections import deque
from typing import TYPE_CHECKING

import pytest

from drivers.bus import SerialLine

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Sending = list[tuple[float, bytes]]  # seconds after the request, and what is sent then

_REQUEST_BYTES = 8


class Slave:
    """Every unit from 1 to 247 at once, behind the tty at ``path``.

    A register holds ``unit * 256 + address`` (modulo 65536), so that a value tells whose it is. Each entry of
    ``script`` is handed the good reply to one request and returns what to send instead, first in first out;
    without an entry the good reply is sent at once. ``heard`` and ``said`` hold what went over the line, with times
    on the monotonic clock.
    """

    def __init__(self, link: Path) -> None:
        self.path = str(link)
        self.width = 2
        self.script: deque[Callable[[bytes], Sending]] = deque()
        self.heard: list[tuple[float, bytes]] = []
        self.said: list[tuple[float, bytes]] = []
        self._link = link
        self._halt = os.pipe()
        self.appear()

    def appear(self) -> None:
        """Make the device exist, as after plugging in the adapter."""
        self._master, self._slave = os.openpty()
        tty.setraw(self._slave)
        self._link.symlink_to(os.ttyname(self._slave))
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def vanish(self) -> None:
        """Make the device hang up and go, as on unplugging the adapter."""
        os.write(self._halt[1], b"x")
        self._thread.join()
        os.read(self._halt[0], 1)
        self._link.unlink()
        os.close(self._master)
        os.close(self._slave)

    def close(self) -> None:
        """End the thread and close everything."""
        if self._link.is_symlink():
            self.vanish()
        for end in self._halt:
            os.close(end)

    def say(self, data: bytes) -> None:
        """Put bytes on the line that nobody asked for."""
        os.write(self._master, data)

    def data(self, unit: int, start: int, count: int) -> bytes:
        """Return the data bytes of ``count`` registers from ``start``."""
        values = ((unit << 8) + start + n & 0xFFFF for n in range(count))
        return b"".join(value.to_bytes(self.width, "big") for value in values)

    @staticmethod
    def sealed(frame: bytes) -> bytes:
        """Return ``frame`` with its CRC, computed bit by bit."""
        crc = 0xFFFF
        for byte in frame:
            crc ^= byte
            for _ in range(8):
                crc = (crc >> 1) ^ 0xA001 if crc & 1 else crc >> 1
        return frame + crc.to_bytes(2, "little")

    def reply(self, request: bytes) -> bytes:
        """Return the reply of a healthy meter."""
        unit, function, start, count = struct.unpack_from(">BBHH", request)
        data = self.data(unit, start, count)
        return self.sealed(bytes([unit, function, len(data)]) + data)

    def _serve(self) -> None:
        due: list[tuple[float, int, bytes]] = []
        order = itertools.count()
        pending = b""
        while True:
            wait_s = max(0.0, due[0][0] - time.monotonic()) if due else None
            ready, _, _ = select.select([self._master, self._halt[0]], [], [], wait_s)
            if self._halt[0] in ready:
                return
            if self._master in ready:
                pending += os.read(self._master, 4096)
            while len(pending) >= _REQUEST_BYTES:
                request, pending = pending[:_REQUEST_BYTES], pending[_REQUEST_BYTES:]
                heard_s = time.monotonic()
                self.heard.append((heard_s, request))
                good = self.reply(request)
                for delay_s, data in self.script.popleft()(good) if self.script else [(0.0, good)]:
                    heapq.heappush(due, (heard_s + delay_s, next(order), data))
            while due and due[0][0] <= time.monotonic():
                data = heapq.heappop(due)[2]
                self.said.append((time.monotonic(), data))
                os.write(self._master, data)


@pytest.fixture
def slave(tmp_path: Path) -> Iterator[Slave]:
    """Return slaves behind a tty; gone after the test."""
    slave = Slave(tmp_path / "tty")
    yield slave
    slave.close()


@pytest.fixture
def line(slave: Slave) -> Iterator[SerialLine]:
    """Return a fast line to the slaves: 115200 8N1, 50 ms turnaround, 0.2 s quiet time."""
    line = SerialLine(slave.path, 115_200, "N", 1, turnaround_s=0.05)
    yield line
    line.close()


@pytest.fixture(scope="session")
def new_slave() -> type[Slave]:
    """Return the class, for tests that need more than one; they close what they make."""
    return Slave
