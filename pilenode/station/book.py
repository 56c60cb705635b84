"""The picture of open sessions, kept in step with the journal: what is durable counts, everything else is a guess.

After any trouble with the journal the picture is read again, because a write that failed may have happened all the
same. What this process has seen of a leg since its last checkpoint is newer than what the journal holds, and is kept.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

import structlog

from pilenode import __version__
from pilenode.station.boot_reason import boot_reason
from pilenode.station.entries import JournalConflictError, JournalFailedError, NewFact
from pilenode.station.session import gone_on, paused, restore
from pilenode.station.settle import checkpoint, leg_end, settle
from pilenode.upstream.facts import Boot, FactKind, LegEnded

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from pilenode.station.journal import Journal
    from pilenode.station.session import Ending, Moment, OpenSession, Reading
    from pilenode.station.terms import Terms
    from pilenode.upstream.facts import LegStarted

#: A journal that failed is opened and checked again this often, seconds.
_RECOVER_S: Final = 2.0

log = structlog.get_logger()


class Book:
    """Open sessions by name. ``known``: the journal was read at least once; ``stale``: it must be read again first."""

    def __init__(self, journal: Journal, terms: Terms, at: Callable[[], Moment]) -> None:
        self.sessions: dict[str, OpenSession] = {}
        self.known = False
        self.stale = True
        self._journal = journal
        self._terms = terms
        self._at = at
        self._failed = False  # already said in the log
        self.boot: Boot | None = None  # what was recorded of the start of this process
        self._recover_at_s = 0.0

    def on(self, port: int) -> OpenSession | None:
        """Return the open session of a port."""
        return next((session for session in self.sessions.values() if session.port == port), None)

    def of_lease(self, lease: str | None) -> OpenSession | None:
        """Return the open session that has that name at guard."""
        return next((session for session in self.sessions.values() if session.lease == lease), None)

    def keep(self, session: OpenSession) -> None:
        """Take over what is durable already, or what this process has seen."""
        self.sessions[session.session] = session

    def take_over(self, sessions: Mapping[str, OpenSession]) -> None:
        """Take over what this process has seen of several sessions."""
        self.sessions |= sessions

    def distrust(self, error: Exception) -> None:
        """Do not start anything, and read the journal again, before it is believed."""
        self.stale = True
        if not self._failed:
            self._failed = True
            log.error("journal failed, no session starts", problem=str(error))

    async def read(self, now: float) -> bool:
        """Bring the picture in step when it is not. Returns whether it was read.

        Raises JournalFailedError and JournalConflictError.
        """
        if self._journal.status().problem is not None:
            if now < self._recover_at_s:
                return False
            self._recover_at_s = now + _RECOVER_S
            self.stale = True  # what comes back may be less, or more, than what was known
            await self._journal.recover()
        if self.boot is None:
            await self._record_start()
        if not self.stale:
            return False
        durable = [restore(facts) for facts in await self._journal.open_sessions()]
        self.sessions = {session.session: self._newer(session) for session in durable}
        self.known, self.stale = True, False
        if self._failed:
            self._failed = False
            log.info("journal works again")
        return True

    async def _record_start(self) -> None:
        reason, silent_ms = boot_reason(await self._journal.last_run(), self._at())
        boot = Boot(version=__version__, reason=reason, silent_ms=silent_ms)
        await self._journal.append([NewFact(FactKind.BOOT, boot)])
        self.boot = boot
        log.info("start", reason=reason.value, silent_ms=silent_ms)

    def _newer(self, durable: OpenSession) -> OpenSession:
        mine = self.sessions.get(durable.session)
        if mine is None or mine.leg != durable.leg or (mine.pause is None) != (durable.pause is None):
            return durable
        return replace(mine, plan=durable.plan)

    async def write(
        self,
        endings: Iterable[Ending] = (),
        checkpoints: Iterable[tuple[OpenSession, Reading]] = (),
        facts: Iterable[NewFact] = (),
        *,
        slot: int | None = None,
    ) -> bool:
        """Make all of it durable in one transaction, and then follow it. Returns whether it worked."""
        ended = [(self.sessions[ending.session], ending) for ending in endings]
        at = self._at()
        bodies = [
            (leg_end if ending.cause else settle)(session, ending, at, self._terms.counter(session.port))
            for session, ending in ended
        ]
        readings = list(checkpoints)
        batch = [*facts]
        for (session, ending), body in zip(ended, bodies, strict=True):
            kind = FactKind.LEG_ENDED if ending.cause else FactKind.SESSION_ENDED
            batch.append(NewFact(kind, body, session.session))
        batch += [
            NewFact(FactKind.CHECKPOINT, checkpoint(session, reading), session.session) for session, reading in readings
        ]
        if not await self.append(batch):
            return False
        for (session, _), body in zip(ended, bodies, strict=True):
            if isinstance(body, LegEnded):
                self.keep(paused(session, body, at))
                log.info("session paused", session=session.session, port=body.port, cause=body.cause)
            else:
                del self.sessions[session.session]
                log.info(
                    "session ended",
                    session=session.session,
                    port=body.port,
                    reason=body.reason,
                    energy_wh=body.energy_wh,
                )
        for session, _ in readings:
            self.keep(replace(session, slot=slot))
        return True

    async def append(self, facts: list[NewFact]) -> bool:
        """Make facts durable. Returns whether it worked; if not, the picture is distrusted."""
        if not facts:
            return True
        try:
            await self._journal.append(facts)
        except (JournalFailedError, JournalConflictError) as error:
            self.distrust(error)
            return False
        return True

    async def go_on(self, session: OpenSession, body: LegStarted) -> OpenSession | None:
        """Make a further leg durable and return the session with it; None when that failed."""
        if not await self.append([NewFact(FactKind.LEG_STARTED, body, session.session)]):
            return None
        further = gone_on(session, body, self._at())
        self.keep(further)
        log.info("session goes on", session=session.session, port=body.port, leg=body.leg, cause=body.cause)
        return further
