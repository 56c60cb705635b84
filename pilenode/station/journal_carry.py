"""What of the facts of a damaged log is taken over into a new one. Pure.

Taken over is what is in force, what belongs to sessions without an end, what nobody has confirmed yet, and what is
recent enough to be asked for again (an order that is repeated must still be known). The rest is confirmed and stays in
the file that was set aside. Readings that a later one has superseded are not taken over.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from pilenode.station.journal_classes import EVENTS, OF_SESSION, TELEMETRY
from pilenode.upstream.facts import GENESIS, FactKind, link

if TYPE_CHECKING:
    from pilenode.upstream.facts import Fact

#: Confirmed sessions and events younger than this are taken over all the same.
RECENT_MS: Final = 30 * 86_400_000


@dataclass(frozen=True, slots=True)
class Found:
    """One readable row: a fact with its stored link, or a hole (``fact`` None) from ``since`` to ``seq``."""

    seq: int
    digest: bytes
    fact: Fact | None = None
    since: int = 0


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found, and which facts are taken over (their old ``seq``, ascending)."""

    carry: tuple[int, ...]
    last_seq: int
    recovered: int
    unproven: int
    damaged: int
    missing: int


@dataclass(frozen=True, slots=True)
class _Kept:
    seq: int
    kind: str
    session: str | None
    wall_ms: int


class Picture:
    """Takes every readable row in order of ``seq``. ``acked``: up to where the backend has confirmed the old log."""

    def __init__(self, log_id: str, acked: int) -> None:
        self._log_id = log_id
        self._acked = acked
        self._last = 0
        self._previous: bytes | None = GENESIS  # link of the newest row, None where it cannot be believed
        self._proven = True  # the newest row was proven itself
        self._recovered = self._unproven = self._damaged = self._missing = 0
        self._kept: list[_Kept] = []
        self._readings: dict[str, int] = {}  # the newest of each session
        self._ends: dict[str, _Kept] = {}
        self._newest_ms = 0

    def take(self, found: Found) -> None:
        """Take one row."""
        if found.fact is None:
            self._missing += max(0, found.since - self._last - 1)
            self._last, self._previous, self._proven = max(self._last, found.seq), found.digest, True
            return
        if found.seq <= self._last:
            return  # inside a hole: an old copy of what was taken out
        self._missing += found.seq - self._last - 1
        previous = self._previous if found.seq == self._last + 1 else None
        sound = previous is not None and link(previous, self._log_id, found.fact) == found.digest
        self._last = found.seq
        if previous is not None and not sound and self._proven:
            self._damaged += 1
            self._previous = None
            return
        self._recovered += 1
        self._unproven += not sound
        self._previous, self._proven = found.digest, sound
        self._keep(found.seq, found.fact)

    def _keep(self, seq: int, fact: Fact) -> None:
        if fact.clock != "none":
            self._newest_ms = max(self._newest_ms, fact.wall_ms)
        kept = _Kept(seq, fact.kind, fact.session, fact.wall_ms)
        if fact.kind in TELEMETRY:
            self._readings[fact.session or ""] = seq
            return
        if fact.kind == FactKind.SESSION_ENDED:
            self._ends[fact.session or ""] = kept
        self._kept.append(kept)

    def done(self) -> Finding:
        """Return what was found."""
        carry = [kept.seq for kept in self._kept if self._needed(kept)]
        carry += [seq for session, seq in self._readings.items() if session not in self._ends]
        return Finding(tuple(sorted(carry)), self._last, self._recovered, self._unproven, self._damaged, self._missing)

    def _needed(self, kept: _Kept) -> bool:
        if kept.kind in OF_SESSION:
            end = self._ends.get(kept.session or "")
            return end is None or self._fresh(end)
        return kept.kind not in EVENTS or self._fresh(kept)

    def _fresh(self, kept: _Kept) -> bool:
        return kept.seq > self._acked or kept.wall_ms > self._newest_ms - RECENT_MS
