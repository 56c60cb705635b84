"""Rows of the journal as facts, and the questions that every reader asks. The caller brings the connection."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from pilenode.station import schema
from pilenode.station.entries import SessionFacts
from pilenode.upstream.facts import MAX_INTEGER, Fact, FactKind

if TYPE_CHECKING:
    import sqlite3


def to_fact(row: sqlite3.Row) -> Fact:
    """Return a row of the table ``fact``, with all its columns in their order."""
    seq, _, boot, boottime_ms, wall_ms, clock, kind, session, body, digest = row
    return Fact(
        seq=seq,
        boot=boot,
        boottime_ms=boottime_ms,
        wall_ms=wall_ms,
        clock=clock,
        kind=kind,
        session=session,
        body=msgspec.Raw(body.encode()),
        hash=digest.hex(),
    )


def first(connection: sqlite3.Connection, query: str, *values: str | int) -> Fact | None:
    """Return the first fact that ``query`` finds for ``values``."""
    row = connection.execute(query, values).fetchone()
    return None if row is None else to_fact(row)


def session_facts(connection: sqlite3.Connection, start: sqlite3.Row) -> SessionFacts:
    """Return what the journal holds of the session that begins with ``start``."""
    session = start["session"]
    end = first(connection, schema.END, session)
    turns = tuple(to_fact(row) for row in connection.execute(schema.TURNS, (session,)))
    reading = first(connection, schema.LAST_READING, session, start["seq"], _last_reading_before(end, turns))
    return SessionFacts(to_fact(start), reading, end, turns)


def _last_reading_before(end: Fact | None, turns: tuple[Fact, ...]) -> int:
    """Return a ``seq`` that is above every reading of a session, as low as its other facts tell."""
    if end is not None:
        return end.seq
    legs = [fact for fact in turns if fact.kind != FactKind.SESSION_MODIFIED]
    return legs[-1].seq if legs and legs[-1].kind == FactKind.LEG_ENDED else MAX_INTEGER
