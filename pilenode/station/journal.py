"""The journal: one append-only SQLite table of facts, which is also the outbox.

Rules of this file:
- nothing but this file and its ``journal_*`` neighbours opens the database. Exactly one connection writes and
  checkpoints, in one thread (``journal_writer``); readers open it read-only;
- WAL with ``synchronous=FULL``: when ``append`` returns, the facts survive a power cut;
- ``seq`` is allocated in the transaction that writes the row, so it has no gaps;
- what is above the acknowledged ``seq`` is still to be sent; what leaves, and when, is said in ``journal_trim``;
- trouble is ``JournalFailedError`` and leaves the journal closed until ``recover`` has opened and checked it again.
  A failed append may still turn out to be on disk after that (a commit whose sync failed), so whoever holds a picture
  of the journal in memory must read it again;
- a file that is damaged is set aside whole and a new log begins (``journal_salvage``): ``status().log_id`` is another
  one then, and every picture must be made anew.
"""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING, Final, TypeVar
from urllib.parse import quote

from pilenode import clock
from pilenode.station import wallclock
from pilenode.station.entries import (
    DEFAULT_POLICY,
    JournalConflictError,
    JournalFailedError,
    JournalStatus,
    NewFact,
)
from pilenode.station.journal_check import distrusts, is_corrupt, is_full
from pilenode.station.journal_house import House
from pilenode.station.journal_open import open_journal
from pilenode.station.journal_reads import JournalReads
from pilenode.station.journal_salvage import salvage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from pilenode.station.entries import JournalPolicy
    from pilenode.station.journal_check import Head
    from pilenode.station.journal_writer import Writer
    from pilenode.station.wallclock import Stamp

Result = TypeVar("Result")

#: A storage that has not answered after this long has failed, seconds. Well below a third of a lease, so that a
#: stalled card does not keep station from renewing.
CALL_TIMEOUT_S: Final = 3.0
#: How often the journal looks after itself, seconds: room, ballast, checkpoint, age.
TEND_S: Final = 2.0


