"""The master contactor: when it is closed, and when its auxiliary contact tells that it is not where it should be."""

from __future__ import annotations

import pytest

from safety.contactor import Contactor, disagrees, drive, hear
from safety.limits import CabinetLimits

LIMITS = CabinetLimits()  # hold 5 s, feedback 1 s


def driven(memory: Contactor, now: float, *, wanted: bool = False, forbidden: bool = False) -> Contactor:
    """Return the contactor with its order decided."""
    return drive(memory, wanted=wanted, forbidden=forbidden, limits=LIMITS, now=now)


def closed(at_s: float = 100.0) -> Contactor:
    """Return a contactor that was open for long and closed at ``at_s``."""
    return driven(driven(Contactor(), 0.0), at_s, wanted=True)


def test_it_is_open_until_a_port_wants_power() -> None:
    """Nobody asks, nothing is live."""
    assert driven(Contactor(), 0.0).since_s is None
    assert driven(driven(Contactor(), 0.0), 50.0).since_s is None


def test_it_closes_with_the_first_port_and_stays_since_then() -> None:
    """``since_s`` is the closing, not the newest use."""
    memory = closed(100.0)
    assert memory.since_s == 100.0
    assert driven(memory, 150.0, wanted=True).since_s == 100.0


@pytest.mark.parametrize(("idle_s", "expected"), [(0.05, 100.0), (4.95, 100.0), (5.0, None), (5.05, None)])
def test_it_is_held_after_the_last_port(idle_s: float, expected: float | None) -> None:
    """5 s closed without use, so that a port relay opens first and the next start wears nothing; then open."""
    memory = driven(closed(100.0), 200.0, wanted=True)
    assert driven(memory, 200.0 + idle_s).since_s == expected


def test_a_use_in_between_starts_the_hold_again() -> None:
    """The hold counts from the last use."""
    memory = driven(driven(closed(100.0), 104.0), 104.5, wanted=True)
    assert driven(memory, 109.0).since_s == 100.0
    assert driven(memory, 109.5).since_s is None


@pytest.mark.parametrize("wanted", [False, True])
def test_forbidden_opens_at_once(wanted: bool) -> None:  # noqa: FBT001 - one of two cases
    """No hold, whoever wants power; when the ban is gone it closes anew."""
    memory = driven(closed(100.0), 110.0, wanted=wanted, forbidden=True)
    assert memory.since_s is None
    assert memory.changed_s == 110.0
    assert driven(memory, 120.0, wanted=True).since_s == 120.0


@pytest.mark.parametrize(
    ("order_closed", "feedback", "code"),
    [
        (True, True, None),
        (True, False, "contactor_not_closed"),
        (True, None, None),
        (False, False, None),
        (False, True, "contactor_welded"),
        (False, None, None),
    ],
)
def test_the_auxiliary_contact_must_follow(
    order_closed: bool,  # noqa: FBT001 - rows of a truth table
    feedback: bool | None,  # noqa: FBT001
    code: str | None,
) -> None:
    """Ordered closed and open: not closed. Ordered open and closed: welded. Not wired: nothing is known."""
    memory = closed(100.0) if order_closed else driven(closed(50.0), 100.0, forbidden=True)
    assert disagrees(memory, feedback, LIMITS, 200.0) == code


@pytest.mark.parametrize(("later_s", "expected"), [(0.95, None), (1.0, "contactor_welded"), (1.05, "contactor_welded")])
def test_it_has_a_second_to_follow_an_order(later_s: float, expected: str | None) -> None:
    """Coils and contacts take their time."""
    opened = driven(closed(50.0), 100.0, forbidden=True)
    assert disagrees(opened, True, LIMITS, 100.0 + later_s) == expected  # noqa: FBT003


def test_the_first_order_counts_as_a_change() -> None:
    """What a run of guard before this one left behind needs its time to drop; before any order nothing is judged."""
    assert disagrees(Contactor(), True, LIMITS, 100.0) is None  # noqa: FBT003
    first = driven(Contactor(), 100.0)
    assert disagrees(first, True, LIMITS, 100.9) is None  # noqa: FBT003
    assert disagrees(first, True, LIMITS, 101.0) == "contactor_welded"  # noqa: FBT003


def test_orders_that_change_nothing_do_not_give_more_time() -> None:
    """A welded contactor is not hidden by ordering it open again and again."""
    memory = driven(closed(50.0), 100.0, forbidden=True)
    for tick in range(40):
        memory = driven(memory, 100.0 + 0.05 * tick, forbidden=True)
        memory = hear(memory, True, 100.0 + 0.05 * tick)  # noqa: FBT003
    assert disagrees(memory, True, LIMITS, 102.0) == "contactor_welded"  # noqa: FBT003


def test_an_auxiliary_contact_that_bounces_latches_nothing() -> None:
    """A wrong word for less than a second is none; for a second it is."""
    memory = hear(closed(100.0), True, 150.0)  # noqa: FBT003
    assert disagrees(memory, False, LIMITS, 150.05) is None  # noqa: FBT003
    assert disagrees(hear(memory, False, 150.95), False, LIMITS, 150.95) is None  # noqa: FBT003
    assert disagrees(hear(memory, False, 151.0), False, LIMITS, 151.0) == "contactor_not_closed"  # noqa: FBT003


def test_an_agreement_of_before_the_order_gives_no_time_after_it() -> None:
    """What was heard before a change is about the order before."""
    memory = driven(hear(closed(100.0), True, 199.95), 200.0, forbidden=True)  # noqa: FBT003
    assert disagrees(memory, True, LIMITS, 201.0) == "contactor_welded"  # noqa: FBT003


def test_a_contact_that_is_not_wired_is_not_heard() -> None:
    """None is no agreement."""
    assert hear(closed(100.0), None, 150.0).agreed_s is None
