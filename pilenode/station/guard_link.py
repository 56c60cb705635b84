"""Station's side of guard's socket. Guard only answers, so everything here is a question with a time-out.

One request is in flight at a time. Whatever goes wrong closes the connection, because the answer to a question that was
given up may still arrive and must never be taken for the answer to the next one.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Final, Self

from pilenode import clock
from pilenode.ipc.codec import Decoder, FrameError, encode
from pilenode.ipc.messages import (
    PROTOCOL,
    Events,
    GetEvents,
    GetSnapshot,
    GuardReply,
    Hello,
    Snapshot,
    Welcome,
)
from pilenode.station.session import News

if TYPE_CHECKING:
    from collections.abc import Callable

    from pilenode.ipc.messages import GuardEvent, GuardRequest

#: Guard answers within one tick (50 ms); this long without an answer means that it is not there.
REQUEST_TIMEOUT_S: Final = 2.0
#: Pause after a failure before the socket is tried again, seconds.
RETRY_PAUSE_S: Final = 0.2
_CHUNK: Final = 64 * 1024
_EVENTS_PER_REQUEST: Final = 200


class GuardAbsentError(Exception):
    """Guard does not answer, or not in our protocol. ``problem`` is for people."""

    def __init__(self, problem: str) -> None:
        super().__init__(problem)
        self.problem = problem


def _agree(welcome: GuardReply) -> None:
    if not isinstance(welcome, Welcome) or welcome.protocol != PROTOCOL:
        raise FrameError(f"guard does not speak protocol {PROTOCOL}: {welcome}")


class _Connection:
    """An open connection that has been greeted."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._decoder: Decoder[GuardReply] = Decoder(GuardReply)

    @classmethod
    async def open(cls, path: str) -> Self:
        """Connect and agree on the protocol. Raises OSError, EOFError or FrameError."""
        connection = cls(*await asyncio.open_unix_connection(path))
        try:
            _agree(await connection.ask(Hello()))
        except BaseException:
            connection.close()
            raise
        return connection

    async def ask(self, request: GuardRequest) -> GuardReply:
        """Return the answer to ``request``. Raises OSError, EOFError or FrameError."""
        self._writer.write(encode(request))
        await self._writer.drain()
        while True:
            data = await self._reader.read(_CHUNK)
            if not data:
                raise EOFError("guard closed the connection")
            replies = list(self._decoder.feed(data))
            if len(replies) > 1:
                raise FrameError("more than one answer to one question")
            if replies:
                return replies[0]

    def close(self) -> None:
        """Close the connection without waiting for it."""
        self._writer.close()

    async def closed(self) -> None:
        """Wait until the closed connection is gone."""
        with contextlib.suppress(OSError):
            await self._writer.wait_closed()


class GuardLink:
    """A connection to guard that opens itself when it is needed. ``path`` is guard's socket."""

    def __init__(
        self, path: str, *, timeout_s: float = REQUEST_TIMEOUT_S, monotonic: Callable[[], float] = clock.monotonic_s
    ) -> None:
        self._path = path
        self._timeout_s = timeout_s
        self._monotonic = monotonic
        self._connection: _Connection | None = None
        self._turn = asyncio.Lock()
        self._not_before_s = 0.0
        self._problem = ""
        self._seen = ("", 0)  # guard boot, newest event that was handled

    async def request(self, request: GuardRequest) -> GuardReply:
        """Return guard's answer. Raises GuardAbsentError; whether guard carried it out is then not known."""
        async with self._turn:
            if self._connection is None and self._monotonic() < self._not_before_s:
                raise GuardAbsentError(self._problem)
            connection, self._connection = self._connection, None  # put back only when the answer is in
            try:
                async with asyncio.timeout(self._timeout_s):
                    if connection is None:
                        connection = await _Connection.open(self._path)
                    reply = await connection.ask(request)
            except (OSError, EOFError, FrameError) as error:  # TimeoutError is an OSError
                self._not_before_s = self._monotonic() + RETRY_PAUSE_S
                self._problem = str(error) or "no answer in time"
                raise GuardAbsentError(self._problem) from error
            else:
                self._connection = connection
                return reply
            finally:
                if connection is not None and self._connection is None:
                    connection.close()

    async def snapshot(self) -> Snapshot:
        """Return guard's snapshot. Raises GuardAbsentError."""
        snapshot = await self.request(GetSnapshot())
        if not isinstance(snapshot, Snapshot):
            raise GuardAbsentError(f"{type(snapshot).__name__} instead of a snapshot")
        return snapshot

    async def look(self) -> News:
        """Return guard's snapshot and every event since the last one that was ``handled``.

        Raises GuardAbsentError also when guard restarted between two of the answers.
        """
        snapshot = await self.snapshot()
        boot, newest = self._seen
        newest = newest if boot == snapshot.guard_boot else 0
        events: list[GuardEvent] = []
        while newest < snapshot.last_event:
            page = await self.request(GetEvents(since=newest, limit=_EVENTS_PER_REQUEST))
            if not isinstance(page, Events) or page.guard_boot != snapshot.guard_boot or not page.events:
                raise GuardAbsentError("guard restarted while it was asked")
            if page.events[-1].seq <= newest:
                raise GuardAbsentError("guard's events do not count up")
            events += page.events
            newest = page.events[-1].seq
        return News(snapshot, tuple(events))

    def handled(self, news: News) -> None:
        """Say that what ``news`` told is durable; those events are not asked for again."""
        boot, newest = self._seen
        newest = newest if boot == news.snapshot.guard_boot else 0
        self._seen = (news.snapshot.guard_boot, max([newest, *(event.seq for event in news.events)]))

    async def close(self) -> None:
        """Close the connection. Sessions go on: their leases run."""
        if self._connection is not None:
            self._connection.close()
            await self._connection.closed()
            self._connection = None
