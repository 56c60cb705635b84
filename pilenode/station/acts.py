"""Carries out administrative acts: one at a time, durable before they count, refusals on record too."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

import structlog

from pilenode.ipc.messages import Done, Refused
from pilenode.station import wallclock
from pilenode.station.entries import JournalConflictError, JournalFailedError, NewFact
from pilenode.upstream.facts import MAX_CODE, MAX_WORDS, ActRefused, FactKind

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pilenode.ipc.acts import Act
    from pilenode.station.desk import Desk, Who
    from pilenode.station.journal import Journal
    from pilenode.station.wallclock import Stamp

#: Facts read in one go while the memory of the desks is made.
_PAGE: Final = 500

log = structlog.get_logger()


class Acts:
    """The desks of one cabinet, kept in step with the journal."""

    def __init__(self, journal: Journal, desks: Sequence[Desk], now: Callable[[], Stamp] = wallclock.stamp) -> None:
        self._journal = journal
        self._desks = tuple(desks)
        self._now = now
        self._turn = asyncio.Lock()
        self._read_seq = 0  # every fact up to here is in the desks' pictures
        self._log_id = ""

    async def perform(self, act: Act, who: Who) -> Done | Refused:
        """Carry out ``act``, or say why not; either way it is on record."""
        async with self._turn:
            desk = next((desk for desk in self._desks if isinstance(act, desk.acts)), None)
            if desk is None:
                return Refused(code="malformed", detail=type(act).__name__[:MAX_WORDS])
            try:
                await self._catch_up()
                outcome = desk.judge(act, who, self._now())
                if isinstance(outcome, Refused):
                    await self._journal.append([_refusal(act, who, outcome)])
                    return outcome
                await self._journal.append(outcome)
                await self._catch_up()
            except (JournalFailedError, JournalConflictError) as error:
                return Refused(code="journal_failed", detail=str(error)[:MAX_WORDS])
        log.info("act carried out", act=type(act).__name__, source=who.source, by=who.by)
        return Done()

    async def catch_up(self) -> bool:
        """Take in facts that others have written. Returns whether the pictures are whole now."""
        async with self._turn:
            try:
                await self._catch_up()
            except JournalFailedError as error:
                log.warning("decisions not read", problem=error.problem)
                return False
        return True

    async def _catch_up(self) -> None:
        status = self._journal.status()
        if status.problem is not None:
            raise JournalFailedError(status.problem)
        if status.log_id == self._log_id and status.last_seq == self._read_seq:
            return
        if self._log_id not in ("", status.log_id):
            # A damaged log was set aside; its decisions stand in the new one, and are folded by the next process.
            raise JournalFailedError("the log is a new one")
        self._log_id = status.log_id
        kinds = sorted({kind for desk in self._desks for kind in desk.kinds})
        while page := await self._journal.facts(kinds, self._read_seq, _PAGE):
            for fact in page:
                for desk in self._desks:
                    if fact.kind in desk.kinds:
                        desk.keep(fact)
                self._read_seq = fact.seq
        self._read_seq = max(self._read_seq, status.last_seq)


def _refusal(act: Act, who: Who, refusal: Refused) -> NewFact:
    body = ActRefused(
        act=str(type(act).__struct_config__.tag),
        source=who.source,
        by=who.by[:MAX_WORDS],
        code=refusal.code[:MAX_CODE],
        detail=refusal.detail,
    )
    return NewFact(FactKind.ACT_REFUSED, body)
