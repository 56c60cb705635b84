"""The sessions of the cabinet: starts, stops, and one ``tick`` that keeps guard and the journal in step.

Order of things, so that a kill at any instruction leaves exactly one start and in the end exactly one end:
- ``session_started`` is durable before guard is asked for a lease;
- the picture of open sessions in memory follows the journal (``book``), and guard is followed by ``keeper``.

Starts, stops and ticks exclude each other, so that a snapshot from before a grant is never judged after it.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import msgspec
import structlog

from pilenode import clock
from pilenode.ipc.messages import Done, Grant, Refused, Release, Reset, StartReply
from pilenode.station import plans, wallclock
from pilenode.station.book import Book
from pilenode.station.entries import JournalConflictError, JournalFailedError, NewFact
from pilenode.station.guard_link import GuardAbsentError
from pilenode.station.house import known_ms
from pilenode.station.keeper import Keeper, holding, to_moment
from pilenode.station.load_values import Admit, Leave
from pilenode.station.plans import Over
from pilenode.station.prices import Prices
from pilenode.station.session import LIVE, Ending, News, opened, session_of
from pilenode.station.session_id import new_session_id
from pilenode.station.start_rules import why_not
from pilenode.upstream.facts import (
    MAX_WORDS,
    ActRefused,
    FactKind,
    FaultReset,
    SessionEnded,
    SessionModified,
    SessionStarted,
    StartRefused,
)
from pilenode.upstream.facts_money import Payment
from safety.catalogue import CATALOGUE, Kind

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from pilenode.ipc.messages import Snapshot
    from pilenode.ipc.wish import Change, Wish
    from pilenode.station.guard_link import GuardLink
    from pilenode.station.house import House
    from pilenode.station.journal import Journal
    from pilenode.station.load_control import LoadControl
    from pilenode.station.session import OpenSession
    from pilenode.station.terms import Terms
    from pilenode.station.wallclock import Stamp
    from pilenode.upstream.facts import Fact
    from pilenode.upstream.facts_load import QueueLeft, StartQueued

#: How a session is paid unless it was paid in advance.
POSTPAID: Final = Payment(mode="postpaid")

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class StartRequest:
    """Who wants what. ``source`` is "cli", "upstream" or "card"; ``by`` is for people.

    ``card``: hash of the card that asks; ``offline``: the backend does not know of it.
    """

    port: int
    order: str
    plan: Wish
    source: str
    by: str = ""
    card: str | None = None
    offline: bool = False
    payment: Payment = POSTPAID


@dataclass(frozen=True, slots=True)
class Load:
    """The load plan; ``caught_up`` takes facts into its queue that were just written."""

    plan: LoadControl
    caught_up: Callable[[], Awaitable[bool]]


class Sessions:
    """The controller. ``snapshot`` is guard's newest answer, None while guard does not answer."""

    def __init__(
        self,
        journal: Journal,
        guard: GuardLink,
        terms: Terms,
        house: House,
        now: Callable[[], Stamp] = wallclock.stamp,
        load: Load | None = None,
    ) -> None:
        self.snapshot: Snapshot | None = None
        self.asked_s = -math.inf  # when a start was last asked for
        self.tests_ordered: dict[str, str] = {}  # who ordered a periodic test of guard, by its kind
        self._journal = journal
        self._guard = guard
        self._terms = terms
        self._house = house
        self._now = now
        self._load = load
        self._turn = asyncio.Lock()
        self._book = Book(journal, terms, lambda: to_moment(now()))
        self._keeper = Keeper(journal, guard, self._book, terms, house, now, self.tests_ordered)

    @property
    def busy(self) -> bool:
        """Return whether a session is open, or guard shows one."""
        shown = self.snapshot.ports if self.snapshot is not None else []
        return bool(self._book.sessions) or any(port.state in LIVE for port in shown)

    @property
    def running(self) -> tuple[OpenSession, ...]:
        """Return the sessions that have no end yet, oldest first."""
        return tuple(self._book.sessions.values())

    @property
    def waiting(self) -> tuple[StartQueued, ...]:
        """Return the starts that wait for their turn, oldest first."""
        return () if self._load is None else tuple(entry.body for entry in self._load.plan.queue.entries)

    async def at_rest(self, work: Callable[[], Awaitable[None]]) -> bool:
        """Do ``work`` if nothing is open, waits, begins or is tested, and let nothing begin meanwhile.

        Return whether it was done. Without guard nobody can say that all is at rest.
        """
        async with self._turn:
            if self.snapshot is None or self.snapshot.test_running is not None or self.busy or self.waiting:
                return False
            if self._book.stale:  # what the journal holds is not known
                return False
            await work()
        return True

    async def start(self, request: StartRequest) -> StartReply | Refused:
        """Start a session, or say why not. The same order again is the same session.

        Refused as "queued" a start waits for its turn, with its place in the detail; it then begins by itself.
        """
        self.asked_s = clock.monotonic_s()
        async with self._turn:
            try:
                known = await self._journal.find_order(request.order)
                if known is not None:
                    reply = await self._repeated(known, request)
                    if isinstance(reply, Refused) and reply.code == "order_conflict":
                        await self._journal.append([_refusal_fact(request, reply)])
                    return reply
                waits = self._waits(request)
                look = waits or await self._look_for_start(request)
                if waits is None and not isinstance(look, Refused):
                    look = await self._join(request, look) or look
                if not isinstance(look, Refused):
                    return await self._begin(request, look.guard_boot)
                if look.code != "queued":
                    await self._journal.append([_refusal_fact(request, look)])
            except (JournalFailedError, JournalConflictError) as error:
                self._book.distrust(error)
                return Refused(code="journal_failed", detail=str(error)[:MAX_WORDS])
            else:
                return look

    async def stop(
        self, port: int, reason: str, *, session: str | None = None, order: str | None = None
    ) -> Done | Refused:
        """End what is on ``port``; with ``session`` or ``order`` only if that is it. Power goes without a journal."""
        async with self._turn:
            if await self._leave_queue(port, session, order):
                return Done()
            known = self._book.on(port)
            if known is not None and known.pause is not None:
                return await self._stop_dark(known, reason, session, order)
            try:
                return await self._stop_at_guard(port, reason, session, order)
            except GuardAbsentError as error:
                return Refused(code="guard_absent", detail=error.problem[:MAX_WORDS])

    async def _stop_at_guard(self, port: int, reason: str, session: str | None, order: str | None) -> Done | Refused:
        shown = {item.port: item for item in (await self._guard.snapshot()).ports}.get(port)
        if shown is None:
            return Refused(code="unknown_port")
        known = self._book.on(port)
        lease = shown.session if shown.state in LIVE else None
        if lease is None and known is not None and known.leg.number > 1:
            return await self._stop_dark(known, reason, session, order)  # guard has not given it power again yet
        running = "" if lease is None else session_of(lease)
        if lease is None or session not in (None, running) or not self._has_order(running, order):
            return Refused(code="wrong_session", detail=running)
        reply = await self._guard.request(Release(port=port, session=lease, reason=reason))
        # It may have ended by itself between the look and the release: what was asked for is true then, too.
        return reply if isinstance(reply, Refused) and reply.code != "session_ended" else Done()

    async def _stop_dark(
        self, paused: OpenSession, reason: str, session: str | None, order: str | None
    ) -> Done | Refused:
        if session not in (None, paused.session) or order not in (None, paused.started.order):
            return Refused(code="wrong_session", detail=paused.session)
        self._book.keep(replace(paused, stopped=reason))  # whatever becomes of the record, it stays dark
        written = await self._book.write([Ending(paused.session, reason, powered=False)])
        return Done() if written else Refused(code="journal_failed")

    async def modify(self, port: int, session: str, change: Change, source: str, by: str) -> Done | Refused:
        """Change the plan of an open session; what it has used up already ends it at once."""
        async with self._turn:
            known = self._book.sessions.get(session)
            if known is None or known.port != port:
                return Refused(code="wrong_session")
            now = self._now()
            wish = plans.modify(known.plan, change, known_ms(now))
            if isinstance(wish, Refused):
                body = ActRefused(act="modify", source=source, by=by, code=wish.code, detail=wish.detail)
                await self._book.append([NewFact(FactKind.ACT_REFUSED, body, session)])
                return wish
            fact = SessionModified(port=port, plan=wish, source=source, by=by)
            if not await self._book.append([NewFact(FactKind.SESSION_MODIFIED, fact, session)]):
                return Refused(code="journal_failed")
            changed = replace(known, plan=wish, held=None, review_ms=None)
            self._book.keep(changed)
            log.info("plan changed", session=session, port=port, by=by)
            if changed.pause is None and not changed.abandoned:
                # Guard that is away is told with the next look.
                with contextlib.suppress(GuardAbsentError):
                    await self._keeper.review(changed, now)
        return Done()

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
                if await self._keeper.follow(news, now):
                    await self._follow_load(news.snapshot)
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
        if self._load is not None and not await self._load.caught_up():
            raise JournalFailedError("locks and budgets not read")
        try:
            snapshot = await self._guard.snapshot()
        except GuardAbsentError as error:
            return Refused(code="guard_absent", detail=error.problem[:MAX_WORDS])
        taken = self._book.on(request.port) is not None
        allowed = self._house.why_not_start(request.port, request.plan, self._now())
        return why_not(request.port, snapshot, taken=taken) or allowed or snapshot

    async def _begin(
        self, request: StartRequest, guard_boot: str, left: QueueLeft | None = None
    ) -> StartReply | Refused:
        """Make a session durable and ask guard for it. ``left``: it has waited, and does no longer."""
        now = self._now()
        at = to_moment(now)
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
            payment=request.payment,
            guard_boot=guard_boot,
            card=request.card,
            offline=request.offline,
        )
        facts = [NewFact(FactKind.SESSION_STARTED, started, name)]
        await self._journal.append([*facts, *([] if left is None else [NewFact(FactKind.QUEUE_LEFT, left)])])
        session = opened(name, started, at)
        self._book.keep(session)
        wanted = self._house.held(session, now)
        if isinstance(wanted, Over):
            await self._book.write([Ending(name, "never_energised", "bad_plan", powered=False)])
            return Refused(code="bad_plan", detail=wanted.code)
        try:
            reply = await self._guard.request(
                Grant(port=request.port, session=name, ttl_s=self._terms.lease_s, plan=wanted.plan)
            )
        except GuardAbsentError as error:
            self._book.keep(replace(session, abandoned=True))
            return Refused(code="guard_absent", detail=error.problem[:MAX_WORDS])
        if not isinstance(reply, Refused):
            self._book.keep(holding(session, wanted, now))
            log.info("session started", session=name, port=request.port, order=request.order)
            return StartReply(session=name, port=request.port)
        # The refusal stands whether or not its end can be written now; the tick writes it otherwise.
        await self._book.write([Ending(name, "never_energised", reply.code, powered=False)])
        return reply

    async def _repeated(self, known: Fact, request: StartRequest) -> StartReply | Refused:
        """Answer a start whose order is known as it was answered first; other content is a conflict."""
        started = msgspec.json.decode(known.body, type=SessionStarted)
        asked = (request.port, request.plan, request.payment)
        if (started.port, started.plan, started.payment) != asked or known.session is None:
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

    # -- waiting -----------------------------------------------------------------------------------------------

    def _waits(self, request: StartRequest) -> Refused | None:
        """Answer a start that waits already."""
        entry = None if self._load is None else self._load.plan.queue.find(order=request.order)
        if self._load is None or entry is None:
            return None
        body = entry.body
        if (body.port, body.plan, body.payment) != (request.port, request.plan, request.payment):
            return Refused(code="order_conflict")
        return Refused(code="queued", detail=str(self._load.plan.position(request.order)))

    async def _join(self, request: StartRequest, snapshot: Snapshot) -> Refused | None:
        """Let a start wait for which there is no room now; None when there is."""
        load = self._load
        joined = None if load is None else load.plan.joins(request, self._book.sessions.values(), snapshot, self._now())
        if load is None or joined is None:
            return None
        if isinstance(joined, Refused):
            return joined
        await self._journal.append([NewFact(FactKind.START_QUEUED, joined)])
        await load.caught_up()
        log.info("start waits", order=request.order, port=request.port, position=joined.position)
        return Refused(code="queued", detail=str(joined.position))

    async def _follow_load(self, snapshot: Snapshot) -> None:
        """Carry out what the load plan says about those who run and those who wait."""
        load = self._load
        if load is None or not await load.caught_up():
            return
        outcome = load.plan.look(self._book.sessions.values(), snapshot, self._now())
        await self._keeper.load(outcome.decisions, snapshot)
        for decision in outcome.decisions:
            if isinstance(decision, Leave):
                await self._leave(decision.order, decision.why)
            elif isinstance(decision, Admit):
                await self._admit(decision.order)

    async def _admit(self, order: str) -> None:
        """Start what has waited; what may not start any more leaves the queue with the reason."""
        entry = None if self._load is None else self._load.plan.queue.find(order=order)
        if self._load is None or entry is None:
            return
        request = _of_entry(entry.body)
        try:
            look = await self._look_for_start(request)
            if not isinstance(look, Refused):
                left = self._load.plan.left(order, "started", self._now())
                await self._begin(request, look.guard_boot, left)
                await self._load.caught_up()
            elif look.code not in {"starting_up", "test_running", "guard_absent"}:
                await self._leave(order, look.code, look.detail)
        except (JournalFailedError, JournalConflictError) as error:
            self._book.distrust(error)

    async def _leave(self, order: str, why: str, detail: str = "") -> bool:
        load = self._load
        entry = None if load is None else load.plan.queue.find(order=order)
        if load is None or entry is None:
            return False
        facts = [NewFact(FactKind.QUEUE_LEFT, load.plan.left(order, why, self._now(), detail))]
        if why != "user":
            facts.append(_refusal_fact(_of_entry(entry.body), Refused(code=why, detail=detail[:MAX_WORDS])))
        written = await self._book.append(facts)
        await load.caught_up()
        return written

    async def _leave_queue(self, port: int, session: str | None, order: str | None) -> bool:
        """Take a start out of the queue that is stopped before its turn."""
        entry = None if self._load is None else self._load.plan.queue.find(order=order, port=None if order else port)
        if entry is None or session is not None or entry.body.port != port:
            return False
        return await self._leave(entry.body.order, "user")


def _of_entry(body: StartQueued) -> StartRequest:
    return StartRequest(
        port=body.port,
        order=body.order,
        plan=body.plan,
        source=body.source,
        by=body.by,
        card=body.owner or None,
        offline=body.offline,
        payment=body.payment,
    )


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
