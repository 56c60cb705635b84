"""A rack of Modbus RTU slaves on a pty that takes the time a real RS-485 line takes.

Bytes cross a pty at once; here they are given their time back. A request ends when its last bit would have been
sent and t3.5 of silence has followed; then comes the turn-round of the slave, then the reply at the pace of the
wire. So from the first byte of a request of n bytes to the last byte of a reply of m bytes pass

    (n + m) · character time + t3.5 + turn-round

Baud rate and parity of the pty itself are nobody's business: only this file's arithmetic is.
"""

from __future__ import annotations

import contextlib
import heapq
import os
import select
import threading
import time
import tty
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Self

_POLYNOMIAL = 0xA001
_SHORTEST_FRAME = 4
#: Above this baud rate t3.5 no longer shrinks (Modbus over serial line 1.02, 2.5.1.1).
_FIXED_SILENCE_ABOVE_BAUD = 19_200
_FIXED_SILENCE_S = 0.00175
#: A reply is handed over in pieces of this many characters (fewer wake-ups), or of this many seconds if that is more.
_PIECE_CHARACTERS = 3
_PIECE_S = 0.0015
_IDLE_S = 0.1


def crc16(data: bytes) -> bytes:
    """Return the CRC of Modbus RTU over ``data`` as it goes on the wire, low byte first."""
    crc = 0xFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ _POLYNOMIAL if crc & 1 else crc >> 1
    return crc.to_bytes(2, "little")


@dataclass(frozen=True, slots=True)
class Timing:
    """The arithmetic of one line."""

    baud: int
    parity: Literal["N", "E", "O"] = "N"
    stopbits: Literal[1, 2] = 1

    @property
    def character_s(self) -> float:
        """Return the time of one character: start bit, eight data bits, parity if any, stop bits."""
        return (9 + (self.parity != "N") + self.stopbits) / self.baud

    @property
    def silence_s(self) -> float:
        """Return t3.5, the silence that ends a frame."""
        return _FIXED_SILENCE_S if self.baud > _FIXED_SILENCE_ABOVE_BAUD else 3.5 * self.character_s

    def transaction_s(self, request: int, reply: int, turnaround_s: float) -> float:
        """Return the time from the first byte of a request to the last of its reply (lengths in bytes)."""
        return (request + reply) * self.character_s + self.silence_s + turnaround_s


@dataclass(frozen=True, slots=True)
class Reply:
    """Bytes that a slave puts on the wire, ``delay_s`` later than its usual turn-round."""

    data: bytes
    delay_s: float = 0.0


class Slave(Protocol):
    """One station on the line."""

    def answer(self, request: bytes) -> Reply | None:
        """Return what to send for ``request`` (unit, function, data; CRC checked and removed); None is silence."""


@dataclass(slots=True)
class Counts:
    """What the line has seen: good requests, frames nobody can read, and requests that came too early.

    A request is early when less than t3.5 of silence lay between it and the frame before it. An early request is
    still answered when it can be told from what came before, but a strict slave would not have heard it.
    """

    requests: int = 0
    unreadable: int = 0
    early: int = 0


