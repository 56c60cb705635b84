"""Sends the outbox over one connection: fresh facts first, the backlog at its pace, patient facts when it is time."""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING, Final

from pilenode import clock
from pilenode.station.entries import JournalFailedError
from pilenode.station.outbox import Pace, Patience, Window, fit, not_taken_s
from pilenode.station.read_ahead import ReadAhead
from pilenode.upstream.contract import MAX_BATCH_FACTS, FactBatch, NotTakenError, Problem, UpstreamLostError
from pilenode.upstream.packing import thinned

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pilenode.station.journal import Journal
    from pilenode.upstream.contract import Link, Resend
    from pilenode.upstream.facts import Fact

#: How often the outbox is looked at without being told that it changed, seconds.
_LOOK_S: Final = 1.0
#: What happens together is told together: how long a fact waits for the next one, seconds.
_GATHER_S: Final = 0.2
_NOBODY: Final = "upstream_nobody_listens"


class Drain:
    """The outbox on one connection. ``problem``: why facts do not arrive although the connection stands."""

    def __init__(
        self, journal: Journal, window: Window, pace: Pace, patience: Patience, warn: Callable[..., None]
    ) -> None:
        self.problem: Problem | None = None
        self._journal = journal
        self._log_id = journal.status().log_id
        self._backlog = ReadAhead(journal, self._log_id)
        self._window = window
        self._pace = pace
        self._patience = patience
        self._warn = warn
        self._wanted: tuple[int, int] | None = None  # asked for again: what is above the first, up to the second
        self._quiet_until_s = 0.0  # after a broker that did not take a message
        self._not_taken = 0
        self._random = random.SystemRandom()

    def resend(self, wanted: Resend) -> None:
        """Send a stretch of the log again, however long ago it was confirmed."""
        last = min(wanted.upto, self._journal.status().last_seq)
        self._wanted = (wanted.since - 1, last) if wanted.since <= last else None
        self._journal.changed.set()

    def backend_is_there(self) -> None:
        """Go on at once where the broker had nobody to hand facts to: somebody has just confirmed something."""
        if self.problem is not None and self.problem.code == _NOBODY:
            self._quiet_until_s = 0.0
            self._journal.changed.set()

    async def run(self, link: Link) -> None:
        """Send until the connection is lost. Raises UpstreamLostError."""
        try:
            while True:
                self._journal.changed.clear()
                self._notice(clock.monotonic_s())
                wait_s = await self._step(link)
                if wait_s > 0:
                    await happens(self._journal.changed, min(_LOOK_S, wait_s))
        finally:
            self._backlog.close()

    def _notice(self, now: float) -> None:
        status = self._journal.status()
        if status.log_id != self._log_id:
            raise UpstreamLostError("the log is another one")
        before = self._window
        self._window = before.after_ack(status.acked_seq, now, self._random.random())
        if self._window is not before:
            self.problem, self._not_taken = None, 0
        overdue = self._window.after_waiting(now)
        if overdue is not self._window:
            self._window = overdue
            # Says nothing about why: no backend, no right to publish, or no way back all look like this.
            self.problem = self.problem or Problem("backend_silent", f"{overdue.acked + 1}")
            self._warn("backend does not confirm, sent again", first=overdue.acked + 1, attempt=overdue.attempt)

    async def _step(self, link: Link) -> float:
        """Send one batch where it is time for one; return how long to wait before the next look, seconds."""
        now = clock.monotonic_s()
        if now < self._quiet_until_s:
            return self._quiet_until_s - now
        try:
            wait_s = await self._fresh(link, now)
            if wait_s <= 0:
                return wait_s
            return min(wait_s, await self._paced(link))
        except JournalFailedError as error:
            self._warn("outbox cannot be read", problem=error.problem)
            return _LOOK_S
        except NotTakenError as error:
            return self._not_taken_by(error.problem)

    def _not_taken_by(self, problem: Problem) -> float:
        """Begin again later; return how much later, seconds."""
        self.problem = problem
        pause_s = not_taken_s(self._not_taken, self._random.random())
        self._not_taken += 1
        self._quiet_until_s = clock.monotonic_s() + pause_s
        self._window = self._window.gone_back()
        self._warn("broker does not take facts", code=problem.code, reason=problem.detail, pause_s=round(pause_s, 1))
        return pause_s

    async def _fresh(self, link: Link, now: float) -> float:
        """Send what happened since the backlog was measured, as far as it cannot wait any longer."""
        window, last = self._window, self._journal.status().last_seq
        self._patience = self._patience.seen(now, waiting=last > window.last)
        if last <= window.last or window.fresh_room == 0:
            return _LOOK_S
        urgent = await self._journal.has_urgent(window.last)
        wait_s = self._patience.wait_s(now, count=last - window.last, urgent=urgent)
        if wait_s > 0:
            return wait_s
        if urgent:
            await asyncio.sleep(_GATHER_S)
        facts = await self._journal.unacked(min(window.fresh_room, MAX_BATCH_FACTS), after=window.last)
        if not facts:
            return _LOOK_S  # readers do not see it yet
        upto, _ = await self._send(link, facts)
        self._patience = self._patience.seen(now, waiting=False)
        self._window = self._window.after_sending(upto, clock.monotonic_s(), self._random.random(), is_fresh=True)
        return 0.0

    async def _paced(self, link: Link) -> float:
        """Send some of what the backend asked for again, or of the backlog."""
        window = self._window
        if self._wanted is None and not (window.catching_up and window.room):
            return _LOOK_S
        wait_s = self._pace.wait_s(clock.monotonic_s())
        if wait_s > 0:
            return wait_s
        if self._wanted is not None:
            return await self._again(link, *self._wanted)
        limit = min(window.room, MAX_BATCH_FACTS, window.mark - window.sent)
        facts = await self._backlog.above(window.sent, limit)
        if not facts:
            return _LOOK_S
        upto, size = await self._send(link, facts)
        self._pace = self._pace.after_sending(size, clock.monotonic_s())
        self._window = self._window.after_sending(upto, clock.monotonic_s(), self._random.random())
        return 0.0

    async def _again(self, link: Link, after: int, last: int) -> float:
        facts = [fact for fact in await self._journal.stretch(after, MAX_BATCH_FACTS) if fact.seq <= last]
        if not facts:
            self._wanted = None
            return 0.0
        upto, size = await self._send(link, facts)
        self._pace = self._pace.after_sending(size, clock.monotonic_s())
        if self._wanted == (after, last):  # else another stretch was asked for meanwhile
            self._wanted = (upto, last) if upto < last else None
        return 0.0

    async def _send(self, link: Link, facts: Sequence[Fact]) -> tuple[int, int]:
        """Send as many of ``facts`` as fit a batch; return the newest of them, and the bytes that went out."""
        if self._journal.status().log_id != self._log_id:  # they may have been read from the log that took its place
            raise UpstreamLostError("the log is another one")
        chosen = fit(facts)
        size = await link.facts(FactBatch(log_id=self._log_id, facts=thinned(chosen)))
        return chosen[-1].seq, size


async def happens(event: asyncio.Event, within_s: float) -> None:
    """Wait for ``event``, and no longer than that."""
    try:
        async with asyncio.timeout(within_s):
            await event.wait()
    except TimeoutError:
        pass
