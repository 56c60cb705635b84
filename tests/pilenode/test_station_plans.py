"""Plans of customers: what is refused, what changes, and what is left of them for guard."""

from __future__ import annotations

from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilenode.ipc.messages import Plan, Refused
from pilenode.ipc.wish import Change, Wish
from pilenode.station.plans import FURTHEST_MS, Over, Used, guard_plan, modify, why_closed, why_not
from pilenode.station.windows import Hours

NOW = 1_780_000_000_000
SHANGHAI = ZoneInfo("Asia/Shanghai")
FRESH = Used()


@pytest.mark.parametrize(
    ("wish", "now_ms", "code"),
    [
        (Wish(), None, None),
        (Wish(energy_wh=1, duration_s=1, amount_fen=1), None, None),
        (Wish(energy_wh=100_000, duration_s=43_200, amount_fen=1_000_000), NOW, None),
        (Wish(energy_wh=0), NOW, "bad_plan"),
        (Wish(energy_wh=100_001), NOW, "bad_plan"),
        (Wish(duration_s=0), NOW, "bad_plan"),
        (Wish(duration_s=43_201), NOW, "bad_plan"),
        (Wish(amount_fen=0), NOW, "bad_plan"),
        (Wish(amount_fen=-1), NOW, "bad_plan"),
        (Wish(amount_fen=1_000_001), NOW, "bad_plan"),
        (Wish(until_ms=NOW + 1), NOW, None),
        (Wish(until_ms=NOW), NOW, "plan_in_past"),
        (Wish(until_ms=NOW - 1), NOW, "plan_in_past"),
        (Wish(until_ms=0), NOW, "plan_in_past"),
        (Wish(until_ms=NOW + FURTHEST_MS), NOW, None),
        (Wish(until_ms=NOW + FURTHEST_MS + 1), NOW, "bad_plan"),
        (Wish(until_ms=NOW + 1), None, "clock_unknown"),
    ],
)
def test_a_plan_is_judged_at_its_limits(wish: Wish, now_ms: int | None, code: str | None) -> None:
    """Out of range, past, or by a clock that nobody can trust: each has its own code."""
    refused = why_not(wish, now_ms)
    assert (None if refused is None else refused.code) == code


def test_outside_the_hours_the_next_opening_is_told() -> None:
    """In local time; without a clock no hours are enforced."""
    hours = Hours(((6 * 60, 23 * 60),), SHANGHAI)
    midnight = 1_779_984_000_000  # 2026-05-29 00:00 in Shanghai
    refused = why_closed(hours, midnight)
    assert refused == Refused(code="outside_hours", detail="opens 2026-05-29T06:00+08:00")
    assert why_closed(hours, midnight + 6 * 3_600_000) is None
    assert why_closed(hours, midnight + 6 * 3_600_000 - 1) == refused
    assert why_closed(hours, None) is None


# -- changing --------------------------------------------------------------------------------------------------

OLD = Wish(energy_wh=500, until_ms=NOW + 60_000)


@pytest.mark.parametrize(
    ("change", "wish"),
    [
        (Change(energy_wh=300), Wish(energy_wh=300, until_ms=NOW + 60_000)),
        (Change(duration_s=60), Wish(energy_wh=500, duration_s=60, until_ms=NOW + 60_000)),
        (Change(amount_fen=1, without=("energy_wh",)), Wish(until_ms=NOW + 60_000, amount_fen=1)),
        (Change(without=("energy_wh", "until_ms")), Wish()),
        (Change(until_ms=NOW + 1), Wish(energy_wh=500, until_ms=NOW + 1)),
    ],
)
def test_what_is_given_changes_and_the_rest_stays(change: Change, wish: Wish) -> None:
    """Limits in ``without`` are lifted."""
    assert modify(OLD, change, NOW) == wish


@pytest.mark.parametrize(
    ("change", "now_ms", "code"),
    [
        (Change(), NOW, "bad_plan"),
        (Change(energy_wh=0), NOW, "bad_plan"),
        (Change(energy_wh=1, without=("energy_wh",)), NOW, "bad_plan"),
        (Change(until_ms=NOW), NOW, "plan_in_past"),
        (Change(until_ms=0), NOW, "plan_in_past"),
        (Change(until_ms=NOW + 1), None, "clock_unknown"),
    ],
)
def test_a_change_that_makes_no_sense_is_refused(change: Change, now_ms: int | None, code: str) -> None:
    """As it would be at a start."""
    refused = modify(OLD, change, now_ms)
    assert isinstance(refused, Refused)
    assert refused.code == code


def test_a_clock_time_that_stays_is_not_judged_again() -> None:
    """The clock may be lost meanwhile, or the session end this very moment: the other limit changes all the same."""
    for now_ms in (None, NOW + 60_000):
        assert modify(OLD, Change(energy_wh=300), now_ms) == Wish(energy_wh=300, until_ms=NOW + 60_000)


# -- what guard holds ------------------------------------------------------------------------------------------


def test_no_plan_is_no_limit() -> None:
    """Full: guard ends the session when the battery is."""
    assert guard_plan(Wish(), earlier=FRESH, now_ms=NOW) == Plan()


