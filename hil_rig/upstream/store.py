"""What the reference backend keeps: every fact once, keyed (node, log_id, seq), and how far each log is complete."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self

import msgspec

from pilenode.station.chain import Chain
from pilenode.upstream.contract import NO_LINK
from pilenode.upstream.facts import Fact, FactKind, SessionEnded, SessionStarted, link
from pilenode.upstream.facts_journal import Removed

if TYPE_CHECKING:
    from pathlib import Path

    from pilenode.upstream.contract import FactBatch, Hello
    from pilenode.upstream.facts import CommandResult

_TABLES: Final = """
    CREATE TABLE IF NOT EXISTS fact (
        node TEXT, log_id TEXT, seq INTEGER, kind TEXT, session TEXT, content BLOB,
        PRIMARY KEY (node, log_id, seq)
    ) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS log (
        node TEXT, log_id TEXT, upto INTEGER, hash TEXT, duplicates INTEGER DEFAULT 0, contradictions INTEGER DEFAULT 0,
        PRIMARY KEY (node, log_id)
    );
    CREATE TABLE IF NOT EXISTS result (node TEXT, id TEXT, content BLOB);
    CREATE TABLE IF NOT EXISTS latest (node TEXT, leaf TEXT, content BLOB, PRIMARY KEY (node, leaf));