class Journal(JournalReads):
    """The journal for asyncio. One instance per process; every method may raise JournalFailedError.

    ``changed`` is set whenever facts were added or confirmed. ``now`` tells the moment a batch is stamped with.
    ``reserve_bytes`` overrides that of ``policy``.
    """

    def __init__(
        self,
        path: Path,
        *,
        now: Callable[[], Stamp] = wallclock.stamp,
        reserve_bytes: int | None = None,
        policy: JournalPolicy = DEFAULT_POLICY,
    ) -> None:
        if reserve_bytes is not None:
            policy = replace(policy, reserve_bytes=reserve_bytes)
        self._path = path
        self._now = now
        self._house = House(path, policy)
        self._writer: Writer | None = None
        self._promised: Head | None = None  # the newest fact whose append has returned
        self._suspect = False  # something was wrong with the file: look at all of it
        self._status = JournalStatus("", 0, 0, "not opened")
        names = ("write", "read", "check")
        self._lanes = {name: ThreadPoolExecutor(1, thread_name_prefix=f"journal-{name}") for name in names}
        self.changed = asyncio.Event()

    def status(self) -> JournalStatus:
        """Return where the log stands, without touching the storage."""
        return self._status

    # -- opening and looking after -----------------------------------------------------------------------------

    async def recover(self) -> None:
        """Open the journal if it is not open: migrate, check, salvage if need be, prove that a write works."""

        def work() -> None:
            if self._writer is None:
                ballast = self._house.ballast
                self._writer = open_journal(self._path, ballast, self._now(), self._promised, suspect=self._suspect)
                self._suspect = False
                self._house.opened(self._writer)

        await self._write(work)
        self.changed.set()

    async def run(self) -> None:
        """Look after the journal until cancelled. Trouble shows in the status; ``recover`` is another's business."""
        while True:
            with contextlib.suppress(JournalFailedError):
                await self.tend()
            await asyncio.sleep(TEND_S)

    async def tend(self) -> None:
        """Do once what is due: measure the room, lay ballast, checkpoint, take out what is old, look at the file."""

        def work() -> None:
            self._house.measure()
            if self._writer is not None:
                self._house.tend(self._writer, self._now(), clock.monotonic_s())

        if self._writer is None:
            problem = self._status.problem
            with contextlib.suppress(TimeoutError, sqlite3.Error, OSError):
                await self._run("write", work)
            if self._writer is None:
                self._observe(problem)
            return
        await self._write(work)
        if self._house.check_due(self._writer, clock.monotonic_s()):
            await self._look_at_all_of_it()

    async def _look_at_all_of_it(self) -> None:
        """Let the whole file be looked at by a reader, however long that takes; the journal is in use meanwhile."""

        def work() -> None:
            with contextlib.closing(self._reader()) as connection:
                self._house.look_at_all(connection)

        try:
            await asyncio.get_running_loop().run_in_executor(self._lanes["check"], work)
        except sqlite3.Error as error:
            if is_corrupt(error):
                await self._suspected(str(error))

    async def _suspected(self, problem: str) -> None:
        """Close the journal: the next ``recover`` looks at all of it, and sets it aside if it is damaged."""

        def work() -> None:
            self._suspect = True
            self._close_writer()

        with contextlib.suppress(TimeoutError, sqlite3.Error):
            await self._run("write", work)
        self._observe(problem)

    # -- writing -----------------------------------------------------------------------------------------------

    async def append(self, facts: Iterable[NewFact]) -> list[int]:
        """Make ``facts`` durable in one transaction and return their ``seq``.

        Raises JournalConflictError when one of them may exist only once and does already.
        """
        batch = tuple(facts)
        written = await self._write(lambda: self._with_ballast(lambda: self._opened().append(batch, self._now())))
        self.changed.set()
        return written

    async def acknowledge(self, log_id: str, upto: int) -> bool:
        """Remember the backend's confirmation. False for another log, an old ``upto`` or one never written."""
        news = await self._write(lambda: self._with_ballast(lambda: self._opened().acknowledge(log_id, upto)))
        self.changed.set()
        return news

    async def renounce(self, log_id: str, detail: str) -> None:
        """Set the log aside and begin anew, because the backend holds facts of it that are not in it.

        A storage that lost what it had confirmed would otherwise let numbers be used twice. Another log than the
        present one is left alone.
        """

        def work() -> None:
            if self._opened().log_id != log_id:
                return
            self._close_writer()
            salvage(self._path, self._now(), "renounced", detail)

        await self._write(work)
        await self.recover()

    async def ensure_room(self) -> None:
        """Raise JournalFailedError unless a session that starts now could also be ended on this storage."""

        def work() -> None:
            self._opened()
            self._house.measure()

        await self._write(work)
        if self._status.no_start is not None:
            raise JournalFailedError(self._status.no_start)

    async def close(self) -> None:
        """Close the database. A storage that hangs is not waited for."""
        with contextlib.suppress(TimeoutError, sqlite3.Error):
            await self._run("write", self._close_writer)
        for executor in self._lanes.values():
            executor.shutdown(wait=False)

    # -- the lanes ---------------------------------------------------------------------------------------------

    def _opened(self) -> Writer:
        if self._writer is None:
            raise JournalFailedError(self._status.problem or "closed")
        return self._writer

    def _close_writer(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def _with_ballast(self, work: Callable[[], Result]) -> Result:
        """Do ``work``; where the disk is full give up the ballast and do it again: nothing of it had happened."""
        try:
            return work()
        except sqlite3.Error as error:
            if not is_full(error) or not self._house.ballast.release():
                raise
        return work()

    def _observe(self, problem: str | None) -> None:
        self._status = self._house.status(self._writer, self._status, problem)

    async def _write(self, work: Callable[[], Result]) -> Result:
        def guarded() -> Result:
            try:
                result = work()
            except sqlite3.IntegrityError:
                raise
            except (sqlite3.Error, OSError) as error:
                self._suspect = self._suspect or distrusts(error)
                self._close_writer()
                raise
            if self._writer is not None:
                self._promised = self._writer.head
            return result

        try:
            result = await self._run("write", guarded)
        except sqlite3.IntegrityError as error:
            raise JournalConflictError(str(error)) from error
        except (sqlite3.Error, OSError, TimeoutError) as error:
            problem = str(error) or "the storage does not answer"
            self._observe(problem)
            raise JournalFailedError(problem) from error
        self._observe(None)
        return result

    def _reader(self) -> sqlite3.Connection:
        connection = sqlite3.connect(f"file:{quote(str(self._path))}?mode=ro", uri=True, timeout=2.0)
        connection.row_factory = sqlite3.Row
        return connection

    async def _read(self, query: Callable[[sqlite3.Connection], Result]) -> Result:
        def work() -> Result:
            with contextlib.closing(self._reader()) as connection:
                return query(connection)

        try:
            return await self._run("read", work)
        except (sqlite3.Error, TimeoutError) as error:
            problem = str(error) or "the storage does not answer"
            if is_corrupt(error):
                await self._suspected(problem)
            raise JournalFailedError(problem) from error

    async def _run(self, lane: str, work: Callable[[], Result]) -> Result:
        """Run ``work`` in the lane's thread. Past the time-out a work that waits is dropped, one that runs runs on."""
        async with asyncio.timeout(CALL_TIMEOUT_S):
            return await asyncio.get_running_loop().run_in_executor(self._lanes[lane], work)
