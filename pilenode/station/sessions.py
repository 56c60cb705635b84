"""The sessions of the cabinet: starts, stops, and one ``tick`` that keeps guard and the journal in step.

Order of things, so that a kill at any instruction leaves exactly one start and in the end exactly one end:
- ``session_started`` is durable before guard is asked for a lease;
- events of guard count as handled only after the facts made of them are durable;
- the picture of open sessions in memory follows the journal; after any trouble with the journal it is read again,
  because a write that failed may have happened all the same.

Starts, stops and ticks exclude each other, so that a snapshot from before a grant is never judged after it.
"""

from __future__ import annotations

import asyncio
import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import msgspec
import structlog

from pilenode import __version__, clock
from pilenode.ipc.messages import Done, Grant, Refused, Release, Renew, Reset, StartReply
from pilenode.station.entries import JournalConflictError, JournalFailedError, NewFact
from pilenode.station.faults import fault_facts
from pilenode.station.guard_link import GuardAbsentError
from pilenode.station.session import (
    LIVE,
    Ending,
    News,
    OpenSession,
    checkpoint,
    decide,
    restore,
    settle,
    strangers,
    why_not,
)
from pilenode.station.session_id import new_session_id
from pilenode.upstream.facts import MAX_WORDS, Boot, FactKind, FaultReset, SessionStarted, StartRefused

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pilenode.ipc.messages import Plan, Snapshot
    from pilenode.station.guard_link import GuardLink
    from pilenode.station.journal import Journal
    from pilenode.station.session import Reading
    from pilenode.upstream.facts import Fact, TariffTerms

#: A journal that failed is opened and checked again this often, seconds.
_RECOVER_S: Final = 2.0

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class StartRequest:
    """Who wants what. ``source`` is "cli", "upstream" or "card"; ``by`` is for people. The rest is for cards."""

    port: int
    order: str
    plan: Plan
    source: str
    by: str = ""
    card: str | None = None
    reserve_fen: int = 0
    offline: bool = False


@dataclass(frozen=True, slots=True)
class Terms:
    """What every session is run under: its lease, how often its reading is made durable (seconds), its prices."""

    lease_s: float
    checkpoint_s: float
    tariff: TariffTerms


