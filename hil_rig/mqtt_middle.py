"""A man in the middle before a broker: holds acknowledgements back, mixes them up, sends them again.

He understands just enough of MQTT to find them: packets are passed on as they are (MQTT 5.0, 2.1 and 3.3). While the
broker is down nobody listens at his door either, as if it were the broker's own.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Final, Self

from hil_rig.broker import free_port

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from hil_rig.broker import Broker

_CONNECT, _PUBLISH, _PUBACK = 1, 3, 4
_ACK_LEAF: Final = b"/dn/ack"
_FACTS_LEAF: Final = b"/up/ev"
_OLD: Final = 30
_CHUNK: Final = 65_536
#: What is hung up on is closed a turn of the loop later.
_SETTLE_S = 0.05


class Packets:
    """Cuts a stream of bytes into packets."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Yield every packet that is complete now."""
        self._buffer += data
        while (size := self._size()) is not None and len(self._buffer) >= size:
            yield bytes(self._buffer[:size])
            del self._buffer[:size]

    def _size(self) -> int | None:
        length, shift = 0, 0
        for at, byte in enumerate(self._buffer[1:5], start=2):
            length |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:  # noqa: PLR2004 - the last byte of the length
                return at + length
        return None


def kind(packet: bytes) -> int:
    """Return the type of a packet."""
    return packet[0] >> 4


def topic(packet: bytes) -> bytes:
    """Return the topic of a PUBLISH."""
    begin = 1 + next(at for at, byte in enumerate(packet[1:], start=1) if byte < 0x80)  # noqa: PLR2004 - as above
    size = int.from_bytes(packet[begin : begin + 2], "big")
    return packet[begin + 2 : begin + 2 + size]


class Middle:
    """Stands before ``broker``. A context manager; works in a thread of its own.

    ``delay_s``: acknowledgements are held back for any time up to this, so that they overtake each other.
    ``again``: the share of them that is followed by a copy, later, of itself or of an older one.
    ``late_s``: every other batch of facts on its way to a backend is held back for so long; lost when the broker dies.
    ``after_puback``: is called, in that thread, when the broker has taken a batch of facts and the cabinet was told.
    """

    def __init__(self, broker: Broker, *, delay_s: float = 0.0, again: float = 0.0, late_s: float = 0.0) -> None:
        self.host = "127.0.0.1"
        self.port = free_port()
        self.connects: list[tuple[float, str]] = []  # when somebody said CONNECT (CLOCK_MONOTONIC), and from where
        self.delay_s = delay_s
        self.again = again
        self.late_s = late_s
        self.after_puback: Callable[[], None] | None = None
        self.connections = self.batches = self.bytes = self.acks = self.copies = 0
        self._broker = broker
        self._random = random.Random(1)
        self._old: deque[bytes] = deque(maxlen=_OLD)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="middle", daemon=True)
        self._server: asyncio.Server | None = None
        self._passing: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        """Return his address."""
        return f"mqtt://{self.host}:{self.port}"

    def __enter__(self) -> Self:
        self._thread.start()
        self.open()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def open(self) -> None:
        """Let cabinets in."""
        asyncio.run_coroutine_threadsafe(self._open(), self._loop).result(10)

    def close(self) -> None:
        """Let nobody in, and hang up on who is there."""
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result(10)

    async def _open(self) -> None:
        self._server = await asyncio.start_server(self._enter, self.host, self.port)

    async def _close(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        for task in self._passing:
            task.cancel()
        await asyncio.gather(*self._passing, return_exceptions=True)
        await asyncio.sleep(_SETTLE_S)

    async def _enter(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is not None:
            self._passing.add(task)
            task.add_done_callback(self._passing.discard)
        self.connections += 1
        who = writer.get_extra_info("peername")[0]
        with contextlib.suppress(OSError, asyncio.CancelledError):
            to_reader, to_writer = await asyncio.open_connection("127.0.0.1", self._broker.port)
            known: set[bytes] = set()  # batches that are not answered yet
            both = [
                asyncio.create_task(self._up(reader, to_writer, known, who)),
                asyncio.create_task(self._down(to_reader, writer, known)),
            ]
            try:
                await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for one in both:
                    one.cancel()
                await asyncio.gather(*both, return_exceptions=True)
                to_writer.transport.abort()
        writer.transport.abort()

    async def _up(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, known: set[bytes], who: str
    ) -> None:
        packets = Packets()
        while data := await reader.read(_CHUNK):
            for packet in packets.feed(data):
                if kind(packet) == _CONNECT:
                    self.connects.append((time.monotonic(), who))
                if kind(packet) == _PUBLISH and (name := topic(packet)).endswith(_FACTS_LEAF):
                    self.batches += 1
                    self.bytes += len(packet)
                    at = packet.index(name) + len(name)
                    known.add(packet[at : at + 2])
            writer.write(data)
            await writer.drain()

    async def _down(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, known: set[bytes]) -> None:
        packets = Packets()
        while data := await reader.read(_CHUNK):
            for packet in packets.feed(data):
                if kind(packet) == _PUBLISH and topic(packet).endswith(_ACK_LEAF):
                    self._mix(writer, packet)
                    continue
                if self.late_s and kind(packet) == _PUBLISH and topic(packet).endswith(_FACTS_LEAF):
                    self._loop.call_later(self._random.choice((0.0, self.late_s)), _write, writer, packet)
                    continue
                writer.write(packet)
                if kind(packet) == _PUBACK and packet[2:4] in known:
                    known.discard(packet[2:4])
                    await writer.drain()
                    if self.after_puback is not None:
                        self.after_puback()
            await writer.drain()

    def _mix(self, writer: asyncio.StreamWriter, packet: bytes) -> None:
        self.acks += 1
        self._old.append(packet)
        delay_s = self._random.uniform(0, self.delay_s)
        self._loop.call_later(delay_s, _write, writer, packet)
        while self._random.random() < self.again:
            self.copies += 1
            old = packet if self._random.random() < 0.5 else self._random.choice(self._old)  # noqa: PLR2004 - a mixture
            self._loop.call_later(delay_s + self._random.uniform(0, self.delay_s), _write, writer, old)


def _write(writer: asyncio.StreamWriter, packet: bytes) -> None:
    if not writer.is_closing():
        writer.write(packet)
