"""Keeps guard and the journal in step, once per tick: renews, ends, pauses, goes on, and makes readings durable.

Rules of this file:
- ``leg_started`` is durable before guard is asked for the lease of a further leg;
- events of guard count as handled only after the facts made of them are durable;
- what the rules of the house say is asked anew every time, so that a release that got lost is sent again.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import structlog

from pilenode.ipc.messages import Amend, Grant, Refused, Release, Renew
from pilenode.station.boot_reason import guard_started
from pilenode.station.entries import JournalFailedError, NewFact
from pilenode.station.faults import fault_facts
from pilenode.station.follow import decide, strangers
from pilenode.station.house import End, GoOn, Held, Wait, fit, lost
from pilenode.station.load_values import Pause as PauseIt
from pilenode.station.load_values import Resume
from pilenode.station.metering import marked
from pilenode.station.plans import Over
from pilenode.station.session import LIVE, Ending, Moment, paused, span_ms
from pilenode.station.settle import leg_end
from pilenode.upstream.facts import FactKind, LegStarted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from pilenode.ipc.messages import PortSnapshot, Snapshot
    from pilenode.station.book import Book
    from pilenode.station.guard_link import GuardLink
    from pilenode.station.house import House
    from pilenode.station.journal import Journal
    from pilenode.station.load_values import Decision
    from pilenode.station.session import News, OpenSession
    from pilenode.station.terms import Terms
    from pilenode.station.wallclock import Stamp
    from pilenode.upstream.facts_outage import Outage

#: Guard may refuse a further leg for this long, ms, if the reason may pass by itself.
ASK_FOR_MS: Final = 120_000
#: Refusals of guard that may pass by themselves.
_PASSING: Final = frozenset({"starting_up", "over_budget", "test_running", "port_busy"})

log = structlog.get_logger()


def to_moment(stamp: Stamp) -> Moment:
    """Return a stamp as a moment: a clock that cannot be trusted tells no wall time."""
    return Moment(stamp.boot, stamp.boottime_ms, None if stamp.clock == "none" else stamp.wall_ms)


class Keeper:
    """One per cabinet. ``ordered``: who ordered a periodic test of guard, by its kind."""

    def __init__(
        self,
        journal: Journal,
        guard: GuardLink,
        book: Book,
        terms: Terms,
        house: House,
        stamp: Callable[[], Stamp],
        ordered: Mapping[str, str],
    ) -> None:
        self._journal = journal
        self._guard = guard
        self._book = book
        self._terms = terms
        self._house = house
        self._stamp = stamp
        self._ordered = ordered
        self._fault_event = ("", 0)  # guard boot, its newest event that is a fact
        self._gone_on_s = -math.inf  # when the last one went on

    def forget_events(self) -> None:
        """Ask the journal again which of guard's events are facts already."""
        self._fault_event = ("", 0)

    async def follow(self, news: News, now: float) -> bool:
        """Carry out what follows from guard's picture. Returns whether everything is in step. Raises GuardAbsentError.

        Sessions whose power was lost are paused, or ended, as the house says.
        """
        book = self._book
        if not book.known:
            # Which sessions are ours is not known. Guard holds only what was granted: nobody is cut for our trouble.
            await self._renew(strangers(news.snapshot, {}))
            return False
        decisions = decide(book.sessions, news, now=now, at=to_moment(self._stamp()), terms=self._terms)
        book.take_over(decisions.sessions)
        await self._renew(decisions.renew)
        for port, lease in decisions.release:
            log.warning("running without a record, released", port=port, session=lease)
            await self._guard.request(Release(port=port, session=lease, reason="interrupted"))
        if book.stale:
            return False
        try:
            faults, newest = await self._faults(news)
        except JournalFailedError as error:
            book.distrust(error)
            return False
        ports = {port.port: port for port in news.snapshot.ports}
        endings = [self._judged(ending, ports, news.snapshot) for ending in decisions.endings]
        if not await book.write(endings, decisions.checkpoints, faults, slot=decisions.slot):
            return False
        self._fault_event = (news.snapshot.guard_boot, newest)
        self._guard.handled(news)
        for name in decisions.ask:
            await self.ask(book.sessions[name])
        await self._apply_house(ports, news.snapshot, now)
        return True

    def _judged(self, ending: Ending, ports: Mapping[int, PortSnapshot], snapshot: Snapshot) -> Ending:
        """Return the end of a leg, as the end of its session where the house does not let it go on."""
        session = self._book.sessions[ending.session]
        if ending.cause in {"", "load"}:
            return ending
        at = to_moment(self._stamp())
        in_thought = paused(session, leg_end(session, ending, at, self._terms.counter(session.port)), at)
        verdict = self._house.after_loss(in_thought, ports.get(session.port), snapshot, self._stamp())
        if not isinstance(verdict, End):
            return ending
        return replace(ending, cause="", reason=verdict.reason, detail=verdict.detail, outage=verdict.outage)

    async def _renew(self, leases: Iterable[tuple[int, str]]) -> None:
        for port, lease in leases:
            # A refusal needs no answer here: the next snapshot shows what became of the session.
            await self._guard.request(Renew(port=port, session=lease, ttl_s=self._terms.lease_s))

    async def _faults(self, news: News) -> tuple[list[NewFact], int]:
        """Return the facts of what guard told and of guard itself that are none yet, and the newest event looked at."""
        (boot, newest), facts = self._fault_event, []
        if boot != news.snapshot.guard_boot:
            newest = await self._journal.last_guard_event(news.snapshot.guard_boot)
            known = await self._journal.newest_of(FactKind.GUARD_STARTED)
            started = guard_started(news.snapshot, known, to_moment(self._stamp()))
            facts = [] if started is None else [NewFact(FactKind.GUARD_STARTED, started)]
        facts += fault_facts(news, newest, self._ordered)
        return facts, max([newest, *(event.seq for event in news.events)])

    # -- what the house says ---------------------------------------------------------------------------------------

    async def _apply_house(self, ports: Mapping[int, PortSnapshot], snapshot: Snapshot, now: float) -> None:
        stamp = self._stamp()
        endings = []
        for session in list(self._book.sessions.values()):
            shown = ports.get(session.port)
            end = End(session.stopped) if session.stopped else self._house.must_end(session, stamp)
            if session.pause is not None:
                verdict = end or self._after_pause(session, shown, snapshot, stamp)
                if isinstance(verdict, End):
                    endings.append(Ending(session.session, verdict.reason, verdict.detail, outage=verdict.outage))
                elif isinstance(verdict, GoOn) and now - self._gone_on_s >= self._house.stagger_s:
                    self._gone_on_s = now
                    await self.go_on(session, snapshot.guard_boot, verdict.outage)
            elif shown is not None and shown.session == session.lease and shown.state in LIVE:
                if end is not None:
                    log.info("session must end", session=session.session, reason=end.reason, detail=end.detail)
                    await self._guard.request(Release(port=session.port, session=session.lease, reason=end.reason))
                elif not session.abandoned:
                    await self.review(session, stamp)
        await self._book.write(endings)

    def _after_pause(
        self, session: OpenSession, shown: PortSnapshot | None, snapshot: Snapshot, stamp: Stamp
    ) -> End | Wait | GoOn | None:
        """Return what the house says of a session without power. One that the load plan paused waits for the plan."""
        pause = session.pause
        if pause is None:
            return None
        if pause.cause != "load":
            return self._house.after_loss(session, shown, snapshot, stamp)
        if shown is not None and shown.state == "tripped":
            return End("shed", f"port_faulty: {shown.reason}")
        if pause.told.boot == stamp.boot:
            return None
        # The power of the whole cabinet went away meanwhile: what policy says of that comes before the load plan.
        verdict = self._house.after_loss(session, shown, snapshot, stamp)
        return verdict if isinstance(verdict, End) else None

    async def review(self, session: OpenSession, stamp: Stamp) -> None:
        """Let guard hold what it should: after a change of the plan, a change of price, a clock that was set."""
        if session.held is not None and (session.review_ms is None or stamp.boottime_ms < session.review_ms):
            return
        # Money is reckoned from what is used up to now, not up to the last checkpoint.
        session = marked(session, to_moment(stamp), self._terms.counter(session.port))
        wanted = self._house.held(session, stamp)
        if isinstance(wanted, Over):
            await self._guard.request(Release(port=session.port, session=session.lease, reason=wanted.code))
            return
        if wanted.plan != session.held:
            reply = await self._guard.request(Amend(port=session.port, session=session.lease, plan=wanted.plan))
            if isinstance(reply, Refused):
                return  # it is over; the next look tells how
        self._book.keep(holding(session, wanted, stamp))

    # -- legs ------------------------------------------------------------------------------------------------------

    async def load(self, decisions: Iterable[Decision], snapshot: Snapshot) -> None:
        """Carry out what the load plan says about open sessions."""
        ports = {port.port: port for port in snapshot.ports}
        for decision in decisions:
            session = self._book.sessions.get(getattr(decision, "session", ""))
            if session is None:
                continue
            if isinstance(decision, Resume):
                ready = session.pause is not None and session.pause.cause == "load"
                if ready and not session.stopped and fit(ports.get(session.port), snapshot):
                    await self.go_on(session, snapshot.guard_boot)
                continue
            if not isinstance(decision, PauseIt):  # it has been paused too often: its next pause is its end
                self._book.keep(replace(session, stopped="shed"))
            if session.pause is None:
                log.info("session is shed", session=session.session, port=session.port)
                await self._guard.request(Release(port=session.port, session=session.lease, reason="shed"))

    async def go_on(self, session: OpenSession, guard_boot: str, outage: Outage | None = None) -> None:
        """Begin a further leg of a paused session."""
        if session.pause is None:
            return
        body = LegStarted(
            port=session.port,
            leg=session.leg.number + 1,
            cause=session.pause.cause,
            pause_ms=span_ms(session.pause.since, to_moment(self._stamp())),
            guard_boot=guard_boot,
            outage=outage,
        )
        further = await self._book.go_on(session, body)
        if further is not None:
            await self.ask(further)

    async def ask(self, session: OpenSession) -> None:
        """Ask guard for the lease of a further leg; a refusal that does not pass ends the session."""
        stamp = self._stamp()
        wanted = self._house.held(session, stamp)
        if isinstance(wanted, Over):
            await self._book.write([Ending(session.session, wanted.code, powered=False)])
            return
        reply = await self._guard.request(
            Grant(port=session.port, session=session.lease, ttl_s=self._terms.lease_s, plan=wanted.plan)
        )
        if not isinstance(reply, Refused):
            self._book.keep(holding(session, wanted, stamp))
            return
        waited_ms = span_ms(session.leg.begun, to_moment(stamp))
        if reply.code in _PASSING and waited_ms is not None and waited_ms < ASK_FOR_MS:
            return
        cause = session.before.causes[-1] if session.before.causes else "power"
        await self._book.write([Ending(session.session, lost(cause), reply.code, powered=False)])


def holding(session: OpenSession, held: Held, stamp: Stamp) -> OpenSession:
    """Return the session with what guard now holds for it."""
    review_ms = None if held.for_ms is None else stamp.boottime_ms + held.for_ms
    return replace(session, held=held.plan, review_ms=review_ms)