class Rack:
    """Slaves by unit address on one line. ``device`` is the tty to open; it exists until ``stop``."""

    def __init__(
        self,
        meters: Mapping[int, Slave],
        *,
        baud: int = 9600,
        parity: Literal["N", "E", "O"] = "N",
        stopbits: Literal[1, 2] = 1,
        turnaround_s: float = 0.005,
    ) -> None:
        self.meters = meters
        self.timing = Timing(baud, parity, stopbits)
        self.turnaround_s = turnaround_s
        self.counts = Counts()
        # The far end stays open here too: otherwise the line would break whenever the tested program closes it.
        self._master, self._far_end = os.openpty()
        tty.setraw(self._far_end)
        os.set_blocking(self._master, False)
        self.device = os.ttyname(self._far_end)
        self._request = b""
        self._request_end_s = 0.0
        self._quiet_since_s = 0.0
        self._waiting: list[tuple[float, int, bytes]] = []
        self._sending: _Sending | None = None
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"rack {self.device}", daemon=True)

    def start(self) -> None:
        """Begin to answer."""
        self._thread.start()

    def stop(self) -> None:
        """Stop answering and take the line away."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()
        os.close(self._master)
        os.close(self._far_end)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.stop()

    def _run(self) -> None:
        while not self._stopping.is_set():
            now_s = time.monotonic()
            self._end_request(now_s)
            self._send(now_s)
            wait_s = max(0.0, min(self._next_s() - time.monotonic(), _IDLE_S))
            if select.select([self._master], [], [], wait_s)[0]:
                self._receive(time.monotonic())

    def _next_s(self) -> float:
        times = [time.monotonic() + _IDLE_S]
        if self._request:
            times.append(self._request_end_s + self.timing.silence_s)
        if self._sending:
            times.append(self._sending.next_s(self.timing.character_s))
        elif self._waiting:
            times.append(self._waiting[0][0])
        return min(times)

    def _receive(self, now_s: float) -> None:
        data = os.read(self._master, 4096)
        self._arrived(data)
        if not self._request and (self._sending or now_s < self._quiet_since_s + self.timing.silence_s):
            self.counts.early += 1
        self._request += data
        self._request_end_s = max(self._request_end_s, now_s) + len(data) * self.timing.character_s

    def _end_request(self, now_s: float) -> None:
        if not self._request or now_s < self._request_end_s + self.timing.silence_s:
            return
        frame, self._request = self._request, b""
        self._quiet_since_s = max(self._quiet_since_s, self._request_end_s)
        for reply in self._replies(frame):
            if reply.data:
                begin_s = self._request_end_s + self.timing.silence_s + self.turnaround_s + reply.delay_s
                heapq.heappush(self._waiting, (begin_s, self.counts.requests, reply.data))

    def _arrived(self, data: bytes) -> None:
        """Bytes of a request have come; for racks that look at how the far end is set."""

    def _replies(self, frame: bytes) -> list[Reply]:
        """Return what the slaves send for one frame."""
        if len(frame) < _SHORTEST_FRAME or crc16(frame[:-2]) != frame[-2:]:
            self.counts.unreadable += 1
            return []
        self.counts.requests += 1
        slave = self.meters.get(frame[0])
        reply = slave.answer(frame[:-2]) if slave else None
        return [] if reply is None else [reply]

    def _send(self, now_s: float) -> None:
        if not self._sending and self._waiting and self._waiting[0][0] <= now_s:
            begin_s, _, data = heapq.heappop(self._waiting)
            self._sending = _Sending(data, max(begin_s, self._quiet_since_s))
        if not self._sending:
            return
        piece = self._sending.due(now_s, self.timing.character_s)
        if piece:
            # Taken before the write: a reader of higher priority may run before the write returns.
            self._quiet_since_s = time.monotonic()
            with contextlib.suppress(BlockingIOError):  # nobody reads at the far end: a UART overruns as well
                os.write(self._master, piece)
        if self._sending.done:
            self._sending = None


@dataclass(slots=True)
class _Sending:
    """A reply on its way: ``begin_s`` is when its first bit is sent."""

    data: bytes
    begin_s: float
    sent: int = 0

    @property
    def done(self) -> bool:
        return self.sent == len(self.data)

    def due(self, now_s: float, character_s: float) -> bytes:
        """Return the characters that have crossed the wire since last asked."""
        crossed = max(self.sent, min(len(self.data), int((now_s - self.begin_s) / character_s)))
        piece, self.sent = self.data[self.sent : crossed], crossed
        return piece

    def next_s(self, character_s: float) -> float:
        """Return when the next piece is complete."""
        characters = max(_PIECE_CHARACTERS, int(_PIECE_S / character_s))
        return self.begin_s + min(len(self.data), self.sent + characters) * character_s
