"""What can be read out of a store."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import msgspec

from hil_rig.upstream.intake import IN_HOLE
from pilenode.station.chain import Chain
from pilenode.upstream.contract import NO_LINK
from pilenode.upstream.facts import CommandResult, Fact, FactKind, SessionEnded, SessionStarted

if TYPE_CHECKING:
    import threading

    from hil_rig.upstream.database import Database, Row

#: The columns of a fact, in the order of ``fact_of``.
FACT: Final = "seq, boottime_ms, wall_ms, boot, clock, kind, session, body, hash"
#: ``?1 IS NULL OR …``, as both databases understand it.
_OF: Final = "(CAST(? AS text) IS NULL OR node = ?)"
_KIND: Final = "(CAST(? AS text) IS NULL OR kind = ?)"


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


@dataclass(frozen=True, slots=True)
class Statistics:
    """Sums over what cabinets told, everything counted once. Energy in Wh, money in fen."""

    facts: int
    sessions: int
    ended: int
    orders: int
    energy_wh: int
    electricity_fen: int
    service_fen: int
    commands: int
    faults: int


def fact_of(row: Row) -> Fact:
    """Return the fact in a row of ``FACT``."""
    seq, boottime_ms, wall_ms, boot, clock, kind, session, body, digest = row
    return Fact(
        seq=seq,
        boot=boot,
        boottime_ms=boottime_ms,
        wall_ms=wall_ms,
        clock=clock,
        kind=kind,
        session=session,
        body=msgspec.Raw(body.encode()),
        hash="" if digest is None else bytes(digest).hex(),
    )


class Reader:
    """The reading half of a store."""

    def __init__(self, database: Database, lock: threading.RLock) -> None:
        self._db = database
        self._lock = lock  # of threads: one connection holds one transaction

    def _run(self, statement: str, *parameters: object) -> list[Row]:
        with self._lock:
            return self._db.run(statement, *parameters)

    # -- logs --------------------------------------------------------------------------------------------------

    def head(self, node: str, log_id: str) -> tuple[int, str]:
        """Return up to where a log is complete, and the link of that fact, hex."""
        rows = self._run("SELECT upto, link FROM log WHERE node = ? AND log_id = ?", node, log_id)
        return (rows[0][0], bytes(rows[0][1]).hex()) if rows else (0, NO_LINK)

    def complete(self, node: str, log_id: str) -> int:
        """Return up to where a log is complete."""
        return self.head(node, log_id)[0]

    def logs(self) -> list[tuple[str, str, int]]:
        """Return every known log: node, log_id, and up to where it is complete."""
        return [
            (row[0], row[1], row[2]) for row in self._run("SELECT node, log_id, upto FROM log ORDER BY node, log_id")
        ]

    def heads(self, limit: int) -> list[tuple[str, str, int, str]]:
        """Return every log with its end and the link of that, nothing where there are more than ``limit``."""
        rows = self._run("SELECT node, log_id, upto, link FROM log ORDER BY node, log_id LIMIT ?", limit + 1)
        return [] if len(rows) > limit else [(row[0], row[1], row[2], bytes(row[3]).hex()) for row in rows]

    def broken(self, node: str, log_id: str) -> int | None:
        """Return the first ``seq`` whose link the cabinet tells otherwise than it was computed here, None so far."""
        rows = self._run("SELECT broken_at FROM log WHERE node = ? AND log_id = ?", node, log_id)
        return rows[0][0] if rows else None

    def broken_link(self, node: str, log_id: str) -> int | None:
        """Return the first ``seq`` at which what is stored is no chain, None when it is one. Reads the whole log."""
        chain = Chain(log_id)
        select = f"SELECT {FACT} FROM fact JOIN log ON log.id = log WHERE node = ? AND log_id = ? ORDER BY seq"  # noqa: S608 - our own names
        for row in self._run(select, node, log_id):
            chain.take(fact_of(row))
        return chain.broken_at

    def duplicates(self, node: str | None = None) -> int:
        """Return how many facts arrived again, word for word."""
        return self._count(f"SELECT coalesce(sum(duplicates), 0) FROM log WHERE {_OF}", node, node)  # noqa: S608 - as above

    def contradictions(self, node: str | None = None) -> int:
        """Return how many facts are kept aside because something else stands under their number. Must stay 0."""
        select = f"SELECT count(*) FROM contradiction JOIN log ON log.id = log WHERE {_OF} AND reason <> ?"  # noqa: S608 - as above
        return self._count(select, node, node, IN_HOLE)

    def aside(self, node: str | None = None) -> list[tuple[int, str, bytes]]:
        """Return what is kept aside: number, reason and content."""
        select = (
            f"SELECT seq, reason, content FROM contradiction JOIN log ON log.id = log WHERE {_OF} ORDER BY log, seq"  # noqa: S608 - as above
        )
        return [(row[0], row[1], bytes(row[2])) for row in self._run(select, node, node)]

    def _count(self, statement: str, *parameters: object) -> int:
        return int(self._run(statement, *parameters)[0][0])

    # -- facts -------------------------------------------------------------------------------------------------

    def rows(self, node: str | None = None, kind: FactKind | None = None) -> list[StoredFact]:
        """Return every fact in order of node, log and seq: also the copies with which a salvaged log begins."""
        select = f"SELECT node, log_id, {FACT} FROM fact JOIN log ON log.id = log WHERE {_OF} AND {_KIND} "  # noqa: S608 - as above
        return self._facts(select + "ORDER BY node, log_id, seq", node, kind)

    def once(self, node: str | None = None, kind: FactKind | None = None) -> list[StoredFact]:
        """Return every fact once, in the order in which their logs were met."""
        select = f"SELECT node, log_id, {FACT} FROM fact_once WHERE {_OF} AND {_KIND} "  # noqa: S608 - as above
        return self._facts(select + "ORDER BY node, log, seq", node, kind)

    def _facts(self, select: str, node: str | None, kind: FactKind | None) -> list[StoredFact]:
        return [StoredFact(row[0], row[1], fact_of(row[2:])) for row in self._run(select, node, node, kind, kind)]

    def sessions(self, node: str | None = None) -> list[StoredSession]:
        """Return every session that anything was told of, oldest first."""
        started: dict[tuple[str, str], SessionStarted] = {}
        ended: dict[tuple[str, str], SessionEnded] = {}
        for row in self.once(node, FactKind.SESSION_STARTED):
            started[row.node, row.fact.session or ""] = msgspec.json.decode(row.fact.body, type=SessionStarted)
        for row in self.once(node, FactKind.SESSION_ENDED):
            ended[row.node, row.fact.session or ""] = msgspec.json.decode(row.fact.body, type=SessionEnded)
        return [StoredSession(*key, started.get(key), ended.get(key)) for key in {**started, **ended}]

    def statistics(self, node: str | None = None) -> Statistics:
        """Return sums over everything that was told, each fact counted once."""
        sessions = self.sessions(node)
        ends = [one.ended for one in sessions if one.ended is not None]
        commands = {
            (row.node, msgspec.json.decode(row.fact.body, type=CommandResult).id)
            for row in self.once(node, FactKind.COMMAND_RESULT)
        }
        return Statistics(
            facts=self._count(f"SELECT count(*) FROM fact_once WHERE {_OF}", node, node),  # noqa: S608 - as above
            sessions=len(sessions),
            ended=len(ends),
            orders=len({(one.node, one.started.order) for one in sessions if one.started is not None}),
            energy_wh=sum(end.energy_wh for end in ends),
            electricity_fen=sum(end.electricity_fen for end in ends),
            service_fen=sum(end.service_fen for end in ends),
            commands=len(commands),
            faults=len(self.once(node, FactKind.FAULT_LATCHED)),
        )

    # -- what else was told ------------------------------------------------------------------------------------

    def results(self, node: str | None = None) -> list[bytes]:
        """Return every command result as it arrived, each once."""
        return [bytes(row[0]) for row in self._run(f"SELECT content FROM result WHERE {_OF}", node, node)]  # noqa: S608 - as above

    def sizes(self) -> tuple[int, int]:
        """Return how many bytes the facts take alone, and with the indexes on them."""
        with self._lock:
            return self._db.sizes("fact")

    def latest(self, node: str, leaf: str) -> bytes | None:
        """Return the newest message of a retained topic ("st" or "live")."""
        rows = self._run("SELECT content FROM latest WHERE node = ? AND leaf = ?", node, leaf)
        return bytes(rows[0][0]) if rows else None
