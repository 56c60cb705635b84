"""Takes facts out of the journal: those that are confirmed and old enough, and readings when the budget is used up.

What goes leaves a hole that names itself (table ``gap``): from where, up to where, and the link of its last fact, so
that the chain can still be followed. Every run is itself a fact. A fact whose age no clock can tell stays.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Final

from pilenode.station.entries import NewFact
from pilenode.station.journal_classes import EVENTS, OF_SESSION, TELEMETRY, words
from pilenode.upstream.facts import FactKind
from pilenode.upstream.facts_journal import FactsRemoved

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from pilenode.station.entries import JournalPolicy

#: Facts that one transaction takes out, so that nobody waits long for it.
BATCH: Final = 2000
DAY_MS: Final = 86_400_000

#: The first fact that is surely younger than that; everything before it is at least as old.
_YOUNG: Final = "SELECT seq FROM fact WHERE seq > ? AND clock != 'none' AND wall_ms >= ? ORDER BY seq LIMIT 1"
#: Readings up to a ``seq``, oldest first, without the newest one of a session that has no end.
_READINGS: Final = f"""
    SELECT seq FROM fact AS old WHERE kind IN (SELECT value FROM json_each('{words(TELEMETRY)}')) AND seq <= ?1
    AND (
        EXISTS (SELECT 1 FROM fact WHERE kind = 'session_ended' AND session = old.session)
        OR EXISTS (SELECT 1 FROM fact WHERE kind = 'checkpoint' AND session = old.session AND seq > old.seq)
    )
    ORDER BY seq LIMIT ?2
"""  # noqa: S608 - made of our own words
_EVENTS: Final = f"""
    SELECT seq FROM fact WHERE kind IN (SELECT value FROM json_each('{words(EVENTS)}')) AND seq <= ?1
    ORDER BY seq LIMIT ?2
"""  # noqa: S608 - as above
_SESSIONS: Final = f"""
    SELECT seq FROM fact WHERE session IN
        (SELECT session FROM fact WHERE kind = 'session_ended' AND seq <= ?1 ORDER BY seq LIMIT ?2)
    AND kind IN (SELECT value FROM json_each('{words(OF_SESSION | TELEMETRY)}')) AND seq <= ?1
"""  # noqa: S608 - as above
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
        seqs = _found(connection, _READINGS, 2**62, BATCH) if self.room else self._aged(connection)
        if not seqs:
            return (), 0
        unconfirmed = sum(seq > self.acked for seq in seqs)
        for since, upto in runs(seqs):
            _take_out(connection, since, upto)
        cause = "room" if self.room else "age"
        body = FactsRemoved(cause=cause, count=len(seqs), unconfirmed=unconfirmed, upto=seqs[-1])
        return (NewFact(FactKind.FACTS_REMOVED, body),), len(seqs)

    def _aged(self, connection: sqlite3.Connection) -> list[int]:
        readings = _found(connection, _READINGS, self._limit(connection, self.policy.telemetry_days), BATCH)
        limit = self._limit(connection, self.policy.record_days)
        events = _found(connection, _EVENTS, limit, BATCH)
        sessions = _found(connection, _SESSIONS, limit, _SESSIONS_AT_ONCE)
        return sorted({*readings, *events, *sessions})

    def _limit(self, connection: sqlite3.Connection, days: int) -> int:
        """Return the newest fact that is confirmed and at least so many days old."""
        row = connection.execute(_YOUNG, (0, self.wall_ms - days * DAY_MS)).fetchone()
        return 0 if row is None else min(self.acked, int(row[0]) - 1)


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
