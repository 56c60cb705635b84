"""Cross checks that begin at any moment of the clock."""

from __future__ import annotations

from dataclasses import astuple

import pytest

from safety.cross_check import CrossLimits, Registers, judge_meters, judge_probes, window

LIMITS = CrossLimits()
#: Ten hours after a start that was long ago; the cabinet itself may use 300 Wh in that time.
BEFORE, HOURS = Registers(5_000_000.0, 50_000.0, {1: 1000.0, 2: 2000.0}), 10.0


def after(inlet_wh: float, *ports_wh: float, hours: float = HOURS) -> Registers:
    """Return the registers some hours later, with so much more in them."""
    ports = {number: 1000.0 * number + wh for number, wh in enumerate(ports_wh, 1)}
    return Registers(BEFORE.at_s + hours * 3600.0, BEFORE.inlet_wh + inlet_wh, ports)


@pytest.mark.parametrize(("inlet_wh", "ok"), [(9469.0, False), (9470.0, True), (10_830.0, True), (10_831.0, False)])
def test_own_consumption_is_that_of_the_time_between(inlet_wh: float, *, ok: bool) -> None:
    """10 kWh, 5 % of it, three register steps of 10 Wh, and upwards ten hours of 30 W."""
    verdict = judge_meters(BEFORE, after(inlet_wh, 6000.0, 4000.0), LIMITS)
    assert verdict is not None
    assert verdict.ok is ok
    assert "in 10.0 h" in verdict.detail


@pytest.mark.parametrize(("inlet_wh", "begins_anew"), [(310.0, True), (311.0, False)])
def test_a_rest_is_left_out_by_its_own_length(inlet_wh: float, *, begins_anew: bool) -> None:
    """Ten hours of 30 W and one register step prove nothing."""
    now = after(inlet_wh, 0.0, 0.0)
    assert window(BEFORE, now, busy=False, limits=LIMITS) is (now if begins_anew else BEFORE)


@pytest.mark.parametrize(("hours", "inlet_wh", "begins_anew"), [(0.0, 10.0, True), (0.0, 10.004, False)])
def test_no_time_is_no_consumption(hours: float, inlet_wh: float, *, begins_anew: bool) -> None:
    """In no time at all a register step is everything that proves nothing."""
    now = after(inlet_wh, 0.0, 0.0, hours=hours)
    assert window(BEFORE, now, busy=False, limits=LIMITS) is (now if begins_anew else BEFORE)


@pytest.mark.parametrize(("off_k", "wrong"), [(8.0, ()), (8.1, ("3",))])
def test_three_probes_have_a_middle(off_k: float, wrong: tuple[str, ...]) -> None:
    """From three on one alone can be named, and the whole spread is allowed."""
    assert judge_probes({"1": 25.0, "2": 25.0, "3": 25.0 + off_k}, LIMITS).wrong == wrong


@pytest.mark.parametrize(("inlet_wh", "ok"), [(10_530.0, True), (10_530.004, False)])
def test_in_no_time_the_cabinet_uses_nothing(inlet_wh: float, *, ok: bool) -> None:
    """Tolerance and register steps are all there is."""
    verdict = judge_meters(BEFORE, after(inlet_wh, 6000.0, 4000.0, hours=0.0), LIMITS)
    assert verdict is not None
    assert verdict.ok is ok


def test_the_shipped_values() -> None:
    """Every one of them has its source beside it."""
    assert astuple(LIMITS) == (1800.0, 8.0, 0.05, 1000.0, 20.0, 10.0, 30.0)