def test_guard_holds_every_limit_in_its_own_units() -> None:
    """Less what earlier legs have used; the clock time as seconds from now."""
    wish = Wish(energy_wh=500, duration_s=3600, until_ms=NOW + 90_500)
    used = Used(energy_mwh=123_456, on_ms=600_250)
    assert guard_plan(wish, earlier=used, now_ms=NOW) == Plan(energy_wh=376.544, duration_s=2999.75, deadline_s=90.5)


@pytest.mark.parametrize(
    ("wish", "used", "leg_mwh", "over"),
    [
        (Wish(energy_wh=500), Used(499_999), 0, None),
        (Wish(energy_wh=500), Used(500_000), 0, "planned_energy"),
        (Wish(energy_wh=500), Used(300_000), 199_999, None),
        (Wish(energy_wh=500), Used(300_000), 200_000, "planned_energy"),
        (Wish(duration_s=60), Used(0, 59_999), 0, None),
        (Wish(duration_s=60), Used(0, 60_000), 0, "planned_duration"),
        (Wish(until_ms=NOW + 1), FRESH, 0, None),
        (Wish(until_ms=NOW), FRESH, 0, "planned_deadline"),
        (Wish(until_ms=NOW, duration_s=60, energy_wh=500), Used(500_000, 60_000), 0, "planned_deadline"),
        (Wish(duration_s=60, energy_wh=500), Used(500_000, 60_000), 0, "planned_duration"),
    ],
)
def test_what_is_used_up_is_over(wish: Wish, used: Used, leg_mwh: int, over: str | None) -> None:
    """At the limit, in the order of guard."""
    left = guard_plan(wish, earlier=used, now_ms=NOW, leg_mwh=leg_mwh)
    assert (left.code if isinstance(left, Over) else None) == over


@pytest.mark.parametrize(
    ("wish", "leg_mwh", "left_mwh", "expected"),
    [
        (Wish(amount_fen=100), 0, 1, Plan(energy_wh=0.001, for_amount=True)),
        (Wish(amount_fen=100), 0, 0, Over("planned_amount")),
        (Wish(amount_fen=100), 250, 500, Plan(energy_wh=0.75, for_amount=True)),
        (Wish(amount_fen=100), 250, 0, Over("planned_amount")),
        (Wish(energy_wh=1, amount_fen=100), 250, 749, Plan(energy_wh=0.999, for_amount=True)),
        (Wish(energy_wh=1, amount_fen=100), 250, 750, Plan(energy_wh=1.0)),
        (Wish(energy_wh=1, amount_fen=100), 250, 751, Plan(energy_wh=1.0)),
        (Wish(), 0, 5, Plan(energy_wh=0.005, for_amount=True)),  # a card's own limit
    ],
)
def test_money_becomes_energy(wish: Wish, leg_mwh: int, left_mwh: int, expected: Plan | Over) -> None:
    """What it still buys counts from now; the end is called after whichever comes first, after energy if both do."""
    assert guard_plan(wish, earlier=FRESH, now_ms=NOW, leg_mwh=leg_mwh, amount_left_mwh=left_mwh) == expected


@pytest.mark.parametrize(
    ("until_ms", "closes_ms", "expected"),
    [
        (None, NOW + 5000, Plan(deadline_s=5.0, for_hours=True)),
        (None, NOW, Over("hours_ended")),
        (NOW + 5000, NOW + 5000, Plan(deadline_s=5.0)),
        (NOW + 5000, NOW + 4999, Plan(deadline_s=4.999, for_hours=True)),
        (NOW + 5000, NOW + 5001, Plan(deadline_s=5.0)),
        (NOW + 200_000_000, None, Plan(deadline_s=86_400.0)),
    ],
)
def test_the_end_of_the_hours_is_a_deadline(until_ms: int | None, closes_ms: int | None, expected: Plan | Over) -> None:
    """The nearer of both, called after what it is; no further than guard takes."""
    assert guard_plan(Wish(until_ms=until_ms), earlier=FRESH, now_ms=NOW, closes_ms=closes_ms) == expected


@given(
    wish=st.builds(
        Wish,
        energy_wh=st.none() | st.integers(1, 100_000),
        duration_s=st.none() | st.integers(1, 43_200),
        until_ms=st.none() | st.integers(NOW - 10_000, NOW + FURTHEST_MS),
    ),
    used=st.builds(Used, st.integers(0, 120_000_000), st.integers(0, 50_000_000)),
    left_mwh=st.none() | st.integers(0, 10**12),
)
def test_guard_takes_what_is_left_and_it_is_never_more(wish: Wish, used: Used, left_mwh: int | None) -> None:
    """Every plan passes guard's own ranges, and no leg gets what another one has used."""
    import msgspec  # noqa: PLC0415 - only this test encodes

    left = guard_plan(wish, earlier=used, now_ms=NOW, amount_left_mwh=left_mwh)
    if isinstance(left, Over):
        return
    assert msgspec.json.decode(msgspec.json.encode(left), type=Plan) == left
    if wish.energy_wh is not None:
        assert left.energy_wh is not None
        assert left.energy_wh * 1000 + used.energy_mwh <= wish.energy_wh * 1000 + 1e-6
    if wish.duration_s is not None:
        assert left.duration_s is not None
        assert left.duration_s * 1000 + used.on_ms <= wish.duration_s * 1000 + 1e-6
