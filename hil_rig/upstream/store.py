"""What the reference backend keeps: every fact once, keyed (node, log_id, seq), and how far each log is complete.

``intake`` decides, ``database`` keeps; this file puts both into one transaction.
"""

from __future__ import annotations

import hashlib
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self

import msgspec

from hil_rig.upstream.database import LostError, RefusedError, connect
from hil_rig.upstream.intake import Intake, LogState, begin, missing, well_formed
from hil_rig.upstream.presence import Latest, newer
from hil_rig.upstream.reading import FACT, Reader, fact_of
from pilenode import clock
from pilenode.upstream.contract import Ack, FactBatch, Hello
from pilenode.upstream.facts import CommandResult

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from hil_rig.upstream.database import Database, Row
    from hil_rig.upstream.intake import Changes
    from pilenode.upstream.facts import Fact

_STATE: Final = (
    "id, upto, link, top, head_seq, head, broken_at, old_log_id, carried, ask_at_ms, asks, duplicates"  # as LogState
)
_SET: Final = ", ".join(f"{name.strip()} = ?" for name in _STATE.split(",")[1:])
#: How often a transaction that the database broke off is tried again at once: two met for the first time.
_TRIES: Final = 4
#: Logs that are asked for what is missing in one go.
_ASKED: Final = 100


Said = FactBatch | Hello | CommandResult | Latest


@dataclass(frozen=True, slots=True)
class Heard:
    """Something that a cabinet said."""

    node: str
    message: Said


@dataclass(frozen=True, slots=True)
class Answer:
    """Something that a cabinet is to be told after the commit."""

    node: str
    ack: Ack


