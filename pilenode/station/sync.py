"""Brings the outbox to the backend and the backend's commands to the sessions. Never gives up, never in a hurry.

Rules of this file:
- a fact is done when the journal has the backend's acknowledgement; that a broker took it means nothing;
- a lost connection cancels what belongs to the connection only. A command that has begun is carried through;
- a journal that cannot be read stops the draining, not the connection.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import structlog

from pilenode import __version__, clock
from pilenode.log import RateLimiter
from pilenode.station.entries import JournalFailedError
from pilenode.station.outbox import Window, fit, pause_s
from pilenode.station.report import differs
from pilenode.station.timekeeper import WallClock
from pilenode.upstream.contract import MAX_BATCH_FACTS, NO_LINK, Ack, FactBatch, Hello, Time, UpstreamLostError

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from pilenode.station.commands import Commands
    from pilenode.station.journal import Journal
    from pilenode.upstream.contract import IncomingCommand, Link, StateReport, Upstream
    from pilenode.upstream.facts import CommandResult

#: A connection that stood this long was a good one: the next pause is short again, seconds.
_STABLE_S: Final = 300.0
#: How often the outbox is looked at without being told that it changed, and the state for changes, seconds.
_LOOK_S: Final = 1.0
#: The state is told at least this often, seconds.
_STATE_S: Final = 60.0
#: The time is asked for anew this often, seconds: at 100 ppm a belief has become 2 s vaguer by then. While nobody
#: has told it, first after the shorter pause, which doubles.
_TIME_S: Final = 6 * 3600.0
_NO_TIME_S: Final = 60.0
#: How long the answer to a hello is waited for before facts are sent all the same, seconds.
_GREETING_S: Final = 2.0
_MAX_COMMANDS: Final = 32
_MAX_RESULTS: Final = 64

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Timing:
    """Pauses and patience of the connection, seconds (``config.schema.Upstream``)."""

    retry_base_s: float
    retry_cap_s: float
    ack_timeout_s: float


class Sync:
    """The upstream side of the station. ``protocol`` is what is spoken now, None while not connected."""

    def __init__(
        self,
        journal: Journal,
        upstream: Upstream,
        commands: Commands,
        state: Callable[[], StateReport],
        timing: Timing,
        wall: WallClock | None = None,
    ) -> None:
        self.protocol: str | None = None
        self.dropped: Counter[str] = Counter()
        self._journal = journal
        self._upstream = upstream
        self._commands = commands
        self._state = state
        self._timing = timing
        self._wall = wall or WallClock()
        self._asked_ms: int | None = None  # when this connection last asked for the time
        self._time_told = False  # since then
        self._random = random.SystemRandom()
        self._limiter = RateLimiter()
        self._backend_heard = asyncio.Event()  # on this connection
        self._waiting: asyncio.Queue[IncomingCommand] = asyncio.Queue(_MAX_COMMANDS)
        self._results: asyncio.Queue[CommandResult] = asyncio.Queue(_MAX_RESULTS)

    async def run(self) -> None:
        """Stay connected until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._obey())
            group.create_task(self._stay_connected())

    async def _stay_connected(self) -> None:
        attempt = 0
        while True:
            timing = self._timing
            await asyncio.sleep(pause_s(attempt, timing.retry_base_s, timing.retry_cap_s, self._random.random()))
            stood_s = await self._connect_once()
            attempt = 0 if stood_s >= _STABLE_S else attempt + 1

    async def _connect_once(self) -> float:
        """Hold one connection until it is lost and return how long it stood, in seconds."""
        since_s = clock.monotonic_s()
        try:
            async with self._upstream.connect() as link:
                since_s = clock.monotonic_s()
                self.protocol = link.protocol
                log.info("upstream connected", url=self._upstream.url, protocol=link.protocol)
                self._asked_ms, self._time_told = None, False
                await _together(
                    self._listen(link),
                    self._drain(link),
                    self._ask_time(link),
                    self._tell_state(link),
                    self._tell_results(link),
                )
        except* UpstreamLostError as lost:
            problems = sorted({str(error) for error in lost.exceptions})
            self._warn("upstream lost" if self.protocol else "upstream not reached", problem=", ".join(problems))
        finally:
            stood_s = clock.monotonic_s() - since_s if self.protocol else 0.0
            self.protocol = None
        return stood_s

    async def _listen(self, link: Link) -> None:
        async for message in link.incoming():
            if isinstance(message, Ack):
                await self._acknowledge(message)
                continue
            if isinstance(message, Time):
                self._hear_time(message)
                continue
            try:
                self._waiting.put_nowait(message)
            except asyncio.QueueFull:
                self.dropped["command_flood"] += 1
                self._warn("too many commands, one dropped")
        raise UpstreamLostError("the connection ended")

    def _hear_time(self, told: Time) -> None:
        if self._wall.take(told, self._asked_ms):
            self._time_told = True
        else:
            self._warn("time of the backend not believed", wall_ms=told.wall_ms, asked_ms=told.asked_ms)

    async def _acknowledge(self, ack: Ack) -> None:
        status = self._journal.status()
        if ack.log_id != status.log_id or ack.upto > status.last_seq:
            self.dropped["foreign_ack"] += 1
            self._warn("acknowledgement of something never sent", log_id=ack.log_id, upto=ack.upto)
            return
        try:
            await self._journal.acknowledge(ack.log_id, ack.upto)
        except JournalFailedError as error:
            self._warn("acknowledgement not kept, facts will be sent again", problem=error.problem)
        self._backend_heard.set()

    async def _drain(self, link: Link) -> None:
        window = await self._greet(link)
        while True:
            self._journal.changed.clear()
            status, now = self._journal.status(), clock.monotonic_s()
            window = window.after_ack(status.acked_seq, now, self._random.random())
            if window.after_waiting(now) is not window:
                window = window.after_waiting(now)
                # Says nothing about why: no backend, no right to publish, or no way back all look like this.
                self._warn("backend does not confirm, sent again", first=window.acked + 1, attempt=window.attempt)
            batch = await self._next_batch(window)
            if batch is not None:
                await link.facts(batch)
                window = window.after_sending(batch.facts[-1].seq, clock.monotonic_s(), self._random.random())
                continue
            overdue_s = _LOOK_S if window.deadline_s is None else max(0.0, window.deadline_s - now)
            await _happens(self._journal.changed, min(_LOOK_S, overdue_s))

    async def _greet(self, link: Link) -> Window:
        """Say hello as soon as it is known which log this is, and give the backend a moment to say where it stands.

        What is sent before a backend listens is lost; what it has already is sent in vain.
        """
        while not self._journal.status().log_id:
            await _happens(self._journal.changed, _LOOK_S)
        self._backend_heard.clear()
        await self._say_hello(link)
        await _happens(self._backend_heard, _GREETING_S)
        status = self._journal.status()
        return Window(acked=status.acked_seq, sent=status.acked_seq, timeout_s=self._timing.ack_timeout_s)

    async def _say_hello(self, link: Link) -> None:
        status = self._journal.status()
        self._asked_ms = clock.boottime_ms()
        await link.hello(
            Hello(
                version=__version__,
                log_id=status.log_id,
                first_unacked=status.acked_seq + 1,
                last=status.last_seq,
                head=status.head or NO_LINK,
                asked_ms=self._asked_ms,
            )
        )

    async def _ask_time(self, link: Link) -> None:
        """Say hello again when the time has not been told, or long ago. A backend need not tell it at all."""
        pause_s = _NO_TIME_S
        while True:
            await asyncio.sleep(pause_s)
            pause_s = _TIME_S if self._time_told else min(_TIME_S, 2 * pause_s)
            if self._journal.status().log_id and self._time_is_due():
                self._time_told = False
                await self._say_hello(link)

    def _time_is_due(self) -> bool:
        since_ms = None if self._asked_ms is None else clock.boottime_ms() - self._asked_ms
        return not self._time_told or since_ms is None or since_ms >= _TIME_S * 1000

    async def _next_batch(self, window: Window) -> FactBatch | None:
        limit = min(window.room, MAX_BATCH_FACTS)
        if limit == 0:
            return None
        try:
            facts = await self._journal.unacked(limit, after=window.sent)
        except JournalFailedError as error:
            self._warn("outbox cannot be read", problem=error.problem)
            return None
        return FactBatch(log_id=self._journal.status().log_id, facts=fit(facts)) if facts else None

    async def _tell_state(self, link: Link) -> None:
        told, told_at_s = None, 0.0
        while True:
            now, state = clock.monotonic_s(), self._state()
            if now - told_at_s >= _STATE_S or differs(told, state):
                await link.state(state)
                told, told_at_s = state, now
            await asyncio.sleep(_LOOK_S)

    async def _obey(self) -> None:
        while True:
            result = await self._commands.handle(await self._waiting.get())
            if self._results.full():
                self._results.get_nowait()  # whoever still wants it asks again and gets the stored one
            self._results.put_nowait(result)

    async def _tell_results(self, link: Link) -> None:
        while True:
            await link.result(await self._results.get())

    def _warn(self, event: str, **fields: object) -> None:
        held_back = self._limiter.admit(event, clock.monotonic_s())
        if held_back is not None:
            log.warning(event, **fields, held_back=held_back)


async def _together(*parts: Coroutine[None, None, None]) -> None:
    """Run ``parts`` until one fails, end the others and raise what failed.

    Not a TaskGroup: that of Python 3.11 forgets that it was cancelled when a part fails in the same turn of the loop.
    """
    tasks = [asyncio.create_task(part) for part in parts]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
    finally:
        for task in tasks:
            task.cancel()
        ends = await asyncio.gather(*tasks, return_exceptions=True)
    errors = [end for end in ends if isinstance(end, Exception)]
    if errors:
        raise ExceptionGroup("a part failed", errors)


async def _happens(event: asyncio.Event, within_s: float) -> None:
    """Wait for ``event``, and no longer than that."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(within_s):
            await event.wait()
