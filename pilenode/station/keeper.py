"""Keeps guard and the journal in step, once per tick: renews, ends, pauses, goes on, and makes readings durable.

Rules of this file:
- ``leg_started`` is durable before guard is asked for the lease of a further leg;
- events of guard count as handled only after the facts made of them are durable;
- what the rules of the house say is asked anew every time, so that a release that got lost is sent again.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import structlog

from pilenode.ipc.messages import Grant, Refused, Release, Renew
from pilenode.station.entries import JournalFailedError
from pilenode.station.faults import fault_facts
from pilenode.station.follow import decide, strangers
from pilenode.station.house import End, GoOn
from pilenode.station.session import LIVE, Ending, Moment, span_ms
from pilenode.upstream.facts import LegStarted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from config.tariff import TariffSchedule
    from pilenode.ipc.messages import PortSnapshot, Snapshot
    from pilenode.station.book import Book
    from pilenode.station.entries import NewFact
    from pilenode.station.guard_link import GuardLink
    from pilenode.station.house import House
    from pilenode.station.journal import Journal
    from pilenode.station.session import News, OpenSession
    from pilenode.station.wallclock import Stamp

#: Pause between two sessions that go on, seconds: chargers draw most in their first moments.
GO_ON_EVERY_S: Final = 2.0
#: Guard may refuse a further leg for this long, ms, if the reason may pass by itself.
ASK_FOR_MS: Final = 120_000
#: Refusals of guard that may pass by themselves.
_PASSING: Final = frozenset({"starting_up", "over_budget", "test_running", "port_busy"})

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Terms:
    """What every session is run under: its lease, how often its reading is made durable (seconds), its prices.

    ``tariff`` returns the prices that are in force for a session that starts now.
    """

    lease_s: float
    checkpoint_s: float
    tariff: Callable[[], TariffSchedule]


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
        self._gone_on_s = -GO_ON_EVERY_S

    def forget_events(self) -> None:
        """Ask the journal again which of guard's events are facts already."""
        self._fault_event = ("", 0)

    async def follow(self, news: News, now: float) -> None:
        """Carry out what follows from guard's picture. Raises GuardAbsentError."""
        book, terms = self._book, self._terms
        if not book.known:
            # Which sessions are ours is not known. Guard holds only what was granted: nobody is cut for our trouble.
            await self._renew(strangers(news.snapshot, {}))
            return
        decisions = decide(
            book.sessions,
            news,
            now=now,
            at=to_moment(self._stamp()),
            lease_s=terms.lease_s,
            checkpoint_s=terms.checkpoint_s,
        )
        book.take_over(decisions.sessions)
        await self._renew(decisions.renew)
        for port, lease in decisions.release:
            log.warning("running without a record, released", port=port, session=lease)
            await self._guard.request(Release(port=port, session=lease, reason="interrupted"))
        if book.stale:
            return
        try:
            faults, newest = await self._faults(news)
        except JournalFailedError as error:
            book.distrust(error)
            return
        ports = {port.port: port for port in news.snapshot.ports}
        endings = [self._judged(ending, ports, news.snapshot) for ending in decisions.endings]
        if not await book.write(endings, decisions.checkpoints, faults, slot=decisions.slot):
            return
        self._fault_event = (news.snapshot.guard_boot, newest)
        self._guard.handled(news)
        for name in decisions.ask:
            await self._ask(book.sessions[name])
        await self._apply_house(ports, news.snapshot, now)

    def _judged(self, ending: Ending, ports: Mapping[int, PortSnapshot], snapshot: Snapshot) -> Ending:
        """Return the end of a leg, as the end of its session where the house does not let it go on."""
        if ending.cause not in {"power", "guard"}:
            return ending
        session = self._book.sessions[ending.session]
        verdict = self._house.after_loss(session, ending.cause, ports.get(session.port), snapshot, self._stamp())
        if not isinstance(verdict, End):
            return ending
        return replace(ending, cause="", reason=verdict.reason, detail=verdict.detail)

    async def _renew(self, leases: Iterable[tuple[int, str]]) -> None:
        for port, lease in leases:
            # A refusal needs no answer here: the next snapshot shows what became of the session.
            await self._guard.request(Renew(port=port, session=lease, ttl_s=self._terms.lease_s))

    async def _faults(self, news: News) -> tuple[list[NewFact], int]:
        """Return the facts of guard's fault events that are none yet, and the newest event looked at."""
        boot, newest = self._fault_event
        if boot != news.snapshot.guard_boot:
            newest = await self._journal.last_guard_event(news.snapshot.guard_boot)
        return fault_facts(news, newest, self._ordered), max([newest, *(event.seq for event in news.events)])

    # -- what the house says ---------------------------------------------------------------------------------------

    async def _apply_house(self, ports: Mapping[int, PortSnapshot], snapshot: Snapshot, now: float) -> None:
        stamp = self._stamp()
        endings = []
        for session in list(self._book.sessions.values()):
            shown = ports.get(session.port)
            end = End(session.stopped) if session.stopped else self._house.must_end(session, stamp)
            if session.pause is not None:
                verdict = end or self._house.after_pause(session, shown, snapshot, stamp)
                if isinstance(verdict, End):
                    endings.append(Ending(session.session, verdict.reason, verdict.detail))
                elif isinstance(verdict, GoOn) and now - self._gone_on_s >= GO_ON_EVERY_S:
                    self._gone_on_s = now
                    await self._go_on(session, snapshot.guard_boot)
            elif end is not None and shown is not None and shown.session == session.lease and shown.state in LIVE:
                log.info("session must end", session=session.session, reason=end.reason, detail=end.detail)
                await self._guard.request(Release(port=session.port, session=session.lease, reason=end.reason))
        await self._book.write(endings)

    async def _go_on(self, session: OpenSession, guard_boot: str) -> None:
        if session.pause is None:
            return
        body = LegStarted(
            port=session.port,
            leg=session.leg.number + 1,
            cause=session.pause.cause,
            pause_ms=span_ms(session.pause.since, to_moment(self._stamp())),
            guard_boot=guard_boot,
        )
        further = await self._book.go_on(session, body)
        if further is not None:
            await self._ask(further)

    async def _ask(self, session: OpenSession) -> None:
        """Ask guard for the lease of a further leg; a refusal that does not pass ends the session."""
        reply = await self._guard.request(
            Grant(port=session.port, session=session.lease, ttl_s=self._terms.lease_s, plan=self._house.plan(session))
        )
        if not isinstance(reply, Refused):
            return
        waited_ms = span_ms(session.last, to_moment(self._stamp()))
        if reply.code in _PASSING and waited_ms is not None and waited_ms < ASK_FOR_MS:
            return
        await self._book.write([Ending(session.session, "not_resumed", reply.code, powered=False)])
