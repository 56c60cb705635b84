"""Sets a journal aside that cannot be gone on with, and begins a new log with what of it is still needed.

Rules of this file:
- nothing is ever deleted: the file and its write-ahead log keep their content under another name;
- the order of steps survives a power cut after each of them: an order file says that it has begun, and whoever opens
  the journal next carries it on;
- facts keep their times and their words; only their numbers and their chain are new. The first fact says so.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import ExitStack, closing, suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

import msgspec

from pilenode.station import schema
from pilenode.station.entries import NewFact
from pilenode.station.journal_carry import Picture
from pilenode.station.journal_index import Index
from pilenode.station.journal_pages import Pages
from pilenode.station.journal_room import beside, file_bytes, sync_directory
from pilenode.station.journal_writer import Writer
from pilenode.upstream.facts import FactKind
from pilenode.upstream.facts_journal import LogSalvaged

if TYPE_CHECKING:
    from pathlib import Path

    from pilenode.station.wallclock import Stamp

ASIDE: Final = ".set-aside-"
_ORDER: Final = ".salvage"
_REBUILT: Final = ".rebuilt"
#: What belongs to a database file; the file itself last.
_TRIO: Final = ("-wal", "-shm", "")
#: Facts that are written in one transaction of the new file, which nobody reads before it is whole.
_BATCH: Final = 1000


class _Order(msgspec.Struct, frozen=True):
    """What was begun: the name to set aside under, and why."""

    aside: str
    cause: str
    detail: str


def set_aside(path: Path) -> tuple[str, ...]:
    """Return the names of what was set aside and is still there, oldest first."""
    try:
        names = sorted(entry.name for entry in path.parent.glob(f"{path.name}{ASIDE}*"))
    except OSError:
        return ()
    return tuple(name for name in names if not name.endswith(("-wal", "-shm")))


def begun(path: Path) -> bool:
    """Return whether a salvage was begun and is not done."""
    return beside(path, _ORDER).exists()


def salvage(path: Path, at: Stamp, cause: str = "corrupt", detail: str = "") -> None:
    """Set aside and begin anew, or carry on with what was begun. Raises OSError and sqlite3.Error; try again then."""
    order = _order(path, at, cause, detail)
    aside = path.with_name(order.aside)
    if not aside.exists():
        for suffix in _TRIO:
            if beside(path, suffix).exists():
                beside(path, suffix).rename(beside(aside, suffix))
                sync_directory(path.parent)
    if not path.exists():
        rebuilt = beside(path, _REBUILT)
        for suffix in _TRIO:
            beside(rebuilt, suffix).unlink(missing_ok=True)
        _rebuild(rebuilt, aside, order, at)
        rebuilt.rename(path)
        sync_directory(path.parent)
    beside(path, _ORDER).unlink()
    sync_directory(path.parent)


def _order(path: Path, at: Stamp, cause: str, detail: str) -> _Order:
    file = beside(path, _ORDER)
    if file.exists():
        with suppress(msgspec.DecodeError):
            return msgspec.json.decode(file.read_bytes(), type=_Order)
    moment = datetime.fromtimestamp(at.wall_ms // 1000, UTC).strftime("%Y%m%dT%H%M%SZ")
    name = f"{path.name}{ASIDE}{moment}"
    number = 1
    while path.with_name(name).exists():
        number += 1
        name = f"{path.name}{ASIDE}{moment}-{number}"
    order = _Order(name, cause, detail[:200])
    fresh = beside(path, _ORDER + ".new")
    with fresh.open("wb") as stream:
        stream.write(msgspec.json.encode(order))
        stream.flush()
        os.fsync(stream.fileno())
    fresh.rename(file)
    sync_directory(path.parent)
    return order


def _rebuild(rebuilt: Path, aside: Path, order: _Order, at: Stamp) -> None:
    with ExitStack() as stack:
        index = stack.enter_context(closing(Index(_open(aside, stack))))
        picture = Picture(index.log_id, _confirmed(aside, index.log_id))
        for found in index.walk():
            picture.take(found)
        finding = picture.done()
        told = LogSalvaged(
            cause=order.cause,
            detail=order.detail,
            file=order.aside if aside.exists() else "",
            old_log_id=index.log_id,
            old_last_seq=finding.last_seq,
            recovered=finding.recovered,
            carried=len(finding.carry),
            unproven=finding.unproven,
            damaged=finding.damaged,
            missing=finding.missing,
        )
        writer = stack.enter_context(closing(Writer(rebuilt)))
        writer.append([NewFact(FactKind.LOG_SALVAGED, told)], at)
        for begin in range(0, len(finding.carry), _BATCH):
            writer.carry([index.fact(seq) for seq in finding.carry[begin : begin + _BATCH]])
        writer.checkpoint(0.0, at_once=True)


def _open(aside: Path, stack: ExitStack) -> Pages | None:
    if file_bytes(aside) == 0 and file_bytes(beside(aside, "-wal")) == 0:
        return None
    file = stack.enter_context(aside.open("rb"))
    wal_path = beside(aside, "-wal")
    wal = stack.enter_context(wal_path.open("rb")) if wal_path.exists() else None
    return Pages(file, wal)


def _confirmed(aside: Path, log_id: str) -> int:
    """Return up to where the old log was confirmed, 0 where that cannot be read: then all of it is sent again."""
    try:
        with closing(sqlite3.connect(f"file:{quote(str(aside))}?mode=ro", uri=True)) as connection:
            meta = dict(connection.execute(schema.META).fetchall())
        return int(meta["acked"]) if meta["log_id"] == log_id else 0
    except (sqlite3.Error, KeyError, ValueError):
        return 0
