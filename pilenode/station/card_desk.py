"""What a swipe means: nothing new, a card to learn, the end of a session, its beginning, or a refusal.

In this order:
1. within the debounce window it is the swipe before, and nothing happens;
2. a reader that waits for a card to learn takes it;
3. the card has a session at a port of this reader: the swipe ends it. A stop needs no list, no money and no journal;
4. else it asks for a session: at the first port of the reader, in the order of its list, where one may start.

With ``per_card_sessions`` above 1 a card (a staff card always) begins further sessions while it may, and ends its
oldest one at this reader when it may not. A staff card ends only where none of the reader's ports is free.

A session by card is paid afterwards, so what it may cost is bounded beforehand: the engine gets ``amount_fen``, ends
the session there, and writes it into ``session_started`` as the limit of its payment.

The engine and everything else are reached through ``Engine``, so that this file can be tried without any of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

import structlog

from pilenode.ipc.messages import Refused
from pilenode.station.cards import Debounce, RefusalRoom, Verdict, judge
from pilenode.station.entries import JournalConflictError, JournalFailedError, NewFact
from pilenode.upstream.facts import MAX_WORDS, FactKind, StartRefused

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from pilenode.ipc.messages import Done, StartReply
    from pilenode.station.card_book import CardBook, Learning
    from pilenode.station.cards import Rules
    from pilenode.station.wallclock import Stamp

#: What a swipe led to when it was no refusal.
STARTED: Final = "started"
ENDED: Final = "ended"
LEARNED: Final = "learned"
REPEATED: Final = "repeated"

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class CardStart:
    """A session that a card asks for. ``amount_fen`` is the most it may cost, ``offline``: the backend is away."""

    port: int
    order: str
    card: str
    reader: str
    amount_fen: int
    offline: bool


@dataclass(frozen=True, slots=True)
class Running:
    """A session that has no end yet. ``card`` None: nobody's card began it."""

    port: int
    session: str
    card: str | None


class Engine(Protocol):
    """What starts and ends sessions."""

    async def start(self, wish: CardStart) -> StartReply | Refused:
        """Start a session that ends when it costs ``amount_fen``; a refusal is on record already."""

    async def stop(self, port: int, reason: str, *, session: str) -> Done | Refused:
        """End that session."""

    def running(self) -> Sequence[Running]:
        """Return the sessions that have no end yet, oldest first."""

    def why_not(self, port: int) -> Refused | None:
        """Return why no session may start on ``port`` now, as far as can be told without asking anybody."""


class Records(Protocol):
    """The journal, as much of it as a swipe needs (``journal.Journal``)."""

    async def append(self, facts: Sequence[NewFact]) -> list[int]:
        """Make facts durable."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a swipe. ``code``: a word above, or a refusal. ``amount_fen``: what a session may cost."""

    reader: str
    card: str
    code: str
    port: int | None = None
    session: str | None = None
    amount_fen: int | None = None
    detail: str = ""


