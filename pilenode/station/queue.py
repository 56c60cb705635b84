"""The queue of starts: a fold over facts, so that whoever waited before a restart waits on at the same place.

It decides only who may join; who leaves and when is for the load plan and for the sessions, which write the facts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from pilenode.ipc.messages import Refused
from pilenode.station.load_values import Waiting
from pilenode.upstream.facts import FactKind
from pilenode.upstream.facts_load import QueueLeft, StartQueued

if TYPE_CHECKING:
    from collections.abc import Callable

    from pilenode.ipc.acts import Act
    from pilenode.station.desk import Who
    from pilenode.station.load_values import LoadRules
    from pilenode.station.wallclock import Stamp
    from pilenode.upstream.facts import Fact


@dataclass(frozen=True, slots=True)
class Entry:
    """A start that waits. ``since_s``: CLOCK_BOOTTIME in seconds; of an earlier boot, when this process read of it."""

    body: StartQueued
    since_s: float

    @property
    def waiting(self) -> Waiting:
        """Return the entry as the load plan sees it."""
        return Waiting(self.body.order, self.body.port, self.since_s, self.body.owner or None)


class Queue:
    """Who waits; a ``station.desk.Desk`` without acts, for the facts. ``now`` tells the moment."""

    acts: tuple[type[Act], ...] = ()
    kinds: tuple[FactKind, ...] = (FactKind.START_QUEUED, FactKind.QUEUE_LEFT)

    def __init__(self, rules: LoadRules, now: Callable[[], Stamp]) -> None:
        self._rules = rules
        self._now = now
        self._entries: dict[str, Entry] = {}

    def judge(self, act: Act, who: Who, now: Stamp) -> Refused:
        """Decide about no act: starts and stops are no acts."""
        del who, now
        return Refused(code="malformed", detail=type(act).__name__)

    def keep(self, fact: Fact) -> None:
        """Take in one durable fact; facts come in order of ``seq``."""
        if fact.kind == FactKind.START_QUEUED:
            body = msgspec.json.decode(fact.body, type=StartQueued)
            # Nobody knows how long the power was gone, so nobody loses his place for it.
            now = self._now()
            since_s = (fact.boottime_ms if fact.boot == now.boot else now.boottime_ms) / 1000
            self._entries[body.order] = Entry(body, since_s)
        elif fact.kind == FactKind.QUEUE_LEFT:
            self._entries.pop(msgspec.json.decode(fact.body, type=QueueLeft).order, None)

    @property
    def entries(self) -> tuple[Entry, ...]:
        """Return everybody who waits, oldest first."""
        return tuple(self._entries.values())

    @property
    def waiting(self) -> tuple[Waiting, ...]:
        """Return everybody who waits as the load plan sees them, oldest first."""
        return tuple(entry.waiting for entry in self._entries.values())

    def find(self, *, order: str | None = None, port: int | None = None) -> Entry | None:
        """Return the entry of an order or of a port."""
        return next(
            (one for one in self._entries.values() if order == one.body.order or port == one.body.port),
            None,
        )

    def why_not(self, port: int) -> Refused | None:
        """Return why nobody may join the queue for ``port`` now, or None."""
        taken = self.find(port=port)
        if taken is not None:
            return Refused(code="port_busy", detail=taken.body.order)
        if not self._rules.queue_length:
            return Refused(code="over_budget")
        if len(self._entries) >= self._rules.queue_length:
            return Refused(code="queue_full", detail=str(len(self._entries)))
        return None

    def left(self, order: str, why: str, now_s: float, detail: str = "") -> QueueLeft:
        """Return the fact that ``order`` waits no longer. Raises KeyError when it does not wait."""
        entry = self._entries[order]
        waited_ms = max(0, int((now_s - entry.since_s) * 1000))
        return QueueLeft(order=order, port=entry.body.port, why=why, detail=detail, waited_ms=waited_ms)
