"""The sessions of the cabinet: starts, stops, and one ``tick`` that keeps guard and the journal in step.

Order of things, so that a kill at any instruction leaves exactly one start and in the end exactly one end:
- ``session_started`` is durable before guard is asked for a lease;
- the picture of open sessions in memory follows the journal (``book``), and guard is followed by ``keeper``.

Starts, stops and ticks exclude each other, so that a snapshot from before a grant is never judged after it.
"""

from __future__ import annotations

import asyncio
import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import msgspec
import structlog

from pilenode import clock
from pilenode.ipc.messages import Amend, Done, Grant, Refused, Release, Reset, StartReply
from pilenode.station import wallclock
from pilenode.station.book import Book
from pilenode.station.entries import JournalConflictError, JournalFailedError, NewFact
from pilenode.station.guard_link import GuardAbsentError
from pilenode.station.keeper import Keeper, to_moment
from pilenode.station.plans import modify
from pilenode.station.prices import Prices
from pilenode.station.session import LIVE, Ending, News, opened, session_of
from pilenode.station.session_id import new_session_id
from pilenode.station.start_rules import why_not
from pilenode.upstream.facts import (
    MAX_WORDS,
    FactKind,
    FaultReset,
    SessionEnded,
    SessionModified,
    SessionStarted,
    StartRefused,
)
from safety.catalogue import CATALOGUE, Kind

if TYPE_CHECKING:
    from collections.abc import Callable

    from pilenode.ipc.messages import Snapshot
    from pilenode.ipc.wish import Change, Wish
    from pilenode.station.guard_link import GuardLink
    from pilenode.station.house import House
    from pilenode.station.journal import Journal
    from pilenode.station.keeper import Terms
    from pilenode.station.wallclock import Stamp
    from pilenode.upstream.facts import Fact

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class StartRequest:
    """Who wants what. ``source`` is "cli", "upstream" or "card"; ``by`` is for people. The rest is for cards."""

    port: int
    order: str
    plan: Wish
    source: str
    by: str = ""
    card: str | None = None
    reserve_fen: int = 0
    offline: bool = False


