"""Locks of ports and of the cabinet: administrative lock-outs (断电措施) and maintenance. A fold over facts.

What counts when time is in doubt (ADR 21): the relay stays open.
- A lock is in force from its ``from_ms`` until just before its ``until_ms``, judged by a trusted clock.
- Without a trusted clock a lock that was not lifted is in force: neither is its beginning waited for, nor does it end.
- That a lock's time is over is never written down. A clock that turns out wrong and is set back finds the lock again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import msgspec

from pilenode.ipc.acts import LiftLock, Lock
from pilenode.ipc.messages import LockShown, Refused
from pilenode.station.entries import NewFact
from pilenode.station.wallclock import ClockQuality
from pilenode.upstream.facts import MAX_WORDS, FactKind
from pilenode.upstream.facts_ledger import LockLifted, LockSet

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from pilenode.ipc.acts import Act
    from pilenode.station.desk import Who
    from pilenode.station.wallclock import Stamp
    from pilenode.upstream.facts import Fact

LOCKOUT: Final = "lockout"
MAINTENANCE: Final = "maintenance"
#: The facts that locks are made of.
KINDS: Final = (FactKind.LOCK_SET, FactKind.LOCK_LIFTED)
#: Locks shown in one reply; more may stand.
MAX_SHOWN: Final = 64


@dataclass(frozen=True, slots=True)
class HeldLock:
    """One lock: what was set, the fact that set it, and who lifted it (None: nobody)."""

    set: LockSet
    seq: int
    lifted: LockLifted | None = None


#: Every lock that ever was, by its id.
Locks = dict[str, HeldLock]


def fold(locks: Mapping[str, HeldLock], fact: Fact) -> Locks:
    """Return the locks after one more fact of ``KINDS``. The first fact about an id counts, as it was judged so."""
    if fact.kind == FactKind.LOCK_SET:
        body = msgspec.json.decode(fact.body, type=LockSet)
        return {**locks} if body.lock in locks else {**locks, body.lock: HeldLock(body, fact.seq)}
    lifted = msgspec.json.decode(fact.body, type=LockLifted)
    held = locks.get(lifted.lock)
    if held is None or held.lifted is not None:
        return {**locks}
    return {**locks, lifted.lock: HeldLock(held.set, held.seq, lifted)}


def trusted(now: Stamp) -> bool:
    """Return whether the wall clock of ``now`` may be believed."""
    return now.clock != ClockQuality.NONE


def over(held: HeldLock, now: Stamp) -> bool:
    """Return whether a lock has ended: lifted, or its time is over by a trusted clock."""
    until_ms = held.set.until_ms
    return held.lifted is not None or (until_ms is not None and trusted(now) and now.wall_ms >= until_ms)


def in_force(held: HeldLock, now: Stamp) -> bool:
    """Return whether a lock keeps its port without power now."""
    from_ms = held.set.from_ms
    return not over(held, now) and (from_ms is None or not trusted(now) or now.wall_ms >= from_ms)


def standing(locks: Mapping[str, HeldLock], now: Stamp) -> list[HeldLock]:
    """Return the locks that are not over, gravest first: lock-outs, the whole cabinet, the oldest."""
    held = [one for one in locks.values() if not over(one, now)]
    return sorted(held, key=lambda one: (one.set.lock_kind != LOCKOUT, one.set.port is not None, one.seq))


def locked(locks: Mapping[str, HeldLock], port: int, now: Stamp) -> HeldLock | None:
    """Return the gravest lock that keeps ``port`` without power now, None when it may be used."""
    return next(
        (held for held in standing(locks, now) if held.set.port in (None, port) and in_force(held, now)),
        None,
    )


def refusal(held: HeldLock) -> Refused:
    """Return what whoever asks for power on a locked port is told."""
    code = "port_locked" if held.set.lock_kind == LOCKOUT else "in_maintenance"
    return Refused(code=code, detail=f"{held.set.authority}: {held.set.reason}"[:MAX_WORDS])


def ending(held: HeldLock) -> str:
    """Return the reason with which a session on a locked port ends."""
    return LOCKOUT if held.set.lock_kind == LOCKOUT else MAINTENANCE


def shown(locks: Mapping[str, HeldLock], now: Stamp) -> list[LockShown]:
    """Return the locks that are not over, as people and programs see them, gravest first, at most ``MAX_SHOWN``."""
    return [
        LockShown(
            lock=held.set.lock,
            port=held.set.port,
            kind=held.set.lock_kind,
            authority=held.set.authority,
            reason=held.set.reason,
            from_ms=held.set.from_ms,
            until_ms=held.set.until_ms,
            in_force=in_force(held, now),
            time_known=trusted(now),
        )
        for held in standing(locks, now)[:MAX_SHOWN]
    ]


class LockDesk:
    """Decides about locks and keeps them. ``ports``: the numbers that this cabinet has."""

    acts: tuple[type[Act], ...] = (Lock, LiftLock)
    kinds: tuple[FactKind, ...] = KINDS

    def __init__(self, ports: Collection[int]) -> None:
        self.locks: Locks = {}
        self._ports = frozenset(ports)

    def judge(self, act: Act, who: Who, now: Stamp) -> Sequence[NewFact] | Refused:
        """Return the fact of an accepted act (none when it changes nothing), or why it is refused."""
        match act:
            case Lock():
                return self._set(act, who, now)
            case LiftLock():
                return self._lift(act, who)
            case _:
                return Refused(code="malformed", detail=type(act).__name__)

    def keep(self, fact: Fact) -> None:
        """Take one durable fact into the picture."""
        self.locks = fold(self.locks, fact)

    def _set(self, act: Lock, who: Who, now: Stamp) -> Sequence[NewFact] | Refused:
        if act.port is not None and act.port not in self._ports:
            return Refused(code="unknown_port", detail=str(act.port))
        held = self.locks.get(act.lock)
        if held is not None:
            if held.lifted is not None or _content(held.set) != _asked(act):
                return Refused(code="lock_conflict", detail=act.lock)
            return ()
        if act.until_ms is not None:
            if act.from_ms is not None and act.until_ms <= act.from_ms:
                return Refused(code="lock_period")
            if trusted(now) and act.until_ms <= now.wall_ms:
                return Refused(code="lock_in_past")
        body = LockSet(
            lock=act.lock,
            port=act.port,
            lock_kind=act.kind,
            authority=act.authority,
            reason=act.reason,
            from_ms=act.from_ms,
            until_ms=act.until_ms,
            source=who.source,
            by=who.by[:MAX_WORDS],
        )
        return [NewFact(FactKind.LOCK_SET, body)]

    def _lift(self, act: LiftLock, who: Who) -> Sequence[NewFact] | Refused:
        held = self.locks.get(act.lock)
        if held is None:
            return Refused(code="unknown_lock", detail=act.lock)
        if not _may_lift(held.set, act, who):
            return Refused(code="lock_not_yours", detail=held.set.authority)
        if held.lifted is not None:
            return ()
        body = LockLifted(
            lock=act.lock, authority=act.authority, reason=act.reason, source=who.source, by=who.by[:MAX_WORDS]
        )
        return [NewFact(FactKind.LOCK_LIFTED, body)]


def _content(body: LockSet) -> tuple[object, ...]:
    return body.port, body.lock_kind, body.authority, body.reason, body.from_ms, body.until_ms


def _asked(act: Lock) -> tuple[object, ...]:
    return act.port, act.kind, act.authority, act.reason, act.from_ms, act.until_ms


def _may_lift(body: LockSet, act: LiftLock, who: Who) -> bool:
    if body.lock_kind == LOCKOUT:
        return act.authority.strip().casefold() == body.authority.strip().casefold()
    return body.source != "cli" or who.source == "cli"
