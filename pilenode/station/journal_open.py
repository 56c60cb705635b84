"""Opens the journal whatever state it is in, or says why it cannot be opened now.

A file that cannot be reached is a matter of waiting; one that is wrong twice, the second time read from the medium
itself, is set aside. A disk without room gives up its ballast first.
"""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, Final

import structlog

from pilenode.station.journal_check import CorruptError, is_corrupt, is_full
from pilenode.station.journal_room import beside, file_bytes, forget_cache, is_read_only
from pilenode.station.journal_salvage import begun, salvage, set_aside
from pilenode.station.journal_writer import Writer

if TYPE_CHECKING:
    from pathlib import Path

    from pilenode.station.journal_check import Head
    from pilenode.station.journal_room import Ballast
    from pilenode.station.wallclock import Stamp

#: A storage that ruins more files than this is not given another one.
MOST_ASIDE: Final = 8

log = structlog.get_logger()


def open_journal(path: Path, ballast: Ballast, at: Stamp, promised: Head | None, *, suspect: bool) -> Writer:
    """Return the open journal. Raises sqlite3.Error and OSError: it cannot be opened now.

    ``promised``: the newest fact that this process knows to be durable. ``suspect``: something was wrong before, so
    that every page is looked at, from the medium.
    """
    if path.parent.is_dir() and is_read_only(path.parent):
        raise OSError("the file system is read-only")
    if begun(path):
        return _anew(path, ballast, at)
    if (promised is not None or ballast.laid) and path.parent.is_dir() and file_bytes(path) == 0:
        return _anew(path, ballast, at, "missing")
    if suspect:
        _forget(path)
    try:
        return _open(path, ballast, promised, whole=suspect)
    except sqlite3.Error as error:
        if not is_corrupt(error):
            raise
    _forget(path)
    try:
        return _open(path, ballast, promised, whole=True)
    except sqlite3.Error as error:
        if not is_corrupt(error):
            raise
        cause = error.cause if isinstance(error, CorruptError) else "corrupt"
        return _anew(path, ballast, at, cause, str(error))


def _forget(path: Path) -> None:
    for suffix in ("", "-wal"):
        forget_cache(beside(path, suffix))


def _open(path: Path, ballast: Ballast, promised: Head | None, *, whole: bool) -> Writer:
    try:
        return Writer(path, promised=promised, whole=whole)
    except sqlite3.Error as error:
        if not is_full(error) or not ballast.release():
            raise
    return Writer(path, promised=promised, whole=whole)


def _anew(path: Path, ballast: Ballast, at: Stamp, cause: str = "", detail: str = "") -> Writer:
    if not begun(path) and len(set_aside(path)) >= MOST_ASIDE:
        raise OSError(f"{MOST_ASIDE} files were set aside already; the storage must be replaced")
    log.error("journal set aside, a new log begins", cause=cause or "begun before", detail=detail)
    try:
        salvage(path, at, cause, detail)
    except (sqlite3.Error, OSError):
        ballast.release()  # for the next attempt, if room was what it lacked
        raise
    return Writer(path)
