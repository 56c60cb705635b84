"""Promises about budgets set from outside, and about the queue as a picture of facts."""

from __future__ import annotations

import msgspec
import pytest

from pilenode.ipc.acts import AnyAct, LiftLock, SetBudget
from pilenode.ipc.messages import Refused
from pilenode.station.desk import Who
from pilenode.station.load_desk import LoadDesk
from pilenode.station.load_values import LoadRules, Waiting
from pilenode.station.queue import Queue
from pilenode.station.wallclock import ClockQuality, Stamp
from pilenode.upstream.facts import BODY_TYPES, Body, Fact, FactKind, canonical
from pilenode.upstream.facts_load import BudgetSet, QueueLeft, StartQueued

WHO = Who("upstream", "c-1")
NOON_MS = 1_800_000_000_000


def stamp(wall_ms: int = NOON_MS, clock: ClockQuality = ClockQuality.NTP) -> Stamp:
    """Return a moment."""
    return Stamp("boot-1", 1000, wall_ms, clock)


def fact(kind: FactKind, body: Body, *, boot: str = "boot-1", boottime_ms: int = 5000) -> Fact:
    """Return a durable fact."""
    return Fact(
        seq=1,
        boot=boot,
        boottime_ms=boottime_ms,
        wall_ms=0,
        clock="none",
        kind=kind,
        body=msgspec.Raw(canonical(body)),
        hash="0" * 64,
    )


def budget(limit_ma: int, until_ms: int | None = None) -> SetBudget:
    """Return an act."""
    return SetBudget(limit_ma=limit_ma, authority="grid", reason="peak", until_ms=until_ms)


def desk_with(act: SetBudget) -> LoadDesk:
    """Return a desk of 16 A whose budget has been set."""
    desk = LoadDesk(16.0)
    facts = desk.judge(act, WHO, stamp())
    assert not isinstance(facts, Refused)
    (new,) = facts
    assert isinstance(new.body, BODY_TYPES[new.kind])
    desk.keep(fact(new.kind, new.body))
    return desk


def test_an_act_travels_as_it_is() -> None:
    """The word is stored and sent, so it never changes."""
    sent = b'{"act":"set_budget","limit_ma":8000,"authority":"grid","reason":"peak"}'
    assert msgspec.json.decode(sent, type=AnyAct) == budget(8000)


@pytest.mark.parametrize(("limit_ma", "refused"), [(0, False), (16_000, False), (16_001, True)])
def test_only_downwards_from_the_installers_budget(limit_ma: int, *, refused: bool) -> None:
    """And a refusal changes nothing."""
    desk = LoadDesk(16.0)
    outcome = desk.judge(budget(limit_ma), WHO, stamp())
    assert (isinstance(outcome, Refused) and outcome.code == "budget_too_high") is refused
    assert desk.budget_a(stamp()) == 16.0


def test_the_newest_budget_counts_and_says_who_set_it() -> None:
    """The installer's own value lifts it."""
    desk = desk_with(budget(8000))
    standing = desk.in_force(stamp())
    assert standing == BudgetSet(limit_ma=8000, authority="grid", reason="peak", source="upstream", by="c-1")
    assert desk.budget_a(stamp()) == 8.0
    desk.keep(fact(FactKind.BUDGET_SET, msgspec.structs.replace(standing, limit_ma=16_000)))
    assert desk.budget_a(stamp()) == 16.0


def test_a_log_from_a_larger_supply_raises_nothing() -> None:
    """The installer has lowered his own since."""
    desk = LoadDesk(10.0)
    body = BudgetSet(limit_ma=12_000, authority="grid", reason="peak", source="cli")
    desk.keep(fact(FactKind.BUDGET_SET, body))
    assert desk.budget_a(stamp()) == 10.0


@pytest.mark.parametrize(
    ("wall_ms", "clock", "amps"),
    [
        (NOON_MS + 999, ClockQuality.NTP, 8.0),
        (NOON_MS + 1000, ClockQuality.NTP, 16.0),
        (NOON_MS + 1000, ClockQuality.RTC, 16.0),
        (NOON_MS + 1000, ClockQuality.NONE, 8.0),
    ],
)
def test_a_budget_ends_when_the_clock_is_sure_of_it(wall_ms: int, clock: ClockQuality, amps: float) -> None:
    """Without a clock the lower one stays."""
    assert desk_with(budget(8000, NOON_MS + 1000)).budget_a(stamp(wall_ms, clock)) == amps