"""


@dataclass(frozen=True, slots=True)
class StoredFact:
    """A fact with where it came from."""

    node: str
    log_id: str
    fact: Fact


@dataclass(frozen=True, slots=True)
class StoredSession:
    """A session as the backend can tell it; ``ended`` is None while no end has arrived."""

    node: str
    session: str
    started: SessionStarted | None
    ended: SessionEnded | None


class Store:
    """One SQLite file. A context manager; several processes may have it open."""

    def __init__(self, path: Path) -> None:
        self._db = sqlite3.connect(path, isolation_level=None, timeout=10.0)
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = FULL")
        self._db.executescript(_TABLES)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    # -- writing -----------------------------------------------------------------------------------------------

    def greet(self, node: str, hello: Hello) -> int:
        """Note a log and return up to where it is complete."""
        self._db.execute(
            "INSERT OR IGNORE INTO log (node, log_id, upto, hash) VALUES (?, ?, 0, ?)", (node, hello.log_id, NO_LINK)
        )
        return self.complete(node, hello.log_id)

    def keep(self, node: str, batch: FactBatch) -> int:
        """Commit a batch and return up to where its log is complete now."""
        self._db.execute("BEGIN IMMEDIATE")
        try:
            self._db.execute(
                "INSERT OR IGNORE INTO log (node, log_id, upto, hash) VALUES (?, ?, 0, ?)",
                (node, batch.log_id, NO_LINK),
            )
            for fact in batch.facts:
                self._keep_one(node, batch.log_id, fact)
            upto = self._advance(node, batch.log_id)
            self._db.execute("COMMIT")
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        return upto

    def _keep_one(self, node: str, log_id: str, fact: Fact) -> None:
        content = msgspec.json.encode(fact)
        added = self._db.execute(
            "INSERT OR IGNORE INTO fact VALUES (?, ?, ?, ?, ?, ?)",
            (node, log_id, fact.seq, fact.kind, fact.session, content),
        ).rowcount
        if added:
            return
        (known,) = self._db.execute(
            "SELECT content FROM fact WHERE node = ? AND log_id = ? AND seq = ?", (node, log_id, fact.seq)
        ).fetchone()
        if _same(known, fact):
            self._db.execute("UPDATE log SET duplicates = duplicates + 1 WHERE node = ? AND log_id = ?", (node, log_id))
        else:
            self._db.execute(
                "UPDATE log SET contradictions = contradictions + 1 WHERE node = ? AND log_id = ?", (node, log_id)
            )

    def _advance(self, node: str, log_id: str) -> int:
        upto, digest = self.head(node, log_id)
        rows = self._db.execute(
            "SELECT content FROM fact WHERE node = ? AND log_id = ? AND seq > ? ORDER BY seq", (node, log_id, upto)
        )
        for (content,) in rows:
            fact = msgspec.json.decode(content, type=Fact)
            if (_since(content) if fact.kind == FactKind.REMOVED else fact.seq) > upto + 1:
                break
            computed = fact.hash if fact.kind == FactKind.REMOVED else link(bytes.fromhex(digest), log_id, fact).hex()
            if fact.hash not in ("", computed):
                break
            upto, digest = fact.seq, computed
        self._db.execute(
            "UPDATE log SET upto = ?, hash = ? WHERE node = ? AND log_id = ?", (upto, digest, node, log_id)
        )
        return upto

    def keep_result(self, node: str, result: CommandResult) -> None:
        """Remember what became of a command."""
        self._db.execute("INSERT INTO result VALUES (?, ?, ?)", (node, result.id, msgspec.json.encode(result)))

    def keep_latest(self, node: str, leaf: str, content: bytes) -> None:
        """Remember the newest message of a retained topic."""
        self._db.execute("INSERT OR REPLACE INTO latest VALUES (?, ?, ?)", (node, leaf, content))

    # -- reading -----------------------------------------------------------------------------------------------

    def head(self, node: str, log_id: str) -> tuple[int, str]:
        """Return up to where a log is complete, and the link of that fact."""
        row = self._db.execute("SELECT upto, hash FROM log WHERE node = ? AND log_id = ?", (node, log_id)).fetchone()
        return (0, NO_LINK) if row is None else (row[0], row[1])

    def complete(self, node: str, log_id: str) -> int:
        """Return up to where a log is complete."""
        row = self._db.execute("SELECT upto FROM log WHERE node = ? AND log_id = ?", (node, log_id)).fetchone()
        return 0 if row is None else int(row[0])

    def logs(self) -> list[tuple[str, str, int]]:
        """Return every known log: node, log_id, and up to where it is complete."""
        return [tuple(row) for row in self._db.execute("SELECT node, log_id, upto FROM log ORDER BY node, log_id")]

    def rows(self, node: str | None = None, kind: FactKind | None = None) -> list[StoredFact]:
        """Return every fact in order of node, log and seq."""
        found = self._db.execute(
            "SELECT node, log_id, content FROM fact WHERE (?1 IS NULL OR node = ?1) AND (?2 IS NULL OR kind = ?2) "
            "ORDER BY node, log_id, seq",
            (node, kind),
        )
        return [StoredFact(row[0], row[1], msgspec.json.decode(row[2], type=Fact)) for row in found]

    def sessions(self, node: str | None = None) -> list[StoredSession]:
        """Return every session that anything was told of, oldest first."""
        started: dict[tuple[str, str], SessionStarted] = {}
        ended: dict[tuple[str, str], SessionEnded] = {}
        for row in self.rows(node, FactKind.SESSION_STARTED):
            started[row.node, row.fact.session or ""] = msgspec.json.decode(row.fact.body, type=SessionStarted)
        for row in self.rows(node, FactKind.SESSION_ENDED):
            ended[row.node, row.fact.session or ""] = msgspec.json.decode(row.fact.body, type=SessionEnded)
        return [StoredSession(*key, started.get(key), ended.get(key)) for key in {**started, **ended}]

    def duplicates(self, node: str | None = None) -> int:
        """Return how many facts arrived again, word for word."""
        query = "SELECT coalesce(sum(duplicates), 0) FROM log WHERE ?1 IS NULL OR node = ?1"
        return int(self._db.execute(query, (node,)).fetchone()[0])

    def contradictions(self, node: str | None = None) -> int:
        """Return how many facts arrived under a key that holds something else. Must stay 0."""
        query = "SELECT coalesce(sum(contradictions), 0) FROM log WHERE ?1 IS NULL OR node = ?1"
        return int(self._db.execute(query, (node,)).fetchone()[0])

    def results(self, node: str | None = None) -> list[bytes]:
        """Return every command result as it arrived."""
        query = "SELECT content FROM result WHERE ?1 IS NULL OR node = ?1"
        return [row[0] for row in self._db.execute(query, (node,))]

    def latest(self, node: str, leaf: str) -> bytes | None:
        """Return the newest message of a retained topic ("st" or "live")."""
        row = self._db.execute("SELECT content FROM latest WHERE node = ? AND leaf = ?", (node, leaf)).fetchone()
        return None if row is None else bytes(row[0])

    def broken_link(self, node: str, log_id: str) -> int | None:
        """Return the first ``seq`` whose hash does not continue the chain, None when it holds. Needs a log from 1."""
        chain = Chain(log_id)
        for row in self.rows(node):
            if row.log_id == log_id:
                chain.take(row.fact)
        return chain.broken_at


def _same(known: bytes, fact: Fact) -> bool:
    """Return whether a fact is the one that is known; the link may be left out in either."""
    stored = msgspec.json.decode(known, type=Fact)
    return msgspec.structs.replace(stored, hash="") == msgspec.structs.replace(fact, hash="")


def _since(content: bytes) -> int:
    """Return the first of the facts that a row of kind ``removed`` stands for."""
    return msgspec.json.decode(msgspec.json.decode(content, type=Fact).body, type=Removed).since
