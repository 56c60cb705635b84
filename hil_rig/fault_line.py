"""Slaves that misbehave on demand, many lines in one thread; no wire timing: bytes cross a pty at once.

A register holds a value that tells unit and address, so that whatever a client hands over can be checked. The next
reply of a line can be given a fault; every fault is a way real lines and meters were seen to fail.
"""

from __future__ import annotations

import heapq
import itertools
import os
import select
import struct
import threading
import time
import tty
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Self

from hil_rig.wire import crc16

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

    #: (seconds after the request, bytes) each.
    Sending = list[tuple[float, bytes]]

_REQUEST_BYTES: Final = 8
_FUNCTION_OFFSET, _COUNT_OFFSET = 1, 2


def sealed(body: bytes) -> bytes:
    """Return a frame with its CRC, computed bit by bit (not with the code under test)."""
    return body + crc16(body)


def registers(unit: int, start: int, count: int) -> bytes:
    """Return what the registers of a unit hold: a value that no other register of any unit here has."""
    return b"".join(
        ((unit * 1009 + address * 7) & 0xFFFF).to_bytes(2, "big") for address in range(start, start + count)
    )


def good_reply(request: bytes) -> bytes:
    """Return the reply of a healthy meter."""
    unit, function, start, count = struct.unpack_from(">BBHH", request)
    data = registers(unit, start, count)
    return sealed(bytes([unit, function, len(data)]) + data)


def _damaged(good: bytes, chance: random.Random) -> bytes:
    place = chance.randrange(len(good))
    return good[:place] + bytes([good[place] ^ (1 << chance.randrange(8))]) + good[place + 1 :]


def _noise(chance: random.Random, most: int = 8) -> bytes:
    return chance.randbytes(chance.randint(1, most))


def _resealed(good: bytes, place: int, value: int) -> bytes:
    body = bytearray(good[:-2])
    body[place] = value & 0xFF
    return sealed(bytes(body))


def _other_count(request: bytes, more: int) -> bytes:
    unit, function, start, count = struct.unpack_from(">BBHH", request)
    return good_reply(struct.pack(">BBHH", unit, function, start, max(1, count + more)))


def _pause(good: bytes, chance: random.Random) -> Sending:
    cut = chance.randint(1, len(good) - 1)
    return [(0.0, good[:cut]), (chance.choice((0.003, 0.02, 0.06)), good[cut:])]


#: What the reply to one request becomes, by kind of fault.
FAULTS: Final[dict[str, Callable[[bytes, bytes, random.Random], Sending]]] = {
    "late reply": lambda _, good, chance: [(chance.uniform(0.1, 0.45), good)],
    "no reply": lambda _r, _g, _c: [],
    "bad CRC": lambda _, good, chance: [(0.0, _damaged(good, chance))],
    "noise before": lambda _, good, chance: [(0.0, _noise(chance) + good)],
    "noise after": lambda _, good, chance: [(0.0, good + _noise(chance))],
    "noise while idle": lambda _, good, chance: [(0.0, good), (0.004, _noise(chance))],
    "truncated": lambda _, good, chance: [(0.0, good[: chance.randint(1, len(good) - 1)])],
    "pause inside": lambda _, good, chance: _pause(good, chance),
    "wrong unit": lambda _, good, chance: [(0.0, _resealed(good, 0, good[0] + chance.randint(1, 200)))],
    "wrong function": lambda _, good, chance: [
        (0.0, _resealed(good, _FUNCTION_OFFSET, chance.choice((1, 2, 5, 6, 7))))
    ],
    "wrong count": lambda request, _, chance: [(0.0, _other_count(request, chance.choice((1, 2, 5))))],
    "byte count wrong": lambda _, good, chance: [
        (0.0, _resealed(good, _COUNT_OFFSET, good[_COUNT_OFFSET] + chance.randint(1, 255)))
    ],
    "exception": lambda _, good, chance: [(0.0, sealed(bytes([good[0], good[1] | 0x80, chance.randint(1, 11)])))],
    "echo": lambda request, good, _: [(0.0, request + good)],
    "duplicate": lambda _, good, chance: [(0.0, good), (chance.choice((0.0, 0.002, 0.05)), good)],
    "merged frames": lambda request, good, chance: [
        (
            0.0,
            good_reply(bytes([request[0] % 247 + 1]) + request[1:]) + good
            if chance.choice((True, False))
            else good + good[:-1],
        )
    ],
}


@dataclass(slots=True)
class _Line:
    master: int
    far_end: int
    fault: str | None = None
    pending: bytes = b""
    silent: bool = field(default=False)


class FaultLines:
    """So many ttys (``devices``) with all units from 1 to 247 behind each. A context manager."""

    def __init__(self, count: int, chance: random.Random) -> None:
        self._chance = chance
        self._lines: list[_Line] = []
        for _ in range(count):
            master, far_end = os.openpty()
            tty.setraw(far_end)
            self._lines.append(_Line(master, far_end))
        self.devices = [os.ttyname(line.far_end) for line in self._lines]
        self._due: list[tuple[float, int, int, bytes]] = []
        self._order = itertools.count()
        self._halt = os.pipe()
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        os.write(self._halt[1], b"x")
        self._thread.join()
        for line in self._lines:
            os.close(line.master)
            os.close(line.far_end)
        for end in self._halt:
            os.close(end)

    def spoil(self, number: int, fault: str) -> None:
        """Give the next reply of a line a fault."""
        self._lines[number].fault = fault

    def _serve(self) -> None:
        by_descriptor = {line.master: line for line in self._lines}
        poll = select.poll()
        for descriptor in (*by_descriptor, self._halt[0]):
            poll.register(descriptor, select.POLLIN)
        while True:
            wait_ms = max(0.0, self._due[0][0] - time.monotonic()) * 1000 if self._due else None
            for descriptor, _ in poll.poll(wait_ms):
                if descriptor == self._halt[0]:
                    return
                self._hear(by_descriptor[descriptor], time.monotonic())
            while self._due and self._due[0][0] <= time.monotonic():
                _, _, descriptor, data = heapq.heappop(self._due)
                os.write(descriptor, data)

    def _hear(self, line: _Line, now_s: float) -> None:
        line.pending += os.read(line.master, 4096)
        while len(line.pending) >= _REQUEST_BYTES:
            request, line.pending = line.pending[:_REQUEST_BYTES], line.pending[_REQUEST_BYTES:]
            fault, line.fault = line.fault, None
            good = good_reply(request)
            sending = FAULTS[fault](request, good, self._chance) if fault else [(0.0, good)]
            for delay_s, data in sending:
                heapq.heappush(self._due, (now_s + delay_s, next(self._order), line.master, data))
