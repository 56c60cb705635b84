"""Where the readable facts of a damaged journal are, so that they can be walked through in order."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

import msgspec

from pilenode.station.journal_carry import Found
from pilenode.station.journal_pages import Place, is_fact, is_gap
from pilenode.upstream.facts import Fact

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pilenode.station.journal_pages import Pages, Value


class Index:
    """Where the readable facts of a damaged file are, by ``seq``. ``log_id`` is the one that most of them carry."""

    def __init__(self, pages: Pages | None) -> None:
        self.log_id = ""
        self._pages = pages
        self._places = sqlite3.connect(":memory:", isolation_level=None)
        self._places.execute("CREATE TABLE place (seq INTEGER PRIMARY KEY, page INTEGER, at INTEGER, log TEXT)")
        if pages is not None:
            self._fill(pages)

    def _fill(self, pages: Pages) -> None:
        for key, place in pages.rows():
            values = pages.values(place)
            if not is_fact(values) and not is_gap(values):
                continue
            log_id = values[1] if is_fact(values) else None
            row = (key, place.page, place.offset, log_id)
            self._places.execute("INSERT OR IGNORE INTO place VALUES (?, ?, ?, ?)", row)
        most = "SELECT log FROM place WHERE log NOTNULL GROUP BY log ORDER BY count(*) DESC LIMIT 1"
        row = self._places.execute(most).fetchone()
        self.log_id = "" if row is None else row[0]

    def walk(self) -> Iterator[Found]:
        """Return every fact and every hole in order of ``seq``."""
        query = "SELECT seq FROM place WHERE log IS NULL OR log = ? ORDER BY seq"
        for (seq,) in self._places.execute(query, (self.log_id,)):
            values = self._values(seq)
            if is_gap(values):
                yield Found(seq, bytes(values[2]), since=int(values[1]))  # type: ignore[arg-type]
            else:
                yield Found(seq, bytes(values[9]), _to_fact(seq, values))  # type: ignore[arg-type]

    def fact(self, seq: int) -> Fact:
        """Return the fact with that number, which ``walk`` has returned before."""
        return _to_fact(seq, self._values(seq))

    def _values(self, seq: int) -> list[Value]:
        page, offset = self._places.execute("SELECT page, at FROM place WHERE seq = ?", (seq,)).fetchone()
        return [] if self._pages is None else self._pages.values(Place(page, offset))

    def close(self) -> None:
        """Forget the places."""
        self._places.close()


def _to_fact(seq: int, values: list[Value]) -> Fact:
    _, _, boot, boottime_ms, wall_ms, clock, kind, session, body, digest = values
    row = {
        "seq": seq,
        "boot": boot,
        "boottime_ms": boottime_ms,
        "wall_ms": wall_ms,
        "clock": clock,
        "kind": kind,
        "session": session,
        "body": msgspec.Raw(str(body).encode()),
        "hash": bytes(digest).hex(),  # type: ignore[arg-type]
    }
    return Fact(**row)  # type: ignore[arg-type]