class CardDesk:
    """Judges swipes one at a time: the caller awaits one before it brings the next.

    ``ports`` are those of each reader, in its order. ``caught_up`` brings ``book`` up to date with the journal and
    returns whether it is. ``connected`` tells whether the backend is there, ``now`` what time it is.
    """

    def __init__(  # noqa: PLR0913 - everything that a swipe depends on, each given by the one who wires
        self,
        *,
        book: CardBook,
        rules: Rules,
        ports: Mapping[str, Sequence[int]],
        engine: Engine,
        records: Records,
        caught_up: Callable[[], Awaitable[bool]],
        connected: Callable[[], bool],
        now: Callable[[], Stamp],
    ) -> None:
        self._book = book
        self._rules = rules
        self._ports = ports
        self._engine = engine
        self._records = records
        self._caught_up = caught_up
        self._connected = connected
        self._now = now
        self._debounce = Debounce(rules.debounce_ms)
        self._room = RefusalRoom()

    async def swipe(self, reader: str, card: str, at_ms: int) -> Outcome:
        """Do what the swipe of ``card`` at ``reader`` means. ``at_ms``: when, on any clock that only goes on."""
        if self._debounce.repeated(reader, card, at_ms):
            return Outcome(reader, card, REPEATED)
        learning = self._book.learning(reader, self._now().boottime_ms)
        if learning is not None:
            return await self._learn(card, learning)
        mine = [one for one in self._engine.running() if one.card == card]
        here = [one for one in mine if one.port in self._ports[reader]]
        if here and not self._may_have_another(card, len(mine), reader):
            return await self._end(reader, here[0])
        return await self._begin(reader, card, len(mine), at_ms)

    # -- the three things that can happen ----------------------------------------------------------------------

    async def _learn(self, card: str, learning: Learning) -> Outcome:
        reader = learning.act.reader
        if not await self._caught_up():
            return Outcome(reader, card, "journal_failed")
        fact = self._book.learned(card, learning)
        if isinstance(fact, Refused):
            return Outcome(reader, card, fact.code)
        problem = await self._write(fact)
        await self._caught_up()
        return Outcome(reader, card, problem or LEARNED)

    async def _end(self, reader: str, running: Running) -> Outcome:
        reply = await self._engine.stop(running.port, "user", session=running.session)
        code = reply.code if isinstance(reply, Refused) else ENDED
        return Outcome(reader, running.card or "", code, running.port, running.session)

    async def _begin(self, reader: str, card: str, running: int, at_ms: int) -> Outcome:
        if not await self._caught_up():
            return Outcome(reader, card, "journal_failed")
        now, connected = self._now(), self._connected()
        port, obstacle = self._port(reader)
        usage = self._book.exposure.usage(card, now, running)
        present = self._book.exposure.present(now)
        verdict = judge(card, self._book.book, self._rules, usage, present, connected=connected)
        if not verdict.code and obstacle is not None:
            verdict = Verdict(obstacle.code, detail=obstacle.detail)
        order = order_of(now, card)
        if verdict.code:
            if self._room.take(reader, at_ms):
                await self._write(_refusal(order, port, card, verdict))
            return Outcome(reader, card, verdict.code, port, detail=verdict.detail)
        wish = CardStart(port, order, card, reader, verdict.amount_fen, offline=not connected)
        reply = await self._engine.start(wish)
        if isinstance(reply, Refused):
            return Outcome(reader, card, reply.code, port, detail=reply.detail)
        await self._caught_up()  # what is shown counts the reserve at once
        return Outcome(reader, card, STARTED, port, reply.session, verdict.amount_fen)

    # -- what they need ----------------------------------------------------------------------------------------

    def _may_have_another(self, card: str, running: int, reader: str) -> bool:
        book = self._book.book
        known = (book.listed.cards.get(card) if book.listed is not None else None) or book.learned.get(card)
        if known is not None and known.kind == "staff":
            return self._port(reader)[1] is None
        return running < self._rules.per_card_sessions

    def _port(self, reader: str) -> tuple[int, Refused | None]:
        """Return the first port of a reader where a session may start; else its first one, and why not there."""
        first: Refused | None = None
        for port in self._ports[reader]:
            obstacle = self._engine.why_not(port)
            if obstacle is None:
                return port, None
            first = first or obstacle
        return self._ports[reader][0], first

    async def _write(self, fact: NewFact) -> str:
        try:
            await self._records.append([fact])
        except (JournalFailedError, JournalConflictError) as error:
            log.warning("fact about a card not kept", kind=str(fact.kind), problem=str(error))
            return "journal_failed"
        return ""


def order_of(now: Stamp, card: str) -> str:
    """Return the order id of a swipe: boot, time since that boot and card, so no other swipe anywhere has it.

    Two cabinets that were given one boot id would still need one card at both in the same millisecond.
    """
    return f"card-{now.boot[:8]}-{now.boottime_ms}-{card[:8]}"


def _refusal(order: str, port: int, card: str, verdict: Verdict) -> NewFact:
    body = StartRefused(
        order=order, port=port, source="card", code=verdict.code, detail=verdict.detail[:MAX_WORDS], card=card
    )
    return NewFact(FactKind.START_REFUSED, body)