class Sessions:
    """The controller. ``snapshot`` is guard's newest answer, None while guard does not answer."""

    def __init__(self, journal: Journal, guard: GuardLink, terms: Terms) -> None:
        self.snapshot: Snapshot | None = None
        self._journal = journal
        self._guard = guard
        self._terms = terms
        self._turn = asyncio.Lock()
        self._open: dict[str, OpenSession] = {}
        self._known = False  # the journal has been read at least once
        self._stale = True  # the journal must be read (again) before anything starts
        self._failed = False  # already said in the log
        self._booted = False
        self._recover_at_s = 0.0
        self._fault_event = ("", 0)  # guard boot, its newest event that is a fact
        self.asked_s = -math.inf  # when a start was last asked for
        self.tests_ordered: dict[str, str] = {}  # who ordered a periodic test of guard, by its kind

    @property
    def busy(self) -> bool:
        """Return whether a session is open, or guard shows one."""
        shown = self.snapshot.ports if self.snapshot is not None else []
        return bool(self._open) or any(port.state in LIVE for port in shown)

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
                    return _repeated(known, request)
                look = await self._look_for_start(request.port)
                if isinstance(look, Refused):
                    await self._journal.append([_refusal_fact(request, look)])
                    return look
                return await self._begin(request, look.guard_boot)
            except (JournalFailedError, JournalConflictError) as error:
                self._distrust(error)
                return Refused(code="journal_failed", detail=str(error)[:MAX_WORDS])

    async def stop(
        self, port: int, reason: str, *, session: str | None = None, order: str | None = None
    ) -> Done | Refused:
        """End what runs on ``port``; with ``session`` or ``order`` only if that is it. Needs no journal."""
        async with self._turn:
            try:
                shown = {item.port: item for item in (await self._guard.snapshot()).ports}.get(port)
                if shown is None:
                    return Refused(code="unknown_port")
                running = shown.session if shown.state in LIVE else None
                if running is None or session not in (None, running) or not self._has_order(running, order):
                    return Refused(code="wrong_session", detail=running or "")
                reply = await self._guard.request(Release(port=port, session=running, reason=reason))
            except GuardAbsentError as error:
                return Refused(code="guard_absent", detail=error.problem[:MAX_WORDS])
        # It may have ended by itself between the look and the release: what was asked for is true then, too.
        return reply if isinstance(reply, Refused) and reply.code != "session_ended" else Done()

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
            try:
                await self._journal.append([NewFact(FactKind.FAULT_RESET, FaultReset(port=port, by=by, repair=repair))])
            except JournalFailedError as error:
                self._distrust(error)
        return Done()

    async def tick(self) -> None:
        """Look at guard once and carry out what follows. Trouble with guard or the storage is not an exception."""
        async with self._turn:
            now = clock.monotonic_s()
            try:
                await self._read_journal(now)
            except (JournalFailedError, JournalConflictError) as error:
                self._distrust(error)
            try:
                # Without a journal nothing that guard told could be kept, so only its present state is asked for.
                news = News(await self._guard.snapshot()) if self._stale else await self._guard.look()
                if self.snapshot is None:
                    log.info("guard answers", guard_boot=news.snapshot.guard_boot)
                self.snapshot = news.snapshot
                await self._follow(news, now)
            except GuardAbsentError as error:
                if self.snapshot is not None:
                    log.warning("guard does not answer", problem=error.problem)
                self.snapshot = None

    # -- starting ----------------------------------------------------------------------------------------------

    async def _look_for_start(self, port: int) -> Snapshot | Refused:
        """Return guard's snapshot when a session may start on ``port``, else why not."""
        if self._stale:
            raise JournalFailedError(self._journal.status().problem or "not read yet")
        await self._journal.ensure_room()
        try:
            snapshot = await self._guard.snapshot()
        except GuardAbsentError as error:
            return Refused(code="guard_absent", detail=error.problem[:MAX_WORDS])
        taken = any(session.port == port for session in self._open.values())
        return why_not(port, snapshot, taken=taken) or snapshot

    async def _begin(self, request: StartRequest, guard_boot: str) -> StartReply | Refused:
        session = new_session_id(clock.wall_ms())
        started = SessionStarted(
            order=request.order,
            port=request.port,
            source=request.source,
            by=request.by,
            plan=request.plan,
            tariff=self._terms.tariff,
            guard_boot=guard_boot,
            card=request.card,
            reserve_fen=request.reserve_fen,
            offline=request.offline,
        )
        await self._journal.append([NewFact(FactKind.SESSION_STARTED, started, session)])
        self._open[session] = OpenSession(session, started)
        try:
            reply = await self._guard.request(
                Grant(port=request.port, session=session, ttl_s=self._terms.lease_s, plan=request.plan)
            )
        except GuardAbsentError as error:
            self._open[session] = replace(self._open[session], abandoned=True)
            return Refused(code="guard_absent", detail=error.problem[:MAX_WORDS])
        if not isinstance(reply, Refused):
            log.info("session started", session=session, port=request.port, order=request.order)
            return StartReply(session=session, port=request.port)
        # The refusal stands whether or not its end can be written now; the tick writes it otherwise.
        await self._write([Ending(session, "never_energised", reply.code, powered=False)])
        return reply

    def _has_order(self, session: str, order: str | None) -> bool:
        known = self._open.get(session)
        return order is None or (known is not None and known.started.order == order)

    # -- keeping step ------------------------------------------------------------------------------------------

    async def _read_journal(self, now: float) -> None:
        if self._journal.status().problem is not None:
            if now < self._recover_at_s:
                return
            self._recover_at_s = now + _RECOVER_S
            await self._journal.recover()
        if not self._booted:
            await self._journal.append([NewFact(FactKind.BOOT, Boot(version=__version__))])
            self._booted = True
        if not self._stale:
            return
        durable = [restore(facts) for facts in await self._journal.open_sessions()]
        # What this process has seen of a session since its last checkpoint is newer than what the journal holds.
        self._open = {session.session: self._open.get(session.session, session) for session in durable}
        self._fault_event = ("", 0)
        self._known, self._stale = True, False
        if self._failed:
            self._failed = False
            log.info("journal works again")

    def _distrust(self, error: Exception) -> None:
        self._stale = True
        if not self._failed:
            self._failed = True
            log.error("journal failed, no session starts", problem=str(error))

    async def _follow(self, news: News, now: float) -> None:
        if not self._known:
            # Which sessions are ours is not known. Guard holds only what was granted: nobody is cut for our trouble.
            await self._renew(strangers(news.snapshot, {}))
            return
        terms = self._terms
        decisions = decide(self._open, news, now=now, lease_s=terms.lease_s, checkpoint_s=terms.checkpoint_s)
        self._open |= decisions.sessions
        await self._renew(decisions.renew)
        for port, session in decisions.release:
            log.warning("running without a record, released", port=port, session=session)
            await self._guard.request(Release(port=port, session=session, reason="interrupted"))
        if self._stale:
            return
        try:
            faults, newest = await self._faults(news)
        except JournalFailedError as error:
            self._distrust(error)
            return
        if await self._write(decisions.endings, decisions.checkpoints, faults):
            for kept, _ in decisions.checkpoints:
                self._open[kept.session] = replace(kept, slot=decisions.slot)
            self._fault_event = (news.snapshot.guard_boot, newest)
            self._guard.handled(news)

    async def _renew(self, leases: Iterable[tuple[int, str]]) -> None:
        for port, session in leases:
            # A refusal needs no answer here: the next snapshot shows what became of the session.
            await self._guard.request(Renew(port=port, session=session, ttl_s=self._terms.lease_s))

    async def _faults(self, news: News) -> tuple[list[NewFact], int]:
        """Return the facts of guard's fault events that are none yet, and the newest event looked at."""
        boot, newest = self._fault_event
        if boot != news.snapshot.guard_boot:
            newest = await self._journal.last_guard_event(news.snapshot.guard_boot)
        return fault_facts(news, newest, self.tests_ordered), max([newest, *(event.seq for event in news.events)])

    async def _write(
        self,
        endings: Iterable[Ending],
        checkpoints: Iterable[tuple[OpenSession, Reading]] = (),
        faults: Iterable[NewFact] = (),
    ) -> bool:
        """Make all of it durable in one transaction and forget the sessions that ended. Returns whether it worked."""
        ended = {ending.session: settle(self._open[ending.session], ending) for ending in endings}
        facts = [*faults, *(NewFact(FactKind.SESSION_ENDED, body, session) for session, body in ended.items())]
        facts += [
            NewFact(FactKind.CHECKPOINT, checkpoint(session, reading), session.session)
            for session, reading in checkpoints
        ]
        if not facts:
            return True
        try:
            await self._journal.append(facts)
        except (JournalFailedError, JournalConflictError) as error:
            self._distrust(error)
            return False
        for session, body in ended.items():
            del self._open[session]
            log.info("session ended", session=session, port=body.port, reason=body.reason, energy_wh=body.energy_wh)
        return True


def _repeated(known: Fact, request: StartRequest) -> StartReply | Refused:
    """Answer a start whose order is known: the same session if it asks for the same, else a conflict."""
    started = msgspec.json.decode(known.body, type=SessionStarted)
    if (started.port, started.plan) != (request.port, request.plan) or known.session is None:
        return Refused(code="order_conflict")
    return StartReply(session=known.session, port=started.port, repeated=True)


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
