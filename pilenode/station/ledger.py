"""The ledger (台账): entries made of facts. A fold, so that any two readers of a log have the same ledger.

- Faults that latch, and those that keep a port from its work, failed periodic tests, bad inspections, doubtful energy
  and lock-outs open entries. The same again while its entry is not closed makes no second one, but counts.
- A reset with a record of the repair closes what was latched there; a good test or inspection closes the bad one;
  lifting a lock closes its entry. Everything else is closed by somebody who says what was done.
- A fault that goes away by itself leaves its entry open: somebody has to look.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import msgspec
from msgspec.structs import replace

from pilenode.station.ledger_entry import DAY_MS, MAX_HISTORY, Entry, EntryKind, State, Step
from pilenode.station.wallclock import ClockQuality
from pilenode.upstream.facts import Fact, FactKind, Fault, FaultReset, PeriodicResult
from pilenode.upstream.facts_ledger import Inspected, LedgerUpdated, LockLifted, LockSet
from safety.catalogue import CATALOGUE, Effect

if TYPE_CHECKING:
    from collections.abc import Callable

#: The facts that a ledger is made of.
KINDS: Final = (
    FactKind.FAULT_LATCHED,
    FactKind.FAULT_FOUND,
    FactKind.FAULT_CLEARED,
    FactKind.FAULT_RESET,
    FactKind.TESTED,
    FactKind.SESSION_ENDED,
    FactKind.LOCK_SET,
    FactKind.LOCK_LIFTED,
    FactKind.LEDGER_UPDATED,
    FactKind.INSPECTED,
)
#: Faults that only tell, and yet need somebody.
_TELLING: Final = frozenset({"relay_worn", "contactor_worn", "meter_stuck"})
#: Faults that are the supply's or the load's doing and pass: nothing in the cabinet can be mended.
_PASSING: Final = frozenset({"supply_lost", "cabinet_overload"})
#: By what two findings are the same: what has opened the entry, its code, and the port.
_Key = tuple[EntryKind, str, "int | None"]
#: Most sessions carry no flag; their bodies need not be decoded.
_NO_FLAG: Final = b'"energy_flag":null'


@dataclass(frozen=True, slots=True)
class Policy:
    """By what terms entries are made (``config.schema_site.Ledger``).

    Days from finding to deadline, and the texts that stand until somebody writes others.
    """

    serious_days: int = 3
    normal_days: int = 7
    responsible: str = ""
    contingency: str = ""


class _Flagged(msgspec.Struct):
    """What of the end of a session matters here."""

    port: int
    energy_flag: str | None = None
    energy_flags: list[str] = []
    age_ms: int = 0


def matters(code: str) -> bool:
    """Return whether a fault that does not latch belongs into the ledger. One that is not known does."""
    known = CATALOGUE.get(code)
    if known is None or code in _TELLING:
        return True
    return known.effect is not Effect.TELL and code not in _PASSING


class Ledger:
    """The entries of one log, in order of their numbers."""

    def __init__(self, policy: Policy = Policy()) -> None:
        self.entries: dict[int, Entry] = {}
        self._policy = policy
        self._open: dict[_Key, int] = {}
        self._take: dict[str, Callable[[Fact], None]] = {
            FactKind.FAULT_LATCHED: self._fault,
            FactKind.FAULT_FOUND: self._fault,
            FactKind.FAULT_CLEARED: self._cleared,
            FactKind.FAULT_RESET: self._reset,
            FactKind.TESTED: self._tested,
            FactKind.SESSION_ENDED: self._ended,
            FactKind.LOCK_SET: self._lock_set,
            FactKind.LOCK_LIFTED: self._lock_lifted,
            FactKind.LEDGER_UPDATED: self._updated,
            FactKind.INSPECTED: self._inspected,
        }

    def take(self, fact: Fact) -> None:
        """Take one more fact; those of other kinds change nothing."""
        take = self._take.get(fact.kind)
        if take is not None:
            take(fact)

    # -- what opens entries ------------------------------------------------------------------------------------

    def _fault(self, fact: Fact) -> None:
        body = msgspec.json.decode(fact.body, type=Fault)
        latched = fact.kind == FactKind.FAULT_LATCHED
        if latched or matters(body.code):
            self._found(fact, (EntryKind.FAULT, body.code, body.port), body.detail, body.age_ms, serious=latched)

    def _tested(self, fact: Fact) -> None:
        body = msgspec.json.decode(fact.body, type=PeriodicResult)
        if body.ok:
            self._good(fact, (EntryKind.TEST, body.test, None), body.by, body.detail)
        else:
            self._found(fact, (EntryKind.TEST, body.test, None), body.detail, body.age_ms)

    def _inspected(self, fact: Fact) -> None:
        body = msgspec.json.decode(fact.body, type=Inspected)
        if body.ok:
            self._good(fact, (EntryKind.INSPECTION, body.what, body.port), body.inspector, body.detail)
        else:
            self._found(fact, (EntryKind.INSPECTION, body.what, body.port), body.detail, by=body.inspector)

    def _ended(self, fact: Fact) -> None:
        if _NO_FLAG in bytes(fact.body):
            return
        body = msgspec.json.decode(fact.body, type=_Flagged)
        if body.energy_flag is None:
            return
        more = [flag for flag in body.energy_flags if flag != body.energy_flag]
        detail = ", ".join([fact.session or "", *more])  # one fact opens one entry
        self._found(fact, (EntryKind.ENERGY, body.energy_flag, body.port), detail, body.age_ms)

    def _lock_set(self, fact: Fact) -> None:
        body = msgspec.json.decode(fact.body, type=LockSet)
        if body.lock_kind != "lockout":
            return
        detail = f"{body.authority}: {body.reason}"
        key: _Key = (EntryKind.LOCKOUT, body.lock, body.port)
        self._found(fact, key, detail, by=body.by)
        entry = self.entries[self._open[key]]
        self._put(replace(entry, due_ms=body.until_ms, measure=body.reason, responsible=body.authority))

    def _found(
        self,
        fact: Fact,
        key: _Key,
        detail: str,
        age_ms: int = 0,
        *,
        by: str = "",
        serious: bool = False,
    ) -> None:
        at_ms = _wall_ms(fact, age_ms)
        known = self._open.get(key)
        if known is not None:
            entry = self.entries[known]
            more = {"count": entry.count + 1, "last_ms": at_ms, "standing": True}
            self._put(replace(entry, **more, serious=entry.serious or serious))
            return
        policy = self._policy
        days = policy.serious_days if serious else policy.normal_days
        self._put(
            Entry(
                seq=fact.seq,
                kind=key[0],
                code=key[1],
                port=key[2],
                found_ms=at_ms,
                last_ms=at_ms,
                clock=fact.clock,
                detail=detail,
                serious=serious,
                responsible=policy.responsible,
                contingency=policy.contingency,
                due_ms=None if at_ms is None else at_ms + days * DAY_MS,
                history=(Step(seq=fact.seq, wall_ms=at_ms, what="found", by=by, text=detail),),
            )
        )

    # -- what changes and closes them --------------------------------------------------------------------------

    def _cleared(self, fact: Fact) -> None:
        body = msgspec.json.decode(fact.body, type=Fault)
        known = self._open.get((EntryKind.FAULT, body.code, body.port))
        if known is not None:
            self._put(replace(self.entries[known], standing=False))

    def _reset(self, fact: Fact) -> None:
        body = msgspec.json.decode(fact.body, type=FaultReset)
        for (kind, code, port), seq in [*self._open.items()]:
            entry = self.entries[seq]
            holds = entry.serious or (code in CATALOGUE and CATALOGUE[code].holds)
            if kind is not EntryKind.FAULT or port != body.port or not holds:
                continue
            step = _step(fact, "repaired" if body.repair else "reset", body.by, body.repair)
            entry = replace(entry, standing=False, history=_longer(entry.history, step))
            if body.repair:
                entry = replace(
                    entry,
                    state=State.CLOSED,
                    closed_ms=_wall_ms(fact),
                    measure=body.repair,
                    responsible=entry.responsible or body.by,
                )
            self._put(entry)

    def _good(self, fact: Fact, key: _Key, by: str, text: str) -> None:
        known = self._open.get(key)
        if known is None:
            return
        entry = self.entries[known]
        if entry.kind is EntryKind.INSPECTION:
            entry = replace(entry, measure=entry.measure or text)
        self._close(entry, fact, "good", by, text)

    def _lock_lifted(self, fact: Fact) -> None:
        body = msgspec.json.decode(fact.body, type=LockLifted)
        for (kind, code, _), seq in [*self._open.items()]:
            if kind is EntryKind.LOCKOUT and code == body.lock:
                self._close(self.entries[seq], fact, "lifted", body.authority, body.reason)

    def _close(self, entry: Entry, fact: Fact, what: str, by: str, text: str) -> None:
        self._put(
            replace(
                entry,
                state=State.CLOSED,
                standing=False,
                closed_ms=_wall_ms(fact),
                history=_longer(entry.history, _step(fact, what, by, text)),
            )
        )

    def _updated(self, fact: Fact) -> None:
        body = msgspec.json.decode(fact.body, type=LedgerUpdated)
        entry = self.entries.get(body.entry)
        if entry is None:
            return
        told = {name: getattr(body, name) for name in ("measure", "responsible", "contingency", "due_ms")}
        entry = replace(entry, **{name: value for name, value in told.items() if value is not None})
        if body.state is not None:
            state = State(body.state)
            entry = replace(entry, state=state, closed_ms=_wall_ms(fact) if state is State.CLOSED else None)
        told |= {"state": body.state, "note": body.note}
        text = "; ".join(f"{name}: {value}" for name, value in told.items() if value is not None)
        self._put(replace(entry, history=_longer(entry.history, _step(fact, "updated", body.by, text))))

    def _put(self, entry: Entry) -> None:
        """Keep an entry. Of two of the same sort the first one that is not closed collects what comes."""
        self.entries[entry.seq] = entry
        key = (entry.kind, entry.code, entry.port)
        if entry.state is not State.CLOSED:
            self._open.setdefault(key, entry.seq)
        elif self._open.get(key) == entry.seq:
            del self._open[key]


def _wall_ms(fact: Fact, age_ms: int = 0) -> int | None:
    """Return when something happened, None when nobody can say."""
    return None if fact.clock == ClockQuality.NONE else max(0, fact.wall_ms - age_ms)


def _step(fact: Fact, what: str, by: str, text: str) -> Step:
    return Step(seq=fact.seq, wall_ms=_wall_ms(fact), what=what, by=by, text=text)


def _longer(history: tuple[Step, ...], step: Step) -> tuple[Step, ...]:
    if len(history) < MAX_HISTORY:
        return (*history, step)
    return (history[0], *history[2:], step)
