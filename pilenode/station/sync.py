"""Brings the outbox to the backend and the backend's commands to the sessions. Never gives up, never in a hurry.

Rules of this file:
- a fact is done when the journal has the backend's acknowledgement; that a broker took it means nothing;
- only a backend with the same history is believed (``confirmations``);
- a lost connection cancels what belongs to the connection only. A command that has begun is carried through;
- a journal that cannot be read stops the draining, not the connection.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections import Counter
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Final

import structlog

from pilenode import __version__, clock
from pilenode.log import RateLimiter
from pilenode.station import reconnect
from pilenode.station.confirmations import Pending, Verdict, judge, may_be_given_up
from pilenode.station.drain import Drain, happens
from pilenode.station.entries import JournalFailedError
from pilenode.station.outbox import Pace, Patience, Window
from pilenode.station.reconnect import Ending
from pilenode.station.telling import Telling
from pilenode.station.timekeeper import WallClock
from pilenode.upstream.contract import NO_LINK, Ack, Hello, NotTakenError, Problem, Time, UpstreamLostError
from pilenode.upstream.desired import IncomingConfig
from pilenode.upstream.facts import FactKind

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator

    from config.schema import Upstream as Settings
    from pilenode.station.commands import Commands
    from pilenode.station.journal import Journal
    from pilenode.upstream.contract import IncomingCommand, Link, Resend, StateReport, Upstream
    from pilenode.upstream.facts import CommandResult

#: A connection that stood this long was a good one: the next pause is short again, seconds.
STABLE_S: Final = 300.0
#: How often the outbox is looked at without being told that it changed, and the state for changes, seconds.
_LOOK_S: Final = 1.0
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
    """Pauses, patience and pace of the connection, seconds and bytes per second (``config.schema.Upstream``)."""

    retry_base_s: float
    retry_cap_s: float
    ack_timeout_s: float
    spread_s: float = 0.0
    telemetry_s: float = 1800.0
    drain_bytes_s: float = 16_000.0

    @classmethod
    def of(cls, settings: Settings) -> Timing:
        """Return those of a configuration."""
        return cls(**{field.name: getattr(settings, field.name) for field in fields(cls)})


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
        self.take_config: Callable[[bytes], None] = self._drop_config  # whoever wants it puts himself here
        self._journal = journal
        self._upstream = upstream
        self._commands = commands
        self._state = state
        self._timing = timing
        self._wall = wall or WallClock()
        self._asked_ms: int | None = None  # when this connection last asked for the time
        self._time_told = False  # since then
        self._drain: Drain | None = None  # of this connection
        self._wanted: Resend | None = None  # again, before there was a drain
        self._refused: Problem | None = None  # what the broker did not take last
        self._contradiction: Ack | None = None  # told once on this connection
        self._random = random.SystemRandom()
        self._limiter = RateLimiter()
        self._backend_heard = asyncio.Event()  # on this connection
        self._waiting: asyncio.Queue[IncomingCommand] = asyncio.Queue(_MAX_COMMANDS)
        self._results: asyncio.Queue[CommandResult] = asyncio.Queue(_MAX_RESULTS)

    @property
    def problem(self) -> Problem | None:
        """Return what is wrong with the connection that stands, None while nothing is."""
        if self._contradiction is not None:
            return Problem("backend_disagrees", str(self._contradiction.upto))
        return (self._drain.problem if self._drain is not None else None) or self._refused

    async def run(self) -> None:
        """Stay connected until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._obey())
            group.create_task(self._stay_connected())

    async def _stay_connected(self) -> None:
        timing = self._timing
        pauses = {"base_s": timing.retry_base_s, "cap_s": timing.retry_cap_s, "spread_s": timing.spread_s}
        turn = reconnect.first(timing.retry_base_s, self._random.random())
        while True:
            await asyncio.sleep(turn.pause_s)
            ending = await self._connect_once()
            turn = reconnect.after(ending, turn, **pauses, chance=self._random.random())

    async def _connect_once(self) -> Ending:
        """Hold one connection until it is lost and return how it ended."""
        since_s, no_way_out = clock.monotonic_s(), False
        try:
            async with self._upstream.connect() as link:
                since_s = clock.monotonic_s()
                self.protocol = link.protocol
                log.info("upstream connected", url=self._upstream.url, protocol=link.protocol)
                self._asked_ms, self._time_told, self._wanted = None, False, None
                self._refused = self._contradiction = None
                pending = Pending()
                await _together(
                    self._listen(link, pending),
                    self._keep_confirmations(link, pending),
                    self._send_facts(link),
                    self._ask_time(link),
                    self._tell_state(link),
                    self._tell_results(link),
                )
        except* UpstreamLostError as lost:
            no_way_out = _all_local(lost)
            problems = sorted({str(error) for error in lost.exceptions})
            self._warn("upstream lost" if self.protocol else "upstream not reached", problem=", ".join(problems))
        finally:
            stood_s = clock.monotonic_s() - since_s if self.protocol is not None else None
            self.protocol = self._drain = None
        if no_way_out:
            return Ending.NO_WAY_OUT
        if stood_s is None:
            return Ending.FAILED
        return Ending.STOOD if stood_s >= STABLE_S else Ending.BROKE

    async def _listen(self, link: Link, pending: Pending) -> None:
        async for message in link.incoming():
            if isinstance(message, Ack):
                pending.add(message)
                continue
            if isinstance(message, Time):
                self._hear_time(message)
                continue
            if isinstance(message, IncomingConfig):
                self.take_config(message.payload)
                continue
            try:
                self._waiting.put_nowait(message)
            except asyncio.QueueFull:
                self.dropped["command_flood"] += 1
                self._warn("too many commands, one dropped")
        raise UpstreamLostError("the connection ended")

    def _drop_config(self, payload: bytes) -> None:
        self.dropped["config"] += bool(payload)

    def _hear_time(self, told: Time) -> None:
        if self._wall.take(told, self._asked_ms):
            self._time_told = True
        else:
            self._warn("time of the backend not believed", wall_ms=told.wall_ms, asked_ms=told.asked_ms)

    async def _keep_confirmations(self, link: Link, pending: Pending) -> None:
        while True:
            await self._acknowledge(await pending.next(), link)

    async def _acknowledge(self, ack: Ack, link: Link) -> None:
        try:
            known = await self._journal.link_at(ack.upto)
            verdict = judge(ack, self._journal.status(), known)
            if verdict is Verdict.FOREIGN:
                self.dropped["foreign_ack"] += 1
                self._warn("acknowledgement of another log", log_id=ack.log_id, upto=ack.upto)
                return
            if verdict is Verdict.DIFFERS:
                await self._contradicted(ack, link)
                return
            self._refused = self._contradiction = None  # somebody listens, and knows the same history
            await self._journal.acknowledge(ack.log_id, ack.upto)
        except JournalFailedError as error:
            self._warn("acknowledgement not kept, facts will be sent again", problem=error.problem)
        self._backend_heard.set()
        if self._drain is not None:
            self._drain.backend_is_there()
        if ack.resend is not None and self._drain is not None:
            self._drain.resend(ack.resend)
        elif ack.resend is not None:
            self._wanted = ack.resend  # in the answer to the hello, before anything is sent

    async def _contradicted(self, ack: Ack, link: Link) -> None:
        """Ask again; give this log up when the backend says for the second time that it holds another history."""
        self.dropped["contradiction"] += 1
        self._warn("backend holds another history of this log", upto=ack.upto, last=self._journal.status().last_seq)
        told, self._contradiction = self._contradiction, ack
        if told is None or (told.log_id, told.upto, told.hash) != (ack.log_id, ack.upto, ack.hash):
            await self._say_hello(link)
            return
        self._contradiction = None
        status, salvaged = self._journal.status(), await self._journal.facts([FactKind.LOG_SALVAGED], 0, 1)
        if may_be_given_up(status, salvaged[0] if salvaged else None, self._wall.stamp()):
            log.error("this log is given up", log_id=ack.log_id, upto=ack.upto, last=status.last_seq)
            await self._journal.renounce(ack.log_id, f"the backend holds {ack.upto} with another link")

    async def _send_facts(self, link: Link) -> None:
        await self._greet(link)
        status, timing = self._journal.status(), self._timing
        window = Window(
            acked=status.acked_seq, sent=status.acked_seq, timeout_s=timing.ack_timeout_s, mark=status.last_seq
        )
        self._drain = Drain(self._journal, window, Pace(timing.drain_bytes_s), Patience(timing.telemetry_s), self._warn)
        wanted, self._wanted = self._wanted, None
        if wanted is not None:
            self._drain.resend(wanted)
        await self._drain.run(link)

    async def _greet(self, link: Link) -> None:
        """Say hello as soon as it is known which log this is, and give the backend a moment to say where it stands.

        What is sent before a backend listens is lost; what it has already is sent in vain.
        """
        while not self._journal.status().log_id:
            await happens(self._journal.changed, _LOOK_S)
        log_id = self._journal.status().log_id
        self._backend_heard.clear()
        await self._say_hello(link)
        await happens(self._backend_heard, _GREETING_S)
        if self._journal.status().log_id != log_id:
            raise UpstreamLostError("the log is another one")

    async def _say_hello(self, link: Link) -> None:
        status = self._journal.status()
        self._asked_ms = clock.boottime_ms()
        hello = Hello(
            version=__version__,
            log_id=status.log_id,
            first_unacked=status.acked_seq + 1,
            last=status.last_seq,
            head=status.head or NO_LINK,
            asked_ms=self._asked_ms,
        )
        with self._noting():
            await link.hello(hello)

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

    async def _tell_state(self, link: Link) -> None:
        telling = Telling()
        while True:
            now, state = clock.monotonic_s(), self._state()
            if telling.is_due(state, now):
                with self._noting():
                    await link.state(state)
                telling = telling.after(state, now)
            await asyncio.sleep(_LOOK_S)

    async def _obey(self) -> None:
        while True:
            result = await self._commands.handle(await self._waiting.get())
            if self._results.full():
                self._results.get_nowait()  # whoever still wants it asks again and gets the stored one
            self._results.put_nowait(result)

    async def _tell_results(self, link: Link) -> None:
        while True:
            result = await self._results.get()
            with self._noting():
                await link.result(result)

    @contextlib.contextmanager
    def _noting(self) -> Iterator[None]:
        """Note that the broker did not take something other than facts; it is said anew, or asked for again."""
        try:
            yield
        except NotTakenError as error:
            self._refused = error.problem
            self._warn("broker does not take a message", code=error.problem.code, reason=error.problem.detail)
        else:
            self._refused = None

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


def _all_local(lost: BaseExceptionGroup[UpstreamLostError]) -> bool:
    """Return whether nothing had left this machine when the connection failed."""
    return all(isinstance(error, UpstreamLostError) and error.local for error in lost.exceptions)
