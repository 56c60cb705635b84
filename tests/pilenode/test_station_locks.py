"""Promises about locks: a fold over facts, lifted only by who may, and open relays wherever time is in doubt."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeVar

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pilenode.ipc.acts import LiftLock, Lock
from pilenode.ipc.messages import Done, Refused
from pilenode.station import locks
from pilenode.station.acts import Acts
from pilenode.station.desk import Who
from pilenode.station.journal import Journal
from pilenode.station.locks import LockDesk
from pilenode.upstream.facts import FactKind
from pilenode.upstream.facts_ledger import LockLifted, LockSet
from tests.pilenode.ledger_models import MORNING_MS, PORTS, Log, stamp

if TYPE_CHECKING:
    from pathlib import Path

_Act = TypeVar("_Act", Lock, LiftLock)
CLI, FAR = Who("cli", "uid 1000: cli:li"), Who("upstream", "c-1")
LOCK = Lock(lock="l-1", port=2, kind="lockout", authority="Fire Office", reason="wires")
WORK = Lock(lock="w-1", port=2, kind="maintenance", authority="cli:li", reason="socket")
LIFT = LiftLock(lock="l-1", authority="Fire Office", reason="mended")


def at(held: _Act, **changes: object) -> _Act:
    """Return an act with other fields."""
    return msgspec.structs.replace(held, **changes)


def desk_with(*steps: tuple[Lock | LiftLock, Who]) -> LockDesk:
    """Return a desk that has carried out every step."""
    desk, log = LockDesk(PORTS), Log()
    for act, who in steps:
        outcome = desk.judge(act, who, stamp())
        assert not isinstance(outcome, Refused), outcome
        for new in outcome:
            desk.keep(log.add(new.kind, new.body))
    return desk


def code(outcome: object) -> str | None:
    """Return the code of a refusal, None of anything else."""
    return outcome.code if isinstance(outcome, Refused) else None


@pytest.mark.parametrize(
    ("from_ms", "until_ms", "now_ms", "clock", "held"),
    [
        (None, None, 0, "none", True),
        (None, None, MORNING_MS, "ntp", True),
        (None, 1000, 999, "ntp", True),
        (None, 1000, 1000, "ntp", False),
        (None, 1000, 1001, "rtc", False),
        (None, 1000, 1001, "none", True),  # it may not be over
        (1000, None, 999, "ntp", False),
        (1000, None, 1000, "ntp", True),
        (1000, None, 1001, "ntp", True),
        (1000, None, 999, "none", True),  # it may have begun
        (1000, 2000, 999, "ntp", False),
        (1000, 2000, 1999, "ntp", True),
        (1000, 2000, 2000, "ntp", False),
    ],
)
def test_a_lock_holds_from_its_beginning_until_just_before_its_end(
    from_ms: int | None,
    until_ms: int | None,
    now_ms: int,
    clock: str,
    held: bool,  # noqa: FBT001 - a table
) -> None:
    """To the millisecond by a trusted clock; without one it holds."""
    body = LockSet(
        lock="l",
        port=2,
        lock_kind="lockout",
        authority="a",
        reason="r",
        from_ms=from_ms,
        until_ms=until_ms,
        source="cli",
    )
    one = locks.HeldLock(body, 1)
    assert locks.in_force(one, stamp(now_ms, clock)) is held
    assert (locks.locked({"l": one}, 2, stamp(now_ms, clock)) is one) is held
    lifted = locks.HeldLock(body, 1, LockLifted(lock="l", authority="a", reason="r", source="cli"))
    assert not locks.in_force(lifted, stamp(now_ms, clock))


def test_a_lock_of_the_cabinet_locks_every_port_and_the_gravest_is_told() -> None:
    """Lock-outs before maintenance, the whole cabinet before one port; other ports are free."""
    desk = desk_with((WORK, CLI), (LOCK, FAR))
    found = locks.locked(desk.locks, 2, stamp())
    assert found is not None
    assert found.set.lock == "l-1"
    assert locks.locked(desk.locks, 1, stamp()) is None
    whole = desk_with((WORK, CLI), (LOCK, FAR), (at(LOCK, lock="l-0", port=None), FAR))
    for port in PORTS:
        found = locks.locked(whole.locks, port, stamp())
        assert found is not None
        assert found.set.lock == "l-0"


def test_what_whoever_asks_for_power_is_told() -> None:
    """Each kind of lock has its code, its ending, and says who and why."""
    desk = desk_with((LOCK, FAR), (at(WORK, port=1), CLI))
    lockout, work = desk.locks["l-1"], desk.locks["w-1"]
    assert locks.refusal(lockout) == Refused(code="port_locked", detail="Fire Office: wires")
    assert (locks.refusal(work).code, locks.ending(lockout), locks.ending(work)) == (
        "in_maintenance",
        "lockout",
        "maintenance",
    )
    long = at(LOCK, lock="l-9", authority="a" * 200, reason="r" * 200)
    assert len(locks.refusal(desk_with((long, FAR)).locks["l-9"]).detail) == 200


@pytest.mark.parametrize(
    ("change", "clock", "expected"),
    [
        ({"port": 9}, "ntp", "unknown_port"),
        ({"until_ms": MORNING_MS - 1}, "ntp", "lock_in_past"),
        ({"until_ms": MORNING_MS}, "ntp", "lock_in_past"),
        ({"until_ms": MORNING_MS + 1}, "ntp", None),
        ({"until_ms": MORNING_MS - 1}, "none", None),  # nobody can say that it is past
        ({"from_ms": MORNING_MS + 5, "until_ms": MORNING_MS + 5}, "ntp", "lock_period"),
        ({"from_ms": MORNING_MS + 5, "until_ms": MORNING_MS + 5}, "none", "lock_period"),
        ({"from_ms": MORNING_MS + 5, "until_ms": MORNING_MS + 6}, "ntp", None),
        ({"port": None}, "ntp", None),
    ],
)
def test_a_lock_that_makes_no_sense_is_refused(change: dict[str, object], clock: str, expected: str | None) -> None:
    """An unknown port, an end in the past or before the beginning."""
    assert code(LockDesk(PORTS).judge(at(LOCK, **change), FAR, stamp(clock=clock))) == expected


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, None),
        ({"port": 1}, "lock_conflict"),
        ({"port": None}, "lock_conflict"),
        ({"kind": "maintenance"}, "lock_conflict"),
        ({"authority": "x"}, "lock_conflict"),
        ({"reason": "x"}, "lock_conflict"),
        ({"from_ms": 1}, "lock_conflict"),
        ({"until_ms": MORNING_MS * 2}, "lock_conflict"),
    ],
)
def test_the_same_lock_again_changes_nothing_and_another_of_its_name_is_refused(
    change: dict[str, object], expected: str | None
) -> None:
    """An id stands for one content for ever."""
    outcome = desk_with((LOCK, FAR)).judge(at(LOCK, **change), FAR, stamp())
    assert code(outcome) == expected
    assert expected is not None or outcome == ()


def test_a_lock_that_was_lifted_is_not_set_again_by_a_repeated_command() -> None:
    """The same words later would be a new decision, and that needs a new id."""
    desk = desk_with((LOCK, FAR), (LIFT, FAR))
    assert code(desk.judge(LOCK, FAR, stamp())) == "lock_conflict"
    assert desk.judge(LIFT, CLI, stamp()) == ()
    assert locks.locked(desk.locks, 2, stamp()) is None


@pytest.mark.parametrize(
    ("held", "setter", "lifter", "authority", "expected"),
    [
        (LOCK, FAR, FAR, "Fire Office", None),
        (LOCK, FAR, CLI, " fire office ", None),  # a technician in its name
        (LOCK, FAR, CLI, "cli:li", "lock_not_yours"),
        (LOCK, FAR, FAR, "Other Office", "lock_not_yours"),
        (LOCK, CLI, FAR, "Fire Office", None),
        (WORK, CLI, CLI, "cli:wang", None),  # any technician
        (WORK, CLI, FAR, "cli:li", "lock_not_yours"),  # never from far away
        (WORK, FAR, FAR, "whoever", None),
        (WORK, FAR, CLI, "cli:li", None),
    ],
)
def test_who_may_lift_a_lock(held: Lock, setter: Who, lifter: Who, authority: str, expected: str | None) -> None:
    """A lock-out in the name of its authority; maintenance at the cabinet where it began there."""
    lift = LiftLock(lock=held.lock, authority=authority, reason="done")
    assert code(desk_with((held, setter)).judge(lift, lifter, stamp())) == expected


def test_an_unknown_lock_cannot_be_lifted() -> None:
    """It is refused, not ignored."""
    assert code(LockDesk(PORTS).judge(LIFT, FAR, stamp())) == "unknown_lock"


def test_locks_as_they_are_shown() -> None:
    """Those that are not over, gravest first; one that has not begun, and a clock that nobody trusts, are said."""
    later = at(LOCK, lock="l-2", port=1, from_ms=MORNING_MS + 1)
    desk = desk_with((WORK, CLI), (LOCK, FAR), (later, FAR), (at(LOCK, lock="l-3"), FAR), (at(LIFT, lock="l-3"), FAR))
    told = locks.shown(desk.locks, stamp())
    assert [(one.lock, one.in_force, one.time_known) for one in told] == [
        ("l-1", True, True),
        ("l-2", False, True),
        ("w-1", True, True),
    ]
    assert [one.in_force for one in locks.shown(desk.locks, stamp(clock="none"))] == [True, True, True]
    many = desk_with(*((at(LOCK, lock=f"m-{number}"), FAR) for number in range(80)), (WORK, CLI))
    assert len(locks.shown(many.locks, stamp())) == locks.MAX_SHOWN


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3), st.booleans(), st.sampled_from((1, 2, None))), max_size=20), st.data())
def test_the_picture_is_a_fold(steps: list[tuple[int, bool, int | None]], data: st.DataObject) -> None:
    """However the facts are cut into two readings, the locks are the same, and lifted ones never come back."""
    log = Log()
    for name, lift, port in steps:
        if lift:
            log.add(FactKind.LOCK_LIFTED, LockLifted(lock=f"l-{name}", authority="a", reason="r", source="cli"))
        else:
            body = LockSet(lock=f"l-{name}", port=port, lock_kind="lockout", authority="a", reason="r", source="cli")
            log.add(FactKind.LOCK_SET, body)
    whole, parts = LockDesk(PORTS), LockDesk(PORTS)
    for fact in log.facts:
        before = {name for name, held in whole.locks.items() if held.lifted is not None}
        whole.keep(fact)
        assert before <= {name for name, held in whole.locks.items() if held.lifted is not None}
    cut = data.draw(st.integers(0, len(log.facts)))
    picture: locks.Locks = {}
    for fact in log.facts[:cut]:
        picture = locks.fold(picture, fact)
    parts.locks = dict(picture)
    for fact in log.facts[cut:]:
        parts.keep(fact)
    assert parts.locks == whole.locks


def test_locks_survive_a_restart(tmp_path: Path) -> None:
    """A new process has the same locks from the journal; a lifted one stays lifted."""

    async def story() -> None:
        journal = Journal(tmp_path / "j.db")
        await journal.recover()
        acts = Acts(journal, [LockDesk(PORTS)])
        assert await acts.perform(LOCK, FAR) == Done()
        assert await acts.perform(LOCK, FAR) == Done()
        assert await acts.perform(at(LOCK, lock="l-2", port=None), FAR) == Done()
        assert await acts.perform(at(LIFT, lock="l-2"), CLI) == Done()
        assert len(await journal.facts([*locks.KINDS], 0, 10)) == 3
        await journal.close()
        again, desk = Journal(tmp_path / "j.db"), LockDesk(PORTS)
        await again.recover()
        assert await Acts(again, [desk]).catch_up()
        found = locks.locked(desk.locks, 2, stamp())
        assert found is not None
        assert found.set.lock == "l-1"
        assert locks.locked(desk.locks, 1, stamp()) is None
        await again.close()

    asyncio.run(story())
