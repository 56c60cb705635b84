"""Inspections, periodic tests and locks as the log tells them, good ones too: what a report lists beside entries."""

from __future__ import annotations

from typing import Final

import msgspec

from pilenode.station import locks
from pilenode.station.wallclock import ClockQuality
from pilenode.upstream.facts import Fact, FactKind, PeriodicResult
from pilenode.upstream.facts_ledger import Inspected

KINDS: Final = (FactKind.TESTED, FactKind.INSPECTED, *locks.KINDS)


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """One inspection or periodic test. ``wall_ms`` None: the clock of that time could not be trusted."""

    seq: int
    kind: str  # "test", "inspection"
    what: str
    ok: bool
    wall_ms: int | None
    port: int | None = None
    by: str = ""
    detail: str = ""


class _Named(msgspec.Struct):
    """What both facts about locks carry."""

    lock: str


class Records:
    """Every check, and every lock that ever was by its id."""

    def __init__(self) -> None:
        self.checks: list[Check] = []
        self.locks: locks.Locks = {}
        self.locked_ms: dict[str, int | None] = {}  # when a lock was set, by its id
        self.lifted_ms: dict[str, int | None] = {}

    def take(self, fact: Fact) -> None:
        """Take one more fact; those of other kinds change nothing."""
        known = fact.clock != ClockQuality.NONE
        if fact.kind in locks.KINDS:
            self.locks = locks.fold(self.locks, fact)
            name = msgspec.json.decode(fact.body, type=_Named).lock
            times = self.locked_ms if fact.kind == FactKind.LOCK_SET else self.lifted_ms
            times.setdefault(name, fact.wall_ms if known else None)
        elif fact.kind == FactKind.TESTED:
            test = msgspec.json.decode(fact.body, type=PeriodicResult)
            self.checks.append(
                Check(
                    seq=fact.seq,
                    kind="test",
                    what=test.test,
                    ok=test.ok,
                    wall_ms=max(0, fact.wall_ms - test.age_ms) if known else None,
                    by=test.by,
                    detail=test.detail,
                )
            )
        elif fact.kind == FactKind.INSPECTED:
            seen = msgspec.json.decode(fact.body, type=Inspected)
            self.checks.append(
                Check(
                    seq=fact.seq,
                    kind="inspection",
                    what=seen.what,
                    ok=seen.ok,
                    wall_ms=fact.wall_ms if known else None,
                    port=seen.port,
                    by=seen.inspector,
                    detail=seen.detail,
                )
            )
