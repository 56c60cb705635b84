"""The journal: one append-only SQLite table of facts, which is also the outbox.

Rules of this file:
- nothing else in the station opens the database. Exactly one connection writes and checkpoints, in one thread
  (SQLite before 3.51.3 can corrupt a WAL that two connections reset at once); readers open it read-only;
- WAL with ``synchronous=FULL``: when ``append`` returns, the facts survive a power cut;
- ``seq`` is allocated in the transaction that writes the row, so it has no gaps;
- what is above the acknowledged ``seq`` is still to be sent; nothing is ever removed here;
- trouble is ``JournalFailedError`` and leaves the journal closed until ``recover`` has opened and checked it again.
  A failed append may still turn out to be on disk after that (a commit whose sync failed), so whoever holds a picture
  of the journal in memory must read it again.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final, TypeVar
from urllib.parse import quote

import msgspec
from sqlite_utils import Database, Migrations

from pilenode.station import schema, wallclock
from pilenode.station.entries import JournalConflictError, JournalFailedError, JournalStatus, NewFact, SessionFacts
from pilenode.upstream.facts import GENESIS, Fact, canonical, link

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from pilenode.station.wallclock import Stamp
    from pilenode.upstream.facts import FactKind

Result = TypeVar("Result")

#: A storage that has not answered after this long has failed, seconds. Well below a third of a lease, so that a
#: stalled card does not keep station from renewing.
CALL_TIMEOUT_S: Final = 3.0
#: No session starts with less room than this: the ends of running sessions must still fit.
RESERVE_BYTES: Final = 8 * 1024 * 1024
_WAL_LIMIT_BYTES: Final = 8 * 1024 * 1024


def _migrations() -> Migrations:
    migrations = Migrations("journal")
    for name, statements in schema.MIGRATIONS:

        def run(database: Database, statements: tuple[str, ...] = statements) -> None:
            for statement in statements:
                database.execute(statement)

        migrations(name=name)(run)
    return migrations


def _fact(row: sqlite3.Row) -> Fact:
    return Fact(
        seq=row["seq"],
        boot=row["boot"],
        boottime_ms=row["boottime_ms"],
        wall_ms=row["wall_ms"],
        clock=row["clock"],
        kind=row["kind"],
        session=row["session"],
        body=msgspec.Raw(row["body"].encode()),
        hash=row["hash"].hex(),
    )


class _Writer:
    """The one writing connection. Lives in one thread; raises sqlite3.Error."""

    def __init__(self, path: Path) -> None:
        self._connection = sqlite3.connect(path, isolation_level=None, timeout=2.0)
        try:
            self._open()
        except BaseException:
            self._connection.close()
            raise

    def _open(self) -> None:
        connection = self._connection
        (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
        if mode != "wal":
            raise sqlite3.OperationalError(f"journal_mode is {mode}, not wal")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute(f"PRAGMA journal_size_limit = {_WAL_LIMIT_BYTES}")
        (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
        if verdict != "ok":
            raise sqlite3.DatabaseError(f"quick_check: {verdict}")
        _migrations().apply(Database(connection, execute_plugins=False))
        meta = dict(connection.execute(schema.META).fetchall())
        self.log_id, self.acked = meta["log_id"], int(meta["acked"])
        self.last_seq, _ = self._head()
        self._set_acked(self.acked)  # proves that the storage takes a write

    def _head(self) -> tuple[int, bytes]:
        row = self._connection.execute(schema.HEAD).fetchone()
        return (0, GENESIS) if row is None else (row[0], row[1])

    def _transact(self, work: Callable[[], Result]) -> Result:
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            result = work()
            self._connection.execute("COMMIT")
        except BaseException:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise
        return result

    def append(self, facts: Sequence[NewFact], at: Stamp) -> list[int]:
        """Write ``facts`` in one transaction and return their ``seq``."""

        def work() -> list[int]:
            seq, previous = self._head()
            written = []
            for new in facts:
                seq += 1
                previous = self._insert(seq, previous, new, at)
                written.append(seq)
            return written

        written = self._transact(work)
        self.last_seq = written[-1] if written else self.last_seq
        return written

    def _insert(self, seq: int, previous: bytes, new: NewFact, at: Stamp) -> bytes:
        body = canonical(new.body)
        fact = Fact(
            seq=seq,
            boot=at.boot,
            boottime_ms=at.boottime_ms,
            wall_ms=at.wall_ms,
            clock=at.clock,
            kind=new.kind,
            session=new.session,
            body=msgspec.Raw(body),
            hash="",
        )
        digest = link(previous, self.log_id, fact)
        times = (at.boot, at.boottime_ms, at.wall_ms, at.clock)
        row = (seq, self.log_id, *times, new.kind, new.session, body.decode(), digest)
        self._connection.execute(schema.INSERT, row)
        return digest

    def _set_acked(self, upto: int) -> None:
        self._transact(lambda: self._connection.execute(schema.ACKNOWLEDGE, (str(upto),)))
        self.acked = upto

    def acknowledge(self, log_id: str, upto: int) -> bool:
        """Remember that everything up to ``upto`` is confirmed. Returns whether that was news."""
        if log_id != self.log_id or not self.acked < upto <= self.last_seq:
            return False
        self._set_acked(upto)
        return True

    def close(self) -> None:
        self._connection.close()


class Journal:
    """The journal for asyncio. One instance per process; every method may raise JournalFailedError.

    ``changed`` is set whenever facts were added or confirmed. ``now`` tells the moment a batch is stamped with.
    """

    def __init__(
        self, path: Path, *, now: Callable[[], Stamp] = wallclock.stamp, reserve_bytes: int = RESERVE_BYTES
    ) -> None:
        self._path = path
        self._now = now
        self._reserve_bytes = reserve_bytes
        self._writer: _Writer | None = None
        self._status = JournalStatus("", 0, 0, "not opened")
        self._lanes = {name: ThreadPoolExecutor(1, thread_name_prefix=f"journal-{name}") for name in ("write", "read")}
        self.changed = asyncio.Event()

    def status(self) -> JournalStatus:
        """Return where the log stands, without touching the storage."""
        return self._status

    async def recover(self) -> None:
        """Open the journal if it is not open: migrate, check, prove that a write works."""

        def work() -> None:
            if self._writer is None:
                self._writer = _Writer(self._path)

        await self._write(work)

    async def append(self, facts: Iterable[NewFact]) -> list[int]:
        """Make ``facts`` durable in one transaction and return their ``seq``.

        Raises JournalConflictError when one of them may exist only once and does already.
        """
        batch = tuple(facts)
        written = await self._write(lambda: self._opened().append(batch, self._now()))
        self.changed.set()
        return written

    async def acknowledge(self, log_id: str, upto: int) -> bool:
        """Remember the backend's confirmation. False for another log, an old ``upto`` or one never written."""
        news = await self._write(lambda: self._opened().acknowledge(log_id, upto))
        self.changed.set()
        return news

    async def ensure_room(self) -> None:
        """Raise JournalFailedError unless a session that starts now could also be ended on this storage."""

        def work() -> int:
            self._opened()
            room = os.statvfs(self._path.parent)
            return room.f_bavail * room.f_frsize

        free = await self._write(work)
        if free < self._reserve_bytes:
            raise JournalFailedError(f"{free} bytes free, {self._reserve_bytes} needed")

    async def unacked(self, limit: int, after: int = 0) -> list[Fact]:
        """Return the oldest facts that are neither confirmed nor at or below ``after``."""
        floor = max(after, self._status.acked_seq)
        return await self._read(lambda db: [_fact(row) for row in db.execute(schema.AFTER, (floor, limit))])

    async def open_sessions(self) -> list[SessionFacts]:
        """Return the sessions that have no end yet."""
        return await self._read(
            lambda db: [_session_facts(db, row) for row in db.execute(schema.OPEN_STARTS).fetchall()]
        )

    async def sessions(self, limit: int) -> list[SessionFacts]:
        """Return the newest sessions, newest first."""
        return await self._read(
            lambda db: [_session_facts(db, row) for row in db.execute(schema.STARTS, (limit,)).fetchall()]
        )

    async def find_order(self, order: str) -> Fact | None:
        """Return the start of the session of ``order``."""
        return await self._read(lambda db: _first(db, schema.ORDER, order))

    async def find_end(self, session: str) -> Fact | None:
        """Return the end of a session."""
        return await self._read(lambda db: _first(db, schema.END, session))

    async def find_command(self, command: str) -> Fact | None:
        """Return the stored result of the command with that id."""
        return await self._read(lambda db: _first(db, schema.COMMAND, command))

    async def last_guard_event(self, guard_boot: str) -> int:
        """Return the newest event of that guard that became a fact, 0 when there is none."""
        return await self._read(lambda db: db.execute(schema.LAST_GUARD_EVENT, (guard_boot,)).fetchone()[0] or 0)

    async def last_tests(self) -> list[Fact]:
        """Return the newest result of every periodic test."""
        return await self._read(lambda db: [_fact(row) for row in db.execute(schema.LAST_TESTS)])

    async def newest_trusted(self) -> Fact | None:
        """Return the newest fact whose wall time was trusted."""

        def query(db: sqlite3.Connection) -> Fact | None:
            row = db.execute(schema.NEWEST_TRUSTED).fetchone()
            return None if row is None else _fact(row)

        return await self._read(query)

    async def newest_of(self, kind: FactKind) -> Fact | None:
        """Return the newest fact of a kind."""
        return await self._read(lambda db: _first(db, schema.NEWEST_OF, kind))

    async def anchors(self, boots: Iterable[str]) -> list[Fact]:
        """Return the anchors of those boots."""
        wanted = msgspec.json.encode(sorted(set(boots))).decode()
        return await self._read(lambda db: [_fact(row) for row in db.execute(schema.ANCHORS, (wanted,))])

    async def facts(self, kinds: Sequence[str], after: int, limit: int) -> list[Fact]:
        """Return the oldest facts of ``kinds`` above ``after``."""
        wanted = msgspec.json.encode(list(kinds)).decode()
        return await self._read(lambda db: [_fact(row) for row in db.execute(schema.OF_KINDS, (wanted, after, limit))])

    async def close(self) -> None:
        """Close the database. A storage that hangs is not waited for."""

        def work() -> None:
            if self._writer is not None:
                self._writer.close()
                self._writer = None

        with contextlib.suppress(TimeoutError, sqlite3.Error):
            await self._run("write", work)
        for executor in self._lanes.values():
            executor.shutdown(wait=False)

    def _opened(self) -> _Writer:
        if self._writer is None:
            raise JournalFailedError(self._status.problem or "closed")
        return self._writer

    def _observe(self, problem: str | None) -> None:
        writer = self._writer
        if writer is None:
            before = self._status
            self._status = JournalStatus(before.log_id, before.last_seq, before.acked_seq, problem)
        else:
            self._status = JournalStatus(writer.log_id, writer.last_seq, writer.acked, problem)

    async def _write(self, work: Callable[[], Result]) -> Result:
        def guarded() -> Result:
            try:
                return work()
            except sqlite3.IntegrityError:
                raise
            except (sqlite3.Error, OSError):
                if self._writer is not None:
                    self._writer.close()
                    self._writer = None
                raise

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

    async def _read(self, query: Callable[[sqlite3.Connection], Result]) -> Result:
        def work() -> Result:
            connection = sqlite3.connect(f"file:{quote(str(self._path))}?mode=ro", uri=True, timeout=2.0)
            try:
                connection.row_factory = sqlite3.Row
                return query(connection)
            finally:
                connection.close()

        try:
            return await self._run("read", work)
        except (sqlite3.Error, TimeoutError) as error:
            raise JournalFailedError(str(error) or "the storage does not answer") from error

    async def _run(self, lane: str, work: Callable[[], Result]) -> Result:
        """Run ``work`` in the lane's thread. Past the time-out a work that waits is dropped, one that runs runs on."""
        async with asyncio.timeout(CALL_TIMEOUT_S):
            return await asyncio.get_running_loop().run_in_executor(self._lanes[lane], work)


def _first(connection: sqlite3.Connection, query: str, value: str) -> Fact | None:
    row = connection.execute(query, (value,)).fetchone()
    return None if row is None else _fact(row)


def _session_facts(connection: sqlite3.Connection, start: sqlite3.Row) -> SessionFacts:
    reading = _first(connection, schema.LAST_READING, start["session"])
    turns = tuple(_fact(row) for row in connection.execute(schema.TURNS, (start["session"],)))
    return SessionFacts(_fact(start), reading, _first(connection, schema.END, start["session"]), turns)
