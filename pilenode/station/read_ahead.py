"""Reads the backlog a step ahead of who sends it, so that the card is read while the broker is waited for."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from pilenode.upstream.contract import MAX_BATCH_BYTES, MAX_BATCH_FACTS, UpstreamLostError

if TYPE_CHECKING:
    from pilenode.station.journal import Journal
    from pilenode.upstream.facts import Fact

#: What is read at once: some batches, because opening the file costs as much as reading one.
_FACTS: Final = 5 * MAX_BATCH_FACTS
_BYTES: Final = 5 * MAX_BATCH_BYTES


class ReadAhead:
    """The facts of one log, in order, wherever somebody begins. Raises UpstreamLostError when the log is another one.

    Facts never change, so what was read stays true, also of one that has been removed meanwhile.
    """

    def __init__(self, journal: Journal, log_id: str) -> None:
        self._journal = journal
        self._log_id = log_id
        self._facts: list[Fact] = []
        self._reading: asyncio.Task[list[Fact]] | None = None

    async def above(self, after: int, limit: int) -> list[Fact]:
        """Return up to ``limit`` of the oldest facts above ``after``. Raises JournalFailedError, too."""
        begins = bool(self._facts) and self._facts[0].seq <= after + 1 and after < self._facts[-1].seq
        if begins:
            self._facts = [fact for fact in self._facts if fact.seq > after]
        else:
            self.close()
        if len(self._facts) < limit and self._reading is not None:
            self._facts += await self._taken(self._reading)
        if not self._facts:
            self._facts = await self._read(after)
        if self._facts and self._reading is None and len(self._facts) < 2 * MAX_BATCH_FACTS:
            newest = self._facts[-1].seq
            if newest < self._journal.status().last_seq:
                self._reading = asyncio.create_task(self._read(newest))
        return self._facts[:limit]

    async def _taken(self, reading: asyncio.Task[list[Fact]]) -> list[Fact]:
        try:
            return await reading
        finally:
            self._reading = None

    async def _read(self, after: int) -> list[Fact]:
        if self._journal.status().log_id != self._log_id:
            raise UpstreamLostError("the log is another one")
        return await self._journal.stretch(after, _FACTS, _BYTES)

    def close(self) -> None:
        """Forget what was read; nothing is read any more."""
        self._facts = []
        if self._reading is not None:
            self._reading.cancel()
            self._reading.add_done_callback(_seen)
            self._reading = None


def _seen(reading: asyncio.Task[list[Fact]]) -> None:
    """Take what became of a reading that nobody wants any more; asyncio would complain about it later."""
    if not reading.cancelled():
        reading.exception()