class Store(Reader):
    """A database: a path is a SQLite file, a URL ``postgresql://…`` is PostgreSQL. A context manager.

    Several processes may have the same one open, and several threads the same store. Every method raises
    ``database.LostError`` when the database cannot be reached, ``database.RefusedError`` when it refuses something.
    """

    def __init__(self, where: Path | str) -> None:
        super().__init__(connect(where), threading.RLock())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close it."""
        with self._lock:
            self._db.close()

    def reopen(self) -> None:
        """Connect anew."""
        with self._lock:
            self._db.open()

    def commit(self, heard: Sequence[Heard], now_ms: int | None = None) -> list[Answer]:
        """Commit all of it in one transaction and return what the cabinets are to be told, one answer per log.

        Batches must be well-formed (``intake.well_formed``; ``hearing`` sees to it). ``now_ms``: ms since the epoch.
        Raises RefusedError for what the database cannot keep; then nothing of it was committed.
        """
        at_ms = clock.wall_ms() if now_ms is None else now_ms
        for left in reversed(range(_TRIES)):
            try:
                with self._lock, self._db.write():
                    return self._commit(heard, at_ms)
            except LostError:
                if left == 0:
                    raise
        raise AssertionError  # pragma: no cover - the last try returns or raises

    def keep(self, node: str, batch: FactBatch) -> int:
        """Commit a batch and return up to where its log is complete now."""
        if not well_formed(batch.facts):
            raise RefusedError("facts without order or sense")
        return self.commit([Heard(node, batch)])[0].ack.upto

    def greet(self, node: str, hello: Hello) -> Ack:
        """Note a log and return what its cabinet is told."""
        return self.commit([Heard(node, hello)])[0].ack

    def overdue(self, now_ms: int | None = None) -> list[Answer]:
        """Return questions for facts that have been missing for long. Only one of several workers gets each."""
        at_ms = clock.wall_ms() if now_ms is None else now_ms
        due = (
            f"SELECT node, log_id, {_STATE} FROM log WHERE ask_at_ms <= ? "  # noqa: S608 - our own names
            f"ORDER BY ask_at_ms LIMIT {_ASKED}{self._db.free}"
        )
        with self._lock:
            if not self._db.run("SELECT 1 FROM log WHERE ask_at_ms <= ? LIMIT 1", at_ms):
                return []
            with self._db.write():
                return [self._ask(row, at_ms) for row in self._db.run(due, at_ms)]

    def _ask(self, row: Row, now_ms: int) -> Answer:
        node, log_id, log, *rest = row
        state = LogState(*rest)
        self._db.many(f"UPDATE log SET {_SET} WHERE id = ?", [_columns(log, state.asked(now_ms))])  # noqa: S608 - our own names
        waiting = _Stored(self._db, log).after(state.upto, 1)
        return Answer(node, state.ack(log_id, missing(state, begin(waiting[0])) if waiting else None))

    # -- one transaction ---------------------------------------------------------------------------------------

    def _commit(self, heard: Sequence[Heard], now_ms: int) -> list[Answer]:
        said: dict[tuple[str, str], list[FactBatch | Hello]] = {}
        for one in heard:
            if isinstance(one.message, FactBatch | Hello):
                said.setdefault((one.node, one.message.log_id), []).append(one.message)
        self._keep_results([one for one in heard if isinstance(one.message, CommandResult)])
        self._keep_latest([(one.node, one.message) for one in heard if isinstance(one.message, Latest)])
        if not said:
            return []
        answers, logs, added = [], [], []
        for node, log_id, log, *rest in self._db.logs(_STATE, sorted(said)):
            before = LogState(*rest)
            intake = Intake(log_id, before, _Stored(self._db, log))
            resend = None
            for message in said[node, log_id]:
                if isinstance(message, Hello):
                    resend = intake.greet(message) or resend
                else:
                    intake.take(message.facts)
            intake.done(now_ms)
            answers.append(Answer(node, intake.state.ack(log_id, resend)))
            added += [_row(log, fact) for fact in intake.changes.added.values()]
            self._set_aside(log, intake.changes)
            if intake.state != before:
                logs.append(_columns(log, intake.state))
            if intake.state.old_log_id != before.old_log_id:  # nobody will fill the gaps of the old one any more
                self._db.run(
                    "UPDATE log SET ask_at_ms = NULL WHERE node = ? AND log_id = ?", node, intake.state.old_log_id
                )
        self._db.add_facts(added)
        self._db.many(f"UPDATE log SET {_SET} WHERE id = ?", logs)  # noqa: S608 - our own names
        return answers

    def _set_aside(self, log: int, changes: Changes) -> None:
        if changes.taken:
            self._db.many("DELETE FROM fact WHERE log = ? AND seq = ?", [(log, seq) for seq in changes.taken])
        if changes.aside:
            self._db.many(
                "INSERT INTO contradiction VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
                [
                    (log, one.seq, one.reason, one.content, hashlib.sha256(one.content).digest())
                    for one in changes.aside
                ],
            )

    def _keep_results(self, heard: Sequence[Heard]) -> None:
        rows = []
        for one in heard:
            content = msgspec.json.encode(one.message)
            name = one.message.id if isinstance(one.message, CommandResult) else None
            rows.append((one.node, name or "", content, hashlib.sha256(content).digest()))
        if rows:
            self._db.many("INSERT INTO result VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING", sorted(rows))

    def _keep_latest(self, heard: Sequence[tuple[str, Latest]]) -> None:
        # Everybody takes the rows in the same order; of one topic the messages stay in theirs.
        for node, latest in sorted(heard, key=lambda one: (one[0], one[1].leaf)):
            known = self._db.run(
                f"SELECT content FROM latest WHERE node = ? AND leaf = ?{self._db.held}",  # noqa: S608 - our own names
                node,
                latest.leaf,
            )
            if not known or newer(latest.leaf, latest.content, bytes(known[0][0])):
                self._db.run(
                    "INSERT INTO latest VALUES (?, ?, ?) "
                    "ON CONFLICT (node, leaf) DO UPDATE SET content = excluded.content",
                    node,
                    latest.leaf,
                    latest.content,
                )


class _Stored:
    """What the database holds of a log (``intake.Known``)."""

    def __init__(self, database: Database, log: int) -> None:
        self._db = database
        self._log = log

    def between(self, since: int, upto: int) -> list[Fact]:
        """Return the stored facts from ``since`` to ``upto``, in order."""
        select = f"SELECT {FACT} FROM fact WHERE log = ? AND seq BETWEEN ? AND ? ORDER BY seq"  # noqa: S608 - our own names
        return [fact_of(row) for row in self._db.run(select, self._log, since, upto)]

    def after(self, seq: int, limit: int) -> list[Fact]:
        """Return the first stored facts above ``seq``."""
        select = f"SELECT {FACT} FROM fact WHERE log = ? AND seq > ? ORDER BY seq LIMIT ?"  # noqa: S608 - our own names
        return [fact_of(row) for row in self._db.run(select, self._log, seq, limit)]


def _row(log: int, fact: Fact) -> Row:
    """Return a fact as the table has it."""
    return (
        log,
        fact.seq,
        fact.boottime_ms,
        fact.wall_ms,
        fact.boot,
        fact.clock,
        fact.kind,
        fact.session,
        bytes(fact.body).decode(),
        bytes.fromhex(fact.hash) or None,
    )


def _columns(log: int, state: LogState) -> Row:
    """Return the values of ``_SET``, and the number of the log behind them."""
    return (
        state.upto,
        state.link,
        state.top,
        state.head_seq,
        state.head,
        state.broken_at,
        state.old_log_id,
        state.carried,
        state.ask_at_ms,
        state.asks,
        state.duplicates,
        log,
    )
