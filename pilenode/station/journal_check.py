"""Whether a journal is what was written: the file as SQLite sees it, and its newest facts as the chain sees them."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import msgspec

from pilenode.station import schema
from pilenode.station.journal_rows import to_fact
from pilenode.upstream.facts import GENESIS, FactKind, link
from pilenode.upstream.facts_journal import Removed

if TYPE_CHECKING:
    from collections.abc import Iterable

#: Facts whose links are checked at every opening.
TAIL_FACTS: Final = 256
#: SQLite's words for a file that is not what it was.
_CORRUPT: Final = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
_PRIMARY: Final = 0xFF


class CorruptError(sqlite3.DatabaseError):
    """The file is readable and wrong. ``cause`` is that of ``log_salvaged``."""

    def __init__(self, cause: str, detail: str) -> None:
        super().__init__(detail)
        self.cause = cause
        self.detail = detail


@dataclass(frozen=True, slots=True)
class Head:
    """The newest fact whose append has returned. A log that does not hold it has lost what was promised."""

    log_id: str
    seq: int
    digest: bytes


def primary_code(error: BaseException) -> int:
    """Return SQLite's primary result code, 0 when ``error`` carries none."""
    return getattr(error, "sqlite_errorcode", 0) & _PRIMARY


def is_corrupt(error: BaseException) -> bool:
    """Return whether ``error`` says that the file itself is wrong, not that it cannot be reached."""
    # An index over the words of a spoiled row fails with these words and no better code.
    return isinstance(error, CorruptError) or primary_code(error) in _CORRUPT or "malformed JSON" in str(error)


def is_full(error: BaseException) -> bool:
    """Return whether ``error`` says that there is no room."""
    return primary_code(error) == sqlite3.SQLITE_FULL


def distrusts(error: BaseException) -> bool:
    """Return whether after ``error`` the file is to be looked at as a whole, and from the medium.

    A sync that failed may have thrown pages away that the kernel goes on to show.
    """
    return is_corrupt(error) or primary_code(error) == sqlite3.SQLITE_IOERR


def check_pages(connection: sqlite3.Connection) -> None:
    """Look at every page, and whether every index agrees with its table. Raises CorruptError.

    ``quick_check`` would not see an index page of yesterday, which a card that ignores a sync leaves behind.
    """
    (verdict,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
    if verdict != "ok":
        raise CorruptError("corrupt", f"integrity_check: {verdict}")


def check_count(connection: sqlite3.Connection) -> None:
    """Look whether facts and holes together are as many as were numbered. Raises CorruptError."""
    last, held, gone = connection.execute(schema.COUNTS).fetchone()
    if last != held + gone:
        raise CorruptError("corrupt", f"{last} facts numbered, {held} there, {gone} removed")


def tail_check(connection: sqlite3.Connection, log_id: str, acked: int, promised: Head | None) -> None:
    """Check the links of the newest facts, and that what was promised or confirmed is there. Raises CorruptError."""
    last = (connection.execute(schema.LAST).fetchone() or (0,))[0]
    after = max(0, last - TAIL_FACTS)
    broken = broken_link(log_id, connection.execute(schema.AFTER, (after, -1)), after, link_at(connection, after))
    if broken is not None:
        raise CorruptError("corrupt", f"chain broken at {broken}")
    if acked > last:
        raise CorruptError("lost_tail", f"confirmed up to {acked}, ends at {last}")
    if promised is not None and promised.log_id == log_id and link_at(connection, promised.seq) != promised.digest:
        raise CorruptError("lost_tail", f"fact {promised.seq} was written and is not there")


def link_at(connection: sqlite3.Connection, seq: int) -> bytes | None:
    """Return the link of a fact, None where that is not known (a fact inside a hole, or none at all)."""
    if seq == 0:
        return GENESIS
    row = connection.execute(schema.AT, (seq,)).fetchone()
    return None if row is None else bytes(row[0])


def broken_link(log_id: str, rows: Iterable[sqlite3.Row], after: int, previous: bytes | None) -> int | None:
    """Return the first ``seq`` of ``rows`` that does not follow; holes are taken at their word.

    ``rows`` come in order with what stands for holes; ``previous`` is the link of ``after``, None where not known.
    """
    for row in rows:
        fact = to_fact(row)
        if fact.kind == FactKind.REMOVED:
            if msgspec.json.decode(fact.body, type=Removed).since > after + 1:
                return after + 1
            after, previous = fact.seq, bytes(row["hash"])
            continue
        if fact.seq != after + 1:
            return fact.seq
        if (previous is not None and link(previous, log_id, fact) != row["hash"]) or row["log_id"] != log_id:
            return fact.seq
        after, previous = fact.seq, bytes(row["hash"])
    return None
