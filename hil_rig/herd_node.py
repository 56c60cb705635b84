"""Many simulated cabinets in one event loop: a log of facts each, and the product's own rules of reconnecting.

What is simulated is the cabinet; pauses (``pilenode.station.reconnect``), messages (``pilenode.upstream``) and links of
facts are the shipped ones. A fact is done when the backend's acknowledgement names its link.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import msgspec

from hil_rig import herd_packets as packets
from hil_rig.contract.samples import facts as samples
from hil_rig.herd_packets import Kind
from pilenode import __version__, clock
from pilenode.station import reconnect
from pilenode.station.reconnect import Ending, Turn
from pilenode.upstream.contract import (
    MAX_BATCH_FACTS,
    NO_LINK,
    Ack,
    FactBatch,
    Hello,
    Live,
    StateReport,
    down,
    up,
)
from pilenode.upstream.facts import GENESIS, Fact, FactKind, link
from pilenode.upstream.packing import pack, thinned

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pilenode.upstream.contract import UpLeaf

_KEEPALIVE_S: Final = 240
#: How long an answer to CONNECT is waited for, and one to a hello before facts are sent all the same, seconds.
_PATIENCE_S: Final = 20.0
_GREETING_S: Final = 2.0
_KINDS: Final = (FactKind.SESSION_STARTED, FactKind.CHECKPOINT, FactKind.SESSION_ENDED)
_MOST_NUMBERS: Final = 60_000
#: Connections that one loop opens at the same time; a listening socket takes no more.
_OPENING: Final = 200


@dataclass(frozen=True, slots=True)
class Rules:
    """How cabinets behave; times in seconds. ``stable_s``: a connection that stood this long was a good one."""

    port: int
    base_s: float
    cap_s: float
    spread_s: float
    stable_s: float
    ack_timeout_s: float = 30.0


@dataclass(slots=True)
class Tally:
    """What happened to all of them. Moments are CLOCK_MONOTONIC, whole seconds.

    ``due``: when attempts were to begin by the rule; ``latest_s``: how much later than that one began, at most, because
    this machine had no time for it.
    """

    connacks: Counter[int] = field(default_factory=Counter)
    due: Counter[int] = field(default_factory=Counter)
    latest_s: float = 0.0
    failed: Counter[str] = field(default_factory=Counter)
    longest_pause_s: float = 0.0
    longest_connect_s: float = 0.0
    contradicted: int = 0
    resent: int = 0

    def summary(self) -> dict[str, object]:
        """Return it as plain data."""
        fields = {name: getattr(self, name) for name in self.__slots__}
        return {name: dict(value) if isinstance(value, Counter) else value for name, value in fields.items()}


class Node:
    """One cabinet. ``facts`` is its log, ``acked`` how much of it is confirmed."""

    def __init__(self, number: int, rules: Rules, tally: Tally, opening: asyncio.Semaphore) -> None:
        self.name = f"herd-{number:05d}"
        self.log_id = f"{number:016x}"
        self.facts: list[Fact] = []
        self.acked = 0
        self.connected = False
        self._rules, self._tally, self._opening = rules, tally, opening
        self._news, self._heard = asyncio.Event(), asyncio.Event()
        self._numbers = self._count()
        for _ in range(len(_KINDS)):
            self.write()

    @property
    def drained(self) -> bool:
        """Whether every fact is confirmed."""
        return self.acked == len(self.facts)

    def write(self) -> None:
        """Add a fact to the log."""
        seq = len(self.facts) + 1
        sample = _SAMPLES[_KINDS[(seq - 1) % len(_KINDS)]]
        session = f"{self.log_id}-{(seq - 1) // len(_KINDS)}"
        fact = msgspec.structs.replace(sample, seq=seq, session=session, hash="")
        before = bytes.fromhex(self.facts[-1].hash) if self.facts else GENESIS
        self.facts.append(msgspec.structs.replace(fact, hash=link(before, self.log_id, fact).hex()))
        self._news.set()

    async def live(self) -> None:
        """Stay connected until cancelled."""
        chance = random.Random(self.name).random
        turn = self._next(Ending.STOOD, Turn(0.0), chance())  # as if all had lost a broker that is back
        while True:
            self._tally.longest_pause_s = max(self._tally.longest_pause_s, turn.pause_s)
            due_s = clock.monotonic_s() + turn.pause_s
            await asyncio.sleep(turn.pause_s)
            self._tally.due[int(due_s)] += 1
            self._tally.latest_s = max(self._tally.latest_s, clock.monotonic_s() - due_s)
            turn = self._next(await self._connection(), turn, chance())

    def _next(self, ending: Ending, turn: Turn, chance: float) -> Turn:
        rules = self._rules
        return reconnect.after(
            ending, turn, base_s=rules.base_s, cap_s=rules.cap_s, spread_s=rules.spread_s, chance=chance
        )

    async def _connection(self) -> Ending:
        """Hold one connection until it is lost and return how it ended."""
        tally, began_s = self._tally, clock.monotonic_s()
        since_s: float | None = None
        writer: asyncio.StreamWriter | None = None
        try:
            async with self._opening, asyncio.timeout(_PATIENCE_S):
                reader, writer = await asyncio.open_connection("127.0.0.1", self._rules.port)
                gone = msgspec.json.encode(Live(session=1, online=False))
                writer.write(packets.connect(self.name, _KEEPALIVE_S, up(self.name, "live"), gone))
                answer = await packets.read(reader)
            if answer.kind is not Kind.CONNACK or answer.body[1:] != b"\x00":
                tally.failed["refused"] += 1
                return Ending.FAILED
            since_s = clock.monotonic_s()
            tally.connacks[int(since_s)] += 1
            tally.longest_connect_s = max(tally.longest_connect_s, since_s - began_s)
            self.connected = True
            await self._converse(reader, writer)
        except (OSError, EOFError, packets.GarbledError) as error:  # TimeoutError is an OSError
            if since_s is None:
                tally.failed[type(error).__name__] += 1
        finally:
            self.connected = False
            if writer is not None:
                writer.transport.abort()
        if since_s is None:
            return Ending.FAILED
        return Ending.STOOD if clock.monotonic_s() - since_s >= self._rules.stable_s else Ending.BROKE

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Say what a cabinet says on a new connection, and go on until it is lost."""
        self._heard.clear()
        topics = (down(self.name, "ack"), down(self.name, "cmd"), down(self.name, "time"))
        writer.write(packets.subscribe(next(self._numbers), topics))
        listening = asyncio.create_task(self._listen(reader, writer))
        telling = asyncio.create_task(self._tell(writer))
        try:
            await asyncio.wait((listening, telling), return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (listening, telling):
                task.cancel()
            ends = await asyncio.gather(listening, telling, return_exceptions=True)
        for end in ends:
            if isinstance(end, Exception):
                raise end

    async def _listen(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            try:
                async with asyncio.timeout(_KEEPALIVE_S):
                    packet = await packets.read(reader)
            except TimeoutError:
                writer.write(packets.PING)
                continue
            if packet.kind is Kind.PUBLISH:
                topic, number, payload = packets.published(packet)
                if number:
                    writer.write(packets.puback(number))
                if topic == down(self.name, "ack"):
                    self._hear(msgspec.json.decode(payload, type=Ack))

    def _hear(self, ack: Ack) -> None:
        if ack.log_id == self.log_id and ack.upto <= len(self.facts):
            known = self.facts[ack.upto - 1].hash if ack.upto else NO_LINK
            if ack.hash == known:
                self.acked = max(self.acked, ack.upto)
            else:
                self._tally.contradicted += 1
        self._heard.set()

    async def _tell(self, writer: asyncio.StreamWriter) -> None:
        """Say hello and the state, then facts whenever there are new ones, again when nobody confirms them."""
        self._say(writer, "live", msgspec.json.encode(Live(session=1, online=True)), retain=True)
        last = len(self.facts)
        hello = Hello(
            version=__version__,
            log_id=self.log_id,
            first_unacked=self.acked + 1,
            last=last,
            head=self.facts[-1].hash if last else NO_LINK,
            asked_ms=clock.boottime_ms(),
        )
        self._say(writer, "hello", msgspec.json.encode(hello))
        await _happens(self._heard, _GREETING_S)
        self._say(writer, "st", _STATE, retain=True)
        sent = self.acked
        while True:
            self._news.clear()
            waiting = self.facts[max(sent, self.acked) :][:MAX_BATCH_FACTS]
            if waiting:
                self._say(writer, "ev", pack(FactBatch(log_id=self.log_id, facts=thinned(waiting))))
                sent = waiting[-1].seq
            await writer.drain()
            if await _happens(self._news, self._rules.ack_timeout_s):
                continue
            if not self.drained:
                self._tally.resent += 1
                sent = self.acked

    def _say(self, writer: asyncio.StreamWriter, leaf: UpLeaf, payload: bytes, *, retain: bool = False) -> None:
        writer.write(packets.publish(next(self._numbers), up(self.name, leaf), payload, retain=retain))

    @staticmethod
    def _count() -> Iterator[int]:
        while True:
            yield from range(1, _MOST_NUMBERS)


_SAMPLES: Final = {fact.kind: fact for fact in samples()}
_STATE: Final = msgspec.json.encode(
    StateReport(wall_ms=_SAMPLES[FactKind.CHECKPOINT].wall_ms, clock="ntp", guard=True, journal_ok=True)
)


async def _happens(event: asyncio.Event, within_s: float) -> bool:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(within_s):
            await event.wait()
            return True
    return False


class Herd:
    """Cabinets ``first`` to ``first + count - 1``."""

    def __init__(self, first: int, count: int, rules: Rules) -> None:
        self.tally = Tally()
        opening = asyncio.Semaphore(_OPENING)
        self.nodes = [Node(number, rules, self.tally, opening) for number in range(first, first + count)]

    async def run(self) -> None:
        """Let all of them live until cancelled."""
        async with asyncio.TaskGroup() as group:
            for node in self.nodes:
                group.create_task(node.live())

    async def write(self, within_s: float) -> None:
        """Let each of them write one more fact, each at a moment of its own."""
        gap_s = within_s / len(self.nodes)
        for node in self.nodes:
            node.write()
            await asyncio.sleep(gap_s)

    def state(self) -> dict[str, int]:
        """Return how many are connected, how many have nothing left to say, and how many facts there are."""
        return {
            "connected": sum(node.connected for node in self.nodes),
            "drained": sum(node.drained for node in self.nodes),
            "facts": sum(len(node.facts) for node in self.nodes),
        }
