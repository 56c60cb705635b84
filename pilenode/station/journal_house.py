"""Looks after an open journal: the room on the disk, the write-ahead log, what is old, and whether the file is sound.

Runs in the writing thread, a little at a time, so that no append waits long for it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

import structlog

from pilenode.station.journal_check import check_count, check_pages
from pilenode.station.journal_room import Ballast, free_bytes
from pilenode.station.journal_salvage import set_aside
from pilenode.station.journal_trim import Trim
from pilenode.station.wallclock import ClockQuality

if TYPE_CHECKING:
    import sqlite3
    from pathlib import Path

    from pilenode.station.entries import JournalPolicy, JournalStatus
    from pilenode.station.journal_writer import Writer
    from pilenode.station.wallclock import Stamp

#: How often facts that have become old are looked for, seconds.
AGE_S: Final = 21_600.0
#: How often the whole file is looked at, seconds.
CHECK_S: Final = 86_400.0

log = structlog.get_logger()


class House:
    """Housekeeping of one journal."""

    def __init__(self, path: Path, policy: JournalPolicy) -> None:
        self.ballast = Ballast(path, policy.ballast_bytes, policy.reserve_bytes)
        self._path = path
        self._policy = policy
        self._free: int | None = None
        self._used = 0
        self._used_up = False
        self._set_aside: tuple[str, ...] = ()
        self._aged_s: float | None = None
        self._checked_s: float | None = None
        self._check = ""

    def opened(self, writer: Writer) -> None:
        """Take over a journal that was just opened."""
        self._check = "ok" if writer.checked else ""
        self._checked_s = None
        self._used_up = False
        self._used = writer.used_bytes()
        self.measure()
        self._lay_ballast()

    def measure(self) -> None:
        """Look what is free and what lies beside the journal."""
        try:
            self._free = free_bytes(self._path.parent)
        except OSError:
            self._free = None
        self._set_aside = set_aside(self._path)

    def _lay_ballast(self) -> None:
        if self.ballast.restore():
            log.info("ballast laid")
            self.measure()

    def tend(self, writer: Writer, at: Stamp, now_s: float) -> None:
        """Do what is due. Raises sqlite3.Error."""
        self._lay_ballast()
        writer.checkpoint(now_s)
        self._used = writer.used_bytes()
        if self._used > self._policy.budget_bytes:
            self._used_up = self._trim(writer, at, room=True) == 0
            self._used = writer.used_bytes()
        else:
            self._used_up = False
        if at.clock != ClockQuality.NONE and (self._aged_s is None or now_s - self._aged_s >= AGE_S):
            # One batch at a time; the next one follows at once as long as there is any.
            self._aged_s = now_s if self._trim(writer, at) == 0 else self._aged_s

    def _trim(self, writer: Writer, at: Stamp, *, room: bool = False) -> int:
        count = writer.change(Trim(self._policy, writer.acked, at.wall_ms, room=room), at)
        if count:
            log.info("facts removed", count=count, cause="room" if room else "age")
        return count

    def check_due(self, writer: Writer | None, now_s: float) -> bool:
        """Return whether the whole file should be looked at now, and count that as begun."""
        if writer is None:
            return False
        if self._checked_s is None and writer.checked:
            self._checked_s = now_s
        due = self._checked_s is None or now_s - self._checked_s >= CHECK_S
        self._checked_s = now_s if due else self._checked_s
        return due

    def look_at_all(self, connection: sqlite3.Connection) -> None:
        """Look at every page through a reader. Raises sqlite3.Error."""
        check_pages(connection)
        check_count(connection)
        self._check = "ok"

    def status(self, writer: Writer | None, before: JournalStatus, problem: str | None) -> JournalStatus:
        """Return where the log stands; without a writer where it stood."""
        status = replace(
            before,
            problem=problem,
            no_start=self._no_start(),
            used_bytes=self._used,
            free_bytes=self._free,
            ballast=self.ballast.here,
            set_aside=self._set_aside,
            check=self._check,
        )
        if writer is None:
            return status
        head = writer.head
        return replace(
            status,
            log_id=head.log_id,
            last_seq=head.seq,
            acked_seq=writer.acked,
            head=head.digest.hex(),
            removed=writer.removed,
        )

    def _no_start(self) -> str | None:
        if self._free is not None and self._free < self._policy.reserve_bytes:
            return f"{self._free} bytes free, {self._policy.reserve_bytes} needed"
        if not self.ballast.here:
            return "the ballast is given up, and there is no room to lay it again"
        if self._used_up:
            return f"{self._used} bytes of facts that must be kept, {self._policy.budget_bytes} allowed"
        return None
