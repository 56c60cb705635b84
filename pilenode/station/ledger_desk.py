"""Decides about entries of the ledger and inspections, and says what of the ledger needs somebody."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pilenode.ipc.acts import Inspect, UpdateEntry
from pilenode.ipc.messages import LedgerShown, Refused
from pilenode.station.entries import NewFact
from pilenode.station.ledger import KINDS, Ledger
from pilenode.station.ledger_entry import Entry, EntryKind, Late, State, as_of, entry_id, late, seq_of
from pilenode.upstream.facts import MAX_WORDS, FactKind
from pilenode.upstream.facts_ledger import Inspected, LedgerUpdated

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence

    from pilenode.ipc.acts import Act
    from pilenode.station.desk import Who
    from pilenode.station.ledger import Policy
    from pilenode.station.wallclock import Stamp
    from pilenode.upstream.facts import Fact


def summary(entries: Iterable[Entry], log_id: str, now_ms: int, clock: str) -> LedgerShown:
    """Return how much of the ledger is not closed, how much is late, and what is late the longest."""
    now = [as_of(entry, now_ms, clock) for entry in entries if entry.state is not State.CLOSED]
    left = [entry for entry in now if entry.state is not State.CLOSED]
    judged = [(entry, late(entry, now_ms, clock)) for entry in left]
    overdue = [entry for entry, how in judged if how is Late.YES]
    worst = min(overdue, key=lambda entry: (entry.due_ms or 0, entry.seq), default=None)
    return LedgerShown(
        open=sum(entry.state is State.OPEN for entry in left),
        in_progress=sum(entry.state is State.IN_PROGRESS for entry in left),
        overdue=len(overdue),
        undated=sum(how is Late.UNKNOWN for _, how in judged),
        worst_entry=None if worst is None else entry_id(log_id, worst.seq),
        worst_code=None if worst is None else worst.code,
        worst_port=None if worst is None else worst.port,
        worst_due_ms=None if worst is None else worst.due_ms,
    )


class LedgerDesk:
    """Keeps the ledger. ``log_id`` tells the log that is kept now; ``ports``: the numbers that this cabinet has."""

    acts: tuple[type[Act], ...] = (UpdateEntry, Inspect)
    kinds: tuple[FactKind, ...] = KINDS

    def __init__(self, policy: Policy, log_id: Callable[[], str], ports: Collection[int]) -> None:
        self.ledger = Ledger(policy)
        self._log_id = log_id
        self._ports = frozenset(ports)

    def shown(self, now: Stamp) -> LedgerShown:
        """Return what needs somebody now."""
        return summary(self.ledger.entries.values(), self._log_id(), now.wall_ms, now.clock)

    def judge(self, act: Act, who: Who, now: Stamp) -> Sequence[NewFact] | Refused:
        """Return the fact of an accepted act, or why it is refused."""
        del now
        match act:
            case UpdateEntry():
                return self._update(act, who)
            case Inspect():
                return self._inspect(act, who)
            case _:
                return Refused(code="malformed", detail=type(act).__name__)

    def keep(self, fact: Fact) -> None:
        """Take one durable fact into the picture."""
        self.ledger.take(fact)

    def _update(self, act: UpdateEntry, who: Who) -> Sequence[NewFact] | Refused:
        seq = seq_of(act.entry, self._log_id())
        entry = None if seq is None else self.ledger.entries.get(seq)
        if entry is None:
            return Refused(code="unknown_entry", detail=act.entry)
        body = LedgerUpdated(
            entry=entry.seq,
            measure=act.measure,
            responsible=act.responsible,
            contingency=act.contingency,
            due_ms=act.due_ms,
            state=act.state,
            note=act.note,
            source=who.source,
            by=who.by[:MAX_WORDS],
        )
        told = (act.measure, act.responsible, act.contingency, act.due_ms, act.state, act.note)
        if all(one is None for one in told):
            return Refused(code="malformed", detail="nothing to write")
        if act.state is not None and entry.kind is EntryKind.LOCKOUT:
            return Refused(code="entry_of_lock", detail=entry.code)
        measure = entry.measure if act.measure is None else act.measure
        if act.state == "closed" and not measure.strip():
            return Refused(code="measure_needed", detail=act.entry)
        return [NewFact(FactKind.LEDGER_UPDATED, body)]

    def _inspect(self, act: Inspect, who: Who) -> Sequence[NewFact] | Refused:
        if act.port is not None and act.port not in self._ports:
            return Refused(code="unknown_port", detail=str(act.port))
        body = Inspected(
            what=act.what,
            ok=act.ok,
            inspector=act.by,
            detail=act.detail,
            port=act.port,
            source=who.source,
            by=who.by[:MAX_WORDS],
        )
        return [NewFact(FactKind.INSPECTED, body)]
