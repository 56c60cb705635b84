"""Keeps what the station believes of the time: read on every look, told by the server, remembered in the journal.

Rules of this file:
- the belief lives in ``WallClock`` and changes under a lock, because the journal's thread stamps facts with it;
- it outlives the process through the journal. Until that has been read, a hardware clock is not believed: what it has
  to be compared with is in there;
- anchors are facts. One that could not be written is due again at the next look.
"""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from typing import TYPE_CHECKING, Final

import msgspec
import structlog

from pilenode import clock
from pilenode.ipc.messages import ClockStatus
from pilenode.station import anchors, wallclock
from pilenode.station.entries import JournalConflictError, JournalFailedError, NewFact
from pilenode.upstream.facts import FactKind
from pilenode.upstream.facts_time import Anchor

if TYPE_CHECKING:
    from collections.abc import Callable

    from pilenode.station.anchors import Belief, Past
    from pilenode.station.journal import Journal
    from pilenode.station.wallclock import Reading, Stamp
    from pilenode.upstream.contract import Time

#: How often the system's clock is looked at, seconds.
_LOOK_S: Final = 1.0

log = structlog.get_logger()


class WallClock:
    """What time it is, as far as anybody can tell. ``refused`` counts what the server told in vain, by cause."""

    def __init__(self, read: Callable[[], Reading] = wallclock.read) -> None:
        self.refused: Counter[str] = Counter()
        self._read = read
        self._lock = threading.Lock()
        self._belief: Belief | None = None
        self._past: Past | None = None

    def stamp(self) -> Stamp:
        """Return the present moment. Thread-safe."""
        return self._look()[1]

    def take(self, told: Time, asked_ms: int | None) -> bool:
        """Hear what the server says and return whether it is believed or at least believable.

        ``asked_ms``: boottime at which this connection last asked.
        """
        received_ms = clock.boottime_ms()
        with self._lock:
            if told.asked_ms is not None and told.asked_ms != asked_ms:
                verdict: Belief | str = "foreign_time"
            else:
                message = anchors.Told(told.wall_ms, received_ms, told.asked_ms)
                verdict = anchors.take(clock.boot_id(), message, self._belief)
            if isinstance(verdict, str):
                self.refused[verdict] += 1
                return False
            self._belief = verdict
        return True

    def recall(self, past: Past, belief: Belief | None) -> None:
        """Take in what the journal remembers. What this process has learnt itself by now is newer."""
        with self._lock:
            self._past = past
            if belief is not None and (self._belief is None or self._belief.quality.rank < belief.quality.rank):
                self._belief = belief

    @property
    def recalled(self) -> bool:
        """Return whether the journal has been read."""
        return self._past is not None

    def status(self, last: Anchor | None) -> ClockStatus:
        """Return what is to be shown; ``last`` is the newest anchor of this boot."""
        reading, at = self._look()
        return ClockStatus(
            quality=at.clock,
            wall_ms=at.wall_ms,
            boottime_ms=at.boottime_ms,
            uncertainty_ms=at.uncertainty_ms,
            system_quality=wallclock.quality(reading),
            system_ahead_ms=reading.wall_ms - at.wall_ms,
            anchor_age_ms=None if last is None else at.boottime_ms - last.boottime_ms,
            anchor_wall_ms=None if last is None else last.wall_ms,
            anchor_quality=None if last is None else last.quality,
            anchor_step_ms=None if last is None else last.step_ms,
            not_before_ms=None if self._past is None else self._past.wall_ms,
        )

    def _look(self) -> tuple[Reading, Stamp]:
        with self._lock:
            reading = self._read()
            self._belief = anchors.look(reading, self._belief, self._past)
            return reading, anchors.stamp(reading, self._belief)


class Timekeeper:
    """Ties the wall clock to the journal: ``prepare`` before the first fact, then ``run``."""

    def __init__(self, journal: Journal, wall: WallClock) -> None:
        self._journal = journal
        self._wall = wall
        self._last: Anchor | None = None  # the newest of this boot
        self._log_id = ""
        self._told = ""  # quality last said in the log

    async def prepare(self) -> None:
        """Open the journal if need be and remember. Trouble with it is not an exception: ``tick`` tries again."""
        try:
            await self._journal.recover()
            await self._recall()
        except JournalFailedError as error:
            log.warning("time of the last boot not known yet", problem=error.problem)

    async def run(self) -> None:
        """Look at the clock once a second until cancelled."""
        while True:
            await self.tick()
            await asyncio.sleep(_LOOK_S)

    async def tick(self) -> None:
        """Look at the clock and write the anchor that is due."""
        status = self._journal.status()
        if status.problem is not None:
            self._wall.stamp()
            return
        try:
            if not self._wall.recalled or status.log_id != self._log_id:
                await self._recall()
            await self._write_if_due()
        except (JournalFailedError, JournalConflictError) as error:
            log.warning("anchor not written", problem=str(error))

    def status(self) -> ClockStatus:
        """Return what ``pilenode status`` shows of the clock."""
        return self._wall.status(self._last)

    async def _recall(self) -> None:
        boot, log_id = clock.boot_id(), self._journal.status().log_id
        newest = await self._journal.newest_trusted()
        found = await self._journal.newest_of(FactKind.ANCHOR)
        last = None
        if found is not None and found.boot == boot != anchors.UNKNOWN_BOOT:
            last = msgspec.json.decode(found.body, type=Anchor)
        self._wall.recall(*anchors.recall(boot, newest, last))
        self._last, self._log_id = last, log_id

    async def _write_if_due(self) -> None:
        at = self._wall.stamp()
        if at.clock != self._told:
            self._told = at.clock
            log.info("clock", quality=at.clock, wall_ms=at.wall_ms, uncertainty_ms=at.uncertainty_ms)
        anchor = anchors.due(self._last, at)
        if anchor is None:
            return
        await self._journal.append([NewFact(FactKind.ANCHOR, anchor)])
        if anchor.step_ms:
            log.warning("wall time stepped", step_ms=anchor.step_ms, quality=anchor.quality)
        self._last = anchor