def test_a_budget_that_would_be_over_already_is_refused() -> None:
    """Unless nobody knows what time it is."""
    desk = LoadDesk(16.0)
    assert desk.judge(budget(8000, NOON_MS), WHO, stamp()) == Refused(code="budget_in_past", detail=str(NOON_MS))
    assert not isinstance(desk.judge(budget(8000, NOON_MS + 1), WHO, stamp()), Refused)
    assert not isinstance(desk.judge(budget(8000, NOON_MS), WHO, stamp(clock=ClockQuality.NONE)), Refused)


def test_another_act_is_not_its_business() -> None:
    """The dispatcher never sends one; a mistake there changes nothing."""
    outcome = LoadDesk(16.0).judge(LiftLock(lock="l", authority="a", reason="b"), WHO, stamp())
    assert outcome == Refused(code="malformed", detail="LiftLock")


# -- the queue ----------------------------------------------------------------------------------------------


def joined(order: str, port: int, owner: str = "") -> StartQueued:
    """Return the body of a start that waits."""
    return StartQueued(order=order, port=port, source="card", owner=owner, position=1, expected_ma=2000)


def test_the_queue_is_what_the_facts_say() -> None:
    """In their order; who has left or started is gone, and who is asked for is found."""
    queue = Queue(LoadRules(10.0), stamp)
    for number, name in enumerate(("a", "b", "c"), 1):
        queue.keep(fact(FactKind.START_QUEUED, joined(name, number, owner=f"card-{name}")))
    assert queue.waiting[0] == Waiting("a", 1, 5.0, "card-a")
    assert [entry.body.order for entry in queue.entries] == ["a", "b", "c"]
    queue.keep(fact(FactKind.QUEUE_LEFT, queue.left("a", "user", 7.5)))
    queue.keep(fact(FactKind.QUEUE_LEFT, queue.left("b", "started", 7.5)))
    assert [one.order for one in queue.waiting] == ["c"]
    by_port, by_order = queue.find(port=3), queue.find(order="c")
    assert by_port is by_order is queue.entries[0]
    assert queue.find(port=1) is None


def test_leaving_says_why_and_after_how_long() -> None:
    """In ms, never negative; who does not wait cannot leave."""
    queue = Queue(LoadRules(10.0), stamp)
    queue.keep(fact(FactKind.START_QUEUED, joined("a", 1)))
    assert queue.left("a", "user", 7.5) == QueueLeft(order="a", port=1, why="user", waited_ms=2500)
    assert queue.left("a", "user", 1.0).waited_ms == 0
    with pytest.raises(KeyError):
        queue.left("b", "user", 7.5)


def test_after_a_reboot_everybody_waits_on() -> None:
    """Nobody knows how long the power was gone, so the time begins anew and the places stay."""
    queue = Queue(LoadRules(10.0), lambda: Stamp("boot-2", 3000, 0, ClockQuality.NONE))
    queue.keep(fact(FactKind.START_QUEUED, joined("a", 1)))
    queue.keep(fact(FactKind.START_QUEUED, joined("b", 2)))
    assert queue.waiting == (Waiting("a", 1, 3.0), Waiting("b", 2, 3.0))


def test_who_may_join() -> None:
    """One start for each port, so many in all; with a length of 0 nobody waits."""
    queue = Queue(LoadRules(10.0, queue_length=2), stamp)
    assert queue.why_not(1) is None
    queue.keep(fact(FactKind.START_QUEUED, joined("a", 1)))
    assert queue.why_not(1) == Refused(code="port_busy", detail="a")
    assert queue.why_not(2) is None
    queue.keep(fact(FactKind.START_QUEUED, joined("b", 2)))
    assert queue.why_not(3) == Refused(code="queue_full", detail="2")
    assert Queue(LoadRules(10.0, queue_length=0), stamp).why_not(3) == Refused(code="over_budget")


def test_it_decides_about_no_act() -> None:
    """It is a desk for the facts alone."""
    queue = Queue(LoadRules(10.0), stamp)
    assert queue.acts == ()
    assert queue.judge(budget(8000), WHO, stamp()) == Refused(code="malformed", detail="SetBudget")
