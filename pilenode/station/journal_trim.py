"""Takes facts out of the journal: those that are confirmed and old enough, and readings when the budget is used up.

What goes leaves a hole that names itself (table ``gap``): from where, up to where, and the link of its last fact, so
that the chain can still be followed. Every run is itself a fact. A fact whose age no clock can tell stays.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Final

from pilenode.station.entries import NewFact
from pilenode.station.journal_classes import EVENTS, words
from pilenode.upstream.facts import FactKind
from pilenode.upstream.facts_journal import FactsRemoved

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from pilenode.station.entries import JournalPolicy

#: Facts that one transaction takes out, so that nobody waits long for it.
BATCH: Final = 2000
DAY_MS: Final = 86_400_000

#: The first fact but readings that is surely younger than that, and the trusted one before it. The clock was the same
#: between them, or an anchor would stand there.
_YOUNG: Final = """
    SELECT seq FROM fact INDEXED BY trusted WHERE clock != 'none' AND kind != 'checkpoint' AND wall_ms >= ?1
    ORDER BY seq LIMIT 1
"""
_BEFORE: Final = """
    SELECT seq FROM fact INDEXED BY trusted WHERE clock != 'none' AND kind != 'checkpoint' AND seq < ?1
    ORDER BY seq DESC LIMIT 1
"""
#: The first young fact between two; everything before it is at least as old.
_FIRST_YOUNG: Final = """
    SELECT seq FROM fact WHERE seq > ?1 AND seq < ?2 AND clock != 'none' AND wall_ms >= ?3 ORDER BY seq LIMIT 1
"""
#: Readings between two facts (1, 3), oldest first, without the newest one of a session that has no end.
_READINGS: Final = """
    SELECT seq FROM fact AS old WHERE kind = 'checkpoint' AND seq > ?3 AND seq <= ?1
    AND (
        EXISTS (SELECT 1 FROM fact WHERE kind = 'session_ended' AND session = old.session)
        OR EXISTS (SELECT 1 FROM fact WHERE kind = 'checkpoint' AND session = old.session AND seq > old.seq)
    )
    ORDER BY seq LIMIT ?2
"""
_TRIMMED: Final = "SELECT CAST(value AS INTEGER) FROM meta WHERE key = 'trimmed'"
_NOW_TRIMMED: Final = "UPDATE meta SET value = ? WHERE key = 'trimmed'"
_EVENTS: Final = f"""
    SELECT seq FROM fact WHERE kind IN (SELECT value FROM json_each('{words(EVENTS)}')) AND kind != 'checkpoint'
    AND seq <= ?1 ORDER BY seq LIMIT ?2
"""  # noqa: S608 - made of our own words
#: Whole sessions that ended up to a ``seq``: each part by its own index.
_SESSIONS: Final = """
    WITH over AS (
        SELECT seq AS upto, session,
        (SELECT seq FROM fact WHERE kind = 'session_started' AND session = ended.session) AS since
        FROM fact AS ended WHERE kind = 'session_ended' AND kind != 'checkpoint' AND seq <= ?1 ORDER BY seq LIMIT ?2
    )
    SELECT upto FROM over
    UNION ALL SELECT since FROM over WHERE since NOTNULL
    UNION ALL SELECT fact.seq FROM over JOIN fact ON fact.session = over.session AND fact.seq <= ?1
    AND fact.kind IN ('leg_ended', 'leg_started', 'session_modified')
    UNION ALL SELECT fact.seq FROM over CROSS JOIN fact NOT INDEXED
    ON fact.seq > over.since AND fact.seq < over.upto AND fact.session = over.session AND fact.kind = 'checkpoint'
"""
#: A session has at most so many facts besides its readings; whole sessions go.
_SESSIONS_AT_ONCE: Final = 50


@dataclass(frozen=True, slots=True)
class Trim:
    """What may go now. ``room``: readings go whether they are confirmed or not."""

    policy: JournalPolicy
    acked: int
    wall_ms: int
    room: bool = False

    def __call__(self, connection: sqlite3.Connection) -> tuple[Sequence[NewFact], int]:
        """Take out what may go, within a transaction; return the fact about it, and how many went."""
        seqs = _readings(connection, 2**62) if self.room else self._aged(connection)
        if not seqs:
            return (), 0
        unconfirmed = sum(seq > self.acked for seq in seqs)
        for since, upto in runs(seqs):
            _take_out(connection, since, upto)
        cause = "room" if self.room else "age"
        body = FactsRemoved(cause=cause, count=len(seqs), unconfirmed=unconfirmed, upto=seqs[-1])
        return (NewFact(FactKind.FACTS_REMOVED, body),), len(seqs)

    def _aged(self, connection: sqlite3.Connection) -> list[int]:
        readings = _readings(connection, self._limit(connection, self.policy.telemetry_days))
        limit = self._limit(connection, self.policy.record_days)
        events = _found(connection, _EVENTS, limit, BATCH)
        sessions = _found(connection, _SESSIONS, limit, _SESSIONS_AT_ONCE)
        return sorted({*readings, *events, *sessions})

    def _limit(self, connection: sqlite3.Connection, days: int) -> int:
        """Return the newest fact that is confirmed and at least so many days old."""
        limit_ms = self.wall_ms - days * DAY_MS
        young = connection.execute(_YOUNG, (limit_ms,)).fetchone()
        if young is None:
            return 0
        before = connection.execute(_BEFORE, (young[0],)).fetchone() or (0,)
        first = connection.execute(_FIRST_YOUNG, (before[0], young[0], limit_ms)).fetchone() or young
        return min(self.acked, int(first[0]) - 1)


def _readings(connection: sqlite3.Connection, upto: int) -> list[int]:
    """Return the oldest readings that may go, and remember that the next ones lie behind them."""
    (after,) = connection.execute(_TRIMMED).fetchone()
    seqs = [row[0] for row in connection.execute(_READINGS, (upto, BATCH, after))]
    if seqs:
        connection.execute(_NOW_TRIMMED, (str(seqs[-1]),))
    return seqs


def _found(connection: sqlite3.Connection, query: str, upto: int, limit: int) -> list[int]:
    return [row[0] for row in connection.execute(query, (upto, limit))]


def runs(seqs: Sequence[int]) -> list[tuple[int, int]]:
    """Return ascending numbers as pairs of first and last of what follows one another without a break."""
    found = []
    for _, group in groupby(enumerate(seqs), lambda pair: pair[1] - pair[0]):
        members = [seq for _, seq in group]
        found.append((members[0], members[-1]))
    return found


def _take_out(connection: sqlite3.Connection, since: int, upto: int) -> None:
    """Make one hole of the facts and of the holes that adjoin them; triggers refuse a hole that tells an untruth."""
    before = connection.execute("SELECT since FROM gap WHERE upto = ?", (since - 1,)).fetchone()
    behind = connection.execute("SELECT upto FROM gap WHERE since = ?", (upto + 1,)).fetchone()
    begin = since if before is None else before[0]
    if behind is None:
        connection.execute("INSERT INTO gap SELECT seq, ?, hash FROM fact WHERE seq = ?", (begin, upto))
    else:
        connection.execute("UPDATE gap SET since = ? WHERE upto = ?", (begin, behind[0]))
    if before is not None:
        connection.execute("DELETE FROM gap WHERE upto = ?", (since - 1,))
    connection.execute("DELETE FROM fact WHERE seq BETWEEN ? AND ?", (since, upto))