class Sessions:
    """The controller. ``snapshot`` is guard's newest answer, None while guard does not answer."""

    def __init__(
        self,
        journal: Journal,
        guard: GuardLink,
        terms: Terms,
        house: House,
        now: Callable[[], Stamp] = wallclock.stamp,
    ) -> None:
        self.snapshot: Snapshot | None = None
        self.asked_s = -math.inf  # when a start was last asked for
        self.tests_ordered: dict[str, str] = {}  # who ordered a periodic test of guard, by its kind
        self._journal = journal
        self._guard = guard
        self._terms = terms
        self._house = house
        self._now = now
        self._turn = asyncio.Lock()
        self._book = Book(journal, lambda: to_moment(now()))
        self._keeper = Keeper(journal, guard, self._book, terms, house, now, self.tests_ordered)

    @property
    def busy(self) -> bool:
        """Return whether a session is open, or guard shows one."""
        shown = self.snapshot.ports if self.snapshot is not None else []
        return bool(self._book.sessions) or any(port.state in LIVE for port in shown)

    @property
    def running(self) -> tuple[OpenSession, ...]:
        """Return the sessions that have no end yet, oldest first."""
        return tuple(self._open.values())

    async def start(self, request: StartRequest) -> StartReply | Refused:
        """Start a session, or say why not. The same order again is the same session."""
        self.asked_s = clock.monotonic_s()
        async with self._turn:
            try:
                known = await self._journal.find_order(request.order)
                if known is not None:
                    return await self._repeated(known, request)
                look = await self._look_for_start(request)
                if isinstance(look, Refused):
                    await self._journal.append([_refusal_fact(request, look)])
                    return look
                return await self._begin(request, look.guard_boot)
            except (JournalFailedError, JournalConflictError) as error:
                self._book.distrust(error)
                return Refused(code="journal_failed", detail=str(error)[:MAX_WORDS])

    async def stop(
        self, port: int, reason: str, *, session: str | None = None, order: str | None = None
    ) -> Done | Refused:
        """End what is on ``port``; with ``session`` or ``order`` only if that is it. Power goes without a journal."""
        async with self._turn:
            paused = self._book.on(port)
            if paused is not None and paused.pause is not None:
                if session not in (None, paused.session) or order not in (None, paused.started.order):
                    return Refused(code="wrong_session", detail=paused.session)
                self._book.keep(replace(paused, stopped=reason))  # whatever becomes of the record, it stays dark
                written = await self._book.write([Ending(paused.session, reason)])
                return Done() if written else Refused(code="journal_failed")
            try:
                shown = {item.port: item for item in (await self._guard.snapshot()).ports}.get(port)
                if shown is None:
                    return Refused(code="unknown_port")
                lease = shown.session if shown.state in LIVE else None
                running = "" if lease is None else session_of(lease)
                if lease is None or session not in (None, running) or not self._has_order(running, order):
                    return Refused(code="wrong_session", detail=running)
                reply = await self._guard.request(Release(port=port, session=lease, reason=reason))
            except GuardAbsentError as error:
                return Refused(code="guard_absent", detail=error.problem[:MAX_WORDS])
        # It may have ended by itself between the look and the release: what was asked for is true then, too.
        return reply if isinstance(reply, Refused) and reply.code != "session_ended" else Done()

    async def modify(self, port: int, session: str, change: Change, source: str, by: str = "") -> Done | Refused:
        """Change the plan of an open session: durable first, then at guard, where what is used already ends it."""
        async with self._turn:
            known = self._book.sessions.get(session)
            if known is None or known.port != port:
                return Refused(code="wrong_session")
            wish = modify(known.plan, change, to_moment(self._now()).wall_ms)
            if isinstance(wish, Refused):
                return wish
            body = SessionModified(port=port, plan=wish, source=source, by=by)
            if not await self._book.append([NewFact(FactKind.SESSION_MODIFIED, body, session)]):
                return Refused(code="journal_failed")
            changed = replace(known, plan=wish)
            self._book.keep(changed)
            if changed.pause is not None:
                return Done()
            try:
                amend = Amend(port=port, session=changed.lease, plan=self._house.plan(changed))
                reply = await self._guard.request(amend)
            except GuardAbsentError as error:
                return Refused(code="guard_absent", detail=error.problem[:MAX_WORDS])
        return reply if isinstance(reply, Refused) else Done()

    async def reset_fault(self, port: int | None, by: str, repair: str = "") -> Done | Refused:
        """Release a latch at guard and record who did it."""
        async with self._turn:
            try:
                reply = await self._guard.request(Reset(port=port, by=by, repair=repair))
            except GuardAbsentError as error:
                return Refused(code="guard_absent", detail=error.problem[:MAX_WORDS])
            if isinstance(reply, Refused):
                return reply
            log.info("fault reset", port=port, by=by)
            await self._book.append([NewFact(FactKind.FAULT_RESET, FaultReset(port=port, by=by, repair=repair))])
        return Done()

    async def tick(self) -> None:
        """Look at guard once and carry out what follows. Trouble with guard or the storage is not an exception."""
        async with self._turn:
            now = clock.monotonic_s()
            try:
                if await self._book.read(now):
                    self._keeper.forget_events()
            except (JournalFailedError, JournalConflictError) as error:
                self._book.distrust(error)
            try:
                # Without a journal nothing that guard told could be kept, so only its present state is asked for.
                news = News(await self._guard.snapshot()) if self._book.stale else await self._guard.look()
                if self.snapshot is None:
                    log.info("guard answers", guard_boot=news.snapshot.guard_boot)
                self.snapshot = news.snapshot
                await self._keeper.follow(news, now)
            except GuardAbsentError as error:
                if self.snapshot is not None:
                    log.warning("guard does not answer", problem=error.problem)
                self.snapshot = None

    # -- starting ----------------------------------------------------------------------------------------------

    async def _look_for_start(self, request: StartRequest) -> Snapshot | Refused:
        """Return guard's snapshot when that session may start, else why not."""
        if self._book.stale:
            raise JournalFailedError(self._journal.status().problem or "not read yet")
        await self._journal.ensure_room()
        try:
            snapshot = await self._guard.snapshot()
        except GuardAbsentError as error:
            return Refused(code="guard_absent", detail=error.problem[:MAX_WORDS])
        taken = self._book.on(request.port) is not None
        return (
            why_not(request.port, snapshot, taken=taken) or self._house.why_not_start(request, self._now()) or snapshot
        )

    async def _begin(self, request: StartRequest, guard_boot: str) -> StartReply | Refused:
        at = to_moment(self._now())
        name = new_session_id(at.wall_ms or clock.wall_ms())
        prices = Prices(self._terms.tariff())
        started = SessionStarted(
            order=request.order,
            port=request.port,
            source=request.source,
            by=request.by,
            plan=request.plan,
            tariff=prices.ahead(at.wall_ms),
            tariff_version=prices.rate_at(at.wall_ms).version,
            guard_boot=guard_boot,
            card=request.card,
            reserve_fen=request.reserve_fen,
            offline=request.offline,
        )
        await self._journal.append([NewFact(FactKind.SESSION_STARTED, started, name)])
        session = opened(name, started, at)
        self._book.keep(session)
        try:
            reply = await self._guard.request(
                Grant(port=request.port, session=name, ttl_s=self._terms.lease_s, plan=self._house.plan(session))
            )
        except GuardAbsentError as error:
            self._book.keep(replace(session, abandoned=True))
            return Refused(code="guard_absent", detail=error.problem[:MAX_WORDS])
        if not isinstance(reply, Refused):
            log.info("session started", session=name, port=request.port, order=request.order)
            return StartReply(session=name, port=request.port)
        # The refusal stands whether or not its end can be written now; the tick writes it otherwise.
        await self._book.write([Ending(name, "never_energised", reply.code, powered=False)])
        return reply

    async def _repeated(self, known: Fact, request: StartRequest) -> StartReply | Refused:
        """Answer a start whose order is known as it was answered first; other content is a conflict."""
        started = msgspec.json.decode(known.body, type=SessionStarted)
        if (started.port, started.plan) != (request.port, request.plan) or known.session is None:
            return Refused(code="order_conflict")
        end = await self._journal.find_end(known.session)
        if end is not None:
            ended = msgspec.json.decode(end.body, type=SessionEnded)
            refusal = CATALOGUE.get(ended.detail)
            if ended.reason == "never_energised" and refusal is not None and refusal.kind is Kind.REFUSAL:
                return Refused(code=ended.detail)
        return StartReply(session=known.session, port=started.port, repeated=True)

    def _has_order(self, session: str, order: str | None) -> bool:
        known = self._book.sessions.get(session)
        return order is None or (known is not None and known.started.order == order)


def _refusal_fact(request: StartRequest, refusal: Refused) -> NewFact:
    body = StartRefused(
        order=request.order,
        port=request.port,
        source=request.source,
        code=refusal.code,
        detail=refusal.detail,
        card=request.card,
    )
    return NewFact(FactKind.START_REFUSED, body)
