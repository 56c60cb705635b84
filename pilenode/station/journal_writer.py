"""The one writing connection of the journal. Lives in one thread; raises sqlite3.Error and OSError.

Exactly one connection writes and checkpoints: SQLite before 3.51.3 can corrupt a write-ahead log that two connections
reset at once. After any error but a refused fact the connection is never trusted again: a sync that failed once may
seem to work the next time although the pages never arrived. Whoever holds a writer then closes it and opens a new one,
which looks at the file anew.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import suppress
from typing import TYPE_CHECKING, BinaryIO, Final, TypeVar

import msgspec
from msgspec.structs import replace
from sqlite_utils import Database, Migrations

from pilenode.station import schema
from pilenode.station.journal_check import Head, check_count, check_pages, tail_check
from pilenode.station.journal_room import beside, file_bytes
from pilenode.upstream.facts import GENESIS, Fact, canonical, link

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from pilenode.station.entries import NewFact
    from pilenode.station.wallclock import Stamp

Result = TypeVar("Result")

#: A file up to this size is looked at as a whole before it is used (0.5 s of a desktop processor for 100,000 facts); a
#: larger one is used at once and looked at meanwhile.
CHECK_BYTES: Final = 32 * 1024 * 1024
#: A commit returns when it is on the medium.
SYNCHRONOUS: Final = "FULL"
#: A card that ignores a flush now and then may obey the next one. It writes nothing when the first was obeyed.
FLUSHES_MORE: Final = 2
#: The write-ahead log is cut back to this when it was longer.
WAL_LIMIT_BYTES: Final = 8 * 1024 * 1024
#: Without housekeeping SQLite moves the write-ahead log into the file by itself after so many pages: 16 MiB.
_WAL_PAGES: Final = 4096
#: Housekeeping does it after so many transactions or so many seconds: about 4 MiB.
_CHECKPOINT_TRANSACTIONS: Final = 500
_CHECKPOINT_S: Final = 900.0


def migrations() -> Migrations:
    """Return the migrations of the journal, each of which is one transaction with the record of it."""
    known = Migrations("journal")
    for name, statements in schema.MIGRATIONS:

        def run(database: Database, statements: tuple[str, ...] = statements) -> None:
            for statement in statements:
                database.execute(statement)

        known(name=name)(run)
    return known


class Writer:
    """An open journal. ``whole``: look at every page of the file, however large it is."""

    def __init__(self, path: Path, *, promised: Head | None = None, whole: bool = False) -> None:
        self.path = path
        self.checked = whole or file_bytes(path) <= CHECK_BYTES
        self._transactions = 0  # since the last checkpoint
        self._checkpoint_s: float | None = None  # when housekeeping looked last
        # Closing a descriptor of the database file takes SQLite's locks away: this one outlives the connection.
        self._file = path.open("ab")
        self._wal: BinaryIO | None = None
        self._changed = 0  # when the file was changed last, as far as it was flushed
        self._connection = sqlite3.connect(path, isolation_level=None, timeout=2.0)
        try:
            self._open(promised)
        except BaseException:
            self.close()
            raise

    def _open(self, promised: Head | None) -> None:
        connection = self._connection
        connection.row_factory = sqlite3.Row
        (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
        if mode != "wal":
            raise sqlite3.OperationalError(f"journal_mode is {mode}, not wal")
        connection.execute(f"PRAGMA synchronous = {SYNCHRONOUS}")
        connection.execute(f"PRAGMA journal_size_limit = {WAL_LIMIT_BYTES}")
        connection.execute(f"PRAGMA wal_autocheckpoint = {_WAL_PAGES}")
        if self.checked:
            check_pages(connection)
        migrations().apply(Database(connection, execute_plugins=False))
        meta = dict(connection.execute(schema.META).fetchall())
        self.log_id, self.acked, self.removed = meta["log_id"], int(meta["acked"]), int(meta["removed"])
        if self.checked:
            check_count(connection)
        tail_check(connection, self.log_id, self.acked, promised)
        self.last_seq, self._digest = self._newest()
        self._set_acked(self.acked)  # proves that the storage takes a write

    @property
    def head(self) -> Head:
        """Return the newest durable fact."""
        return Head(self.log_id, self.last_seq, self._digest)

    def _newest(self) -> tuple[int, bytes]:
        row = self._connection.execute(schema.HEAD).fetchone()
        return (0, GENESIS) if row is None else (row[0], bytes(row[1]))

    def transact(self, work: Callable[[sqlite3.Connection], Result]) -> Result:
        """Do ``work`` in one transaction and return what it returns. ``work`` is whole or did not happen."""
        before = self._connection.total_changes
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            result = work(self._connection)
            self._connection.execute("COMMIT")
        except BaseException:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise
        if self._connection.total_changes != before:
            self._transactions += 1
            self._flush_again()
        return result

    def _flush_again(self) -> None:
        """Repeat the sync of a commit, and that of a checkpoint that came with it."""
        if self._wal is None:
            self._wal = beside(self.path, "-wal").open("rb")
        self._flush(self._wal)
        changed = os.fstat(self._file.fileno()).st_mtime_ns
        if changed != self._changed:
            self._flush(self._file)
            self._changed = changed

    @staticmethod
    def _flush(file: BinaryIO) -> None:
        for _ in range(FLUSHES_MORE):
            os.fdatasync(file.fileno())

    def append(self, facts: Sequence[NewFact], at: Stamp) -> list[int]:
        """Write ``facts`` in one transaction and return their ``seq``."""
        return self._written(lambda _: self._put(facts, at))

    def change(self, work: Callable[[sqlite3.Connection], tuple[Sequence[NewFact], int]], at: Stamp) -> int:
        """Take facts out and write the facts about it in one transaction; return how many went.

        ``work`` returns what to write, and how many facts it has taken out.
        """
        count = 0

        def both(connection: sqlite3.Connection) -> list[int]:
            nonlocal count
            facts, count = work(connection)
            if count:
                connection.execute(schema.COUNT_REMOVED, (count,))
            return self._put(facts, at)

        self._written(both)
        self.removed += count
        return count

    def _written(self, work: Callable[[sqlite3.Connection], list[int]]) -> list[int]:
        before = self._digest
        try:
            written = self.transact(work)
        except BaseException:
            self._digest = before
            raise
        self.last_seq = written[-1] if written else self.last_seq
        return written

    def _put(self, facts: Sequence[NewFact], at: Stamp) -> list[int]:
        seq, self._digest = self._newest()
        written = []
        for new in facts:
            seq += 1
            fact = Fact(
                seq=seq,
                boot=at.boot,
                boottime_ms=at.boottime_ms,
                wall_ms=at.wall_ms,
                clock=at.clock,
                kind=new.kind,
                session=new.session,
                body=msgspec.Raw(canonical(new.body)),
                hash="",
            )
            self._insert(fact)
            written.append(seq)
        return written

    def _insert(self, fact: Fact) -> None:
        """Write one row, within a transaction, as the next of the chain."""
        self._digest = link(self._digest, self.log_id, fact)
        times = (fact.boot, fact.boottime_ms, fact.wall_ms, fact.clock)
        body = bytes(fact.body).decode()
        row = (fact.seq, self.log_id, *times, fact.kind, fact.session, body, self._digest)
        self._connection.execute(schema.INSERT, row)

    def carry(self, facts: Sequence[Fact]) -> None:
        """Take facts of another log over, in one transaction: their times and words, numbers and links of this one."""

        def work(_: sqlite3.Connection) -> list[int]:
            seq, self._digest = self._newest()
            numbered = [replace(fact, seq=seq + count) for count, fact in enumerate(facts, start=1)]
            for fact in numbered:
                self._insert(fact)
            return [fact.seq for fact in numbered]

        self._written(work)

    def _set_acked(self, upto: int) -> None:
        self.transact(lambda connection: connection.execute(schema.ACKNOWLEDGE, (str(upto),)))
        self.acked = upto

    def acknowledge(self, log_id: str, upto: int) -> bool:
        """Remember that everything up to ``upto`` is confirmed. Returns whether that was news."""
        if log_id != self.log_id or not self.acked < upto <= self.last_seq:
            return False
        self._set_acked(upto)
        return True

    def used_bytes(self) -> int:
        """Return what the facts take of the file."""
        pages, free, size = (
            self._connection.execute(f"PRAGMA {name}").fetchone()[0]
            for name in ("page_count", "freelist_count", "page_size")
        )
        return int((pages - free) * size)

    def checkpoint(self, now_s: float, *, at_once: bool = False) -> bool:
        """Move the write-ahead log into the file when it is time, seconds on any clock. Returns whether it was.

        Readers are not waited for, unless the write-ahead log has grown over its limit because of them.
        """
        if self._checkpoint_s is None:
            self._checkpoint_s = now_s
        due = self._transactions >= _CHECKPOINT_TRANSACTIONS or now_s - self._checkpoint_s >= _CHECKPOINT_S
        if not at_once and (not due or not self._transactions):
            return False
        grown = file_bytes(beside(self.path, "-wal")) > WAL_LIMIT_BYTES
        self._connection.execute(f"PRAGMA wal_checkpoint({'TRUNCATE' if grown else 'PASSIVE'})").fetchone()
        self._flush(self._file)
        self._transactions, self._checkpoint_s = 0, now_s
        return True

    def close(self) -> None:
        """Close the connection, which moves the rest of the write-ahead log into the file and removes it."""
        with suppress(sqlite3.Error, OSError):
            self._connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
            self._flush(self._file)  # before the write-ahead log is gone
        self._connection.close()
        for file in (self._wal, self._file):
            if file is not None:
                file.close()
