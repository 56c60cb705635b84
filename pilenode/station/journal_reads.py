"""The questions that the station asks the journal. Answered by a reader, never by the writing connection."""

from __future__ import annotations

import sqlite3
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, TypeVar

import msgspec

from pilenode.station import schema
from pilenode.station.boot_reason import LastRun
from pilenode.station.journal_check import link_at
from pilenode.station.journal_classes import PATIENT, words
from pilenode.station.journal_rows import first, session_facts, to_fact
from pilenode.upstream.facts import FactKind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from pilenode.station.entries import JournalStatus, SessionFacts
    from pilenode.upstream.facts import Fact

Result = TypeVar("Result")


class JournalReads(ABC):
    """Every method raises JournalFailedError when the journal cannot be read now."""

    @abstractmethod
    def status(self) -> JournalStatus:
        """Return where the log stands, without touching the storage."""

    @abstractmethod
    async def _read(self, query: Callable[[sqlite3.Connection], Result]) -> Result:
        """Let a reader answer ``query``."""

    async def unacked(self, limit: int, after: int = 0) -> list[Fact]:
        """Return the oldest facts that are neither confirmed nor at or below ``after``.

        A row of kind ``removed`` stands for facts that are gone.
        """
        return await self.stretch(max(after, self.status().acked_seq), limit)

    async def stretch(self, after: int, limit: int, most_bytes: int | None = None) -> list[Fact]:
        """Return the oldest facts above ``after``, confirmed or not, with what stands for those that are gone.

        They are of the log that the status names; where that was just replaced, this is a failure. With ``most_bytes``
        it ends with the fact whose body reaches that sum.
        """
        log_id = self.status().log_id

        def query(db: sqlite3.Connection) -> list[Fact]:
            if dict(db.execute(schema.META).fetchall())["log_id"] != log_id:
                raise sqlite3.OperationalError("the log is another one")
            rows = db.execute(schema.AFTER, (after, limit))
            return [to_fact(row) for row in (rows if most_bytes is None else _up_to(rows, most_bytes))]

        return await self._read(query)

    async def has_urgent(self, after: int) -> bool:
        """Return whether there is a fact above ``after`` that somebody may wait for."""
        wanted = (after, words(PATIENT))
        return await self._read(lambda db: bool(db.execute(schema.OTHER_AFTER, wanted).fetchone()[0]))

    async def open_sessions(self) -> list[SessionFacts]:
        """Return the sessions that have no end yet."""
        return await self._read(
            lambda db: [session_facts(db, row) for row in db.execute(schema.OPEN_STARTS).fetchall()]
        )

    async def sessions(self, limit: int) -> list[SessionFacts]:
        """Return the newest sessions, newest first."""
        return await self._read(
            lambda db: [session_facts(db, row) for row in db.execute(schema.STARTS, (limit,)).fetchall()]
        )

    async def head(self) -> int:
        """Return the newest ``seq`` that readers see. It may be ahead of the status: that waits for the last flush."""

        def query(db: sqlite3.Connection) -> int:
            row = db.execute(schema.HEAD).fetchone()
            return 0 if row is None else int(row[0])

        return await self._read(query)

    async def find_order(self, order: str) -> Fact | None:
        """Return the start of the session of ``order``."""
        return await self._read(lambda db: first(db, schema.ORDER, order))

    async def find_end(self, session: str) -> Fact | None:
        """Return the end of a session."""
        return await self._read(lambda db: first(db, schema.END, session))

    async def find_command(self, command: str) -> Fact | None:
        """Return the stored result of the command with that id."""
        return await self._read(lambda db: first(db, schema.COMMAND, command))

    async def last_guard_event(self, guard_boot: str) -> int:
        """Return the newest event of that guard that became a fact, 0 when there is none."""
        return await self._read(lambda db: db.execute(schema.LAST_GUARD_EVENT, (guard_boot,)).fetchone()[0] or 0)

    async def last_tests(self) -> list[Fact]:
        """Return the newest result of every periodic test."""
        return await self._read(lambda db: [to_fact(row) for row in db.execute(schema.LAST_TESTS)])

    async def newest_trusted(self) -> Fact | None:
        """Return the newest fact whose wall time was trusted."""

        def query(db: sqlite3.Connection) -> Fact | None:
            row = db.execute(schema.NEWEST_TRUSTED).fetchone()
            return None if row is None else to_fact(row)

        return await self._read(query)

    async def newest_of(self, kind: FactKind) -> Fact | None:
        """Return the newest fact of a kind, which is not that of readings."""
        return await self._read(lambda db: first(db, schema.NEWEST_OF, kind))

    async def last_run(self) -> LastRun:
        """Return what the log holds of the run before, all of one moment."""

        def query(db: sqlite3.Connection) -> LastRun:
            last = db.execute(schema.NEWEST).fetchone()
            boot, stopped = (first(db, schema.NEWEST_OF, kind) for kind in (FactKind.BOOT, FactKind.STOPPED))
            return LastRun(None if last is None else to_fact(last), boot, stopped, first(db, schema.BEGAN))

        return await self._read(query)

    async def anchors(self, boots: Iterable[str]) -> list[Fact]:
        """Return the anchors of those boots."""
        wanted = msgspec.json.encode(sorted(set(boots))).decode()
        return await self._read(lambda db: [to_fact(row) for row in db.execute(schema.ANCHORS, (wanted,))])

    async def facts(self, kinds: Sequence[str], after: int, limit: int) -> list[Fact]:
        """Return the oldest facts of ``kinds`` above ``after``; with ``removed`` also what stands for holes."""
        wanted = msgspec.json.encode(list(kinds)).decode()
        if FactKind.CHECKPOINT in kinds:
            query = schema.OF_ALL_THAT if FactKind.REMOVED in kinds else schema.OF_KINDS_AND_READINGS
        else:
            query = schema.OF_KINDS_AND_HOLES if FactKind.REMOVED in kinds else schema.OF_KINDS
        return await self._read(lambda db: [to_fact(row) for row in db.execute(query, (wanted, after, limit))])

    async def link_at(self, seq: int) -> str | None:
        """Return the link of a fact in hex, None where it is not known: what the backend's head must agree with."""

        def query(db: sqlite3.Connection) -> str | None:
            digest = link_at(db, seq)
            return None if digest is None else digest.hex()

        return await self._read(query)


def _up_to(rows: Iterable[sqlite3.Row], most_bytes: int) -> Iterator[sqlite3.Row]:
    for row in rows:
        yield row
        most_bytes -= len(row["body"])
        if most_bytes <= 0:
            return
